/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control side of the distributor's files share. Control thread. */
#pragma once

#include "packet/packet_module.h"

/* distributor_api.c */
extern const struct ipc_method distributor_methods[];
int distributor_api_start(struct error *error);
void distributor_metrics(json_t *samples);

/* Answers who waits for a look at the connections, when no worker will: the distributor goes. */
void distributor_end_look(void);

/* ---- for a hand-over (distributor_handover.c), while the distributor is silent ---- */

/* Where a look at all connections is; begins with zeros. */
struct distributor_cursor {
	uint16_t worker;
	uint32_t entry;
};
/* The next connection; NULL: that was the last. */
struct connection;
const struct connection *distributor_next_connection(struct distributor_cursor *cursor);
void distributor_forget_connections(void);
/* A connection as it was elsewhere, with this table's VIPA and target, into the table of the worker
 * that will have its packets. -ENOSPC. */
int distributor_add_connection(const struct connection *connection);
/* In distributor_control.c: that the VIPAs are here, from now on. */
void distributor_announce(void);

/* Weights that the API has changed come into force at once. */
void distributor_judge(void);
