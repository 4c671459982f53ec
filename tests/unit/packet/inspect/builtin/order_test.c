/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of streams (I6): nothing of a stream goes on before what precedes it was inspected, and
 * the sender of what waits is told what is missing.
 */
#include "base/clock.h"
#include "packet/inspect/builtin/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "connection.h"

#define RULES                                                                                      \
	"drop tcp any any -> any 80 (msg:\"passwd\"; content:\"/etc/passwd\"; sid:1;)\n"           \
	"alert tcp any any -> any 80 (msg:\"secret\"; content:\"secret\"; replace:\"XXXXXX\"; "    \
	"sid:5;)\n"                                                                                \
	"pass tcp any any -> any 80 (msg:\"trusted\"; content:\"trusted client\"; sid:6;)\n"

/* MSS, SACK permitted, timestamps, window scale 7. */
#define SYN_OPTIONS "\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\1\0\0\0\0\1\3\3\7"
#define TIMESTAMPS  "\1\1\x08\x0a\0\0\1\2\0\0\3\4"

static int open_group(void **state)
{
	(void)state;
	port_table = NULL; /* answers are not transmitted */
	return bench_start("order_test");
}

static int open_bench(void **state)
{
	(void)state;
	return bench_open(RULES, NULL);
}

static enum outcome send_with(bool from_client, uint8_t flags, uint32_t sequence,
	uint32_t acknowledgement, const char *payload, const char *options, uint32_t size)
{
	return send_segment((struct segment){.from_client = from_client,
		.flags = flags,
		.sequence = sequence,
		.acknowledgement = acknowledgement,
		.payload = payload,
		.options = options,
		.options_size = size});
}

static void shake_hands(void)
{
	send_with(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL, SYN_OPTIONS, 20);
	send_with(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START - 1, CLIENT_START, NULL, SYN_OPTIONS,
		20);
	send_with(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, NULL, TIMESTAMPS, 12);
}

static enum outcome server_acknowledges(uint32_t offset)
{
	return send_tcp(FROM_SERVER, TCP_ACK, SERVER_START, CLIENT_START + offset, NULL);
}

/* What collect brings, as the payloads behind each other; a drop stands as '#'. */
static const char *collect(uint64_t ahead_ms)
{
	static char text[4096];
	static struct frame frame;
	struct decoded decoded;
	size_t size = 0;

	bench_forget_output();
	for (uint64_t at = 0; at <= ahead_ms; at += 1000)
		inspect_chain_collect(
			inspect_chain, 0, clock_monotonic_ns() + at * CLOCK_NS_PER_MS, &bench_out);
	for (uint16_t i = 0; i < bench_out.pass_count; i++) {
		frame_from_mbuf(&frame, bench_out.pass[i]);
		decode_frame(frame.bytes, frame.size, &decoded);
		assert_true(checksum_is_right(&decoded));
		memcpy(text + size, frame.bytes + decoded.payload_offset, decoded.payload_size);
		size += decoded.payload_size;
	}
	for (uint16_t i = 0; i < bench_out.drop_count; i++)
		text[size++] = '#';
	text[size] = '\0';
	return text;
}

/* Lets the gap's time be over. */
static void let_time_pass(void)
{
	inspect_chain->gap_timeout_ns = 1;
}

/* I6 */
static void segment_ahead_of_a_gap_waits_and_comes_in_order(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(6, "ghi"), HELD);
	assert_int_equal(client_sends(9, "jkl"), HELD);
	assert_int_equal(client_sends(3, "def"), HELD);
	assert_string_equal(collect(0), "");
	assert_int_equal(hold_count(inspect_workers[0]->holds), 3);
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_string_equal(passed_payload(), "abc");
	/* Behind those that wait to be collected. */
	assert_int_equal(client_sends(12, "mno"), HELD);
	assert_string_equal(collect(0), "defghijklmno");
	assert_int_equal(client_sends(15, "pqr"), PASSED);
	assert_int_equal(hold_count(inspect_workers[0]->holds), 0);
	assert_int_equal(bench_builtin()->workers[0]->held.segments, 0);
}

