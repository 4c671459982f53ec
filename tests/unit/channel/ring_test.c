/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings (C9): order and content, room, and an end that writes what it should not. */
#include "channel/ring.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPACITY RING_CAPACITY_MIN

struct ends {
	struct ring_producer producer;
	struct ring_consumer consumer;
	int fd;
};

static int open_ring(void **state)
{
	struct ends *ends = calloc(1, sizeof(*ends));

	ends->fd = ring_memory_create(CAPACITY);
	assert_true(ends->fd >= 0);
	assert_int_equal(ring_memory_map(ends->fd, CAPACITY, &ends->producer.view), 0);
	assert_int_equal(ring_memory_map(ends->fd, CAPACITY, &ends->consumer.view), 0);
	*state = ends;
	return 0;
}

static int close_ring(void **state)
{
	struct ends *ends = *state;

	ring_memory_unmap(&ends->producer.view);
	ring_memory_unmap(&ends->consumer.view);
	close(ends->fd);
	free(ends);
	return 0;
}

static void put(struct ends *ends, const void *message, uint32_t size)
{
	assert_int_equal(ring_producer_has_room(&ends->producer, size), 1);
	memcpy(ring_producer_place(&ends->producer), message, size);
	ring_producer_append(&ends->producer, size);
	ring_producer_publish(&ends->producer);
}

static void expect(struct ends *ends, const void *message, uint32_t size)
{
	const uint8_t *got;
	uint32_t got_size;

	assert_int_equal(ring_consumer_next(&ends->consumer, &got, &got_size), 1);
	assert_int_equal(got_size, size);
	assert_memory_equal(got, message, size);
	ring_consumer_advance(&ends->consumer, size);
	ring_consumer_publish(&ends->consumer);
}

static int next(struct ends *ends)
{
	const uint8_t *got;
	uint32_t size;

	return ring_consumer_next(&ends->consumer, &got, &size);
}

static void messages_of_all_sizes_come_in_order_around_the_end(void **state)
{
	struct ends *ends = *state;
	uint8_t message[3000];

	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t size = i * 37 % sizeof(message);

		memset(message, (int)i, sizeof(message));
		put(ends, message, size);
		expect(ends, message, size);
	}
	assert_true(ends->producer.tail > 10 * CAPACITY);
	assert_int_equal(next(ends), 0);
}

static void an_empty_message_is_one(void **state)
{
	put(*state, "", 0);
	expect(*state, "", 0);
	assert_int_equal(next(*state), 0);
}

static void nothing_is_seen_before_it_is_published(void **state)
{
	struct ends *ends = *state;

	memcpy(ring_producer_place(&ends->producer), "abc", 3);
	ring_producer_append(&ends->producer, 3);
	assert_int_equal(next(ends), 0);
	ring_producer_publish(&ends->producer);
	expect(ends, "abc", 3);
}

static void a_full_ring_takes_more_when_the_consumer_has_read(void **state)
{
	struct ends *ends = *state;
	static uint8_t message[1016];
	int count = 0;

	while (ring_producer_has_room(&ends->producer, sizeof(message)) == 1) {
		put(ends, message, sizeof(message));
		count++;
	}
	assert_int_equal(count, CAPACITY / 1024);
	expect(ends, message, sizeof(message));
	assert_int_equal(ring_producer_has_room(&ends->producer, sizeof(message)), 1);
	assert_int_equal(ring_producer_has_room(&ends->producer, sizeof(message) + 1), 0);
}

static void a_tail_that_lies_ends_the_ring(void **state)
{
	struct ends *ends = *state;
	/* Beyond the capacity, before what was read, and not where a record may end. */
	const uint64_t tails[] = {CAPACITY + 8 + 16, 0, UINT64_MAX, 17};

	put(ends, "12345678", 8);
	expect(ends, "12345678", 8);
	assert_int_equal(ends->consumer.head, 16);
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		ends->producer.view.shared->tail = tails[i];
		assert_int_equal(next(ends), -EPROTO);
		ends->consumer.tail_seen = ends->consumer.head;
	}
}

