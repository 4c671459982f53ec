/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Evasion (I6): receivers differ in which of two versions of a byte they keep (Novak and Sturges,
 * "Target-based TCP stream reassembly"), and in which segments they take at all. Here a receiver
 * must get one version only of each byte that it has not acknowledged, and none beyond a gap, so
 * that all of them read what was inspected.
 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../bench.h"

#define RULES                                                                                      \
	"drop tcp any any -> any 80 (msg:\"evil\"; content:\"EVIL\"; sid:1;)\n"                    \
	"drop udp any any -> any 53 (msg:\"evil\"; content:\"EVIL\"; sid:2;)\n"
#define START       1000u
#define SERVER      5000u
#define STREAM_SIZE 256u

static struct {
	uint8_t bytes[STREAM_SIZE];
	uint32_t next;
} receiver;

static int open_group(void **state)
{
	(void)state;
	port_table = NULL; /* answers are not transmitted */
	return bench_start("evasion_test");
}

static int open_bench(void **state)
{
	static struct ruleset *ruleset;

	(void)state;
	memset(&receiver, 0, sizeof(receiver));
	return bench_open_keeping(&ruleset, RULES, NULL);
}

static int close_bench(void **state)
{
	(void)state;
	bench_close_keeping();
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
	return 0;
}

static void shake_hands(void)
{
	send_tcp(FROM_CLIENT, TCP_SYN, START - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER - 1, START, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, START, SERVER, NULL);
}

/* Whoever keeps the first version, the last, or any mixture, reads the same. */
static void receive(void)
{
	static struct frame frame;
	struct decoded decoded;

	for (uint16_t i = 0; i < bench_out.pass_count; i++) {
		frame_from_mbuf(&frame, bench_out.pass[i]);
		decode_frame(frame.bytes, frame.size, &decoded);
		if (!checksum_is_right(&decoded))
			continue; /* it takes no such segment */
		for (uint32_t j = 0; j < decoded.payload_size; j++) {
			uint32_t at = decoded.tcp_sequence - START + j;
			uint8_t byte = frame.bytes[decoded.payload_offset + j];

			assert_true(at <= receiver.next && at < STREAM_SIZE);
			if (at < receiver.next)
				assert_int_equal(receiver.bytes[at], byte);
			receiver.bytes[at] = byte;
			receiver.next = RTE_MAX(receiver.next, at + 1);
		}
	}
	bench_forget_output();
}

static enum outcome client_sends(struct segment segment)
{
	enum outcome outcome;

	segment.from_client = FROM_CLIENT;
	segment.flags |= TCP_ACK;
	segment.sequence += START;
	segment.acknowledgement = SERVER;
	outcome = send_segment(segment);
	receive();
	inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &bench_out);
	receive();
	return outcome;
}

static enum outcome client_sends_at(uint32_t sequence, const char *text)
{
	return client_sends((struct segment){.sequence = sequence, .payload = text});
}

/* Novak and Sturges' sequence: each kind of overlap, with content that tells who won. */
struct piece {
	uint32_t from;
	const char *text;
};
static const struct piece overlaps[] = {
	{3, "111"},
	{0, "222222"},
	{6, "333333"},
	{9, "4444"},
	{15, "55"},
	{12, "666666"},
	{18, "77"},
	{17, "888"},
	{2, "9999"},
	{0, "aaa"},
};
#define PIECES (sizeof(overlaps) / sizeof(overlaps[0]))

static void overlaps_in_any_order_leave_one_version(void **state)
{
	(void)state;
	srand(3);
	for (int round = 0; round < 2000; round++) {
		size_t order[PIECES];

		for (size_t i = 0; i < PIECES; i++)
			order[i] = i;
		for (size_t i = PIECES - 1; i > 0; i--) {
			size_t other = (size_t)rand() % (i + 1), kept = order[i];

			order[i] = order[other];
			order[other] = kept;
		}
		shake_hands();
		for (size_t i = 0; i < PIECES; i++)
			client_sends_at(overlaps[order[i]].from, overlaps[order[i]].text);
		assert_int_equal(receiver.next, 20);
		close_bench(state);
		open_bench(state);
	}
}

/* The forbidden word in one version of overlapping segments, in each order of four pieces: it is
 * read by nobody, or nothing of it was ever in the stream. */
static void word_in_overlaps_is_read_by_nobody(void **state)
{
	static const struct piece pieces[] = {{0, "EV"}, {2, "IL"}, {1, "xxx"}, {0, "yy"}};

	(void)state;
	for (uint32_t code = 0; code < 256; code++) {
		shake_hands();
		for (int i = 0; i < 4; i++) {
			const struct piece *piece = &pieces[code >> (2 * i) & 3];

			client_sends_at(piece->from, piece->text);
		}
		assert_null(memmem(receiver.bytes, receiver.next, "EVIL", 4));
		close_bench(state);
		open_bench(state);
	}
}

