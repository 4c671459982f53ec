/* SPDX-License-Identifier: BSD-3-Clause */
/* events: what happened; with --follow what happens from now on. */
#include "cli/format.h"
#include "cli/stream.h"

#include <stdlib.h>
#include <string.h>

#define RECENT_DEFAULT 50

struct follower {
	long long left; /* events to print; < 0: no limit */
};

/* Fields that have their own place in the line. */
static bool is_head(const char *name)
{
	static const char *const heads[] = {"timestamp", "event_type", "seq", "host", "partition",
		"src_ip", "src_port", "dest_ip", "dest_port", "proto", "alert", "payload",
		"payload_printable", "packet", "packet_info", "flow", "flow_id", "pkt_src",
		"stream", "tx_id", NULL};

	for (size_t i = 0; heads[i]; i++) {
		if (strcmp(heads[i], name) == 0)
			return true;
	}
	return false;
}

static void print_end(const json_t *event, const char *address, const char *port)
{
	json_int_t number = format_integer(event, port);

	format_print_styled(STYLE_PLAIN, format_string(event, address));
	if (number > 0)
		printf(" %lld", (long long)number);
}

static void print_alert(const json_t *event)
{
	const json_t *alert = json_object_get(event, "alert");

	if (alert) {
		printf(" [%lld] ", (long long)format_integer(alert, "signature_id"));
		format_print_styled(STYLE_BOLD, format_string(alert, "signature"));
		printf(" (%s)", format_string(alert, "action"));
	}
	if (!json_object_get(event, "src_ip"))
		return;
	printf(" %s ", format_string(event, "proto"));
	print_end(event, "src_ip", "src_port");
	fputs(" -> ", stdout);
	print_end(event, "dest_ip", "dest_port");
}

static enum style style_of(const char *type)
{
	if (strcmp(type, "alert") == 0 || strcmp(type, "drop") == 0 || strstr(type, "down")
		|| strstr(type, "lost"))
		return STYLE_BAD;
	return strstr(type, "up") ? STYLE_GOOD : STYLE_PLAIN;
}

/* 18:05:12.123456 alert web [1000001] ... key=value */
static void print_event(const json_t *event)
{
	const char *timestamp = format_string(event, "timestamp"), *name;
	const char *type = format_string(event, "event_type");
	const char *time = strchr(timestamp, 'T');
	json_t *value;

	printf("%.15s ", time ? time + 1 : timestamp);
	format_print_styled(style_of(type), type);
	if (*format_string(event, "partition")) {
		putchar(' ');
		format_print_styled(STYLE_PLAIN, format_string(event, "partition"));
	}
	print_alert(event);
	json_object_foreach ((json_t *)event, name, value) {
		char *text;

		if (is_head(name) || (json_is_string(value) && json_string_length(value) == 0))
			continue;
		text = json_is_string(value) ? NULL
					     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		printf(" %s=", name);
		format_print_styled(STYLE_PLAIN, text ? text : json_string_value(value));
		free(text);
	}
	putchar('\n');
}

static void print_one(const struct cli *cli, const json_t *event)
{
	if (cli->is_json) {
		json_dumpf(event, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_event(event);
	}
}

static int on_notification(struct cli *cli, const char *method, const json_t *params, void *context)
{
	struct follower *follower = context;

	if (strcmp(method, "event") != 0)
		return 0;
	print_one(cli, json_object_get(params, "event"));
	if (follower->left > 0)
		follower->left--;
	return follower->left == 0;
}

/* "alert,drop" as an array. */
static json_t *split(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t size = strcspn(text, ",");

		if (size > 0)
			json_array_append_new(list, json_stringn(text, size));
		text += size + (text[size] == ',');
	}
	return list;
}

/* The last count ones. */
static int print_recent(struct cli *cli, json_t *filter, size_t count)
{
	json_t *result, *event, *events;
	size_t index, size;

	if (cli_call_paged(cli, "events.recent", filter, &result) != 0)
		return CLI_FAILED;
	events = json_object_get(result, "events");
	size = json_array_size(events);
	json_array_foreach (events, index, event) {
		if (index + count >= size)
			print_one(cli, event);
	}
	json_decref(result);
	return CLI_OK;
}

static int follow(struct cli *cli, json_t *filter, long long count)
{
	struct follower follower = {.left = count};
	json_t *result;

	if (cli_call(cli, "events.subscribe", filter, &result) != 0)
		return CLI_FAILED;
	json_decref(result);
	return stream_follow(cli, 0, on_notification, &follower);
}

int follow_events(struct cli *cli)
{
	const char *count = cli_value(cli, "count"), *types = cli_value(cli, "type");
	bool is_following = cli_value(cli, "follow") != NULL;
	json_t *filter = json_object();

	if (count && (strspn(count, "0123456789") != strlen(count) || atoll(count) <= 0)) {
		json_decref(filter);
		return cli_usage(cli, "--count %s: must be a whole number above 0", count);
	}
	if (types)
		json_object_set_new(filter, "types", split(types));
	cli_param_string(cli, filter, "partition", "partition");
	if (is_following)
		return follow(cli, filter, count ? atoll(count) : -1);
	return print_recent(cli, filter, count ? (size_t)atoll(count) : RECENT_DEFAULT);
}
