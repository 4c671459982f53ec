/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers, flow and state options of rules, and what follows from a match. I6 */
#include "detect_fixture.h"

static const struct ends v6 = {"2001:db8::1", "2001:db9::2", 40000, 443};
static const struct look to_server = {.to_server = true};

static bool matches(const char *rule, const struct frame *frame, struct look look)
{
	struct ruleset *ruleset = compile_rules(rule);
	struct detect_result result;

	detect_frame(ruleset, frame, look, &result);
	ruleset_destroy(ruleset);
	return result.alert_count == 1;
}

struct sample {
	const char *rule;
	bool is_match;
};

static void check(const struct frame *frame, struct look look, const struct sample *samples)
{
	for (; samples->rule; samples++) {
		char text[512];

		snprintf(text, sizeof(text), "alert %s sid:1;)", samples->rule);
		if (matches(text, frame, look) != samples->is_match)
			fail_msg("%s: expected %s", text, samples->is_match ? "a match" : "none");
	}
}

#define CHECK(frame, look, ...) check(frame, look, (const struct sample[]){__VA_ARGS__, {0}})

static void protocol_chooses_packets(void **state)
{
	struct frame tcp, udp, icmp, icmp6, tcp6;

	make_tcp(&tcp, &client_to_server, 0x02, "", 0);
	make_udp(&udp, &client_to_server, "x", 1);
	make_icmp(&icmp, &client_to_server, 8, 0, "x", 1);
	make_icmp(&icmp6, &v6, 128, 0, "x", 1);
	make_tcp(&tcp6, &v6, 0x02, "", 0);
	CHECK(&tcp, to_server, {"tcp any any -> any any (", true},
		{"udp any any -> any any (", false}, {"ip any any -> any any (", true},
		{"ip4 any any -> any any (", true}, {"ip6 any any -> any any (", false},
		{"icmp any any -> any any (", false}, {"sctp any any -> any any (", false},
		{"ip any any -> any any (ip_proto:6;", true},
		{"ip any any -> any any (ip_proto:!tcp;", false},
		{"ip any any -> any any (ip_proto:>5;", true},
		{"ip any any -> any any (ip_proto:TCP;", true});
	CHECK(&udp, to_server, {"udp any any -> any any (", true},
		{"tcp any any -> any any (", false}, {"tcp-pkt any any -> any any (", false});
	CHECK(&icmp, to_server, {"icmp any any -> any any (", true},
		{"icmpv4 any any -> any any (", true}, {"icmpv6 any any -> any any (", false},
		{"icmp any 80 -> any 90 (", true}, {"ip any any -> any 80 (", false},
		{"icmp any any -> any any (itype:8;", true},
		{"icmp any any -> any any (itype:>8;", false},
		{"icmp any any -> any any (itype:7<>9; icode:0;", true},
		{"icmp any any -> any any (itype:8<>10;", false},
		{"icmp any any -> any any (icode:!0;", false},
		{"icmp any any -> any any (content:\"x\"; depth:1;", true});
	CHECK(&icmp6, to_server, {"icmp any any -> any any (", true},
		{"icmpv6 any any -> any any (itype:128;", true},
		{"icmpv4 any any -> any any (", false});
	CHECK(&tcp6, to_server, {"ip6 any any -> any any (", true},
		{"tcp 2001:db8::/32 any -> 2001:db9::2 443 (", true},
		{"tcp any any -> 2001:db8::/32 any (", false},
		{"tcp 0.0.0.0/0 any -> any any (", false},
		{"tcp $HOME_NET any -> $EXTERNAL_NET any (", true});
}

