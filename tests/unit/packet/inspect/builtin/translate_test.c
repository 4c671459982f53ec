/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replacements of another size in TCP (I3): what each end sees of a connection whose ends count
 * differently, also when packets are repeated, held, cut or refused, and that both are told when
 * nobody knows the difference any more.
 */
#include "base/clock.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/translate.h"
#include "packet/port/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../bench.h"

#define RULES                                                                                      \
	"alert tcp any any -> any 80 (content:\"grow\"; replace:\"much longer\"; sid:1;)\n"        \
	"alert tcp any any -> any 80 (content:\"shorten\"; replace:\"cut\"; sid:2;)\n"             \
	"alert tcp any 80 -> any any (content:\"small\"; replace:\"enormous\"; sid:3;)\n"          \
	"pass tcp any any -> any 80 (content:\"trusted client\"; sid:4;)\n"                        \
	"reject tcp any any -> any 80 (content:\"reject me\"; sid:5;)\n"                           \
	"alert tcp any any -> any 80 (content:\"secret\"; replace:\"XXXXXX\"; sid:6;)\n"

#define CLIENT_START 1000u
#define SERVER_START 5000u

/* What is said of 100 bytes at most, and selective acknowledgements. */
#define SYN_OPTIONS "\x02\x04\x00\x64\x04\x02\x01\x01"

static struct frame frames[64];
static struct decoded seen[64];
static uint32_t seen_count;

static int open_group(void **state)
{
	(void)state;
	port_table = NULL; /* answers are not transmitted */
	return bench_start("translate_test");
}

static int open_bench(void **state)
{
	(void)state;
	return bench_open(RULES, NULL);
}

static int close_bench(void **state)
{
	(void)state;
	bench_close();
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
	return 0;
}

static void note(struct rte_mbuf *packet)
{
	assert_true(seen_count < 64);
	frame_from_mbuf(&frames[seen_count], packet);
	assert_int_equal(
		decode_frame(frames[seen_count].bytes, frames[seen_count].size, &seen[seen_count]),
		DECODE_OK);
	if (!(packet->ol_flags & OFFLOAD_FLAGS))
		assert_true(checksum_is_right(&seen[seen_count]));
	seen_count++;
}

/* What left because of the segment, itself and what was made of it. */
static void exchange(struct segment segment)
{
	enum outcome outcome = send_segment(segment);

	seen_count = 0;
	if (outcome == PASSED)
		note(bench_out.pass[0]);
	if (outcome != HELD)
		return;
	bench_forget_output();
	inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &bench_out);
	for (uint16_t i = 0; i < bench_out.pass_count; i++)
		note(bench_out.pass[i]);
}

static void client_sends(uint32_t offset, uint32_t acknowledged, const char *text)
{
	exchange((struct segment){.from_client = true,
		.flags = TCP_ACK | TCP_PSH,
		.sequence = CLIENT_START + offset,
		.acknowledgement = SERVER_START + acknowledged,
		.payload = text});
}

static void server_sends(uint32_t offset, uint32_t acknowledged, const char *text)
{
	exchange((struct segment){.flags = TCP_ACK | TCP_PSH,
		.sequence = SERVER_START + offset,
		.acknowledgement = CLIENT_START + acknowledged,
		.payload = text});
}

static void check(uint32_t i, uint32_t sequence, uint32_t acknowledgement, const char *payload)
{
	assert_true(i < seen_count);
	assert_int_equal(seen[i].tcp_sequence, sequence);
	assert_int_equal(seen[i].tcp_acknowledgement, acknowledgement);
	assert_int_equal(seen[i].payload_size, strlen(payload));
	assert_memory_equal(
		frames[i].bytes + seen[i].payload_offset, payload, seen[i].payload_size);
}

#define CHECK_TO_SERVER(i, offset, acknowledged, text)                                             \
	check(i, CLIENT_START + (offset), SERVER_START + (acknowledged), text)
#define CHECK_TO_CLIENT(i, offset, acknowledged, text)                                             \
	check(i, SERVER_START + (offset), CLIENT_START + (acknowledged), text)

