/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers: threads registered with EAL that walk one rte_graph each, nap when there is nothing to
 * do, and report a quiescent state after each walk (publish.h). Worker index 0..WORKERS_MAX-1.
 */
#pragma once

#include <rte_common.h>
#include <stdbool.h>
#include <stdint.h>

#define WORKERS_MAX 16

/* Index of the calling worker; WORKERS_MAX on other threads. */
extern __thread uint16_t worker_index;

/* Tells the control thread that a ring to it has work. Costs a flag; the worker's loop makes the
 * system call between two walks. Worker threads. */
void worker_notify_control(void);

/* Ends the nap of another worker, between two walks, because a ring to it has packets. Costs a
 * flag. Worker threads. */
void worker_wake(uint16_t index);

/* Adds a handler that the control thread runs, some time after worker_notify_control(): it drains
 * the caller's rings. Control thread, at start. */
int worker_add_control_handler(void (*handle)(void *context), void *context);

uint16_t worker_count(void);

/*
 * Lets arrivals on fd be known to a worker, also while it naps: for devices with a descriptor (TAP,
 * packet socket, AF_XDP). Edge-triggered. Closing fd removes it, if it was not duplicated. Control
 * thread.
 */
int worker_watch(uint16_t index, int fd);
void worker_unwatch(uint16_t index, int fd);

/*
 * Which watched descriptors have something, as the calling worker knows: so that a system call is
 * spent on those that do, however many there are. One that was drained is ready again when
 * something arrives; any other one is ready. Worker threads.
 */
struct worker_readiness {
	int count; /* of descriptors that there are bits for; 0: all are ready */
	uint64_t *drained;
};
extern __thread struct worker_readiness worker_readiness;

static inline bool worker_is_ready(int fd)
{
	return fd >= worker_readiness.count
		|| !(worker_readiness.drained[fd / 64] >> (fd % 64) & 1);
}

static inline void worker_set_drained(int fd)
{
	if (fd < worker_readiness.count)
		worker_readiness.drained[fd / 64] |= 1ULL << (fd % 64);
}
