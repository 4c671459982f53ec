/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endpoint ids of a partition: ends of channels, each owned by one process (the seed's "channel end
 * points", statically or dynamically allocated). 1 to ATTACH_STATIC_MAX are asked for by number,
 * as services are; those beyond are given out and not soon again. Control thread.
 */
#pragma once

#include "base/list.h"

#include <stdint.h>
#include <sys/types.h>

struct session;

struct endpoint {
	struct list node;         /* of the partition's */
	struct list session_node; /* of the session's */
	uint32_t id;
	struct session *owner;
};

/* A static id that belongs to one user. */
struct endpoint_reservation {
	uint32_t id;
	uid_t uid;
};

struct endpoint_table {
	struct list endpoints; /* of struct endpoint */
	uint32_t count, limit;
	uint32_t next; /* the next to be given out */
	const struct endpoint_reservation *reservations;
	uint32_t reservation_count;
};

void endpoint_table_init(struct endpoint_table *table);
/* id 0: any. uid is of the process. -EDQUOT: the partition has its limit of them; -EADDRINUSE:
 * another process, or the same one, has it; -EACCES: it is another user's; -EINVAL: ids beyond the
 * static ones cannot be chosen. */
int endpoint_bind(struct endpoint_table *table, struct list *session_list, struct session *owner,
	uid_t uid, uint32_t id, struct endpoint **out);
/* Frees it. */
void endpoint_unbind(struct endpoint_table *table, struct endpoint *endpoint);
/* NULL: not bound. */
struct endpoint *endpoint_find(const struct endpoint_table *table, uint32_t id);
