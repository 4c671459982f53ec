/* SPDX-License-Identifier: BSD-3-Clause */
/* ports, vlans, fdb, drops: answers of the API as tables. */
#include "cli/command.h"
#include "cli/format.h"

#include <stdlib.h>
#include <string.h>

/* "uplink: a, b" of lists of strings, at most as long as out. */
static void join(const json_t *list, const char *suffix, char *out, size_t size)
{
	size_t index, used = strlen(out);
	json_t *text;

	json_array_foreach (list, index, text) {
		int wrote = snprintf(out + used, size - used, "%s%s%s", used ? " " : "",
			json_string_value(text), suffix);

		if (wrote < 0 || (size_t)wrote >= size - used)
			return;
		used += (size_t)wrote;
	}
}

/* --- ports --- */

static const char *vlans_of(const json_t *port, char *out, size_t size)
{
	json_int_t vlan = format_integer(port, "vlan");
	const char *tagged = format_string(port, "vlans");

	if (strcmp(format_string(port, "mode"), "none") == 0)
		return "-";
	if (vlan > 0 && *tagged)
		snprintf(out, size, "%lld, %s tagged", (long long)vlan, tagged);
	else if (vlan > 0)
		snprintf(out, size, "%lld", (long long)vlan);
	else
		snprintf(out, size, "%s tagged", tagged);
	return out;
}

static void add_port(struct table *table, const json_t *port)
{
	bool is_up = format_boolean(port, "is_up");
	json_int_t lost = format_integer(port, "rx_errors") + format_integer(port, "tx_drops");
	char text[FORMAT_SIZE], vlans[128];

	table_add(table, format_string(port, "name"));
	table_add(table, format_string(port, "kind"));
	table_add_styled(table, is_up ? STYLE_GOOD : STYLE_BAD, is_up ? "up" : "down");
	table_add(table, vlans_of(port, vlans, sizeof(vlans)));
	table_add(table, format_count((double)format_integer(port, "rx_packets"), text));
	table_add(table, format_bytes((double)format_integer(port, "rx_bytes"), text));
	table_add(table, format_count((double)format_integer(port, "tx_packets"), text));
	table_add(table, format_bytes((double)format_integer(port, "tx_bytes"), text));
	table_add_styled(
		table, lost > 0 ? STYLE_WARNING : STYLE_PLAIN, format_count((double)lost, text));
}

static void print_ports(const json_t *ports)
{
	static const struct table_column columns[] = {{"PORT", false, true}, {"KIND", false, false},
		{"LINK", false, false}, {"VLAN", false, true}, {"RX", true, false},
		{"BYTES", true, false}, {"TX", true, false}, {"BYTES", true, false},
		{"LOST", true, false}};
	struct table *table = table_create(columns, 9);
	json_t *port;
	size_t index;

	json_array_foreach (ports, index, port)
		add_port(table, port);
	format_print_table(table);
	table_destroy(table);
	json_array_foreach (ports, index, port) {
		if (!json_object_get(port, "problem"))
			continue;
		format_print_styled(STYLE_BAD, format_string(port, "name"));
		fputs(": ", stdout);
		format_print_styled(STYLE_BAD, format_string(port, "problem"));
		putchar('\n');
	}
}

/* Everything there is, "name  value", nested objects indented. */
static void print_fields(const json_t *object, int indent)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)object, name, value) {
		char *text;

		if (json_is_object(value)) {
			printf("%*s%s\n", indent, "", name);
			print_fields(value, indent + 2);
			continue;
		}
		text = json_is_string(value) ? NULL
					     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		printf("%*s%-*s ", indent, "", 22 - indent, name);
		format_print_styled(STYLE_PLAIN, text ? text : json_string_value(value));
		putchar('\n');
		free(text);
	}
}

