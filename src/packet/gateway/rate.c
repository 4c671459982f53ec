/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/rate.h"

void rate_set(struct rate *rate, uint64_t amount_per_s, uint64_t burst_amount, uint64_t tsc_hz)
{
	unsigned __int128 unit = (unsigned __int128)tsc_hz << (RATE_TIME_SHIFT + RATE_COST_SHIFT);
	uint64_t cost = amount_per_s ? (uint64_t)(unit / amount_per_s) : 0;
	unsigned __int128 burst = (unsigned __int128)cost * burst_amount >> RATE_COST_SHIFT;

	__atomic_store_n(&rate->burst, (uint64_t)burst, __ATOMIC_RELAXED);
	__atomic_store_n(&rate->cost, cost, __ATOMIC_RELAXED);
}
