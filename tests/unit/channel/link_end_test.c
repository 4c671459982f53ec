/* SPDX-License-Identifier: BSD-3-Clause */
/* The ends of channels on a link (C5, C9): sequence and acknowledgement, credit, resume without
 * loss or repetition, and a peer that says what it should not. */
#include "tests/unit/channel/link_world.h"

/* --- Senders --- */

static void a_message_goes_with_ids_and_key(void **state)
{
	struct cmm_frame frame;

	go_on(0, CAPACITY);
	say(&world.ours.sender, "a message", 9);
	frame = hear();
	assert_int_equal(frame.type, CMM_DATA);
	assert_int_equal(frame.channel, SENDER);
	assert_int_equal(frame.sender_partition, ids.sender_partition);
	assert_int_equal(frame.sender_endpoint, ids.sender_endpoint);
	assert_int_equal(frame.receiver_partition, ids.receiver_partition);
	assert_int_equal(frame.receiver_endpoint, ids.receiver_endpoint);
	assert_memory_equal(frame.key, key, KEY_SIZE);
	assert_int_equal(frame.size, 9);
	assert_memory_equal(frame.payload, "a message", 9);
	say(&world.ours.sender, "", 0);
	expect_message(24, "");
}

static void its_place_stays_until_it_is_acknowledged(void **state)
{
	go_on(0, CAPACITY);
	say(&world.ours.sender, "one", 3);
	say(&world.ours.sender, "two", 3);
	expect_message(0, "one");
	expect_message(RECORD, "two");
	assert_int_equal(freed(&world.ours.sender), 0);
	acknowledge(RECORD, RECORD + CAPACITY);
	assert_becomes(freed(&world.ours.sender) == RECORD);
	acknowledge(2 * RECORD, 2 * RECORD + CAPACITY);
	assert_becomes(freed(&world.ours.sender) == 2 * RECORD);
}

static void without_credit_nothing_goes(void **state)
{
	const struct cmm_frame synced = {.type = CMM_SYNCED};

	say(&world.ours.sender, "one", 3);
	say(&world.ours.sender, "two", 3);
	say(&world.ours.sender, "three", 5);
	go_on(0, 2 * RECORD);
	/* All that may go goes in one batch: what is behind it comes behind the next frame. */
	expect_message(0, "one");
	expect_message(RECORD, "two");
	link_send(world.ours.link, &synced);
	assert_int_equal(hear().type, CMM_SYNCED);
	acknowledge(0, 3 * RECORD);
	expect_message(2 * RECORD, "three");
}

static void what_was_not_acknowledged_comes_again_and_nothing_else(void **state)
{
	go_on(0, CAPACITY);
	say(&world.ours.sender, "one", 3);
	say(&world.ours.sender, "two", 3);
	say(&world.ours.sender, "three", 5);
	expect_message(0, "one");
	expect_message(RECORD, "two");
	expect_message(2 * RECORD, "three");
	acknowledge(RECORD, CAPACITY);
	assert_becomes(freed(&world.ours.sender) == RECORD);
	disconnect_peer();
	say(&world.ours.sender, "meanwhile", 9);
	connect_peer();
	/* It has "two", whose acknowledgement was lost. */
	go_on(2 * RECORD, CAPACITY);
	expect_message(2 * RECORD, "three");
	expect_message(3 * RECORD, "meanwhile");
	assert_int_equal(freed(&world.ours.sender), 2 * RECORD);
}

static void a_position_that_cannot_be_is_refused(void **state)
{
	struct link_end *end = &world.ours.sender.link_end;

	go_on(0, CAPACITY);
	say(&world.ours.sender, "one", 3);
	say(&world.ours.sender, "two", 3);
	expect_message(0, "one");
	expect_message(RECORD, "two");
	acknowledge(RECORD, CAPACITY);
	assert_becomes(freed(&world.ours.sender) == RECORD);
	disconnect_peer();
	connect_peer();
	assert_int_equal(link_resume_end(end, 0, CAPACITY), -EPROTO);
	assert_int_equal(link_resume_end(end, 3 * RECORD, CAPACITY), -EPROTO);
	assert_int_equal(link_resume_end(end, RECORD + 3, CAPACITY), -EPROTO);
	assert_int_equal(link_resume_end(end, 2 * RECORD, CAPACITY), 0);
}

