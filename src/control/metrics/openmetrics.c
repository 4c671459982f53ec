/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/openmetrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "bulkhead_"

struct sample {
	const char *name, *type;
	const json_t *json;
	size_t index; /* keeps the order within a family */
};

/* A name as OpenMetrics has it, without colons, which are for recording rules. */
static bool is_metric_name(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	size_t length = name ? strlen(name) : 0;

	return length > 0 && strchr(first, name[0])
		&& strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")
		== length;
}

static bool are_labels(const json_t *labels)
{
	const char *name;
	json_t *value;

	if (!labels || json_is_null(labels))
		return true;
	if (!json_is_object(labels))
		return false;
	json_object_foreach ((json_t *)labels, name, value) {
		if (!is_metric_name(name) || strncmp(name, "__", 2) == 0 || !json_is_string(value))
			return false;
	}
	return true;
}

static bool sample_read(const json_t *json, size_t index, struct sample *out)
{
	*out = (struct sample){
		.name = json_string_value(json_object_get(json, "name")),
		.type = json_string_value(json_object_get(json, "type")),
		.json = json,
		.index = index,
	};
	return is_metric_name(out->name) && out->type
		&& (strcmp(out->type, "counter") == 0 || strcmp(out->type, "gauge") == 0)
		&& json_is_number(json_object_get(json, "value"))
		&& are_labels(json_object_get(json, "labels"));
}

static int compare(const void *left, const void *right)
{
	const struct sample *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	if (order != 0)
		return order;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* \, " and line feed, the same for HELP and for labels (OpenMetrics 1.0.0, ABNF). */
static void put_escaped(FILE *out, const char *text)
{
	for (; text && *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || *text == '"')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static const char *unit_of(const char *name)
{
	static const char *const units[] = {"bytes", "seconds", "ratio", "celsius", NULL};
	const char *last = strrchr(name, '_');

	for (size_t i = 0; last && units[i]; i++) {
		if (strcmp(last + 1, units[i]) == 0)
			return units[i];
	}
	return NULL;
}

static void put_family(FILE *out, const struct sample *sample)
{
	const char *help = json_string_value(json_object_get(sample->json, "help"));
	const char *unit = unit_of(sample->name);

	fprintf(out, "# TYPE " PREFIX "%s %s\n", sample->name, sample->type);
	if (unit)
		fprintf(out, "# UNIT " PREFIX "%s %s\n", sample->name, unit);
	if (help) {
		fprintf(out, "# HELP " PREFIX "%s ", sample->name);
		put_escaped(out, help);
		fputc('\n', out);
	}
}

static void put_value(FILE *out, const json_t *value)
{
	double real = json_number_value(value);

	/* Doubles of whole numbers, as packet_metric() makes them, look like counters should. */
	if (json_is_integer(value))
		fprintf(out, "%lld", (long long)json_integer_value(value));
	else if (real == floor(real) && fabs(real) < 9007199254740992.0) /* 2^53: exact */
		fprintf(out, "%.0f", real);
	else
		fprintf(out, "%.17g", real);
}

static void put_sample(FILE *out, const struct sample *sample)
{
	const json_t *labels = json_object_get(sample->json, "labels");
	const char *name, *separator = "{";
	json_t *value;

	fprintf(out, PREFIX "%s%s", sample->name,
		strcmp(sample->type, "counter") == 0 ? "_total" : "");
	json_object_foreach ((json_t *)labels, name, value) {
		fprintf(out, "%s%s=\"", separator, name);
		put_escaped(out, json_string_value(value));
		fputc('"', out);
		separator = ",";
	}
	if (json_object_size(labels) > 0)
		fputc('}', out);
	fputc(' ', out);
	put_value(out, json_object_get(sample->json, "value"));
	fputc('\n', out);
}

char *openmetrics_render(const json_t *samples, size_t *size, size_t *left_out)
{
	struct sample *sorted = calloc(json_array_size(samples) + 1, sizeof(*sorted));
	char *text = NULL;
	FILE *out = open_memstream(&text, size);
	size_t index, count = 0;
	json_t *json;

	*left_out = 0;
	if (!sorted || !out)
		goto done;
	json_array_foreach (samples, index, json) {
		if (sample_read(json, index, &sorted[count]))
			count++;
		else
			(*left_out)++;
	}
	qsort(sorted, count, sizeof(*sorted), compare);
	for (size_t i = 0; i < count; i++) {
		bool is_new = i == 0 || strcmp(sorted[i].name, sorted[i - 1].name) != 0;

		if (is_new)
			put_family(out, &sorted[i]);
		put_sample(out, &sorted[i]);
	}
	fputs("# EOF\n", out);
done:
	if (out && fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	free(sorted);
	return sorted && out ? text : NULL;
}
