//! Configures switchd through its database.

fn main() {}
