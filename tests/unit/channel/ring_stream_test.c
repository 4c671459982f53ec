/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings over a stream (C5, C9): what is put in at one end comes out at the other, and nothing that
 * either far end, or a process at a ring, says makes more of it. */
#include "channel/ring_stream.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPACITY RING_CAPACITY_MIN
#define ROW      7

/* A side: its stream, and the ring's end that is there. */
struct side {
	struct ring_stream stream;
	struct ring_mirror *mirror;
	int memory;
	struct ring_view view;
	struct ring_producer producer;
	struct ring_consumer consumer;
	int wakes; /* pipe: its reading end */
};

static struct side near_side, far_side; /* the producer's, the consumer's */
static struct stream_head last;
static uint32_t last_reason;

static int on_frame(struct ring_stream *stream, const struct stream_head *head, const void *body)
{
	last = *head;
	if (head->kind == STREAM_NOTICE)
		last_reason = ((const struct attach_notice *)body)->reason;
	return head->kind == STREAM_GONE ? -EPERM : 0;
}

static void open_side(struct side *side, bool is_source)
{
	static const struct ring_stream_ops ops = {on_frame};
	const struct stream_head what = {.row = ROW, .value = is_source};
	int ends[2], wait[2];

	ring_stream_open(&side->stream, &ops);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(pipe2(wait, O_NONBLOCK), 0);
	close(wait[1]);
	side->wakes = ends[0];
	side->memory = ring_memory_create(CAPACITY);
	assert_int_equal(ring_memory_map(side->memory, CAPACITY, &side->view), 0);
	side->producer = (struct ring_producer){.view = side->view};
	side->consumer = (struct ring_consumer){.view = side->view};
	assert_int_equal(ring_mirror_open(&side->stream, &what, side->memory, CAPACITY, ends[1],
				 wait[0], &side->mirror),
		0);
}

static int set_up(void **state)
{
	last = (struct stream_head){0};
	open_side(&near_side, true);
	open_side(&far_side, false);
	return 0;
}

static void close_side(struct side *side)
{
	ring_stream_close(&side->stream);
	ring_memory_unmap(&side->view);
	close(side->memory);
	close(side->wakes);
}

static int tear_down(void **state)
{
	close_side(&near_side);
	close_side(&far_side);
	return 0;
}

/* What there is to say, said in pieces of this size. */
static int carry_pieces(struct side *from, struct side *to, size_t piece)
{
	int status = ring_stream_fill(&from->stream);

	while (status == 0 && ring_stream_waiting(&from->stream) > 0) {
		size_t size = ring_stream_waiting(&from->stream);

		if (size > piece)
			size = piece;
		status = ring_stream_take(&to->stream, ring_stream_next(&from->stream), size);
		ring_stream_sent(&from->stream, size);
		if (status == 0)
			status = ring_stream_fill(&from->stream);
	}
	return status;
}

static int carry(struct side *from, struct side *to)
{
	return carry_pieces(from, to, SIZE_MAX);
}

static bool put(uint8_t first, uint32_t size)
{
	if (ring_producer_has_room(&near_side.producer, size) <= 0)
		return false;
	memset(ring_producer_place(&near_side.producer), first, size);
	ring_producer_append(&near_side.producer, size);
	ring_producer_publish(&near_side.producer);
	return true;
}

static void expect(uint8_t first, uint32_t size)
{
	const uint8_t *message = NULL;
	uint32_t got;

	assert_int_equal(ring_consumer_next(&far_side.consumer, &message, &got), 1);
	assert_int_equal(got, size);
	assert_int_equal(message[0], first);
	assert_int_equal(message[size - 1], first);
	ring_consumer_advance(&far_side.consumer, got);
	ring_consumer_publish(&far_side.consumer);
}

static void carries_messages_and_what_was_taken(void **state)
{
	for (int round = 0; round < 50; round++) {
		uint32_t size = 1000 + 300 * (uint32_t)round;
		int count = 0;

		while (put((uint8_t)(count + 1), size))
			count++;
		assert_true(count > 0);
		assert_int_equal(carry_pieces(&near_side, &far_side, 777), 0);
		/* Not before it was taken at the far end is there room again. */
		assert_int_equal(near_side.view.shared->head, near_side.mirror->taken);
		for (int i = 0; i < count; i++)
			expect((uint8_t)(i + 1), size);
		assert_int_equal(carry_pieces(&far_side, &near_side, 5), 0);
		assert_int_equal(near_side.view.shared->head, near_side.producer.tail);
	}
}

