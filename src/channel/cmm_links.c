/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels between hosts: peers with their partitions, and what the mechanisms say to each other on
 * a link (decision 0022). What a peer names is looked for among the rows that have one of *its*
 * partitions at the other end, and nowhere else.
 */
#include "base/clock.h"
#include "channel/cmm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames of a peer before others get their turn. */
#define CONTROL_BATCH 64

/* --- Peers and their partitions --- */

struct peer *cmm_find_peer(const struct cmm *cmm, const char *name)
{
	list_foreach (node, &cmm->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (strcmp(peer->name, name) == 0)
			return peer;
	}
	return NULL;
}

static struct partition *far_partition(const struct peer *peer, const char *name)
{
	size_t length = strlen(peer->name);

	list_foreach (node, &peer->cmm->far_partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		if (partition->peer == peer && strcmp(partition->name + length + 1, name) == 0)
			return partition;
	}
	return NULL;
}

/* As its own host calls it. */
static const char *far_name(const struct partition *partition)
{
	return partition->name + strlen(partition->peer->name) + 1;
}

static int add_peer(struct cmm *cmm, const struct policy_peer *settings, struct error *error)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	int status = peer ? link_create(&cmm->keys, NULL, &peer->link) : -ENOMEM;

	if (status < 0) {
		free(peer);
		return error_set(error, status, "channels.peers.%s: memory for its link: %s",
			settings->name, strerror(-status));
	}
	peer->cmm = cmm;
	strcpy(peer->name, settings->name);
	peer->changed_ns = clock_monotonic_ns();
	list_append(&cmm->peers, &peer->node);
	return 0;
}

/* The partition of a rule that is a peer's, if it is one and new. */
static int add_far_partition(struct cmm *cmm, const char *name, struct error *error)
{
	const char *slash = strchr(name, '/');
	char peer[ATTACH_NAME_SIZE];

	if (!slash || cmm_find_remote(cmm, name))
		return 0;
	snprintf(peer, sizeof(peer), "%.*s", (int)(slash - name), name);
	if (cmm_add_partition(cmm, name, cmm_find_peer(cmm, peer), &cmm->far_partitions) < 0)
		return error_set(error, -ENOMEM, "channels: no memory left");
	return 0;
}

int cmm_add_peers(struct cmm *cmm, const struct policy *policy, struct error *error)
{
	int status = 0;

	for (uint32_t i = 0; i < policy->peer_count && status == 0; i++)
		if (!cmm_find_peer(cmm, policy->peers[i].name))
			status = add_peer(cmm, &policy->peers[i], error);
	for (uint32_t i = 0; i < policy->rule_count && status == 0; i++) {
		status = add_far_partition(cmm, policy->rules[i].from, error);
		if (status == 0)
			status = add_far_partition(cmm, policy->rules[i].to, error);
	}
	return status;
}

static bool is_named(const struct policy *policy, const char *partition)
{
	for (uint32_t i = 0; policy && i < policy->rule_count; i++)
		if (strcmp(policy->rules[i].from, partition) == 0
			|| strcmp(policy->rules[i].to, partition) == 0)
			return true;
	return false;
}

static void remove_far_partitions(struct cmm *cmm, const struct policy *policy)
{
	list_foreach_safe (node, &cmm->far_partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		if (is_named(policy, partition->name))
			continue;
		list_remove(node);
		free(partition);
	}
}

static void remove_peer(struct peer *peer)
{
	link_destroy(peer->link);
	list_remove(&peer->node);
	free(peer);
}

void cmm_drop_new_peers(struct cmm *cmm)
{
	remove_far_partitions(cmm, cmm->policy);
	list_foreach_safe (node, &cmm->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (!peer->settings)
			remove_peer(peer);
	}
}

void cmm_remove_peers(struct cmm *cmm)
{
	remove_far_partitions(cmm, NULL);
	list_foreach_safe (node, &cmm->peers)
		remove_peer(list_entry(node, struct peer, node));
}

