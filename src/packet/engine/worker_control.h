/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers as the engine's control side sees them. Control thread. */
#pragma once

#include "base/error.h"
#include "packet/engine/worker.h"

#include <stdint.h>
#include <uv.h>

#define WORKER_NO_CORE (-1)

struct graph;

struct workers_config {
	uint16_t count;
	int cores[WORKERS_MAX]; /* WORKER_NO_CORE: any */
	uint32_t nap_max_us;
};

/* Of one worker since its start. */
struct worker_statistics {
	int core;
	uint64_t walks, packets, busy_cycles, naps, nap_ns;
};

/* Starts the threads; each stands by until it gets a graph. publish_open() was called. */
int workers_start(uv_loop_t *loop, const struct workers_config *config, struct error *error);
/* Ends and joins them. Their graphs are the caller's again. */
void workers_stop(void);

/* Bound of a nap, live. */
void workers_set_nap_max(uint32_t nap_max_us);

/* Swaps the worker's graph between two walks; returns the old one, which the worker may be walking
 * until the end of a grace period. */
struct graph *worker_swap_graph(uint16_t index, struct graph *graph);

void worker_read_statistics(uint16_t index, struct worker_statistics *out);
