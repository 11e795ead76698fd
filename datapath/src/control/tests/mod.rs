//! Direct calls of control's interface: state in, outputs out, on a clock of numbers.
