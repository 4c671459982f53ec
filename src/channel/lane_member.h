/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a lane (lane.h) gives turns to: a route between two processes, a link to another host, or
 * an end of a channel whose other end is there. All members that share state are on one lane.
 */
#pragma once

#include "channel/key_table.h"

#include <stdbool.h>
#include <stdint.h>

/* Messages of so long may come at once, whatever the rate. */
#define LANE_BURST_NS 10000000ULL

enum lane_result {
	LANE_IDLE,      /* nothing to move */
	LANE_MOVED,     /* at least one message */
	LANE_BLOCKED,   /* there is something, and no room for it */
	LANE_THROTTLED, /* the rate is used up until due_ns - LANE_BURST_NS */
	LANE_FAILED,    /* it moves nothing any more */
};

struct lane;
struct lane_member;

/* All on the lane's thread. None blocks or allocates; scratch is in secret memory. */
struct lane_ops {
	/* A batch. */
	enum lane_result (*move)(
		struct lane_member *member, struct stamp *scratch, uint64_t now_ns);
	/* The lane will not look again before a bell. false: there is something to do. */
	bool (*arm)(struct lane_member *member);
	void (*disarm)(struct lane_member *member);
	/* What was there when it began, at the member's end; NULL: nothing. */
	void (*move_rest)(struct lane_member *member, struct stamp *scratch, uint64_t now_ns);
};

#define LANE_BELLS_MAX 2

struct lane_member {
	/* Set before it is added to a lane. */
	const struct lane_ops *ops;
	int bells[LANE_BELLS_MAX]; /* descriptors that wake it, edge-triggered; -1: none */
	uint32_t bell_events;      /* of epoll(7) */

	/* The lane's. */
	struct lane *lane;      /* that it is on */
	uint64_t due_ns;        /* of a rate: when the next message would come at exactly that */
	uint64_t idle_since_ns; /* 0: not idle */
	bool is_active;         /* in the lane's list */
	bool has_failed;
};

/* Of a rate of one message each interval_ns (0: no limit). */
static inline bool lane_member_is_throttled(
	const struct lane_member *member, uint64_t interval_ns, uint64_t now_ns)
{
	return interval_ns != 0 && member->due_ns > now_ns + LANE_BURST_NS;
}

static inline void lane_member_count_rate(
	struct lane_member *member, uint64_t interval_ns, uint64_t now_ns)
{
	if (interval_ns)
		member->due_ns = (member->due_ns > now_ns ? member->due_ns : now_ns) + interval_ns;
}
