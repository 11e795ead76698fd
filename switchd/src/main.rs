//! The switch daemon: threads, sockets, files, netlink.

fn main() {}
