/* Load and its latency: sends frames of 8,000 flows by one device at given rates, receives them by another, and prints as
 * JSON how long they took. Made by latency.py; no part of the switch, so that it is of DPDK's own language.
 *
 * Each frame carries the time stamp counter of its sending. While the generator itself does not run (its core has other
 * threads), what is under way waits for it and not for the switch: such frames are counted and left out. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

enum { FLOWS = 8000, SIZE = 60, STAMP_AT = 44, BURST = 32, DESCRIPTORS = 1024 };
enum { STEP_NS = 20, STEPS = 1 << 20 }; /* the histogram goes to 21 ms */
enum { PAUSE_NS = 10000 };              /* a loop that takes longer was interrupted */

static uint8_t frames[FLOWS][SIZE];
static uint32_t histogram[STEPS];

static void make_frames(void)
{
    static const uint8_t head[38] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, SIZE - 14, 0, 0, 0, 0, 64, 17,
                                     0, 0, 172, 16, 0, 1, 10, 0, 0, 5, 0, 0, 0, 53};
    for (unsigned n = 0; n < FLOWS; n++) {
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)&frames[n][14];
        memcpy(frames[n], head, sizeof head);
        frames[n][32] = (uint8_t)n;
        frames[n][34] = (1024 + n) >> 8, frames[n][35] = (uint8_t)(1024 + n);
        frames[n][39] = SIZE - 34;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
    }
}

static void start(uint16_t port, unsigned rx, struct rte_mempool *pool)
{
    struct rte_eth_conf conf = {0};
    int bad = rte_eth_dev_configure(port, rx, 1, &conf);
    for (unsigned queue = 0; queue < rx && !bad; queue++)
        bad = rte_eth_rx_queue_setup(port, queue, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool);
    if (bad || rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(port))
        rte_exit(1, "port %u does not start\n", port);
}

static int is_up(uint16_t port)
{
    struct rte_eth_link link = {0};
    return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status;
}

/* The latency that this share of the frames did not exceed, in microseconds. */
static double percentile(uint64_t count, double share)
{
    uint64_t seen = 0;
    for (unsigned step = 0; step < STEPS; step++)
        if ((seen += histogram[step]) >= share * count)
            return (step + 1) * STEP_NS / 1e3;
    return STEPS * STEP_NS / 1e3;
}

struct counts {
    uint64_t sent, refused, received, measured, left_out, skipped;
};

static void receive(struct counts *counts, unsigned rings, uint64_t measured_from, uint64_t resumed, uint64_t hz)
{
    struct rte_mbuf *mbufs[BURST];
    for (unsigned queue = 0; queue < rings; queue++) {
        uint16_t len = rte_eth_rx_burst(1, queue, mbufs, BURST);
        uint64_t now = rte_rdtsc();
        for (uint16_t i = 0; i < len; i++) {
            uint64_t stamp;
            memcpy(&stamp, rte_pktmbuf_mtod_offset(mbufs[i], uint8_t *, STAMP_AT), sizeof stamp);
            counts->received += now >= measured_from;
            if (stamp < measured_from)
                continue;
            if (stamp < resumed) {
                counts->left_out++;
                continue;
            }
            uint64_t step = (now - stamp) * 1000000000 / hz / STEP_NS;
            histogram[step < STEPS ? step : STEPS - 1]++;
            counts->measured++;
        }
        rte_pktmbuf_free_bulk(mbufs, len);
    }
}

static void transmit(struct counts *counts, struct rte_mempool *pool, unsigned len)
{
    static unsigned flow;
    struct rte_mbuf *mbufs[BURST];
    if (rte_pktmbuf_alloc_bulk(pool, mbufs, len))
        return;
    uint64_t now = rte_rdtsc();
    for (unsigned i = 0; i < len; i++) {
        uint8_t *data = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
        memcpy(data, frames[flow], SIZE);
        memcpy(data + STAMP_AT, &now, sizeof now);
        mbufs[i]->data_len = mbufs[i]->pkt_len = SIZE;
        flow = flow + 1 < FLOWS ? flow + 1 : 0;
    }
    unsigned done = rte_eth_tx_burst(0, 0, mbufs, len);
    rte_pktmbuf_free_bulk(mbufs + done, len - done);
    counts->sent += done;
    counts->refused += len - done;
}

/* `rate` frames a second for so many seconds, after one more that is not measured; 0: as many as there is room for. Returns
 * how many came back in a second. */
static double run(struct rte_mempool *pool, unsigned rings, double rate, double seconds)
{
    uint64_t hz = rte_get_tsc_hz(), began = rte_rdtsc(), measured_from = began + hz, last = began, resumed = 0;
    uint64_t end = measured_from + (uint64_t)(seconds * hz), pause = hz / 1000000000.0 * PAUSE_NS;
    double per_tick = rate / hz, due = 0;
    struct counts counts = {0}, before = {0};
    memset(histogram, 0, sizeof histogram);
    for (uint64_t now = began; now < end; now = rte_rdtsc()) {
        if (now >= measured_from && !before.sent)
            before = counts;
        if (now - last > pause) {
            resumed = now;
            counts.skipped++;
        } else {
            due += (now - last) * per_tick;
        }
        last = now;
        unsigned len = rate == 0 || due > BURST ? BURST : (unsigned)due;
        if (len) {
            transmit(&counts, pool, len);
            due = due > 8 * BURST ? 0 : due - len;
        }
        receive(&counts, rings, measured_from, resumed, hz);
    }
    printf("{\"sent_pps\": %.0f, \"refused\": %lu, \"received_pps\": %.0f, \"left_out\": %.6f, \"pauses\": %lu,"
           " \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f}\n",
           (counts.sent - before.sent) / seconds, counts.refused - before.refused, counts.received / seconds,
           (double)counts.left_out / (counts.left_out + counts.measured + 1), counts.skipped,
           percentile(counts.measured, 0.5), percentile(counts.measured, 0.99), percentile(counts.measured, 0.999));
    return counts.received / seconds;
}

int main(int argc, char **argv)
{
    int used = rte_eal_init(argc, argv);
    if (used < 0 || argc - used < 4 || rte_eth_dev_count_avail() != 2)
        rte_exit(1, "wanted: EAL options with two devices -- RINGS SECONDS RATE|half...\n");
    struct rte_mempool *pool = rte_pktmbuf_pool_create("probe", 32767, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!pool)
        rte_exit(1, "no memory\n");
    make_frames();
    start(0, 1, pool);
    start(1, atoi(argv[used + 1]), pool);
    for (int tries = 0; !is_up(0) || !is_up(1); tries++) {
        if (tries == 200)
            rte_exit(1, "no link\n");
        rte_delay_us_sleep(50000);
    }
    double seconds = atof(argv[used + 2]), most = 0;
    for (int at = used + 3; at < argc; at++) {
        double rate = strcmp(argv[at], "half") ? atof(argv[at]) : most / 2;
        double received = run(pool, atoi(argv[used + 1]), rate, seconds);
        most = most ? most : received;
    }
    return 0;
}
