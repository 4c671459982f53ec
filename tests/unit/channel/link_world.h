/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link with a channel each way, their processes, and a peer that is played by hand on the other
 * end of its stream; for link_test.c and link_end_test.c.
 *
 *	sending process ═ ring ═► end ─┐
 *	                               ├─ link ══ socket pair ══ the test
 *	receiving process ◄ ring ═ end ─┘
 */
#pragma once

#include "channel/link_private.h"
#include "tests/unit/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPACITY    RING_CAPACITY_MIN
#define MESSAGE_MAX 40000 /* in two pieces */
#define SENDER      77    /* channels */
#define RECEIVER    78
#define RECORD      16 /* bytes in the ring of a message of up to 8 */

/* One end of a channel with its process. */
struct end {
	struct link_end link_end;
	struct ring_view view; /* the process's */
	struct ring_producer producer;
	struct ring_consumer consumer;
	int memory, bell, wake;
};

struct side {
	struct key_table keys;
	struct lane *lane;
	struct link *link;
	uint32_t notified;
	int fd; /* of its stream */
	struct end sender, receiver;
};

static const struct channel_ids ids = {1, 5, 2, 6};
static const uint8_t key[KEY_SIZE] = {1, 2, 3, [31] = 4};

static struct {
	struct side ours, theirs;
	int peer; /* the other end of our stream */
	uint8_t heard[2 * CMM_FRAME_MAX];
	size_t heard_size, heard_taken;
} world;

/* --- A side --- */

static inline ssize_t stream_read(void *context, void *out, size_t size)
{
	ssize_t got = recv(*(int *)context, out, size, MSG_DONTWAIT);

	return got < 0 ? -errno : got;
}

