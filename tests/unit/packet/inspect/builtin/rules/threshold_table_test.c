/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/threshold_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TABLES 64
#define OTHERS 15000 /* push a count out of about half of the tables */

static enum threshold_verdict count(struct threshold_table *table, uint32_t source)
{
	static const struct rule rule = {.threshold = {.type = RULE_THRESHOLD_DETECTION,
						 .track = RULE_TRACK_SOURCE,
						 .count = 1,
						 .seconds = 60}};
	static uint64_t now_ns = 1;
	const struct detect_context context = {.now_ns = now_ns++};
	const struct packet_view view = {.context = &context, .source = source};

	return threshold_table_count(table, &rule, &view);
}

static void tells_what_was_counted_before(void **state)
{
	struct threshold_table *table = threshold_table_create();

	assert_non_null(table);
	assert_int_equal(count(table, 1), THRESHOLD_NOTHING);
	assert_int_equal(count(table, 2), THRESHOLD_NOTHING);
	assert_int_equal(count(table, 1), THRESHOLD_TELL);
	threshold_table_destroy(table);
}

/* What pushes a count out of one table does not so in another: it cannot be worked out before. */
static void addresses_that_push_a_count_out_cannot_be_chosen(void **state)
{
	int kept = 0;

	for (int i = 0; i < TABLES; i++) {
		struct threshold_table *table = threshold_table_create();

		assert_non_null(table);
		count(table, 1);
		for (uint32_t other = 2; other < 2 + OTHERS; other++)
			count(table, other);
		kept += count(table, 1) == THRESHOLD_TELL;
		threshold_table_destroy(table);
	}
	assert_in_range(kept, 1, TABLES - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_was_counted_before),
		cmocka_unit_test(addresses_that_push_a_count_out_cannot_be_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
