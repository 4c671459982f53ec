/* SPDX-License-Identifier: BSD-3-Clause */
/* The hold table (G3, I4, I10): packets are only pointers to it, so none are needed. */
#include "packet/inspect/hold_table.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define OWNER 7
#define MS    CLOCK_NS_PER_MS

static struct rte_mbuf packets[64];

static struct hold_table *make(void **state, uint32_t limit)
{
	struct hold_table *table = hold_table_create(limit);

	(void)state;
	assert_non_null(table);
	return table;
}

/* Destroying frees what is left, which here are no real packets. */
static void finish(struct hold_table *table)
{
	struct hold_expired expired[64];

	while (hold_count(table) > 0)
		hold_expire(table, HOLD_EXPIRE_ALL - 2000 * MS, expired, 64);
	hold_table_destroy(table);
}

/* G3 */
static void handle_is_valid_once(void **state)
{
	struct hold_table *table = make(state, 64);
	uint64_t handle;

	assert_int_equal(hold_insert(table, &packets[0], OWNER, 50 * MS, &handle), 0);
	assert_int_equal(hold_count(table), 1);
	assert_ptr_equal(hold_take(table, handle, OWNER), &packets[0]);
	assert_null(hold_take(table, handle, OWNER));
	assert_int_equal(hold_count(table), 0);
	finish(table);
}

/* I10 */
static void refuses_handles_that_it_never_gave(void **state)
{
	struct hold_table *table = make(state, 64);
	uint64_t handle;

	assert_int_equal(hold_insert(table, &packets[0], OWNER, 50 * MS, &handle), 0);
	assert_null(hold_take(table, handle ^ 1, OWNER));
	assert_null(hold_take(table, handle ^ 1ULL << 40, OWNER));
	assert_null(hold_take(table, handle + (1ULL << HOLD_INDEX_BITS), OWNER));
	assert_null(hold_take(table, handle, OWNER + 1));
	assert_null(hold_take(table, UINT64_MAX, OWNER));
	assert_ptr_equal(hold_take(table, handle, OWNER), &packets[0]);
	finish(table);
}

/* I10 */
static void old_handle_does_not_fit_the_next_packet_at_its_place(void **state)
{
	struct hold_table *table = make(state, 64);
	uint64_t first, second;

	assert_int_equal(hold_insert(table, &packets[0], OWNER, 50 * MS, &first), 0);
	assert_ptr_equal(hold_take(table, first, OWNER), &packets[0]);
	assert_int_equal(hold_insert(table, &packets[1], OWNER, 50 * MS, &second), 0);
	assert_int_equal(first & (HOLD_MAX - 1), second & (HOLD_MAX - 1));
	assert_null(hold_take(table, first, OWNER));
	assert_ptr_equal(hold_take(table, second, OWNER), &packets[1]);
	finish(table);
}

/* I4 */
static void is_bounded(void **state)
{
	struct hold_table *table = make(state, 8);
	uint64_t handle;

	for (int i = 0; i < 8; i++)
		assert_int_equal(hold_insert(table, &packets[i], OWNER, 50 * MS, &handle), 0);
	assert_int_equal(hold_insert(table, &packets[8], OWNER, 50 * MS, &handle), -ENOBUFS);
	hold_set_limit(table, 9);
	assert_int_equal(hold_insert(table, &packets[8], OWNER, 50 * MS, &handle), 0);
	assert_int_equal(hold_insert(table, &packets[9], OWNER, 50 * MS, &handle), -ENOBUFS);
	finish(table);
}

/* I4 */
static void expires_at_the_deadline_and_not_before(void **state)
{
	struct hold_table *table = make(state, 64);
	struct hold_expired expired[8];
	uint64_t handle;

	assert_int_equal(hold_expire(table, 100 * MS, expired, 8), 0);
	assert_int_equal(hold_insert(table, &packets[0], OWNER, 150 * MS, &handle), 0);
	assert_int_equal(hold_insert(table, &packets[1], OWNER, 170 * MS, &handle), 0);
	assert_int_equal(hold_expire(table, 149 * MS, expired, 8), 0);
	assert_int_equal(hold_expire(table, 152 * MS, expired, 8), 1);
	assert_ptr_equal(expired[0].packet, &packets[0]);
	assert_int_equal(expired[0].owner, OWNER);
	assert_int_equal(hold_expire(table, 169 * MS, expired, 8), 0);
	assert_int_equal(hold_expire(table, 172 * MS, expired, 8), 1);
	assert_null(hold_take(table, handle, OWNER));
	finish(table);
}

