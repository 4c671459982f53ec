/* SPDX-License-Identifier: BSD-3-Clause */
/* What processes ask for: endpoints, rows, keys, and the requests that make a channel stand. */
#include "channel/cmm_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* An answer under way. */
struct answer {
	struct attach_notice notice;
	int descriptors[ATTACH_DESCRIPTORS];
	size_t descriptor_count;
	struct state_row *row; /* new, of a sender: requests may wait for it */
};

/* --- Reading --- */

static bool attach_is_name_character(char character)
{
	return isascii((unsigned char)character)
		&& (isalnum((unsigned char)character) || character == '-' || character == '_'
			|| character == '/');
}

/* Letters, digits, - and _, as the names of the configuration (and / behind a peer's), and nothing
 * but zeros behind them: it goes into events, and bytes that are no text would keep an event from
 * being told. */
static bool attach_name_is_valid(const char name[ATTACH_NAME_SIZE])
{
	size_t length = strnlen(name, ATTACH_NAME_SIZE);

	for (size_t i = 0; i < length; i++)
		if (!attach_is_name_character(name[i]))
			return false;
	for (size_t i = length; i < ATTACH_NAME_SIZE; i++)
		if (name[i])
			return false;
	return length < ATTACH_NAME_SIZE;
}

static int attach_read(const void *bytes, size_t size, struct attach_request *out)
{
	if (size != sizeof(*out))
		return -EPROTO;
	memcpy(out, bytes, sizeof(*out));
	if (out->operation == 0 || out->operation >= ATTACH_OPERATION_COUNT || out->padding != 0
		|| !attach_name_is_valid(out->remote))
		return -EPROTO;
	return 0;
}

/* --- Endpoints --- */

static int handle_hello(
	struct session *session, const struct attach_request *request, struct answer *answer)
{
	if (request->endpoint != ATTACH_VERSION)
		return -EPROTONOSUPPORT;
	session->is_greeted = true;
	strcpy(answer->notice.partition, session->partition->name);
	return 0;
}

static int handle_bind(
	struct session *session, const struct attach_request *request, struct answer *answer)
{
	struct endpoint *endpoint;
	int status = endpoint_bind(&session->partition->endpoints, &session->endpoints, session,
		session->uid, request->endpoint, &endpoint);

	if (status == 0)
		answer->notice.endpoint = endpoint->id;
	return status;
}

static struct endpoint *session_endpoint(const struct session *session, uint32_t id)
{
	struct endpoint *endpoint = endpoint_find(&session->partition->endpoints, id);

	return endpoint && endpoint->owner == session ? endpoint : NULL;
}

static int handle_unbind(
	struct session *session, const struct attach_request *request, struct answer *answer)
{
	struct endpoint *endpoint = session_endpoint(session, request->endpoint);
	struct list *node = session->rows.next;

	if (!endpoint)
		return -EACCES;
	while (node != &session->rows) {
		struct state_row *row = list_entry(node, struct state_row, session_node);

		node = node->next;
		if (row->endpoint != endpoint->id)
			continue;
		cmm_row_close(row, ATTACH_REASON_REVOKED, session);
		/* Its other end may have been the next one. */
		node = session->rows.next;
	}
	endpoint_unbind(&session->partition->endpoints, endpoint);
	return 0;
}

/* --- Rows --- */

static void tell_denied(struct session *session, const struct attach_request *request)
{
	bool is_sender = request->direction == ATTACH_SEND;
	struct partition *own = session->partition;
	struct cmm_event event = {
		.action = "denied",
		.is_refusal = true,
		.sender = is_sender ? own->name : request->remote,
		.sender_endpoint = is_sender ? request->endpoint : request->remote_endpoint,
		.receiver = is_sender ? request->remote : own->name,
		.receiver_endpoint = is_sender ? request->remote_endpoint : request->endpoint,
		.by = own->name,
		.pid = session->pid,
		.uid = session->uid,
	};

	own->cmm->counts.denied++;
	cmm_tell(own->cmm, &own->events, &event);
}

