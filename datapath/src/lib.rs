//! The switch without I/O: what it knows (`model`), who changes it (`control`), who reads it for
//! each packet (`forward`). Frames come and go only through `edge`.

pub mod control;
pub mod edge;
pub mod explain;
pub mod forward;
pub mod fragment;
pub mod model;
pub mod sim;
pub mod time;
pub mod tunnel;
