/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect, inspect rules, inspect flows, inspect reload. */
#include "cli/command.h"
#include "cli/format.h"

#include <string.h>

static void print_engines(const json_t *engines)
{
	static const struct table_column columns[] = {{"ENGINE", false, true},
		{"STATE", false, false}, {"SEEN", true, false}, {"PASSED", true, false},
		{"DROPPED", true, false}, {"CHANGED", true, false}, {"EXPIRED", true, false},
		{"ALERTS", true, false}, {"RULES", true, false}, {"FLOWS", true, false}};
	struct table *table = table_create(columns, 10);
	static const char *const counters[] = {"packets", "passed", "dropped", "replaced",
		"expired", "alerts", "rules_loaded", "flows"};
	char text[FORMAT_SIZE];
	json_t *engine;
	size_t index;

	json_array_foreach (engines, index, engine) {
		const char *state = format_string(engine, "state");

		table_add(table, format_string(engine, "name"));
		table_add_styled(table,
			strcmp(state, "running") == 0        ? STYLE_GOOD
				: strcmp(state, "down") == 0 ? STYLE_BAD
							     : STYLE_WARNING,
			state);
		for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
			table_add(table,
				format_count((double)format_integer(engine, counters[i]), text));
	}
	format_print_table(table);
	table_destroy(table);
}

/* Of those that are programs of their own. */
static void print_programs(const json_t *engines)
{
	json_t *engine;
	size_t index;

	json_array_foreach (engines, index, engine) {
		const json_t *details = json_object_get(engine, "details");

		if (!json_object_get(details, "version"))
			continue;
		printf("%s: version %s, pid %lld, started again %lld times; %lld packets in "
		       "flight, %lld \u00b5s there and back; %lld events\n",
			format_string(engine, "name"), format_string(details, "version"),
			(long long)format_integer(details, "pid"),
			(long long)format_integer(details, "restarts"),
			(long long)format_integer(details, "in_flight"),
			(long long)format_integer(details, "round_trip_us"),
			(long long)format_integer(details, "events"));
	}
}

/* What compiled rules are made of, and the memory that they take. */
static void print_rulesets(const json_t *engines)
{
	char rules[FORMAT_SIZE], patterns[FORMAT_SIZE], bytes[FORMAT_SIZE];
	json_t *engine;
	size_t index;

	json_array_foreach (engines, index, engine) {
		const json_t *ruleset =
			json_object_get(json_object_get(engine, "details"), "ruleset");

		if (!ruleset)
			continue;
		format_count((double)format_integer(ruleset, "rules"), rules);
		format_count((double)format_integer(ruleset, "patterns"), patterns);
		format_bytes((double)format_integer(ruleset, "bytes"), bytes);
		printf("%s: %s rules with %s patterns take %s of memory\n",
			format_string(engine, "name"), rules, patterns, bytes);
	}
}

static void print_problems(const json_t *engines)
{
	json_t *engine;
	size_t index;

	json_array_foreach (engines, index, engine) {
		const json_t *details = json_object_get(engine, "details");
		json_int_t refused = format_integer(engine, "rules_refused");
		const json_t *compiling = json_object_get(engine, "compiling");

		if (compiling)
			printf("%s: new rules are compiled: %lld%% in %.1f s\n",
				format_string(engine, "name"),
				(long long)format_integer(compiling, "percent"),
				(double)format_integer(compiling, "elapsed_ms") / 1000);
		if (json_object_get(engine, "problem")) {
			printf("%s: ", format_string(engine, "name"));
			format_print_styled(STYLE_BAD, format_string(engine, "problem"));
			putchar('\n');
		}
		if (refused > 0 && json_object_get(details, "folder"))
			printf("%s: %lld rules are refused; %s/run/program.log says why\n",
				format_string(engine, "name"), (long long)refused,
				format_string(details, "folder"));
		else if (refused > 0)
			printf("%s: %lld rules are refused; bulkhead inspect rules --refused says "
			       "why\n",
				format_string(engine, "name"), (long long)refused);
	}
}

/* What an engine outside of this process tells beside the counters of all. */
static void print_appliance(const json_t *engines)
{
	json_t *engine;
	size_t index;

	json_array_foreach (engines, index, engine) {
		const json_t *details = json_object_get(engine, "details");

		if (strcmp(format_string(engine, "name"), "appliance") != 0)
			continue;
		printf("appliance  %s over %s, %.0f us there and back; %lld in flight\n",
			format_string(details, "remote"), format_string(details, "link"),
			json_number_value(json_object_get(details, "round_trip_us")),
			(long long)format_integer(details, "in_flight"));
		printf("           %lld sent, %lld returned: %lld refused, %lld without a verdict, "
		       "%lld forged; %lld too large\n",
			(long long)format_integer(details, "sent"),
			(long long)format_integer(details, "returned"),
			(long long)format_integer(details, "refused"),
			(long long)format_integer(details, "failed"),
			(long long)format_integer(details, "forged"),
			(long long)format_integer(details, "too_large"));
	}
}

