/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules by protocol, direction and port: for a packet, the few that may speak of it, with their
 * prefilters. Immutable once built.
 */
#pragma once

#include "packet/inspect/builtin/rules/prefilter.h"

enum rule_direction { RULE_TO_SERVER, RULE_TO_CLIENT, RULE_DIRECTION_COUNT };

struct rule_group {
	struct prefilter *packet; /* rules that look at payloads of packets */
	struct prefilter *stream; /* rules that look at streams of TCP */
	uint32_t *headers;        /* rules without payload options, in order */
	size_t header_count;
};

struct rule_table {
	struct rule_group *groups;
	size_t group_count;
	uint8_t *group_of_port; /* 65536 elements: of the server's port; NULL: group 0 for all */
};

struct rule_groups {
	struct rule_table tables[RULE_CLASS_COUNT][RULE_DIRECTION_COUNT];
	size_t group_count, database_count, pattern_count, size;
};

/* rules in their order; *groups zeroed. On failure rule_groups_close() is still due. */
int rule_groups_build(struct rule_groups *groups, struct rule *const *rules, size_t count,
	struct prefilter_build *build, struct error *error);
void rule_groups_close(struct rule_groups *groups);

/* Adds their databases to a cache that was begun. 0, or -EIO. */
int rule_groups_store(
	const struct rule_groups *groups, struct pattern_cache *cache, struct error *error);

/* Enlarges *scratch for all of them. */
int rule_groups_reserve(const struct rule_groups *groups, hs_scratch_t **scratch);

/* port: the destination's on the way to the server, the source's on the way back. */
static inline const struct rule_group *rule_groups_find(const struct rule_groups *groups,
	enum rule_protocol_class class, enum rule_direction direction, uint16_t port)
{
	const struct rule_table *table = &groups->tables[class][direction];

	return &table->groups[table->group_of_port ? table->group_of_port[port] : 0];
}
