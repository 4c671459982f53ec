/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The builtin inspector with real rules: what an attacker tries with segments, fragments and flows
 * (I2, I3, I6), and that what is harmless gets through unchanged.
 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "connection.h"

#define RULES                                                                                      \
	"drop tcp any any -> any 80 (msg:\"passwd\"; content:\"/etc/passwd\"; sid:1;)\n"           \
	"alert udp any any -> any 53 (msg:\"query\"; content:\"query\"; sid:2;)\n"                 \
	"drop udp any any -> any 53 (msg:\"evil\"; content:\"evil name\"; sid:3;)\n"               \
	"reject tcp any any -> any 80 (msg:\"rejected\"; content:\"reject me\"; sid:4;)\n"         \
	"alert tcp any any -> any 80 (msg:\"secret\"; content:\"secret\"; replace:\"XXXXXX\"; "    \
	"sid:5;)\n"                                                                                \
	"alert udp any any -> any 53 (content:\"shorten\"; replace:\"cut\"; sid:7;)\n"             \
	"alert udp any any -> any 53 (content:\"grow\"; replace:\"much longer\"; sid:8;)\n"        \
	"pass tcp any any -> any 80 (msg:\"trusted\"; content:\"trusted client\"; sid:6;)\n"

static int open_group(void **state)
{
	(void)state;
	return bench_start("builtin_test");
}

static int open_bench(void **state)
{
	(void)state;
	return bench_open(RULES, NULL);
}

static void shake_hands(void)
{
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL), PASSED);
	assert_int_equal(
		send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START - 1, CLIENT_START, NULL),
		PASSED);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, NULL), PASSED);
}

static void harmless_request_passes_unchanged(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /index.html"), PASSED);
	assert_string_equal(passed_payload(), "GET /index.html");
	assert_true(packet_metadata(bench_out.pass[0])->flags & PACKET_IS_INSPECTED);
	assert_int_equal(count_events(EVE_ALERT, 0), 0);
}

static void attack_in_one_segment_is_dropped_and_told(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /etc/passwd"), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_rule);
	assert_int_equal(count_events(EVE_ALERT, 1), 1);
}

/* I6 */
static void attack_split_over_two_segments_is_dropped(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /et"), PASSED);
	assert_int_equal(client_sends(7, "c/passwd HTTP/1.1"), DROPPED);
	assert_int_equal(count_events(EVE_ALERT, 1), 1);
	/* I2: the rest of the flow is dropped without another look. */
	assert_int_equal(client_sends(7, "harmless"), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_flow);
	assert_int_equal(count_events(EVE_ALERT, 0), 0);
}

/* I6 */
static void attack_in_single_bytes_is_dropped(void **state)
{
	const char *text = "GET /etc/passwd";
	enum outcome outcome = PASSED;

	(void)state;
	shake_hands();
	for (uint32_t i = 0; text[i] && outcome == PASSED; i++) {
		char one[2] = {text[i], '\0'};

		outcome = client_sends(i, one);
	}
	assert_int_equal(outcome, DROPPED);
	assert_int_equal(count_events(EVE_ALERT, 1), 1);
}

/* I6: the receiver gets the bytes that were inspected. */
static void retransmission_with_other_bytes_is_rewritten(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /index.html"), PASSED);
	assert_int_equal(client_sends(0, "GET /etc/passwd"), PASSED);
	assert_string_equal(passed_payload(), "GET /index.html");
	assert_int_equal(client_sends(5, "etc/passwd and more"), PASSED);
	assert_string_equal(passed_payload(), "index.html and more");
	assert_int_equal(count_events(EVE_ALERT, 0), 0);
}

