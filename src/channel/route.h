/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A channel that stands: the way of messages from a sender's ring to a receiver's, one copy each.
 * The copy is the boundary: what is checked is what was read once, and what the receiver gets lies
 * where the sender cannot write. Each message is stamped with ids and key of the sender's row and
 * verified against the receiver's before it is copied (C5).
 *
 * Belongs to the lane that it was added to (lane.h), and to the control thread before and after;
 * counters are written by the lane and read by the control thread, relaxed.
 */
#pragma once

#include "channel/attach_protocol.h"
#include "channel/key_table.h"
#include "channel/lane_member.h"
#include "channel/ring.h"

#include <stdbool.h>
#include <stdint.h>

/* What is moved for one route before the others of the lane get their turn. */
#define ROUTE_BATCH       64            /* messages */
#define ROUTE_BATCH_BYTES (1024 * 1024) /* and the message that goes beyond */

/* One end as the route sees it. */
struct route_end {
	uint32_t key_slot;
	int wake; /* pipe whose other end wakes the process; its flags are ours alone */
};

struct route_counts {
	uint64_t messages, bytes; /* delivered */
	uint64_t forged;          /* whose stamp was not what the receiver's row says: dropped */
	uint64_t wakes;           /* of either process */
};

struct route {
	struct lane_member member; /* its bells are those that the processes ring: never read, since
				    * their flags are not ours alone */
	/* Set before it is added to a lane. */
	const struct key_table *keys;
	struct route_end sender, receiver;
	uint32_t message_max;
	uint64_t interval_ns; /* between messages, on average; 0: no limit. Control, any time */

	/* The lane's. */
	struct ring_consumer from;
	struct ring_producer to;
	uint64_t blocked_size; /* of the message that finds no room; 0: none waits */
	struct route_counts counts;

	uint32_t failure; /* enum attach_reason, by the lane: it moves nothing any more */
};

/* What a lane does with a route. */
extern const struct lane_ops route_ops;

/* Moves a batch; LANE_FAILED: one end broke its ring, and failure says which. scratch is in secret
 * memory. Never blocks, never allocates. */
enum lane_result route_move(struct route *route, struct stamp *scratch, uint64_t now_ns);
/* Says in both rings that the lane will sleep. false: there is something to do, it must not. */
bool route_arm(struct route *route);
void route_disarm(struct route *route);
/* Tells a process in its ring why it is over, and wakes it. */
void route_end(const struct ring_view *view, int wake, enum attach_reason reason);
/* Wakes a process; never blocks. */
void route_wake(int wake);
