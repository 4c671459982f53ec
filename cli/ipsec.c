/* SPDX-License-Identifier: BSD-3-Clause */
/* ipsec, ipsec sas, ipsec policies, ipsec handover. */
#include "cli/command.h"
#include "cli/format.h"

#include <string.h>

static void print_traffic(const json_t *result, const char *direction, const char *word)
{
	const json_t *sum = json_object_get(result, direction);
	char packets[FORMAT_SIZE], bytes[FORMAT_SIZE];

	printf("%-10s %s packets, %s\n", word,
		format_count((double)format_integer(sum, "packets"), packets),
		format_bytes((double)format_integer(sum, "bytes"), bytes));
}

static void print_errors(const json_t *errors)
{
	static const struct table_column columns[] = {
		{"DROPPED", true, false}, {"REASON", false, false}, {"MEANING", false, true}};
	struct table *table = table_create(columns, 3);
	char text[FORMAT_SIZE];
	json_t *error;
	size_t index, rows = 0;

	json_array_foreach (errors, index, error) {
		if (format_integer(error, "packets") == 0)
			continue;
		table_add(table, format_count((double)format_integer(error, "packets"), text));
		table_add(table, format_string(error, "reason"));
		table_add(table, format_string(error, "text"));
		rows++;
	}
	if (rows > 0) {
		putchar('\n');
		format_print_table(table);
	}
	table_destroy(table);
}

static void print_status(const json_t *result)
{
	if (!format_boolean(result, "is_on")) {
		puts("IPsec is off: the configuration has no section ipsec");
		return;
	}
	printf("SAs        %lld of %lld at most\n", (long long)format_integer(result, "sas"),
		(long long)format_integer(result, "sas_max"));
	printf("policies   %lld; what none matches: %s\n",
		(long long)format_integer(result, "policies"), format_string(result, "unmatched"));
	print_traffic(result, "in", "opened");
	print_traffic(result, "out", "protected");
	print_errors(json_object_get(result, "errors"));
}

int ipsec_status(struct cli *cli)
{
	return cli_show(cli, "ipsec.status", NULL, print_status);
}

/* "192.0.2.1", or "192.0.2.1:4500" of ESP in UDP. */
static void add_end(struct table *table, const json_t *sa, const char *address, const char *port)
{
	const char *text = format_string(sa, address);
	json_int_t number = format_integer(sa, port);

	if (number > 0)
		table_add_format(table, strchr(text, ':') ? "[%s]:%lld" : "%s:%lld", text,
			(long long)number);
	else
		table_add(table, text);
}

static void add_algorithms(struct table *table, const json_t *sa)
{
	const char *integrity = format_string(sa, "integrity");

	if (strcmp(integrity, "none") == 0)
		table_add(table, format_string(sa, "cipher"));
	else
		table_add_format(table, "%s/%s", format_string(sa, "cipher"), integrity);
}

static void add_sa(struct table *table, const json_t *sa)
{
	const char *state = format_string(sa, "state");
	char text[FORMAT_SIZE];

	table_add_format(table, "%08llx", (unsigned long long)format_integer(sa, "spi"));
	table_add(table, format_string(sa, "direction"));
	add_end(table, sa, "source", "source_port");
	add_end(table, sa, "destination", "destination_port");
	add_algorithms(table, sa);
	table_add_styled(table, strcmp(state, "alive") == 0 ? STYLE_GOOD : STYLE_WARNING, state);
	table_add(table, format_count((double)format_integer(sa, "packets"), text));
	table_add(table,
		format_count((double)(format_integer(sa, "replays") + format_integer(sa, "forged")
				     + format_integer(sa, "refused")),
			text));
	table_add(table, format_duration((uint64_t)format_integer(sa, "age_s"), text));
}

static void print_sas(const json_t *result)
{
	static const struct table_column columns[] = {{"SPI", false, false}, {"", false, false},
		{"SOURCE", false, true}, {"DESTINATION", false, true}, {"ALGORITHMS", false, true},
		{"STATE", false, false}, {"PACKETS", true, false}, {"ERRORS", true, false},
		{"AGE", true, false}};
	struct table *table = table_create(columns, 9);
	json_t *sa;
	size_t index;

	json_array_foreach (json_object_get(result, "sas"), index, sa)
		add_sa(table, sa);
	format_print_table(table);
	table_destroy(table);
}

int ipsec_sas(struct cli *cli)
{
	return cli_show_paged(cli, "ipsec.sas", json_object(), print_sas);
}

static void add_policy(struct table *table, const json_t *policy)
{
	json_int_t spi = format_integer(policy, "spi");
	char text[FORMAT_SIZE];

	table_add_format(table, "%lld", (long long)format_integer(policy, "priority"));
	table_add(table, format_string(policy, "direction"));
	table_add(table, format_string(policy, "action"));
	table_add(table, format_string(policy, "source"));
	table_add(table, format_string(policy, "destination"));
	if (format_integer(policy, "protocol"))
		table_add_format(table, "%lld", (long long)format_integer(policy, "protocol"));
	else
		table_add(table, "any");
	if (spi)
		table_add_format(table, "%08llx", (unsigned long long)spi);
	else
		table_add(table, "");
	table_add(table, format_count((double)format_integer(policy, "packets"), text));
}

static void print_policies(const json_t *result)
{
	static const struct table_column columns[] = {{"PRIORITY", true, false}, {"", false, false},
		{"ACTION", false, false}, {"SOURCE", false, true}, {"DESTINATION", false, true},
		{"PROTOCOL", false, false}, {"SPI", false, false}, {"PACKETS", true, false}};
	struct table *table = table_create(columns, 8);
	json_t *policy;
	size_t index;

	json_array_foreach (json_object_get(result, "policies"), index, policy)
		add_policy(table, policy);
	format_print_table(table);
	table_destroy(table);
}

int ipsec_policies(struct cli *cli)
{
	return cli_show_paged(cli, "ipsec.policies", json_object(), print_policies);
}

static void print_handover(const json_t *result)
{
	printf("The other daemon has %lld virtual addresses, with %lld associations, %lld policies "
	       "and %lld connections.\nIt was silent for %lld ms. This daemon is in standby.\n",
		(long long)format_integer(result, "vipas"),
		(long long)format_integer(result, "sas"),
		(long long)format_integer(result, "policies"),
		(long long)format_integer(result, "connections"),
		(long long)format_integer(result, "silence_ms"));
}

int ipsec_handover(struct cli *cli)
{
	return cli_show(
		cli, "ipsec.handover", json_pack("{s:s}", "to", cli->arguments[0]), print_handover);
}