/* The rule, and what it and the partition leave room for. capacity and message_max come out. */
static int check_limits(const struct session *session, const struct policy_rule *rule,
	const struct attach_request *request, uint32_t *message_max, uint64_t *capacity)
{
	const struct partition *partition = session->partition;
	const struct state_table *rows = &partition->rows;

	if (cmm_count_rule(partition->cmm, rule, request->direction) >= rule->channel_max
		|| rows->count >= partition->settings->row_max)
		return -EDQUOT;
	*message_max = request->message_max ? request->message_max : rule->message_max;
	if (*message_max > rule->message_max)
		return -EMSGSIZE;
	*capacity = ring_capacity_for(*message_max);
	if (request->capacity && !ring_capacity_is_valid(request->capacity))
		return -EINVAL;
	if (request->capacity > *capacity)
		*capacity = request->capacity;
	return *capacity > partition->settings->memory_max
			|| rows->memory > partition->settings->memory_max - *capacity
		? -ENOBUFS
		: 0;
}

static struct channel_ids row_ids(const struct state_row *row)
{
	bool is_sender = row->direction == ATTACH_SEND;

	return (struct channel_ids){
		.sender_partition = is_sender ? row->partition->number : row->remote->number,
		.sender_endpoint = is_sender ? row->endpoint : row->remote_endpoint,
		.receiver_partition = is_sender ? row->remote->number : row->partition->number,
		.receiver_endpoint = is_sender ? row->remote_endpoint : row->endpoint,
	};
}

/* The ring and the two ways to wake each other. The process's end of a pipe shares no flags with
 * ours, so that a write never blocks; a bell is never read nor written here. */
static int open_descriptors(struct state_row *row, uint64_t capacity, struct answer *answer)
{
	int pipe_ends[2] = {-1, -1}, memory = ring_memory_create(capacity), status = memory;

	row->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (status >= 0)
		status = ring_memory_map(memory, capacity, &row->view);
	if (status == 0 && (row->bell < 0 || pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) < 0))
		status = -errno;
	row->wake = pipe_ends[1];
	if (status < 0) {
		if (memory >= 0)
			close(memory);
		return status;
	}
	answer->descriptors[ATTACH_MEMORY] = memory;
	answer->descriptors[ATTACH_BELL] = row->bell;
	answer->descriptors[ATTACH_WAKE] = pipe_ends[0];
	answer->descriptor_count = ATTACH_DESCRIPTORS;
	return 0;
}

static void destroy_new_row(struct state_row *row)
{
	ring_memory_unmap(&row->view);
	if (row->bell >= 0)
		close(row->bell);
	if (row->wake >= 0)
		close(row->wake);
	free(row);
}

static int create_row(struct session *session, const struct attach_request *request,
	uint32_t message_max, uint64_t capacity, struct answer *answer)
{
	struct cmm *cmm = session->partition->cmm;
	struct state_row *row = calloc(1, sizeof(*row));
	struct channel_ids ids;
	int status;

	if (!row)
		return -ENOMEM;
	*row = (struct state_row){.partition = session->partition,
		.remote = cmm_find_remote(cmm, request->remote),
		.session = session,
		.endpoint = request->endpoint,
		.remote_endpoint = request->remote_endpoint,
		.direction = request->direction,
		.message_max = message_max,
		.bell = -1,
		.wake = -1};
	ids = row_ids(row);
	status = key_table_claim(&cmm->keys, &ids, &row->key_slot);
	if (status == 0) {
		status = open_descriptors(row, capacity, answer);
		if (status < 0)
			key_table_release(&cmm->keys, row->key_slot);
	}
	if (status < 0) {
		destroy_new_row(row);
		return status;
	}
	row->id = ++cmm->next_row;
	state_table_add(&session->partition->rows, row);
	list_append(&session->rows, &row->session_node);
	answer->row = row;
	return 0;
}

static int handle_authorise(
	struct session *session, const struct attach_request *request, struct answer *answer)
{
	struct partition *own = session->partition;
	bool is_sender = request->direction == ATTACH_SEND;
	const struct policy_rule *rule;
	enum attach_reason ignored;
	uint32_t message_max;
	uint64_t capacity;
	int status;

	if ((!is_sender && request->direction != ATTACH_RECEIVE) || request->remote_endpoint == 0
		|| request->remote_endpoint > ATTACH_ENDPOINT_MAX)
		return -EINVAL;
	if (!session_endpoint(session, request->endpoint))
		return -EACCES;
	rule = policy_find_rule(own->cmm->policy, is_sender ? own->name : request->remote,
		is_sender ? request->remote : own->name);
	/* A rule's partitions are configured ones. */
	if (!rule) {
		tell_denied(session, request);
		return -EPERM;
	}
	if (state_table_verify(&own->rows, request->direction, request->endpoint,
		    cmm_find_remote(own->cmm, request->remote), request->remote_endpoint, &ignored))
		return -EEXIST;
	status = check_limits(session, rule, request, &message_max, &capacity);
	if (status == 0)
		status = create_row(session, request, message_max, capacity, answer);
	if (status < 0)
		return status;
	answer->notice.row = answer->row->id;
	answer->notice.endpoint = request->endpoint;
	answer->notice.message_max = message_max;
	answer->notice.capacity = capacity;
	return 0;
}