static void a_message_in_pieces_begins_anew_behind_a_cut(void **state)
{
	static uint8_t message[MESSAGE_MAX];
	struct cmm_frame frame;

	memset(message, 'm', sizeof(message));
	go_on(0, CAPACITY);
	say(&world.ours.sender, message, sizeof(message));
	frame = hear();
	assert_int_equal(frame.payload_size, CMM_PIECE_MAX);
	disconnect_peer();
	connect_peer();
	go_on(0, CAPACITY);
	for (uint32_t offset = 0; offset < sizeof(message); offset += CMM_PIECE_MAX) {
		frame = hear();
		assert_int_equal(frame.sequence, 0);
		assert_int_equal(frame.size, sizeof(message));
		assert_int_equal(frame.offset, offset);
	}
	assert_int_equal(frame.offset + frame.payload_size, sizeof(message));
}

static void acknowledgements_of_what_was_not_sent_are_dropped(void **state)
{
	struct cmm_frame stranger = {.type = CMM_ACK, .channel = SENDER + 9};

	go_on(0, CAPACITY);
	say(&world.ours.sender, "one", 3);
	expect_message(0, "one");
	acknowledge(2 * RECORD, CAPACITY);
	acknowledge(RECORD + 1, CAPACITY);
	acknowledge(RECORD, CAPACITY - 1);
	tell(&stranger);
	assert_becomes(drops(LINK_DROP_STALE) == 1);
	assert_int_equal(drops(LINK_DROP_BAD_ACK), 3);
	assert_int_equal(freed(&world.ours.sender), 0);
	acknowledge(RECORD, CAPACITY);
	assert_becomes(freed(&world.ours.sender) == RECORD);
	/* Given back once. */
	acknowledge(0, CAPACITY);
	assert_becomes(drops(LINK_DROP_BAD_ACK) == 4);
	assert_int_equal(freed(&world.ours.sender), RECORD);
}

static uint32_t failure_of(const struct end *end)
{
	return __atomic_load_n(&end->link_end.failure, __ATOMIC_RELAXED);
}

static void a_sender_that_breaks_its_ring_fails_alone(void **state)
{
	go_on(0, CAPACITY);
	__atomic_store_n(&world.ours.sender.view.shared->tail, 35, __ATOMIC_RELEASE);
	ring_bell(&world.ours.sender);
	assert_becomes(failure_of(&world.ours.sender) == ATTACH_REASON_SENDER_RING);
	assert_becomes(__atomic_load_n(&world.ours.notified, __ATOMIC_RELAXED));
	tell_message(0, "beside");
	assert_becomes(hears(&world.ours.receiver, "beside", 6));
}

static void a_message_that_is_too_large_fails_its_sender(void **state)
{
	static uint8_t message[MESSAGE_MAX + 1];

	go_on(0, CAPACITY);
	say(&world.ours.sender, "before", 6);
	say(&world.ours.sender, message, sizeof(message));
	expect_message(0, "before");
	assert_becomes(failure_of(&world.ours.sender) == ATTACH_REASON_TOO_LARGE);
}

/* --- Receivers --- */

static void what_is_delivered_is_acknowledged(void **state)
{
	struct cmm_frame frame;

	tell_message(0, "hello");
	assert_becomes(hears(&world.ours.receiver, "hello", 5));
	frame = hear();
	assert_int_equal(frame.type, CMM_ACK);
	assert_int_equal(frame.channel, RECEIVER);
	assert_int_equal(frame.sequence, RECORD);
	assert_true(frame.limit >= CAPACITY && frame.limit <= CAPACITY + RECORD);
}

static size_t waiting(void)
{
	struct link *link = world.ours.link;
	size_t size;

	lane_pause(world.ours.lane);
	size = link_tx_waiting(link);
	lane_resume(world.ours.lane);
	return size;
}

