/* SPDX-License-Identifier: BSD-3-Clause */
/* Time. Monotonic nanoseconds for intervals, wall time for what people and files see. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CLOCK_NS_PER_US 1000ULL
#define CLOCK_NS_PER_MS 1000000ULL
#define CLOCK_NS_PER_S  1000000000ULL

uint64_t clock_monotonic_ns(void);
uint64_t clock_wall_ns(void);

/* From then to now; 0 where then is later: another thread has read the clock after the caller. */
static inline uint64_t clock_elapsed_ns(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* RFC 3339 with microseconds and zone as in EVE ("2026-01-02T03:04:05.678901+0000"). */
#define CLOCK_TEXT_SIZE 40
void clock_format(uint64_t wall_ns, char out[CLOCK_TEXT_SIZE]);
