/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to cmm*.c: what the files do for each other. Control thread. */
#pragma once

#include "channel/cmm.h"

/* --- cmm_requests.c --- */
/* Makes the requests again that wait for a row as this one. */
void cmm_connect_waiting(struct state_row *row);

/* --- cmm_routes.c --- */
/* Both rows have the key: the channel stands. -ENOMEM, -errno; nothing has changed then. */
int cmm_route_open(struct state_row *sender, struct state_row *receiver);
/* Takes the route of row away, if there is one; counts it. */
void cmm_route_close(struct state_row *row, enum attach_reason reason, bool with_rest);
uint64_t cmm_interval_ns(const struct policy_rule *rule);
/* The one with the fewest members. */
struct lane *cmm_least_lane(const struct cmm *cmm);

/* --- cmm.c --- */
/* Ends the row, its channel and the other end's row with it; both processes are told, but for
 * except (NULL: none). Frees both. */
void cmm_row_close(struct state_row *row, enum attach_reason reason, const struct session *except);
const struct policy_rule *cmm_rule_of(const struct state_row *row);
/* Fills sender and receiver of an event from the row. */
void cmm_event_ids(struct cmm_event *event, const struct state_row *row);
/* Tells it, unless the partition that causes it (NULL: nobody is limited) has caused many. */
void cmm_tell(struct cmm *cmm, struct partition *causer, const struct cmm_event *event);