static void shake_hands_with(const char *options, uint32_t size)
{
	send_segment((struct segment){.from_client = true,
		.flags = TCP_SYN,
		.sequence = CLIENT_START - 1,
		.options = options,
		.options_size = size});
	send_segment((struct segment){.flags = TCP_SYN | TCP_ACK,
		.sequence = SERVER_START - 1,
		.acknowledgement = CLIENT_START,
		.options = options,
		.options_size = size});
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, NULL), PASSED);
}

static void shake_hands(void)
{
	shake_hands_with(SYN_OPTIONS, 8);
}

static struct builtin_worker *own(void)
{
	return bench_builtin()->workers[0];
}

static struct rte_mbuf *injection(uint32_t i)
{
	assert_true(i < inspect_workers[0]->injection_count);
	return inspect_workers[0]->injections[i].packet;
}

static void forget_injections(void)
{
	while (inspect_workers[0]->injection_count > 0)
		rte_pktmbuf_free(inspect_workers[0]
					 ->injections[--inspect_workers[0]->injection_count]
					 .packet);
}

/* I3 */
static void longer_bytes_shift_what_follows(void **state)
{
	(void)state;
	shake_hands();
	client_sends(0, 0, "let it grow now");
	CHECK_TO_SERVER(0, 0, 0, "let it much longer now");
	client_sends(15, 0, "and on");
	CHECK_TO_SERVER(0, 22, 0, "and on");
	server_sends(0, 28, "all of it");
	CHECK_TO_CLIENT(0, 0, 21, "all of it");
	client_sends(21, 9, "");
	CHECK_TO_SERVER(0, 28, 9, "");
	assert_int_equal(own()->counters.edited, 1);
	assert_int_equal(count_events(EVE_ALERT, 1), 1);
}

/* I3 */
static void shorter_bytes_shift_what_follows(void **state)
{
	(void)state;
	shake_hands();
	client_sends(0, 0, "shorten and shorten");
	CHECK_TO_SERVER(0, 0, 0, "cut and cut");
	client_sends(19, 0, "rest");
	CHECK_TO_SERVER(0, 11, 0, "rest");
	server_sends(0, 15, "");
	CHECK_TO_CLIENT(0, 0, 23, "");
}

/* I3: longer one way, and longer and shorter the other way. */
static void both_directions_are_translated_at_once(void **state)
{
	(void)state;
	shake_hands();
	client_sends(0, 0, "grow shorten secret");
	CHECK_TO_SERVER(0, 0, 0, "much longer cut XXXXXX");
	server_sends(0, 22, "a small thing");
	CHECK_TO_CLIENT(0, 0, 19, "a enormous thing");
	client_sends(19, 16, "thanks");
	CHECK_TO_SERVER(0, 22, 13, "thanks");
	server_sends(13, 28, "bye");
	CHECK_TO_CLIENT(0, 16, 25, "bye");
}

/* I3: an acknowledgement of a part asks for the whole again. */
static void part_of_a_replacement_is_not_acknowledged(void **state)
{
	(void)state;
	shake_hands();
	client_sends(0, 0, "x grow y");
	server_sends(0, 7, "");
	CHECK_TO_CLIENT(0, 0, 2, "");
	server_sends(0, 13, "");
	CHECK_TO_CLIENT(0, 0, 6, "");
	server_sends(0, 14, "");
	CHECK_TO_CLIENT(0, 0, 7, "");
}

/* I3 */
static void repetitions_are_replaced_again_whatever_their_borders(void **state)
{
	(void)state;
	shake_hands();
	client_sends(0, 0, "x grow y");
	client_sends(0, 0, "x grow y");
	CHECK_TO_SERVER(0, 0, 0, "x much longer y");
	client_sends(0, 0, "x gr");
	CHECK_TO_SERVER(0, 0, 0, "x much longer");
	client_sends(4, 0, "ow y and more");
	CHECK_TO_SERVER(0, 2, 0, "much longer y and more");
	/* Other bytes than before are not believed. */
	client_sends(0, 0, "x EVIL y");
	CHECK_TO_SERVER(0, 0, 0, "x much longer y");
	/* Acknowledged, it is history. */
	server_sends(0, 24, "");
	CHECK_TO_CLIENT(0, 0, 17, "");
	client_sends(17, 0, "grow");
	CHECK_TO_SERVER(0, 24, 0, "much longer");
	assert_int_equal(own()->counters.edited, 2);
}

