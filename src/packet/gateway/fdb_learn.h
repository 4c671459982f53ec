/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Learning (IEEE 802.1Q 8.7): a worker compares each frame's source address with the forwarding
 * table and reports news to the control thread through a ring of its own. A small cache of what was
 * found lately, one per worker, makes a known address cost one compare; it is void when the table's
 * epoch changes. fdb_control.c takes the reports and decides.
 */
#pragma once

#include "packet/engine/worker.h"
#include "packet/gateway/fdb_table.h"

#include <rte_ring.h>
#include <rte_ring_elem.h>

#define FDB_CACHE_SIZE 4096 /* entries; a power of two */
#define FDB_RING_SIZE  8192

/* What a frame's source address is to the table. */
enum fdb_source {
	FDB_SOURCE_KNOWN,  /* as it is there */
	FDB_SOURCE_NEWS,   /* to be reported: new, moved here, or seen long ago */
	FDB_SOURCE_STATIC, /* the configuration says that it is behind another port */
	FDB_SOURCE_PINNED, /* moved too often; another port has it for now */
	FDB_SOURCE_LIMIT,  /* new, and the port has as many addresses as it may */
};

struct fdb_report {
	uint64_t key;
	uint16_t port, port_generation;
	uint32_t reserved;
};
static_assert(sizeof(struct fdb_report) == 16, "ring elements");

struct fdb_cached {
	uint64_t key;
	uint32_t epoch;
	uint16_t port, port_generation;
};

/* Writer and reader: its worker; the ring's consumer is the control thread. */
struct fdb_learner {
	struct fdb_cached cache[FDB_CACHE_SIZE];
	struct rte_ring *ring; /* of struct fdb_report; single producer and consumer */
	uint64_t lost;         /* reports for which the ring had no room; read relaxed */
} __rte_cache_aligned;

extern struct fdb_learner fdb_learners[WORKERS_MAX];

static inline struct fdb_cached *fdb_cache_slot(struct fdb_learner *learner, uint64_t key)
{
	/* Any multiplier does: collisions cost a look-up only. */
	return &learner->cache[key * 0x9e3779b97f4a7c15ULL >> 52];
}
static_assert(FDB_CACHE_SIZE == 1 << (64 - 52), "shift above");

static inline bool fdb_is_cached(struct fdb_learner *learner, uint64_t key, uint16_t port,
	uint16_t port_generation, uint32_t epoch)
{
	const struct fdb_cached *cached = fdb_cache_slot(learner, key);

	return cached->key == key && cached->epoch == epoch && cached->port == port
		&& cached->port_generation == port_generation;
}

static inline void fdb_cache(struct fdb_learner *learner, uint64_t key, uint16_t port,
	uint16_t port_generation, uint32_t epoch)
{
	*fdb_cache_slot(learner, key) = (struct fdb_cached){key, epoch, port, port_generation};
}

/* Compares a source that is not cached with the table; what is known is then cached. Worker. */
enum fdb_source fdb_check_source(struct fdb_learner *learner, const struct fdb_table *table,
	uint64_t key, uint16_t port, uint16_t port_generation, uint32_t epoch, bool is_port_full);

/* Reports news, once an epoch. Worker. */
void fdb_report(struct fdb_learner *learner, uint64_t key, uint16_t port, uint16_t port_generation,
	uint32_t epoch);
