/* SPDX-License-Identifier: BSD-3-Clause */
/* D1: who is asked for, how often, and what is believed. */
#include "packet/distributor/neighbour.h"

#include "packet/distributor/connection_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND (1000 / CONNECTION_TICK_MS)

static const struct ip_address somebody = {4, {192, 0, 2, 1}};
static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1}, other[6] = {2, 0, 0, 0, 0, 2};

static int set_up(void **state)
{
	(void)state;
	neighbour_clear();
	return 0;
}

static enum neighbour_state find(uint32_t now, uint8_t out[6])
{
	return neighbour_find(10, &somebody, now, out);
}

static void is_asked_for_once_a_second(void **state)
{
	uint8_t got[6];

	(void)state;
	assert_int_equal(find(1000, got), NEIGHBOUR_UNKNOWN);
	assert_int_equal(find(1000, got), NEIGHBOUR_ASKED);
	assert_int_equal(find(1000 + SECOND, got), NEIGHBOUR_UNKNOWN);
	assert_int_equal(find(1000 + SECOND, got), NEIGHBOUR_ASKED);
	neighbour_learn(10, &somebody, mac, 1000 + SECOND, false);
	assert_int_equal(find(1000 + SECOND, got), NEIGHBOUR_KNOWN);
	assert_memory_equal(got, mac, 6);
}

static void is_asked_again_while_it_is_used(void **state)
{
	uint8_t got[6];

	(void)state;
	neighbour_learn(10, &somebody, mac, 1000, true);
	assert_int_equal(find(1000 + 29 * SECOND, got), NEIGHBOUR_KNOWN);
	assert_int_equal(find(1000 + 30 * SECOND, got), NEIGHBOUR_STALE);
	assert_int_equal(find(1000 + 30 * SECOND, got), NEIGHBOUR_KNOWN);
	neighbour_learn(10, &somebody, other, 1000 + 30 * SECOND, false);
	assert_int_equal(find(1000 + 59 * SECOND, got), NEIGHBOUR_KNOWN);
	assert_memory_equal(got, other, 6);
	assert_int_equal(find(1000 + 150 * SECOND, got), NEIGHBOUR_UNKNOWN);
}

/* Workers look at the clock one after the other. */
static void another_worker_s_tick_may_be_the_next_one(void **state)
{
	uint8_t got[6];

	(void)state;
	assert_int_equal(find(1001, got), NEIGHBOUR_UNKNOWN);
	assert_int_equal(find(1000, got), NEIGHBOUR_ASKED);
	neighbour_learn(10, &somebody, mac, 1001, false);
	assert_int_equal(find(1000, got), NEIGHBOUR_KNOWN);
}

static void answers_that_nobody_asked_for_make_no_entry(void **state)
{
	uint8_t got[6];

	(void)state;
	neighbour_learn(10, &somebody, mac, 1000, false);
	assert_int_equal(find(1000, got), NEIGHBOUR_UNKNOWN);
	neighbour_learn(10, &somebody, (const uint8_t[6]){1, 0, 0, 0, 0, 1}, 1000, true);
	assert_int_equal(find(1000, got), NEIGHBOUR_ASKED);
	assert_int_equal(neighbour_find(11, &somebody, 1000, got), NEIGHBOUR_UNKNOWN);
}

static void a_full_bucket_keeps_the_youngest(void **state)
{
	struct ip_address address = {4, {10}};
	uint8_t got[6];
	uint32_t known = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(address.bytes + 1, &i, 3);
		neighbour_learn(10, &address, mac, 1000 + i, true);
	}
	for (uint32_t i = 20000 - 100; i < 20000; i++) {
		memcpy(address.bytes + 1, &i, 3);
		known += neighbour_find(10, &address, 21000, got) == NEIGHBOUR_KNOWN;
	}
	assert_int_equal(known, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_asked_for_once_a_second, set_up),
		cmocka_unit_test_setup(is_asked_again_while_it_is_used, set_up),
		cmocka_unit_test_setup(another_worker_s_tick_may_be_the_next_one, set_up),
		cmocka_unit_test_setup(answers_that_nobody_asked_for_make_no_entry, set_up),
		cmocka_unit_test_setup(a_full_bucket_keeps_the_youngest, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
