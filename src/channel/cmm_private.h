/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to cmm*.c: what the files do for each other. Control thread. */
#pragma once

#include "channel/cmm.h"

/* --- cmm_requests.c --- */
/* Makes the requests again that wait for a row as this one. */
void cmm_connect_waiting(struct state_row *row);

/* Tells the process of a row once for each reason. */
void cmm_tell_once(struct state_row *row, uint32_t kind, enum attach_reason reason,
	const struct partition *who, uint32_t endpoint);
/* The valid flag: by tries to set the key of row's channel, which set_by has set. Nothing changes
 * (C6). session is of the process that does; NULL: it is on another host. */
void cmm_raise_exception(struct state_row *row, struct partition *by,
	const struct partition *set_by, uint32_t by_endpoint, const struct session *session);
/* Whose side has set the row's key. */
const struct partition *cmm_set_by(const struct state_row *row);
/* The channel of this row stands: an event, and its process is told. by made the request; of a
 * session, or (NULL) on another host. */
void cmm_tell_up(struct state_row *row);
void cmm_tell_up_event(
	struct state_row *row, const struct partition *by, const struct session *session);

/* --- cmm_routes.c --- */
/* Both rows have the key: the channel stands. -ENOMEM, -errno; nothing has changed then. */
int cmm_route_open(struct state_row *sender, struct state_row *receiver);
/* Takes the route of row away, if there is one; counts it. */
void cmm_route_close(struct state_row *row, enum attach_reason reason, bool with_rest);
uint64_t cmm_interval_ns(const struct policy_rule *rule);
/* The one with the fewest members. */
struct lane *cmm_least_lane(const struct cmm *cmm);

/* --- cmm_links.c --- */
/* Peers and their partitions that a policy names and are new; they stay idle when it is not taken
 * after all. */
int cmm_add_peers(struct cmm *cmm, const struct policy *policy, struct error *error);
void cmm_drop_new_peers(struct cmm *cmm);
/* With the policy in force: settings, and those that are gone go. No row refers to them. */
void cmm_settle_peers(struct cmm *cmm);
/* Of new peers, or of all, since the lanes are others. */
void cmm_place_links(struct cmm *cmm, struct lane **lanes, uint32_t count, bool all);
void cmm_remove_peers(struct cmm *cmm);
/* What peers say, and links that broke. */
void cmm_collect_links(struct cmm *cmm);
/* The request of a receiver's row to the other host; nothing is sent while one is unanswered.
 * -EINPROGRESS, always. */
int cmm_far_connect(struct state_row *row);
/* A sender's row is there: its receiver's host may make its request again. */
void cmm_far_authorised(const struct state_row *row);
/* Somebody here tried to set the key of a row whose channel stands. */
void cmm_far_exception(const struct state_row *row);
/* The row's end on the link goes; counted. */
void cmm_far_close(struct state_row *row, enum attach_reason reason, bool with_rest);
/* Says so to the other host. */
void cmm_far_tell_close(const struct state_row *row, enum attach_reason reason);

/* --- cmm.c --- */
/* The same, when the other host has said it. */
void cmm_row_close_by_peer(struct state_row *row, enum attach_reason reason);
/* Whether another event may be told of whose rate it is; counts it. */
bool cmm_may_tell(struct cmm *cmm, struct event_rate *rate, bool is_refusal);
/* Also a peer's. NULL: no such. */
struct partition *cmm_find_remote(const struct cmm *cmm, const char *name);
int cmm_add_partition(struct cmm *cmm, const char *name, struct peer *peer, struct list *list);
/* The first row of any partition that is to be closed; NULL: none. */
struct state_row *cmm_first_row(
	const struct cmm *cmm, bool (*is_wanted)(const struct state_row *row));
/* Ends the row, its channel and the other end's row with it; both processes are told, but for
 * except (NULL: none). Frees both. */
void cmm_row_close(struct state_row *row, enum attach_reason reason, const struct session *except);
const struct policy_rule *cmm_rule_of(const struct state_row *row);
/* Fills sender and receiver of an event from the row. */
void cmm_event_ids(struct cmm_event *event, const struct state_row *row);
/* Tells it, unless who causes it, whose rate it is (NULL: nobody is limited), has caused many. */
void cmm_tell(struct cmm *cmm, struct event_rate *rate, const struct cmm_event *event);
