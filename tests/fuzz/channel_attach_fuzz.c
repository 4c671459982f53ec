/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes of three partitions that say to the channel role whatever they like, come and go, while
 * an operator revokes (C1, C3, C6). A channel stands only between two rows that authorise exactly
 * each other, with the key set by the receiver's side and stored at the sender's; and when all are
 * gone, so are all rows and keys.
 */
#include "channel/cmm.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSIONS 5

static const char document_text[] =
	"{\"channels\": {\"threads\": 1, \"cores\": [], \"poll\": 0,"
	" \"partitions\": {"
	"  \"a\": {\"socket\": \"/a\", \"endpoints\": 4, \"channels\": 6, \"processes\": 2,"
	"          \"memory\": 2097152, \"static\": {\"x\": {\"id\": 3, \"uid\": 9}}},"
	"  \"b\": {\"socket\": \"/b\", \"endpoints\": 4, \"channels\": 6, \"processes\": 2,"
	"          \"memory\": 2097152, \"static\": {}},"
	"  \"c\": {\"socket\": \"/c\", \"endpoints\": 4, \"channels\": 6, \"processes\": 2,"
	"          \"memory\": 2097152, \"static\": {}}},"
	" \"allow\": {"
	"  \"ab\": {\"from\": \"a\", \"to\": \"b\", \"channels\": 3, \"message-max\": 4096,"
	"           \"rate\": 0},"
	"  \"aa\": {\"from\": \"a\", \"to\": \"a\", \"channels\": 3, \"message-max\": 4096,"
	"           \"rate\": 0},"
	"  \"cb\": {\"from\": \"c\", \"to\": \"b\", \"channels\": 3, \"message-max\": 4096,"
	"           \"rate\": 9}}}}";

static struct cmm cmm;
static struct session *sessions[SESSIONS];

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t take(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

static void on_send(struct session *session, const struct attach_notice *notice,
	const int *descriptors, size_t count)
{
	if (notice->kind < ATTACH_ANSWER || notice->kind > ATTACH_EXCEPTION
		|| notice->reason >= ATTACH_REASON_COUNT
		|| strnlen(notice->partition, ATTACH_NAME_SIZE) == ATTACH_NAME_SIZE)
		abort();
}

static void on_event(void *context, const struct cmm_event *event)
{
	if (!event->sender || !event->receiver)
		abort();
}

static void on_wake(void *context)
{
}

static void open_cmm(void)
{
	static const struct cmm_ops ops = {.send = on_send, .event = on_event, .wake = on_wake};
	json_t *document = json_loads(document_text, 0, NULL);
	struct policy *policy;
	struct error error;

	signal(SIGPIPE, SIG_IGN);
	if (cmm_open(&cmm, &ops, NULL, &error) < 0 || policy_create(document, &policy, &error) < 0
		|| cmm_prepare(&cmm, policy, &error) < 0)
		abort();
	cmm_commit(&cmm, NULL);
	json_decref(document);
}

/* Fields from few values, so that rows often meet. */
static void make_request(struct attach_request *request, struct input *input)
{
	static const char *const names[] = {"a", "b", "c", "nobody"};

	memset(request, 0, sizeof(*request));
	request->operation = take(input) % (ATTACH_OPERATION_COUNT + 1);
	request->row = cmm.next_row - take(input) % 16;
	request->endpoint = take(input) % 6;
	request->remote_endpoint = take(input) % 6;
	request->direction = take(input) % 4;
	request->message_max = take(input) % 8 ? 0 : (uint32_t)take(input) << 6;
	request->capacity = take(input) % 8 ? 0 : 1ULL << take(input) % 40;
	strcpy(request->remote, names[take(input) % 4]);
}

static void say(struct session **session, struct input *input)
{
	struct attach_request request;
	size_t size = sizeof(request);

	make_request(&request, input);
	if (take(input) % 16 == 0) {
		size = take(input) % (sizeof(request) + 1);
		for (size_t i = 0; i < size; i++)
			((uint8_t *)&request)[i] = take(input);
	}
	if (cmm_handle(*session, &request, size) < 0) {
		cmm_session_close(*session);
		*session = NULL;
	}
}

static void come(struct session **session, struct input *input)
{
	static const char *const names[] = {"a", "b", "c"};
	const struct attach_request hello = {.operation = ATTACH_HELLO, .endpoint = ATTACH_VERSION};

	if (cmm_session_open(cmm_find_partition(&cmm, names[take(input) % 3]), 1, take(input) % 10,
		    NULL, session)
		< 0) {
		*session = NULL;
		return;
	}
	if (cmm_handle(*session, &hello, sizeof(hello)) < 0)
		abort();
}

static void check_row(const struct state_row *row)
{
	const struct state_row *other = row->other;
	bool is_sender = row->direction == ATTACH_SEND;
	const struct key_row *keys = cmm.keys.rows;

	if (!row->route) {
		if (other)
			abort();
		return;
	}
	if (other->route != row->route || other->other != row || other->direction == row->direction
		|| other->partition != row->remote || row->partition != other->remote
		|| other->endpoint != row->remote_endpoint
		|| row->endpoint != other->remote_endpoint)
		abort();
	if (memcmp(&keys[row->key_slot].stamp, &keys[other->key_slot].stamp, sizeof(struct stamp))
		|| key_table_setter(&cmm.keys, row->key_slot)
			!= (is_sender ? KEY_SET_REMOTE : KEY_SET_LOCAL))
		abort();
}

static void check_all(void)
{
	uint32_t count = 0;

	list_foreach (node, &cmm.partitions) {
		struct partition *partition = list_entry(node, struct partition, node);

		list_foreach (row_node, &partition->rows.rows)
			check_row(list_entry(row_node, struct state_row, node));
		count += partition->rows.count;
	}
	if (count != cmm.keys.used)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (!cmm.policy)
		open_cmm();
	while (input.size > 0) {
		uint8_t choice = take(&input);
		struct session **session = &sessions[choice % SESSIONS];

		if (choice / SESSIONS % 16 == 0)
			cmm_revoke(&cmm, cmm.next_row - take(&input) % 8);
		else if (!*session)
			come(session, &input);
		else if (choice / SESSIONS % 16 == 1) {
			cmm_session_close(*session);
			*session = NULL;
		} else {
			say(session, &input);
		}
		check_all();
	}
	for (int i = 0; i < SESSIONS; i++) {
		if (sessions[i])
			cmm_session_close(sessions[i]);
		sessions[i] = NULL;
	}
	if (cmm.keys.used != 0)
		abort();
	return 0;
}
