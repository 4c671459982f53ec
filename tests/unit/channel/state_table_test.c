/* SPDX-License-Identifier: BSD-3-Clause */
/* The channel state table (C1): what a request is verified against (C3), and how close one comes.
 */
#include "channel/state_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Partitions are known by their address alone. */
static char web_place, db_place, app_place;
#define PARTITION(name) ((struct partition *)(void *)&name##_place)

static struct state_row make_row(
	uint32_t direction, uint32_t endpoint, struct partition *remote, uint32_t remote_endpoint)
{
	return (struct state_row){.partition = PARTITION(web),
		.remote = remote,
		.endpoint = endpoint,
		.remote_endpoint = remote_endpoint,
		.direction = direction,
		.view.capacity = 65536};
}

static void a_row_is_found_by_all_of_its_ids(void **state)
{
	struct state_row sender = make_row(ATTACH_SEND, 5, PARTITION(db), 6);
	struct state_row receiver = make_row(ATTACH_RECEIVE, 5, PARTITION(db), 6);
	struct state_table table;
	enum attach_reason why;

	state_table_init(&table);
	state_table_add(&table, &sender);
	state_table_add(&table, &receiver);
	assert_ptr_equal(
		state_table_verify(&table, ATTACH_SEND, 5, PARTITION(db), 6, &why), &sender);
	assert_ptr_equal(
		state_table_verify(&table, ATTACH_RECEIVE, 5, PARTITION(db), 6, &why), &receiver);
}

static enum attach_reason refusal(const struct state_table *table, uint32_t direction,
	uint32_t endpoint, const struct partition *remote, uint32_t remote_endpoint)
{
	enum attach_reason why;

	assert_null(state_table_verify(table, direction, endpoint, remote, remote_endpoint, &why));
	return why;
}

static void a_refusal_says_how_close_it_came(void **state)
{
	struct state_row first = make_row(ATTACH_SEND, 5, PARTITION(db), 6);
	struct state_row second = make_row(ATTACH_SEND, 5, PARTITION(app), 7);
	struct state_table table;

	state_table_init(&table);
	assert_int_equal(refusal(&table, ATTACH_SEND, 5, PARTITION(db), 6), ATTACH_REASON_NO_ROW);
	state_table_add(&table, &first);
	assert_int_equal(refusal(&table, ATTACH_SEND, 4, PARTITION(db), 6), ATTACH_REASON_NO_ROW);
	assert_int_equal(
		refusal(&table, ATTACH_RECEIVE, 5, PARTITION(db), 6), ATTACH_REASON_NO_ROW);
	assert_int_equal(
		refusal(&table, ATTACH_SEND, 5, PARTITION(app), 6), ATTACH_REASON_WRONG_PARTITION);
	assert_int_equal(
		refusal(&table, ATTACH_SEND, 5, PARTITION(db), 7), ATTACH_REASON_WRONG_ENDPOINT);
	/* The nearest one counts, wherever it stands. */
	state_table_add(&table, &second);
	assert_int_equal(
		refusal(&table, ATTACH_SEND, 5, PARTITION(db), 7), ATTACH_REASON_WRONG_ENDPOINT);
	assert_int_equal(
		refusal(&table, ATTACH_SEND, 5, PARTITION(app), 6), ATTACH_REASON_WRONG_ENDPOINT);
}

static void rows_and_their_memory_are_counted(void **state)
{
	struct state_row first = make_row(ATTACH_SEND, 5, PARTITION(db), 6);
	struct state_row second = make_row(ATTACH_SEND, 5, PARTITION(db), 7);
	struct state_table table;

	state_table_init(&table);
	state_table_add(&table, &first);
	state_table_add(&table, &second);
	assert_int_equal(table.count, 2);
	assert_int_equal(table.memory, 131072);
	state_table_remove(&table, &first);
	assert_int_equal(table.count, 1);
	assert_int_equal(table.memory, 65536);
	assert_int_equal(
		refusal(&table, ATTACH_SEND, 5, PARTITION(db), 6), ATTACH_REASON_WRONG_ENDPOINT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_found_by_all_of_its_ids),
		cmocka_unit_test(a_refusal_says_how_close_it_came),
		cmocka_unit_test(rows_and_their_memory_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
