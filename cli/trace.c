/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace: the walks of packets. Records come in batches, and those of several packets and workers
 * mixed; a walk is printed when it has come to its end (tx, drop), or when the trace ends.
 */
#include "cli/format.h"
#include "cli/stream.h"

#include <stdlib.h>
#include <string.h>

struct tracer {
	json_t *walks; /* {"packet number": [records]} */
	json_int_t trace;
	unsigned long long printed;
};

static bool is_end(const char *node)
{
	return strcmp(node, "tx") == 0 || strcmp(node, "drop") == 0;
}

static void print_step(const json_t *record, json_int_t start_ns)
{
	const char *node = format_string(record, "node");

	printf("  %8.1f us  ", (double)(format_integer(record, "at_ns") - start_ns) / 1000.0);
	format_print_styled(strcmp(node, "drop") == 0 ? STYLE_BAD
			: is_end(node)                ? STYLE_GOOD
						      : STYLE_BOLD,
		node);
	printf("%*s ", (int)(16 - (strlen(node) < 16 ? strlen(node) : 16)), "");
	format_print_styled(STYLE_PLAIN, format_string(record, "text"));
	putchar('\n');
}

/* The head line of a walk: what the packet is, and the tag it got. */
static void print_head(const char *packet, const json_t *records)
{
	const char *text = "", *origin = "";
	json_t *record;
	size_t index;

	json_array_foreach (records, index, record) {
		if (!*text)
			text = format_string(record, "packet_text");
		if (*format_string(record, "origin"))
			origin = format_string(record, "origin");
	}
	printf("packet %s", packet);
	if (*text) {
		fputs(": ", stdout);
		format_print_styled(STYLE_PLAIN, text);
	}
	putchar('\n');
	if (*origin) {
		fputs("  origin: ", stdout);
		format_print_styled(STYLE_WARNING, origin);
		putchar('\n');
	}
}

static void print_walk(struct tracer *tracer, const char *packet, const json_t *records)
{
	json_int_t start_ns = format_integer(json_array_get(records, 0), "at_ns");
	json_t *record;
	size_t index;

	if (tracer->printed++ > 0)
		putchar('\n');
	print_head(packet, records);
	json_array_foreach (records, index, record)
		print_step(record, start_ns);
}

/* Walks that are over. Copies made by flooding may go on: what comes later is printed as another
 * part of the walk. */
static void print_ended(struct tracer *tracer, bool with_all)
{
	const char *packet;
	json_t *records;
	void *next;

	json_object_foreach_safe (tracer->walks, next, packet, records) {
		const json_t *last = json_array_get(records, json_array_size(records) - 1);

		if (!with_all && !is_end(format_string(last, "node")))
			continue;
		print_walk(tracer, packet, records);
		json_object_del(tracer->walks, packet);
	}
}

static void collect(struct tracer *tracer, const json_t *records)
{
	json_t *record, *walk;
	char number[32];
	size_t index;

	json_array_foreach (records, index, record) {
		snprintf(number, sizeof(number), "%lld",
			(long long)format_integer(record, "packet"));
		walk = json_object_get(tracer->walks, number);
		if (!walk) {
			walk = json_array();
			json_object_set_new(tracer->walks, number, walk);
		}
		json_array_append(walk, record);
	}
}

static int on_notification(struct cli *cli, const char *method, const json_t *params, void *context)
{
	struct tracer *tracer = context;

	if (cli->is_json) {
		json_dumpf(params, stdout, JSON_COMPACT);
		putchar('\n');
	}
	if (strcmp(method, "trace.records") == 0 && !cli->is_json) {
		collect(tracer, json_object_get(params, "records"));
		print_ended(tracer, false);
	}
	if (strcmp(method, "trace.end") != 0)
		return 0;
	tracer->trace = 0;
	if (format_integer(params, "lost_records") > 0)
		fprintf(stderr, "bulkhead: %lld steps were lost: too many packets match\n",
			(long long)format_integer(params, "lost_records"));
	if (strcmp(format_string(params, "reason"), "count") != 0)
		fprintf(stderr, "bulkhead: the trace ended: %s\n", format_string(params, "reason"));
	return 1;
}

int trace_packets(struct cli *cli)
{
	int64_t timeout_ms = stream_timeout(cli);
	json_t *params = timeout_ms < 0 ? NULL : stream_filter_params(cli), *result;
	struct tracer tracer = {0};
	int code;

	if (!params)
		return CLI_USAGE;
	if (cli_param_integer(cli, params, "sampling", "sampling") < 0) {
		json_decref(params);
		return CLI_USAGE;
	}
	if (cli_call(cli, "trace.start", params, &result) != 0)
		return CLI_FAILED;
	tracer.trace = format_integer(result, "trace");
	tracer.walks = json_object();
	json_decref(result);
	code = stream_follow(cli, timeout_ms, on_notification, &tracer);
	if (!cli->is_json)
		print_ended(&tracer, true);
	json_decref(tracer.walks);
	if (code == CLI_OK && tracer.trace > 0
		&& cli_call(cli, "trace.stop", json_pack("{s:I}", "trace", tracer.trace), &result)
			== 0)
		json_decref(result);
	if (code == CLI_OK && tracer.printed == 0 && !cli->is_json)
		return cli_fail("no packet matched");
	return code;
}
