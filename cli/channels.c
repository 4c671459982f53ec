/* SPDX-License-Identifier: BSD-3-Clause */
/* channels, channel list|show|revoke|policy|stats: what operators see and do. Ids and states only:
 * no answer of the daemon has a key in it. */
#include "cli/command.h"
#include "cli/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *number_text(const json_t *object, const char *name, char out[FORMAT_SIZE])
{
	snprintf(out, FORMAT_SIZE, "%lld", (long long)format_integer(object, name));
	return out;
}

/* --- channels, channel list --- */

static void add_channel(struct table *table, const json_t *row)
{
	const char *state = format_string(row, "state");
	char text[FORMAT_SIZE];

	table_add(table, number_text(row, "channel", text));
	table_add(table, format_string(row, "partition"));
	table_add(table, number_text(row, "endpoint", text));
	table_add(table, strcmp(format_string(row, "direction"), "send") == 0 ? "to" : "from");
	table_add(table, format_string(row, "remote"));
	table_add(table, number_text(row, "remote_endpoint", text));
	table_add_styled(table, strcmp(state, "up") == 0 ? STYLE_GOOD : STYLE_WARNING, state);
	table_add(table, format_string(row, "key"));
	table_add(table, format_count((double)format_integer(row, "messages"), text));
	table_add(table, format_bytes((double)format_integer(row, "bytes"), text));
}

static void print_channels(const json_t *rows)
{
	static const struct table_column columns[] = {{"NO", true, false},
		{"PARTITION", false, true}, {"EP", true, false}, {"", false, false},
		{"REMOTE", false, true}, {"EP", true, false}, {"STATE", false, false},
		{"KEY", false, false}, {"MESSAGES", true, false}, {"BYTES", true, false}};
	struct table *table = table_create(columns, 10);
	json_t *row;
	size_t index;

	json_array_foreach (rows, index, row)
		add_channel(table, row);
	format_print_table(table);
	table_destroy(table);
}

int show_channels(struct cli *cli)
{
	json_t *params = json_object(), *result, *rows;

	cli_param_string(cli, params, "partition", "partition");
	if (cli_call_paged(cli, "channel.list", params, &result) != 0)
		return CLI_FAILED;
	rows = json_object_get(result, "channels");
	if (cli->is_json)
		cli_print_json(result);
	else if (json_array_size(rows) == 0)
		puts("no partition has authorised a channel");
	else
		print_channels(rows);
	json_decref(result);
	return CLI_OK;
}

/* --- channel show, revoke --- */

/* The argument as the param `channel`; NULL: it is none, which was said. */
static json_t *channel_params(struct cli *cli)
{
	const char *text = cli->arguments[0];
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (end == text || *end || errno || number == 0 || number > UINT32_MAX) {
		cli_usage(cli, "%s: must be the number of a channel, as `bulkhead channels` shows",
			text);
		return NULL;
	}
	return json_pack("{s:I}", "channel", (json_int_t)number);
}

static void print_channel(const json_t *channel)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)channel, name, value) {
		printf("%-16s ", name);
		if (json_is_string(value))
			format_print_styled(STYLE_PLAIN, json_string_value(value));
		else
			printf("%lld", (long long)json_integer_value(value));
		putchar('\n');
	}
}