static void addresses_and_ports_bound_the_ends(void **state)
{
	struct frame frame;

	make_tcp(&frame, &client_to_server, 0x02, "", 0);
	CHECK(&frame, to_server, {"tcp 192.0.2.1 any -> 198.51.100.9 any (", true},
		{"tcp 192.0.2.2 any -> any any (", false},
		{"tcp !192.0.2.2 any -> any any (", true},
		{"tcp !192.0.2.0/24 any -> any any (", false},
		{"tcp [10.0.0.0/8,192.0.2.0/24] any -> any any (", true},
		{"tcp [192.0.2.0/24,!192.0.2.1] any -> any any (", false},
		{"tcp [192.0.2.0/24, !192.0.2.2] any -> any any (", true},
		{"tcp [!192.0.2.2,!192.0.2.3] any -> any any (", true},
		{"tcp 192.0.2.0-192.0.2.9 any -> any any (", true},
		{"tcp 192.0.2.0/255.255.255.0 any -> any any (", true},
		{"tcp [10.0.0.0/8,[192.0.2.0/24,![192.0.2.8,192.0.2.9]]] any -> any any (", true},
		{"tcp $HOME_NET any -> $EXTERNAL_NET $HTTP_PORTS (", true},
		{"tcp $EXTERNAL_NET any -> any any (", false},
		{"tcp !$HOME_NET any -> any any (", false},
		{"tcp any any -> any !$HTTP_PORTS (", false}, {"tcp any any -> any 80 (", true},
		{"tcp any any -> any !80 (", false}, {"tcp any any -> any 81: (", false},
		{"tcp any any -> any :80 (", true}, {"tcp any any -> any [1:100,!80] (", false},
		{"tcp any any -> any [1:100,!81] (", true},
		{"tcp any 40000 -> any [80,443] (", true}, {"tcp any 80 -> any any (", false},
		{"tcp any 80 <> any 40000 (", true}, {"tcp 198.51.100.9 any <> any any (", true},
		{"tcp 198.51.100.9 any -> any any (", false},
		{"tcp 198.51.100.9 40000 <> any any (", false});
}

static void flow_wants_its_direction_and_state(void **state)
{
	struct detect_flow flow = {0};
	struct look new_flow = {.flow = &flow, .to_server = true};
	struct look established = {.flow = &flow, .to_server = true, .is_established = true};
	struct look back = {.flow = &flow, .is_established = true};
	struct frame frame;

	make_tcp(&frame, &client_to_server, 0x10, "x", 1);
	CHECK(&frame, new_flow, {"tcp any any -> any any (flow:to_server;", true},
		{"tcp any any -> any any (flow:from_client,not_established;", true},
		{"tcp any any -> any any (flow:established;", false},
		{"tcp any any -> any any (flow:stateless;", true});
	CHECK(&frame, established, {"tcp any any -> any any (flow:to_server,established;", true},
		{"tcp any any -> any any (flow:not_established;", false},
		{"tcp any any -> any any (flow:to_client;", false},
		{"tcp any any -> any any (flow:established,to_server; content:\"x\";", true});
	CHECK(&frame, back, {"tcp any any -> any any (flow:to_client;", true},
		{"tcp any any -> any any (flow:from_server,established;", true},
		{"tcp any any -> any any (flow:to_server;", false});
	CHECK(&frame, to_server, {"tcp any any -> any any (flow:to_server;", false},
		{"tcp any any -> any any (flow:stateless;", true},
		{"tcp any any -> any any (flow:no_frag;", true},
		{"tcp any any -> any any (flow:only_frag;", false});
}

static void flags_are_compared_as_suricata_does(void **state)
{
	struct frame frame;

	make_tcp(&frame, &client_to_server, 0x12, "", 0); /* SYN and ACK */
	CHECK(&frame, to_server, {"tcp any any -> any any (flags:SA;", true},
		{"tcp any any -> any any (flags:S;", false},
		{"tcp any any -> any any (flags:S+;", true},
		{"tcp any any -> any any (flags:+S;", true},
		{"tcp any any -> any any (flags:*SF;", true},
		{"tcp any any -> any any (flags:*FP;", false},
		{"tcp any any -> any any (flags:!S;", false},
		{"tcp any any -> any any (flags:!F;", true},
		{"tcp any any -> any any (flags:0;", false},
		{"tcp any any -> any any (flags:S,A;", true},
		{"tcp any any -> any any (flags:SA,CE;", true},
		{"tcp any any -> any any (flags:SA,12;", true});
	make_tcp(&frame, &client_to_server, 0xc2, "", 0); /* SYN with CWR and ECE */
	CHECK(&frame, to_server, {"tcp any any -> any any (flags:S;", false},
		{"tcp any any -> any any (flags:S,12;", true},
		{"tcp any any -> any any (flags:SCE;", true});
}

static void other_header_fields_are_compared(void **state)
{
	struct frame frame;

	make_tcp(&frame, &client_to_server, 0x10, "", 0);
	CHECK(&frame, to_server, {"ip any any -> any any (ttl:64;", true},
		{"ip any any -> any any (ttl:<64;", false},
		{"ip any any -> any any (ttl:>63;", true},
		{"ip any any -> any any (ttl:>=64;", true},
		{"ip any any -> any any (ttl:63-65;", true},
		{"ip any any -> any any (ttl:64-70;", false},
		{"ip any any -> any any (id:4660;", true},
		{"ip any any -> any any (id:!4660;", false},
		{"tcp any any -> any any (seq:1000;", true},
		{"tcp any any -> any any (ack:2001;", false},
		{"tcp any any -> any any (window:4096;", true},
		{"ip any any -> any any (tos:0;", true}, {"ip any any -> any any (sameip;", false},
		{"tcp any any -> any any (dsize:0;", true});
}

