/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/backoff.h"

uint32_t backoff_next(struct backoff *backoff, uint64_t ran_ms)
{
	uint32_t wait_ms = backoff->next_ms;

	if (wait_ms == 0 || ran_ms >= BACKOFF_STABLE_MS)
		wait_ms = BACKOFF_FIRST_MS;
	backoff->next_ms = wait_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait_ms * 2;
	return wait_ms;
}