/* I6: the part that makes it one is dropped, and nothing behind it leaves. */
static void attack_out_of_order_is_dropped(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(12, "swd HTTP/1.1"), HELD);
	assert_int_equal(client_sends(7, "c/pas"), HELD);
	assert_int_equal(client_sends(0, "GET /et"), PASSED);
	assert_string_equal(collect(0), "c/pas#");
	assert_int_equal(dropped_for(), DROP_inspect_rule);
	assert_int_equal(client_sends(24, "and more"), DROPPED);
}

/* I3 I6: held before any of it was judged, it can be changed. */
static void held_bytes_are_replaced(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(3, "my secret"), HELD);
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_string_equal(collect(0), "my XXXXXX");
}

/* I6: what came first counts, among those that wait, too. */
static void held_overlaps_are_decided_once(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(6, "clean"), HELD);
	assert_int_equal(client_sends(3, "defEVIL!"), HELD);
	assert_int_equal(client_sends(9, "EVIL and more"), HELD);
	assert_int_equal(client_sends(6, "other"), DROPPED);
	assert_int_equal(dropped_for(), DROP_stream_repeated);
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_string_equal(collect(0),
		"defclean"
		"clean"
		"anIL and more");
}

/* I6: RFC 2018, RFC 7323: the sender learns what is missing, in the receiver's name. */
static void sender_is_told_what_is_missing(void **state)
{
	struct inspect_worker *own = inspect_workers[0];
	static struct frame frame;
	struct decoded decoded;
	const uint8_t *option;

	(void)state;
	shake_hands();
	send_with(FROM_SERVER, TCP_ACK, SERVER_START, CLIENT_START, NULL, TIMESTAMPS, 12);
	assert_int_equal(client_sends(3, "def"), HELD);
	assert_int_equal(client_sends(9, "jkl"), HELD);
	assert_int_equal(own->injection_count, 2);
	assert_int_equal(own->injections[1].where, INSPECT_INJECT_TX);
	assert_int_equal(packet_metadata(own->injections[1].packet)->egress_port, BENCH_PHYSICAL);
	frame_from_mbuf(&frame, own->injections[1].packet);
	assert_int_equal(decode_frame(frame.bytes, frame.size, &decoded), DECODE_OK);
	assert_true(checksum_is_right(&decoded));
	assert_int_equal(decoded.source_port, 80);
	assert_int_equal(decoded.tcp_flags, TCP_ACK);
	assert_int_equal(decoded.tcp_sequence, SERVER_START);
	assert_int_equal(decoded.tcp_acknowledgement, CLIENT_START);
	assert_int_equal(decoded.tcp_window, 65535);
	assert_int_equal(decoded.payload_size, 0);
	option = frame.bytes + decoded.l4_offset + 20;
	assert_memory_equal(option, TIMESTAMPS, 12);
	assert_memory_equal(option + 12, "\1\1\5\x12", 4);
	/* The latest first. */
	assert_int_equal(network_load32(option + 16), CLIENT_START + 9);
	assert_int_equal(network_load32(option + 20), CLIENT_START + 12);
	assert_int_equal(network_load32(option + 24), CLIENT_START + 3);
	assert_int_equal(network_load32(option + 28), CLIENT_START + 6);
}

/* One that offered no selective acknowledgements gets plain ones; and one for each that waits. */
static void plain_sender_gets_duplicate_acknowledgements(void **state)
{
	struct inspect_worker *own = inspect_workers[0];
	static struct frame frame;
	struct decoded decoded;

	(void)state;
	send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START - 1, CLIENT_START, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, NULL);
	assert_int_equal(client_sends(3, "def"), HELD);
	assert_int_equal(client_sends(3, "def"), DROPPED);
	assert_int_equal(own->injection_count, 1);
	frame_from_mbuf(&frame, own->injections[0].packet);
	decode_frame(frame.bytes, frame.size, &decoded);
	assert_int_equal(decoded.payload_offset - decoded.l4_offset, 20);
	assert_int_equal(decoded.tcp_acknowledgement, CLIENT_START);
}