/* Whether somebody else may be behind it now. */
static bool has_changed(const struct peer *peer, const struct policy_peer *settings)
{
	const struct policy_peer *old = peer->settings;

	return old
		&& (strcmp(old->identity, settings->identity) != 0
			|| memcmp(&old->address, &settings->address, sizeof(old->address)) != 0
			|| old->has_fingerprint != settings->has_fingerprint
			|| memcmp(old->fingerprint, settings->fingerprint, sizeof(old->fingerprint))
				!= 0);
}

void cmm_settle_peers(struct cmm *cmm)
{
	remove_far_partitions(cmm, cmm->policy);
	list_foreach_safe (node, &cmm->peers) {
		struct peer *peer = list_entry(node, struct peer, node);
		const struct policy_peer *settings = policy_find_peer(cmm->policy, peer->name);

		if (!settings) {
			remove_peer(peer);
			continue;
		}
		if (has_changed(peer, settings))
			cmm_peer_disconnect(peer, "its configuration has changed");
		peer->settings = settings;
	}
}

void cmm_place_links(struct cmm *cmm, struct lane **lanes, uint32_t count, bool all)
{
	uint32_t next = 0;

	list_foreach (node, &cmm->peers) {
		struct link *link = list_entry(node, struct peer, node)->link;

		if (all || !link->lane)
			link_move_lane(link, lanes[next++ % count]);
	}
}

/* --- Telling people --- */

static void tell_peer(struct peer *peer, const char *action, const char *reason)
{
	const struct cmm_peer_event event = {
		.action = action, .peer = peer->name, .reason = reason};

	if (cmm_may_tell(peer->cmm, &peer->events, false))
		peer->cmm->ops->peer_event(peer->cmm->context, &event);
}

void cmm_tell_refused(struct cmm *cmm, struct peer *peer, const char *address, const char *reason)
{
	const struct cmm_peer_event event = {.action = "peer-refused",
		.peer = peer ? peer->name : NULL,
		.address = address,
		.reason = reason};

	if (cmm_may_tell(cmm, peer ? &peer->events : &cmm->stranger_events, true))
		cmm->ops->peer_event(cmm->context, &event);
}

/* --- Ends of channels --- */

static void add_counts(struct cmm *cmm, const struct state_row *row, enum attach_reason reason)
{
	cmm_row_add_counts(&cmm->counts, row);
	cmm->counts.down++;
	cmm->counts.ended[reason]++;
}

void cmm_far_close(struct state_row *row, enum attach_reason reason, bool with_rest)
{
	link_remove_end(row->far, with_rest);
	add_counts(row->partition->cmm, row, reason);
	/* Kept for who tells the peer; the row goes next. */
	row->far_channel = row->far->channel;
	free(row->far);
	row->far = NULL;
}

/* The number that the peer knows the channel by; 0: it knows none of this row. */
static uint32_t channel_of(const struct state_row *row)
{
	if (row->direction == ATTACH_RECEIVE)
		return row->wants_connect ? row->id : 0;
	return row->far ? row->far->channel : row->far_channel;
}

void cmm_far_tell_close(const struct state_row *row, enum attach_reason reason)
{
	const struct cmm_frame frame = {.type = CMM_CLOSE,
		.channel = channel_of(row),
		.is_senders = row->direction == ATTACH_SEND,
		.reason = reason};

	if (frame.channel)
		link_send(row->remote->peer->link, &frame);
}

/* The row's end on its peer's link. */
static int open_end(struct state_row *row, uint32_t channel, uint32_t message_max)
{
	struct link_end *end = calloc(1, sizeof(*end));
	int status;

	if (!end)
		return -ENOMEM;
	*end = (struct link_end){.member.bells = {row->bell, -1},
		.context = row,
		.channel = channel,
		.is_sender = row->direction == ATTACH_SEND,
		.key_slot = row->key_slot,
		.wake = row->wake,
		.message_max = message_max < row->message_max ? message_max : row->message_max,
		.interval_ns = cmm_interval_ns(cmm_rule_of(row)),
		.limit = row->view.capacity,
		/* A sender goes on when the peer knows of it; a receiver's peer does. */
		.is_paused = row->direction == ATTACH_SEND,
		.is_named = true};
	/* New memory: positions are 0, whatever the process has written there since. */
	end->from.view = end->to.view = row->view;
	status = link_add_end(row->remote->peer->link, end);
	if (status < 0)
		free(end);
	else
		row->far = end;
	return status;
}

