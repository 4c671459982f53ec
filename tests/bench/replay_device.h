/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that come again and again: what DPDK's pcap driver does with infinite_rx=1, step by step:
 * each reception allocates a buffer and copies the frame into it from a ring of them, each
 * transmission frees it. Programs that are given the same frames by that driver have the same work
 * to do around what is measured. (The driver itself wants room in the mbuf that the daemon has
 * uses for.)
 */
#pragma once

#include "packet/engine/pool.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_ring.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REPLAY_FRAME_MAX 1664

struct replay_frame {
	uint16_t size;
	uint8_t bytes[REPLAY_FRAME_MAX];
};

static inline int replay_write(const char *path, const struct replay_frame *frames, uint32_t count)
{
	pcap_t *kind = pcap_open_dead(DLT_EN10MB, REPLAY_FRAME_MAX);
	pcap_dumper_t *file = kind ? pcap_dump_open(kind, path) : NULL;
	int status = -EIO;

	for (uint32_t i = 0; file && i < count; i++) {
		struct pcap_pkthdr header = {.caplen = frames[i].size, .len = frames[i].size};

		pcap_dump((unsigned char *)file, &header, frames[i].bytes);
	}
	if (file) {
		status = pcap_dump_flush(file) == 0 ? 0 : -EIO;
		pcap_dump_close(file);
	}
	if (kind)
		pcap_close(kind);
	return status;
}

/* NULL: no memory. Of a power of two more than count frames. */
static inline struct rte_ring *replay_open(const struct replay_frame *frames, uint32_t count)
{
	struct rte_ring *ring = rte_ring_create(
		"replay", rte_align32pow2(count + 1), SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);

	for (uint32_t i = 0; ring && i < count; i++) {
		struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);

		if (!packet)
			return NULL;
		memcpy(rte_pktmbuf_append(packet, frames[i].size), frames[i].bytes, frames[i].size);
		rte_ring_enqueue(ring, packet);
	}
	return ring;
}

static inline uint16_t replay_rx_burst(
	struct rte_ring *ring, struct rte_mbuf **packets, uint16_t count)
{
	if (rte_pktmbuf_alloc_bulk(packet_pool, packets, count) != 0)
		return 0;
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *frame = NULL, *packet = packets[i];

		if (rte_ring_dequeue(ring, (void **)&frame) != 0)
			return i;
		rte_memcpy(rte_pktmbuf_mtod(packet, void *), rte_pktmbuf_mtod(frame, void *),
			frame->data_len);
		packet->data_len = frame->data_len;
		packet->pkt_len = frame->pkt_len;
		rte_ring_enqueue(ring, frame);
	}
	return count;
}

static inline void replay_tx_burst(struct rte_mbuf **packets, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		rte_pktmbuf_free(packets[i]);
}

/* Of this thread: what else the machine does is not counted. */
static inline double replay_cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