/* A forged acknowledgement would make us forget what the server still has to read. */
static void forged_acknowledgement_is_not_believed(void **state)
{
	static char block[8192];
	struct segment forged = {.from_client = FROM_SERVER,
		.flags = TCP_ACK,
		.sequence = SERVER_START,
		.acknowledgement = CLIENT_START + 8192,
		.from_wrong_side = true};

	(void)state;
	memset(block, 'x', sizeof(block) - 1);
	shake_hands();
	for (uint32_t i = 0; i < 8; i++) {
		client_sends(i * 8191, block);
		send_segment(forged);
	}
	assert_int_equal(bench_builtin()->workers[0]->counters.rewritten, 0);
	assert_int_equal(client_sends(0, "GET /etc/passwd"), PASSED);
	assert_memory_equal(passed_payload(), "xxxxxxxxxxxxxxx", 15);
}

static void bad_checksum_is_not_part_of_the_stream(void **state)
{
	struct segment bad = {.from_client = FROM_CLIENT,
		.flags = TCP_ACK,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = "GET /index.html",
		.has_bad_checksum = true};

	(void)state;
	shake_hands();
	assert_int_equal(send_segment(bad), PASSED);
	assert_int_equal(bench_builtin()->workers[0]->counters.bad_checksums, 1);
	assert_int_equal(client_sends(0, "GET /etc/passwd"), DROPPED);
}

static void checksum_left_to_the_device_counts_as_right(void **state)
{
	struct segment partial = {.from_client = FROM_CLIENT,
		.flags = TCP_ACK,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = "GET /etc/passwd",
		.has_bad_checksum = true};
	struct rte_mbuf *packet;

	(void)state;
	shake_hands();
	packet = make_segment(&partial);
	packet->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	assert_int_equal(submit(packet), DROPPED);
}

static void buffer_in_pieces_is_read_as_one(void **state)
{
	struct segment pieces = {.from_client = FROM_CLIENT,
		.flags = TCP_ACK,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = "a secret here",
		.split = 60};

	(void)state;
	shake_hands();
	assert_int_equal(send_segment(pieces), PASSED);
	assert_string_equal(passed_payload(), "a XXXXXX here");
	pieces.sequence += 13;
	pieces.payload = "GET /etc/passwd";
	assert_int_equal(send_segment(pieces), DROPPED);
}

/* G11: a guest's TSO frame */
static void super_frame_is_inspected_whole(void **state)
{
	static char big[60000];
	struct segment super = {.from_client = FROM_CLIENT,
		.flags = TCP_ACK,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = big,
		.size = sizeof(big)};

	(void)state;
	memset(big, 'y', sizeof(big));
	memcpy(big + 59000, "/etc/passwd", 11);
	shake_hands();
	assert_int_equal(send_segment(super), DROPPED);
	assert_int_equal(count_events(EVE_ALERT, 1), 1);
}

/* I6: hosts stop reading options that make no sense, and take the data. */
static void broken_tcp_options_do_not_hide_the_stream(void **state)
{
	struct segment segment = {.from_client = FROM_CLIENT,
		.flags = TCP_ACK,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = "GET /et",
		.has_broken_options = true};

	(void)state;
	shake_hands();
	assert_int_equal(send_segment(segment), PASSED);
	segment.sequence += 7;
	segment.payload = "c/passwd";
	assert_int_equal(send_segment(segment), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_rule);
	segment.payload = "harmless";
	assert_int_equal(send_segment(segment), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_flow);
}

/* I6: a receiver takes an urgent byte out of the stream (RFC 6093), which would then read another
 * way than it was inspected. */
static void urgent_bytes_stay_in_the_stream(void **state)
{
	static struct frame frame;

	(void)state;
	shake_hands();
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK | TCP_URG, CLIENT_START, SERVER_START,
				 "GET /etcx/passwd"),
		PASSED);
	assert_string_equal(passed_payload(), "GET /etcx/passwd");
	frame_from_mbuf(&frame, bench_out.pass[0]);
	assert_int_equal(frame.bytes[14 + 20 + 13], TCP_ACK);
	assert_int_equal(network_load16(frame.bytes + 14 + 20 + 18), 0);
	assert_int_equal(
		send_tcp(FROM_CLIENT, TCP_ACK | TCP_URG, CLIENT_START + 16, SERVER_START, NULL),
		PASSED);
	frame_from_mbuf(&frame, bench_out.pass[0]);
	assert_int_equal(frame.bytes[14 + 20 + 13], TCP_ACK);
}

