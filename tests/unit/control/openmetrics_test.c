/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/openmetrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Renders samples given as JSON and compares. */
static void expect(const char *samples, const char *wanted, size_t wanted_left_out)
{
	json_t *parsed = json_loads(samples, 0, NULL);
	size_t size, left_out;
	char *text;

	assert_non_null(parsed);
	text = openmetrics_render(parsed, &size, &left_out);
	assert_non_null(text);
	assert_string_equal(text, wanted);
	assert_int_equal(size, strlen(wanted));
	assert_int_equal(left_out, wanted_left_out);
	free(text);
	json_decref(parsed);
}

static void ends_with_eof_also_without_samples(void **state)
{
	expect("[]", "# EOF\n", 0);
}

static void writes_counters_and_gauges(void **state)
{
	expect("[{\"name\": \"drops\", \"type\": \"counter\", \"help\": \"packets dropped\", "
	       "\"labels\": {\"reason\": \"storm\", \"port\": \"web.eth0\"}, \"value\": 3},"
	       "{\"name\": \"memory_bytes\", \"type\": \"gauge\", \"help\": \"in use\", \"value\": "
	       "1.5}]",
		"# TYPE bulkhead_drops counter\n"
		"# HELP bulkhead_drops packets dropped\n"
		"bulkhead_drops_total{reason=\"storm\",port=\"web.eth0\"} 3\n"
		"# TYPE bulkhead_memory_bytes gauge\n"
		"# UNIT bulkhead_memory_bytes bytes\n"
		"# HELP bulkhead_memory_bytes in use\n"
		"bulkhead_memory_bytes 1.5\n"
		"# EOF\n",
		0);
}

static void puts_the_samples_of_a_family_together(void **state)
{
	expect("[{\"name\": \"b\", \"type\": \"gauge\", \"labels\": {\"x\": \"2\"}, \"value\": 1},"
	       "{\"name\": \"a\", \"type\": \"gauge\", \"value\": 2},"
	       "{\"name\": \"b\", \"type\": \"gauge\", \"labels\": {\"x\": \"1\"}, \"value\": 3}]",
		"# TYPE bulkhead_a gauge\n"
		"bulkhead_a 2\n"
		"# TYPE bulkhead_b gauge\n"
		"bulkhead_b{x=\"2\"} 1\n"
		"bulkhead_b{x=\"1\"} 3\n"
		"# EOF\n",
		0);
}

static void escapes_labels_and_help(void **state)
{
	expect("[{\"name\": \"a\", \"type\": \"gauge\", \"help\": \"one\\ntwo \\\\ \\\"x\\\"\", "
	       "\"labels\": {\"x\": \"\\\\ \\\" \\n }\"}, \"value\": 1}]",
		"# TYPE bulkhead_a gauge\n"
		"# HELP bulkhead_a one\\ntwo \\\\ \\\"x\\\"\n"
		"bulkhead_a{x=\"\\\\ \\\" \\n }\"} 1\n"
		"# EOF\n",
		0);
}

static void writes_whole_doubles_as_integers(void **state)
{
	expect("[{\"name\": \"a\", \"type\": \"counter\", \"value\": 12345678901.0},"
	       "{\"name\": \"b\", \"type\": \"gauge\", \"value\": -0.25}]",
		"# TYPE bulkhead_a counter\n"
		"bulkhead_a_total 12345678901\n"
		"# TYPE bulkhead_b gauge\n"
		"bulkhead_b -0.25\n"
		"# EOF\n",
		0);
}

static void leaves_out_what_is_not_valid(void **state)
{
	expect("[{\"name\": \"a b\", \"type\": \"gauge\", \"value\": 1},"
	       "{\"name\": \"1a\", \"type\": \"gauge\", \"value\": 1},"
	       "{\"name\": \"a\", \"type\": \"histogram\", \"value\": 1},"
	       "{\"name\": \"a\", \"type\": \"gauge\", \"value\": \"1\"},"
	       "{\"name\": \"a\", \"type\": \"gauge\", \"labels\": {\"x y\": \"1\"}, \"value\": 1},"
	       "{\"name\": \"a\", \"type\": \"gauge\", \"labels\": {\"__x\": \"1\"}, \"value\": 1},"
	       "{\"name\": \"a\", \"type\": \"gauge\", \"labels\": {\"x\": 1}, \"value\": 1},"
	       "7]",
		"# EOF\n", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_with_eof_also_without_samples),
		cmocka_unit_test(writes_counters_and_gauges),
		cmocka_unit_test(puts_the_samples_of_a_family_together),
		cmocka_unit_test(escapes_labels_and_help),
		cmocka_unit_test(writes_whole_doubles_as_integers),
		cmocka_unit_test(leaves_out_what_is_not_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
