/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The section `channels` of the configuration, as the role uses it (C10): partitions with their
 * limits, and rules that say who may open channels to whom. What no rule allows is denied. Made
 * once from the normalised document, then constant. Control thread.
 */
#pragma once

#include "base/error.h"
#include "channel/attach_protocol.h"
#include "channel/endpoint.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/un.h>

#define POLICY_LANES_MAX 16

struct policy_partition {
	char name[ATTACH_NAME_SIZE];
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char group[ATTACH_NAME_SIZE];
	bool is_open_to_all; /* of who can reach the socket; else the group's */
	uint32_t endpoint_max, row_max, process_max;
	uint64_t memory_max; /* bytes of all rings */
	struct endpoint_reservation *reservations;
	uint32_t reservation_count;
};

struct policy_rule {
	char name[ATTACH_NAME_SIZE];
	char from[ATTACH_NAME_SIZE], to[ATTACH_NAME_SIZE];
	uint32_t channel_max;
	uint32_t message_max; /* bytes */
	uint64_t rate;        /* messages a second; 0: no limit */
};

struct policy {
	struct policy_partition *partitions;
	uint32_t partition_count;
	struct policy_rule *rules;
	uint32_t rule_count;
	uint32_t lane_count;
	int cores[POLICY_LANES_MAX]; /* -1: where the kernel puts it */
	uint64_t poll_ns;            /* a lane looks so long before it sleeps */
};

/* From the whole document, whose values the schema has checked. */
int policy_create(const json_t *document, struct policy **out, struct error *error);
/* NULL is allowed. */
void policy_destroy(struct policy *policy);
/* NULL: denied. Borrowed. */
const struct policy_rule *policy_find_rule(
	const struct policy *policy, const char *from, const char *to);
/* NULL: not configured. Borrowed. */
const struct policy_partition *policy_find_partition(const struct policy *policy, const char *name);