uint32_t cmm_peer_channels(const struct peer *peer)
{
	uint32_t count = 0;

	list_foreach (node, &peer->link->ends)
		count++;
	return count;
}

/* --- What we say --- */

static void set_name(char out[CMM_NAME_SIZE], const char *name)
{
	snprintf(out, CMM_NAME_SIZE, "%.*s", CMM_NAME_SIZE - 1, name);
}

static void set_names(struct cmm_frame *frame, const struct state_row *row)
{
	bool is_sender = row->direction == ATTACH_SEND;

	set_name(frame->sender, is_sender ? row->partition->name : far_name(row->remote));
	set_name(frame->receiver, is_sender ? far_name(row->remote) : row->partition->name);
	frame->sender_endpoint = is_sender ? row->endpoint : row->remote_endpoint;
	frame->receiver_endpoint = is_sender ? row->remote_endpoint : row->endpoint;
}

int cmm_far_connect(struct state_row *row)
{
	struct cmm *cmm = row->partition->cmm;
	struct stamp *stamp = secret_bytes(cmm->scratch);
	struct cmm_frame frame = {.type = CMM_CONNECT,
		.channel = row->id,
		.limit = row->view.capacity,
		.size = row->message_max};

	/* What the peer tells of before it answers, this request finds there. */
	if (row->is_asked)
		return -EINPROGRESS;
	row->is_asked = true;
	key_table_stamp(&cmm->keys, row->key_slot, stamp);
	set_names(&frame, row);
	frame.sender_partition = stamp->ids.sender_partition;
	frame.receiver_partition = stamp->ids.receiver_partition;
	frame.key = stamp->key;
	/* Without connection it is said when there is one. */
	link_send(row->remote->peer->link, &frame);
	return -EINPROGRESS;
}

void cmm_far_authorised(const struct state_row *row)
{
	struct cmm_frame frame = {.type = CMM_AUTHORISED};

	set_names(&frame, row);
	link_send(row->remote->peer->link, &frame);
}

static void say_accept(const struct state_row *row)
{
	const struct cmm_frame frame = {
		.type = CMM_ACCEPT, .channel = row->far->channel, .size = row->far->message_max};

	link_send(row->remote->peer->link, &frame);
}

static void say_refuse(struct peer *peer, uint32_t channel, enum attach_reason reason)
{
	const struct cmm_frame frame = {.type = CMM_REFUSE, .channel = channel, .reason = reason};

	link_send(peer->link, &frame);
}

void cmm_far_exception(const struct state_row *row)
{
	if (row->far)
		say_refuse(row->remote->peer, row->far->channel, ATTACH_REASON_KEY_SET);
}

/* What the peer has to know of a row when the link is up again. */
static void say_row(struct state_row *row)
{
	row->is_asked = false;
	if (row->direction == ATTACH_SEND && row->far)
		say_accept(row);
	else if (row->direction == ATTACH_SEND)
		cmm_far_authorised(row);
	else if (row->far)
		link_resume_receiver(row->far);
	else if (row->wants_connect)
		cmm_far_connect(row);
}

static void for_each_row(const struct peer *peer, void (*act)(struct state_row *row))
{
	list_foreach (node, &peer->cmm->partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		list_foreach_safe (row_node, &partition->rows.rows) {
			struct state_row *row = list_entry(row_node, struct state_row, node);

			if (row->remote->peer == peer)
				act(row);
		}
	}
}

/* --- What the peer says --- */

/* The peer's words name partitions as each host calls its own. */
struct request {
	struct partition *sender, *receiver;
	struct state_row *row; /* of the sender */
	enum attach_reason why;
	char by[ATTACH_NAME_SIZE];
};

