//! The safe rim over DPDK: EAL, mempools, mbufs and ports.