/* I3: cut at the MSS that both announced, and only the last piece ends anything. */
static void segment_that_outgrows_the_mss_is_cut(void **state)
{
	static const char text[] =
		"grow 6789012345678901234567890123456789012345678901234567890123456789012345678901"
		"23456 grow";

	(void)state;
	shake_hands();
	exchange((struct segment){.from_client = true,
		.flags = TCP_ACK | TCP_PSH | TCP_FIN,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = text});
	assert_int_equal(seen_count, 2);
	assert_int_equal(seen[0].payload_size, 100);
	assert_int_equal(seen[0].tcp_flags, TCP_ACK);
	assert_int_equal(seen[1].tcp_sequence, CLIENT_START + 100);
	assert_int_equal(seen[1].payload_size, strlen(text) + 14 - 100);
	assert_int_equal(seen[1].tcp_flags, TCP_ACK | TCP_PSH | TCP_FIN);
	assert_int_not_equal(
		get16(frames[0].bytes + 18), get16(frames[1].bytes + 18)); /* identification */
	server_sends(0, (uint32_t)strlen(text) + 15, "");
	CHECK_TO_CLIENT(0, 0, strlen(text) + 1, "");
}

/* I3: what comes behind a segment that was cut does not overtake it. */
static void order_is_kept_behind_a_cut_segment(void **state)
{
	char text[101];

	(void)state;
	shake_hands();
	memset(text, '.', 100);
	memcpy(text, "grow", 4);
	text[100] = '\0';
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, text), HELD);
	assert_int_equal(
		send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START + 100, SERVER_START, "next"), HELD);
	inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &bench_out);
	seen_count = 0;
	for (uint16_t i = 0; i < bench_out.pass_count; i++)
		note(bench_out.pass[i]);
	assert_int_equal(seen_count, 3);
	CHECK_TO_SERVER(1, 100, 0, ".......");
	CHECK_TO_SERVER(2, 107, 0, "next");
}