/* Ids that nobody here has authorised: refused, counted, audited, and both agents are told. */
static void refuse(struct peer *peer, const struct cmm_frame *frame, const struct request *request)
{
	struct cmm *cmm = peer->cmm;
	const struct cmm_event event = {.action = "refused",
		.is_refusal = true,
		.reason = attach_reason_word(request->why),
		.sender = frame->sender,
		.sender_endpoint = frame->sender_endpoint,
		.receiver = request->by,
		.receiver_endpoint = frame->receiver_endpoint,
		.by = request->by};

	cmm->counts.refused[request->why]++;
	say_refuse(peer, frame->channel, request->why);
	/* One that comes before its row is nothing to tell people. */
	if (request->why == ATTACH_REASON_NO_ROW)
		return;
	cmm_tell(cmm, &peer->events, &event);
	if (!request->sender || !request->receiver)
		return;
	list_foreach (node, &request->sender->rows.rows) {
		struct state_row *row = list_entry(node, struct state_row, node);

		if (row->direction == ATTACH_SEND && row->endpoint == frame->sender_endpoint)
			cmm_tell_once(row, ATTACH_REFUSED, request->why, request->receiver,
				frame->receiver_endpoint);
	}
}

/* The sender's half verifies what the peer names against what its agent has authorised (512). */
static void verify(const struct peer *peer, const struct cmm_frame *frame, struct request *request)
{
	const struct cmm *cmm = peer->cmm;

	snprintf(request->by, sizeof(request->by), "%.31s/%.31s", peer->name, frame->receiver);
	request->why = ATTACH_REASON_DENIED;
	request->sender = cmm_find_partition(cmm, frame->sender);
	request->receiver = far_partition(peer, frame->receiver);
	if (!request->sender || !request->receiver
		|| !policy_find_rule(cmm->policy, frame->sender, request->by))
		return;
	request->row = state_table_verify(&request->sender->rows, ATTACH_SEND,
		frame->sender_endpoint, request->receiver, frame->receiver_endpoint, &request->why);
}

static bool is_same_request(const struct state_row *row, const struct cmm_frame *frame)
{
	const struct key_table *keys = &row->partition->cmm->keys;
	struct stamp *stamp = secret_bytes(row->partition->cmm->scratch);

	key_table_stamp(keys, row->key_slot, stamp);
	return row->far->channel == frame->channel
		&& secret_is_equal(stamp->key, frame->key, KEY_SIZE);
}

/* It was accepted before, and the answer was lost with the link; who asks twice on one link is told
 * nothing new. */
static void accept_again(struct state_row *row, const struct cmm_frame *frame)
{
	if (!row->far->is_paused)
		return;
	row->far->is_named = true;
	say_accept(row);
	if (link_resume_end(row->far, 0, frame->limit) < 0)
		cmm_row_close(row, ATTACH_REASON_LINK_LOST, NULL);
}

/* Only then stores the key (514), and the channel stands. */
static int accept_request(struct state_row *row, const struct cmm_frame *frame)
{
	struct key_table *keys = &row->partition->cmm->keys;
	const struct channel_ids ids = {.sender_partition = frame->sender_partition,
		.sender_endpoint = frame->sender_endpoint,
		.receiver_partition = frame->receiver_partition,
		.receiver_endpoint = frame->receiver_endpoint};
	int status = key_table_set_far(keys, row->key_slot, &ids, frame->key);

	if (status < 0)
		return status;
	status = open_end(row, frame->channel, frame->size);
	if (status < 0) {
		key_table_unset(keys, row->key_slot);
		return status;
	}
	cmm_tell_up_event(row, row->remote, NULL);
	cmm_tell_up(row);
	/* First the answer, then messages. */
	say_accept(row);
	return link_resume_end(row->far, 0, frame->limit);
}

static void handle_connect(struct peer *peer, const struct cmm_frame *frame)
{
	struct request request = {0};
	int status;

	verify(peer, frame, &request);
	if (!request.row) {
		refuse(peer, frame, &request);
		return;
	}
	if (request.row->far && is_same_request(request.row, frame)) {
		accept_again(request.row, frame);
		return;
	}
	status = request.row->far ? -EKEYREJECTED : accept_request(request.row, frame);
	if (status == -EKEYREJECTED || status == -EALREADY) {
		cmm_raise_exception(request.row, request.receiver, cmm_set_by(request.row),
			frame->receiver_endpoint, NULL);
		say_refuse(peer, frame->channel, ATTACH_REASON_KEY_SET);
	} else if (status < 0) {
		/* It is asked again when it is there anew. */
		say_refuse(peer, frame->channel, ATTACH_REASON_NO_ROW);
	}
}

