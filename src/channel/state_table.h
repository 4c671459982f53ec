/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The channel state table of a partition (C1): a row is what the partition's agent has authorised
 * at a process's wish: {own endpoint, remote partition, remote endpoint, direction, limits}. No
 * process can read it. Beside the row stands what hangs on it: its key's place in the key table,
 * the ring that the process was given, and, when both ends agree, the route. Control thread.
 */
#pragma once

#include "base/list.h"
#include "channel/attach_protocol.h"
#include "channel/ring.h"

#include <stdbool.h>
#include <stdint.h>

struct link_end;
struct partition;
struct route;
struct session;

struct state_row {
	struct list node;         /* of the table's */
	struct list session_node; /* of the session's */
	struct partition *partition, *remote;
	struct session *session;
	uint32_t id; /* never used twice */
	uint32_t endpoint, remote_endpoint;
	uint32_t direction; /* enum attach_direction */
	uint32_t message_max;
	uint32_t key_slot;
	bool wants_connect; /* its request is made again when the other end authorises something */
	bool is_asked;      /* of another host, which has not answered yet, or is not connected */
	bool is_denied;     /* by the policy that comes into force: it is about to go */
	uint32_t told;      /* set of enum attach_reason: what its process was told already */
	struct ring_view view;
	int bell, wake;          /* as in struct route_end */
	struct route *route;     /* NULL: the channel does not stand */
	struct state_row *other; /* the other end's row, while it does */
	struct link_end *far;    /* instead of both, when the other end is on another host */
	uint32_t far_channel;    /* that `far` was, of a row that is about to go */
};

struct state_table {
	struct list rows; /* of struct state_row */
	uint32_t count;
	uint64_t memory; /* bytes of their rings */
};

void state_table_init(struct state_table *table);
void state_table_add(struct state_table *table, struct state_row *row);
void state_table_remove(struct state_table *table, struct state_row *row);
/* The row with these ids; else NULL, and *why is how close one comes: enum attach_reason. */
struct state_row *state_table_verify(const struct state_table *table, uint32_t direction,
	uint32_t endpoint, const struct partition *remote, uint32_t remote_endpoint,
	enum attach_reason *why);