/* Never more than the receiver itself has said: what was let through may be lost behind us. */
static void answer_claims_nothing_for_the_receiver(void **state)
{
	struct inspect_worker *own = inspect_workers[0];
	static struct frame frame;
	struct decoded decoded;

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_int_equal(client_sends(6, "ghi"), HELD);
	assert_int_equal(server_acknowledges(3), PASSED);
	assert_int_equal(client_sends(9, "jkl"), HELD);
	for (int i = 0; i < 2; i++) {
		frame_from_mbuf(&frame, own->injections[i].packet);
		decode_frame(frame.bytes, frame.size, &decoded);
		assert_int_equal(decoded.tcp_acknowledgement, CLIENT_START + (i ? 3 : 0));
	}
}

/* A sender that hears of bytes behind others that are still on their way repeats those, too. */
static void sender_is_told_when_the_receiver_has_what_precedes_the_gap(void **state)
{
	struct inspect_worker *own = inspect_workers[0];
	static struct frame frame;
	struct decoded decoded;
	const uint8_t *option;

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "abcdef"), PASSED);
	assert_int_equal(client_sends(9, "jkl"), HELD);
	assert_int_equal(own->injection_count, 1);
	assert_int_equal(client_sends(12, "mno"), HELD);
	assert_int_equal(client_sends(18, "stu"), HELD);
	assert_int_equal(server_acknowledges(3), PASSED);
	assert_int_equal(own->injection_count, 1);
	assert_int_equal(server_acknowledges(6), PASSED);
	assert_int_equal(own->injection_count, 2);
	assert_int_equal(server_acknowledges(6), PASSED);
	assert_int_equal(own->injection_count, 2);
	frame_from_mbuf(&frame, own->injections[1].packet);
	assert_int_equal(decode_frame(frame.bytes, frame.size, &decoded), DECODE_OK);
	assert_true(checksum_is_right(&decoded));
	assert_int_equal(decoded.source_port, 80);
	assert_int_equal(decoded.tcp_acknowledgement, CLIENT_START + 6);
	option = frame.bytes + decoded.l4_offset + 20 + 12; /* behind the timestamps */
	assert_memory_equal(option, "\1\1\5\x12", 4);
	assert_int_equal(network_load32(option + 4), CLIENT_START + 18);
	assert_int_equal(network_load32(option + 8), CLIENT_START + 21);
	assert_int_equal(network_load32(option + 12), CLIENT_START + 9);
	assert_int_equal(network_load32(option + 16), CLIENT_START + 15);
}

static void fin_waits_and_acknowledgements_do_not(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(
		send_tcp(FROM_CLIENT, TCP_ACK | TCP_FIN, CLIENT_START + 3, SERVER_START, NULL),
		HELD);
	assert_int_equal(
		send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START + 3, SERVER_START, NULL), PASSED);
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_string_equal(collect(0), "");
	assert_int_equal(bench_out.pass_count, 1);
}

/* I4 I6 */
static void gap_that_stays_is_decided_by_policy(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(3, "def"), HELD);
	let_time_pass();
	assert_string_equal(collect(0), "#");
	assert_int_equal(dropped_for(), DROP_stream_gap);
	/* The sender repeats, and all is well. */
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_int_equal(client_sends(3, "def"), PASSED);
}

/* I4 I6: also what goes on without what precedes it is inspected. */
static void behind_a_gap_that_policy_skips_rules_hold(void **state)
{
	(void)state;
	shake_hands();
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	assert_int_equal(client_sends(3, "def"), HELD);
	assert_int_equal(client_sends(6, "/etc/passwd"), HELD);
	assert_int_equal(client_sends(17, "more"), HELD);
	let_time_pass();
	assert_string_equal(collect(0), "def##");
}