static struct state_row *session_row(const struct session *session, uint32_t id)
{
	list_foreach (node, &session->rows) {
		struct state_row *row = list_entry(node, struct state_row, session_node);

		if (row->id == id)
			return row;
	}
	return NULL;
}

/* --- Keys and requests --- */

void cmm_tell_once(struct state_row *row, uint32_t kind, enum attach_reason reason,
	const struct partition *who, uint32_t endpoint)
{
	struct attach_notice notice = {
		.kind = kind, .row = row->id, .reason = reason, .endpoint = endpoint};

	if (row->told & 1u << reason)
		return;
	row->told |= 1u << reason;
	strcpy(notice.partition, who->name);
	row->partition->cmm->ops->send(row->session, &notice, NULL, 0);
}

const struct partition *cmm_set_by(const struct state_row *row)
{
	const struct key_table *keys = &row->partition->cmm->keys;

	return key_table_setter(keys, row->key_slot) == KEY_SET_LOCAL ? row->partition
								      : row->remote;
}

void cmm_raise_exception(struct state_row *row, struct partition *by,
	const struct partition *set_by, uint32_t by_endpoint, const struct session *session)
{
	struct cmm *cmm = row->partition->cmm;
	struct cmm_event event = {.action = "exception",
		.is_refusal = true,
		.reason = attach_reason_word(ATTACH_REASON_KEY_SET),
		.by = by->name,
		.set_by = set_by->name,
		.pid = session ? session->pid : 0,
		.uid = session ? session->uid : 0};

	cmm->counts.exceptions++;
	cmm_event_ids(&event, row);
	cmm_tell(cmm, &by->events, &event);
	cmm_tell_once(row, ATTACH_EXCEPTION, ATTACH_REASON_KEY_SET, by, by_endpoint);
	if (row->other)
		cmm_tell_once(row->other, ATTACH_EXCEPTION, ATTACH_REASON_KEY_SET, by, by_endpoint);
}

/* A request that matches no row. One that comes before its row is nothing to tell people. */
static void refuse(struct state_row *receiver, enum attach_reason why)
{
	struct partition *remote = receiver->remote;
	struct cmm *cmm = remote->cmm;
	struct cmm_event event = {.action = "refused",
		.is_refusal = true,
		.reason = attach_reason_word(why),
		.by = receiver->partition->name,
		.pid = receiver->session->pid,
		.uid = receiver->session->uid};

	cmm->counts.refused[why]++;
	if (why == ATTACH_REASON_NO_ROW)
		return;
	cmm_event_ids(&event, receiver);
	cmm_tell(cmm, &receiver->partition->events, &event);
	list_foreach (node, &remote->rows.rows) {
		struct state_row *row = list_entry(node, struct state_row, node);

		if (row->direction == ATTACH_SEND && row->endpoint == receiver->remote_endpoint)
			cmm_tell_once(
				row, ATTACH_REFUSED, why, receiver->partition, receiver->endpoint);
	}
}

void cmm_tell_up(struct state_row *row)
{
	struct attach_notice notice = {.kind = ATTACH_UP,
		.row = row->id,
		.endpoint = row->endpoint,
		.message_max = cmm_row_message_max(row)};

	row->partition->cmm->ops->send(row->session, &notice, NULL, 0);
	/* For an event loop, which looks at the channel's own descriptor. */
	route_wake(row->wake);
}

void cmm_tell_up_event(
	struct state_row *row, const struct partition *by, const struct session *session)
{
	struct cmm *cmm = row->partition->cmm;
	struct cmm_event event = {.action = "up",
		.by = by->name,
		.pid = session ? session->pid : 0,
		.uid = session ? session->uid : 0};

	cmm->counts.up++;
	cmm_event_ids(&event, row);
	cmm_tell(cmm, &row->partition->events, &event);
}

/* The sender's half of the mechanism gets ids and key of the receiver's row: verified first, stored
 * only then (C3). */