/* I6: what lies behind more headers than anybody sends was not inspected. */
static void headers_that_hide_the_rest_are_left_to_the_failure_policy(void **state)
{
	static struct frame frame;
	uint8_t *at = frame.bytes + 54;

	(void)state;
	memset(&frame, 0, sizeof(frame));
	memcpy(frame.bytes, "\x52\x54\0\0\x10\1\x52\x54\0\0\xff\1\x86\xdd\x60", 15);
	frame.size = 54 + 17 * 8 + 17;
	put16(frame.bytes + 18, 17 * 8 + 17);
	frame.bytes[20] = IPPROTO_DSTOPTS;
	frame.bytes[22] = 0xfd;
	frame.bytes[38] = 0xfd;
	for (int i = 0; i < 17; i++, at += 8)
		memcpy(at, i < 16 ? "\x3c\0\1\4\0\0\0\0" : "\x11\0\1\4\0\0\0\0", 8);
	memcpy(at, "\x9c\x40\0\x35\0\x11\0\1evil name", 17);
	assert_int_equal(submit(to_packet(&frame, true, 0)), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_malformed);
}

/* I3 */
static void replaces_in_place_and_repairs_checksums(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "my secret is safe"), PASSED);
	assert_string_equal(passed_payload(), "my XXXXXX is safe");
	/* The same again gives the same. */
	assert_int_equal(client_sends(0, "my secret is safe"), PASSED);
	assert_string_equal(passed_payload(), "my XXXXXX is safe");
}

/* I3 */
static void replaces_in_a_copy_when_bytes_are_shared(void **state)
{
	struct segment segment = {.from_client = FROM_CLIENT,
		.flags = TCP_ACK,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = "a secret"};
	struct rte_mbuf *packet, *clone;
	static struct frame frame;

	(void)state;
	shake_hands();
	packet = make_segment(&segment);
	clone = rte_pktmbuf_clone(packet, packet_pool);
	*packet_metadata(clone) = *packet_metadata(packet);
	assert_int_equal(submit(clone), PASSED);
	assert_string_equal(passed_payload(), "a XXXXXX");
	frame_from_mbuf(&frame, packet);
	assert_memory_equal(frame.bytes + 54, "a secret", 8);
	rte_pktmbuf_free(packet);
}

static void pattern_to_replace_that_left_in_part_is_dropped(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "my sec"), PASSED);
	assert_int_equal(client_sends(6, "ret is out"), DROPPED);
}

/* I3 */
static void datagrams_become_shorter_and_longer(void **state)
{
	static struct frame frame;
	struct decoded decoded;
	struct rte_mbuf *packet;

	(void)state;
	assert_int_equal(submit(make_udp(FROM_CLIENT, 4000, "a shorten b grow c grow d")), PASSED);
	assert_string_equal(passed_payload(), "a cut b much longer c much longer d");
	frame_from_mbuf(&frame, bench_out.pass[0]);
	assert_int_equal(decode_frame(frame.bytes, frame.size, &decoded), DECODE_OK);
	assert_int_equal(decoded.payload_size, 35);
	assert_int_equal(decoded.l3_end, frame.size);
	assert_int_equal(get16(frame.bytes + decoded.l4_offset + 4), 8 + 35);
	assert_int_equal(packet_metadata(bench_out.pass[0])->vlan, BENCH_VLAN);
	/* A checksum that was left to the device is made, since the packet is another. */
	packet = make_udp(FROM_CLIENT, 4000, "to shorten");
	packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4;
	*rte_pktmbuf_mtod_offset(packet, uint8_t *, 40) ^= 0x5a;
	assert_int_equal(submit(packet), PASSED);
	assert_string_equal(passed_payload(), "to cut");
	assert_int_equal(bench_out.pass[0]->ol_flags & RTE_MBUF_F_TX_L4_MASK, 0);
}