/* I4 I6: it never goes on unread, however long the gaps before it are dragged out. */
static void what_waits_is_not_let_go_by_the_verdict_deadline(void **state)
{
	(void)state;
	shake_hands();
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	assert_int_equal(client_sends(3, "/etc/passwd"), HELD);
	assert_string_equal(collect(60000), "");
	let_time_pass();
	assert_string_equal(collect(0), "#");
	assert_int_equal(dropped_for(), DROP_inspect_rule);
}

/* I6: gaps that follow each other do not add up without end. */
static void what_has_waited_for_some_gaps_waits_no_longer(void **state)
{
	struct held_list *list = &bench_builtin()->workers[0]->held;
	struct held_queue *queue;

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(6, "ghi"), HELD);
	assert_int_equal(client_sends(0, "a"), PASSED);
	assert_string_equal(collect(0), "");
	queue = list_entry(list->queues.next, struct held_queue, link);
	queue->segments[0].since_ms -= 40000;
	assert_string_equal(collect(0), "");
	assert_int_equal(client_sends(1, "b"), PASSED);
	assert_string_equal(collect(0), "#");
	assert_int_equal(list->segments, 0);
}

/* Lets the client's segments wait, and be ready, until nothing more can be. */
static void fill_ready(uint32_t *offset)
{
	struct builtin_worker *own = bench_builtin()->workers[0];

	while (BUILTIN_READY_MAX - (own->ready_head - own->ready_tail) > 0) {
		uint32_t count = RTE_MIN(BUILTIN_READY_MAX - (own->ready_head - own->ready_tail),
			(uint32_t)HELD_SEGMENTS_MAX);

		for (uint32_t i = 1; i < count; i++)
			assert_int_equal(client_sends(*offset + i, "x"), HELD);
		client_sends(*offset, "x");
		*offset += count;
		bench_forget_answers();
	}
}

/* I6: where nothing more can wait to be collected, nothing overtakes what does. */
static void nothing_overtakes_what_is_ready(void **state)
{
	uint32_t offset = 0, collected = 0;

	(void)state;
	shake_hands();
	fill_ready(&offset);
	assert_int_equal(client_sends(offset, "y"), DROPPED);
	assert_int_equal(dropped_for(), DROP_stream_gap);
	for (uint32_t count = 1; count > 0; collected += count)
		count = (uint32_t)strlen(collect(0));
	assert_int_equal(collected, BUILTIN_READY_MAX);
	assert_int_equal(client_sends(offset, "y"), PASSED);
}

/* I6: a segment in IP fragments is one of the stream as well. */
static void nothing_overtakes_a_segment_in_fragments(void **state)
{
	const struct segment segment = {.from_client = true,
		.flags = TCP_ACK,
		.sequence = CLIENT_START,
		.acknowledgement = SERVER_START,
		.payload = "a segment in fragments "};
	struct frame pieces[2];

	(void)state;
	shake_hands();
	cut_segment(&segment, 24, pieces);
	assert_int_equal(submit(to_packet(&pieces[0], FROM_CLIENT, 0)), HELD);
	assert_int_equal(submit(to_packet(&pieces[1], FROM_CLIENT, 0)), HELD);
	assert_int_equal(client_sends(23, "is one"), HELD);
	collect(0);
	assert_int_equal(bench_out.pass_count, 3);
	assert_string_equal(payload_of(bench_out.pass[2]), "is one");
}

/* RFC 9293 section 3.10.7.4: a receiver discards it, so it is no part of the stream. */
static void segment_that_acknowledges_nothing_is_no_part_of_the_stream(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_PSH, CLIENT_START, 0, "abc"), DROPPED);
	assert_int_equal(dropped_for(), DROP_stream_window);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_FIN, CLIENT_START, 0, NULL), PASSED);
	assert_int_equal(client_sends(3, "def"), HELD);
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_string_equal(collect(0), "def");
}

