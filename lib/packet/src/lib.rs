//! Frames as bytes: one file per header. Used by everything above; has never heard of OpenFlow.

pub mod offload;
