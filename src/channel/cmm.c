/* SPDX-License-Identifier: BSD-3-Clause */
/* The mechanism's life, its policy, sessions, and the ends of rows. */
#include "channel/cmm.h"

#include "base/clock.h"
#include "base/id.h"
#include "channel/cmm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a partition or a peer may cause of events of either kind: 10 a second, and 50 at once; the
 * others are counted. */
#define CMM_EVENT_INTERVAL_NS (CLOCK_NS_PER_S / 10)
#define CMM_EVENT_BURST_NS    (50 * CMM_EVENT_INTERVAL_NS)

const char *attach_reason_word(enum attach_reason reason)
{
	static const char *const words[] = {"none",
#define WORD(name, word, text) word,
		ATTACH_REASONS(WORD)
#undef WORD
	};

	return words[reason];
}

const char *attach_reason_text(enum attach_reason reason)
{
	static const char *const texts[] = {"it has not ended",
#define TEXT(name, word, text) text,
		ATTACH_REASONS(TEXT)
#undef TEXT
	};

	return texts[reason];
}

/* --- Events --- */

void cmm_event_ids(struct cmm_event *event, const struct state_row *row)
{
	bool is_sender = row->direction == ATTACH_SEND;

	event->sender = is_sender ? row->partition->name : row->remote->name;
	event->sender_endpoint = is_sender ? row->endpoint : row->remote_endpoint;
	event->receiver = is_sender ? row->remote->name : row->partition->name;
	event->receiver_endpoint = is_sender ? row->remote_endpoint : row->endpoint;
}

bool cmm_may_tell(struct cmm *cmm, struct event_rate *rate, bool is_refusal)
{
	uint64_t *due_ns = &rate->due_ns[is_refusal];
	uint64_t now_ns = clock_monotonic_ns();

	if (*due_ns > now_ns + CMM_EVENT_BURST_NS) {
		cmm->counts.events_suppressed++;
		return false;
	}
	*due_ns = (*due_ns > now_ns ? *due_ns : now_ns) + CMM_EVENT_INTERVAL_NS;
	return true;
}

void cmm_tell(struct cmm *cmm, struct event_rate *rate, const struct cmm_event *event)
{
	if (!rate || cmm_may_tell(cmm, rate, event->is_refusal))
		cmm->ops->event(cmm->context, event);
}

/* --- Rows --- */

const struct policy_rule *cmm_rule_of(const struct state_row *row)
{
	const struct policy *policy = row->partition->cmm->policy;

	if (row->direction == ATTACH_SEND)
		return policy_find_rule(policy, row->partition->name, row->remote->name);
	return policy_find_rule(policy, row->remote->name, row->partition->name);
}

/* by: who has ended it, and is told nothing; a guest's process has more that ends with it. */
static void cmm_tell_down(
	const struct state_row *row, enum attach_reason reason, const struct session *by)
{
	const struct cmm_ops *ops = row->partition->cmm->ops;
	const struct attach_notice notice = {
		.kind = ATTACH_DOWN, .row = row->id, .endpoint = row->endpoint, .reason = reason};

	if (!by || by != row->session)
		ops->send(row->session, &notice, NULL, 0);
	else if (by->is_guest)
		ops->guest_row_gone(row->session, row->id);
}

static void cmm_row_free(
	struct state_row *row, enum attach_reason reason, const struct session *except)
{
	/* Who is told finds it in the ring, too. */
	route_end(&row->view, row->wake, reason);
	cmm_tell_down(row, reason, except);
	state_table_remove(&row->partition->rows, row);
	list_remove(&row->session_node);
	key_table_release(&row->partition->cmm->keys, row->key_slot);
	explicit_bzero(secret_bytes(row->partition->cmm->scratch), sizeof(struct stamp));
	ring_memory_unmap(&row->view);
	close(row->bell);
	close(row->wake);
	free(row);
}

/* What a sender had said before it went is still heard. */
static bool cmm_has_rest(const struct state_row *row, enum attach_reason reason)
{
	return reason == ATTACH_REASON_PEER_GONE && row->direction == ATTACH_SEND;
}