/* Behind what the peer has not read yet, where the lane says nothing of it. */
static void what_was_delivered_is_acknowledged_before_the_end(void **state)
{
	const struct cmm_frame other = {.type = CMM_AUTHORISED,
		.sender = "a",
		.receiver = "b",
		.sender_endpoint = 1,
		.receiver_endpoint = 1};
	struct link_end *end = &world.ours.receiver.link_end;
	struct cmm_frame frame;

	while (waiting() < LINK_TX_DATA)
		link_send(world.ours.link, &other);
	tell_message(0, "hello");
	assert_becomes(hears(&world.ours.receiver, "hello", 5));
	link_remove_end(end, true);
	do
		frame = hear();
	while (frame.type == CMM_AUTHORISED);
	assert_int_equal(frame.type, CMM_ACK);
	assert_int_equal(frame.channel, RECEIVER);
	assert_int_equal(frame.sequence, RECORD);
	assert_int_equal(link_add_end(world.ours.link, end), 0);
}

static void expect_resume(uint64_t sequence, uint64_t limit)
{
	struct cmm_frame frame;

	link_resume_receiver(&world.ours.receiver.link_end);
	frame = hear();
	assert_int_equal(frame.type, CMM_RESUME);
	assert_int_equal(frame.channel, RECEIVER);
	assert_int_equal(frame.sequence, sequence);
	assert_int_equal(frame.limit, limit);
}

static void what_is_wrong_is_dropped_and_what_is_right_is_not(void **state)
{
	static const uint8_t other_key[KEY_SIZE] = {1, 2, 3, [31] = 5};
	static uint8_t large[CMM_PIECE_MAX];
	struct cmm_frame right = data_frame(RECORD, "two", 0, 3, 3), wrong = right;
	uint64_t all = 0;

	tell_message(0, "one");
	wrong.key = other_key;
	expect_drop(wrong, LINK_DROP_FORGED);
	wrong = right;
	wrong.sender_partition++;
	expect_drop(wrong, LINK_DROP_FORGED);
	wrong = right;
	wrong.receiver_endpoint++;
	expect_drop(wrong, LINK_DROP_FORGED);
	wrong = right;
	wrong.channel = SENDER; /* there is one of this number, and it goes the other way */
	expect_drop(wrong, LINK_DROP_STALE);
	expect_drop(data_frame(0, "one", 0, 3, 3), LINK_DROP_REPLAYED);
	expect_drop(data_frame(2 * RECORD, "three", 0, 5, 5), LINK_DROP_GAP);
	expect_drop(data_frame(RECORD, "two", 1, 2, 3), LINK_DROP_GAP);
	expect_drop(
		data_frame(RECORD, large, 0, sizeof(large), MESSAGE_MAX + 1), LINK_DROP_TOO_LARGE);
	tell_data(&right);
	assert_becomes(hears(&world.ours.receiver, "one", 3));
	assert_becomes(hears(&world.ours.receiver, "two", 3));
	for (int drop = 0; drop < LINK_DROP_COUNT; drop++)
		all += drops((enum link_drop)drop);
	assert_int_equal(all, 8);
	assert_int_equal(failure_of(&world.ours.receiver), ATTACH_REASON_NONE);
}

static void a_message_in_pieces_is_heard_whole_or_not_at_all(void **state)
{
	static uint8_t message[MESSAGE_MAX];
	const uint32_t rest = MESSAGE_MAX - CMM_PIECE_MAX;
	struct cmm_frame first, second;

	memset(message, 'm', sizeof(message));
	first = data_frame(0, message, 0, CMM_PIECE_MAX, sizeof(message));
	second = data_frame(0, message + CMM_PIECE_MAX, CMM_PIECE_MAX, rest, sizeof(message));
	tell_data(&first);
	/* Each piece is taken once, and belongs to a message of this size. */
	expect_drop(first, LINK_DROP_REPLAYED);
	second.size--;
	second.payload_size--;
	expect_drop(second, LINK_DROP_GAP);
	disconnect_peer();
	connect_peer();
	expect_resume(0, CAPACITY);
	second = data_frame(0, message + CMM_PIECE_MAX, CMM_PIECE_MAX, rest, sizeof(message));
	expect_drop(second, LINK_DROP_GAP);
	tell_data(&first);
	tell_data(&second);
	assert_becomes(hears(&world.ours.receiver, message, sizeof(message)));
	assert_false(hears(&world.ours.receiver, message, sizeof(message)));
}