/* I3 G11: a guest's super-frame keeps its wish to be cut. */
static void super_frame_stays_one(void **state)
{
	struct segment segment = {.from_client = true,
		.flags = TCP_ACK | TCP_PSH,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.size = 4000};
	static char text[4001];
	struct rte_mbuf *packet;

	(void)state;
	shake_hands();
	memset(text, '.', 4000);
	for (uint32_t i = 0; i < 10; i++)
		memcpy(text + i * 400 + 7, "grow", 4);
	segment.payload = text;
	packet = make_segment(&segment);
	packet->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
	packet->tso_segsz = 80;
	assert_int_equal(submit(packet), PASSED);
	packet = bench_out.pass[0];
	assert_int_equal(packet->pkt_len, 54 + 4070);
	assert_true(packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	assert_int_equal(packet->tso_segsz, 80);
	assert_int_equal(offload_prepare(&bench_out.pass[0], packet_pool), 0);
}

/* I3 G11: a number changes under a checksum that is left to the device. */
static void open_checksum_stays_open(void **state)
{
	struct segment segment = {.from_client = true,
		.flags = TCP_ACK,
		.sequence = CLIENT_START + 4,
		.acknowledgement = SERVER_START,
		.payload = "rest"};
	struct rte_mbuf *packet;
	static struct frame frame;
	uint32_t before;

	(void)state;
	shake_hands();
	client_sends(0, 0, "grow");
	packet = make_segment(&segment);
	packet->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
	frame_from_mbuf(&frame, packet);
	before = get16(frame.bytes + 50);
	assert_int_equal(submit(packet), PASSED);
	frame_from_mbuf(&frame, bench_out.pass[0]);
	assert_int_equal(get16(frame.bytes + 50), before);
	assert_int_equal(get32(frame.bytes + 38), CLIENT_START + 11);
	assert_true(bench_out.pass[0]->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM);
}

static void send_blocks(const char *options, uint32_t size)
{
	exchange((struct segment){.flags = TCP_ACK,
		.sequence = SERVER_START,
		.acknowledgement = CLIENT_START,
		.options = options,
		.options_size = size});
}

/* I3: 4 bytes, then 11 instead of 4, and on. */
static void selective_acknowledgements_are_mapped(void **state)
{
	const uint8_t *options;

	(void)state;
	shake_hands();
	client_sends(0, 0, "1234grow5678");
	send_blocks("\1\1\x05\x0a\0\0\x03\xf7\0\0\x03\xfb", 12); /* 1015 to 1019 */
	options = frames[0].bytes + 54;
	assert_memory_equal(options, "\1\1\x05\x0a\0\0\x03\xf0\0\0\x03\xf4", 12);
	/* Of a part of the new bytes nothing is left. */
	send_blocks("\1\1\x05\x0a\0\0\x03\xed\0\0\x03\xf0", 12);
	assert_memory_equal(options, "\1\1\1\1\1\1\1\1\1\1\1\1", 12);
	/* Of two, one is left. */
	send_blocks("\1\1\x05\x12\0\0\x03\xed\0\0\x03\xf0\0\0\x03\xf7\0\0\x03\xfb", 20);
	assert_memory_equal(options, "\1\1\x05\x0a\0\0\x03\xf0\0\0\x03\xf4\1\1\1\1\1\1\1\1", 20);
}

/* I3: the verdict is for the rules; the numbers stay. */
static void passed_flow_is_translated_for_its_life(void **state)
{
	(void)state;
	shake_hands();
	client_sends(0, 0, "grow");
	client_sends(4, 0, "trusted client");
	CHECK_TO_SERVER(0, 11, 0, "trusted client");
	client_sends(18, 0, "grow");
	CHECK_TO_SERVER(0, 25, 0, "grow");
	client_sends(2, 0, "ow");
	CHECK_TO_SERVER(0, 0, 0, "much longer");
	server_sends(0, 29, "small");
	CHECK_TO_CLIENT(0, 0, 22, "small");
	assert_int_equal(bench_builtin()->base.counters[0].verdicts[VERDICT_DEEPER], 3);
}

/* I3: an urgent byte that nobody inspects keeps its place. */
static void urgent_pointer_is_repaired(void **state)
{
	(void)state;
	shake_hands();
	client_sends(0, 0, "grow and on");
	client_sends(11, 0, "trusted client");
	exchange((struct segment){.from_client = true,
		.flags = TCP_ACK | TCP_URG,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = "grow and on"});
	CHECK_TO_SERVER(0, 0, 0, "much longer and on");
	assert_int_equal(get16(frames[0].bytes + 52), 16); /* it was at 9 */
}

/* I3 I5 */
static void reload_keeps_the_numbers(void **state)
{
	struct inspector *engine = inspect_chain->engines[0];

	(void)state;
	shake_hands();
	client_sends(0, 0, "x grow");
	builtin_inspector.reload(engine,
		bench_compile("alert tcp any any -> any any (content:\"nobody\"; sid:9;)", engine));
	client_sends(0, 0, "x grow");
	CHECK_TO_SERVER(0, 0, 0, "x much longer");
	client_sends(6, 0, "grow");
	CHECK_TO_SERVER(0, 13, 0, "grow");
	server_sends(0, 17, "");
	CHECK_TO_CLIENT(0, 0, 10, "");
}

/* I3 I6: what waits behind a gap is changed when it goes, and its sender is spoken to in its own
 * numbers. */
static void held_segments_are_translated_when_they_go(void **state)
{
	static struct frame frame;

	(void)state;
	shake_hands();
	server_sends(0, 0, "small");
	client_sends(0, 8, "grow");
	server_sends(5, 11, "");
	forget_injections();
	client_sends(8, 8, "!grow");
	assert_int_equal(seen_count, 0);
	frame_from_mbuf(&frame, injection(0));
	assert_int_equal(get32(frame.bytes + 38), SERVER_START + 8);
	assert_int_equal(get32(frame.bytes + 42), CLIENT_START + 4);
	client_sends(4, 8, "more");
	CHECK_TO_SERVER(0, 11, 5, "more");
	bench_forget_output();
	inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &bench_out);
	seen_count = 0;
	note(bench_out.pass[0]);
	CHECK_TO_SERVER(0, 15, 5, "!much longer");
}