static void handle_authorised(struct peer *peer, const struct cmm_frame *frame)
{
	struct partition *receiver = cmm_find_partition(peer->cmm, frame->receiver);
	struct partition *sender = far_partition(peer, frame->sender);
	enum attach_reason ignored;
	struct state_row *row;

	if (!receiver || !sender)
		return;
	row = state_table_verify(&receiver->rows, ATTACH_RECEIVE, frame->receiver_endpoint, sender,
		frame->sender_endpoint, &ignored);
	if (row && row->wants_connect && !row->far)
		cmm_far_connect(row);
}

/* The receiver's row whose request the peer answers; NULL: it is gone, or was never asked. */
static struct state_row *find_receiver(const struct peer *peer, uint32_t channel)
{
	struct state_row *row = cmm_find_row(peer->cmm, channel);

	return row && row->remote->peer == peer && row->direction == ATTACH_RECEIVE
			&& row->wants_connect
		? row
		: NULL;
}

static void handle_accept(struct peer *peer, const struct cmm_frame *frame)
{
	struct state_row *row = find_receiver(peer, frame->channel);

	if (!row)
		return;
	if (row->far) {
		row->far->is_named = true;
		return;
	}
	row->is_asked = false;
	if (open_end(row, row->id, frame->size) < 0) {
		cmm_row_close(row, ATTACH_REASON_LINK_LOST, NULL);
		return;
	}
	cmm_tell_up_event(row, row->partition, row->session);
	cmm_tell_up(row);
}

/* Our request was refused there; or it stands, and somebody there tried to set its key anew. */
static void handle_refuse(struct peer *peer, const struct cmm_frame *frame)
{
	struct state_row *row = find_receiver(peer, frame->channel);
	struct cmm *cmm = peer->cmm;
	struct cmm_event event = {.action = "refused", .is_refusal = true};

	if (!row)
		return;
	row->is_asked = false;
	if (frame->reason < ATTACH_REASON_NO_ROW || frame->reason > ATTACH_REASON_DENIED)
		return;
	if (frame->reason == ATTACH_REASON_KEY_SET) {
		cmm_raise_exception(row, row->far ? row->remote : row->partition,
			row->far ? row->partition : row->remote,
			row->far ? row->remote_endpoint : row->endpoint, NULL);
		return;
	}
	if (row->far)
		return;
	cmm->counts.refused[frame->reason]++;
	if (frame->reason == ATTACH_REASON_NO_ROW)
		return;
	event.reason = attach_reason_word((enum attach_reason)frame->reason);
	event.by = row->partition->name;
	event.pid = row->session->pid;
	event.uid = row->session->uid;
	cmm_event_ids(&event, row);
	cmm_tell(cmm, &row->partition->events, &event);
	cmm_tell_once(row, ATTACH_REFUSED, (enum attach_reason)frame->reason, row->remote,
		row->remote_endpoint);
}

static void handle_resume(struct peer *peer, const struct cmm_frame *frame)
{
	struct link_end *end = link_find_end(peer->link, true, frame->channel);

	if (!end)
		return;
	end->is_named = true;
	if (link_resume_end(end, frame->sequence, frame->limit) < 0)
		cmm_row_close(end->context, ATTACH_REASON_LINK_LOST, NULL);
}

static void close_unnamed(struct state_row *row)
{
	if (row->far && !row->far->is_named)
		cmm_row_close_by_peer(row, ATTACH_REASON_REVOKED);
}

static void handle_synced(struct peer *peer, const struct cmm_frame *frame)
{
	for_each_row(peer, close_unnamed);
}

static void handle_close(struct peer *peer, const struct cmm_frame *frame)
{
	struct link_end *end = link_find_end(peer->link, !frame->is_senders, frame->channel);
	bool is_known = frame->reason > ATTACH_REASON_NONE && frame->reason < ATTACH_REASON_COUNT;

	if (end)
		cmm_row_close_by_peer(end->context,
			is_known ? (enum attach_reason)frame->reason : ATTACH_REASON_REVOKED);
}

