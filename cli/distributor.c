/* SPDX-License-Identifier: BSD-3-Clause */
/* distributor, distributor connections, distributor weight, distributor drain. */
#include "cli/command.h"
#include "cli/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add_counts(
	struct table *table, const json_t *row, const char *const *names, size_t name_count)
{
	char text[FORMAT_SIZE];

	for (size_t i = 0; i < name_count; i++)
		table_add(table, format_count((double)format_integer(row, names[i]), text));
}

static void add_service(struct table *table, const json_t *vipa, const json_t *service)
{
	json_int_t ready = format_integer(service, "ready");

	table_add(table, format_string(vipa, "name"));
	table_add(table, format_string(vipa, "address"));
	table_add(table, format_string(vipa, "security"));
	table_add_format(table, "%s/%lld", format_string(service, "protocol"),
		(long long)format_integer(service, "port"));
	table_add(table, format_string(service, "scheduling"));
	if (format_boolean(vipa, "is_standby"))
		table_add_styled(table, STYLE_WARNING, "standby");
	else
		table_add_styled(
			table, ready > 0 ? STYLE_GOOD : STYLE_BAD, ready > 0 ? "up" : "down");
}

static void print_vipas(const json_t *vipas)
{
	static const struct table_column columns[] = {{"VIPA", false, true},
		{"ADDRESS", false, false}, {"SECURITY", false, false}, {"SERVICE", false, false},
		{"BY", false, false}, {"STATE", false, false}};
	struct table *table = table_create(columns, 6);
	json_t *vipa, *service;
	size_t i, j;

	json_array_foreach (vipas, i, vipa)
		json_array_foreach (json_object_get(vipa, "services"), j, service)
			add_service(table, vipa, service);
	format_print_table(table);
	table_destroy(table);
}

static void print_counters(const json_t *vipas)
{
	static const struct table_column columns[] = {{"VIPA", false, true},
		{"CONNECTIONS", true, false}, {"BEGUN", true, false}, {"REFUSED", true, false},
		{"PACKETS", true, false}, {"ANSWERS", true, false}};
	static const char *const counters[] = {
		"connections", "begun", "refused", "packets", "answers"};
	struct table *table = table_create(columns, 6);
	json_t *vipa;
	size_t i;

	putchar('\n');
	json_array_foreach (vipas, i, vipa) {
		table_add(table, format_string(vipa, "name"));
		add_counts(table, vipa, counters, sizeof(counters) / sizeof(counters[0]));
	}
	format_print_table(table);
	table_destroy(table);
}

static void add_target(struct table *table, const json_t *target)
{
	static const char *const counters[] = {"connections", "begun", "packets", "answers"};
	bool is_up = strcmp(format_string(target, "state"), "up") == 0;
	bool is_drained = format_boolean(target, "is_drained");

	table_add(table, format_string(target, "name"));
	table_add(table, format_string(target, "address"));
	table_add_styled(table,
		!is_up               ? STYLE_BAD
			: is_drained ? STYLE_WARNING
				     : STYLE_GOOD,
		is_up && is_drained ? "drained" : format_string(target, "state"));
	table_add_format(table, "%lld", (long long)format_integer(target, "weight"));
	if (json_object_get(target, "load_percent"))
		table_add_format(
			table, "%lld%%", (long long)format_integer(target, "load_percent"));
	else
		table_add(table, "-");
	add_counts(table, target, counters, sizeof(counters) / sizeof(counters[0]));
}

static void print_targets(const json_t *targets)
{
	static const struct table_column columns[] = {{"TARGET", false, true},
		{"ADDRESS", false, true}, {"STATE", false, false}, {"WEIGHT", true, false},
		{"LOAD", true, false}, {"CONNS", true, false}, {"BEGUN", true, false},
		{"PACKETS", true, false}, {"ANSWERS", true, false}};
	struct table *table = table_create(columns, 9);
	json_t *target;
	size_t i;

	putchar('\n');
	json_array_foreach (targets, i, target)
		add_target(table, target);
	format_print_table(table);
	table_destroy(table);
}

