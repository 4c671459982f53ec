/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer that says on its link whatever it likes, to rows of which some are authorised for it (C3,
 * C5, C6): a key is stored only with ids that were authorised, no message is in the process's ring
 * but those that had the key, no place of the sending process's is freed that was not used, and
 * when the processes are gone, so are all rows and keys.
 */
#include "channel/cmm.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document_text[] =
	"{\"channels\": {\"threads\": 1, \"cores\": [], \"poll\": 0,"
	" \"peers\": {\"p\": {}},"
	" \"partitions\": {"
	"  \"a\": {\"socket\": \"/a\", \"endpoints\": 4, \"channels\": 6, \"processes\": 2,"
	"          \"memory\": 2097152, \"static\": {}}},"
	" \"allow\": {"
	"  \"out\": {\"from\": \"a\", \"to\": \"p/b\", \"channels\": 3, \"message-max\": 40000,"
	"            \"rate\": 0},"
	"  \"in\": {\"from\": \"p/b\", \"to\": \"a\", \"channels\": 3, \"message-max\": 4096,"
	"           \"rate\": 0}}}}";

static struct cmm cmm;
static uint32_t last_row;

/* What the peer knows of the receiver's row, also when that is gone. */
struct receiver {
	uint32_t id;
	struct stamp stamp;
};

static struct ring_consumer inbox;  /* of the receiving process */
static struct ring_producer outbox; /* of the sending one */

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

/* --- The mechanism, and a process with two rows for the peer --- */

static void on_send(struct session *session, const struct attach_notice *notice,
	const int *descriptors, size_t count)
{
	struct ring_view *view = notice->endpoint == 7 ? &inbox.view : &outbox.view;

	if (notice->kind == ATTACH_ANSWER && notice->row)
		last_row = notice->row;
	if (count > 0 && ring_memory_map(descriptors[ATTACH_MEMORY], notice->capacity, view) < 0)
		abort();
}

static void on_event(void *context, const struct cmm_event *event)
{
	if (!event->sender || !event->receiver)
		abort();
}

static void on_peer_event(void *context, const struct cmm_peer_event *event)
{
}

static void on_wake(void *context)
{
}

static void open_cmm(void)
{
	static const struct cmm_ops ops = {
		.send = on_send, .event = on_event, .peer_event = on_peer_event, .wake = on_wake};
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

static void ask(struct session *session, struct attach_request request)
{
	if (cmm_handle(session, &request, sizeof(request)) < 0)
		abort();
}

static uint32_t authorise(struct session *session, uint32_t endpoint, uint32_t direction)
{
	ask(session, (struct attach_request){.operation = ATTACH_BIND, .endpoint = endpoint});
	ask(session,
		(struct attach_request){.operation = ATTACH_AUTHORISE,
			.endpoint = endpoint,
			.remote_endpoint = endpoint + 1,
			.direction = direction,
			.remote = "p/b"});
	return last_row;
}

/* Messages that wait for the channel; the last one goes in pieces. */
static void fill_outbox(void)
{
	static const uint32_t sizes[] = {8, 0, 100, 40000};

	outbox.tail = outbox.head_seen = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (ring_producer_has_room(&outbox, sizes[i]) != 1)
			abort();
		memset(ring_producer_place(&outbox), 'm', sizes[i]);
		ring_producer_append(&outbox, sizes[i]);
	}
	ring_producer_publish(&outbox);
}

static struct session *open_process(uint32_t *receiver)
{
	struct session *session;

	if (cmm_session_open(cmm_find_partition(&cmm, "a"), 1, 1, NULL, &session) < 0)
		abort();
	ask(session,
		(struct attach_request){.operation = ATTACH_HELLO, .endpoint = ATTACH_VERSION});
	authorise(session, 5, ATTACH_SEND);
	fill_outbox();
	*receiver = authorise(session, 7, ATTACH_RECEIVE);
	ask(session, (struct attach_request){.operation = ATTACH_KEY, .row = *receiver});
	ask(session, (struct attach_request){.operation = ATTACH_CONNECT, .row = *receiver});
	return session;
}

/* --- The peer --- */

static ssize_t stream_read(void *context, void *out, size_t size)
{
	ssize_t got = recv(*(int *)context, out, size, MSG_DONTWAIT);

	return got < 0 ? -errno : got;
}

