/* SPDX-License-Identifier: BSD-3-Clause */
/* What Suricata tells, read with distrust (I7, I9). */
#include "packet/inspect/suricata/json_lines.h"
#include "packet/inspect/suricata/origins.h"
#include "packet/inspect/suricata/suricata_eve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct json_lines lines;
static char seen[256];

static void take(void *context, json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "a"));

	(void)context;
	strncat(seen, text ? text : "-", sizeof(seen) - strlen(seen) - 1);
}

static int begin(void **state)
{
	(void)state;
	memset(&lines, 0, sizeof(lines));
	seen[0] = '\0';
	return 0;
}

static void feed(const char *text, size_t step)
{
	size_t size = strlen(text);

	for (size_t at = 0; at < size; at += step)
		json_lines_feed(&lines, text + at, at + step < size ? step : size - at, take, NULL);
}

static void lines_are_read_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t step = 1; step < 40; step++) {
		seen[0] = '\0';
		feed("{\"a\": \"x\"}\n{\"a\": \"y\"}\n\n{\"a\": \"z\"}\n{\"a\": \"not yet\"}",
			step);
		assert_string_equal(seen, "xyz");
		json_lines_reset(&lines);
	}
	assert_int_equal(lines.invalid, 0);
}

static void what_is_no_object_is_passed_over(void **state)
{
	(void)state;
	feed("[1]\nnull\n{\"a\"\n{\"a\": \"1\", \"a\": \"2\"}\n{\"a\": \"\xff\"}\n{\"a\": \"x\"}\n",
		7);
	assert_string_equal(seen, "x");
	assert_int_equal(lines.invalid, 5);
}

static void line_that_is_too_long_is_skipped_to_its_end(void **state)
{
	char *text = malloc(3 * JSON_LINE_MAX);

	(void)state;
	memset(text, ' ', 3 * JSON_LINE_MAX);
	strcpy(text + 2 * JSON_LINE_MAX, "{\"a\": \"n\"}\n{\"a\": \"x\"}\n");
	feed(text, 1000);
	assert_string_equal(seen, "x");
	assert_int_equal(lines.invalid, 1);
	free(text);
}

static json_t *record(const char *text)
{
	json_t *made = json_loads(text, 0, NULL);

	assert_non_null(made);
	return made;
}

/* I7: VLAN and addresses of the packet are what it is found by. */
static void record_names_its_packet(void **state)
{
	static const uint8_t macs[] = {0x52, 0x54, 0, 0, 0x10, 1, 0x52, 0x54, 0, 0, 0xff, 1};
	json_t *alert = record("{\"event_type\": \"alert\", \"vlan\": [10, 31], \"ether\": "
			       "{\"src_mac\": \"52:54:00:00:ff:01\", \"dest_mac\": "
			       "\"52:54:00:00:10:01\"}}");
	json_t *flow = record("{\"event_type\": \"flow\", \"vlan\": [10], \"ether\": "
			      "{\"src_macs\": [\"52:54:00:00:ff:01\"], \"dest_macs\": "
			      "[\"52:54:00:00:10:01\"]}}");
	struct suricata_key key;

	(void)state;
	assert_true(suricata_eve_read(alert, &key));
	assert_int_equal(key.vlan, 10);
	assert_true(key.has_macs);
	assert_memory_equal(key.macs, macs, sizeof(macs));
	assert_true(suricata_eve_read(flow, &key));
	assert_memory_equal(key.macs, macs, sizeof(macs));
	json_decref(alert);
	json_decref(flow);
}

static void record_without_a_packet_has_no_key(void **state)
{
	static const char *const texts[] = {
		"{\"event_type\": \"alert\"}",
		"{\"event_type\": \"alert\", \"vlan\": 10}",
		"{\"event_type\": \"alert\", \"vlan\": [4095], \"ether\": 1}",
		"{\"event_type\": \"alert\", \"vlan\": [-1], \"ether\": {\"src_mac\": 1}}",
		"{\"event_type\": \"alert\", \"vlan\": [1], \"ether\": {\"src_mac\": "
		"\"52:54:00:00:ff:01:02\", \"dest_mac\": \"52:54:00:00:ff:0\"}}",
		"{\"event_type\": \"alert\", \"vlan\": [1], \"ether\": {\"src_macs\": [], "
		"\"dest_macs\": {}}}",
	};
	struct suricata_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *made = record(texts[i]);

		assert_true(suricata_eve_read(made, &key));
		assert_false(key.has_macs);
		json_decref(made);
	}
}

