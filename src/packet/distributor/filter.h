/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Common IP filters (D8): one ordered list of rules, the same on the distributor and on its
 * targets, compiled for librte_acl. What comes by GRE from a trusted link is not asked for: the
 * packet inside was filtered once, where it came in.
 *
 * Writer: the control thread (filter_control.c), which publishes a set whole. Readers: workers.
 */
#pragma once

#include "base/error.h"
#include "packet/engine/publish.h"
#include "packet/engine/worker.h"
#include "wire/decode.h"

#include <jansson.h>
#include <stdbool.h>

struct rte_acl_ctx;

#define FILTER_RULES_MAX   256  /* as they are written */
#define FILTER_ENTRIES_MAX 4096 /* as they are compiled: sources by destinations by ports */
#define FILTER_NAME_SIZE   32

enum filter_kind {
	FILTER_IPV4,
	FILTER_IPV6,
	/* Later fragments have no ports: a rule with ports that accepts is taken for them without,
	 * one that drops is not taken; its first fragment is dropped, and the rest is of no use. */
	FILTER_IPV4_FRAGMENT,
	FILTER_IPV6_FRAGMENT,
	FILTER_KIND_COUNT,
};

struct filter_rule {
	char name[FILTER_NAME_SIZE];
	uint16_t slot; /* of its counters: the same as long as its name is there */
	bool accepts;
	json_t *row; /* its part of the configuration, owned; control thread */
};

struct filter_set {
	bool accepts; /* what no rule is about */
	uint16_t count;
	struct filter_rule rules[FILTER_RULES_MAX];      /* in their order */
	struct rte_acl_ctx *compiled[FILTER_KIND_COUNT]; /* NULL: no rule is about these */
};

/* The set in force; read with publish_read(). NULL: nothing is filtered. */
extern struct filter_set *filter_set;

/* Packets that rules were about; each worker its own, read relaxed. The last is of those that no
 * rule was about. */
#define FILTER_SLOT_DEFAULT FILTER_RULES_MAX
extern uint64_t filter_hits[WORKERS_MAX][FILTER_RULES_MAX + 1];

/* Worker. Whether a packet may go on, in a set that was read (or NULL). What is no IP may not be
 * asked about. */
bool filter_check(const struct filter_set *set, const struct decoded *decoded);

/* Control thread. A set of the whole normalised document; NULL in *out when it has no rules and
 * accepts. Slots are those of running (or NULL) where names are the same. */
int filter_set_create(const json_t *config, const struct filter_set *running,
	struct filter_set **out, struct error *error);
void filter_set_destroy(struct filter_set *set);
