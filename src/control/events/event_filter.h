/* SPDX-License-Identifier: BSD-3-Clause */
/* Which events a subscriber wants: types (a trailing * matches the rest) and a partition. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* From checked params of events.subscribe; holds a reference to them. */
struct event_filter {
	json_t *types;         /* array of strings, or NULL: all */
	const char *partition; /* or NULL: all */
	json_t *params;        /* what partition points into */
};

void event_filter_init(struct event_filter *filter, const json_t *params);
void event_filter_destroy(struct event_filter *filter); /* frees the content */
bool event_filter_matches(const struct event_filter *filter, const json_t *event);
