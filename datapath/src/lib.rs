//! The switch without I/O: model, control, forward.
