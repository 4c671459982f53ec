/* SPDX-License-Identifier: BSD-3-Clause */
/* A link's stream (C7, C9): frames and what is none, how it ends, and two links that are each
 * other's, however often the connection between them is another one. */
#include "tests/unit/channel/link_world.h"

#include <pthread.h>

/* --- The stream --- */

static void a_frame_for_control_stops_what_is_behind_it(void **state)
{
	const struct cmm_frame end = {.type = CMM_CLOSE, .channel = RECEIVER, .reason = 3};
	struct cmm_frame frame;

	tell_message(0, "before");
	tell(&end);
	tell_message(RECORD, "behind");
	assert_becomes(__atomic_load_n(&world.ours.notified, __ATOMIC_RELAXED));
	assert_becomes(hears(&world.ours.receiver, "before", 6));
	assert_false(hears(&world.ours.receiver, "behind", 6));
	assert_int_equal(link_next_control(world.ours.link, &frame), 1);
	assert_int_equal(frame.type, CMM_CLOSE);
	assert_int_equal(frame.reason, 3);
	assert_false(hears(&world.ours.receiver, "behind", 6));
	assert_int_equal(link_next_control(world.ours.link, &frame), 0);
	assert_becomes(hears(&world.ours.receiver, "behind", 6));
}

static void what_is_no_frame_ends_the_stream(void **state)
{
	tell_message(0, "before");
	assert_int_equal(send(world.peer, "no frame at all", 15, MSG_NOSIGNAL), 15);
	assert_becomes(link_failure(world.ours.link) == -EPROTO);
	assert_becomes(hears(&world.ours.receiver, "before", 6));
}

static void a_peer_that_goes_ends_the_stream(void **state)
{
	shutdown(world.peer, SHUT_WR);
	assert_becomes(link_failure(world.ours.link) == -EPIPE);
	assert_becomes(__atomic_load_n(&world.ours.notified, __ATOMIC_RELAXED));
	assert_true(link_is_attached(world.ours.link));
	link_detach(world.ours.link);
	assert_false(link_is_attached(world.ours.link));
}

/* More than there can be rows is said to who reads nothing. */
static void a_peer_that_does_not_read_ends_the_stream(void **state)
{
	const struct cmm_frame frame = {.type = CMM_AUTHORISED, .sender = "a", .receiver = "b"};

	for (int i = 0; i < 30000 && link_failure(world.ours.link) == 0; i++)
		link_send(world.ours.link, &frame);
	assert_int_equal(link_failure(world.ours.link), -ENOBUFS);
}

static void an_end_that_was_removed_is_nobody_s(void **state)
{
	struct end *receiver = &world.ours.receiver;

	assert_ptr_equal(link_find_end(world.ours.link, false, RECEIVER), &receiver->link_end);
	assert_null(link_find_end(world.ours.link, true, RECEIVER));
	close_end(&world.ours, receiver);
	assert_null(link_find_end(world.ours.link, false, RECEIVER));
	expect_drop(data_frame(0, "late", 0, 4, 4), LINK_DROP_STALE);
	open_end(&world.ours, receiver, RECEIVER, false);
}

/* Whether the link has the key in what was or is to be said or heard. */
static bool has_key(void)
{
	const struct link_memory *memory = world.ours.link->memory;
	bool is_there;

	lane_pause(world.ours.lane);
	is_there = memmem(memory, sizeof(*memory), key, sizeof(key)) != NULL;
	lane_resume(world.ours.lane);
	return is_there;
}

/* Of frames that came and went (C7). */
static void the_key_of_an_end_that_is_gone_does_not_stay(void **state)
{
	struct cmm_frame frame;

	go_on(0, CAPACITY);
	say(&world.ours.sender, "out", 3);
	expect_message(0, "out");
	tell_message(0, "in");
	assert_becomes(hears(&world.ours.receiver, "in", 2));
	do
		frame = hear();
	while (frame.type != CMM_ACK);
	assert_true(has_key());
	close_end(&world.ours, &world.ours.sender);
	close_end(&world.ours, &world.ours.receiver);
	assert_false(has_key());
	open_end(&world.ours, &world.ours.sender, SENDER, true);
	open_end(&world.ours, &world.ours.receiver, RECEIVER, false);
}

/* --- Two links --- */

#define MANY 30000U

static void *send_many(void *argument)
{
	struct end *end = argument;

	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t size = sizeof(i) + i % 200;

		while (ring_producer_has_room(&end->producer, size) != 1)
			usleep(100);
		memset(ring_producer_place(&end->producer), 0, size);
		memcpy(ring_producer_place(&end->producer), &i, sizeof(i));
		ring_producer_append(&end->producer, size);
		ring_producer_publish(&end->producer);
		ring_bell(end);
	}
	return NULL;
}

static uint32_t receive_some(struct end *end, uint32_t next)
{
	const uint8_t *message;
	uint32_t size;

	while (ring_consumer_next(&end->consumer, &message, &size) == 1) {
		assert_int_equal(size, sizeof(next) + next % 200);
		assert_memory_equal(message, &next, sizeof(next));
		ring_consumer_advance(&end->consumer, size);
		ring_consumer_publish(&end->consumer);
		next++;
	}
	ring_bell(end);
	return next;
}

/* As the control threads of both hosts do it. */
static void reconnect(void)
{
	struct side *sides[2] = {&world.ours, &world.theirs};
	struct cmm_frame frame;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	for (int i = 0; i < 2; i++) {
		link_detach(sides[i]->link);
		attach(sides[i], ends[i]);
	}
	if (!world.theirs.receiver.link_end.link)
		open_end(&world.theirs, &world.theirs.receiver, SENDER, false);
	link_resume_receiver(&world.theirs.receiver.link_end);
	assert_becomes(link_next_control(world.ours.link, &frame) == 1);
	assert_int_equal(frame.type, CMM_RESUME);
	go_on(frame.sequence, frame.limit);
	/* Reads on. */
	assert_int_equal(link_next_control(world.ours.link, &frame), 0);
}

static void nothing_is_lost_or_repeated_however_often_the_link_is(void **state)
{
	uint32_t next = 0, cuts = 0;
	pthread_t thread;

	disconnect_peer();
	open_side(&world.theirs);
	reconnect();
	open_end(&world.theirs, &world.theirs.sender, SENDER + 1000, true);
	pthread_create(&thread, NULL, send_many, &world.ours.sender);
	while (next < MANY) {
		uint32_t wanted = next + MANY / 50 < MANY ? next + MANY / 50 : MANY;

		assert_becomes((next = receive_some(&world.theirs.receiver, next)) >= wanted);
		reconnect();
		cuts++;
	}
	pthread_join(thread, NULL);
	assert_int_equal(next, MANY);
	assert_true(cuts > 10);
	for (int drop = 0; drop < LINK_DROP_COUNT; drop++)
		assert_int_equal(
			world.theirs.link->counts.drops[drop] + world.ours.link->counts.drops[drop],
			0);
	close_side(&world.theirs);
	world.peer = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int main(void)
{
#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		LINK_TEST(a_frame_for_control_stops_what_is_behind_it),
		LINK_TEST(what_is_no_frame_ends_the_stream),
		LINK_TEST(a_peer_that_goes_ends_the_stream),
		LINK_TEST(a_peer_that_does_not_read_ends_the_stream),
		LINK_TEST(an_end_that_was_removed_is_nobody_s),
		LINK_TEST(the_key_of_an_end_that_is_gone_does_not_stay),
		LINK_TEST(nothing_is_lost_or_repeated_however_often_the_link_is),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
