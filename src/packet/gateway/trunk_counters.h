/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What went through each trunk adapter (G2): from its partitions into the gateway, and back.
 * Writer: each worker its own; the control thread sums up.
 */
#pragma once

#include "packet/engine/worker.h"
#include "packet/gateway/vlan_table.h"

struct trunk_counters {
	uint64_t from_packets, from_bytes; /* partitions -> gateway */
	uint64_t to_packets, to_bytes;     /* gateway -> partitions */
};
extern struct trunk_counters trunk_counters[WORKERS_MAX][TRUNKS_MAX];

/* Relaxed stores of the worker's own; partner is trunk_counters_sum(). */
static inline void trunk_count_from(uint8_t trunk, uint32_t bytes)
{
	struct trunk_counters *counters = &trunk_counters[worker_index][trunk];

	__atomic_store_n(&counters->from_packets, counters->from_packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&counters->from_bytes, counters->from_bytes + bytes, __ATOMIC_RELAXED);
}

static inline void trunk_count_to(uint8_t trunk, uint32_t bytes)
{
	struct trunk_counters *counters = &trunk_counters[worker_index][trunk];

	__atomic_store_n(&counters->to_packets, counters->to_packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&counters->to_bytes, counters->to_bytes + bytes, __ATOMIC_RELAXED);
}

/* Control thread. */
struct trunk_counters trunk_counters_sum(uint8_t trunk);