static void what_is_beyond_its_credit_is_lost_to_the_peer(void **state)
{
	static uint8_t message[CMM_PIECE_MAX - RING_RECORD_SIZE];
	const uint32_t count = CAPACITY / CMM_PIECE_MAX;
	struct cmm_frame frame;

	for (uint32_t i = 0; i < count; i++) {
		frame = data_frame(i * CMM_PIECE_MAX, message, 0, sizeof(message), sizeof(message));
		tell_data(&frame);
	}
	expect_drop(data_frame(CAPACITY, "x", 0, 1, 1), LINK_DROP_NO_CREDIT);
	for (uint32_t i = 0; i < count; i++)
		assert_becomes(hears(&world.ours.receiver, message, sizeof(message)));
	ring_bell(&world.ours.receiver);
	/* The room that the process has made is told. */
	do
		frame = hear();
	while (frame.limit < 2 * CAPACITY);
	assert_int_equal(frame.sequence, CAPACITY);
	tell_message(CAPACITY, "after all");
	assert_becomes(hears(&world.ours.receiver, "after all", 9));
}

static void a_receiver_that_breaks_its_ring_fails_alone(void **state)
{
	__atomic_store_n(&world.ours.receiver.view.shared->head, 64, __ATOMIC_RELEASE);
	tell_message(0, "one");
	assert_becomes(failure_of(&world.ours.receiver) == ATTACH_REASON_RECEIVER_RING);
	go_on(0, CAPACITY);
	say(&world.ours.sender, "beside", 6);
	for (;;) {
		struct cmm_frame frame = hear();

		if (frame.type == CMM_DATA) {
			assert_memory_equal(frame.payload, "beside", 6);
			break;
		}
	}
}

/* Room that its process has made while there was no link is told by the resume, and not before: a
 * sender that was not resumed takes it for an acknowledgement that cannot be. */
static void a_receiver_says_nothing_before_it_is_resumed(void **state)
{
	static uint8_t message[CMM_PIECE_MAX - RING_RECORD_SIZE];
	struct cmm_frame frame = data_frame(0, message, 0, sizeof(message), sizeof(message));
	const struct cmm_frame synced = {.type = CMM_SYNCED};
	struct lane_counts before, now;

	tell_data(&frame);
	assert_int_equal(hear().type, CMM_ACK);
	disconnect_peer();
	assert_becomes(hears(&world.ours.receiver, message, sizeof(message)));
	ring_bell(&world.ours.receiver);
	lane_count(world.ours.lane, &before);
	connect_peer();
	/* The lane has done all that there is. */
	assert_becomes((lane_count(world.ours.lane, &now), now.sleeps > before.sleeps + 1));
	link_send(world.ours.link, &synced);
	assert_int_equal(hear().type, CMM_SYNCED);
	expect_resume(CMM_PIECE_MAX, CMM_PIECE_MAX + CAPACITY);
	tell_message(CMM_PIECE_MAX, "go on");
	assert_int_equal(hear().sequence, CMM_PIECE_MAX + RECORD);
}

int main(void)
{
#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		LINK_TEST(a_message_goes_with_ids_and_key),
		LINK_TEST(its_place_stays_until_it_is_acknowledged),
		LINK_TEST(without_credit_nothing_goes),
		LINK_TEST(what_was_not_acknowledged_comes_again_and_nothing_else),
		LINK_TEST(a_position_that_cannot_be_is_refused),
		LINK_TEST(a_message_in_pieces_begins_anew_behind_a_cut),
		LINK_TEST(acknowledgements_of_what_was_not_sent_are_dropped),
		LINK_TEST(a_sender_that_breaks_its_ring_fails_alone),
		LINK_TEST(a_message_that_is_too_large_fails_its_sender),
		LINK_TEST(what_is_delivered_is_acknowledged),
		LINK_TEST(what_was_delivered_is_acknowledged_before_the_end),
		LINK_TEST(what_is_wrong_is_dropped_and_what_is_right_is_not),
		LINK_TEST(a_message_in_pieces_is_heard_whole_or_not_at_all),
		LINK_TEST(what_is_beyond_its_credit_is_lost_to_the_peer),
		LINK_TEST(a_receiver_that_breaks_its_ring_fails_alone),
		LINK_TEST(a_receiver_says_nothing_before_it_is_resumed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
