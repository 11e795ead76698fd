//! Drives an OpenFlow switch from the command line.

fn main() {}
