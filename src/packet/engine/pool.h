/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet buffers. One pool for all ports, with segments of POOL_DATA_SIZE bytes: a frame of
 * ordinary size is one segment, a jumbo frame (9000) five, a guest's TSO frame (64 KB) 32. Larger
 * segments would waste memory on the many small packets, and their chains must work anyway, since
 * guests choose their own buffers.
 */
#pragma once

#include "base/error.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <stdint.h>

#define POOL_DATA_SIZE 2048 /* behind RTE_PKTMBUF_HEADROOM */

/* NULL before pool_open(). Any thread that is registered with EAL allocates from it. */
extern struct rte_mempool *packet_pool;

/* Control thread. memory_bytes is what EAL got; the pool takes POOL_SHARE of it. */
int pool_open(uint64_t memory_bytes, struct error *error);
void pool_close(void);

/* Another pool of the same kind; NULL with rte_errno. Freed with rte_mempool_free(). */
struct rte_mempool *pool_create(const char *name, uint32_t count);

/* Of a chain, POOL_CONTIGUOUS_SIZE bytes at least in one piece: headers of a packet and of the one
 * inside of it, as who takes the outer ones off needs them. Maybe another packet; NULL: no memory,
 * and the packet is still the caller's. Worker. */
#define POOL_CONTIGUOUS_SIZE 512
struct rte_mbuf *pool_gather(struct rte_mbuf *packet);

/* Appends bytes to a packet, in as many buffers of packet_pool as they need; *last is its last
 * segment, and moves along. -ENOMEM: a part of them was appended. Worker. */
int pool_append(
	struct rte_mbuf *packet, struct rte_mbuf **last, const uint8_t *bytes, uint32_t size);
