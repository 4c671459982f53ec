/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `channels` as the role reads it (C10): default deny, limits, links and peers. */
#include "channel/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char text[] =
	"{'channels': {'threads': 3, 'cores': [2, 5], 'poll': 50,"
	" 'partitions': {"
	"  'web': {'socket': '/run/web.sock', 'group': 'g', 'access': 'all', 'endpoints': 4,"
	"          'channels': 6, 'processes': 2, 'memory': 1048576,"
	"          'static': {'log': {'id': 9, 'uid': 77}}},"
	"  'db': {'socket': '/run/db.sock', 'group': 'g', 'access': 'group', 'endpoints': 1,"
	"         'channels': 2, 'processes': 3, 'memory': 65536, 'static': {}}},"
	" 'link': {'listen': '[2001:db8::1]:9590', 'certificate': '/c', 'key': '/k',"
	"          'authorities': '/a', 'timeout': 1500},"
	" 'peers': {"
	"  'hv2': {'address': '192.0.2.2:9591'},"
	"  'hv3': {'identity': 'three.example', 'fingerprint':"
	"   '00ff102030405060708090a0b0c0d0e0f00112233445566778899aabbccddeEF'}},"
	" 'allow': {"
	"  'web-db': {'from': 'web', 'to': 'db', 'channels': 2, 'message-max': 4096, 'rate': 9},"
	"  'out': {'from': 'web', 'to': 'hv2/db', 'channels': 1, 'message-max': 1, 'rate': 0}}}}";

static struct policy *read_policy(const char *quoted)
{
	char copy[sizeof(text)];
	struct policy *policy;
	struct error error;
	json_t *document;

	strcpy(copy, quoted);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	document = json_loads(copy, 0, NULL);
	assert_non_null(document);
	assert_int_equal(policy_create(document, &policy, &error), 0);
	json_decref(document);
	return policy;
}

static void what_no_rule_allows_is_denied(void **state)
{
	struct policy *policy = read_policy(text);
	const struct policy_rule *rule = policy_find_rule(policy, "web", "db");

	assert_non_null(rule);
	assert_string_equal(rule->name, "web-db");
	assert_int_equal(rule->channel_max, 2);
	assert_int_equal(rule->message_max, 4096);
	assert_int_equal(rule->rate, 9);
	assert_non_null(policy_find_rule(policy, "web", "hv2/db"));
	/* Neither the other way, nor to itself, nor to a partition of the same name elsewhere. */
	assert_null(policy_find_rule(policy, "db", "web"));
	assert_null(policy_find_rule(policy, "web", "web"));
	assert_null(policy_find_rule(policy, "web", "hv3/db"));
	assert_null(policy_find_rule(policy, "hv2/db", "web"));
	policy_destroy(policy);
}

static void partitions_have_limits(void **state)
{
	struct policy *policy = read_policy(text);
	const struct policy_partition *web = policy_find_partition(policy, "web");

	assert_string_equal(web->socket, "/run/web.sock");
	assert_true(web->is_open_to_all);
	assert_false(policy_find_partition(policy, "db")->is_open_to_all);
	assert_int_equal(web->endpoint_max, 4);
	assert_int_equal(web->row_max, 6);
	assert_int_equal(web->process_max, 2);
	assert_int_equal(web->memory_max, 1048576);
	assert_int_equal(web->reservation_count, 1);
	assert_int_equal(web->reservations[0].id, 9);
	assert_int_equal(web->reservations[0].uid, 77);
	assert_null(policy_find_partition(policy, "hv2/db"));
	policy_destroy(policy);
}

static void lanes_are_pinned_as_far_as_there_are_cores(void **state)
{
	struct policy *policy = read_policy(text);

	assert_int_equal(policy->lane_count, 3);
	assert_int_equal(policy->cores[0], 2);
	assert_int_equal(policy->cores[1], 5);
	assert_int_equal(policy->cores[2], -1);
	assert_int_equal(policy->poll_ns, 50000);
	policy_destroy(policy);
}

static void peers_are_who_their_certificates_say(void **state)
{
	struct policy *policy = read_policy(text);
	const struct policy_peer *two = policy_find_peer(policy, "hv2");
	const struct policy_peer *three = policy_find_peer(policy, "hv3");

	assert_true(policy->link.is_configured);
	assert_string_equal(policy->link.listen.address, "2001:db8::1");
	assert_int_equal(policy->link.listen.port, 9590);
	assert_int_equal(policy->link.timeout_ns, 1500000000);
	assert_string_equal(policy->link.certificate, "/c");
	assert_string_equal(two->address.address, "192.0.2.2");
	assert_int_equal(two->address.port, 9591);
	assert_string_equal(two->identity, "hv2");
	assert_false(two->has_fingerprint);
	assert_int_equal(three->address.port, 0);
	assert_string_equal(three->identity, "three.example");
	assert_true(three->has_fingerprint);
	assert_memory_equal(three->fingerprint, "\x00\xff\x10\x20", 4);
	assert_memory_equal(three->fingerprint + 30, "\xde\xef", 2);
	assert_null(policy_find_peer(policy, "hv1"));
	policy_destroy(policy);
}

static void without_the_section_there_is_nothing(void **state)
{
	struct policy *policy = read_policy("{}");

	assert_int_equal(policy->partition_count + policy->rule_count + policy->peer_count, 0);
	assert_false(policy->link.is_configured);
	assert_null(policy_find_rule(policy, "web", "db"));
	policy_destroy(policy);
	policy_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_rule_allows_is_denied),
		cmocka_unit_test(partitions_have_limits),
		cmocka_unit_test(lanes_are_pinned_as_far_as_there_are_cores),
		cmocka_unit_test(peers_are_who_their_certificates_say),
		cmocka_unit_test(without_the_section_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
