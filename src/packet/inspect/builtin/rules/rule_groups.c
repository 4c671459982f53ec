/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/rule_groups.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536
/* Port lists that divide a table into groups: those that most rules have. The other rules are in
 * each group; their ports are checked with the rest of the header. */
#define DIVIDERS_MAX 12
#define GROUPS_MAX   64
/* A rule may be in several groups, but the patterns of all groups of a table are at most this
 * many times its rules: it bounds memory, and the time that Hyperscan takes. */
#define COPIES_MAX 3

struct divider {
	const struct interval_set *ports;
	size_t rule_count;
};

struct table_builder {
	enum rule_protocol_class class;
	enum rule_direction direction;
	struct rule **rules; /* of this table */
	size_t count;
	struct divider *dividers;
	size_t divider_count;
	uint8_t group_of_port[PORTS];
	uint16_t sample[GROUPS_MAX]; /* one port of each group */
	size_t group_count;
	struct prefilter_build *build;
	size_t rules_done, rules_all; /* over all tables, for the progress */
};

static bool belongs_to_class(const struct rule *rule, enum rule_protocol_class class)
{
	switch (rule->protocol) {
	case RULE_PROTOCOL_ANY:
		return true;
	case RULE_PROTOCOL_ICMP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return class == RULE_CLASS_ICMP;
	case IPPROTO_TCP:
		return class == RULE_CLASS_TCP;
	case IPPROTO_UDP:
		return class == RULE_CLASS_UDP;
	default:
		return class == RULE_CLASS_OTHER;
	}
}

static bool belongs_to_direction(const struct rule *rule, enum rule_direction direction)
{
	return !(rule->flow
		& (direction == RULE_TO_SERVER ? RULE_FLOW_TO_CLIENT : RULE_FLOW_TO_SERVER));
}

/* The list that the table's port is held against; NULL: any, or not so easily said. */
static const struct interval_set *ports_of(const struct rule *rule, enum rule_direction direction)
{
	if (rule->is_bidirectional)
		return NULL;
	return direction == RULE_TO_SERVER ? rule->destination_ports : rule->source_ports;
}

/* ---- dividing ports ---- */

static int compare_dividers(const void *left, const void *right)
{
	const struct divider *a = left, *b = right;

	return a->rule_count > b->rule_count ? -1 : a->rule_count < b->rule_count;
}

static int compare_pointers(const void *left, const void *right)
{
	const struct divider *a = left, *b = right;
	uintptr_t x = (uintptr_t)a->ports, y = (uintptr_t)b->ports;

	return x < y ? -1 : x > y;
}

/* The port lists of the table's rules, most frequent first. */
static int find_dividers(struct table_builder *builder)
{
	struct divider *dividers = calloc(builder->count + 1, sizeof(*dividers));
	size_t count = 0, kept = 0;

	if (!dividers)
		return -ENOMEM;
	for (size_t i = 0; i < builder->count; i++) {
		const struct interval_set *ports = ports_of(builder->rules[i], builder->direction);

		if (ports)
			dividers[count++] = (struct divider){ports, 1};
	}
	qsort(dividers, count, sizeof(*dividers), compare_pointers);
	for (size_t i = 0; i < count; i++) {
		if (kept > 0 && dividers[kept - 1].ports == dividers[i].ports)
			dividers[kept - 1].rule_count++;
		else
			dividers[kept++] = dividers[i];
	}
	qsort(dividers, kept, sizeof(*dividers), compare_dividers);
	builder->dividers = dividers;
	builder->divider_count = kept < DIVIDERS_MAX ? kept : DIVIDERS_MAX;
	return 0;
}

static bool is_divider(const struct table_builder *builder, const struct interval_set *ports)
{
	for (size_t i = 0; i < builder->divider_count; i++)
		if (builder->dividers[i].ports == ports)
			return true;
	return false;
}

/* Splits groups whose ports are partly in the list. false: there would be too many. */
static bool split_groups(struct table_builder *builder, const struct interval_set *ports)
{
	uint16_t inside[GROUPS_MAX] = {0}; /* of each old group: its new half's number, or 0 */
	bool has_outside[GROUPS_MAX] = {0};
	size_t old_count = builder->group_count;

	for (size_t port = 0; port < PORTS; port++) {
		uint8_t group = builder->group_of_port[port];

		if (!interval_set_has(ports, port)) {
			has_outside[group] = true;
			continue;
		}
		if (inside[group] == 0) {
			if (builder->group_count == GROUPS_MAX)
				return false;
			inside[group] = (uint16_t)builder->group_count++;
		}
	}
	for (size_t port = 0; port < PORTS; port++) {
		uint8_t group = builder->group_of_port[port];

		if (group < old_count && has_outside[group] && interval_set_has(ports, port))
			builder->group_of_port[port] = (uint8_t)inside[group];
	}
	return true;
}