static int connect_row(struct state_row *receiver)
{
	static const int codes[ATTACH_REASON_COUNT] = {[ATTACH_REASON_NO_ROW] = -ENOENT,
		[ATTACH_REASON_WRONG_PARTITION] = -EXDEV,
		[ATTACH_REASON_WRONG_ENDPOINT] = -EADDRNOTAVAIL};
	struct key_table *keys = &receiver->partition->cmm->keys;
	struct state_row *sender;
	enum attach_reason why;
	int status;

	if (receiver->remote->peer)
		return cmm_far_connect(receiver);
	sender = state_table_verify(&receiver->remote->rows, ATTACH_SEND, receiver->remote_endpoint,
		receiver->partition, receiver->endpoint, &why);
	if (!sender) {
		refuse(receiver, why);
		return codes[why];
	}
	status = key_table_set_remote(keys, sender->key_slot, receiver->key_slot);
	if (status == -EKEYREJECTED)
		cmm_raise_exception(sender, receiver->partition, cmm_set_by(sender),
			receiver->endpoint, receiver->session);
	if (status < 0)
		return status;
	status = cmm_route_open(sender, receiver);
	if (status < 0) {
		key_table_unset(keys, sender->key_slot);
		return status;
	}
	cmm_tell_up_event(receiver, receiver->partition, receiver->session);
	cmm_tell_up(sender);
	cmm_tell_up(receiver);
	return 0;
}

void cmm_connect_waiting(struct state_row *sender)
{
	struct state_row *receiver;
	enum attach_reason ignored;

	if (sender->remote->peer) {
		cmm_far_authorised(sender);
		return;
	}
	receiver = state_table_verify(&sender->remote->rows, ATTACH_RECEIVE,
		sender->remote_endpoint, sender->partition, sender->endpoint, &ignored);
	/* An error of the system's leaves it waiting; its process may ask again. */
	if (receiver && receiver->wants_connect)
		(void)connect_row(receiver);
}

static int handle_key(
	struct session *session, const struct attach_request *request, struct answer *answer)
{
	struct state_row *row = session_row(session, request->row);
	int status;

	if (!row)
		return -EBADSLT;
	status = key_table_set_local(&session->partition->cmm->keys, row->key_slot);
	if (status == -EKEYREJECTED) {
		cmm_raise_exception(
			row, session->partition, cmm_set_by(row), row->endpoint, session);
		cmm_far_exception(row);
	}
	return status;
}

static int handle_connect(
	struct session *session, const struct attach_request *request, struct answer *answer)
{
	struct state_row *row = session_row(session, request->row);

	if (!row)
		return -EBADSLT;
	if (row->direction != ATTACH_RECEIVE
		|| key_table_setter(&session->partition->cmm->keys, row->key_slot) != KEY_SET_LOCAL)
		return -EINVAL;
	if (cmm_row_is_up(row))
		return -EISCONN;
	row->wants_connect = true;
	return connect_row(row);
}

static int handle_revoke(
	struct session *session, const struct attach_request *request, struct answer *answer)
{
	struct state_row *row = session_row(session, request->row);

	if (!row)
		return -EBADSLT;
	cmm_row_close(row, ATTACH_REASON_REVOKED, session);
	return 0;
}

int cmm_handle(struct session *session, const void *bytes, size_t size)
{
	static int (*const handlers[ATTACH_OPERATION_COUNT])(
		struct session *, const struct attach_request *, struct answer *) = {
		[ATTACH_HELLO] = handle_hello,
		[ATTACH_BIND] = handle_bind,
		[ATTACH_UNBIND] = handle_unbind,
		[ATTACH_AUTHORISE] = handle_authorise,
		[ATTACH_KEY] = handle_key,
		[ATTACH_CONNECT] = handle_connect,
		[ATTACH_REVOKE] = handle_revoke,
	};
	struct answer answer = {.notice = {.kind = ATTACH_ANSWER}};
	struct attach_request request;
	int status = attach_read(bytes, size, &request);

	if (status < 0)
		return status;
	if (!session->is_greeted && request.operation != ATTACH_HELLO)
		return -EPROTO;
	answer.notice.serial = request.serial;
	answer.notice.status = handlers[request.operation](session, &request, &answer);
	session->partition->cmm->ops->send(
		session, &answer.notice, answer.descriptors, answer.descriptor_count);
	if (answer.descriptor_count > 0) {
		close(answer.descriptors[ATTACH_MEMORY]);
		close(answer.descriptors[ATTACH_WAKE]);
	}
	/* After the answer, so that the process knows the row whose channel stands. */
	if (answer.row && answer.row->direction == ATTACH_SEND)
		cmm_connect_waiting(answer.row);
	return 0;
}
