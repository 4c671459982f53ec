/* SPDX-License-Identifier: BSD-3-Clause */
/* target: this host as a target of distributors. */
#include "cli/command.h"
#include "cli/format.h"

#include <stdlib.h>
#include <string.h>

static void print_distributors(const json_t *list)
{
	static const struct table_column columns[] = {{"DISTRIBUTOR", false, true},
		{"STATE", false, false}, {"ANSWERS", true, false}, {"REFUSED", true, false},
		{"MTU", true, false}};
	struct table *table = table_create(columns, 5);
	char text[FORMAT_SIZE];
	json_t *row;
	size_t i;

	json_array_foreach (list, i, row) {
		bool is_up = format_boolean(row, "is_up");

		table_add(table, format_string(row, "address"));
		table_add_styled(table, is_up ? STYLE_GOOD : STYLE_BAD, is_up ? "up" : "down");
		table_add(table, format_count((double)format_integer(row, "answers"), text));
		table_add(table, format_count((double)format_integer(row, "refused"), text));
		table_add_format(table, "%lld", (long long)format_integer(row, "mtu_bytes"));
	}
	format_print_table(table);
	table_destroy(table);
}

static void print_services(const json_t *list)
{
	static const struct table_column columns[] = {{"SERVICE", false, true},
		{"PROTO", false, false}, {"PORT", true, false}, {"READY", false, false}};
	struct table *table = table_create(columns, 4);
	json_t *row;
	size_t i;

	json_array_foreach (list, i, row) {
		bool is_ready = format_boolean(row, "is_ready");

		table_add(table, format_string(row, "name"));
		table_add(table, format_string(row, "protocol"));
		table_add_format(table, "%lld", (long long)format_integer(row, "port"));
		table_add_styled(
			table, is_ready ? STYLE_GOOD : STYLE_WARNING, is_ready ? "yes" : "no");
	}
	format_print_table(table);
	table_destroy(table);
}

static void print_target(const json_t *result)
{
	const json_t *packets = json_object_get(result, "packets"), *vipa;
	const char *by = format_string(result, "load_by");
	size_t i;

	if (!format_boolean(result, "is_target")) {
		puts("This host is no target: the configuration has no section target.");
		return;
	}
	printf("interface  %s, %s, MTU %lld:", format_string(result, "interface"),
		format_boolean(result, "is_up") ? "up" : "down",
		(long long)format_integer(result, "mtu_bytes"));
	json_array_foreach (json_object_get(result, "vipas"), i, vipa)
		printf(" %s", json_string_value(vipa));
	printf("\nload       %.0f%%, %s\n", (double)format_integer(result, "load") * 100 / 65535,
		strcmp(by, "api") == 0 ? "as was said by API" : "as the system has it");
	printf("flows      %lld\n", (long long)format_integer(result, "flows"));
	printf("packets    %lld secure and %lld plain from distributors, %lld by our own IPsec; "
	       "%lld back to distributors, %lld straight out\n\n",
		(long long)format_integer(packets, "secure"),
		(long long)format_integer(packets, "plain"),
		(long long)format_integer(packets, "decrypted"),
		(long long)format_integer(packets, "to_distributor"),
		(long long)format_integer(packets, "direct"));
	print_distributors(json_object_get(result, "distributors"));
	putchar('\n');
	print_services(json_object_get(result, "services"));
}

int show_target(struct cli *cli)
{
	return cli_show(cli, "target.status", NULL, print_target);
}

int target_ready(struct cli *cli)
{
	bool is_ready = cli->argument_count < 2 || strcmp(cli->arguments[1], "false") != 0;

	return cli_show(cli, "target.ready",
		json_pack("{s:s, s:b}", "service", cli->arguments[0], "ready", (int)is_ready),
		NULL);
}

int target_load(struct cli *cli)
{
	json_t *params = json_object();
	char *end;

	if (strcmp(cli->arguments[0], "system") != 0) {
		json_object_set_new(
			params, "load", json_integer(strtoll(cli->arguments[0], &end, 10)));
		if (*end || end == cli->arguments[0]) {
			json_decref(params);
			return cli_usage(
				cli, "LOAD is 0 to 65535, or system, not %s", cli->arguments[0]);
		}
	}
	return cli_show(cli, "target.load", params, NULL);
}