/* Numbers the groups that have ports from 0 on. */
static void renumber_groups(struct table_builder *builder)
{
	uint8_t number[GROUPS_MAX];
	bool is_seen[GROUPS_MAX] = {0};

	builder->group_count = 0;
	for (size_t port = 0; port < PORTS; port++) {
		uint8_t group = builder->group_of_port[port];

		if (!is_seen[group]) {
			is_seen[group] = true;
			builder->sample[builder->group_count] = (uint16_t)port;
			number[group] = (uint8_t)builder->group_count++;
		}
		builder->group_of_port[port] = number[group];
	}
}

static bool is_in_group(const struct table_builder *builder, const struct rule *rule, size_t group)
{
	const struct interval_set *ports = ports_of(rule, builder->direction);

	if (!ports || !is_divider(builder, ports))
		return true;
	return interval_set_has(ports, builder->sample[group]);
}

static size_t count_copies(const struct table_builder *builder)
{
	size_t copies = 0;

	for (size_t group = 0; group < builder->group_count; group++)
		for (size_t i = 0; i < builder->count; i++)
			copies += is_in_group(builder, builder->rules[i], group);
	return copies;
}

/* Divides by as many port lists as the bounds allow. */
static void divide(struct table_builder *builder)
{
	for (;; builder->divider_count /= 2) {
		bool fits = true;

		memset(builder->group_of_port, 0, sizeof(builder->group_of_port));
		builder->group_count = 1;
		for (size_t i = 0; i < builder->divider_count && fits; i++) {
			fits = split_groups(builder, builder->dividers[i].ports);
			renumber_groups(builder);
		}
		if (builder->divider_count == 0
			|| (fits && count_copies(builder) <= COPIES_MAX * builder->count))
			return;
	}
}

/* ---- building ---- */

static int build_group(struct rule_group *group, enum rule_protocol_class class,
	struct rule *const *rules, size_t count, struct prefilter_build *build, struct error *error)
{
	bool has_streams = class == RULE_CLASS_TCP;
	struct rule **chosen = calloc(count + 1, sizeof(struct rule *));
	size_t packet = 0, stream = 0;
	int code = -ENOMEM;

	group->headers = calloc(count + 1, sizeof(*group->headers));
	if (!chosen || !group->headers)
		goto out;
	for (size_t i = 0; i < count; i++) {
		if (rules[i]->part_count > 0)
			continue; /* rule_messages.c */
		if (rules[i]->item_count == 0)
			group->headers[group->header_count++] = rules[i]->info.index;
		else if (rules[i]->looks_at_packet || !has_streams)
			chosen[packet++] = rules[i];
	}
	code = prefilter_create(chosen, packet, build, &group->packet, error);
	if (code < 0)
		goto out;
	for (size_t i = 0; i < count; i++)
		if (has_streams && rules[i]->item_count > 0 && rules[i]->part_count == 0
			&& rules[i]->looks_at_stream)
			chosen[stream++] = rules[i];
	code = prefilter_create(chosen, stream, build, &group->stream, error);
out:
	free(chosen);
	return code;
}

/* Groups of a table take about the same time each; reading the rules was the first part. */
static void tell_progress(const struct table_builder *builder, size_t groups_done)
{
	uint64_t done = builder->rules_done + builder->count * groups_done / builder->group_count;

	if (builder->rules_all > 0)
		compile_progress_set(builder->build->progress,
			RULE_READING_PERMILLE
				+ (uint32_t)((1000 - RULE_READING_PERMILLE) * done
					/ builder->rules_all));
}

static int build_groups(
	struct table_builder *builder, struct rule_table *table, struct error *error)
{
	struct rule **members = calloc(builder->count + 1, sizeof(struct rule *));
	int code = members ? 0 : -ENOMEM;

	table->groups = calloc(builder->group_count, sizeof(*table->groups));
	if (!table->groups)
		code = -ENOMEM;
	for (size_t group = 0; group < builder->group_count && code == 0; group++) {
		size_t count = 0;

		for (size_t i = 0; i < builder->count; i++)
			if (is_in_group(builder, builder->rules[i], group))
				members[count++] = builder->rules[i];
		table->group_count = group + 1;
		code = build_group(&table->groups[group], builder->class, members, count,
			builder->build, error);
		tell_progress(builder, group + 1);
	}
	if (code == 0 && builder->group_count > 1) {
		table->group_of_port = malloc(PORTS);
		if (table->group_of_port)
			memcpy(table->group_of_port, builder->group_of_port, PORTS);
		else
			code = -ENOMEM;
	}
	free(members);
	return code;
}

static void choose_rules(struct table_builder *builder, struct rule *const *rules, size_t count)
{
	builder->count = 0;
	for (size_t i = 0; i < count; i++)
		if (belongs_to_class(rules[i], builder->class)
			&& belongs_to_direction(rules[i], builder->direction))
			builder->rules[builder->count++] = rules[i];
}