/* For whom this host is the appliance. */
static void print_clients(const json_t *clients)
{
	static const struct table_column columns[] = {{"CLIENT", false, true},
		{"REQUESTS", true, false}, {"PASSED", true, false}, {"DROPPED", true, false},
		{"FAILED", true, false}, {"FORGED", true, false}, {"PROBES", true, false}};
	static const char *const counters[] = {
		"requests", "passed", "dropped", "failed", "forged", "probes"};
	struct table *table;
	char text[FORMAT_SIZE];
	json_t *client;
	size_t index;

	if (!clients)
		return;
	table = table_create(columns, 7);
	json_array_foreach (clients, index, client) {
		table_add(table, format_string(client, "address"));
		for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
			table_add(table,
				format_count((double)format_integer(client, counters[i]), text));
	}
	putchar('\n');
	format_print_table(table);
	table_destroy(table);
}

static void print_status(const json_t *result)
{
	const json_t *hold = json_object_get(result, "hold");
	const json_t *failures = json_object_get(result, "failures");

	print_engines(json_object_get(result, "engines"));
	print_rulesets(json_object_get(result, "engines"));
	print_programs(json_object_get(result, "engines"));
	print_problems(json_object_get(result, "engines"));
	printf("\nscope      %s\n", format_string(result, "scope"));
	printf("deadline   %lld ms, then %s; so far %lld passed and %lld dropped without a "
	       "verdict\n",
		(long long)format_integer(result, "deadline_ms"),
		format_string(result, "on_failure"), (long long)format_integer(failures, "passed"),
		(long long)format_integer(failures, "dropped"));
	printf("held       %lld of %lld packets; %lld expired, %lld invalid returns\n",
		(long long)format_integer(hold, "held"),
		(long long)format_integer(hold, "capacity"),
		(long long)format_integer(hold, "expired"),
		(long long)format_integer(hold, "invalid_returns"));
	print_appliance(json_object_get(result, "engines"));
	print_clients(json_object_get(result, "clients"));
}

int inspect_status(struct cli *cli)
{
	return cli_show(cli, "inspect.status", NULL, print_status);
}

static void add_rule(struct table *table, const json_t *rule)
{
	bool is_refused = strcmp(format_string(rule, "state"), "refused") == 0;
	json_int_t sid = format_integer(rule, "sid");
	const char *file = format_string(rule, "file");
	const char *base = strrchr(file, '/');

	table_add_format(
		table, "%s:%lld", base ? base + 1 : file, (long long)format_integer(rule, "line"));
	if (sid > 0)
		table_add_format(table, "%lld", (long long)sid);
	else
		table_add(table, "");
	table_add_styled(table, is_refused ? STYLE_BAD : STYLE_PLAIN,
		is_refused ? "refused" : format_string(rule, "action"));
	table_add_format(table, "%lld", (long long)format_integer(rule, "matches"));
	table_add(table, is_refused ? format_string(rule, "reason") : format_string(rule, "msg"));
}

static void print_coverage(const json_t *result)
{
	printf("%lld in force, %lld refused: %.1f%% in force\n",
		(long long)format_integer(result, "loaded"),
		(long long)format_integer(result, "refused"),
		json_number_value(json_object_get(result, "coverage_percent")));
}

static void print_rules(const json_t *result)
{
	static const struct table_column columns[] = {{"PLACE", false, true}, {"SID", true, false},
		{"ACTION", false, false}, {"MATCHES", true, false}, {"MESSAGE", false, true}};
	struct table *table = table_create(columns, 5);
	json_t *rule;
	size_t index;

	json_array_foreach (json_object_get(result, "rules"), index, rule)
		add_rule(table, rule);
	format_print_table(table);
	table_destroy(table);
	print_coverage(result);
}

/* One line each, as long as it takes: the reason is what matters here. */
static void print_refused(const json_t *result)
{
	json_t *rule;
	size_t index;

	json_array_foreach (json_object_get(result, "rules"), index, rule) {
		format_print_styled(STYLE_PLAIN, format_string(rule, "file"));
		printf(":%lld: ", (long long)format_integer(rule, "line"));
		if (format_integer(rule, "sid") > 0)
			printf("sid %lld: ", (long long)format_integer(rule, "sid"));
		if (*format_string(rule, "keyword")) {
			format_print_styled(STYLE_BOLD, format_string(rule, "keyword"));
			fputs(": ", stdout);
		}
		format_print_styled(STYLE_BAD, format_string(rule, "reason"));
		putchar('\n');
	}
	print_coverage(result);
}

