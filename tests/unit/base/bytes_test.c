/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void reads_in_network_order(void **state)
{
	const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct bytes bytes = bytes_from(data, sizeof(data));

	assert_int_equal(bytes_read_u8(&bytes), 1);
	assert_int_equal(bytes_read_u16(&bytes), 0x0203);
	assert_int_equal(bytes_read_u24(&bytes), 0x040506);
	assert_int_equal(bytes_read_u32(&bytes), 0x0708090a);
	assert_true(bytes_is_ok(&bytes));
	assert_int_equal(bytes_left(&bytes), 0);
}

static void stays_failed_after_reading_past_the_end(void **state)
{
	const uint8_t data[] = {1, 2, 3};
	struct bytes bytes = bytes_from(data, sizeof(data));

	assert_int_equal(bytes_read_u32(&bytes), 0);
	assert_false(bytes_is_ok(&bytes));
	assert_int_equal(bytes_read_u8(&bytes), 0);
	assert_null(bytes_take(&bytes, 0));
}

static void sub_reader_is_bounded_by_its_length(void **state)
{
	const uint8_t data[] = {1, 2, 3, 4};
	struct bytes bytes = bytes_from(data, sizeof(data));
	struct bytes part = bytes_sub(&bytes, 2);

	assert_int_equal(bytes_read_u16(&part), 0x0102);
	assert_int_equal(bytes_read_u8(&part), 0);
	assert_false(bytes_is_ok(&part));
	assert_int_equal(bytes_read_u16(&bytes), 0x0304);
	assert_true(bytes_is_ok(&bytes));
	part = bytes_sub(&bytes, 1);
	assert_false(bytes_is_ok(&part));
}

static void error_prefix_keeps_the_cause(void **state)
{
	struct error error;

	assert_int_equal(error_set(&error, -EINVAL, "vlan %d", 5000), -EINVAL);
	error_prefix(&error, "port %s", "web");
	assert_string_equal(error.text, "port web: vlan 5000");
	assert_int_equal(error_set(NULL, -ENOENT, "nobody listens"), -ENOENT);
}

static void list_survives_removal_while_walking(void **state)
{
	struct list list, nodes[3];
	int count = 0;

	list_init(&list);
	for (int i = 0; i < 3; i++)
		list_append(&list, &nodes[i]);
	list_foreach_safe (node, &list) {
		assert_ptr_equal(node, &nodes[count]);
		list_remove(node);
		list_remove(node);
		count++;
	}
	assert_int_equal(count, 3);
	assert_true(list_is_empty(&list));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_in_network_order),
		cmocka_unit_test(stays_failed_after_reading_past_the_end),
		cmocka_unit_test(sub_reader_is_bounded_by_its_length),
		cmocka_unit_test(error_prefix_keeps_the_cause),
		cmocka_unit_test(list_survives_removal_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