static void a_size_that_lies_ends_the_ring(void **state)
{
	struct ends *ends = *state;
	const uint64_t sizes[] = {9, 17, CAPACITY, UINT32_MAX, UINT64_MAX, UINT64_MAX - 7};

	put(ends, "12345678", 8);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memcpy(ends->producer.view.data, &sizes[i], 8);
		assert_int_equal(next(ends), -EPROTO);
	}
}

static void a_head_that_lies_ends_the_ring(void **state)
{
	struct ends *ends = *state;
	static uint8_t message[1016];
	const uint64_t heads[] = {CAPACITY + 8, UINT64_MAX, 1024 - 8};

	put(ends, message, sizeof(message));
	expect(ends, message, sizeof(message));
	while (ring_producer_has_room(&ends->producer, sizeof(message)) == 1)
		put(ends, message, sizeof(message));
	assert_int_equal(ends->producer.head_seen, 1024);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		/* Beyond the tail; beyond it by far; before what was seen. */
		ends->producer.view.shared->head = i == 0 ? ends->producer.tail + 8 : heads[i];
		assert_int_equal(ring_producer_has_room(&ends->producer, sizeof(message)), -EPROTO);
	}
}

static void nobody_cuts_the_memory_off(void **state)
{
	struct ends *ends = *state;
	int other = memfd_create("other", MFD_ALLOW_SEALING);
	struct ring_view view = {0};

	assert_int_equal(ftruncate(ends->fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(ends->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(ring_memory_map(ends->fd, 2 * CAPACITY, &view), -EINVAL);
	/* Memory that could be is not taken. */
	assert_int_equal(ftruncate(other, RING_DATA_AT + CAPACITY), 0);
	assert_int_equal(ring_memory_map(other, CAPACITY, &view), -EINVAL);
	assert_null(view.shared);
	close(other);
}

static void children_do_not_get_it(void **state)
{
	struct ends *ends = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit((int)*(volatile uint8_t *)ends->producer.view.data);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Under a sanitizer its report ends the child. */
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void who_announces_sleep_is_woken_once(void **state)
{
	struct ends *ends = *state;
	uint32_t *word = &ends->consumer.view.shared->consumer_sleeps;

	assert_false(ring_must_wake(word));
	ring_announce_sleep(word);
	assert_true(ring_must_wake(word));
	assert_false(ring_must_wake(word));
	ring_announce_sleep(word);
	ring_end_sleep(word);
	assert_false(ring_must_wake(word));
}

static void capacities_hold_four_of_the_largest_messages(void **state)
{
	assert_int_equal(ring_capacity_for(64), 256 * 1024);
	assert_true(ring_capacity_for(1 << 20) >= 4 * ring_record_size(1 << 20));
	assert_true(ring_capacity_is_valid(ring_capacity_for(16 << 20)));
	assert_false(ring_capacity_is_valid(0));
	assert_false(ring_capacity_is_valid(RING_CAPACITY_MIN + 1));
	assert_false(ring_capacity_is_valid(2 * RING_CAPACITY_MAX));
	assert_int_equal(ring_memory_create(RING_CAPACITY_MIN / 2), -EINVAL);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)
	const struct CMUnitTest tests[] = {
		RING_TEST(messages_of_all_sizes_come_in_order_around_the_end),
		RING_TEST(an_empty_message_is_one),
		RING_TEST(nothing_is_seen_before_it_is_published),
		RING_TEST(a_full_ring_takes_more_when_the_consumer_has_read),
		RING_TEST(a_tail_that_lies_ends_the_ring),
		RING_TEST(a_size_that_lies_ends_the_ring),
		RING_TEST(a_head_that_lies_ends_the_ring),
		RING_TEST(nobody_cuts_the_memory_off),
		RING_TEST(children_do_not_get_it),
		RING_TEST(who_announces_sleep_is_woken_once),
		cmocka_unit_test(capacities_hold_four_of_the_largest_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
