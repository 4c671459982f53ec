/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema/metrics_page.h"

#include "schema/api_schema.h"

#include <stdio.h>
#include <stdlib.h>

void metrics_sample(json_t *samples, const char *name, const char *type, const char *help,
	json_t *labels, double value)
{
	json_array_append_new(samples,
		json_pack("{s:s, s:s, s:s, s:o, s:f}", "name", name, "type", type, "help", help,
			"labels", labels ? labels : json_object(), "value", value));
}

static json_t *page_of(const json_t *samples, const json_t *params)
{
	const char *after = api_page_after(params);
	size_t start = after ? strtoull(after, NULL, 10) : 0;
	size_t end = start + api_page_limit(params), size = json_array_size(samples);
	json_t *page = json_array(), *result;
	char next[24];

	for (size_t i = start; i < end && i < size; i++)
		json_array_append(page, json_array_get(samples, i));
	result = json_pack("{s:o}", "samples", page);
	if (end < size) {
		snprintf(next, sizeof(next), "%zu", end);
		json_object_set_new(result, "next", json_string(next));
	}
	return result;
}

/* Samples of one name side by side, as OpenMetrics wants them; the order of names is kept. */
static json_t *group_by_name(const json_t *samples)
{
	json_t *groups = json_object(), *out = json_array(), *sample, *group;
	const char *name;
	size_t i;

	json_array_foreach (samples, i, sample) {
		name = json_string_value(json_object_get(sample, "name"));
		group = json_object_get(groups, name);
		if (!group) {
			group = json_array();
			json_object_set_new(groups, name, group);
		}
		json_array_append(group, sample);
	}
	json_object_foreach (groups, name, group)
		json_array_extend(out, group);
	json_decref(groups);
	return out;
}

json_t *metrics_page(json_t *samples, const json_t *params)
{
	json_t *grouped = group_by_name(samples), *page = page_of(grouped, params);

	json_decref(grouped);
	json_decref(samples);
	return page;
}