static void cmm_tell_down_event(
	const struct state_row *row, enum attach_reason reason, const struct session *by)
{
	struct partition *partition = row->partition;
	struct cmm_event event = {.action = "down", .reason = attach_reason_word(reason)};

	cmm_event_ids(&event, row);
	if (by) {
		event.by = partition->name;
		event.pid = by->pid;
		event.uid = by->uid;
	}
	cmm_tell(partition->cmm, by ? &partition->events : NULL, &event);
}

void cmm_row_close(struct state_row *row, enum attach_reason reason, const struct session *except)
{
	struct state_row *other = row->other;

	if (cmm_row_is_up(row)) {
		if (row->far)
			cmm_far_close(row, reason,
				row->direction == ATTACH_RECEIVE || cmm_has_rest(row, reason));
		else
			cmm_route_close(row, reason, cmm_has_rest(row, reason));
		cmm_tell_down_event(row, reason, except);
	}
	if (row->remote->peer)
		cmm_far_tell_close(row, reason);
	if (other)
		cmm_row_free(other, reason, NULL);
	cmm_row_free(row, reason, except);
}

void cmm_row_close_by_peer(struct state_row *row, enum attach_reason reason)
{
	cmm_far_close(row, reason, false);
	cmm_tell_down_event(row, reason, NULL);
	cmm_row_free(row, reason, NULL);
}

struct state_row *cmm_find_row(const struct cmm *cmm, uint32_t row_id)
{
	list_foreach (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		list_foreach (row_node, &partition->rows.rows) {
			struct state_row *row = list_entry(row_node, struct state_row, node);

			if (row->id == row_id)
				return row;
		}
	}
	return NULL;
}

int cmm_revoke(struct cmm *cmm, uint32_t row_id)
{
	struct state_row *row = cmm_find_row(cmm, row_id);

	if (!row)
		return -ENOENT;
	cmm_row_close(row, ATTACH_REASON_OPERATOR, NULL);
	return 0;
}

struct state_row *cmm_first_row(
	const struct cmm *cmm, bool (*is_wanted)(const struct state_row *row))
{
	list_foreach (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		list_foreach (row_node, &partition->rows.rows) {
			struct state_row *row = list_entry(row_node, struct state_row, node);

			if (is_wanted(row))
				return row;
		}
	}
	return NULL;
}

static enum attach_reason cmm_row_failure(const struct state_row *row)
{
	if (row->far)
		return (enum attach_reason)__atomic_load_n(&row->far->failure, __ATOMIC_RELAXED);
	return row->route
		? (enum attach_reason)__atomic_load_n(&row->route->failure, __ATOMIC_RELAXED)
		: ATTACH_REASON_NONE;
}

static bool cmm_row_has_failed(const struct state_row *row)
{
	return cmm_row_failure(row) != ATTACH_REASON_NONE;
}

void cmm_collect(struct cmm *cmm)
{
	struct state_row *row;

	/* Closing one closes its other end, which may be any other row. */
	while ((row = cmm_first_row(cmm, cmm_row_has_failed)))
		cmm_row_close(row, cmm_row_failure(row), NULL);
	cmm_collect_links(cmm);
}

/* --- Sessions --- */

int cmm_session_open(
	struct partition *partition, pid_t pid, uid_t uid, void *context, struct session **out)
{
	struct session *session;

	if (partition->session_count >= partition->settings->process_max)
		return -EDQUOT;
	session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	*session = (struct session){
		.partition = partition, .pid = pid, .uid = uid, .context = context};
	list_init(&session->endpoints);
	list_init(&session->rows);
	list_append(&partition->sessions, &session->node);
	partition->session_count++;
	partition->cmm->counts.attached++;
	*out = session;
	return 0;
}

static void cmm_session_end_rows(
	struct session *session, enum attach_reason reason, const struct session *except)
{
	while (!list_is_empty(&session->rows))
		cmm_row_close(list_entry(session->rows.next, struct state_row, session_node),
			reason, except);
}

