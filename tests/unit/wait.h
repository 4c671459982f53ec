/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting in tests: for what must come true, never for a time that should be enough for it. The
 * bound is far beyond what a loaded machine needs, and below the time limit of a test. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <unistd.h>

#define WAIT_BOUND_NS (25 * CLOCK_NS_PER_S)
#define WAIT_STEP_US  500

/* Whether to look once more. */
static inline bool wait_step(uint64_t end_ns)
{
	usleep(WAIT_STEP_US);
	return clock_monotonic_ns() < end_ns;
}

/* Evaluates condition again and again: it may do a step, as in (uv_run(...), is_done). */
#define assert_becomes(condition)                                                                  \
	do {                                                                                       \
		uint64_t wait_end_ns = clock_monotonic_ns() + WAIT_BOUND_NS;                       \
		while (!(condition))                                                               \
			if (!wait_step(wait_end_ns))                                               \
				fail_msg("never came true: %s", #condition);                       \
	} while (0)
