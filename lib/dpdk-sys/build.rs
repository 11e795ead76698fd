//! Makes the bindings: version gate, bindgen over an allow-list, C wrappers of the static inlines, the libraries' names.
//! Run by cargo; needs libdpdk-dev, libclang-dev, clang and pkg-config. It decides nothing about how DPDK is used.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use bindgen::callbacks::{IntKind, ParseCallbacks};

/// The releases whose struct layouts and functions the crate above was written for.
const DPDK_VERSIONS: std::ops::Range<&str> = "22.11".."24.11";

/// Functions and static inlines that `dpdk` calls; a regular expression each.
const FUNCTIONS: &[&str] = &[
    "rte_eal_(init|cleanup|get_runtime_dir|has_hugepages)",
    "rte_version",
    "rte_strerror",
    "rte_thread_(register|unregister)",
    "rte_lcore_id",
    "rte_dev_(probe|remove)",
    "rte_eth_dev_(count_avail|info_get|configure|start|stop|close|get_port_by_name|get_name_by_port|set_mtu|get_mtu)",
    "rte_eth_dev_(adjust_nb_rx_tx_desc|set_link_up|set_link_down|is_valid_port|socket_id|default_mac_addr_set)",
    "rte_eth_(macaddr_get|link_get_nowait|promiscuous_enable|allmulticast_enable|stats_get|stats_reset|find_next)",
    "rte_eth_(xstats_get|xstats_get_names|rx_queue_setup|tx_queue_setup|rx_burst|tx_burst|rx_intr_.*)",
    "rte_pktmbuf_(pool_create|pool_init|init|alloc|alloc_bulk|free|free_bulk|clone|copy|attach|detach|reset)",
    "rte_mbuf_dynflag_register_bitnum",
    "rte_mempool_(create_empty|set_ops_byname|populate_default|obj_iter|free|avail_count|in_use_count|cache_flush|default_cache)",
    "rte_openlog_stream",
    "rte_log_(set_global_level|cur_msg_loglevel|set_level_pattern)",
    "dpdk_.*",
    "fopencookie",
    "fclose",
    "setvbuf",
];

/// Structures that appear behind pointers of those functions, or that `dpdk` fills.
const TYPES: &[&str] = &[
    "rte_mbuf",
    "rte_mempool",
    "rte_eth_(conf|dev_info|link|stats|xstat|xstat_name|rxconf|txconf)",
    "rte_ether_addr",
    "rte_pktmbuf_pool_private",
];

/// Constants.
const VARS: &[&str] = &[
    "RTE_MBUF_F_.*",
    "RTE_PKTMBUF_HEADROOM",
    "RTE_MEMPOOL_F_NO_IOVA_CONTIG",
    "RTE_MAX_(ETHPORTS|LCORE|QUEUES_PER_PORT)",
    "RTE_ETH_(RX|TX)_OFFLOAD_.*",
    "RTE_ETH_(MQ|RSS|LINK|NAME_MAX|XSTATS_NAME|SPEED).*",
    "RTE_LOG_.*",
    "RTE_VER_.*",
    "_IOLBF",
];

/// Layouts that Rust cannot express (packed containing aligned) or that nobody looks into.
const OPAQUE: &[&str] = &[
    "rte_arp_.*",
    "rte_gtp_.*",
    "rte_device",
    "rte_devargs",
    "rte_mempool_(ops|memhdr|objhdr)",
    "rte_eth_dev_callback.*",
    "_IO_FILE",
];

/// The shared libraries behind the allow-list. Drivers are loaded by the EAL itself at run time.
const LIBRARIES: &[&str] = &[
    "rte_eal",
    "rte_ethdev",
    "rte_mbuf",
    "rte_mempool",
    "rte_ring",
    "rte_bus_vdev",
];

/// Flag constants are 64 bits wide in DPDK's structures; without this each would get the width of its value.
#[derive(Debug)]
struct Widths;

impl ParseCallbacks for Widths {
    fn int_macro(&self, name: &str, _value: i64) -> Option<IntKind> {
        let wide = name.contains("_OFFLOAD_")
            || name.starts_with("RTE_MBUF_F_")
            || name.starts_with("RTE_ETH_RSS_");
        wide.then_some(IntKind::U64)
    }
}

/// `pkg-config --cflags libdpdk`, raw: the `pkg-config` crate drops `-include rte_config.h` and `-march=`.
fn cflags() -> Vec<String> {
    let output = Command::new(env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into()))
        .args(["--cflags", "libdpdk"])
        .output()
        .expect("pkg-config does not run: apt-get install pkg-config");
    assert!(
        output.status.success(),
        "libdpdk not found: apt-get install libdpdk-dev"
    );
    let flags = String::from_utf8(output.stdout).expect("pkg-config prints UTF-8");
    flags.split_whitespace().map(String::from).collect()
}

fn main() {
    println!("cargo::rerun-if-changed=wrapper.h");
    println!("cargo::rerun-if-changed=build.rs");

    pkg_config::Config::new()
        .range_version(DPDK_VERSIONS)
        .cargo_metadata(false)
        .probe("libdpdk")
        .unwrap_or_else(|error| {
            panic!("DPDK {DPDK_VERSIONS:?} is needed (apt-get install libdpdk-dev): {error}")
        });
    let cflags = cflags();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));

    let mut builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(&cflags)
        .clang_arg("-DALLOW_EXPERIMENTAL_API")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .generate_cstr(true)
        .generate_comments(false)
        .use_core()
        .rust_edition(bindgen::RustEdition::Edition2024)
        .wrap_unsafe_ops(true)
        .derive_default(true)
        .wrap_static_fns(true)
        .wrap_static_fns_path(out.join("wrap.c"))
        // Without the fallback every constant written as RTE_BIT64() is missing.
        .clang_macro_fallback()
        .clang_macro_fallback_build_dir(&out)
        .parse_callbacks(Box::new(Widths));
    builder = FUNCTIONS
        .iter()
        .fold(builder, |b, name| b.allowlist_function(name));
    builder = TYPES.iter().fold(builder, |b, name| b.allowlist_type(name));
    builder = VARS.iter().fold(builder, |b, name| b.allowlist_var(name));
    builder = OPAQUE.iter().fold(builder, |b, name| b.opaque_type(name));
    builder
        .generate()
        .expect("bindgen fails: apt-get install libclang-dev clang")
        .write_to_file(out.join("bindings.rs"))
        .expect("OUT_DIR is writable");

    let mut wrap = cc::Build::new();
    wrap.file(out.join("wrap.c"))
        .include(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    cflags.iter().for_each(|flag| {
        wrap.flag(flag);
    });
    wrap.define("ALLOW_EXPERIMENTAL_API", None)
        .opt_level(2)
        .warnings(false)
        .flag("-w")
        .compile("dpdk_wrap");

    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}
