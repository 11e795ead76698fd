//! Frames as fields: extract and compose.
