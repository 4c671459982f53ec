/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/events/event_filter.h"

#include <string.h>

void event_filter_init(struct event_filter *filter, const json_t *params)
{
	filter->params = json_incref((json_t *)params);
	filter->types = json_object_get(params, "types");
	filter->partition = json_string_value(json_object_get(params, "partition"));
}

void event_filter_destroy(struct event_filter *filter)
{
	json_decref(filter->params);
	*filter = (struct event_filter){0};
}

static bool matches_type(const char *pattern, const char *type)
{
	size_t length = strlen(pattern);

	if (length > 0 && pattern[length - 1] == '*')
		return strncmp(pattern, type, length - 1) == 0;
	return strcmp(pattern, type) == 0;
}

bool event_filter_matches(const struct event_filter *filter, const json_t *event)
{
	const char *type = json_string_value(json_object_get(event, "event_type"));
	const char *partition = json_string_value(json_object_get(event, "partition"));
	size_t index;
	json_t *pattern;

	if (filter->partition && (!partition || strcmp(filter->partition, partition) != 0))
		return false;
	if (!filter->types)
		return true;
	json_array_foreach (filter->types, index, pattern) {
		if (type && matches_type(json_string_value(pattern), type))
			return true;
	}
	return false;
}