/* I3: each end is reset with the number that it expects. */
static void rejects_speak_each_ends_numbers(void **state)
{
	static struct frame frame;

	(void)state;
	shake_hands();
	server_sends(0, 0, "small");
	client_sends(0, 8, "grow");
	client_sends(4, 8, "reject me");
	assert_int_equal(dropped_for(), DROP_inspect_rule);
	frame_from_mbuf(&frame, injection(0)); /* to the client */
	assert_int_equal(get32(frame.bytes + 38), SERVER_START + 8);
	assert_int_equal(get32(frame.bytes + 42), CLIENT_START + 13);
	frame_from_mbuf(&frame, injection(1)); /* to the server */
	assert_int_equal(get32(frame.bytes + 38), CLIENT_START + 11);
	assert_int_equal(get32(frame.bytes + 42), SERVER_START + 5);
}

/* Both directions with a replacement, all acknowledged. */
static void translate_both(void)
{
	shake_hands();
	server_sends(0, 0, "small");
	client_sends(0, 8, "grow");
	server_sends(5, 11, "");
	forget_injections();
}

static void check_resets(void)
{
	static struct frame frame;

	assert_int_equal(inspect_workers[0]->injection_count, 2);
	assert_int_equal(own()->counters.translations_lost, 1);
	for (uint32_t i = 0; i < 2; i++) {
		bool to_server;

		frame_from_mbuf(&frame, injection(i));
		to_server = get16(frame.bytes + 36) == 80;
		assert_int_equal(frame.bytes[47], TCP_RST | TCP_ACK);
		assert_int_equal(
			get32(frame.bytes + 38), to_server ? CLIENT_START + 11 : SERVER_START + 8);
		assert_int_equal(inspect_workers[0]->injections[i].where == INSPECT_INJECT_FORWARD,
			to_server);
	}
	forget_injections();
	assert_int_equal(arena_used(flow_table_arena(own()->flows)), 0);
}

static void age(uint64_t seconds)
{
	for (int i = 0; i < 10; i++)
		flow_table_age(own()->flows, clock_monotonic_ns() + seconds * CLOCK_NS_PER_S);
}

/* I3: going on without would deliver other bytes silently. */
static void time_out_resets_both_ends_and_drops_what_follows(void **state)
{
	(void)state;
	translate_both();
	age(7000); /* longer than any other flow */
	assert_int_equal(inspect_workers[0]->injection_count, 0);
	age(7500);
	check_resets();
	client_sends(4, 8, "more");
	assert_int_equal(dropped_for(), DROP_stream_translation);
	server_sends(5, 11, "more");
	assert_int_equal(dropped_for(), DROP_stream_translation);
	/* A new connection is another matter. */
	exchange((struct segment){.from_client = true, .flags = TCP_SYN, .sequence = 77});
	assert_int_equal(seen_count, 1);
	exchange((struct segment){
		.flags = TCP_SYN | TCP_ACK, .sequence = 99, .acknowledgement = 78});
	exchange((struct segment){.from_client = true,
		.flags = TCP_ACK,
		.sequence = 78,
		.acknowledgement = 100,
		.payload = "new"});
	check(0, 78, 100, "new");
	age(100000);
	assert_int_equal(flow_table_count(own()->flows), 0);
	assert_int_equal(inspect_workers[0]->injection_count, 0);
}

/* I3 I5: the engine that comes in its place knows nothing of the flow. */
static void replaced_engine_resets_both_ends(void **state)
{
	(void)state;
	translate_both();
	inspect_chain->retiring[0] = inspect_chain->engines[0];
	inspect_chain->retiring_count = 1;
	inspect_chain_retire(inspect_chain, 0);
	check_resets();
	inspect_chain_retire(inspect_chain, 0);
	assert_int_equal(inspect_workers[0]->injection_count, 0);
	client_sends(4, 8, "more");
	assert_int_equal(dropped_for(), DROP_stream_translation);
}

/* I3: a flow that loses its place to newer ones. */
static void eviction_resets_both_ends(void **state)
{
	(void)state;
	translate_both();
	for (uint16_t port = 1; port <= 4096; port++) {
		submit(make_udp(FROM_CLIENT, port, "x"));
		submit(make_udp(FROM_SERVER, port, "y"));
	}
	check_resets();
}

