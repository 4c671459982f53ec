/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../port/frames.h"

static struct filter_set *set;

/* Puts rules in force; a null set accepts all. */
static int load(const char *text)
{
	json_t *config = json_loads(text, 0, NULL);
	struct filter_set *next = NULL;
	struct error error = {""};
	int status;

	assert_non_null(config);
	status = filter_set_create(config, set, &next, &error);
	json_decref(config);
	filter_set_destroy(set);
	set = next;
	return status;
}

static struct decoded packet4(
	uint8_t protocol, uint32_t source, uint32_t destination, uint16_t from, uint16_t to)
{
	struct decoded decoded = {.ip_version = 4,
		.protocol = protocol,
		.l4_offset = 34,
		.source_port = from,
		.destination_port = to};

	source = htonl(source);
	destination = htonl(destination);
	memcpy(decoded.source, &source, 4);
	memcpy(decoded.destination, &destination, 4);
	return decoded;
}

static bool passes4(
	uint8_t protocol, uint32_t source, uint32_t destination, uint16_t from, uint16_t to)
{
	struct decoded decoded = packet4(protocol, source, destination, from, to);

	return filter_check(set, &decoded);
}

static bool passes6(uint8_t protocol, const char *source, const char *destination, uint16_t to)
{
	struct decoded decoded = {.ip_version = 6,
		.protocol = protocol,
		.l4_offset = 54,
		.source_port = 1024,
		.destination_port = to};

	inet_pton(AF_INET6, source, decoded.source);
	inet_pton(AF_INET6, destination, decoded.destination);
	return filter_check(set, &decoded);
}

#define CLIENT 0xc0000264 /* 192.0.2.100 */
#define VIPA   0xc0000250 /* 192.0.2.80 */

/* D8 */
static void without_rules_all_passes(void **state)
{
	(void)state;
	assert_int_equal(load("{\"filters\": {\"default\": \"accept\", \"rules\": {}}}"), 0);
	assert_null(set);
	assert_true(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 80));
	assert_int_equal(load("{\"filters\": {\"default\": \"drop\", \"rules\": {}}}"), 0);
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 80));
}

/* D8: one ordered list. */
static void the_first_rule_by_order_decides(void **state)
{
	(void)state;
	assert_int_equal(load("{\"filters\": {\"default\": \"drop\", \"rules\": {"
			      "\"all\": {\"order\": 20, \"action\": \"accept\"},"
			      "\"telnet\": {\"order\": 10, \"action\": \"drop\", \"protocol\": "
			      "\"tcp\", \"destination-ports\": [\"23\"]}}}}"),
		0);
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 23));
	assert_true(passes4(IPPROTO_UDP, CLIENT, VIPA, 1024, 23));
	assert_true(passes4(IPPROTO_TCP, CLIENT, VIPA, 23, 80));
	assert_int_equal(load("{\"filters\": {\"default\": \"drop\", \"rules\": {"
			      "\"all\": {\"order\": 5, \"action\": \"accept\"},"
			      "\"telnet\": {\"order\": 10, \"action\": \"drop\", \"protocol\": "
			      "\"tcp\", \"destination-ports\": [\"23\"]}}}}"),
		0);
	assert_true(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 23));
}

/* D8: each field, at both ends of what it says. */
static void each_field_is_looked_at(void **state)
{
	(void)state;
	assert_int_equal(
		load("{\"filters\": {\"default\": \"drop\", \"rules\": {\"web\": {\"order\": 1, "
		     "\"action\": \"accept\", \"protocol\": \"tcp\", \"source\": "
		     "[\"192.0.2.64/26\", \"198.51.100.1\"], \"destination\": [\"192.0.2.80\"], "
		     "\"source-ports\": [\"1024-65535\"], \"destination-ports\": [\"80\", "
		     "\"8000-8099\"]}}}}"),
		0);
	assert_true(passes4(IPPROTO_TCP, 0xc0000240, VIPA, 1024, 80));
	assert_true(passes4(IPPROTO_TCP, 0xc000027f, VIPA, 65535, 8000));
	assert_true(passes4(IPPROTO_TCP, 0xc6336401, VIPA, 1024, 8099));
	assert_false(passes4(IPPROTO_TCP, 0xc000023f, VIPA, 1024, 80));
	assert_false(passes4(IPPROTO_TCP, 0xc0000280, VIPA, 1024, 80));
	assert_false(passes4(IPPROTO_TCP, 0xc6336402, VIPA, 1024, 80));
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA + 1, 1024, 80));
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1023, 80));
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 81));
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 7999));
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 8100));
	assert_false(passes4(IPPROTO_UDP, CLIENT, VIPA, 1024, 80));
	assert_false(passes6(IPPROTO_TCP, "2001:db8::1", "2001:db8::80", 80));
}

