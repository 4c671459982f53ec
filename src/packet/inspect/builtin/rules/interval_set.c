/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/interval_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int interval_set_add(struct interval_set *set, interval_number first, interval_number last)
{
	if (set->count == set->capacity) {
		size_t capacity = set->capacity ? set->capacity * 2 : 4;
		struct interval *grown;

		if (capacity > INTERVAL_SET_MAX)
			return -E2BIG;
		grown = realloc(set->intervals, capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		set->intervals = grown;
		set->capacity = capacity;
	}
	set->intervals[set->count++] = (struct interval){first, last};
	return 0;
}

int interval_set_add_all(struct interval_set *set, const struct interval_set *other)
{
	int code = 0;

	for (size_t i = 0; i < other->count && code == 0; i++)
		code = interval_set_add(set, other->intervals[i].first, other->intervals[i].last);
	return code;
}

static int compare_intervals(const void *left, const void *right)
{
	const struct interval *a = left, *b = right;

	return a->first < b->first ? -1 : a->first > b->first;
}

void interval_set_normalize(struct interval_set *set)
{
	size_t kept = 0;

	if (set->count == 0)
		return;
	qsort(set->intervals, set->count, sizeof(*set->intervals), compare_intervals);
	for (size_t i = 1; i < set->count; i++) {
		struct interval *last = &set->intervals[kept], next = set->intervals[i];

		/* The subtraction cannot wrap: ranges are sorted by their first number. */
		if (next.first <= last->last || next.first - last->last == 1)
			last->last = next.last > last->last ? next.last : last->last;
		else
			set->intervals[++kept] = next;
	}
	set->count = kept + 1;
}

/* Adds what is left of one range after the ranges of without are taken away. */
static int subtract_one(
	struct interval range, const struct interval_set *without, struct interval_set *out)
{
	int code = 0;

	for (size_t i = 0; i < without->count; i++) {
		const struct interval *hole = &without->intervals[i];

		if (hole->last < range.first)
			continue;
		if (hole->first > range.last)
			break;
		if (hole->first > range.first)
			code = interval_set_add(out, range.first, hole->first - 1);
		if (code < 0 || hole->last >= range.last)
			return code;
		range.first = hole->last + 1;
	}
	return interval_set_add(out, range.first, range.last);
}

int interval_set_subtract(const struct interval_set *set, const struct interval_set *without,
	struct interval_set *out)
{
	int code = 0;

	for (size_t i = 0; i < set->count && code == 0; i++)
		code = subtract_one(set->intervals[i], without, out);
	return code;
}

void interval_set_clear(struct interval_set *set)
{
	free(set->intervals);
	*set = (struct interval_set){0};
}