/* I3: over several buffers, and no larger than IP can be. */
static void datagram_grows_over_buffers_up_to_what_ip_carries(void **state)
{
	static char text[65000], large[65535 - 28 + 1];

	(void)state;
	memset(text, '.', sizeof(text) - 1);
	memcpy(text + 2000, "grow", 4);
	memcpy(text + 60000, "grow", 4);
	assert_int_equal(submit(make_udp(FROM_CLIENT, 4000, text)), PASSED);
	assert_int_equal(strlen(passed_payload()), sizeof(text) - 1 + 14);
	assert_true(bench_out.pass[0]->nb_segs > 30);
	/* 14 bytes more than the largest datagram. */
	memset(large, '.', sizeof(large) - 1);
	memcpy(large, "growgrow", 8);
	assert_int_equal(submit(make_udp(FROM_CLIENT, 4000, large)), DROPPED);
}

static void reject_answers_no_other_port_than_the_packets(void **state)
{
	static struct port port = {.index = BENCH_PHYSICAL, .generation = 7};
	static struct port_table table = {.count = BENCH_PHYSICAL + 1};
	struct inspect_worker *own = inspect_workers[0];

	(void)state;
	shake_hands();
	table.ports[BENCH_PHYSICAL] = &port; /* another one has its index now */
	port_table = &table;
	assert_int_equal(client_sends(0, "please reject me"), DROPPED);
	port_table = NULL;
	assert_int_equal(own->injection_count, 1);
	assert_int_equal(own->injections[0].where, INSPECT_INJECT_FORWARD);
}

static void reject_resets_both_ends(void **state)
{
	struct inspect_worker *own = inspect_workers[0];

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "please reject me"), DROPPED);
	assert_int_equal(own->injection_count, 2);
	assert_int_equal(count_events(EVE_ALERT, 4), 1);
	for (uint16_t i = 0; i < 2; i++) {
		static struct frame frame;
		struct decoded decoded;
		bool to_client = own->injections[i].where == INSPECT_INJECT_TX;

		frame_from_mbuf(&frame, own->injections[i].packet);
		assert_int_equal(decode_frame(frame.bytes, frame.size, &decoded), DECODE_OK);
		assert_true(checksum_is_right(&decoded));
		assert_int_equal(decoded.tcp_flags, TCP_RST | TCP_ACK);
		assert_int_equal(decoded.source_port, to_client ? 80 : 40000);
		assert_int_equal(decoded.tcp_sequence, to_client ? SERVER_START : CLIENT_START);
		assert_int_equal(packet_metadata(own->injections[i].packet)->vlan, BENCH_VLAN);
		if (to_client)
			assert_int_equal(packet_metadata(own->injections[i].packet)->egress_port,
				BENCH_PHYSICAL);
		else
			assert_int_equal(packet_metadata(own->injections[i].packet)->origin.kind,
				ORIGIN_PHYSICAL);
	}
}

/* I2 */
static void pass_rule_holds_for_the_flow(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "trusted client\n"), PASSED);
	assert_int_equal(client_sends(15, "GET /etc/passwd"), PASSED);
	assert_int_equal(count_events(EVE_ALERT, 0), 0);
}

static void datagrams_stand_alone(void **state)
{
	(void)state;
	assert_int_equal(submit(make_udp(FROM_CLIENT, 2000, "a query")), PASSED);
	assert_int_equal(count_events(EVE_ALERT, 2), 1);
	assert_int_equal(submit(make_udp(FROM_CLIENT, 2000, "evil name")), DROPPED);
	assert_int_equal(submit(make_udp(FROM_SERVER, 2000, "evil name")), PASSED);
	assert_int_equal(submit(make_udp(FROM_CLIENT, 2000, "evil na")), PASSED);
	assert_int_equal(submit(make_udp(FROM_CLIENT, 2000, "me")), PASSED);
}