static void cmm_session_free(struct session *session)
{
	struct partition *partition = session->partition;

	while (!list_is_empty(&session->endpoints))
		endpoint_unbind(&partition->endpoints,
			list_entry(session->endpoints.next, struct endpoint, session_node));
	list_remove(&session->node);
	partition->session_count--;
	free(session);
}

void cmm_session_close(struct session *session)
{
	cmm_session_end_rows(session, ATTACH_REASON_PEER_GONE, session);
	cmm_session_free(session);
}

/* --- Policy --- */

struct partition *cmm_find_partition(const struct cmm *cmm, const char *name)
{
	list_foreach (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		if (strcmp(partition->name, name) == 0)
			return partition;
	}
	return NULL;
}

uint32_t cmm_count_rule(const struct cmm *cmm, const struct policy_rule *rule, uint32_t direction)
{
	bool is_sender = direction == ATTACH_SEND;
	const struct partition *own = cmm_find_partition(cmm, is_sender ? rule->from : rule->to);
	const char *remote = is_sender ? rule->to : rule->from;
	uint32_t count = 0;

	if (!own)
		return 0;
	list_foreach (node, &own->rows.rows) {
		const struct state_row *row = list_entry(node, struct state_row, node);

		count += row->direction == direction && strcmp(row->remote->name, remote) == 0;
	}
	return count;
}

/* How many rows of the same partitions and direction are older, and stay. */
static uint32_t cmm_row_rank(const struct state_row *row)
{
	uint32_t rank = 0;

	list_foreach (node, &row->partition->rows.rows) {
		const struct state_row *older = list_entry(node, struct state_row, node);

		if (older == row)
			break;
		rank += older->direction == row->direction && older->remote == row->remote
			&& !older->is_denied;
	}
	return rank;
}

static bool cmm_row_is_allowed(const struct state_row *row)
{
	const struct policy_rule *rule = cmm_rule_of(row);

	return rule && row->message_max <= rule->message_max
		&& cmm_row_rank(row) < rule->channel_max;
}

/* Marks all first, with their other ends: who is found to be denied makes room for younger ones. */
static void cmm_mark_denied(struct cmm *cmm)
{
	list_foreach (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		list_foreach (row_node, &partition->rows.rows) {
			struct state_row *row = list_entry(row_node, struct state_row, node);

			if (row->is_denied || cmm_row_is_allowed(row))
				continue;
			row->is_denied = true;
			if (row->other)
				row->other->is_denied = true;
		}
	}
}

static bool cmm_row_is_denied(const struct state_row *row)
{
	return row->is_denied;
}

static void cmm_remove_partition(
	struct partition *partition, void (*forget)(struct session *session))
{
	while (!list_is_empty(&partition->sessions)) {
		struct session *session =
			list_entry(partition->sessions.next, struct session, node);

		cmm_session_end_rows(session, ATTACH_REASON_POLICY, NULL);
		forget(session);
		cmm_session_free(session);
	}
	list_remove(&partition->node);
	free(partition);
}

static void cmm_take_settings(struct partition *partition, const struct policy_partition *settings)
{
	partition->settings = settings;
	partition->endpoints.limit = settings->endpoint_max;
	partition->endpoints.reservations = settings->reservations;
	partition->endpoints.reservation_count = settings->reservation_count;
}

struct partition *cmm_find_remote(const struct cmm *cmm, const char *name)
{
	list_foreach (node, &cmm->far_partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		if (strcmp(partition->name, name) == 0)
			return partition;
	}
	return cmm_find_partition(cmm, name);
}

int cmm_add_partition(struct cmm *cmm, const char *name, struct peer *peer, struct list *list)
{
	struct partition *partition = calloc(1, sizeof(*partition));

	if (!partition)
		return -ENOMEM;
	partition->cmm = cmm;
	partition->peer = peer;
	partition->number = ++cmm->next_partition;
	snprintf(partition->name, sizeof(partition->name), "%s", name);
	state_table_init(&partition->rows);
	endpoint_table_init(&partition->endpoints);
	list_init(&partition->sessions);
	list_append(list, &partition->node);
	return 0;
}