/* The client's bytes from 3 to 12 wait, it knows of them, and then they are let through. */
static void close_gap_that_is_told_of(void)
{
	shake_hands();
	send_with(FROM_SERVER, TCP_ACK, SERVER_START, CLIENT_START, NULL, TIMESTAMPS, 12);
	assert_int_equal(client_sends(3, "def"), HELD);
	assert_int_equal(client_sends(6, "ghi"), HELD);
	assert_int_equal(client_sends(9, "jkl"), HELD);
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_string_equal(collect(0), "defghijkl");
}

/* I6, RFC 2018: it would seem to say that bytes were given up which the sender knows to be there.
 */
static void partial_acknowledgements_of_what_was_told_are_kept_back(void **state)
{
	(void)state;
	close_gap_that_is_told_of();
	assert_int_equal(server_acknowledges(2), PASSED);
	assert_int_equal(server_acknowledges(3), DROPPED);
	assert_int_equal(dropped_for(), DROP_stream_acknowledged);
	assert_int_equal(server_acknowledges(9), DROPPED);
	assert_int_equal(server_acknowledges(12), PASSED);
	assert_int_equal(client_sends(12, "mno"), PASSED);
	assert_int_equal(server_acknowledges(13), PASSED);
}

/* What is lost behind us the receiver asks for by the same number again: nothing is kept back then.
 */
static void repeated_acknowledgement_goes_on(void **state)
{
	(void)state;
	close_gap_that_is_told_of();
	assert_int_equal(server_acknowledges(6), DROPPED);
	assert_int_equal(server_acknowledges(6), PASSED);
	assert_int_equal(server_acknowledges(9), PASSED);
}

/* Or by naming what it has behind that. */
static void selective_acknowledgement_of_the_receiver_goes_on(void **state)
{
	static const char sack[] = "\1\1\5\x0a\0\0\3\xf1\0\0\3\xf4"; /* 1009 to 1012 */

	(void)state;
	close_gap_that_is_told_of();
	assert_int_equal(
		send_with(FROM_SERVER, TCP_ACK, SERVER_START, CLIENT_START + 6, NULL, sack, 12),
		PASSED);
	assert_int_equal(server_acknowledges(9), PASSED);
}

static void acknowledgement_with_data_goes_on(void **state)
{
	(void)state;
	close_gap_that_is_told_of();
	assert_int_equal(
		send_tcp(FROM_SERVER, TCP_ACK, SERVER_START, CLIENT_START + 8, "data"), PASSED);
}

/* A sender that repeats what it was told of needs to know how far the receiver is. */
static void sender_that_repeats_gets_all_acknowledgements(void **state)
{
	(void)state;
	close_gap_that_is_told_of();
	assert_int_equal(client_sends(6, "ghi"), PASSED);
	assert_int_equal(server_acknowledges(9), PASSED);
}

/* The answer for what waits next does not say what was kept back, either. */
static void answer_waits_for_what_was_told(void **state)
{
	struct inspect_worker *own = inspect_workers[0];
	static struct frame frame;
	struct decoded decoded;

	(void)state;
	close_gap_that_is_told_of();
	bench_forget_answers();
	assert_int_equal(server_acknowledges(6), DROPPED);
	assert_int_equal(client_sends(15, "pqr"), HELD);
	assert_int_equal(own->injection_count, 0);
	assert_int_equal(server_acknowledges(12), PASSED);
	assert_int_equal(own->injection_count, 1);
	frame_from_mbuf(&frame, own->injections[0].packet);
	decode_frame(frame.bytes, frame.size, &decoded);
	assert_int_equal(decoded.tcp_acknowledgement, CLIENT_START + 12);
}