static void shows_nothing_before_all_of_it_is_there(void **state)
{
	const uint8_t *message;
	uint32_t size;

	put(1, 40000);
	ring_stream_fill(&near_side.stream);
	size = (uint32_t)ring_stream_waiting(&near_side.stream) - 1;
	ring_stream_take(&far_side.stream, ring_stream_next(&near_side.stream), size);
	ring_stream_sent(&near_side.stream, size);
	assert_int_equal(ring_consumer_next(&far_side.consumer, &message, &size), 0);
	assert_int_equal(carry(&near_side, &far_side), 0);
	expect(1, 40000);
}

static void tells_the_end_behind_what_was_left(void **state)
{
	const struct stream_head end = {.size = sizeof(end) + sizeof(struct attach_notice),
		.kind = STREAM_NOTICE,
		.row = ROW};
	const struct attach_notice notice = {.reason = ATTACH_REASON_REVOKED};

	put(1, 100);
	ring_mirror_end(near_side.mirror, &end, &notice);
	put(2, 100);
	assert_int_equal(carry(&near_side, &far_side), 0);
	expect(1, 100);
	expect(2, 100);
	assert_int_equal(last.row, ROW);
	assert_int_equal(last_reason, ATTACH_REASON_REVOKED);
	assert_null(ring_mirror_find(&near_side.stream, ROW));
	assert_int_equal(near_side.stream.mirror_count, 0);
	/* What was on its way to it is nobody's any more. */
	assert_int_equal(carry(&far_side, &near_side), 0);
}

static bool was_woken(struct side *side)
{
	uint64_t word;

	return read(side->wakes, &word, sizeof(word)) > 0;
}

static void sleeps_until_it_is_woken(void **state)
{
	assert_true(ring_stream_arm(&near_side.stream));
	assert_int_equal(near_side.view.shared->consumer_sleeps, 1);
	put(1, 100);
	assert_false(ring_stream_arm(&near_side.stream));
	ring_announce_sleep(&far_side.view.shared->consumer_sleeps);
	assert_int_equal(carry(&near_side, &far_side), 0);
	assert_true(was_woken(&far_side));
	assert_int_equal(near_side.view.shared->consumer_sleeps, 0);
	assert_true(ring_stream_arm(&far_side.stream));
	assert_int_equal(far_side.view.shared->producer_sleeps, 1);
	ring_announce_sleep(&near_side.view.shared->producer_sleeps);
	expect(1, 100);
	assert_false(ring_stream_arm(&far_side.stream));
	assert_int_equal(carry(&far_side, &near_side), 0);
	assert_true(was_woken(&near_side));
	assert_false(was_woken(&near_side));
}

/* --- Lies --- */

static int say(struct side *to, uint32_t kind, uint32_t value, const void *body, size_t size)
{
	uint8_t frame[STREAM_FRAME_MAX];
	const struct stream_head head = {
		.size = (uint32_t)(sizeof(head) + size), .kind = kind, .row = ROW, .value = value};

	/* What was refused before is not looked at again. */
	to->stream.rx_size = 0;
	memcpy(frame, &head, sizeof(head));
	if (size > 0)
		memcpy(frame + sizeof(head), body, size);
	return ring_stream_take(&to->stream, frame, head.size);
}

static void refuses_more_than_there_is_room_for(void **state)
{
	static const uint8_t piece[STREAM_PIECE_MAX];

	for (uint64_t at = 0; at < CAPACITY; at += sizeof(piece))
		assert_int_equal(say(&far_side, STREAM_BYTES, 0, piece, sizeof(piece)), 0);
	assert_int_equal(say(&far_side, STREAM_BYTES, 0, piece, 8), -EPROTO);
	/* Nor does the consumer's word make room, as long as it was not told on. */
	far_side.view.shared->head = CAPACITY;
	assert_int_equal(say(&far_side, STREAM_BYTES, 0, piece, 8), -EPROTO);
}

