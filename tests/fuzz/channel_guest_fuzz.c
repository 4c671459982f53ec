/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that says on its streams whatever it likes (C3, C9): it has no row but its own
 * partition's, a process of the host gets nothing that no channel brought, and with its streams all
 * of it is gone.
 */
#include "channel/guest.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 3

static const char document_text[] =
	"{\"channels\": {\"threads\": 1, \"cores\": [], \"poll\": 0,"
	" \"partitions\": {"
	"  \"vm\": {\"vsock\": {\"socket\": \"/v\", \"cid\": 3}, \"endpoints\": 6, \"channels\": 8,"
	"          \"processes\": 2, \"memory\": 2097152, \"static\": {}},"
	"  \"b\": {\"socket\": \"/b\", \"endpoints\": 4, \"channels\": 6, \"processes\": 2,"
	"          \"memory\": 2097152, \"static\": {}}},"
	" \"allow\": {"
	"  \"in\": {\"from\": \"vm\", \"to\": \"vm\", \"channels\": 4, \"message-max\": 4096,"
	"           \"rate\": 0},"
	"  \"out\": {\"from\": \"vm\", \"to\": \"b\", \"channels\": 4, \"message-max\": 4096,"
	"            \"rate\": 0}}}}";

static struct cmm cmm;
static struct vsock_device device;
static struct vsock_connection connections[STREAMS];

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

/* --- The mechanism --- */

static void on_send(struct session *session, const struct attach_notice *notice,
	const int *descriptors, size_t count)
{
	if (session->is_guest)
		guest_send(session, notice, descriptors, count);
}

static void on_event(void *context, const struct cmm_event *event)
{
	if (!event->sender || !event->receiver)
		abort();
}

static void on_wake(void *context)
{
}

static int on_watch(void *context, int fd)
{
	return 0;
}

static struct guest_owner owner = {
	.cmm = &cmm, .partition = "vm", .wake = on_wake, .watch = on_watch};

static void open_cmm(void)
{
	static const struct cmm_ops ops = {.send = on_send,
		.guest_row_gone = guest_row_gone,
		.event = on_event,
		.wake = on_wake};
	json_t *document = json_loads(document_text, 0, NULL);
	struct policy *policy;
	struct error error;

	signal(SIGPIPE, SIG_IGN);
	if (cmm_open(&cmm, &ops, NULL, &error) < 0 || policy_create(document, &policy, &error) < 0
		|| cmm_prepare(&cmm, policy, &error) < 0)
		abort();
	cmm_commit(&cmm, NULL);
	json_decref(document);
	vsock_device_open(&device, 3, &guest_vsock_ops, &owner);
}

/* --- The guest --- */

/* Fields from few values, so that rows often meet. */
static size_t make_request(uint8_t *body, struct input *input)
{
	static const char *const names[] = {"vm", "b", "vm", "nobody"};
	struct attach_request request = {.operation = take(input) % (ATTACH_OPERATION_COUNT + 1),
		.row = cmm.next_row - take(input) % 8,
		.endpoint = take(input) % 6,
		.remote_endpoint = take(input) % 6,
		.direction = take(input) % 4};

	if (request.operation == ATTACH_HELLO)
		request.endpoint = ATTACH_VERSION;
	strcpy(request.remote, names[take(input) % 4]);
	memcpy(body, &request, sizeof(request));
	return sizeof(request);
}

static size_t make_body(uint32_t kind, uint8_t *body, struct input *input)
{
	const struct stream_process who = {
		.version = GUEST_VERSION, .pid = 1 + take(input), .uid = 0};
	uint64_t word = take(input);

	if (kind == STREAM_PROCESS) {
		memcpy(body, &who, sizeof(who));
		return sizeof(who);
	}
	if (kind == STREAM_REQUEST)
		return make_request(body, input);
	/* A record, or a position. */
	word *= take(input) % 2 ? 8 : 1;
	memset(body, 0, 256);
	memcpy(body, &word, sizeof(word));
	return kind == STREAM_BYTES ? 8 + (word & 0xf8) : sizeof(word);
}

static int say(struct vsock_connection *connection, struct input *input)
{
	uint8_t frame[1024];
	struct stream_head head = {.kind = take(input) % STREAM_KIND_COUNT,
		.row = cmm.next_row - take(input) % 4,
		.value = take(input) % 4 == 0};

	/* Most often a request. */
	if (take(input) % 2)
		head = (struct stream_head){.kind = STREAM_REQUEST};
	head.size = (uint32_t)(sizeof(head) + make_body(head.kind, frame + sizeof(head), input));
	memcpy(frame, &head, sizeof(head));
	if (take(input) % 32 == 31)
		frame[take(input) % head.size] ^= take(input);
	return guest_vsock_ops.take(connection, frame, head.size);
}

static void end(struct vsock_connection *connection)
{
	guest_vsock_ops.close(connection);
	list_remove(&connection->node);
	connection->process = NULL;
}

static void come(struct vsock_connection *connection)
{
	*connection = (struct vsock_connection){.device = &device};
	list_init(&connection->node);
	if (guest_vsock_ops.open(connection) == 0)
		list_append(&device.order, &connection->node);
}

/* What the guest reads. */
static int read_all(struct vsock_connection *connection)
{
	int status = guest_vsock_ops.fill(connection);

	ring_stream_sent(connection->stream, ring_stream_waiting(connection->stream));
	return status;
}

/* --- What has to hold --- */

static void check_rows(void)
{
	const struct partition *other = cmm_find_partition(&cmm, "b");
	const struct partition *own = cmm_find_partition(&cmm, "vm");

	if (other->rows.count != 0 || other->session_count != 0 || own->rows.count != cmm.keys.used)
		abort();
	list_foreach (node, &own->rows.rows) {
		const struct state_row *row = list_entry(node, struct state_row, node);

		if (row->route && (row->other->route != row->route || row->other->other != row))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (!cmm.policy)
		open_cmm();
	while (input.size > 0) {
		uint8_t choice = take(&input);
		struct vsock_connection *connection = &connections[choice % STREAMS];

		if (!connection->process)
			come(connection);
		else if (choice / STREAMS % 16 == 0 || say(connection, &input) < 0
			|| (choice / STREAMS % 2 == 0 && read_all(connection) < 0))
			end(connection);
		cmm_collect(&cmm);
		(void)guest_arm(&device);
		check_rows();
	}
	for (int i = 0; i < STREAMS; i++)
		if (connections[i].process)
			end(&connections[i]);
	if (cmm.keys.used != 0)
		abort();
	return 0;
}
