/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters behind the drop node: by reason, and by ingress port and reason. Each worker writes its
 * own; the control thread sums them up.
 */
#pragma once

#include "packet/engine/drop.h"
#include "packet/engine/worker.h"

#define DROP_PORTS_MAX 4096 /* = PORTS_MAX; the engine does not include port.h */

struct drop_counters {
	uint64_t by_reason[DROP_REASON_COUNT];
	uint64_t by_port[DROP_PORTS_MAX][DROP_REASON_COUNT];
};
extern struct drop_counters *drop_counters[WORKERS_MAX];

/* Control thread; before the workers, and after them. */
int drop_open(uint16_t worker_count);
void drop_close(void);

/* Control thread: packets dropped since the start. */
uint64_t drop_count(enum drop_reason reason);
/* Control thread: of those that came in through the port, since drop_forget_port(). */
uint64_t drop_count_of_port(uint16_t port, enum drop_reason reason);
/* Control thread: the index gets a new port. */
void drop_forget_port(uint16_t port);

/* Worker: for packets that do not go through the drop node (a full egress queue). */
static inline void drop_note(uint16_t ingress_port, enum drop_reason reason, uint64_t count)
{
	struct drop_counters *counters = drop_counters[worker_index];

	/* Relaxed stores of its own counters; partner is drop_count(). */
	__atomic_store_n(&counters->by_reason[reason], counters->by_reason[reason] + count,
		__ATOMIC_RELAXED);
	if (ingress_port < DROP_PORTS_MAX)
		__atomic_store_n(&counters->by_port[ingress_port][reason],
			counters->by_port[ingress_port][reason] + count, __ATOMIC_RELAXED);
}
