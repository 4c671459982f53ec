/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/threshold_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>

#define TABLES 64
#define OTHERS 70000 /* push a count out of about half of the tables */

static enum threshold_verdict count(struct threshold_table *table, uint32_t source)
{
	static const struct rule rule = {.threshold = {.type = RULE_THRESHOLD_DETECTION,
						 .track = RULE_TRACK_SOURCE,
						 .count = 1,
						 .seconds = 60}};
	static uint64_t now_ns = 1;
	const struct detect_context context = {.now_ns = now_ns++};
	const struct packet_view view = {.context = &context, .source = source};

	return threshold_table_count(table, &rule, &rule.threshold, &view);
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

/* As Suricata counts: a match at the last moment of the time belongs to it. */
static void time_has_its_last_moment(void **state)
{
	static const struct rule rule = {.threshold = {.type = RULE_THRESHOLD_LIMIT,
						 .track = RULE_TRACK_SOURCE,
						 .count = 1,
						 .seconds = 5}};
	static const struct {
		uint64_t at_ms;
		enum threshold_verdict verdict;
	} matches[] = {{1000, THRESHOLD_TELL}, {6000, THRESHOLD_SILENT}, {6001, THRESHOLD_TELL}};
	struct threshold_table *table = threshold_table_create();

	assert_non_null(table);
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		const struct detect_context context = {.now_ns = matches[i].at_ms * 1000000};
		const struct packet_view view = {.context = &context, .source = 1};

		assert_int_equal(threshold_table_count(table, &rule, &rule.threshold, &view),
			matches[i].verdict);
	}
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

#define WORKERS 4
#define MATCHES 200000
#define SOURCES 7

struct worker {
	struct threshold_table *table;
	uint64_t told;
};

/* Each of the workers has packets of each source. */
static void *count_on_worker(void *context)
{
	static const struct rule rule = {.threshold = {.type = RULE_THRESHOLD_THRESHOLD,
						 .track = RULE_TRACK_SOURCE,
						 .count = 5,
						 .seconds = 60}};
	const struct detect_context detect = {.now_ns = 1};
	struct worker *own = context;

	for (uint32_t i = 0; i < MATCHES; i++) {
		const struct packet_view view = {.context = &detect, .source = i % SOURCES};

		own->told += threshold_table_count(own->table, &rule, &rule.threshold, &view)
			== THRESHOLD_TELL;
	}
	return NULL;
}

/* I6: not one match is lost or counted twice, whichever workers they come from. */
static void counts_are_exact_over_workers(void **state)
{
	struct threshold_table *table = threshold_table_create();
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];
	uint64_t told = 0, expected = 0;

	assert_non_null(table);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.table = table};
		assert_int_equal(
			pthread_create(&threads[i], NULL, count_on_worker, &workers[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		told += workers[i].told;
	}
	for (uint32_t source = 0; source < SOURCES; source++)
		expected += WORKERS * ((MATCHES - source + SOURCES - 1) / SOURCES) / 5;
	assert_int_equal(told, expected);
	assert_int_equal(threshold_table_evicted(table), 0);
	threshold_table_destroy(table);
}

static void counts_that_make_room_are_counted(void **state)
{
	struct threshold_table *table = threshold_table_create();

	assert_non_null(table);
	for (uint32_t source = 0; source < 1000000; source++)
		count(table, source);
	assert_in_range(threshold_table_evicted(table), 1000000 - 65536, 1000000);
	threshold_table_destroy(table);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_was_counted_before),
		cmocka_unit_test(time_has_its_last_moment),
		cmocka_unit_test(addresses_that_push_a_count_out_cannot_be_chosen),
		cmocka_unit_test(counts_are_exact_over_workers),
		cmocka_unit_test(counts_that_make_room_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