/* ---- connections ---- */

/* RFC 5961: neither ends what the receiver goes on with. */
static void forged_reset_and_syn_do_not_hide_the_stream(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /et"), PASSED);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_RST, CLIENT_START + 7, 0, NULL), PASSED);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START + 6, 0, NULL), PASSED);
	/* The server's answer to it is a challenge ACK. */
	assert_int_equal(
		send_tcp(FROM_SERVER, TCP_ACK, SERVER_START, CLIENT_START + 7, NULL), PASSED);
	assert_int_equal(client_sends(7, "c/passwd"), DROPPED);
}

static void forged_syn_ack_does_not_hide_the_stream(void **state)
{
	struct segment forged = {.from_client = FROM_SERVER,
		.flags = TCP_SYN | TCP_ACK,
		.sequence = 777,
		.acknowledgement = CLIENT_START + 7,
		.from_wrong_side = true};

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /et"), PASSED);
	assert_int_equal(send_segment(forged), DROPPED);
	assert_int_equal(client_sends(7, "c/passwd"), DROPPED);
}

/* Found by fuzzing: a client's own SYN-ACK began its stream anew. */
static void syn_ack_that_nobody_asked_for_does_not_hide_the_stream(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /et"), PASSED);
	send_tcp(FROM_CLIENT, TCP_SYN | TCP_ACK, CLIENT_START + 6, SERVER_START, NULL);
	assert_int_equal(client_sends(7, "c/passwd"), DROPPED);
}

static void reset_far_off_is_dropped(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(
		send_tcp(FROM_SERVER, TCP_RST, SERVER_START + (1u << 30), 0, NULL), DROPPED);
	assert_int_equal(dropped_for(), DROP_stream_window);
}

static void data_before_the_handshake_is_answered_is_dropped(void **state)
{
	(void)state;
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL), PASSED);
	assert_int_equal(client_sends(0, "hello"), DROPPED);
}

static void new_connection_on_the_ports_of_a_dropped_one_works(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /etc/passwd"), DROPPED);
	assert_int_equal(client_sends(0, "GET /index.html"), DROPPED);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_SYN, 90000, 0, NULL), PASSED);
	assert_int_equal(send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, 70000, 90001, NULL), PASSED);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK, 90001, 70001, NULL), PASSED);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK, 90001, 70001, "GET /index.html"), PASSED);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK, 90016, 70001, "GET /etc/passwd"), DROPPED);
}

static void connection_that_runs_already_is_picked_up(void **state)
{
	(void)state;
	assert_int_equal(client_sends(500, "the middle of something, GET /et"), PASSED);
	assert_int_equal(
		send_tcp(FROM_SERVER, TCP_ACK, SERVER_START, CLIENT_START + 532, NULL), PASSED);
	assert_int_equal(client_sends(532, "c/passwd"), DROPPED);
}

static void connection_goes_on_while_rules_are_swapped(void **state)
{
	struct builtin *builtin = bench_builtin();
	struct ruleset *old = builtin->ruleset;
	struct builtin_compiled {
		struct ruleset *ruleset;
		json_t *report;
	} *compiled = bench_compile(
		"drop tcp any any -> any 80 (msg:\"new\"; content:\"forbidden\"; sid:9;)\n",
		&builtin->base);

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /forb"), PASSED);
	builtin->ruleset = compiled->ruleset; /* as builtin_reload() publishes it */
	assert_int_equal(client_sends(9, "idden"), DROPPED);
	assert_int_equal(count_events(EVE_ALERT, 9), 1);
	ruleset_destroy(old);
	json_decref(compiled->report);
	free(compiled);
}

/* ---- verdicts with memory (I2) ---- */

static json_t *show_flow(void)
{
	const struct flow_filter filter = {0};

	return flow_table_show(bench_builtin()->workers[0]->flows, 0, &filter, 0);
}