static void refuses_that_more_was_taken_than_sent(void **state)
{
	uint64_t position = 8;

	assert_int_equal(say(&near_side, STREAM_TAKEN, 0, &position, sizeof(position)), -EPROTO);
	put(1, 8);
	assert_int_equal(carry(&near_side, &far_side), 0);
	position = 16;
	assert_int_equal(say(&near_side, STREAM_TAKEN, 0, &position, sizeof(position)), 0);
	position = 8;
	assert_int_equal(say(&near_side, STREAM_TAKEN, 0, &position, sizeof(position)), -EPROTO);
	assert_int_equal(near_side.view.shared->head, 16);
}

static void refuses_what_goes_the_wrong_way(void **state)
{
	uint64_t position = 0;

	assert_int_equal(say(&near_side, STREAM_BYTES, 1, &position, 8), -EPROTO);
	assert_int_equal(say(&far_side, STREAM_TAKEN, 0, &position, 8), -EPROTO);
	assert_int_equal(say(&far_side, STREAM_BYTES, 2, &position, 8), -EPROTO);
	assert_int_equal(say(&far_side, STREAM_BYTES, 1, &position, 0), -EPROTO);
	assert_int_equal(say(&near_side, STREAM_TAKEN, 0, &position, 4), -EPROTO);
	assert_int_equal(say(&near_side, STREAM_KIND_COUNT, 0, &position, 8), -EPROTO);
	assert_int_equal(say(&near_side, 0, 0, &position, 8), -EPROTO);
	assert_int_equal(say(&near_side, STREAM_GONE, 0, NULL, 0), -EPERM);
}

static void refuses_frames_of_no_size(void **state)
{
	struct stream_head head = {.size = sizeof(head) - 1, .kind = STREAM_NOTICE};

	assert_int_equal(
		ring_stream_take(&near_side.stream, (const uint8_t *)&head, sizeof(head)), -EPROTO);
	near_side.stream.rx_size = 0;
	head.size = STREAM_FRAME_MAX + 1;
	assert_int_equal(
		ring_stream_take(&near_side.stream, (const uint8_t *)&head, sizeof(head)), -EPROTO);
}

static void finds_out_a_producer_that_is_ahead_of_its_ring(void **state)
{
	near_side.view.shared->tail = CAPACITY + 8;
	assert_int_equal(ring_stream_fill(&near_side.stream), -EPROTO);
}

static void finds_out_a_producer_that_goes_back(void **state)
{
	put(1, 100);
	assert_int_equal(carry(&near_side, &far_side), 0);
	near_side.view.shared->tail = 8;
	assert_int_equal(ring_stream_fill(&near_side.stream), -EPROTO);
}

static void finds_out_a_consumer_that_is_ahead_of_what_came(void **state)
{
	far_side.view.shared->head = 8;
	assert_int_equal(ring_stream_fill(&far_side.stream), -EPROTO);
}

static void a_far_end_that_does_not_read_is_found_out(void **state)
{
	const struct stream_head head = {
		.size = sizeof(head) + sizeof(struct attach_notice), .kind = STREAM_NOTICE};
	const struct attach_notice notice = {0};
	int status = 0;

	/* Bytes leave the notices room. */
	while (put(1, 1000))
		;
	assert_int_equal(ring_stream_fill(&near_side.stream), 0);
	assert_true(ring_stream_waiting(&near_side.stream) <= STREAM_TX_BYTES);
	for (int i = 0; i < 400; i++)
		assert_int_equal(ring_stream_queue(&near_side.stream, &head, &notice), 0);
	for (int i = 0; i < 10000 && status == 0; i++)
		status = ring_stream_queue(&near_side.stream, &head, &notice);
	assert_int_equal(status, -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(carries_messages_and_what_was_taken),
		TEST(shows_nothing_before_all_of_it_is_there),
		TEST(tells_the_end_behind_what_was_left),
		TEST(sleeps_until_it_is_woken),
		TEST(refuses_more_than_there_is_room_for),
		TEST(refuses_that_more_was_taken_than_sent),
		TEST(refuses_what_goes_the_wrong_way),
		TEST(refuses_frames_of_no_size),
		TEST(finds_out_a_producer_that_is_ahead_of_its_ring),
		TEST(finds_out_a_producer_that_goes_back),
		TEST(finds_out_a_consumer_that_is_ahead_of_what_came),
		TEST(a_far_end_that_does_not_read_is_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