/* I4: no deadline is lost when nobody looked for seconds, nor one later than the wheel's round. */
static void expires_over_rounds_of_the_wheel(void **state)
{
	struct hold_table *table = make(state, 64);
	struct hold_expired expired[8];
	uint64_t handle;

	assert_int_equal(hold_expire(table, 1000 * MS, expired, 8), 0);
	assert_int_equal(hold_insert(table, &packets[0], OWNER, 6000 * MS, &handle), 0);
	assert_int_equal(hold_insert(table, &packets[1], OWNER, 1010 * MS, &handle), 0);
	assert_int_equal(hold_expire(table, 5000 * MS, expired, 8), 1);
	assert_ptr_equal(expired[0].packet, &packets[1]);
	assert_int_equal(hold_expire(table, 5999 * MS, expired, 8), 0);
	assert_int_equal(hold_expire(table, 6002 * MS, expired, 8), 1);
	assert_ptr_equal(expired[0].packet, &packets[0]);
	finish(table);
}

static void expires_in_parts(void **state)
{
	struct hold_table *table = make(state, 64);
	struct hold_expired expired[64];
	uint64_t handle;
	int total = 0;

	for (int i = 0; i < 40; i++)
		assert_int_equal(hold_insert(table, &packets[i], OWNER, 50 * MS, &handle), 0);
	for (int i = 0; i < 5; i++)
		total += hold_expire(table, 100 * MS, expired, 8);
	assert_int_equal(total, 40);
	assert_int_equal(hold_count(table), 0);
	finish(table);
}

/* I4: inspector death */
static void releases_what_one_owner_holds(void **state)
{
	struct hold_table *table = make(state, 64);
	struct rte_mbuf *released[64];
	uint64_t handle;

	for (int i = 0; i < 20; i++)
		assert_int_equal(
			hold_insert(table, &packets[i], OWNER + i % 2, 50 * MS, &handle), 0);
	assert_int_equal(hold_count_of(table, OWNER), 10);
	assert_int_equal(hold_release(table, OWNER, released, 64), 10);
	assert_int_equal(hold_release(table, OWNER, released, 64), 0);
	assert_int_equal(hold_count_of(table, OWNER + 1), 10);
	finish(table);
}

/* G3: a carrier of 26 bits, as VN-Tag */
static void shortened_handle_still_finds_and_still_refuses(void **state)
{
	struct hold_table *table = make(state, 64);
	uint64_t handle;
	uint32_t small;

	assert_int_equal(hold_insert(table, &packets[0], OWNER, 50 * MS, &handle), 0);
	assert_int_equal(hold_handle_shorten(handle, 12, 14, &small), 0);
	assert_true(small < 1u << 26);
	assert_null(hold_take_short(table, small ^ 1u << 20, 12, 14, OWNER));
	assert_null(hold_take_short(table, small ^ 1, 12, 14, OWNER));
	assert_ptr_equal(hold_take_short(table, small, 12, 14, OWNER), &packets[0]);
	assert_null(hold_take_short(table, small, 12, 14, OWNER));
	assert_int_equal(hold_handle_shorten(1 << 12, 12, 14, &small), -ERANGE);
	finish(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handle_is_valid_once),
		cmocka_unit_test(refuses_handles_that_it_never_gave),
		cmocka_unit_test(old_handle_does_not_fit_the_next_packet_at_its_place),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(expires_at_the_deadline_and_not_before),
		cmocka_unit_test(expires_over_rounds_of_the_wheel),
		cmocka_unit_test(expires_in_parts),
		cmocka_unit_test(releases_what_one_owner_holds),
		cmocka_unit_test(shortened_handle_still_finds_and_still_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