/* It is said once, before the link has the connection. */
static void handle_hello(struct peer *peer, const struct cmm_frame *frame)
{
	cmm_peer_disconnect(peer, "it has said twice who it is");
}

static void handle_frame(struct peer *peer, const struct cmm_frame *frame)
{
	static void (*const handlers[CMM_FRAME_TYPE_COUNT])(
		struct peer *, const struct cmm_frame *) = {
		[CMM_HELLO] = handle_hello,
		[CMM_AUTHORISED] = handle_authorised,
		[CMM_CONNECT] = handle_connect,
		[CMM_ACCEPT] = handle_accept,
		[CMM_REFUSE] = handle_refuse,
		[CMM_RESUME] = handle_resume,
		[CMM_SYNCED] = handle_synced,
		[CMM_CLOSE] = handle_close,
	};

	handlers[frame->type](peer, frame);
}

/* --- Connections --- */

static void close_restarted(struct state_row *row)
{
	if (row->far)
		cmm_row_close_by_peer(row, ATTACH_REASON_PEER_RESTARTED);
}

static void close_lost(struct state_row *row)
{
	if (row->far)
		cmm_row_close_by_peer(row, ATTACH_REASON_LINK_LOST);
}

static bool is_connected(const struct peer *peer)
{
	return link_is_attached(peer->link) && link_failure(peer->link) == 0;
}

/* Both sides know both numbers, and come to the same. */
static bool prefers_old(const struct peer *peer, uint64_t incarnation, bool is_dialled)
{
	bool we_are_greater = peer->cmm->incarnation > incarnation;

	return is_connected(peer) && peer->incarnation == incarnation
		&& peer->is_dialled == we_are_greater && is_dialled != we_are_greater;
}

int cmm_peer_connect(
	struct peer *peer, const struct link_stream *stream, uint64_t incarnation, bool is_dialled)
{
	const struct cmm_frame synced = {.type = CMM_SYNCED};
	int status;

	if (prefers_old(peer, incarnation, is_dialled)) {
		stream->close(stream->context);
		return -EALREADY;
	}
	link_detach(peer->link);
	if (peer->incarnation != incarnation)
		for_each_row(peer, close_restarted);
	peer->incarnation = incarnation;
	peer->is_dialled = is_dialled;
	status = link_attach(peer->link, stream);
	if (status < 0)
		return status;
	peer->connections++;
	peer->changed_ns = clock_monotonic_ns();
	tell_peer(peer, "peer-up", NULL);
	for_each_row(peer, say_row);
	link_send(peer->link, &synced);
	return 0;
}

void cmm_peer_disconnect(struct peer *peer, const char *why)
{
	if (!link_is_attached(peer->link))
		return;
	link_detach(peer->link);
	peer->changed_ns = clock_monotonic_ns();
	error_set(&peer->failure, -EPIPE, "%s", why);
	tell_peer(peer, "peer-down", why);
}

static const char *failure_text(int failure)
{
	if (failure == -EPROTO)
		return "it has sent what is no frame";
	if (failure == -EPIPE)
		return "it has closed the connection";
	return strerror(-failure);
}

static void collect_peer(struct peer *peer)
{
	struct cmm_frame frame;
	uint32_t count;

	for (count = 0; count < CONTROL_BATCH && link_next_control(peer->link, &frame); count++)
		handle_frame(peer, &frame);
	/* A peer that has much to say does not keep us from the others. */
	if (count == CONTROL_BATCH)
		peer->cmm->ops->wake(peer->cmm->context);
	if (link_is_attached(peer->link) && link_failure(peer->link) != 0)
		cmm_peer_disconnect(peer, failure_text(link_failure(peer->link)));
}

void cmm_collect_links(struct cmm *cmm)
{
	list_foreach (node, &cmm->peers)
		collect_peer(list_entry(node, struct peer, node));
}

void cmm_tick(struct cmm *cmm)
{
	uint64_t now_ns = clock_monotonic_ns();

	list_foreach (node, &cmm->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (!link_is_attached(peer->link)
			&& now_ns - peer->changed_ns > cmm->policy->link.timeout_ns)
			for_each_row(peer, close_lost);
	}
}
