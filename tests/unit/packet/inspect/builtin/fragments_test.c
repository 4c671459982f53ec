/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP fragments (I6, G13): inspected whole, released unchanged or dropped all together.
 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../bench.h"

#define RULES      "drop udp any any -> any 53 (msg:\"evil\"; content:\"evil name\"; sid:3;)\n"
#define PIECES_MAX 8

static int open_group(void **state)
{
	(void)state;
	return bench_start("fragments_test");
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

/* A UDP datagram over IPv4 or IPv6, cut into pieces of size bytes (a multiple of 8). */
struct pieces {
	struct frame frames[PIECES_MAX];
	int count;
};

static struct pieces pieces;

static uint32_t put_ipv6(struct frame *frame, uint32_t size, uint32_t offset, bool more)
{
	uint8_t *ip = frame->bytes + 14;

	memset(frame->bytes, 0, 62);
	memcpy(frame->bytes, "\x52\x54\x00\x00\x10\x01\x52\x54\x00\x00\xff\x01\x86\xdd", 14);
	ip[0] = 0x60;
	put16(ip + 4, 8 + size);
	ip[6] = IPPROTO_FRAGMENT;
	ip[7] = 64;
	memcpy(ip + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	memcpy(ip + 24, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	ip[40] = IPPROTO_UDP;
	put16(ip + 42, offset | (more ? 1 : 0));
	network_store32(ip + 44, 4711);
	frame->size = 62 + size;
	return 62;
}

static void cut(int ip_version, const char *payload, uint32_t size)
{
	static uint8_t datagram[1024];
	uint32_t total = 8 + (uint32_t)strlen(payload);

	memset(datagram, 0, 8);
	put16(datagram, 2000);
	put16(datagram + 2, 53);
	put16(datagram + 4, total);
	memcpy(datagram + 8, payload, total - 8);
	pieces.count = 0;
	for (uint32_t at = 0; at < total; at += size) {
		struct frame *frame = &pieces.frames[pieces.count++];
		uint32_t part = RTE_MIN(size, total - at), start;
		bool more = at + part < total;

		if (ip_version == 4) {
			start = put_ipv4(frame, FROM_CLIENT, IPPROTO_UDP, part);
			put16(frame->bytes + 18, 4711);
			put16(frame->bytes + 20, at / 8 | (more ? 0x2000 : 0));
		} else {
			start = put_ipv6(frame, part, at, more);
		}
		memcpy(frame->bytes + start, datagram + at, part);
		finish_frame(frame);
	}
}

static enum outcome send_piece(int index)
{
	return submit(to_packet(&pieces.frames[index], FROM_CLIENT, 0));
}

/* Collects what was held and has its verdict, until now_ns. */
static void collect(uint64_t now_ns)
{
	bench_forget_output();
	inspect_chain_collect(inspect_chain, 0, now_ns, &bench_out);
}

static void assert_all_passed_unchanged(void)
{
	assert_int_equal(bench_out.pass_count, pieces.count);
	assert_int_equal(bench_out.drop_count, 0);
	for (int i = 0; i < pieces.count; i++) {
		static struct frame frame;

		frame_from_mbuf(&frame, bench_out.pass[i]);
		assert_int_equal(frame.size, pieces.frames[i].size);
		assert_memory_equal(frame.bytes, pieces.frames[i].bytes, frame.size);
	}
}

static void releases_harmless_fragments_unchanged(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		cut(version, "a harmless name, long enough for some pieces", 16);
		assert_true(pieces.count > 3);
		for (int i = 0; i < pieces.count; i++)
			assert_int_equal(send_piece(i), HELD);
		collect(0);
		assert_all_passed_unchanged();
	}
	assert_int_equal(hold_count(inspect_workers[0]->holds), 0);
}

static void puts_them_in_order(void **state)
{
	(void)state;
	cut(4, "a harmless name, long enough for some pieces", 16);
	for (int i = pieces.count - 1; i >= 0; i--)
		assert_int_equal(send_piece(i), HELD);
	collect(0);
	assert_all_passed_unchanged();
}

static void drops_all_when_the_whole_matches(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		cut(version, "......evil name......", 16);
		for (int i = pieces.count - 1; i >= 0; i--)
			assert_int_equal(send_piece(i), HELD);
		collect(0);
		assert_int_equal(bench_out.pass_count, 0);
		assert_int_equal(bench_out.drop_count, pieces.count);
		assert_int_equal(dropped_for(), DROP_inspect_rule);
		assert_int_equal(count_events(EVE_ALERT, 3), 1);
	}
}

static void refuses_overlaps_and_what_belongs_to_them(void **state)
{
	struct frame overlap;

	(void)state;
	cut(4, "a harmless name, long enough for some pieces", 16);
	assert_int_equal(send_piece(0), HELD);
	assert_int_equal(send_piece(1), HELD);
	/* Bytes 8 to 24 again. */
	overlap = pieces.frames[1];
	put16(overlap.bytes + 20, 1 | 0x2000);
	finish_frame(&overlap);
	assert_int_equal(submit(to_packet(&overlap, FROM_CLIENT, 0)), DROPPED);
	collect(0);
	assert_int_equal(bench_out.drop_count, 2);
	assert_int_equal(dropped_for(), DROP_inspect_fragment);
	assert_int_equal(send_piece(2), DROPPED);
	assert_int_equal(hold_count(inspect_workers[0]->holds), 0);
}

static void repeated_fragment_is_dropped_alone(void **state)
{
	(void)state;
	cut(4, "a harmless name, long enough for some pieces", 16);
	assert_int_equal(send_piece(0), HELD);
	assert_int_equal(send_piece(0), DROPPED);
	for (int i = 1; i < pieces.count; i++)
		assert_int_equal(send_piece(i), HELD);
	collect(0);
	assert_all_passed_unchanged();
}

/* What its sender leaves out is no failure of ours: on-failure does not let the rest go unread. */
static void incomplete_ones_go_nowhere(void **state)
{
	(void)state;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	cut(4, "a harmless name, long enough for some pieces", 16);
	assert_int_equal(send_piece(0), HELD);
	collect(clock_monotonic_ns() + 3600 * CLOCK_NS_PER_S);
	assert_int_equal(bench_out.pass_count + bench_out.drop_count, 0);
	for (int i = 1; i < pieces.count; i++)
		assert_int_equal(send_piece(i), HELD);
	collect(0);
	assert_all_passed_unchanged();
}

/* IPv4, without meaning: payload bytes [from, from + size) of the datagram id. */
static enum outcome send_part(uint8_t source, uint16_t id, uint32_t from, uint32_t size, bool more)
{
	static struct frame frame;

	put_ipv4(&frame, FROM_CLIENT, IPPROTO_UDP, size);
	memset(frame.bytes + 34, 0, size);
	frame.bytes[29] = source;
	put16(frame.bytes + 18, id);
	put16(frame.bytes + 20, from / 8 | (more ? 0x2000 : 0));
	finish_frame(&frame);
	return submit(to_packet(&frame, FROM_CLIENT, 0));
}

static void incomplete_ones_are_dropped_in_time(void **state)
{
	(void)state;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	inspect_chain->gap_timeout_ns = 1;
	assert_int_equal(send_part(1, 1, 0, 16, true), HELD);
	assert_int_equal(send_part(1, 1, 16, 16, true), HELD);
	collect(0);
	assert_int_equal(bench_out.drop_count, 2);
	assert_int_equal(dropped_for(), DROP_inspect_incomplete);
	assert_int_equal(bench_builtin()->workers[0]->counters.fragments_incomplete, 1);
	assert_int_equal(hold_count(inspect_workers[0]->holds), 0);
}

/* Teardrop and its kin: behind bytes 0 to 64, or an end at 128. */
static void contradictions_spoil_the_datagram(void **state)
{
	static const struct {
		uint32_t held_from, held_size, from, size;
		bool held_more, more;
	} cases[] = {
		{0, 64, 8, 16, true, true},      /* within it */
		{0, 64, 56, 64, true, false},    /* over its end */
		{64, 64, 0, 72, true, true},     /* over its beginning */
		{64, 64, 56, 96, true, true},    /* around it */
		{0, 64, 64, 20, true, true},     /* no multiple of 8, and more to come */
		{64, 64, 8, 48, false, false},   /* another end */
		{64, 64, 128, 8, false, true},   /* behind the end */
		{0, 64, 65528, 64, true, false}, /* more than a datagram has */
	};

	(void)state;
	for (uint16_t i = 0; i < RTE_DIM(cases); i++) {
		assert_int_equal(
			send_part(1, i, cases[i].held_from, cases[i].held_size, cases[i].held_more),
			HELD);
		assert_int_equal(
			send_part(1, i, cases[i].from, cases[i].size, cases[i].more), DROPPED);
		assert_int_equal(dropped_for(), DROP_inspect_fragment);
		collect(0);
		assert_int_equal(bench_out.pass_count, 0);
		assert_int_equal(bench_out.drop_count, 1);
	}
}

/* However small they are, there are not more of them than FRAGMENTS_MAX; on-failure is not asked.
 */
static void too_many_fragments_are_refused(void **state)
{
	uint32_t dropped = 0;

	(void)state;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	hold_set_limit(inspect_workers[0]->holds, 8192);
	for (uint32_t i = 0; i < FRAGMENTS_MAX; i++)
		assert_int_equal(send_part(1, 1, i * 8, 8, true), HELD);
	assert_int_equal(send_part(1, 1, FRAGMENTS_MAX * 8, 8, true), DROPPED);
	for (uint32_t count = 1; count > 0; dropped += count) {
		collect(0);
		assert_int_equal(bench_out.pass_count, 0);
		count = bench_out.drop_count;
	}
	assert_int_equal(dropped, FRAGMENTS_MAX);
}

/* A flood of beginnings takes a part of the room of its source, and of its VLAN. */
static void flood_leaves_room_for_others(void **state)
{
	uint32_t count = 0, sources = 2;

	(void)state;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	while (send_part(1, (uint16_t)count, 0, 8, true) == HELD)
		count++;
	assert_int_equal(count, 1024 / 16);
	assert_int_equal(dropped_for(), DROP_inspect_fragment);
	assert_int_equal(send_part(2, 0, 0, 8, true), HELD);
	while (sources < 256 && hold_count(inspect_workers[0]->holds) < 1024 / 2) {
		for (uint16_t i = 0; i < 8; i++)
			send_part((uint8_t)sources, i, 0, 8, true);
		sources++;
	}
	assert_int_equal(send_part(255, 1, 0, 8, true), DROPPED);
	assert_int_equal(hold_count(inspect_workers[0]->holds), 1024 / 2);
}

/* RFC 6946: whole all the same; and RFC 8200 knows one fragment header only. */
static void atomic_fragments_are_judged_at_once(void **state)
{
	(void)state;
	cut(6, "a harmless name", 512);
	assert_int_equal(send_piece(0), PASSED);
	cut(6, "an evil name", 512);
	assert_int_equal(send_piece(0), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_rule);
}

static void tenants_with_the_same_addresses_are_kept_apart(void **state)
{
	struct rte_mbuf *packet;

	(void)state;
	cut(4, "a harmless name, long enough for some pieces", 32);
	assert_int_equal(pieces.count, 2);
	assert_int_equal(send_piece(0), HELD);
	packet = to_packet(&pieces.frames[1], FROM_CLIENT, 0);
	packet_metadata(packet)->vlan = BENCH_VLAN + 1;
	assert_int_equal(submit(packet), HELD);
	collect(0);
	assert_int_equal(bench_out.pass_count, 0);
	assert_int_equal(send_piece(1), HELD);
	collect(0);
	assert_all_passed_unchanged();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)
	const struct CMUnitTest tests[] = {
		TEST(releases_harmless_fragments_unchanged),
		TEST(puts_them_in_order),
		TEST(drops_all_when_the_whole_matches),
		TEST(refuses_overlaps_and_what_belongs_to_them),
		TEST(repeated_fragment_is_dropped_alone),
		TEST(incomplete_ones_go_nowhere),
		TEST(incomplete_ones_are_dropped_in_time),
		TEST(contradictions_spoil_the_datagram),
		TEST(too_many_fragments_are_refused),
		TEST(flood_leaves_room_for_others),
		TEST(atomic_fragments_are_judged_at_once),
		TEST(tenants_with_the_same_addresses_are_kept_apart),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