/* I10: it tells of packets, not of the daemon. */
static void records_of_other_kinds_are_refused(void **state)
{
	static const char *const texts[] = {"{}", "{\"event_type\": 1}",
		"{\"event_type\": \"role_state\"}", "{\"event_type\": \"stats\"}",
		"{\"event_type\": \"config_applied\"}"};
	struct suricata_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *made = record(texts[i]);

		assert_false(suricata_eve_read(made, &key));
		json_decref(made);
	}
}

/* I10: whose packet it was is not Suricata's to say. */
static void what_only_we_know_is_replaced(void **state)
{
	json_t *made =
		record("{\"event_type\": \"alert\", \"in_iface\": \"net_memif0\", \"engine\": "
		       "\"builtin\", \"partition\": \"victim\", \"origin\": \"host\", "
		       "\"type\": \"role_down\", \"seq\": 1, \"host\": \"other\"}");
	struct suricata_names names = {
		.in_interface = "uplink", .partition = "web", .origin = "physical"};
	json_t *wanted = record("{\"event_type\": \"alert\", \"in_iface\": \"uplink\", \"engine\": "
				"\"suricata\", \"partition\": \"web\", \"origin\": \"physical\"}");

	(void)state;
	suricata_eve_complete(made, &names);
	assert_true(json_equal(made, wanted));
	names = (struct suricata_names){.in_interface = "", .partition = ""};
	suricata_eve_complete(made, &names);
	assert_null(json_object_get(made, "partition"));
	assert_null(json_object_get(made, "origin"));
	assert_null(json_object_get(made, "in_iface"));
	json_decref(made);
	json_decref(wanted);
}

static void reasons_of_drops_are_bounded(void **state)
{
	json_t *counts = json_object();
	char text[128];

	(void)state;
	for (int i = 0; i < 100; i++) {
		json_t *made;

		snprintf(text, sizeof(text), "{\"drop\": {\"reason\": \"reason %d\"}}", i % 50);
		made = record(text);
		suricata_eve_count_drop(made, counts);
		json_decref(made);
	}
	assert_true(json_object_size(counts) <= SURICATA_REASONS_MAX + 1);
	assert_int_equal(json_integer_value(json_object_get(counts, "reason 3")), 2);
	assert_int_equal(json_integer_value(json_object_get(counts, "other")),
		2 * (50 - SURICATA_REASONS_MAX));
	json_decref(counts);
}

/* I7 */
static void origin_is_found_by_addresses_and_vlan(void **state)
{
	struct origins *origins = calloc(1, sizeof(*origins));
	uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	struct origin first = {.kind = ORIGIN_PHYSICAL, .ingress_port = 3},
		      second = {.kind = ORIGIN_TRUNK, .ingress_port = 4}, out;

	(void)state;
	assert_false(origins_find(origins, macs, 10, &out));
	origins_note(origins, macs, 10, &first);
	origins_note(origins, macs, 20, &second);
	assert_true(origins_find(origins, macs, 10, &out));
	assert_memory_equal(&out, &first, sizeof(out));
	assert_true(origins_find(origins, macs, 20, &out));
	assert_memory_equal(&out, &second, sizeof(out));
	assert_false(origins_find(origins, macs, 11, &out));
	origins_note(origins, macs, 10, &second);
	assert_true(origins_find(origins, macs, 10, &out));
	assert_memory_equal(&out, &second, sizeof(out));
	macs[11]++;
	assert_false(origins_find(origins, macs, 10, &out));
	memset(macs, 0, sizeof(macs));
	assert_false(origins_find(origins, macs, 0, &out));
	free(origins);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(lines_are_read_however_they_are_cut),
		TEST(what_is_no_object_is_passed_over),
		TEST(line_that_is_too_long_is_skipped_to_its_end),
		TEST(record_names_its_packet),
		TEST(record_without_a_packet_has_no_key),
		TEST(records_of_other_kinds_are_refused),
		TEST(what_only_we_know_is_replaced),
		TEST(reasons_of_drops_are_bounded),
		TEST(origin_is_found_by_addresses_and_vlan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