/* Those that are new; they stay empty when the policy is not taken after all. */
static int cmm_add_partitions(struct cmm *cmm, const struct policy *policy, struct error *error)
{
	for (uint32_t i = 0; i < policy->partition_count; i++)
		if (!cmm_find_partition(cmm, policy->partitions[i].name)
			&& cmm_add_partition(
				   cmm, policy->partitions[i].name, NULL, &cmm->partitions)
				< 0)
			return error_set(error, -ENOMEM, "channels: no memory left");
	return cmm_add_peers(cmm, policy, error);
}

static void cmm_lane_failed(void *context)
{
	struct cmm *cmm = context;

	cmm->ops->wake(cmm->context);
}

static void cmm_stop_lanes(struct lane **lanes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		lane_stop(lanes[i]);
		lanes[i] = NULL;
	}
}

/* Without partitions and peers there is nothing to move. */
static uint32_t cmm_lanes_wanted(const struct policy *policy)
{
	return policy->partition_count || policy->peer_count ? policy->lane_count : 0;
}

static bool cmm_lanes_differ(const struct cmm *cmm, const struct policy *policy)
{
	const struct policy *old = cmm->policy;

	return !old || cmm->lane_count != cmm_lanes_wanted(policy)
		|| old->poll_ns != policy->poll_ns
		|| memcmp(old->cores, policy->cores, sizeof(old->cores)) != 0;
}

/* Takes the routes of the old lanes to the new ones. */
static void cmm_move_routes(struct cmm *cmm, struct lane **lanes, uint32_t count)
{
	uint32_t next = 0;

	list_foreach (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		list_foreach (row_node, &partition->rows.rows) {
			struct state_row *row = list_entry(row_node, struct state_row, node);

			if (!row->route || row->direction != ATTACH_SEND)
				continue;
			lane_remove(&row->route->member, false);
			/* As it was on another: the same descriptors, and room for a pointer. */
			if (lane_add(lanes[next++ % count], &row->route->member) < 0)
				abort();
		}
	}
}

static int cmm_start_lanes(struct cmm *cmm, const struct policy *policy, struct error *error)
{
	for (; cmm->next_lane_count < cmm_lanes_wanted(policy); cmm->next_lane_count++) {
		int status = lane_start(policy->cores[cmm->next_lane_count], policy->poll_ns,
			cmm_lane_failed, cmm, &cmm->next_lanes[cmm->next_lane_count], error);

		if (status < 0)
			return status;
	}
	return 0;
}

static void cmm_take_lanes(struct cmm *cmm)
{
	if (!cmm->renews_lanes) {
		cmm_place_links(cmm, cmm->lanes, cmm->lane_count, false);
		return;
	}
	/* Without new lanes there are no partitions any more, and no routes. */
	if (cmm->next_lane_count > 0)
		cmm_move_routes(cmm, cmm->next_lanes, cmm->next_lane_count);
	cmm_place_links(cmm, cmm->next_lanes, cmm->next_lane_count, true);
	cmm_stop_lanes(cmm->lanes, cmm->lane_count);
	memcpy(cmm->lanes, cmm->next_lanes, sizeof(cmm->lanes));
	cmm->lane_count = cmm->next_lane_count;
	cmm->next_lane_count = 0;
}

static void cmm_settle_partitions(struct cmm *cmm, void (*forget)(struct session *session))
{
	list_foreach_safe (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);
		const struct policy_partition *settings =
			policy_find_partition(cmm->policy, partition->name);

		if (settings)
			cmm_take_settings(partition, settings);
		else
			cmm_remove_partition(partition, forget);
	}
}

static void cmm_set_rates(struct cmm *cmm)
{
	list_foreach (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		list_foreach (row_node, &partition->rows.rows) {
			struct state_row *row = list_entry(row_node, struct state_row, node);

			if (row->route)
				__atomic_store_n(&row->route->interval_ns,
					cmm_interval_ns(cmm_rule_of(row)), __ATOMIC_RELAXED);
			if (row->far)
				__atomic_store_n(&row->far->interval_ns,
					cmm_interval_ns(cmm_rule_of(row)), __ATOMIC_RELAXED);
		}
	}
}