/* I3: what is over needs no reset. */
static void closed_flow_ends_quietly(void **state)
{
	(void)state;
	translate_both();
	exchange((struct segment){.from_client = true,
		.flags = TCP_ACK | TCP_FIN,
		.sequence = CLIENT_START + 4,
		.acknowledgement = SERVER_START + 8});
	CHECK_TO_SERVER(0, 11, 5, "");
	exchange((struct segment){.flags = TCP_ACK | TCP_FIN,
		.sequence = SERVER_START + 5,
		.acknowledgement = CLIENT_START + 12});
	CHECK_TO_CLIENT(0, 8, 5, "");
	client_sends(5, 9, "");
	CHECK_TO_SERVER(0, 12, 6, "");
	age(1000);
	assert_int_equal(flow_table_count(own()->flows), 0);
	assert_int_equal(inspect_workers[0]->injection_count, 0);
	assert_int_equal(arena_used(flow_table_arena(own()->flows)), 0);
}

/* I3: probes of a sender that waits, before what the receiver has. */
static void probes_are_mapped(void **state)
{
	(void)state;
	translate_both();
	client_sends(3, 8, "");
	CHECK_TO_SERVER(0, 10, 5, "");
	client_sends(3, 8, "w");
	assert_int_equal(seen_count, 1);
	assert_int_equal(seen[0].tcp_sequence, CLIENT_START + 10);
}

/* I3: no more than can be remembered; the sender repeats it. */
static void segment_beyond_what_is_remembered_waits_for_acknowledgements(void **state)
{
	uint32_t offset = 0;

	(void)state;
	shake_hands();
	do {
		client_sends(offset, 0, "growgrowgrowgrowgrowgrowgrowgrow");
		offset += seen_count > 0 ? 32 : 0;
	} while (seen_count > 0);
	assert_int_equal(dropped_for(), DROP_stream_replaced);
	assert_int_equal(offset, (TRANSLATE_RECORDS_MAX - DETECT_REPLACEMENTS_MAX + 8) * 4);
	client_sends(0, 0, "growgrow");
	CHECK_TO_SERVER(0, 0, 0, "much longermuch longer");
	server_sends(0, offset / 4 * 11, "");
	CHECK_TO_CLIENT(0, 0, offset, "");
	client_sends(offset, 0, "grow");
	CHECK_TO_SERVER(0, offset / 4 * 11, 0, "much longer");
}

/* I3: nobody could put right what the other end acknowledges. */
static void one_way_connection_is_dropped_instead(void **state)
{
	(void)state;
	client_sends(0, 0, "hello");
	CHECK_TO_SERVER(0, 0, 0, "hello");
	client_sends(5, 0, "grow");
	assert_int_equal(dropped_for(), DROP_inspect_rule);
	client_sends(5, 0, "other");
	assert_int_equal(dropped_for(), DROP_inspect_flow);
}

/* I3: with `stream-order: forward`, what is behind a gap has left with the old numbers. */
static void bytes_beyond_a_gap_forbid_another_size(void **state)
{
	(void)state;
	bench_close();
	assert_int_equal(bench_open(RULES, "{\"stream-order\": \"forward\"}"), 0);
	shake_hands();
	client_sends(4, 0, "tail");
	CHECK_TO_SERVER(0, 4, 0, "tail");
	client_sends(0, 0, "grow");
	assert_int_equal(dropped_for(), DROP_inspect_rule);
}

