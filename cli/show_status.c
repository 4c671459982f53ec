/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/command.h"
#include "cli/format.h"

#include <string.h>

static enum style style_of_state(const char *state)
{
	if (strcmp(state, "running") == 0)
		return STYLE_GOOD;
	return strcmp(state, "starting") == 0 || strcmp(state, "stopping") == 0 ? STYLE_WARNING
										: STYLE_BAD;
}

static void print_head(const json_t *status)
{
	char uptime[FORMAT_SIZE];
	json_t *problem;
	size_t index;

	format_print_styled(STYLE_BOLD, format_string(status, "host"));
	fputs(": ", stdout);
	format_print_styled(
		style_of_state(format_string(status, "state")), format_string(status, "state"));
	printf(", bulkhead %s, up %s\n", format_string(status, "version"),
		format_duration((uint64_t)format_integer(status, "uptime_s"), uptime));
	json_array_foreach (json_object_get(status, "problems"), index, problem) {
		fputs("  ", stdout);
		format_print_styled(STYLE_BAD, json_string_value(problem));
		putchar('\n');
	}
}

static void print_config(const json_t *config)
{
	json_t *left = json_object_get(config, "confirm_left_ms");

	printf("configuration  %s\n               generation %lld, applied %.19s\n",
		format_string(config, "file"), (long long)format_integer(config, "generation"),
		*format_string(config, "applied_at") ? format_string(config, "applied_at")
						     : "not yet");
	if (left)
		printf("               rolled back in %lld s unless confirmed: bulkhead config "
		       "confirm\n",
			(long long)(json_integer_value(left) + 999) / 1000);
}

static void print_counts(const json_t *status)
{
	const json_t *ports = json_object_get(status, "ports");
	const json_t *events = json_object_get(status, "events");

	if (ports)
		printf("ports          %lld, %lld up\n", (long long)format_integer(ports, "total"),
			(long long)format_integer(ports, "up"));
	printf("events         %lld (EVE: %lld written, %lld lost), %lld subscribers\n\n",
		(long long)format_integer(events, "total"),
		(long long)format_integer(events, "eve_written"),
		(long long)format_integer(events, "eve_errors"),
		(long long)format_integer(events, "subscribers"));
}

static void print_roles(const json_t *roles)
{
	static const struct table_column columns[] = {{"ROLE", false, false},
		{"STATE", false, false}, {"PID", true, false}, {"UPTIME", true, false},
		{"RESTARTS", true, false}};
	struct table *table = table_create(columns, 5);
	char uptime[FORMAT_SIZE];
	json_t *role;
	size_t index;

	json_array_foreach (roles, index, role) {
		const char *state = format_string(role, "state");

		table_add(table, format_string(role, "name"));
		table_add_styled(table, style_of_state(state), state);
		table_add_format(table, "%lld", (long long)format_integer(role, "pid"));
		table_add(
			table, format_duration((uint64_t)format_integer(role, "uptime_s"), uptime));
		table_add_format(table, "%lld", (long long)format_integer(role, "restarts"));
	}
	format_print_table(table);
	table_destroy(table);
}

int show_status(struct cli *cli)
{
	json_t *status;

	if (cli_call(cli, "status.get", NULL, &status) != 0)
		return CLI_FAILED;
	if (cli->is_json) {
		cli_print_json(status);
	} else {
		print_head(status);
		print_config(json_object_get(status, "config"));
		print_counts(status);
		print_roles(json_object_get(status, "roles"));
	}
	json_decref(status);
	return CLI_OK;
}
