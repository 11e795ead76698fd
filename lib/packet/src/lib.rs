//! Frames as bytes: one file per header.