/* I3: fragments cannot be renumbered; their datagram goes on whole. */
static void fragmented_segment_goes_on_whole(void **state)
{
	struct segment segment = {.from_client = true,
		.flags = TCP_ACK,
		.sequence = CLIENT_START + 4,
		.acknowledgement = SERVER_START,
		.payload = "0123456789abcdef"};
	static struct frame whole, part;
	struct rte_mbuf *packet;

	(void)state;
	shake_hands();
	client_sends(0, 0, "grow");
	packet = make_segment(&segment);
	frame_from_mbuf(&whole, packet);
	rte_pktmbuf_free(packet);
	for (uint32_t at = 0; at < 36; at += 24) {
		uint32_t size = at == 0 ? 24 : 12;

		memcpy(part.bytes, whole.bytes, 34);
		memcpy(part.bytes + 34, whole.bytes + 34 + at, size);
		part.size = 34 + size;
		put16(part.bytes + 16, 20 + size);
		put16(part.bytes + 20, (at == 0 ? 0x2000 : 0) | at / 8);
		finish_frame(&part);
		submit(to_packet(&part, true, 0));
	}
	bench_forget_output();
	inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &bench_out);
	assert_int_equal(bench_out.pass_count, 1);
	assert_int_equal(bench_out.drop_count, 2);
	assert_int_equal(dropped_for(), DROP_stream_fragment);
	seen_count = 0;
	note(bench_out.pass[0]);
	CHECK_TO_SERVER(0, 11, 0, "0123456789abcdef");
}

static void send_error(uint32_t quoted_sequence, uint16_t mtu)
{
	static struct frame frame;
	uint8_t *icmp = frame.bytes + put_ipv4(&frame, FROM_SERVER, IPPROTO_ICMP, 8 + 20 + 8);

	memset(icmp, 0, 36);
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, mtu);
	icmp[8] = 0x45;
	put16(icmp + 10, 60);
	icmp[17] = IPPROTO_TCP;
	memcpy(icmp + 20, frame.bytes + 30, 4);
	memcpy(icmp + 24, frame.bytes + 26, 4);
	put16(icmp + 28, 40000);
	put16(icmp + 30, 80);
	network_store32(icmp + 32, quoted_sequence);
	finish_frame(&frame);
	assert_int_equal(submit(to_packet(&frame, FROM_SERVER, 0)), PASSED);
}

/* I3: the sender finds its own number in the quotation, and the path's MTU is kept to. */
static void errors_quote_what_the_sender_sent(void **state)
{
	static struct frame frame;
	char sent[513], received[513];

	(void)state;
	memset(sent, '-', sizeof(sent));
	memcpy(sent + 507, "grow", 5);
	memcpy(received, sent, 507);
	memcpy(received + 507, "much ", 6);
	shake_hands_with("\x02\x04\x05\xb4", 4);
	client_sends(0, 0, "grow");
	client_sends(4, 0, "more");
	send_error(CLIENT_START + 11, 60); /* less than a path may have: taken for the least */
	frame_from_mbuf(&frame, bench_out.pass[0]);
	assert_int_equal(get32(frame.bytes + 34 + 32), CLIENT_START + 4);
	finish_frame(&frame);
	assert_int_equal(get16(frame.bytes + 36),
		(uint16_t)~plain_sum(
			frame.bytes + 38, frame.size - 38, plain_sum(frame.bytes + 34, 2, 0)));
	client_sends(8, 0, sent);
	assert_int_equal(seen_count, 2);
	CHECK_TO_SERVER(0, 15, 0, received);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(longer_bytes_shift_what_follows),
		TEST(shorter_bytes_shift_what_follows),
		TEST(both_directions_are_translated_at_once),
		TEST(part_of_a_replacement_is_not_acknowledged),
		TEST(repetitions_are_replaced_again_whatever_their_borders),
		TEST(segment_that_outgrows_the_mss_is_cut),
		TEST(order_is_kept_behind_a_cut_segment),
		TEST(super_frame_stays_one),
		TEST(open_checksum_stays_open),
		TEST(selective_acknowledgements_are_mapped),
		TEST(passed_flow_is_translated_for_its_life),
		TEST(urgent_pointer_is_repaired),
		TEST(reload_keeps_the_numbers),
		TEST(held_segments_are_translated_when_they_go),
		TEST(rejects_speak_each_ends_numbers),
		TEST(time_out_resets_both_ends_and_drops_what_follows),
		TEST(replaced_engine_resets_both_ends),
		TEST(eviction_resets_both_ends),
		TEST(closed_flow_ends_quietly),
		TEST(probes_are_mapped),
		TEST(segment_beyond_what_is_remembered_waits_for_acknowledgements),
		TEST(one_way_connection_is_dropped_instead),
		TEST(bytes_beyond_a_gap_forbid_another_size),
		TEST(fragmented_segment_goes_on_whole),
		TEST(errors_quote_what_the_sender_sent),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
