/* What the bindings are made from: the DPDK headers of the allow-list in build.rs,
 * and the few macros that are not functions, as static inlines (bindgen wraps those). */
#define _GNU_SOURCE
#include <stdio.h>

#include <rte_config.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* rte_errno is a per-lcore macro. */
static inline int dpdk_errno(void)
{
	return rte_errno;
}