static void check_flow(const char *verdict, const char *why, json_int_t sid)
{
	json_t *flow = show_flow();
	const char *shown = json_string_value(json_object_get(flow, "why"));

	assert_string_equal(json_string_value(json_object_get(flow, "verdict")), verdict);
	assert_string_equal(shown ? shown : "", why);
	assert_int_equal(json_integer_value(json_object_get(flow, "sid")), sid);
	json_decref(flow);
}

static void bypass_after(uint64_t bytes)
{
	inspect_chain->bypass_after = inspect_chain->bypass_least = bytes;
}

/* I2: a large clean flow is not looked at any more; it says so. */
static void clean_flow_is_bypassed_after_its_bytes(void **state)
{
	(void)state;
	bypass_after(400);
	shake_hands();
	assert_int_equal(client_sends(0, "GET /index"), PASSED);
	check_flow("inspect", "", 0);
	assert_int_equal(client_sends(10,
				 "0123456789012345678901234567890123456789"
				 "0123456789012345678901234567890123456789"
				 "0123456789012345678901234567890123456789"
				 "0123456789012345678901234567890123456789"),
		PASSED);
	check_flow("pass", "bypass", 0);
	assert_int_equal(client_sends(170, "GET /etc/passwd"), PASSED);
	assert_int_equal(bench_builtin()->workers[0]->counters.bypassed, 1);
	/* A new connection on the same ports is inspected. */
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_SYN, 70000, 0, NULL), PASSED);
	assert_int_equal(
		send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START + 99, 70001, NULL), PASSED);
	check_flow("inspect", "", 0);
}

/* I2: never by default, and never one in which something was found. */
static void suspicious_flow_is_not_bypassed(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /secret.htm"), PASSED);
	bypass_after(100);
	assert_int_equal(client_sends(15, "more and more"), PASSED);
	check_flow("inspect", "", 0);
	assert_int_equal(client_sends(28, "GET /etc/passwd"), DROPPED);
	check_flow("drop", "rule", 1);
}

/* I2: what nobody knows how to read is suspicious, unless the policy says otherwise. */
static void flow_of_an_unknown_protocol_is_bypassed_only_by_policy(void **state)
{
	(void)state;
	bypass_after(100);
	shake_hands();
	assert_int_equal(client_sends(0, "0123456789"), PASSED);
	check_flow("inspect", "", 0);
	bench_builtin()->settings->bypasses_unknown = true;
	assert_int_equal(client_sends(10, "0123456789"), PASSED);
	check_flow("pass", "bypass", 0);
}

static void pass_rule_is_told_as_the_reason(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "trusted client"), PASSED);
	check_flow("pass", "rule", 6);
}

/* ---- errors of ICMP ---- */

/* From a router to the client, about what the client sent to the server. */
static enum outcome send_icmp_error(uint8_t type, uint32_t sequence)
{
	static struct frame frame;
	uint8_t *icmp = frame.bytes + put_ipv4(&frame, FROM_SERVER, IPPROTO_ICMP, 36);
	uint8_t *about = icmp + 8;

	memset(icmp, 0, 36);
	icmp[0] = type;
	about[0] = 0x45;
	about[9] = IPPROTO_TCP;
	memcpy(about + 12, "\xc0\x00\x02\x64\xc0\x00\x02\x0a", 8);
	put16(about + 20, 40000);
	put16(about + 22, 80);
	put16(about + 24, sequence >> 16);
	put16(about + 26, sequence & 0xffff);
	return submit(to_packet(&frame, FROM_SERVER, 0));
}

static uint64_t related(void)
{
	return bench_builtin()->workers[0]->counters.icmp_related;
}

static uint64_t unrelated(void)
{
	return bench_builtin()->workers[0]->counters.icmp_unrelated;
}

/* I6: an error is its flow's; one that is about no flow, or about bytes that are not on their way,
 * is taken for forged, and makes no flow of its own. */