/* D8 */
static void ipv6_prefixes_end_at_any_bit(void **state)
{
	(void)state;
	assert_int_equal(load("{\"filters\": {\"default\": \"drop\", \"rules\": {\"web\": "
			      "{\"order\": 1, \"action\": \"accept\", \"source\": "
			      "[\"2001:db8:8000::/33\"], \"destination\": [\"2001:db8::80\"]}}}}"),
		0);
	assert_true(passes6(IPPROTO_TCP, "2001:db8:8000::1", "2001:db8::80", 80));
	assert_true(passes6(IPPROTO_UDP, "2001:db8:ffff::1", "2001:db8::80", 80));
	assert_false(passes6(IPPROTO_TCP, "2001:db8:7fff::1", "2001:db8::80", 80));
	assert_false(passes6(IPPROTO_TCP, "2001:db8:8000::1", "2001:db8::81", 80));
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1024, 80));
}

static bool passes_later_fragment(uint16_t to)
{
	struct decoded decoded = packet4(IPPROTO_UDP, CLIENT, VIPA, 1024, to);

	decoded.is_fragment = true;
	decoded.l4_offset = 0;
	return filter_check(set, &decoded);
}

/* D8: as packet filters of routers do it. */
static void later_fragments_follow_their_first_one(void **state)
{
	(void)state;
	assert_int_equal(load("{\"filters\": {\"default\": \"drop\", \"rules\": {\"dns\": "
			      "{\"order\": 1, \"action\": \"accept\", \"protocol\": \"udp\", "
			      "\"destination-ports\": [\"53\"]}}}}"),
		0);
	assert_true(passes_later_fragment(0));
	assert_int_equal(load("{\"filters\": {\"default\": \"accept\", \"rules\": {\"dns\": "
			      "{\"order\": 1, \"action\": \"drop\", \"protocol\": \"udp\", "
			      "\"destination-ports\": [\"53\"]}}}}"),
		0);
	assert_true(passes_later_fragment(0));
	assert_int_equal(load("{\"filters\": {\"default\": \"accept\", \"rules\": {\"host\": "
			      "{\"order\": 1, \"action\": \"drop\", \"source\": "
			      "[\"192.0.2.100\"]}}}}"),
		0);
	assert_false(passes_later_fragment(0));
}

static uint64_t hits_of(const char *name)
{
	for (uint16_t i = 0; i < set->count; i++)
		if (strcmp(set->rules[i].name, name) == 0)
			return filter_hits[0][set->rules[i].slot];
	return UINT64_MAX;
}

/* D8: hit counters outlive changes of other rules, and a new rule starts at zero. */
static void hits_belong_to_names(void **state)
{
	(void)state;
	assert_int_equal(load("{\"filters\": {\"default\": \"accept\", \"rules\": {"
			      "\"a\": {\"order\": 1, \"action\": \"drop\", \"protocol\": \"tcp\"},"
			      "\"b\": {\"order\": 2, \"action\": \"drop\", \"protocol\": \"udp\"}}"
			      "}}"),
		0);
	assert_false(passes4(IPPROTO_TCP, CLIENT, VIPA, 1, 2));
	assert_false(passes4(IPPROTO_UDP, CLIENT, VIPA, 1, 2));
	assert_false(passes4(IPPROTO_UDP, CLIENT, VIPA, 1, 2));
	assert_int_equal(hits_of("a"), 1);
	assert_int_equal(hits_of("b"), 2);
	assert_int_equal(load("{\"filters\": {\"default\": \"accept\", \"rules\": {"
			      "\"b\": {\"order\": 1, \"action\": \"drop\", \"protocol\": \"udp\"},"
			      "\"c\": {\"order\": 2, \"action\": \"drop\", \"protocol\": \"tcp\"}}"
			      "}}"),
		0);
	assert_int_equal(hits_of("b"), 2);
	assert_int_equal(hits_of("c"), 0);
}

static void too_many_combinations_are_refused(void **state)
{
	json_t *list = json_array(), *rule, *config;
	struct filter_set *next = NULL;
	struct error error = {""};

	(void)state;
	for (int i = 0; i < 100; i++)
		json_array_append_new(list, json_sprintf("192.0.2.%d", i));
	rule = json_pack("{s:i, s:s, s:O, s:O}", "order", 1, "action", "drop", "source", list,
		"destination", list);
	config = json_pack(
		"{s:{s:s, s:{s:o}}}", "filters", "default", "accept", "rules", "many", rule);
	json_decref(list);
	assert_int_equal(filter_set_create(config, NULL, &next, &error), -E2BIG);
	assert_null(next);
	assert_non_null(strstr(error.text, "4096 combinations"));
	json_decref(config);
}

static int start(void **state)
{
	(void)state;
	worker_index = 0;
	return frames_start("filter_test") ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	filter_set_destroy(set);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rules_all_passes),
		cmocka_unit_test(the_first_rule_by_order_decides),
		cmocka_unit_test(each_field_is_looked_at),
		cmocka_unit_test(ipv6_prefixes_end_at_any_bit),
		cmocka_unit_test(later_fragments_follow_their_first_one),
		cmocka_unit_test(hits_belong_to_names),
		cmocka_unit_test(too_many_combinations_are_refused),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