int show_channel(struct cli *cli)
{
	json_t *params = channel_params(cli), *result;

	if (!params)
		return CLI_USAGE;
	if (cli_call(cli, "channel.show", params, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else
		print_channel(json_object_get(result, "channel"));
	json_decref(result);
	return CLI_OK;
}

int revoke_channel(struct cli *cli)
{
	json_t *params = channel_params(cli), *result;

	if (!params)
		return CLI_USAGE;
	if (cli_call(cli, "channel.revoke", params, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else
		printf("channel %s is revoked, both ends\n", cli->arguments[0]);
	json_decref(result);
	return CLI_OK;
}

/* --- channel policy --- */

static void print_rules(const json_t *rules)
{
	static const struct table_column columns[] = {{"RULE", false, true}, {"FROM", false, true},
		{"TO", false, true}, {"SENDERS", true, false}, {"RECEIVERS", true, false},
		{"MAX", true, false}, {"MESSAGE", true, false}, {"RATE", true, false}};
	struct table *table = table_create(columns, 8);
	char text[FORMAT_SIZE];
	json_t *rule;
	size_t index;

	json_array_foreach (rules, index, rule) {
		json_int_t rate = format_integer(rule, "rate");

		table_add(table, format_string(rule, "rule"));
		table_add(table, format_string(rule, "from"));
		table_add(table, format_string(rule, "to"));
		table_add(table, number_text(rule, "senders", text));
		table_add(table, number_text(rule, "receivers", text));
		table_add(table, number_text(rule, "channels_max", text));
		table_add(table, format_bytes((double)format_integer(rule, "message_max"), text));
		if (rate > 0)
			snprintf(text, sizeof(text), "%lld/s", (long long)rate);
		table_add(table, rate > 0 ? text : "-");
	}
	format_print_table(table);
	table_destroy(table);
}

static void print_partitions(const json_t *partitions)
{
	static const struct table_column columns[] = {{"PARTITION", false, true},
		{"PROCESSES", true, false}, {"ENDPOINTS", true, false}, {"CHANNELS", true, false},
		{"RINGS", true, false}, {"SOCKET", false, true}};
	static const char *const counts[] = {"processes", "endpoints", "channels"};
	struct table *table = table_create(columns, 6);
	char text[2 * FORMAT_SIZE], name[32], part[FORMAT_SIZE];
	json_t *partition;
	size_t index;

	json_array_foreach (partitions, index, partition) {
		table_add(table, format_string(partition, "partition"));
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			snprintf(name, sizeof(name), "%s_max", counts[i]);
			snprintf(text, sizeof(text), "%lld/%lld",
				(long long)format_integer(partition, counts[i]),
				(long long)format_integer(partition, name));
			table_add(table, text);
		}
		table_add(table,
			format_bytes((double)format_integer(partition, "memory_bytes"), part));
		table_add(table, format_string(partition, "socket"));
	}
	format_print_table(table);
	table_destroy(table);
}

int show_channel_policy(struct cli *cli)
{
	json_t *result, *partitions;

	if (cli_call_paged(cli, "channel.policy", NULL, &result) != 0)
		return CLI_FAILED;
	if (cli_call_paged(cli, "channel.partitions", NULL, &partitions) != 0) {
		json_decref(result);
		return CLI_FAILED;
	}
	json_object_update_missing(result, partitions);
	json_decref(partitions);
	partitions = json_object_get(result, "partitions");
	if (cli->is_json) {
		cli_print_json(result);
	} else if (json_array_size(partitions) == 0) {
		puts("no partition can have channels: there is none in channels.partitions");
	} else {
		print_partitions(partitions);
		putchar('\n');
		if (json_array_size(json_object_get(result, "rules")) > 0)
			print_rules(json_object_get(result, "rules"));
		else
			puts("no rule allows a channel: channels.allow is empty");
	}
	json_decref(result);
	return CLI_OK;
}

/* --- channel peers --- */

static void add_peer(struct table *table, const json_t *peer)
{
	const char *state = format_string(peer, "state");
	const char *address = json_string_value(json_object_get(peer, "address"));
	const char *reason = json_string_value(json_object_get(peer, "reason"));
	json_int_t dropped = 0;
	char text[FORMAT_SIZE];
	json_t *drop;
	size_t index;

	json_array_foreach (json_object_get(peer, "drops"), index, drop)
		dropped += format_integer(drop, "count");
	table_add(table, format_string(peer, "peer"));
	table_add_styled(table, strcmp(state, "up") == 0 ? STYLE_GOOD : STYLE_BAD, state);
	table_add(table, number_text(peer, "channels", text));
	table_add(table, format_count((double)format_integer(peer, "sent_messages"), text));
	table_add(table, format_count((double)format_integer(peer, "received_messages"), text));
	table_add(table, format_count((double)dropped, text));
	table_add(table, reason ? reason : address ? address : "connects to us");
}

static void print_peers(const json_t *peers)
{
	static const struct table_column columns[] = {{"PEER", false, true}, {"LINK", false, false},
		{"CHANNELS", true, false}, {"SENT", true, false}, {"RECEIVED", true, false},
		{"DROPPED", true, false}, {"ADDRESS", false, true}};
	struct table *table = table_create(columns, 7);
	json_t *peer;
	size_t index;

	json_array_foreach (peers, index, peer)
		add_peer(table, peer);
	format_print_table(table);
	table_destroy(table);
}

int show_channel_peers(struct cli *cli)
{
	json_t *result, *peers;

	if (cli_call_paged(cli, "channel.peers", NULL, &result) != 0)
		return CLI_FAILED;
	peers = json_object_get(result, "peers");
	if (cli->is_json)
		cli_print_json(result);
	else if (json_array_size(peers) == 0)
		puts("no other host: there is none in channels.peers");
	else
		print_peers(peers);
	json_decref(result);
	return CLI_OK;
}

/* --- channel stats --- */

static void print_reasons(const char *title, const json_t *list)
{
	json_t *row;
	size_t index;

	json_array_foreach (list, index, row)
		printf("%-8s %-16s %lld\n", title, format_string(row, "reason"),
			(long long)format_integer(row, "count"));
}

static void print_threads(const json_t *threads)
{
	json_t *row;
	size_t index;

	json_array_foreach (threads, index, row)
		printf("thread %lld: %lld channels, %lld rounds, %lld sleeps\n",
			(long long)format_integer(row, "thread"),
			(long long)format_integer(row, "channels"),
			(long long)format_integer(row, "rounds"),
			(long long)format_integer(row, "sleeps"));
}

int show_channel_stats(struct cli *cli)
{
	static const char *const names[] = {"attached", "up", "down", "denied", "exceptions",
		"messages", "bytes", "forged", "wakes", "keys", "events_suppressed"};
	json_t *result;

	if (cli_call(cli, "channel.stats", NULL, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json) {
		cli_print_json(result);
	} else {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			printf("%-25s %lld\n", names[i],
				(long long)format_integer(result, names[i]));
		print_reasons("refused", json_object_get(result, "refused"));
		print_reasons("ended", json_object_get(result, "ended"));
		print_threads(json_object_get(result, "threads"));
	}
	json_decref(result);
	return CLI_OK;
}