static void icmp_error_gets_the_verdict_of_its_flow(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(send_icmp_error(3, CLIENT_START), PASSED);
	assert_int_equal(related(), 1);
	assert_int_equal(send_icmp_error(3, CLIENT_START + 100000), PASSED);
	assert_int_equal(send_icmp_error(8, CLIENT_START), PASSED); /* an echo is none */
	assert_int_equal(related(), 1);
	assert_int_equal(unrelated(), 1);
	assert_int_equal(flow_table_count(bench_builtin()->workers[0]->flows), 2);
	assert_int_equal(client_sends(0, "GET /etc/passwd"), DROPPED);
	assert_int_equal(send_icmp_error(3, CLIENT_START), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_flow);
}

/* I6 */
static void icmp_errors_about_no_flow_are_dropped_by_policy(void **state)
{
	(void)state;
	bench_builtin()->settings->drops_unrelated = true;
	shake_hands();
	assert_int_equal(send_icmp_error(3, CLIENT_START), PASSED);
	assert_int_equal(send_icmp_error(3, CLIENT_START + 100000), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_unrelated);
	assert_int_equal(send_icmp_error(8, CLIENT_START), PASSED); /* an echo is none */
}

static void icmp_errors_about_no_flow_take_no_room(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(send_icmp_error(11, i), PASSED);
	assert_int_equal(unrelated(), 100);
	assert_int_equal(flow_table_count(bench_builtin()->workers[0]->flows), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)
	const struct CMUnitTest tests[] = {
		TEST(harmless_request_passes_unchanged),
		TEST(attack_in_one_segment_is_dropped_and_told),
		TEST(attack_split_over_two_segments_is_dropped),
		TEST(attack_in_single_bytes_is_dropped),
		TEST(retransmission_with_other_bytes_is_rewritten),
		TEST(forged_acknowledgement_is_not_believed),
		TEST(bad_checksum_is_not_part_of_the_stream),
		TEST(checksum_left_to_the_device_counts_as_right),
		TEST(buffer_in_pieces_is_read_as_one),
		TEST(super_frame_is_inspected_whole),
		TEST(broken_tcp_options_do_not_hide_the_stream),
		TEST(urgent_bytes_stay_in_the_stream),
		TEST(headers_that_hide_the_rest_are_left_to_the_failure_policy),
		TEST(replaces_in_place_and_repairs_checksums),
		TEST(replaces_in_a_copy_when_bytes_are_shared),
		TEST(pattern_to_replace_that_left_in_part_is_dropped),
		TEST(datagrams_become_shorter_and_longer),
		TEST(datagram_grows_over_buffers_up_to_what_ip_carries),
		TEST(reject_answers_no_other_port_than_the_packets),
		TEST(reject_resets_both_ends),
		TEST(pass_rule_holds_for_the_flow),
		TEST(clean_flow_is_bypassed_after_its_bytes),
		TEST(suspicious_flow_is_not_bypassed),
		TEST(flow_of_an_unknown_protocol_is_bypassed_only_by_policy),
		TEST(pass_rule_is_told_as_the_reason),
		TEST(icmp_error_gets_the_verdict_of_its_flow),
		TEST(icmp_errors_about_no_flow_are_dropped_by_policy),
		TEST(icmp_errors_about_no_flow_take_no_room),
		TEST(datagrams_stand_alone),
		TEST(forged_reset_and_syn_do_not_hide_the_stream),
		TEST(forged_syn_ack_does_not_hide_the_stream),
		TEST(syn_ack_that_nobody_asked_for_does_not_hide_the_stream),
		TEST(reset_far_off_is_dropped),
		TEST(data_before_the_handshake_is_answered_is_dropped),
		TEST(new_connection_on_the_ports_of_a_dropped_one_works),
		TEST(connection_that_runs_already_is_picked_up),
		TEST(connection_goes_on_while_rules_are_swapped),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
