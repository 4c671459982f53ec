/* SPDX-License-Identifier: BSD-3-Clause */
/* Endpoint ids: static or given out, limited, owned (C9: exhaustion). */
#include "channel/endpoint.h"

#include "channel/attach_protocol.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct endpoint_table table;
static struct list mine;

static int open_table(void **state)
{
	endpoint_table_init(&table);
	list_init(&mine);
	table.limit = 3;
	return 0;
}

static int close_table(void **state)
{
	while (!list_is_empty(&mine))
		endpoint_unbind(&table, list_entry(mine.next, struct endpoint, session_node));
	assert_int_equal(table.count, 0);
	return 0;
}

static int bind_as(uid_t uid, uint32_t id, struct endpoint **out)
{
	return endpoint_bind(&table, &mine, NULL, uid, id, out);
}

static void static_ids_are_had_once(void **state)
{
	struct endpoint *endpoint;

	assert_int_equal(bind_as(0, 7, &endpoint), 0);
	assert_int_equal(endpoint->id, 7);
	assert_ptr_equal(endpoint_find(&table, 7), endpoint);
	assert_int_equal(bind_as(0, 7, &endpoint), -EADDRINUSE);
	endpoint_unbind(&table, endpoint_find(&table, 7));
	assert_null(endpoint_find(&table, 7));
	assert_int_equal(bind_as(0, 7, &endpoint), 0);
}

static void others_are_given_out_beyond_and_not_soon_again(void **state)
{
	struct endpoint *endpoint;
	uint32_t first;

	assert_int_equal(bind_as(0, 0, &endpoint), 0);
	first = endpoint->id;
	assert_int_equal(first, ATTACH_STATIC_MAX + 1);
	endpoint_unbind(&table, endpoint);
	assert_int_equal(bind_as(0, 0, &endpoint), 0);
	assert_int_equal(endpoint->id, first + 1);
	assert_int_equal(bind_as(0, first, &endpoint), -EINVAL);
	/* At their end they begin again, past those in use. */
	table.next = ATTACH_ENDPOINT_MAX;
	assert_int_equal(bind_as(0, 0, &endpoint), 0);
	table.next = first + 1;
	assert_int_equal(bind_as(0, 0, &endpoint), 0);
	assert_int_equal(endpoint->id, first + 2);
}

static void a_partition_has_a_limit(void **state)
{
	struct endpoint *endpoint;

	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(bind_as(0, i, &endpoint), 0);
	assert_int_equal(bind_as(0, 0, &endpoint), -EDQUOT);
	assert_int_equal(bind_as(0, 4, &endpoint), -EDQUOT);
	endpoint_unbind(&table, endpoint_find(&table, 2));
	assert_int_equal(bind_as(0, 4, &endpoint), 0);
}

static void a_reserved_id_is_for_its_user(void **state)
{
	const struct endpoint_reservation reservations[] = {{.id = 7, .uid = 1000}};
	struct endpoint *endpoint;

	table.reservations = reservations;
	table.reservation_count = 1;
	assert_int_equal(bind_as(0, 7, &endpoint), -EACCES);
	assert_int_equal(bind_as(0, 8, &endpoint), 0);
	assert_int_equal(bind_as(1000, 7, &endpoint), 0);
}

int main(void)
{
#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)
	const struct CMUnitTest tests[] = {
		TABLE_TEST(static_ids_are_had_once),
		TABLE_TEST(others_are_given_out_beyond_and_not_soon_again),
		TABLE_TEST(a_partition_has_a_limit),
		TABLE_TEST(a_reserved_id_is_for_its_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