static ssize_t stream_write(void *context, const void *bytes, size_t size)
{
	ssize_t written = send(*(int *)context, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return written < 0 ? -errno : written;
}

static void stream_close(void *context)
{
	close(*(int *)context);
}

/* Of few values, so that channels often meet. */
static struct cmm_frame make_frame(struct input *input, const struct receiver *receiver)
{
	static const uint8_t other_key[CMM_KEY_SIZE] = {1};
	static const char *const names[] = {"a", "b", "c"};
	const struct stamp *stamp = &receiver->stamp;
	uint8_t choice = take(input);
	struct cmm_frame frame = {.type = (uint8_t)(CMM_AUTHORISED + choice % 9),
		.channel = receiver->id,
		.sender_partition = stamp->ids.sender_partition,
		.sender_endpoint = stamp->ids.sender_endpoint,
		.receiver_partition = stamp->ids.receiver_partition,
		.receiver_endpoint = stamp->ids.receiver_endpoint,
		.key = choice & 0x40 ? other_key : stamp->key,
		.is_senders = choice & 0x20};

	if (choice & 0x80)
		frame.channel = 1u + take(input) % 4;
	frame.sequence = (uint64_t)(take(input) % 16) * RING_ALIGN;
	frame.size = take(input) % 64;
	frame.reason = take(input) % 16;
	frame.limit = frame.sequence + (uint64_t)take(input) * 4096;
	if (frame.type == CMM_CONNECT) {
		frame.sender_endpoint = 4u + take(input) % 3;
		frame.receiver_endpoint = 5u + take(input) % 3;
	}
	strcpy(frame.sender, names[take(input) % 3]);
	strcpy(frame.receiver, names[take(input) % 3]);
	frame.payload_size = frame.size ? 1 + take(input) % frame.size : 0;
	frame.offset = choice & 0x10 ? 0 : frame.size - frame.payload_size;
	return frame;
}

/* What becomes of a frame: a byte of it is another one; the connection ends behind it. */
enum { LAST = 30, BROKEN = 31 };

/* Returns how many of the frames had the receiver's key, and so may have become messages. */
static size_t say(int fd, struct input *input, const struct receiver *receiver)
{
	uint8_t bytes[CMM_DATA_HEAD_SIZE + CMM_CONTROL_MAX] = {0};
	size_t size, authentic = 0;

	while (input->size > 0) {
		struct cmm_frame frame = make_frame(input, receiver);
		uint8_t fate = take(input) % 32;

		authentic += frame.key == receiver->stamp.key;
		if (frame.type == CMM_DATA) {
			cmm_frame_write_data(bytes, &frame);
			size = CMM_DATA_HEAD_SIZE + frame.payload_size;
		} else {
			size = cmm_frame_write(bytes, &frame);
		}
		if (fate == BROKEN) {
			uint8_t at = take(input);

			bytes[at % size] ^= take(input);
		}
		if (send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 || fate == LAST)
			break;
	}
	shutdown(fd, SHUT_WR);
	return authentic;
}

/* --- What has to hold --- */

static void check_rows(void)
{
	const struct partition *own = cmm_find_partition(&cmm, "a");

	list_foreach (node, &own->rows.rows) {
		const struct state_row *row = list_entry(node, struct state_row, node);
		enum key_setter setter = key_table_setter(&cmm.keys, row->key_slot);

		if (row->direction == ATTACH_SEND
			&& (setter == KEY_SET_LOCAL || !row->far != !setter))
			abort();
		if (row->direction == ATTACH_RECEIVE && setter != KEY_SET_LOCAL)
			abort();
	}
}

static size_t count_messages(void)
{
	const uint8_t *message;
	size_t count = 0;
	uint32_t size;

	inbox.head = inbox.tail_seen = 0;
	while (ring_consumer_next(&inbox, &message, &size) > 0) {
		ring_consumer_advance(&inbox, size);
		count++;
	}
	return count;
}

/* A connection; of this mechanism of the peer, or of one that was started anew. */
static size_t connect_and_say(
	struct peer *peer, struct input *input, const struct receiver *receiver)
{
	struct link_stream stream = {stream_read, stream_write, stream_close, NULL, -1};
	size_t authentic;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	stream.context = &ends[0];
	stream.fd = ends[0];
	if (cmm_peer_connect(peer, &stream, 1 + take(input) % 16 / 15, false) < 0)
		abort();
	authentic = say(ends[1], input, receiver);
	/* Until the end of the stream was seen. */
	while (link_is_attached(peer->link)) {
		cmm_collect(&cmm);
		check_rows();
		sched_yield();
	}
	close(ends[1]);
	return authentic;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct receiver receiver;
	struct session *session;
	size_t authentic = 0;

	if (!cmm.policy)
		open_cmm();
	session = open_process(&receiver.id);
	receiver.stamp = cmm.keys.rows[cmm_find_row(&cmm, receiver.id)->key_slot].stamp;
	do
		authentic += connect_and_say(cmm_find_peer(&cmm, "p"), &input, &receiver);
	while (input.size > 0);
	if (count_messages() > authentic || outbox.view.shared->head > outbox.tail)
		abort();
	ring_memory_unmap(&inbox.view);
	ring_memory_unmap(&outbox.view);
	cmm_session_close(session);
	if (cmm.keys.used != 0)
		abort();
	return 0;
}