static int build_table(struct table_builder *builder, struct rule_table *table,
	struct rule *const *rules, size_t count, struct error *error)
{
	int code;

	choose_rules(builder, rules, count);
	code = find_dividers(builder);
	if (code == 0) {
		if (builder->class != RULE_CLASS_TCP && builder->class != RULE_CLASS_UDP)
			builder->divider_count = 0;
		divide(builder);
		code = build_groups(builder, table, error);
	}
	free(builder->dividers);
	builder->dividers = NULL;
	builder->rules_done += builder->count;
	return code;
}

static void count_sizes(struct rule_groups *groups)
{
	for (size_t class = 0; class < RULE_CLASS_COUNT; class ++) {
		for (size_t direction = 0; direction < RULE_DIRECTION_COUNT; direction++) {
			const struct rule_table *table = &groups->tables[class][direction];

			groups->group_count += table->group_count;
			groups->size += table->group_of_port ? PORTS : 0;
			for (size_t i = 0; i < table->group_count; i++) {
				const struct rule_group *group = &table->groups[i];

				groups->database_count +=
					(prefilter_pattern_count(group->packet) > 0)
					+ (prefilter_pattern_count(group->stream) > 0);
				groups->pattern_count += prefilter_pattern_count(group->packet)
					+ prefilter_pattern_count(group->stream);
				groups->size += prefilter_size(group->packet)
					+ prefilter_size(group->stream)
					+ group->header_count * sizeof(uint32_t);
			}
		}
	}
}

static size_t count_rules_of_tables(
	struct table_builder *builder, struct rule *const *rules, size_t count)
{
	size_t all = 0;

	for (size_t class = 0; class < RULE_CLASS_COUNT; class ++) {
		for (size_t direction = 0; direction < RULE_DIRECTION_COUNT; direction++) {
			builder->class = class;
			builder->direction = direction;
			choose_rules(builder, rules, count);
			all += builder->count;
		}
	}
	return all;
}

int rule_groups_build(struct rule_groups *groups, struct rule *const *rules, size_t count,
	struct prefilter_build *build, struct error *error)
{
	struct table_builder *builder = calloc(1, sizeof(*builder));
	int code = -ENOMEM;

	if (!builder)
		return code;
	builder->rules = calloc(count + 1, sizeof(struct rule *));
	if (!builder->rules)
		goto out;
	builder->build = build;
	builder->rules_all = count_rules_of_tables(builder, rules, count);
	code = 0;
	for (size_t class = 0; class < RULE_CLASS_COUNT; class ++) {
		for (size_t direction = 0; direction < RULE_DIRECTION_COUNT && code == 0;
			direction++) {
			builder->class = class;
			builder->direction = direction;
			code = build_table(
				builder, &groups->tables[class][direction], rules, count, error);
		}
	}
	if (code == 0)
		count_sizes(groups);
out:
	free(builder->rules);
	free(builder);
	return code;
}

static int store_table(
	const struct rule_table *table, struct pattern_cache *cache, struct error *error)
{
	int code = 0;

	for (size_t i = 0; i < table->group_count && code == 0; i++) {
		code = prefilter_store(table->groups[i].packet, cache, error);
		if (code == 0)
			code = prefilter_store(table->groups[i].stream, cache, error);
	}
	return code;
}

int rule_groups_store(
	const struct rule_groups *groups, struct pattern_cache *cache, struct error *error)
{
	int code = 0;

	for (size_t class = 0; class < RULE_CLASS_COUNT; class ++)
		for (size_t direction = 0; direction < RULE_DIRECTION_COUNT && code == 0;
			direction++)
			code = store_table(&groups->tables[class][direction], cache, error);
	return code;
}

static void close_table(struct rule_table *table)
{
	for (size_t i = 0; table->groups && i < table->group_count; i++) {
		prefilter_destroy(table->groups[i].packet);
		prefilter_destroy(table->groups[i].stream);
		free(table->groups[i].headers);
	}
	free(table->groups);
	free(table->group_of_port);
}

void rule_groups_close(struct rule_groups *groups)
{
	for (size_t class = 0; class < RULE_CLASS_COUNT; class ++)
		for (size_t direction = 0; direction < RULE_DIRECTION_COUNT; direction++)
			close_table(&groups->tables[class][direction]);
	*groups = (struct rule_groups){0};
}

int rule_groups_reserve(const struct rule_groups *groups, hs_scratch_t **scratch)
{
	int code = 0;

	for (size_t class = 0; class < RULE_CLASS_COUNT; class ++) {
		for (size_t direction = 0; direction < RULE_DIRECTION_COUNT; direction++) {
			const struct rule_table *table = &groups->tables[class][direction];

			for (size_t i = 0; i < table->group_count && code == 0; i++) {
				code = prefilter_reserve(table->groups[i].packet, scratch);
				if (code == 0)
					code = prefilter_reserve(table->groups[i].stream, scratch);
			}
		}
	}
	return code;
}