/* It would die on its way; the same place comes again with other content. */
static void short_lived_segment_is_what_counts(void **state)
{
	static struct frame frame;
	struct segment segment = {.from_client = FROM_CLIENT,
		.flags = TCP_ACK,
		.sequence = START,
		.acknowledgement = SERVER,
		.payload = "good"};
	struct rte_mbuf *packet;

	(void)state;
	shake_hands();
	packet = make_segment(&segment);
	frame_from_mbuf(&frame, packet);
	rte_pktmbuf_free(packet);
	frame.bytes[14 + 8] = 1; /* TTL */
	finish_frame(&frame);
	assert_int_equal(submit(to_packet(&frame, FROM_CLIENT, 0)), PASSED);
	bench_forget_output(); /* it dies */
	assert_int_equal(client_sends_at(0, "EVIL"), PASSED);
	assert_memory_equal(receiver.bytes, "good", 4);
}

/* PAWS (RFC 7323 section 5): its receiver discards it for its old timestamp. */
static void segment_with_an_old_timestamp_is_what_counts(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends((struct segment){.payload = "good",
				 .options = "\1\1\x08\x0a\0\0\0\1\0\0\0\0",
				 .options_size = 12}),
		PASSED);
	memset(&receiver, 0, sizeof(receiver)); /* discarded */
	assert_int_equal(client_sends((struct segment){.payload = "EVIL",
				 .options = "\1\1\x08\x0a\x70\0\0\1\0\0\0\0",
				 .options_size = 12}),
		PASSED);
	assert_memory_equal(receiver.bytes, "good", 4);
}

static void bad_checksum_inserts_nothing(void **state)
{
	(void)state;
	shake_hands();
	client_sends((struct segment){.payload = "xxxx", .has_bad_checksum = true});
	assert_int_equal(client_sends_at(0, "EV"), PASSED);
	client_sends((struct segment){.sequence = 2, .payload = "xx", .has_bad_checksum = true});
	assert_int_equal(client_sends_at(2, "IL"), DROPPED);
	assert_memory_equal(receiver.bytes, "EV", 3);
}

static void out_of_window_inserts_nothing(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends_at(0, "EV"), PASSED);
	assert_int_equal(client_sends_at(1u << 30, "xx"), DROPPED);
	assert_int_equal(client_sends_at(2, "IL"), DROPPED);
}

/* A FIN or RST that the receiver does not take must not end what we follow. */
static void forged_ends_hide_nothing(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends_at(0, "EV"), PASSED);
	client_sends((struct segment){.sequence = 500, .flags = TCP_RST});
	client_sends((struct segment){.flags = TCP_FIN, .has_bad_checksum = true, .sequence = 2});
	client_sends((struct segment){.flags = TCP_FIN, .sequence = 40});
	assert_int_equal(client_sends_at(2, "IL"), DROPPED);
}

/* Receivers discard it, so it must neither fill a gap nor decide what bytes are. */
static void data_on_a_reset_is_no_part_of_the_stream(void **state)
{
	static const uint8_t flags[] = {TCP_RST, TCP_RST | TCP_ACK};

	(void)state;
	shake_hands();
	assert_int_equal(client_sends_at(0, "EV"), PASSED);
	for (size_t i = 0; i < sizeof(flags); i++)
		send_tcp(FROM_CLIENT, flags[i], START + 2, SERVER, "xxxx");
	assert_int_equal(client_sends_at(4, "cd"), HELD);
	assert_int_equal(client_sends_at(2, "IL"), DROPPED);
	assert_memory_equal(receiver.bytes, "EV", 3);
}

static void data_on_a_syn_is_part_of_the_stream(void **state)
{
	(void)state;
	send_tcp(FROM_CLIENT, TCP_SYN, START - 1, 0, "EV");
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER - 1, START + 2, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, START + 2, SERVER, NULL);
	assert_int_equal(send_tcp(FROM_CLIENT, TCP_ACK, START + 2, SERVER, "IL"), DROPPED);
}

static void urgent_byte_hides_nothing(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends((struct segment){.payload = "EV", .flags = TCP_URG}), PASSED);
	assert_int_equal(client_sends_at(2, "IL"), DROPPED);
}

static void single_bytes_in_any_order_are_read(void **state)
{
	static const char text[] = "an EVIL word";

	(void)state;
	srand(5);
	for (int round = 0; round < 200; round++) {
		shake_hands();
		for (int tries = 0; tries < 200; tries++) {
			uint32_t at = (uint32_t)rand() % (sizeof(text) - 1);
			char one[2] = {text[at], '\0'};

			client_sends_at(at, one);
		}
		assert_int_equal(receiver.next, 6); /* the L, and all behind it, never came */
		close_bench(state);
		open_bench(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(overlaps_in_any_order_leave_one_version),
		TEST(word_in_overlaps_is_read_by_nobody),
		TEST(short_lived_segment_is_what_counts),
		TEST(segment_with_an_old_timestamp_is_what_counts),
		TEST(bad_checksum_inserts_nothing),
		TEST(out_of_window_inserts_nothing),
		TEST(forged_ends_hide_nothing),
		TEST(data_on_a_reset_is_no_part_of_the_stream),
		TEST(data_on_a_syn_is_part_of_the_stream),
		TEST(urgent_byte_hides_nothing),
		TEST(single_bytes_in_any_order_are_read),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
