/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of one worker for the control thread (I9). Each kind has a lane of its own, with its own
 * room and its own rate, so that many of one kind displace none of another. What is beyond is
 * counted.
 */
#pragma once

#include "packet/inspect/event_ring.h"

#include <stdbool.h>

enum event_lane_kind {
	EVENT_LANE_ALERTS, /* and drops */
	EVENT_LANE_ANOMALIES,
	EVENT_LANE_FLOWS,
	EVENT_LANE_COUNT,
};

struct eve_record;

struct event_lane {
	struct event_ring *ring; /* of struct eve_record; read by the control thread */
	/* The worker's own. */
	uint32_t rate;
	uint64_t tokens, earned_at_ns;
	uint64_t suppressed; /* beyond the rate; read relaxed by the control thread */
};

/* false: no memory. Control thread, before the worker has it. */
bool event_lane_open(struct event_lane *lane, enum event_lane_kind kind, uint64_t now_ns);
/* With what is in it; also one that was not opened, but zeroed. */
void event_lane_close(struct event_lane *lane);

/* A record to fill, then event_ring_commit(); NULL: none, which is counted. Worker. */
struct eve_record *event_lane_reserve(struct event_lane *lane, uint64_t now_ns);
/* As if no event had been told for a second. */
void event_lane_refill(struct event_lane *lane);

/* Events that were not told. Any thread. */
uint64_t event_lane_lost(const struct event_lane *lane);