/* RFC 7323 section 5: a receiver discards what is older than the segment that closed the gap. */
static void what_waited_gets_the_timestamp_of_what_closed_its_gap(void **state)
{
	static const char then[] = "\1\1\x08\x0a\0\0\2\2\0\0\3\4";
	static const char later[] = "\1\1\x08\x0a\0\0\3\2\0\0\3\4";
	static struct frame frame;
	struct decoded decoded;

	(void)state;
	shake_hands();
	assert_int_equal(send_with(FROM_CLIENT, TCP_ACK, CLIENT_START + 3, SERVER_START, "def",
				 TIMESTAMPS, 12),
		HELD);
	assert_int_equal(
		send_with(FROM_CLIENT, TCP_ACK, CLIENT_START + 6, SERVER_START, "ghi", later, 12),
		HELD);
	assert_int_equal(
		send_with(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, "abc", then, 12),
		PASSED);
	assert_string_equal(collect(0), "defghi");
	for (int i = 0; i < 2; i++) {
		frame_from_mbuf(&frame, bench_out.pass[i]);
		decode_frame(frame.bytes, frame.size, &decoded);
		assert_memory_equal(
			frame.bytes + decoded.l4_offset + 20, i == 0 ? then : later, 12);
	}
}

/* A sender that is told nothing selectively needs each of them. */
static void plain_sender_gets_all_acknowledgements(void **state)
{
	(void)state;
	send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START - 1, CLIENT_START, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, NULL);
	assert_int_equal(client_sends(3, "def"), HELD);
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_string_equal(collect(0), "def");
	assert_int_equal(server_acknowledges(3), PASSED);
	assert_int_equal(server_acknowledges(5), PASSED);
}

static void what_waits_is_bounded(void **state)
{
	uint32_t count = 0;

	(void)state;
	shake_hands();
	while (client_sends(4 + 2 * count, "x") == HELD) {
		count++;
		bench_forget_answers();
	}
	assert_int_equal(count, HELD_SEGMENTS_MAX);
	assert_int_equal(dropped_for(), DROP_stream_gap);
	assert_int_equal(hold_count(inspect_workers[0]->holds), HELD_SEGMENTS_MAX);
	let_time_pass();
	for (uint32_t left = count; left > 0; left -= bench_out.drop_count) {
		collect(0);
		assert_true(bench_out.drop_count > 0);
	}
	assert_int_equal(bench_builtin()->workers[0]->held.buffers, 0);
}

static void flow_that_ends_takes_along_what_waits(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(3, "def"), HELD);
	/* The answer to a new SYN on the same ports. */
	send_tcp(FROM_CLIENT, TCP_SYN, 70000, 0, NULL);
	assert_int_equal(send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, 80000, 70001, NULL), PASSED);
	assert_string_equal(collect(0), "#");
	assert_int_equal(bench_builtin()->workers[0]->held.segments, 0);
}

static void passed_flow_lets_go_of_what_waits(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(20, "and /etc/passwd"), HELD);
	assert_int_equal(client_sends(0, "trusted client"), PASSED);
	assert_string_equal(collect(0), "and /etc/passwd");
}

/* Picked up midway, the receiver may have what is missing here. */
static void acknowledged_gap_of_a_stream_picked_up_midway_is_none(void **state)
{
	(void)state;
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_int_equal(server_acknowledges(3), PASSED);
	assert_int_equal(client_sends(9, "jkl"), HELD);
	let_time_pass();
	assert_string_equal(collect(0), "jkl");
	assert_int_equal(client_sends(12, "mno"), PASSED);
}

static void gap_of_a_stream_picked_up_midway_ends_where_it_is_acknowledged(void **state)
{
	(void)state;
	assert_int_equal(client_sends(0, "abc"), PASSED);
	assert_int_equal(client_sends(9, "jkl"), HELD);
	assert_int_equal(server_acknowledges(9), PASSED);
	assert_string_equal(collect(0), "jkl");
	assert_int_equal(client_sends(12, "mno"), PASSED);
}

/* Decision 0006, for those who choose it. */
static void forwarded_early_the_closing_segment_is_judged(void **state)
{
	(void)state;
	bench_builtin()->settings->forwards_early = true;
	shake_hands();
	assert_int_equal(client_sends(7, "c/passwd HTTP/1.1"), PASSED);
	assert_int_equal(client_sends(0, "GET /et"), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_rule);
}

