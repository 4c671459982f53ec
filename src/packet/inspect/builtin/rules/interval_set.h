/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of numbers as sorted, disjoint ranges: addresses (128 bits; IPv4 as ::ffff:a.b.c.d) and
 * ports. Built on the control side, read by workers by binary search.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 interval_number;

struct interval {
	interval_number first, last; /* both belong to it */
};

struct interval_set {
	struct interval *intervals;
	size_t count, capacity;
};

/* A list longer than this is refused, so that a rule file cannot take all memory. */
#define INTERVAL_SET_MAX ((size_t)1 << 20)

/* 0, -ENOMEM, or -E2BIG. The set is in order again only after interval_set_normalize(). */
int interval_set_add(struct interval_set *set, interval_number first, interval_number last);
int interval_set_add_all(struct interval_set *set, const struct interval_set *other);

/* Sorts, and merges what overlaps or touches. */
void interval_set_normalize(struct interval_set *set);

/* *out = set - without; both normalized, *out too. */
int interval_set_subtract(const struct interval_set *set, const struct interval_set *without,
	struct interval_set *out);

/* Frees the ranges; the set is empty afterwards. */
void interval_set_clear(struct interval_set *set);

static inline bool interval_set_has(const struct interval_set *set, interval_number number)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (number < set->intervals[middle].first)
			high = middle;
		else if (number > set->intervals[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}