int distributor_status(struct cli *cli)
{
	json_t *result, *targets;

	if (cli_call_paged(cli, "distributor.vipas", NULL, &result) != 0)
		return CLI_FAILED;
	if (cli_call_paged(cli, "distributor.targets", NULL, &targets) != 0) {
		json_decref(result);
		return CLI_FAILED;
	}
	json_object_set(result, "targets", json_object_get(targets, "targets"));
	json_decref(targets);
	if (cli->is_json) {
		cli_print_json(result);
	} else if (json_array_size(json_object_get(result, "vipas")) == 0) {
		puts("no virtual addresses: this host is no distributor");
	} else {
		print_vipas(json_object_get(result, "vipas"));
		print_counters(json_object_get(result, "vipas"));
		print_targets(json_object_get(result, "targets"));
	}
	json_decref(result);
	return CLI_OK;
}

static void print_connections(const json_t *result)
{
	static const struct table_column columns[] = {{"CLIENT", false, true},
		{"VIPA", false, true}, {"SERVICE", false, false}, {"TARGET", false, true},
		{"STATE", false, false}, {"BY", false, false}, {"PACKETS", true, false},
		{"IDLE", true, false}};
	struct table *table = table_create(columns, 8);
	char text[FORMAT_SIZE];
	json_t *row, *rows = json_object_get(result, "connections");
	size_t i;

	json_array_foreach (rows, i, row) {
		table_add_format(table, "%s %lld", format_string(row, "client"),
			(long long)format_integer(row, "client_port"));
		table_add(table, format_string(row, "vipa"));
		table_add_format(table, "%s/%lld", format_string(row, "protocol"),
			(long long)format_integer(row, "port"));
		table_add(table, format_string(row, "target"));
		table_add(table, format_string(row, "state"));
		table_add(table, format_boolean(row, "is_secure") ? "IPsec" : "clear");
		table_add(table, format_count((double)format_integer(row, "packets"), text));
		table_add(table,
			format_duration((uint64_t)format_integer(row, "idle_ms") / 1000, text));
	}
	format_print_table(table);
	table_destroy(table);
	printf("%zu of %lld connections\n", json_array_size(rows),
		(long long)format_integer(result, "total"));
}

int distributor_connections(struct cli *cli)
{
	json_t *params = json_object();

	cli_param_string(cli, params, "vipa", "vipa");
	cli_param_string(cli, params, "target", "target");
	return cli_show_paged(cli, "distributor.connections", params, print_connections);
}

/* Calls a method about one target, and says what came of it. */
static int change_target(struct cli *cli, const char *method, json_t *params)
{
	json_t *result;

	json_object_set_new(params, "target", json_string(cli->arguments[0]));
	if (cli_call(cli, method, params, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else
		printf("%s: weight %lld, %lld connections\n", cli->arguments[0],
			(long long)format_integer(result, "weight"),
			(long long)format_integer(result, "connections"));
	json_decref(result);
	return CLI_OK;
}

int distributor_weight(struct cli *cli)
{
	json_t *params;
	long weight;
	char *end;

	if (cli->argument_count < 2)
		return change_target(cli, "distributor.weight", json_object());
	errno = 0;
	weight = strtol(cli->arguments[1], &end, 10);
	if (errno || *end || end == cli->arguments[1])
		return cli_usage(
			cli, "WEIGHT is a number from 0 to 1000, not %s", cli->arguments[1]);
	params = json_pack("{s:I}", "weight", (json_int_t)weight);
	return change_target(cli, "distributor.weight", params);
}

int distributor_drain(struct cli *cli)
{
	json_t *params = json_object();

	if (cli_value(cli, "undo"))
		json_object_set_new(params, "undo", json_true());
	return change_target(cli, "distributor.drain", params);
}
