/* SPDX-License-Identifier: BSD-3-Clause */
/* filters: the common IP filters with their hits. */
#include "cli/command.h"
#include "cli/format.h"

#include <string.h>

/* "192.0.2.0/24,192.0.2.80:80,443"; "any". */
static void add_side(
	struct table *table, const json_t *rule, const char *addresses, const char *ports)
{
	const json_t *lists[] = {json_object_get(rule, addresses), json_object_get(rule, ports)};
	char text[128] = "";
	size_t used = 0, i;
	json_t *item;

	for (int list = 0; list < 2; list++)
		json_array_foreach (lists[list], i, item) {
			const char *before = i ? "," : !list ? "" : used ? " port " : "port ";
			int wrote = snprintf(text + used, sizeof(text) - used, "%s%s", before,
				json_string_value(item));

			used += wrote > 0 ? (size_t)wrote : 0;
			if (used >= sizeof(text))
				used = sizeof(text) - 1;
		}
	table_add(table, used ? text : "any");
}

static void print_filters(const json_t *result)
{
	static const struct table_column columns[] = {{"ORDER", true, false}, {"RULE", false, true},
		{"ACTION", false, false}, {"PROTO", false, false}, {"SOURCE", false, true},
		{"DESTINATION", false, true}, {"HITS", true, false}};
	struct table *table = table_create(columns, 7);
	char text[FORMAT_SIZE];
	json_t *rule;
	size_t index;

	json_array_foreach (json_object_get(result, "rules"), index, rule) {
		bool accepts = strcmp(format_string(rule, "action"), "accept") == 0;

		table_add_format(table, "%lld", (long long)format_integer(rule, "order"));
		table_add(table, format_string(rule, "name"));
		table_add_styled(
			table, accepts ? STYLE_GOOD : STYLE_WARNING, format_string(rule, "action"));
		table_add(table, format_string(rule, "protocol"));
		add_side(table, rule, "source", "source_ports");
		add_side(table, rule, "destination", "destination_ports");
		table_add(table, format_count((double)format_integer(rule, "hits"), text));
	}
	format_print_table(table);
	table_destroy(table);
	printf("all others: %s (%s packets)\n", format_string(result, "default"),
		format_count((double)format_integer(result, "default_hits"), text));
}

int show_filters(struct cli *cli)
{
	return cli_show_paged(cli, "filters.list", json_object(), print_filters);
}
