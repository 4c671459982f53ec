/* SPDX-License-Identifier: BSD-3-Clause */
/* What moves messages (C4, C5): one copy, stamped and verified, and ends that break their rings. */
#include "channel/route.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPACITY    RING_CAPACITY_MIN
#define MESSAGE_MAX 4096
#define MS          1000000ULL

/* Processes of two partitions, played by their ends of the rings; there is no lane. */
static struct {
	struct key_table keys;
	struct secret *scratch;
	struct route route;
	struct ring_producer sender;
	struct ring_consumer receiver;
	int memory[2], wake[2]; /* of sender, receiver; the readers' ends */
} world;

static void open_end(int index, struct ring_view *ours, struct ring_view *theirs, int *wake)
{
	int ends[2];

	world.memory[index] = ring_memory_create(CAPACITY);
	assert_int_equal(ring_memory_map(world.memory[index], CAPACITY, ours), 0);
	assert_int_equal(ring_memory_map(world.memory[index], CAPACITY, theirs), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	world.wake[index] = ends[0];
	*wake = ends[1];
}

static int open_world(void **state)
{
	const struct channel_ids ids = {1, 10, 2, 20};
	struct route *route = &world.route;

	memset(&world, 0, sizeof(world));
	assert_int_equal(key_table_open(&world.keys, 4), 0);
	world.scratch = secret_create(sizeof(struct stamp));
	route->keys = &world.keys;
	route->message_max = MESSAGE_MAX;
	key_table_claim(&world.keys, &ids, &route->receiver.key_slot);
	key_table_claim(&world.keys, &ids, &route->sender.key_slot);
	key_table_set_local(&world.keys, route->receiver.key_slot);
	key_table_set_remote(&world.keys, route->sender.key_slot, route->receiver.key_slot);
	open_end(0, &route->from.view, &world.sender.view, &route->sender.wake);
	open_end(1, &route->to.view, &world.receiver.view, &route->receiver.wake);
	return 0;
}

static int close_world(void **state)
{
	ring_memory_unmap(&world.route.from.view);
	ring_memory_unmap(&world.route.to.view);
	ring_memory_unmap(&world.sender.view);
	ring_memory_unmap(&world.receiver.view);
	for (int i = 0; i < 2; i++) {
		close(world.memory[i]);
		close(world.wake[i]);
	}
	close(world.route.sender.wake);
	close(world.route.receiver.wake);
	secret_destroy(world.scratch);
	key_table_close(&world.keys);
	return 0;
}

static enum lane_result move_at(uint64_t now_ns)
{
	return route_move(&world.route, secret_bytes(world.scratch), now_ns);
}

static enum lane_result move(void)
{
	return move_at(1);
}

static void send_message(const void *message, uint32_t size)
{
	assert_int_equal(ring_producer_has_room(&world.sender, size), 1);
	memcpy(ring_producer_place(&world.sender), message, size);
	ring_producer_append(&world.sender, size);
	ring_producer_publish(&world.sender);
}

static int receive(const uint8_t **message, uint32_t *size)
{
	int status = ring_consumer_next(&world.receiver, message, size);

	if (status > 0) {
		ring_consumer_advance(&world.receiver, *size);
		ring_consumer_publish(&world.receiver);
	}
	return status;
}

static void assert_received(const char *text)
{
	const uint8_t *message;
	uint32_t size;

	assert_int_equal(receive(&message, &size), 1);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(message, text, size);
}

static void assert_nothing_received(void)
{
	const uint8_t *message;
	uint32_t size;

	assert_int_equal(receive(&message, &size), 0);
}

static bool was_woken(int index)
{
	char text[64];

	return read(world.wake[index], text, sizeof(text)) > 0;
}

static void messages_arrive_in_order(void **state)
{
	assert_int_equal(move(), LANE_IDLE);
	send_message("one", 3);
	send_message("two", 3);
	assert_int_equal(move(), LANE_MOVED);
	assert_received("one");
	assert_received("two");
	assert_nothing_received();
	assert_int_equal(world.route.counts.messages, 2);
	assert_int_equal(world.route.counts.bytes, 6);
}

static void what_was_received_the_sender_cannot_change(void **state)
{
	send_message("good", 4);
	assert_int_equal(move(), LANE_MOVED);
	memcpy(world.sender.view.data + RING_RECORD_SIZE, "evil", 4);
	assert_received("good");
}

static void a_stale_key_delivers_nothing(void **state)
{
	/* The receiver's side has a new key; the sender's still has the old one. */
	key_table_unset(&world.keys, world.route.receiver.key_slot);
	key_table_set_local(&world.keys, world.route.receiver.key_slot);
	send_message("stale", 5);
	assert_int_equal(move(), LANE_MOVED);
	assert_nothing_received();
	assert_int_equal(world.route.counts.forged, 1);
	assert_int_equal(world.route.counts.messages, 0);
}

static void a_misdirected_message_is_dropped(void **state)
{
	const struct channel_ids others = {1, 10, 3, 20};
	uint32_t slot;

	/* The sender's row is of a channel to another partition, even with the same key. */
	key_table_claim(&world.keys, &others, &slot);
	key_table_set_remote(&world.keys, slot, world.route.receiver.key_slot);
	world.route.sender.key_slot = slot;
	send_message("wrong", 5);
	assert_int_equal(move(), LANE_MOVED);
	assert_nothing_received();
	assert_int_equal(world.route.counts.forged, 1);
}

static void a_full_receiver_blocks_until_it_has_read(void **state)
{
	static uint8_t message[MESSAGE_MAX];
	const uint8_t *got;
	uint32_t size;
	int sent = 0, received = 0;

	while (move() != LANE_BLOCKED) {
		send_message(message, sizeof(message));
		sent++;
	}
	assert_true(route_arm(&world.route));
	assert_int_equal(world.route.to.view.shared->producer_sleeps, 1);
	while (receive(&got, &size) == 1)
		received++;
	assert_int_equal(received, sent - 1);
	assert_true(ring_must_wake(&world.receiver.view.shared->producer_sleeps));
	assert_int_equal(move(), LANE_MOVED);
	assert_int_equal(receive(&got, &size), 1);
}

static void sleepers_are_woken_and_others_not(void **state)
{
	send_message("a", 1);
	move();
	assert_false(was_woken(1));
	ring_announce_sleep(&world.receiver.view.shared->consumer_sleeps);
	send_message("b", 1);
	move();
	assert_true(was_woken(1));
	assert_false(was_woken(0));
	ring_announce_sleep(&world.sender.view.shared->producer_sleeps);
	send_message("c", 1);
	move();
	assert_true(was_woken(0));
	assert_false(was_woken(1));
}

static void a_route_does_not_fall_asleep_over_a_message(void **state)
{
	assert_int_equal(move(), LANE_IDLE);
	send_message("a", 1);
	assert_false(route_arm(&world.route));
	assert_int_equal(world.route.from.view.shared->consumer_sleeps, 0);
	move();
	assert_true(route_arm(&world.route));
	send_message("b", 1);
	assert_true(ring_must_wake(&world.sender.view.shared->consumer_sleeps));
}

static void waking_never_blocks(void **state)
{
	/* More than the pipe holds, whatever flags the reader has set on its end. */
	assert_int_equal(fcntl(world.wake[1], F_SETFL, 0), 0);
	for (int i = 0; i < 100000; i++)
		route_wake(world.route.receiver.wake);
	close(world.wake[1]);
	signal(SIGPIPE, SIG_IGN);
	route_wake(world.route.receiver.wake);
	world.wake[1] = open("/dev/null", O_RDONLY);
}

static void a_message_that_is_too_large_fails_the_route(void **state)
{
	static uint8_t message[MESSAGE_MAX + 1];

	send_message("before", 6);
	send_message(message, sizeof(message));
	assert_int_equal(move(), LANE_FAILED);
	assert_int_equal(world.route.failure, ATTACH_REASON_TOO_LARGE);
	assert_received("before");
	assert_nothing_received();
}

static void a_broken_ring_fails_the_route_by_its_end(void **state)
{
	static uint8_t message[MESSAGE_MAX];

	world.sender.view.shared->tail = 3;
	assert_int_equal(move(), LANE_FAILED);
	assert_int_equal(world.route.failure, ATTACH_REASON_SENDER_RING);
	world.route.failure = 0;
	world.sender.view.shared->tail = 0;
	world.route.from.tail_seen = 0;
	while (move() != LANE_BLOCKED)
		send_message(message, sizeof(message));
	world.receiver.view.shared->head = UINT64_MAX;
	assert_int_equal(move(), LANE_FAILED);
	assert_int_equal(world.route.failure, ATTACH_REASON_RECEIVER_RING);
}

static void the_rate_is_kept_with_a_burst_of_ten_milliseconds(void **state)
{
	uint64_t now_ns = 1000 * MS;

	world.route.interval_ns = 1 * MS;
	for (int i = 0; i < 40; i++)
		send_message("x", 1);
	assert_int_equal(move_at(now_ns), LANE_MOVED);
	assert_int_equal(world.route.counts.messages, 11);
	assert_int_equal(move_at(now_ns), LANE_THROTTLED);
	assert_int_equal(move_at(now_ns + 5 * MS), LANE_MOVED);
	assert_int_equal(world.route.counts.messages, 16);
	/* Time without messages saves up no more than the burst. */
	assert_int_equal(move_at(now_ns + 10000 * MS), LANE_MOVED);
	assert_int_equal(world.route.counts.messages, 27);
	__atomic_store_n(&world.route.interval_ns, 0, __ATOMIC_RELAXED);
	assert_int_equal(move_at(now_ns + 10000 * MS), LANE_MOVED);
	assert_int_equal(world.route.counts.messages, 40);
}

static void the_end_is_told_in_both_rings_behind_the_last_message(void **state)
{
	send_message("last", 4);
	move();
	route_end(&world.route.from.view, world.route.sender.wake, ATTACH_REASON_REVOKED);
	route_end(&world.route.to.view, world.route.receiver.wake, ATTACH_REASON_REVOKED);
	assert_true(was_woken(0));
	assert_true(was_woken(1));
	assert_int_equal(world.sender.view.shared->end, ATTACH_REASON_REVOKED);
	assert_int_equal(world.receiver.view.shared->end, ATTACH_REASON_REVOKED);
	assert_received("last");
}

int main(void)
{
#define ROUTE_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		ROUTE_TEST(messages_arrive_in_order),
		ROUTE_TEST(what_was_received_the_sender_cannot_change),
		ROUTE_TEST(a_stale_key_delivers_nothing),
		ROUTE_TEST(a_misdirected_message_is_dropped),
		ROUTE_TEST(a_full_receiver_blocks_until_it_has_read),
		ROUTE_TEST(sleepers_are_woken_and_others_not),
		ROUTE_TEST(a_route_does_not_fall_asleep_over_a_message),
		ROUTE_TEST(waking_never_blocks),
		ROUTE_TEST(a_message_that_is_too_large_fails_the_route),
		ROUTE_TEST(a_broken_ring_fails_the_route_by_its_end),
		ROUTE_TEST(the_rate_is_kept_with_a_burst_of_ten_milliseconds),
		ROUTE_TEST(the_end_is_told_in_both_rings_behind_the_last_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