static int show_port(struct cli *cli)
{
	json_t *result;

	if (cli_call(cli, "port.show", json_pack("{s:s}", "name", cli->arguments[0]), &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else
		print_fields(json_object_get(result, "port"), 0);
	json_decref(result);
	return CLI_OK;
}

int show_ports(struct cli *cli)
{
	json_t *params = json_object(), *result;

	if (cli->argument_count > 0) {
		json_decref(params);
		return show_port(cli);
	}
	cli_param_string(cli, params, "kind", "kind");
	if (cli_call_paged(cli, "port.list", params, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else
		print_ports(json_object_get(result, "ports"));
	json_decref(result);
	return CLI_OK;
}

/* --- vlans --- */

static void print_trunks(const json_t *trunks)
{
	static const struct table_column columns[] = {{"TRUNK", false, true},
		{"PACKETS OUT", true, false}, {"BYTES OUT", true, false},
		{"PACKETS IN", true, false}, {"BYTES IN", true, false}};
	static const char *const fields[] = {"to_gateway_packets", "to_gateway_bytes",
		"to_partitions_packets", "to_partitions_bytes"};
	struct table *table = table_create(columns, 5);
	const json_t *trunk;
	size_t index;

	json_array_foreach (trunks, index, trunk) {
		table_add(table, format_string(trunk, "name"));
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			table_add_format(
				table, "%lld", (long long)format_integer(trunk, fields[i]));
	}
	putchar('\n');
	format_print_table(table);
	table_destroy(table);
}

int show_vlans(struct cli *cli)
{
	static const struct table_column columns[] = {{"VLAN", true, false}, {"TRUNK", false, true},
		{"INSPECT", false, false}, {"ON-FAILURE", false, false}, {"ADDRESSES", true, false},
		{"MEMBERS", false, true}};
	struct table *table;
	json_t *result, *vlan;
	size_t index;

	if (cli_call_paged(cli, "vlan.list", NULL, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json) {
		cli_print_json(result);
		json_decref(result);
		return CLI_OK;
	}
	table = table_create(columns, 6);
	json_array_foreach (json_object_get(result, "vlans"), index, vlan) {
		const char *trunk = format_string(vlan, "trunk");
		char members[1024] = "";

		join(json_object_get(vlan, "members"), "", members, sizeof(members));
		join(json_object_get(vlan, "tagged"), "(t)", members, sizeof(members));
		table_add_format(table, "%lld", (long long)format_integer(vlan, "vlan"));
		table_add(table, *trunk ? trunk : "-");
		table_add(table, format_string(vlan, "inspect"));
		table_add(table, format_string(vlan, "on_failure"));
		table_add_format(table, "%lld", (long long)format_integer(vlan, "addresses"));
		table_add(table, members);
	}
	format_print_table(table);
	table_destroy(table);
	if (json_array_size(json_object_get(result, "trunks")) > 0)
		print_trunks(json_object_get(result, "trunks"));
	json_decref(result);
	return CLI_OK;
}

/* --- fdb --- */

static void print_fdb(const json_t *result)
{
	static const struct table_column columns[] = {{"VLAN", true, false},
		{"ADDRESS", false, false}, {"PORT", false, true}, {"KIND", false, false},
		{"AGE", true, false}};
	struct table *table = table_create(columns, 5);
	json_t *entry, *entries = json_object_get(result, "entries");
	char age[FORMAT_SIZE];
	size_t index;

	json_array_foreach (entries, index, entry) {
		table_add_format(table, "%lld", (long long)format_integer(entry, "vlan"));
		table_add(table, format_string(entry, "mac"));
		table_add(table, format_string(entry, "port"));
		table_add(table, format_string(entry, "kind"));
		table_add(table,
			format_boolean(entry, "is_static")
				? "static"
				: format_duration((uint64_t)format_integer(entry, "age_s"), age));
	}
	format_print_table(table);
	table_destroy(table);
	printf("%zu of %lld addresses\n", json_array_size(entries),
		(long long)format_integer(result, "total"));
}

int show_fdb(struct cli *cli)
{
	bool is_flush = cli_value(cli, "flush") != NULL;
	json_t *params = json_object(), *result;
	int code;

	if (cli_param_integer(cli, params, "vlan", "vlan") < 0) {
		json_decref(params);
		return CLI_USAGE;
	}
	cli_param_string(cli, params, "port", "port");
	cli_param_string(cli, params, "mac", "mac");
	code = is_flush ? cli_call(cli, "fdb.flush", params, &result)
			: cli_call_paged(cli, "fdb.list", params, &result);
	if (code != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else if (is_flush)
		printf("%lld addresses forgotten\n", (long long)format_integer(result, "flushed"));
	else
		print_fdb(result);
	json_decref(result);
	return CLI_OK;
}

/* --- drops --- */

static void print_drops(const json_t *result, bool with_all)
{
	static const struct table_column columns[] = {{"REASON", false, false},
		{"PACKETS", true, false}, {"WHERE", false, false}, {"MEANING", false, true}};
	struct table *table = table_create(columns, 4);
	char text[FORMAT_SIZE];
	json_t *drop;
	size_t index;

	json_array_foreach (json_object_get(result, "drops"), index, drop) {
		json_int_t packets = format_integer(drop, "packets");

		if (packets == 0 && !with_all)
			continue;
		table_add(table, format_string(drop, "reason"));
		table_add_styled(table, packets > 0 ? STYLE_WARNING : STYLE_DIM,
			format_count((double)packets, text));
		table_add(table, format_string(drop, "owner"));
		table_add(table, format_string(drop, "text"));
	}
	format_print_table(table);
	table_destroy(table);
}

int show_drops(struct cli *cli)
{
	json_t *params = json_object(), *result;

	cli_param_string(cli, params, "port", "port");
	if (cli_call(cli, "drops.list", params, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else if (format_integer(result, "total") == 0 && !cli_value(cli, "all"))
		puts("no packet was dropped");
	else
		print_drops(result, cli_value(cli, "all") != NULL);
	json_decref(result);
	return CLI_OK;
}