static void cmm_forget_nothing(struct session *session)
{
}

static void cmm_drop_new_partitions(struct cmm *cmm)
{
	list_foreach_safe (node, &cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		if (!partition->settings)
			cmm_remove_partition(partition, cmm_forget_nothing);
	}
}

int cmm_prepare(struct cmm *cmm, struct policy *policy, struct error *error)
{
	int status = cmm_add_partitions(cmm, policy, error);

	cmm->next_policy = policy;
	cmm->renews_lanes = cmm_lanes_differ(cmm, policy);
	if (status == 0 && cmm->renews_lanes)
		status = cmm_start_lanes(cmm, policy, error);
	if (status < 0)
		cmm_abort(cmm);
	return status;
}

void cmm_abort(struct cmm *cmm)
{
	cmm_stop_lanes(cmm->next_lanes, cmm->next_lane_count);
	cmm->next_lane_count = 0;
	cmm_drop_new_partitions(cmm);
	cmm_drop_new_peers(cmm);
	policy_destroy(cmm->next_policy);
	cmm->next_policy = NULL;
}

void cmm_commit(struct cmm *cmm, void (*forget)(struct session *session))
{
	struct policy *old = cmm->policy;
	struct state_row *row;

	cmm->policy = cmm->next_policy;
	cmm->next_policy = NULL;
	/* First what is denied, so that no row refers to a partition that goes. */
	cmm_mark_denied(cmm);
	while ((row = cmm_first_row(cmm, cmm_row_is_denied)))
		cmm_row_close(row, ATTACH_REASON_POLICY, NULL);
	cmm_settle_partitions(cmm, forget);
	cmm_settle_peers(cmm);
	cmm_set_rates(cmm);
	cmm_take_lanes(cmm);
	policy_destroy(old);
}

/* --- The whole --- */

void cmm_count(const struct cmm *cmm, struct cmm_counts *out)
{
	*out = cmm->counts;
	list_foreach (node, &cmm->partitions) {
		const struct partition *partition = list_entry(node, struct partition, node);

		list_foreach (row_node, &partition->rows.rows) {
			const struct state_row *row = list_entry(row_node, struct state_row, node);

			if (row->far || row->direction == ATTACH_SEND)
				cmm_row_add_counts(out, row);
		}
	}
}

int cmm_open(struct cmm *cmm, const struct cmm_ops *ops, void *context, struct error *error)
{
	int status;

	*cmm = (struct cmm){.ops = ops, .context = context};
	list_init(&cmm->partitions);
	list_init(&cmm->far_partitions);
	list_init(&cmm->peers);
	do
		id_random_bytes(&cmm->incarnation, sizeof(cmm->incarnation));
	while (cmm->incarnation == 0);
	cmm->scratch = secret_create(sizeof(struct stamp));
	status = cmm->scratch ? key_table_open(&cmm->keys, CMM_ROWS_MAX) : -errno;
	if (status < 0) {
		secret_destroy(cmm->scratch);
		error_set(error, status, "channels: memory for keys cannot be locked: %s",
			strerror(-status));
	}
	return status;
}

static bool cmm_is_any_row(const struct state_row *row)
{
	return true;
}

void cmm_end(struct cmm *cmm)
{
	struct state_row *row;

	while ((row = cmm_first_row(cmm, cmm_is_any_row)))
		cmm_row_close(row, ATTACH_REASON_STOPPED, NULL);
}

void cmm_close(struct cmm *cmm)
{
	cmm_end(cmm);
	cmm_abort(cmm);
	list_foreach_safe (node, &cmm->partitions)
		cmm_remove_partition(list_entry(node, struct partition, node), cmm_forget_nothing);
	cmm_remove_peers(cmm);
	cmm_stop_lanes(cmm->lanes, cmm->lane_count);
	cmm->lane_count = 0;
	policy_destroy(cmm->policy);
	cmm->policy = NULL;
	key_table_close(&cmm->keys);
	secret_destroy(cmm->scratch);
	cmm->scratch = NULL;
}
