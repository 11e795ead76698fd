//! Raw bindings to DPDK; no logic.