/* I6 */
static void fields_of_icmp_and_options_are_compared(void **state)
{
	static const uint8_t option_frame[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		/* 28 bytes of IPv4 header: record route, and the end */
		0x47, 0, 0, 36, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 9, 7,
		7, 4, 0, 0, 0, 0, 0,
		/* UDP */
		0x9c, 0x40, 0, 80, 0, 8, 0, 0};
	static const uint8_t syn_frame[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0,
		44, 0x12, 0x34, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 9, 0x9c, 0x40, 0, 80,
		0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 16, 0, 0, 0, 0, 0, 2, 4, 0x05, 0xb4};
	struct frame frame;

	make_icmp(&frame, &client_to_server, 8, 0, "x", 1);
	CHECK(&frame, to_server, {"icmp any any -> any any (icmp_id:1;", true},
		{"icmp any any -> any any (icmp_id:2;", false},
		{"icmp any any -> any any (icmp_seq:1;", true},
		{"icmp any any -> any any (icmp_seq:>1;", false});
	make_icmp(&frame, &client_to_server, 3, 1, "x", 1);
	CHECK(&frame, to_server, {"icmp any any -> any any (icmp_id:1;", false});
	memcpy(frame.bytes, option_frame, sizeof(option_frame));
	frame.size = sizeof(option_frame);
	CHECK(&frame, to_server, {"ip any any -> any any (ipopts:rr;", true},
		{"ip any any -> any any (ipopts:any;", true},
		{"ip any any -> any any (ipopts:eol;", true},
		{"ip any any -> any any (ipopts:lsrr;", false},
		{"ip any any -> any any (fragbits:D;", true},
		{"ip any any -> any any (fragbits:+D;", true},
		{"ip any any -> any any (fragbits:M;", false},
		{"ip any any -> any any (fragbits:!M;", true},
		{"ip any any -> any any (fragbits:*MD;", true},
		{"ip any any -> any any (fragoffset:0;", true},
		{"ip any any -> any any (fragoffset:>0;", false});
	memcpy(frame.bytes, syn_frame, sizeof(syn_frame));
	frame.size = sizeof(syn_frame);
	CHECK(&frame, to_server, {"tcp any any -> any any (tcp.mss:1460;", true},
		{"tcp any any -> any any (tcp.mss:<536;", false},
		{"ip any any -> any any (ipopts:any;", false});
}

static void frames_without_ip_match_nothing(void **state)
{
	struct frame frame = {.size = 60};

	frame.bytes[12] = 0x08;
	frame.bytes[13] = 0x06;
	CHECK(&frame, to_server, {"ip any any -> any any (", false});
}

/* ---- what follows ---- */

static void detect_udp(const char *rules, const char *payload, struct detect_result *result)
{
	static struct ruleset *ruleset;
	struct frame frame;

	ruleset_destroy(ruleset);
	ruleset = compile_rules(rules);
	make_udp(&frame, &client_to_server, payload, strlen(payload));
	detect_frame(ruleset, &frame, to_server, result);
	if (!*payload) {
		ruleset_destroy(ruleset);
		ruleset = NULL;
	}
}

static void pass_goes_before_drop_before_reject_before_alert(void **state)
{
	struct detect_result result;

	detect_udp("alert udp any any -> any any (content:\"a\"; sid:1;)\n"
		   "drop udp any any -> any any (content:\"b\"; sid:2;)\n"
		   "reject udp any any -> any any (content:\"c\"; sid:3;)\n"
		   "pass udp any any -> any any (content:\"p\"; sid:4;)\n"
		   "alert udp any any -> any any (content:\"a\"; priority:1; sid:5;)",
		"ab", &result);
	assert_int_equal(result.action, RULE_DROP);
	assert_false(result.applies_to_flow); /* a match in a packet alone */
	assert_int_equal(result.alert_count, 3);
	assert_int_equal(result.alerts[0].rule->sid, 2);
	assert_int_equal(result.alerts[1].rule->sid, 5);
	assert_int_equal(result.alerts[2].rule->sid, 1);
	assert_int_equal(result.decided_by->sid, 2);

	detect_udp("drop udp any any -> any any (content:\"b\"; sid:2;)\n"
		   "pass udp any any -> any any (content:\"p\"; sid:4;)",
		"bp", &result);
	assert_int_equal(result.action, RULE_PASS);
	assert_int_equal(result.alert_count, 0);

	detect_udp("rejectboth udp any any -> any any (content:\"c\"; sid:3;)\n"
		   "drop ip any any -> any any (sid:6;)",
		"c", &result);
	assert_int_equal(result.action, RULE_REJECT_BOTH);
	assert_int_equal(result.alert_count, 2);
	assert_true(result.applies_to_flow); /* by the rule on addresses alone */
	detect_udp("alert ip any any -> any any (sid:1;)", "", &result);
}

