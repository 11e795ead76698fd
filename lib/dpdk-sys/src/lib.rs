//! Raw bindings to DPDK, generated at build time from `wrapper.h` over the allow-list in `build.rs`; no logic.
//! Only the crate `dpdk` uses them. Names are DPDK's own; static inlines are reached through generated C wrappers.
#![no_std]
// What bindgen generates cannot meet the workspace's lints; nothing here is written by hand.
#![allow(
    unsafe_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnecessary_transmutes,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