static void print_keywords(const json_t *result)
{
	static const struct table_column columns[] = {
		{"REFUSED", true, false}, {"BY", false, false}};
	struct table *table = table_create(columns, 2);
	json_t *row;
	size_t index;

	json_array_foreach (json_object_get(result, "refused_by_keyword"), index, row) {
		table_add_format(table, "%lld", (long long)format_integer(row, "rules"));
		table_add(table, format_string(row, "keyword"));
	}
	if (index > 0)
		format_print_table(table);
	table_destroy(table);
	print_coverage(result);
	printf("%lld files, %lld rules in comments\n", (long long)format_integer(result, "files"),
		(long long)format_integer(result, "disabled"));
}

static int show_coverage(struct cli *cli)
{
	json_t *result;

	if (cli_call(cli, "inspect.rules", json_pack("{s:i}", "limit", 1), &result) != 0)
		return CLI_FAILED;
	json_object_del(result, "rules");
	json_object_del(result, "next");
	if (cli->is_json)
		cli_print_json(result);
	else
		print_keywords(result);
	json_decref(result);
	return CLI_OK;
}

int inspect_rules(struct cli *cli)
{
	json_t *params, *result;

	if (cli_value(cli, "coverage"))
		return show_coverage(cli);
	params = json_object();
	if (cli_value(cli, "refused"))
		json_object_set_new(params, "state", json_string("refused"));
	if (cli_param_integer(cli, params, "sid", "sid") < 0) {
		json_decref(params);
		return CLI_USAGE;
	}
	if (cli_call_paged(cli, "inspect.rules", params, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else if (cli_value(cli, "refused"))
		print_refused(result);
	else
		print_rules(result);
	json_decref(result);
	return CLI_OK;
}

/* "192.0.2.1:80", "[2001:db8::1]:80", or the address alone. */
static void add_end(struct table *table, const json_t *flow, const char *address, const char *port)
{
	const char *text = format_string(flow, address);
	json_int_t number = format_integer(flow, port);

	if (number == 0)
		table_add(table, text);
	else
		table_add_format(table, strchr(text, ':') ? "[%s]:%lld" : "%s:%lld", text,
			(long long)number);
}

/* The transport, and what is spoken on it where that is known. */
static void add_protocol(struct table *table, const json_t *flow)
{
	const char *protocol = format_string(flow, "protocol");

	if (json_object_get(flow, "app_protocol"))
		table_add_format(table, "%s/%s", protocol, format_string(flow, "app_protocol"));
	else
		table_add(table, protocol);
}

/* The verdict with what it rests on. */
static void add_verdict(struct table *table, const json_t *flow)
{
	const char *verdict = format_string(flow, "verdict");

	if (format_integer(flow, "sid") > 0)
		table_add_format(
			table, "%s: rule %lld", verdict, (long long)format_integer(flow, "sid"));
	else if (json_object_get(flow, "why"))
		table_add_format(table, "%s: %s", verdict, format_string(flow, "why"));
	else if (json_is_true(json_object_get(flow, "alerted")))
		table_add_format(table, "%s: alerted", verdict);
	else
		table_add(table, verdict);
}

static void print_flows(const json_t *result)
{
	static const struct table_column columns[] = {{"VLAN", true, false},
		{"PROTO", false, false}, {"CLIENT", false, true}, {"SERVER", false, true},
		{"STATE", false, false}, {"VERDICT", false, false}, {"SENT", true, false},
		{"RECEIVED", true, false}};
	struct table *table = table_create(columns, 8);
	json_t *flow, *flows = json_object_get(result, "flows");
	char text[FORMAT_SIZE];
	size_t index;

	json_array_foreach (flows, index, flow) {
		table_add_format(table, "%lld", (long long)format_integer(flow, "vlan"));
		add_protocol(table, flow);
		add_end(table, flow, "client", "client_port");
		add_end(table, flow, "server", "server_port");
		table_add(table, format_string(flow, "state"));
		add_verdict(table, flow);
		table_add(
			table, format_bytes((double)format_integer(flow, "bytes_to_server"), text));
		table_add(
			table, format_bytes((double)format_integer(flow, "bytes_to_client"), text));
	}
	format_print_table(table);
	table_destroy(table);
	printf("%zu of %lld flows; what the client sent and received; packets with --json\n",
		json_array_size(flows), (long long)format_integer(result, "total"));
}

int inspect_flows(struct cli *cli)
{
	json_t *params = json_object();

	if (cli_param_integer(cli, params, "vlan", "vlan") < 0) {
		json_decref(params);
		return CLI_USAGE;
	}
	cli_param_string(cli, params, "address", "address");
	cli_param_string(cli, params, "verdict", "verdict");
	return cli_show_paged(cli, "inspect.flows", params, print_flows);
}

int inspect_reload(struct cli *cli)
{
	json_t *result;

	if (cli_call(cli, "inspect.reload", NULL, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else
		printf("%lld rules in force, %lld refused, in %lld ms\n",
			(long long)format_integer(result, "loaded"),
			(long long)format_integer(result, "refused"),
			(long long)format_integer(result, "duration_ms"));
	json_decref(result);
	return CLI_OK;
}