static inline ssize_t stream_write(void *context, const void *bytes, size_t size)
{
	ssize_t written = send(*(int *)context, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return written < 0 ? -errno : written;
}

static inline void stream_close(void *context)
{
	close(*(int *)context);
}

static inline void on_notify(void *context)
{
	__atomic_store_n((uint32_t *)context, 1, __ATOMIC_RELAXED);
}

static inline void open_end(struct side *side, struct end *end, uint32_t channel, bool is_sender)
{
	struct link_end *link_end = &end->link_end;
	struct ring_view view;
	int ends[2];

	end->memory = ring_memory_create(CAPACITY);
	assert_int_equal(ring_memory_map(end->memory, CAPACITY, &view), 0);
	assert_int_equal(ring_memory_map(end->memory, CAPACITY, &end->view), 0);
	end->producer = (struct ring_producer){.view = end->view};
	end->consumer = (struct ring_consumer){.view = end->view};
	end->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	end->wake = ends[0];
	*link_end = (struct link_end){.member.bells = {end->bell, -1},
		.channel = channel,
		.is_sender = is_sender,
		.wake = ends[1],
		.message_max = MESSAGE_MAX,
		.limit = CAPACITY,
		.is_paused = is_sender};
	link_end->from.view = link_end->to.view = view;
	assert_int_equal(key_table_claim(&side->keys, &ids, &link_end->key_slot), 0);
	assert_int_equal(key_table_set_far(&side->keys, link_end->key_slot, &ids, key), 0);
	assert_int_equal(link_add_end(side->link, link_end), 0);
}

static inline void close_end(struct side *side, struct end *end)
{
	link_remove_end(&end->link_end, false);
	key_table_release(&side->keys, end->link_end.key_slot);
	ring_memory_unmap(&end->link_end.from.view);
	ring_memory_unmap(&end->view);
	close(end->memory);
	close(end->bell);
	close(end->wake);
	close(end->link_end.wake);
}

static inline void attach(struct side *side, int fd)
{
	struct link_stream stream = {stream_read, stream_write, stream_close, &side->fd, fd};

	side->fd = fd;
	assert_int_equal(link_attach(side->link, &stream), 0);
}

static inline void open_side(struct side *side)
{
	struct error error;

	assert_int_equal(key_table_open(&side->keys, 2), 0);
	assert_int_equal(lane_start(-1, 0, on_notify, &side->notified, &side->lane, &error), 0);
	assert_int_equal(link_create(&side->keys, side->lane, &side->link), 0);
}

static inline void close_side(struct side *side)
{
	close_end(side, &side->sender);
	close_end(side, &side->receiver);
	link_destroy(side->link);
	lane_stop(side->lane);
	key_table_close(&side->keys);
}

/* Our link has a connection with us at its other end. */
static inline void connect_peer(void)
{
	const struct timeval patience = {.tv_sec = 25};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(
		setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	world.peer = ends[1];
	world.heard_size = world.heard_taken = 0;
	attach(&world.ours, ends[0]);
}

static inline void disconnect_peer(void)
{
	link_detach(world.ours.link);
	close(world.peer);
}

static inline int open_world(void **state)
{
	memset(&world, 0, sizeof(world));
	open_side(&world.ours);
	connect_peer();
	open_end(&world.ours, &world.ours.sender, SENDER, true);
	open_end(&world.ours, &world.ours.receiver, RECEIVER, false);
	return 0;
}

static inline int close_world(void **state)
{
	close_side(&world.ours);
	close(world.peer);
	return 0;
}

/* --- The processes --- */

static inline void ring_bell(const struct end *end)
{
	uint64_t one = 1;

	assert_int_equal(write(end->bell, &one, sizeof(one)), sizeof(one));
}

static inline void say(struct end *end, const void *message, uint32_t size)
{
	assert_int_equal(ring_producer_has_room(&end->producer, size), 1);
	memcpy(ring_producer_place(&end->producer), message, size);
	ring_producer_append(&end->producer, size);
	ring_producer_publish(&end->producer);
	ring_bell(end);
}

static inline bool hears(struct end *end, const void *expected, uint32_t expected_size)
{
	const uint8_t *message;
	uint32_t size;

	if (ring_consumer_next(&end->consumer, &message, &size) != 1)
		return false;
	assert_int_equal(size, expected_size);
	assert_memory_equal(message, expected, size);
	ring_consumer_advance(&end->consumer, size);
	ring_consumer_publish(&end->consumer);
	return true;
}

static inline uint64_t freed(const struct end *end)
{
	return __atomic_load_n(&end->view.shared->head, __ATOMIC_ACQUIRE);
}

/* --- The peer --- */

static inline void tell(const struct cmm_frame *frame)
{
	uint8_t bytes[CMM_CONTROL_MAX];
	size_t size = cmm_frame_write(bytes, frame);

	assert_int_equal(send(world.peer, bytes, size, MSG_NOSIGNAL), size);
}

static inline void acknowledge(uint64_t sequence, uint64_t limit)
{
	const struct cmm_frame frame = {
		.type = CMM_ACK, .channel = SENDER, .sequence = sequence, .limit = limit};

	tell(&frame);
}

static inline struct cmm_frame data_frame(
	uint64_t sequence, const void *payload, uint32_t offset, uint32_t piece, uint32_t size)
{
	return (struct cmm_frame){.type = CMM_DATA,
		.channel = RECEIVER,
		.sender_partition = ids.sender_partition,
		.sender_endpoint = ids.sender_endpoint,
		.receiver_partition = ids.receiver_partition,
		.receiver_endpoint = ids.receiver_endpoint,
		.key = key,
		.sequence = sequence,
		.size = size,
		.offset = offset,
		.payload = payload,
		.payload_size = piece};
}

static inline void tell_data(const struct cmm_frame *frame)
{
	static uint8_t bytes[CMM_FRAME_MAX];
	size_t size = CMM_DATA_HEAD_SIZE + frame->payload_size;

	cmm_frame_write_data(bytes, frame);
	memcpy(bytes + CMM_DATA_HEAD_SIZE, frame->payload, frame->payload_size);
	assert_int_equal(send(world.peer, bytes, size, MSG_NOSIGNAL), size);
}

static inline void tell_message(uint64_t sequence, const char *text)
{
	uint32_t size = (uint32_t)strlen(text);
	const struct cmm_frame frame = data_frame(sequence, text, 0, size, size);

	tell_data(&frame);
}

/* The next frame that our link has sent; valid until the next call. */
static inline struct cmm_frame hear(void)
{
	struct cmm_frame frame;
	int taken;

	while ((taken = cmm_frame_read(world.heard + world.heard_taken,
			world.heard_size - world.heard_taken, &frame))
		== 0) {
		ssize_t got;

		memmove(world.heard, world.heard + world.heard_taken,
			world.heard_size - world.heard_taken);
		world.heard_size -= world.heard_taken;
		world.heard_taken = 0;
		got = recv(world.peer, world.heard + world.heard_size,
			sizeof(world.heard) - world.heard_size, 0);
		assert_true(got > 0);
		world.heard_size += (size_t)got;
	}
	assert_true(taken > 0);
	world.heard_taken += (size_t)taken;
	return frame;
}

static inline void expect_message(uint64_t sequence, const char *text)
{
	struct cmm_frame frame = hear();

	assert_int_equal(frame.type, CMM_DATA);
	assert_int_equal(frame.channel, SENDER);
	assert_int_equal(frame.sequence, sequence);
	assert_int_equal(frame.offset, 0);
	assert_int_equal(frame.payload_size, strlen(text));
	assert_memory_equal(frame.payload, text, frame.payload_size);
}

static inline void go_on(uint64_t sequence, uint64_t limit)
{
	assert_int_equal(link_resume_end(&world.ours.sender.link_end, sequence, limit), 0);
}

static inline uint64_t drops(enum link_drop drop)
{
	return __atomic_load_n(&world.ours.link->counts.drops[drop], __ATOMIC_RELAXED);
}

/* A wrong frame, and the word for it. */
static inline void expect_drop(struct cmm_frame frame, enum link_drop drop)
{
	uint64_t before = drops(drop);

	tell_data(&frame);
	assert_becomes(drops(drop) == before + 1);
}
