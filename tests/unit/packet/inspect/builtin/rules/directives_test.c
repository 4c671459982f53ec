/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines that are no rules: threshold.config, classification.config, reference.config (I6). */
#include "detect_fixture.h"

#define SECOND 1000000000ULL
#define RULE   "alert udp any any -> any any (msg:\"x\"; content:\"x\"; sid:7;)\n"
#define DROP   "drop udp any any -> any any (msg:\"x\"; content:\"x\"; sid:7;)\n"

static struct ruleset *ruleset;

static void detect_at(const struct ends *ends, uint64_t seconds, struct detect_result *result)
{
	struct frame frame;

	make_udp(&frame, ends, "x", 1);
	detect_frame(ruleset, &frame, (struct look){.to_server = true, .now_ns = seconds * SECOND},
		result);
}

static size_t alerts_of(const char *source)
{
	const struct ends ends = {source, "198.51.100.9", 40000, 80};
	struct detect_result result;

	detect_at(&ends, 1, &result);
	return result.alert_count;
}

static json_t *load(const char *text)
{
	struct error error;
	json_t *report = NULL;

	ruleset = try_rules(text, &report, &error);
	if (!ruleset)
		fail_msg("%s", error.text);
	return report;
}

static const json_t *refusal(const json_t *report, size_t index)
{
	return json_array_get(json_object_get(report, "refusals"), index);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void suppress_silences_addresses_of_one_end(void **state)
{
	json_decref(load(RULE "suppress gen_id 1, sig_id 7, track by_src, "
			      "ip [192.0.2.0/24,!192.0.2.9,2001:db8::/32]\n"));
	assert_int_equal(alerts_of("192.0.2.1"), 0);
	assert_int_equal(alerts_of("192.0.2.9"), 1);
	assert_int_equal(alerts_of("203.0.113.1"), 1);
	ruleset_destroy(ruleset);
	json_decref(load(RULE "suppress gen_id 1, sig_id 7, track by_dst, ip 198.51.100.9\n"));
	assert_int_equal(alerts_of("192.0.2.1"), 0);
	ruleset_destroy(ruleset);
	json_decref(load(RULE "suppress gen_id 1, sig_id 7, track by_either, ip $HOME_NET\n"));
	assert_int_equal(alerts_of("192.0.2.1"), 0);
	assert_int_equal(alerts_of("203.0.113.1"), 1);
	ruleset_destroy(ruleset);
}

/* The line may stand before its rule; the action of a drop stays. */
static void suppress_leaves_the_action(void **state)
{
	struct detect_result result;

	json_decref(load("suppress gen_id 1, sig_id 7\n" DROP));
	detect_at(&client_to_server, 1, &result);
	assert_int_equal(result.alert_count, 0);
	assert_int_equal(result.action, RULE_DROP);
	ruleset_destroy(ruleset);
}

static void event_filter_counts_as_a_threshold_of_the_rule(void **state)
{
	json_decref(load(RULE "event_filter gen_id 1, sig_id 7, type limit, track by_src, "
			      "count 2, seconds 60\n"));
	assert_int_equal(alerts_of("192.0.2.1"), 1);
	assert_int_equal(alerts_of("192.0.2.1"), 1);
	assert_int_equal(alerts_of("192.0.2.1"), 0);
	assert_int_equal(alerts_of("192.0.2.2"), 1);
	ruleset_destroy(ruleset);
}

static void thresholds_for_all_rules_leave_those_that_have_one(void **state)
{
	json_t *report = load(RULE "alert udp any any -> any any (content:\"x\"; threshold:type "
				   "limit,track by_src,count 3,seconds 60; sid:8;)\n"
				   "threshold gen_id 0, sig_id 0, type limit, track by_src, count "
				   "1, seconds 60\n"
				   "threshold gen_id 1, sig_id 8, type limit, track by_src, count "
				   "1, seconds 60\n");

	assert_int_equal(alerts_of("192.0.2.1"), 2);
	assert_int_equal(alerts_of("192.0.2.1"), 1);
	assert_int_equal(alerts_of("192.0.2.1"), 1);
	assert_int_equal(alerts_of("192.0.2.1"), 0);
	assert_string_equal(text_of(refusal(report, 0), "kind"), "no-effect");
	assert_int_equal(json_integer_value(json_object_get(refusal(report, 0), "line")), 4);
	assert_int_equal(json_integer_value(json_object_get(report, "refused")), 0);
	json_decref(report);
	ruleset_destroy(ruleset);
}

static enum rule_action action_at(const char *source, uint64_t seconds)
{
	const struct ends ends = {source, "198.51.100.9", 40000, 80};
	struct detect_result result;

	detect_at(&ends, seconds, &result);
	assert_int_equal(result.alert_count, 1);
	return result.action;
}

static void rate_filter_acts_for_its_time(void **state)
{
	json_decref(load(RULE "rate_filter gen_id 1, sig_id 7, track by_src, count 2, seconds 10, "
			      "new_action drop, timeout 30\n"));
	assert_int_equal(action_at("192.0.2.1", 1), RULE_ALERT);
	assert_int_equal(action_at("192.0.2.1", 2), RULE_ALERT);
	assert_int_equal(action_at("192.0.2.1", 3), RULE_DROP);
	assert_int_equal(action_at("192.0.2.2", 3), RULE_ALERT);
	assert_int_equal(action_at("192.0.2.1", 33), RULE_DROP);
	assert_int_equal(action_at("192.0.2.1", 34), RULE_ALERT);
	/* Slower than its rate: nothing changes. */
	assert_int_equal(action_at("192.0.2.3", 1), RULE_ALERT);
	assert_int_equal(action_at("192.0.2.3", 11), RULE_ALERT);
	assert_int_equal(action_at("192.0.2.3", 21), RULE_ALERT);
	assert_int_equal(action_at("192.0.2.3", 31), RULE_ALERT);
	ruleset_destroy(ruleset);
}

static void by_both_is_the_same_pair_in_both_directions(void **state)
{
	struct detect_result result;

	json_decref(load("alert udp any any <> any any (content:\"x\"; threshold:type limit,track "
			 "by_both,count 1,seconds 60; sid:7;)\n"));
	detect_at(&client_to_server, 1, &result);
	assert_int_equal(result.alert_count, 1);
	detect_at(&server_to_client, 1, &result);
	assert_int_equal(result.alert_count, 0);
	ruleset_destroy(ruleset);
}

static void classes_of_the_user_go_before_those_known_anyway(void **state)
{
	struct detect_result result;

	json_decref(
		load("alert udp any any -> any any (content:\"x\"; classtype:our-own; sid:7;)\n"
		     "alert udp any any -> any any (content:\"x\"; classtype:misc-attack; sid:8;)\n"
		     "config classification: our-own,One of ours,2\n"
		     "config classification:misc-attack,Changed,4\n"
		     "config reference: cve https://cve.mitre.org/cgi-bin/cvename.cgi?name=\n"));
	detect_at(&client_to_server, 1, &result);
	assert_int_equal(result.alert_count, 2);
	assert_string_equal(result.alerts[0].rule->category, "One of ours");
	assert_int_equal(result.alerts[0].rule->priority, 2);
	assert_string_equal(result.alerts[1].rule->category, "Changed");
	assert_int_equal(result.alerts[1].rule->priority, 4);
	ruleset_destroy(ruleset);
}

static void lines_without_effect_or_meaning_are_told(void **state)
{
	json_t *report = load("suppress gen_id 1, sig_id 9\n"
			      "include other.rules\n"
			      "ipvar HOME_NET any\n"
			      "config detection: search-method ac\n");

	assert_string_equal(text_of(refusal(report, 0), "keyword"), "include");
	assert_non_null(strstr(text_of(refusal(report, 0), "reason"), "inspection.rules"));
	assert_string_equal(text_of(refusal(report, 1), "keyword"), "ipvar");
	assert_non_null(strstr(text_of(refusal(report, 1), "reason"), "inspection.variables"));
	assert_string_equal(text_of(refusal(report, 2), "keyword"), "config");
	assert_string_equal(text_of(refusal(report, 3), "reason"), "there is no such rule");
	json_decref(report);
	ruleset_destroy(ruleset);
}

static void wrong_lines_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *line, *error;
	} samples[] = {
		{"suppress gen_id 1", "test.rules:1: suppress: needs gen_id"},
		{"suppress gen_id 1, sig_id 7, track by_src", "test.rules:1: suppress: needs"},
		{"suppress gen_id 1, sig_id 7, track by_src, ip 1.2.3", "test.rules:1: suppress: "},
		{"suppress gen_id 1, sig_id 7, count 1", "valid are gen_id, sig_id, track and ip"},
		{"suppress gen_id x, sig_id 7", "gen_id \"x\" is no number"},
		{"suppress gen_id 0, sig_id 7", "sig_id must be 0"},
		{"threshold gen_id 1, sig_id 7, type limit", "threshold: needs gen_id"},
		{"threshold gen_id 1, sig_id 7, type never", "\"never\": valid are"},
		{"event_filter gen_id 1, sig_id", "expected a name and a value"},
		{"rate_filter gen_id 1, sig_id 7, track by_src, count 1, seconds 1", "new_action"},
		{"rate_filter gen_id 1, sig_id 7, new_action log", "\"log\": valid are"},
		{"config classification: a,b", "name,text,priority"},
		{"config reference: cve", "system prefix"},
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct error error;

		assert_null(try_rules(samples[i].line, NULL, &error));
		if (!strstr(error.text, samples[i].error))
			fail_msg("%s: %s", samples[i].line, error.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suppress_silences_addresses_of_one_end),
		cmocka_unit_test(suppress_leaves_the_action),
		cmocka_unit_test(event_filter_counts_as_a_threshold_of_the_rule),
		cmocka_unit_test(thresholds_for_all_rules_leave_those_that_have_one),
		cmocka_unit_test(rate_filter_acts_for_its_time),
		cmocka_unit_test(by_both_is_the_same_pair_in_both_directions),
		cmocka_unit_test(classes_of_the_user_go_before_those_known_anyway),
		cmocka_unit_test(lines_without_effect_or_meaning_are_told),
		cmocka_unit_test(wrong_lines_are_refused_with_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
