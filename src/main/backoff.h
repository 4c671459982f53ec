/* SPDX-License-Identifier: BSD-3-Clause */
/* How long to wait before a role is started again. Pure; times in ms of any monotonic clock. */
#pragma once

#include <stdint.h>

/* The first restart is at once for those who look, and a role that dies at each start costs little;
 * one that ran for BACKOFF_STABLE_MS is believed to be well again. */
#define BACKOFF_FIRST_MS  20
#define BACKOFF_MAX_MS    10000
#define BACKOFF_STABLE_MS 30000

struct backoff {
	uint32_t next_ms; /* 0: BACKOFF_FIRST_MS */
};

/* The role ended after running for ran_ms: returns how long to wait. */
uint32_t backoff_next(struct backoff *backoff, uint64_t ran_ms);