/* The same in a random order, cut anyhow, with repetitions: what leaves is the text, in order. */
static void random_orders_give_the_text_in_order(void **state)
{
	static char text[600], read[700];

	(void)state;
	srand(7);
	for (uint32_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + rand() % 26);
	for (uint32_t round = 0; round < 50; round++) {
		uint32_t next = 0;

		shake_hands();
		for (int tries = 0; next < sizeof(text) && tries < 100000; tries++) {
			uint32_t from = next + (uint32_t)rand() % 80 - (next > 20 ? 20 : 0);
			uint32_t size = 1 + (uint32_t)rand() % 40;
			enum outcome outcome;
			char piece[64];

			if (from >= sizeof(text))
				continue;
			size = RTE_MIN(size, (uint32_t)sizeof(text) - from);
			memcpy(piece, text + from, size);
			piece[size] = '\0';
			outcome = client_sends(from, piece);
			if (outcome == PASSED) {
				assert_true(from <= next);
				memcpy(read + from, passed_payload(), size);
				next = RTE_MAX(next, from + size);
			}
			bench_forget_answers();
			bench_forget_output();
			inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &bench_out);
			for (uint16_t i = 0; i < bench_out.pass_count; i++) {
				static struct frame frame;
				struct decoded decoded;

				frame_from_mbuf(&frame, bench_out.pass[i]);
				decode_frame(frame.bytes, frame.size, &decoded);
				from = decoded.tcp_sequence - CLIENT_START;
				assert_true(from <= next);
				memcpy(read + from, frame.bytes + decoded.payload_offset,
					decoded.payload_size);
				next = RTE_MAX(next, from + decoded.payload_size);
			}
		}
		assert_int_equal(next, sizeof(text));
		assert_memory_equal(read, text, sizeof(text));
		close_bench(state);
		open_bench(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(segment_ahead_of_a_gap_waits_and_comes_in_order),
		TEST(attack_out_of_order_is_dropped),
		TEST(held_bytes_are_replaced),
		TEST(held_overlaps_are_decided_once),
		TEST(sender_is_told_what_is_missing),
		TEST(plain_sender_gets_duplicate_acknowledgements),
		TEST(sender_is_told_when_the_receiver_has_what_precedes_the_gap),
		TEST(answer_claims_nothing_for_the_receiver),
		TEST(fin_waits_and_acknowledgements_do_not),
		TEST(gap_that_stays_is_decided_by_policy),
		TEST(behind_a_gap_that_policy_skips_rules_hold),
		TEST(what_waits_is_not_let_go_by_the_verdict_deadline),
		TEST(what_has_waited_for_some_gaps_waits_no_longer),
		TEST(nothing_overtakes_what_is_ready),
		TEST(nothing_overtakes_a_segment_in_fragments),
		TEST(segment_that_acknowledges_nothing_is_no_part_of_the_stream),
		TEST(partial_acknowledgements_of_what_was_told_are_kept_back),
		TEST(repeated_acknowledgement_goes_on),
		TEST(selective_acknowledgement_of_the_receiver_goes_on),
		TEST(acknowledgement_with_data_goes_on),
		TEST(sender_that_repeats_gets_all_acknowledgements),
		TEST(answer_waits_for_what_was_told),
		TEST(what_waited_gets_the_timestamp_of_what_closed_its_gap),
		TEST(plain_sender_gets_all_acknowledgements),
		TEST(what_waits_is_bounded),
		TEST(flow_that_ends_takes_along_what_waits),
		TEST(passed_flow_lets_go_of_what_waits),
		TEST(acknowledged_gap_of_a_stream_picked_up_midway_is_none),
		TEST(gap_of_a_stream_picked_up_midway_ends_where_it_is_acknowledged),
		TEST(forwarded_early_the_closing_segment_is_judged),
		TEST(random_orders_give_the_text_in_order),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
