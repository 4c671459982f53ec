/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane: one thread of the connection management mechanism, which moves the messages of its
 * routes. Routes with traffic are looked at in turn; one that was idle for poll_ns is put to sleep
 * and woken by its processes' eventfds; a lane without others sleeps in the kernel. Functions here
 * are the control thread's; each stops the lane between two rounds, which is a bounded time.
 */
#pragma once

#include "base/error.h"
#include "channel/route.h"

#include <stdint.h>

struct lane;

struct lane_counts {
	uint64_t rounds; /* over all its routes */
	uint64_t sleeps; /* in the kernel */
	uint32_t routes;
};

/* core -1: not pinned; one that is not there is an error. failed runs on the lane's thread when a
 * route has failed (route->failure); it may do no more than wake the control thread. */
int lane_start(int core, uint64_t poll_ns, void (*failed)(void *context), void *context,
	struct lane **out, struct error *error);
/* Its routes stay as they are, without a lane. NULL is allowed. */
void lane_stop(struct lane *lane);
/* The route is the lane's from then on. */
int lane_add(struct lane *lane, struct route *route);
/* The route is the caller's again, and nothing of it moves any more. with_rest: what the sender
 * has published goes before, as far as the receiver's ring takes it. */
void lane_remove(struct lane *lane, struct route *route, bool with_rest);
void lane_count(const struct lane *lane, struct lane_counts *out);
