/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/event_lane.h"

#include "base/clock.h"
#include "packet/inspect/eve.h"

#include <rte_common.h>

/* What waits at most, and what may come in a second, of one worker. */
static const struct {
	uint32_t room, rate;
} limits[EVENT_LANE_COUNT] = {
	[EVENT_LANE_ALERTS] = {4096, 2000},
	[EVENT_LANE_ANOMALIES] = {1024, 100},
	[EVENT_LANE_FLOWS] = {4096, 2000},
};

bool event_lane_open(struct event_lane *lane, enum event_lane_kind kind, uint64_t now_ns)
{
	*lane = (struct event_lane){
		.ring = event_ring_create(limits[kind].room, sizeof(struct eve_record)),
		.rate = limits[kind].rate,
		.tokens = limits[kind].rate,
		.earned_at_ns = now_ns};
	return lane->ring;
}

void event_lane_close(struct event_lane *lane)
{
	const struct eve_record *record;

	while (lane->ring && (record = event_ring_peek(lane->ring))) {
		eve_release(record);
		event_ring_release(lane->ring);
	}
	event_ring_destroy(lane->ring);
	lane->ring = NULL;
}

void event_lane_refill(struct event_lane *lane)
{
	lane->tokens = lane->rate;
}

struct eve_record *event_lane_reserve(struct event_lane *lane, uint64_t now_ns)
{
	uint64_t elapsed_ns = RTE_MIN(now_ns - lane->earned_at_ns, (uint64_t)CLOCK_NS_PER_S);
	uint64_t earned = elapsed_ns * lane->rate / CLOCK_NS_PER_S;

	if (earned > 0) {
		lane->tokens = RTE_MIN(lane->tokens + earned, (uint64_t)lane->rate);
		/* The part of a token that is left counts for the next one. */
		lane->earned_at_ns = now_ns - elapsed_ns + earned * CLOCK_NS_PER_S / lane->rate;
	}
	if (lane->tokens == 0) {
		/* Relaxed: a statistic; partner is event_lane_lost(). */
		__atomic_store_n(&lane->suppressed, lane->suppressed + 1, __ATOMIC_RELAXED);
		return NULL;
	}
	lane->tokens--;
	return event_ring_reserve(lane->ring);
}

uint64_t event_lane_lost(const struct event_lane *lane)
{
	return event_ring_lost(lane->ring) + __atomic_load_n(&lane->suppressed, __ATOMIC_RELAXED);
}
