//! Frames as fields: extract them into a key, print them, compose a frame from them, and a small text
//! language for whole frames. Used by the datapath for lookups and by `ofctl` for what it prints.

pub mod bare;
pub mod compose;
pub mod extract;
pub mod frametext;
pub mod print;

pub use compose::compose;
pub use extract::{Depth, Layout, Plan, extract};