static void noalert_acts_without_an_event(void **state)
{
	struct detect_result result;

	detect_udp("drop udp any any -> any any (content:\"b\"; noalert; sid:2;)", "b", &result);
	assert_int_equal(result.action, RULE_DROP);
	assert_int_equal(result.alert_count, 0);
	detect_udp("alert ip any any -> any any (sid:1;)", "", &result);
}

static void reports_the_weightiest_when_there_are_too_many(void **state)
{
	struct detect_result result;
	char text[8192] = "";

	for (int i = 0; i < 40; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"alert udp any any -> any any (content:\"a\"; priority:%d; sid:%d;)\n",
			200 - i, i + 1);
	strcat(text, "drop udp any any -> any any (content:\"a\"; priority:255; sid:99;)\n");
	detect_udp(text, "a", &result);
	assert_int_equal(result.alert_count, DETECT_ALERTS_MAX);
	assert_int_equal(result.alerts_lost, 41 - DETECT_ALERTS_MAX);
	assert_int_equal(result.alerts[0].rule->sid, 99);
	assert_int_equal(result.alerts[1].rule->sid, 40);
	assert_int_equal(result.action, RULE_DROP);
	detect_udp("alert ip any any -> any any (sid:1;)", "", &result);
}

static size_t alerts_of(struct ruleset *ruleset, const struct frame *frame, struct look look)
{
	struct detect_result result;

	detect_frame(ruleset, frame, look, &result);
	return result.alert_count;
}

static void flowbits_carry_from_packet_to_packet(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert udp any any -> any any (content:\"login\"; flowbits:set,in; "
		"flowbits:noalert; sid:1;)\n"
		"alert udp any any -> any any (content:\"evil\"; flowbits:isset,in; sid:2;)\n"
		"alert udp any any -> any any (content:\"bye\"; flowbits:unset,in; noalert; "
		"sid:3;)\n"
		"alert udp any any -> any any (content:\"evil\"; flowbits:isnotset,in; sid:4;)");
	struct detect_flow flow = {0};
	struct look look = {.flow = &flow, .to_server = true};
	struct detect_result result;
	struct frame login, evil, bye;

	make_udp(&login, &client_to_server, "login", 5);
	make_udp(&evil, &client_to_server, "evil", 4);
	make_udp(&bye, &client_to_server, "bye", 3);
	detect_frame(ruleset, &evil, look, &result);
	assert_int_equal(result.alerts[0].rule->sid, 4);
	assert_int_equal(alerts_of(ruleset, &login, look), 0);
	detect_frame(ruleset, &evil, look, &result);
	assert_int_equal(result.alert_count, 1);
	assert_int_equal(result.alerts[0].rule->sid, 2);
	assert_int_equal(alerts_of(ruleset, &bye, look), 0);
	detect_frame(ruleset, &evil, look, &result);
	assert_int_equal(result.alerts[0].rule->sid, 4);
	assert_int_equal(alerts_of(ruleset, &evil, to_server), 0);
	ruleset_destroy(ruleset);
}

/* I6: "isset,a|b" */
static void one_of_the_alternatives_of_flowbits_is_enough(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert udp any any -> any any (content:\"a\"; flowbits:set,a; noalert; sid:1;)\n"
		"alert udp any any -> any any (content:\"?\"; flowbits:isset,a|b; sid:2;)\n"
		"alert udp any any -> any any (content:\"?\"; flowbits:isset,b|c; sid:3;)\n"
		"alert udp any any -> any any (content:\"?\"; flowbits:isnotset,a|b; sid:4;)\n"
		"alert udp any any -> any any (content:\"?\"; flowbits:isset,a|b; "
		"flowbits:isnotset,a; sid:5;)\n");
	struct detect_flow flow = {0};
	struct look look = {.flow = &flow, .to_server = true};
	struct detect_result result;
	struct frame set, ask;

	make_udp(&set, &client_to_server, "a", 1);
	make_udp(&ask, &client_to_server, "?", 1);
	detect_frame(ruleset, &set, look, &result);
	detect_frame(ruleset, &ask, look, &result);
	assert_int_equal(result.alert_count, 2);
	assert_int_equal(result.alerts[0].rule->sid, 2);
	assert_int_equal(result.alerts[1].rule->sid, 4);
	ruleset_destroy(ruleset);
}

