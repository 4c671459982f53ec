/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits of bytes or packets per second (G8 storm limits, G9 rates): the generic cell rate
 * algorithm (ITU-T I.371), a token bucket whose whole state is one 64-bit time. So several workers
 * can share a limit with one compare-and-swap; rte_meter's state of three words would need a lock.
 *
 * Traffic of the upper priorities (4 to 7) may use the whole burst, that of the lower ones three
 * quarters of it: when both compete for a port, the upper ones find tokens left.
 *
 * A packet passes whole as long as there are tokens at all, and the bucket may owe what it lacks:
 * packets after it wait for the debt. A super-frame of 64 kB that had to find all of its tokens
 * would be lost whole, and TCP with it (docs/decisions/0004).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RATE_TIME_SHIFT     4    /* a unit of time is a 16th of a TSC cycle */
#define RATE_COST_SHIFT     10   /* the cost is told for 1,024 bytes or packets */
#define RATE_PRIORITY_UPPER 4    /* IEEE 802.1Q table I-2: video and above */
#define RATE_PACKET         1024 /* amount of one packet */

struct rate {
	/* Writer: control thread. Readers: workers, relaxed. */
	uint64_t cost;  /* time units per 1,024; 0: no limit */
	uint64_t burst; /* time units */
	/* Workers: when the bucket will be full again, in time units. */
	uint64_t full_at;
};

/* amount_per_s: bytes; or packets * RATE_PACKET; 0: no limit. Control thread; tsc_hz from
 * rte_get_tsc_hz(). The tokens in the bucket survive a change. */
void rate_set(struct rate *rate, uint64_t amount_per_s, uint64_t burst_amount, uint64_t tsc_hz);

/* False: the limit is reached. Worker. */
static inline bool rate_take(struct rate *rate, uint64_t tsc, uint32_t amount, uint8_t priority)
{
	uint64_t cost = __atomic_load_n(&rate->cost, __ATOMIC_RELAXED);
	uint64_t now = tsc << RATE_TIME_SHIFT;
	uint64_t limit, seen, next;

	if (__builtin_expect(!cost, 1))
		return true;
	cost = cost * amount >> RATE_COST_SHIFT;
	limit = __atomic_load_n(&rate->burst, __ATOMIC_RELAXED);
	if (priority < RATE_PRIORITY_UPPER)
		limit -= limit / 4;
	seen = __atomic_load_n(&rate->full_at, __ATOMIC_RELAXED);
	do {
		if (seen > now && seen - now >= limit)
			return false;
		next = (seen > now ? seen : now) + cost;
	} while (!__atomic_compare_exchange_n(
		&rate->full_at, &seen, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}
