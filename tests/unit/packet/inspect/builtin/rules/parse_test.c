/* SPDX-License-Identifier: BSD-3-Clause */
/* Rule files: what is read, and what is refused with which reason. I6 */
#include "detect_fixture.h"

/* The report of compiling text; *ruleset is NULL where it was invalid. */
static json_t *report_of(const char *text, struct ruleset **ruleset, struct error *error)
{
	json_t *report;

	*ruleset = try_rules(text, &report, error);
	assert_non_null(report);
	return report;
}

static json_int_t figure(const json_t *report, const char *key)
{
	assert_true(json_is_integer(json_object_get(report, key)));
	return json_integer_value(json_object_get(report, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void reads_files_as_people_have_them(void **state)
{
	struct ruleset *ruleset;
	struct error error;
	json_t *report =
		report_of("\xef\xbb\xbf# a comment (with; signs)\r\n"
			  "\r\n"
			  "   \t\n"
			  "alert tcp any any -> any any (msg:\"one\"; sid:1; rev:1;)\r\n"
			  "#alert tcp any any -> any any (msg:\"off\"; sid:2;)\n"
			  "# drop ip any any -> any any (sid:3;)\n"
			  "alert udp any any -> any any \\\r\n"
			  "    (msg:\"two\"; \\\n"
			  "     sid:4;)\n"
			  "  drop ip [ 192.0.2.1 , 192.0.2.2 ] any -> any any ( sid : 5 ; )",
			&ruleset, &error);

	assert_non_null(ruleset);
	assert_int_equal(figure(report, "accepted"), 3);
	assert_int_equal(figure(report, "disabled"), 2);
	assert_int_equal(figure(report, "refused"), 0);
	assert_int_equal(ruleset_rule_count(ruleset), 3);
	json_decref(report);
	ruleset_destroy(ruleset);
}

static void keeps_what_events_show(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert udp any any -> any any (msg:\"a \\\"b\\\"\\; c\\: d\"; gid:3; sid:7; rev:9; "
		"classtype:trojan-activity; priority:4; reference:url,example.org/a; "
		"metadata:created_at 2026_01_02, tag one, tag two; content:\"x\";)");
	struct detect_result result;
	const struct rule_info *info;
	struct frame frame;

	make_udp(&frame, &client_to_server, "x", 1);
	detect_frame(ruleset, &frame, (struct look){.to_server = true}, &result);
	assert_int_equal(result.alert_count, 1);
	info = result.alerts[0].rule;
	assert_string_equal(info->msg, "a \"b\"; c: d");
	assert_int_equal(info->gid, 3);
	assert_int_equal(info->sid, 7);
	assert_int_equal(info->rev, 9);
	assert_int_equal(info->priority, 4);
	assert_string_equal(info->classtype, "trojan-activity");
	assert_string_equal(info->category, "A Network Trojan was detected");
	assert_int_equal(json_array_size(json_object_get(info->metadata, "tag")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(info->metadata, "created_at"), 0)),
		"2026_01_02");
	ruleset_destroy(ruleset);
}

/* ---- refused, the rest is loaded ---- */

static void refuses_what_it_cannot_express_by_keyword(void **state)
{
	struct ruleset *ruleset;
	struct error error;
	json_t *report =
		report_of("alert tcp any any -> any any (sid:1;)\n"
			  "alert smb any any -> any any (sid:2;)\n"
			  "alert tcp any any -> any any (smb.share; content:\"x\"; sid:3;)\n"
			  "alert tcp any any -> any any (pcre:\"/x/K\"; sid:4;)\n"
			  "alert tcp any any -> any any (smb.share; content:\"y\"; sid:5;)\n"
			  "alert tcp any any -> any any (content:\"y\"; depth:some_var; sid:6;)\n",
			&ruleset, &error);
	const json_t *refusals = json_object_get(report, "refusals");
	const json_t *counts = json_object_get(report, "refused_by_keyword");

	assert_non_null(ruleset);
	assert_int_equal(figure(report, "accepted"), 1);
	assert_int_equal(figure(report, "refused"), 5);
	assert_int_equal(figure(report, "unsupported"), 5);
	assert_int_equal(figure(counts, "smb.share"), 2);
	assert_int_equal(figure(counts, "smb"), 1);
	assert_int_equal(figure(counts, "pcre"), 1);
	assert_int_equal(figure(counts, "depth"), 1);
	assert_int_equal(json_array_size(refusals), 5);
	assert_int_equal(figure(json_array_get(refusals, 1), "line"), 3);
	assert_int_equal(figure(json_array_get(refusals, 1), "sid"), 3);
	assert_string_equal(text_of(json_array_get(refusals, 1), "file"), "test.rules");
	assert_string_equal(text_of(json_array_get(refusals, 1), "kind"), "unsupported");
	assert_true(json_real_value(json_object_get(report, "coverage_percent")) > 16.6);
	assert_true(json_real_value(json_object_get(report, "coverage_percent")) < 16.7);
	json_decref(report);
	ruleset_destroy(ruleset);
}

static void of_rules_with_one_sid_the_highest_rev_stays(void **state)
{
	struct ruleset *ruleset;
	struct error error;
	json_t *report =
		report_of("alert udp any any -> any any (msg:\"old\"; sid:1; rev:2;)\n"
			  "alert udp any any -> any any (msg:\"new\"; sid:1; rev:3;)\n"
			  "alert udp any any -> any any (msg:\"same\"; sid:1; rev:3;)\n"
			  "alert udp any any -> any any (msg:\"other gid\"; gid:2; sid:1; rev:1;)",
			&ruleset, &error);
	json_t *rules = ruleset_rules(ruleset, 0, 10);

	assert_int_equal(figure(report, "accepted"), 2);
	assert_int_equal(figure(report, "duplicate"), 2);
	assert_int_equal(figure(json_array_get(json_object_get(report, "refusals"), 0), "line"), 1);
	assert_int_equal(figure(json_array_get(json_object_get(report, "refusals"), 1), "line"), 3);
	assert_string_equal(text_of(json_array_get(rules, 0), "msg"), "new");
	json_decref(rules);
	json_decref(report);
	ruleset_destroy(ruleset);
}

/* ---- invalid, nothing is loaded ---- */

struct fault {
	const char *rule, *keyword, *reason; /* reason: a part of it */
};

static void check_faults(const struct fault *faults)
{
	for (; faults->rule; faults++) {
		struct ruleset *ruleset;
		struct error error;
		json_t *report = report_of(faults->rule, &ruleset, &error);
		const json_t *refusal = json_array_get(json_object_get(report, "refusals"), 0);

		if (ruleset)
			fail_msg("accepted: %s", faults->rule);
		if (strcmp(text_of(refusal, "kind"), "invalid") != 0
			|| strcmp(text_of(refusal, "keyword"), faults->keyword) != 0
			|| !strstr(text_of(refusal, "reason"), faults->reason))
			fail_msg("%s\n%s", faults->rule, json_dumps(refusal, 0));
		assert_non_null(strstr(error.text, "test.rules:1: "));
		json_decref(report);
	}
}

#define OPTIONS(text) "alert tcp any any -> any any (" text " sid:1;)"

static void a_wrong_header_is_told_by_its_part(void **state)
{
	check_faults((const struct fault[]){
		{"alarm tcp any any -> any any (sid:1;)", "action", "\"alarm\""},
		{"alert tcp any any any any (sid:1;)", "header", "expected: action"},
		{"alert tcp any any => any any (sid:1;)", "direction", "\"=>\""},
		{"alert tcp any any -> any any more (sid:1;)", "header", "too much"},
		{"alert tcp any any -> any any", "rule", "expected"},
		{"alert tcp any any -> any any (sid:1;) x", "rule", "expected"},
		{"alert tcp 192.0.2.300 any -> any any (sid:1;)", "source address", "192.0.2.300"},
		{"alert tcp any any -> 192.0.2.0/33 any (sid:1;)", "destination address", "/33"},
		{"alert tcp any any -> [192.0.2.1,any any (sid:1;)", "header", "expected"},
		{"alert tcp any any -> [192.0.2.1,] any (sid:1;)", "destination address", "empty"},
		{"alert tcp !any any -> any any (sid:1;)", "source address", "nothing over"},
		{"alert tcp [10.0.0.1,!10.0.0.0/8] any -> any any (sid:1;)", "source address",
			"nothing over"},
		{"alert tcp $NO_NET any -> any any (sid:1;)", "source address", "$NO_NET"},
		{"alert tcp $LOOP any -> any any (sid:1;)", "source address", "circle"},
		{"alert tcp any 65536 -> any any (sid:1;)", "source port", "65536"},
		{"alert tcp any any -> any 90:80 (sid:1;)", "destination port", "90:80"},
		{"alert tcp any any -> any : (sid:1;)", "destination port", "\":\""},
		{"alert tcp any any -> any $HOME_NET (sid:1;)", "destination port", "HOME_NET"},
		{0}});
}

static void a_wrong_option_is_told_by_its_keyword(void **state)
{
	check_faults((const struct fault[]){
		{"alert tcp any any -> any any (msg:\"x\";)", "sid", "no sid"},
		{"alert tcp any any -> any any (sid:0;)", "sid", "\"0\""},
		{"alert tcp any any -> any any (sid:1)", "options", "end with"},
		{"alert tcp any any -> any any (sid:1; =;)", "options", "name"},
		{OPTIONS("msg:text;"), "msg", "quotes"},
		{OPTIONS("content:\"\";"), "content", "empty"},
		{OPTIONS("content:abc;"), "content", "quotes"},
		{OPTIONS("content:\"|0|\";"), "content", "odd"},
		{OPTIONS("content:\"|0g|\";"), "content", "hex"},
		{OPTIONS("content:\"|00\";"), "content", "end with"},
		{OPTIONS("content:\"a\\n\";"), "content", "escaped"},
		{OPTIONS("nocase;"), "nocase", "content before"},
		{OPTIONS("content:\"a\"; nocase:1;"), "nocase", "no value"},
		{OPTIONS("content:\"a\"; offset;"), "offset", "missing"},
		{OPTIONS("content:\"a\"; offset:-1;"), "offset", "-1"},
		{OPTIONS("content:\"abc\"; depth:2;"), "depth", "less than"},
		{OPTIONS("content:\"abc\"; within:2;"), "within", "less than"},
		{OPTIONS("content:\"a\"; offset:1; distance:1;"), "distance", "together"},
		{OPTIONS("content:\"a\"; within:1; depth:1;"), "depth", "together"},
		{OPTIONS("content:\"a\"; offset:1; offset:2;"), "offset", "twice"},
		{OPTIONS("content:\"a\"; offset:1; startswith;"), "startswith", "together"},
		{OPTIONS("content:\"a\"; startswith; depth:4;"), "depth", "startswith"},
		{"alert icmp any any -> any any (content:\"ab\"; replace:\"a\"; sid:1;)", "replace",
			"as many"},
		{"alert ip any any -> any any (content:\"ab\"; replace:\"a\"; sid:1;)", "replace",
			"as many"},
		{OPTIONS("content:!\"ab\"; replace:\"cd\";"), "replace", "negated"},
		{OPTIONS("content:\"ab\"; fast_pattern:1,2;"), "fast_pattern", "beyond"},
		{OPTIONS("content:\"a\"; fast_pattern; content:\"b\"; fast_pattern;"),
			"fast_pattern", "twice"},
		{OPTIONS("pcre:\"/a(/\";"), "pcre", "character"},
		{OPTIONS("pcre:\"/a/q\";"), "pcre", "\"q\""},
		{OPTIONS("pcre:\"a\";"), "pcre", "expected"},
		{OPTIONS("isdataat:x2;x"), "options", "expected"},
		{OPTIONS("byte_extract:1,0,n; byte_extract:1,0,n;"), "byte_extract", "already"},
		{OPTIONS("byte_extract:1,0,1n;"), "byte_extract", "no name"},
		{OPTIONS("byte_extract:1,0;"), "byte_extract", "no name"},
		{OPTIONS("byte_math:bytes 1,offset 0,oper %,rvalue 1,result n;"), "byte_math",
			"operator"},
		{OPTIONS("byte_math:bytes 1,offset 0,oper +,result n;"), "byte_math", "rvalue"},
		{OPTIONS("fragbits:X;"), "fragbits", "M D R"},
		{OPTIONS("ipopts:xx;"), "ipopts", "lsrr"},
		{OPTIONS("target:both;"), "target", "dest_ip"},
		{OPTIONS("flowbits:set,a|b;"), "flowbits", "alternatives"},
		{OPTIONS("isdataat:2,absolute;"), "isdataat", "absolute"},
		{OPTIONS("byte_test:9,>,1,0;"), "byte_test", "9 bytes"},
		{OPTIONS("byte_test:1,?,1,0;"), "byte_test", "operator"},
		{OPTIONS("byte_test:1,>,1;"), "byte_test", "missing"},
		{OPTIONS("byte_jump:1,0,hex;"), "byte_jump", "need string"},
		{OPTIONS("dsize:>70000;"), "dsize", "70000"},
		{OPTIONS("dsize:>7; dsize:<9;"), "dsize", "twice"},
		{OPTIONS("ttl:9<>10;"), "ttl", "no number lies"},
		{OPTIONS("flags:X;"), "flags", "expected"},
		{OPTIONS("flow:sideways;"), "flow", "sideways"},
		{OPTIONS("flow:to_server,to_client;"), "flow", "contradicts"},
		{OPTIONS("flow:only_stream; dsize:1;"), "flow", "stream alone"},
		{OPTIONS("ip_proto:nonsense;"), "ip_proto", "nonsense"},
		{OPTIONS("flowbits:set;"), "flowbits", "name"},
		{OPTIONS("flowbits:put,x;"), "flowbits", "put"},
		{OPTIONS("threshold:type limit,track by_src,count 1;"), "threshold", "seconds"},
		{OPTIONS("detection_filter:track by_src,count 0,seconds 1;"), "detection_filter",
			"from 1 to"},
		{OPTIONS("priority:0;"), "priority", "\"0\""},
		{OPTIONS("reference:x;"), "reference", "system"}, {0}});
}

/* A fault counts more than a missing feature: else it would hide behind it. */
static void a_fault_is_told_before_what_is_unsupported(void **state)
{
	check_faults((const struct fault[]){
		{OPTIONS("smb.share; content:\"\";"), "content", "empty"}, {0}});
}

static void names_the_first_fault_and_counts_the_others(void **state)
{
	struct ruleset *ruleset;
	struct error error;
	json_t *report = report_of("alert tcp any any -> any any (sid:1;)\n"
				   "alert tcp any any -> any any (content:\"\"; sid:2;)\n"
				   "alert tcp any any -> any any (ttl:x; sid:3;)\n",
		&ruleset, &error);

	assert_null(ruleset);
	assert_string_equal(error.text, "test.rules:2: content: the pattern is empty (and 1 more)");
	assert_int_equal(figure(report, "invalid"), 2);
	json_decref(report);
}

static void an_oversized_rule_is_refused(void **state)
{
	struct ruleset *ruleset;
	struct error error;
	size_t size = 70000;
	char *text = malloc(size + 1);
	json_t *report;

	memset(text, 'a', size);
	text[size] = '\0';
	report = report_of(text, &ruleset, &error);
	assert_null(ruleset);
	assert_non_null(strstr(error.text, "longer than"));
	json_decref(report);
	free(text);
}

static void no_rules_are_a_valid_ruleset(void **state)
{
	struct ruleset *ruleset = compile_rules("# nothing\n");
	struct detect_result result;
	struct frame frame;

	make_udp(&frame, &client_to_server, "x", 1);
	detect_frame(ruleset, &frame, (struct look){.to_server = true}, &result);
	assert_int_equal(result.alert_count, 0);
	assert_int_equal(result.action, RULE_ALERT);
	ruleset_destroy(ruleset);
}

/* I5: a flow's bits are numbered by name, and flows outlive rulesets. */
static void flowbits_keep_their_numbers_over_a_reload(void **state)
{
	static const char first[] = "alert udp any any -> any any (content:\"a\"; "
				    "flowbits:set,a; noalert; sid:1;)\n"
				    "alert udp any any -> any any (content:\"b\"; "
				    "flowbits:set,b; noalert; sid:2;)\n";
	static const char second[] = "alert udp any any -> any any (content:\"x\"; "
				     "flowbits:isset,b; sid:1;)\n";
	struct ruleset_file file = {"b.rules", second, strlen(second)};
	struct ruleset *old = compile_rules(first), *new;
	struct detect_flow flow = {0};
	struct look look = {.flow = &flow, .to_server = true};
	struct detect_result result;
	struct frame frame;

	make_udp(&frame, &client_to_server, "b", 1);
	detect_frame(old, &frame, look, &result);
	assert_int_equal(ruleset_compile(&file, 1, NULL, 1, old, &new, NULL, NULL), 0);
	ruleset_destroy(old);
	make_udp(&frame, &client_to_server, "x", 1);
	detect_frame(new, &frame, look, &result);
	assert_int_equal(result.alert_count, 1);
	ruleset_destroy(new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_files_as_people_have_them),
		cmocka_unit_test(keeps_what_events_show),
		cmocka_unit_test(refuses_what_it_cannot_express_by_keyword),
		cmocka_unit_test(of_rules_with_one_sid_the_highest_rev_stays),
		cmocka_unit_test(a_wrong_header_is_told_by_its_part),
		cmocka_unit_test(a_wrong_option_is_told_by_its_keyword),
		cmocka_unit_test(a_fault_is_told_before_what_is_unsupported),
		cmocka_unit_test(names_the_first_fault_and_counts_the_others),
		cmocka_unit_test(an_oversized_rule_is_refused),
		cmocka_unit_test(no_rules_are_a_valid_ruleset),
		cmocka_unit_test(flowbits_keep_their_numbers_over_a_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