static void thresholds_count_in_their_time(void **state)
{
	static const struct {
		const char *option;
		size_t expected[6]; /* the last one after the time */
	} samples[] = {
		{"threshold:type limit,track by_src,count 2,seconds 10;", {1, 1, 0, 0, 0, 1}},
		{"threshold:type threshold,track by_dst,count 2,seconds 10;", {0, 1, 0, 1, 0, 0}},
		{"threshold:type both,track by_rule,count 2,seconds 10;", {0, 1, 0, 0, 0, 0}},
		{"detection_filter:track by_both,count 2,seconds 10;", {0, 0, 1, 1, 1, 0}},
	};
	struct frame frame;

	make_udp(&frame, &client_to_server, "x", 1);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct ruleset *ruleset;
		char text[256];

		snprintf(text, sizeof(text),
			"alert udp any any -> any any (content:\"x\"; %s sid:1;)",
			samples[i].option);
		ruleset = compile_rules(text);
		for (size_t k = 0; k < 6; k++) {
			struct look look = {.to_server = true,
				.now_ns = (k + 1 + (k == 5 ? 10 : 0)) * 1000000000ULL};

			if (alerts_of(ruleset, &frame, look) != samples[i].expected[k])
				fail_msg("%s at packet %zu", samples[i].option, k);
		}
		ruleset_destroy(ruleset);
	}
}

static void rules_on_addresses_alone_speak_once_for_each_direction(void **state)
{
	struct ruleset *ruleset = compile_rules("alert ip 192.0.2.1 any <> any any (sid:1;)");
	struct detect_flow flow = {0};
	struct look look = {.flow = &flow, .to_server = true};
	struct frame there, back;

	make_udp(&there, &client_to_server, "x", 1);
	make_udp(&back, &server_to_client, "x", 1);
	assert_int_equal(alerts_of(ruleset, &there, look), 1);
	assert_int_equal(alerts_of(ruleset, &there, look), 0);
	look.to_server = false;
	assert_int_equal(alerts_of(ruleset, &back, look), 1);
	assert_int_equal(alerts_of(ruleset, &back, look), 0);
	ruleset_destroy(ruleset);
}

static void counts_matches_by_rule(void **state)
{
	struct ruleset *ruleset =
		compile_rules("alert udp any any -> any any (msg:\"one\"; content:\"x\"; "
			      "classtype:trojan-activity; sid:7;)\n"
			      "alert udp any any -> any any (content:\"y\"; sid:8;)");
	struct frame frame;
	json_t *rules, *first;

	make_udp(&frame, &client_to_server, "x", 1);
	assert_int_equal(alerts_of(ruleset, &frame, to_server), 1);
	assert_int_equal(alerts_of(ruleset, &frame, to_server), 1);
	rules = ruleset_rules(ruleset, 0, 10);
	assert_int_equal(json_array_size(rules), 2);
	first = json_array_get(rules, 0);
	assert_int_equal(json_integer_value(json_object_get(first, "sid")), 7);
	assert_int_equal(json_integer_value(json_object_get(first, "matches")), 2);
	assert_int_equal(json_integer_value(json_object_get(first, "priority")), 1);
	assert_string_equal(json_string_value(json_object_get(first, "msg")), "one");
	json_decref(rules);
	rules = ruleset_rules(ruleset, 1, 10);
	assert_int_equal(json_array_size(rules), 1);
	json_decref(rules);
	ruleset_destroy(ruleset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocol_chooses_packets),
		cmocka_unit_test(addresses_and_ports_bound_the_ends),
		cmocka_unit_test(flow_wants_its_direction_and_state),
		cmocka_unit_test(flags_are_compared_as_suricata_does),
		cmocka_unit_test(other_header_fields_are_compared),
		cmocka_unit_test(fields_of_icmp_and_options_are_compared),
		cmocka_unit_test(one_of_the_alternatives_of_flowbits_is_enough),
		cmocka_unit_test(frames_without_ip_match_nothing),
		cmocka_unit_test(pass_goes_before_drop_before_reject_before_alert),
		cmocka_unit_test(noalert_acts_without_an_event),
		cmocka_unit_test(reports_the_weightiest_when_there_are_too_many),
		cmocka_unit_test(flowbits_carry_from_packet_to_packet),
		cmocka_unit_test(thresholds_count_in_their_time),
		cmocka_unit_test(rules_on_addresses_alone_speak_once_for_each_direction),
		cmocka_unit_test(counts_matches_by_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
