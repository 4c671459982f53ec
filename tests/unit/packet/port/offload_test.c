/* SPDX-License-Identifier: BSD-3-Clause */
/* G11: finished checksums and cut segments, compared with sums of the test's own and with rte_gso.
 */
#include "packet/port/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "frames.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_gso.h>

#include <cmocka.h>

static struct rte_mempool *pool;
static struct frame frame, result, whole;
static struct rte_mbuf *out[OFFLOAD_SEGMENTS_MAX];

static const struct frame_spec specs[] = {
	{.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 100},
	{.ip_version = 4,
		.protocol = IPPROTO_TCP,
		.payload = 101,
		.ip_options = 8,
		.tcp_options = 12},
	{.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 0},
	{.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 999, .tags = 2},
	{.ip_version = 6, .protocol = IPPROTO_TCP, .payload = 1337, .tags = 1},
	{.ip_version = 6, .protocol = IPPROTO_UDP, .payload = 77, .ip_options = 16},
	{.ip_version = 6,
		.protocol = IPPROTO_TCP,
		.payload = 1,
		.ip_options = 8,
		.tcp_options = 40},
};
#define SPEC_COUNT (sizeof(specs) / sizeof(specs[0]))

static uint64_t checksum_flag(const struct frame_spec *spec)
{
	return spec->protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
}

static struct rte_mbuf *make_partial(const struct frame_spec *spec, uint32_t segment)
{
	struct rte_mbuf *packet;

	frame_make(&frame, spec);
	frame_leave_checksum(&frame);
	packet = frame_to_mbuf(&frame, pool, segment);
	packet->ol_flags |= checksum_flag(spec);
	return packet;
}

static struct rte_mbuf *make_super_frame(
	const struct frame_spec *spec, uint32_t segment, uint16_t size)
{
	struct rte_mbuf *packet = make_partial(spec, segment);

	packet->ol_flags |=
		spec->protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
	packet->tso_segsz = size;
	return packet;
}

static void take_result(const struct rte_mbuf *packet)
{
	result.l3 = frame.l3;
	result.l4 = frame.l4;
	result.payload = frame.payload;
	frame_from_mbuf(&result, packet);
}

static void finishes_checksums_as_computed_by_hand(void **state)
{
	static const uint32_t segments[] = {0, 300, 61, 13};

	for (size_t i = 0; i < SPEC_COUNT; i++) {
		for (size_t j = 0; j < 4; j++) {
			struct rte_mbuf *packet = make_partial(&specs[i], segments[j]);

			assert_int_equal(offload_validate(packet), 0);
			assert_false(plain_is_right(&frame) && specs[i].payload);
			assert_int_equal(offload_finish_checksum(&packet, pool), 0);
			assert_false(offload_is_needed(packet));
			take_result(packet);
			assert_true(plain_is_right(&result));
			assert_int_equal(result.size, frame.size);
			assert_memory_equal(result.bytes + frame.payload,
				frame.bytes + frame.payload, specs[i].payload);
			rte_pktmbuf_free(packet);
		}
	}
}

static void leaves_the_trailer_out_of_the_checksum(void **state)
{
	struct rte_mbuf *packet = make_partial(&specs[0], 0);

	memset(rte_pktmbuf_append(packet, 7), 0xee, 7);
	assert_int_equal(offload_finish_checksum(&packet, pool), 0);
	take_result(packet);
	assert_true(plain_is_right(&result));
	assert_int_equal(result.size, frame.size + 7);
	rte_pktmbuf_free(packet);
}

static void never_makes_a_udp_checksum_of_zero(void **state)
{
	struct frame_spec spec = {.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 2};
	struct rte_mbuf *packet;

	frame_make(&frame, &spec);
	/* The two bytes of payload are chosen so that all sums up to ones. */
	memset(frame.bytes + frame.payload, 0, 2);
	put16(frame.bytes + frame.payload,
		0xffff - plain_sum(frame.bytes + frame.l4, 10, plain_pseudo_sum(&frame)));
	packet = frame_to_mbuf(&frame, pool, 0);
	packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
	assert_int_equal(offload_finish_checksum(&packet, pool), 0);
	take_result(packet);
	assert_int_equal(get16(result.bytes + result.l4 + 6), 0xffff);
	rte_pktmbuf_free(packet);
}

static void check_tcp_segment(uint32_t offset, uint32_t payload, bool is_first, bool is_last)
{
	const uint8_t *tcp = result.bytes + result.l4;
	uint8_t flags = frame.bytes[frame.l4 + 13];

	assert_int_equal(get32(tcp + 4), (uint32_t)(get32(frame.bytes + frame.l4 + 4) + offset));
	if (!is_last)
		flags &= (uint8_t)~0x09;
	if (!is_first)
		flags &= 0x7f;
	assert_int_equal(tcp[13], flags);
	assert_int_equal(result.size - result.payload, payload);
}

static void cut_and_check(const struct frame_spec *spec, uint32_t segment, uint16_t size)
{
	struct rte_mbuf *packet = make_super_frame(spec, segment, size);
	uint32_t offset = 0;
	int count;

	assert_int_equal(offload_validate(packet), 0);
	count = offload_segment(packet, pool, out, OFFLOAD_SEGMENTS_MAX);
	assert_int_equal(count, (spec->payload + size - 1) / size);
	for (int i = 0; i < count; i++) {
		uint32_t payload = RTE_MIN(spec->payload - offset, (uint32_t)size);

		take_result(out[i]);
		assert_true(plain_is_right(&result));
		assert_memory_equal(result.bytes + result.payload,
			frame.bytes + frame.payload + offset, payload);
		assert_memory_equal(result.bytes, frame.bytes, frame.l3);
		if (spec->protocol == IPPROTO_TCP)
			check_tcp_segment(offset, payload, i == 0, i == count - 1);
		else
			assert_int_equal(get16(result.bytes + result.l4 + 4), payload + 8);
		if (spec->ip_version == 4)
			assert_int_equal(
				get16(result.bytes + result.l3 + 4), (0xfffe + i) & 0xffff);
		assert_int_equal(packet_metadata(out[i])->vlan, 10);
		assert_false(offload_is_needed(out[i]));
		rte_pktmbuf_free(out[i]);
		offset += payload;
	}
	rte_pktmbuf_free(packet);
}

static void cuts_super_frames_into_right_segments(void **state)
{
	static const struct frame_spec super_specs[] = {
		{.ip_version = 4,
			.protocol = IPPROTO_TCP,
			.payload = 64000,
			.tcp_flags = 0x99,
			.tcp_options = 12},
		{.ip_version = 6, .protocol = IPPROTO_TCP, .payload = 20001, .tcp_flags = 0x18},
		{.ip_version = 6,
			.protocol = IPPROTO_TCP,
			.payload = 9000,
			.tags = 2,
			.ip_options = 24,
			.tcp_flags = 0x90},
		{.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 14721},
		{.ip_version = 4,
			.protocol = IPPROTO_TCP,
			.payload = 1449,
			.ip_options = 40,
			.tcp_flags = 0x11},
	};
	static const uint32_t segments[] = {0, 1000, 199};

	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < 3; j++) {
			cut_and_check(&super_specs[i], segments[j], 1448);
			cut_and_check(&super_specs[i], segments[j], 501);
			if (super_specs[i].payload > 8948)
				cut_and_check(&super_specs[i], segments[j], 8948);
		}
}

/* rte_gso cuts IPv4 TCP without filling in checksums: all else has to be the same. */
static void cuts_as_rte_gso_does(void **state)
{
	struct frame_spec spec = {
		.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 30000, .tcp_flags = 0x19};
	struct rte_mbuf *packet = make_super_frame(&spec, 0, 1448);
	struct rte_gso_ctx context = {.direct_pool = pool,
		.indirect_pool = pool,
		.gso_types = RTE_ETH_TX_OFFLOAD_TCP_TSO,
		.gso_size = 1448 + 54};
	struct rte_mbuf *theirs[OFFLOAD_SEGMENTS_MAX];
	int count, their_count;

	assert_int_equal(offload_validate(packet), 0);
	count = offload_segment(packet, pool, out, OFFLOAD_SEGMENTS_MAX);
	their_count = rte_gso_segment(packet, &context, theirs, OFFLOAD_SEGMENTS_MAX);
	assert_int_equal(count, their_count);
	for (int i = 0; i < count; i++) {
		take_result(out[i]);
		frame_from_mbuf(&whole, theirs[i]);
		memset(whole.bytes + 14 + 10, 0, 2);
		memset(result.bytes + 14 + 10, 0, 2);
		memset(whole.bytes + 34 + 16, 0, 2);
		memset(result.bytes + 34 + 16, 0, 2);
		assert_int_equal(result.size, whole.size);
		assert_memory_equal(result.bytes, whole.bytes, result.size);
	}
	rte_pktmbuf_free_bulk(out, (unsigned int)count);
	rte_pktmbuf_free_bulk(theirs, (unsigned int)their_count);
	rte_pktmbuf_free(packet);
}

static void does_not_write_into_the_data_of_clones(void **state)
{
	struct rte_mbuf *packet = make_partial(&specs[4], 0);
	struct rte_mbuf *clone;

	frame_from_mbuf(&whole, packet);
	clone = rte_pktmbuf_clone(packet, pool);
	*packet_metadata(clone) = *packet_metadata(packet);
	assert_int_equal(offload_finish_checksum(&clone, pool), 0);
	take_result(clone);
	assert_true(plain_is_right(&result));
	take_result(packet);
	assert_memory_equal(result.bytes, whole.bytes, whole.size);
	rte_pktmbuf_free(clone);
	rte_pktmbuf_free(packet);
}

static void prepares_the_pseudo_header_sum(void **state)
{
	for (size_t i = 0; i < SPEC_COUNT; i++) {
		struct rte_mbuf *packet = make_partial(&specs[i], 40);
		uint32_t at = frame.l4 + (specs[i].protocol == IPPROTO_TCP ? 16 : 6);

		frame.bytes[at] ^= 0x55;
		rte_pktmbuf_free(packet);
		packet = frame_to_mbuf(&frame, pool, 40);
		packet->ol_flags |= checksum_flag(&specs[i]);
		assert_int_equal(offload_prepare(&packet, pool), 0);
		take_result(packet);
		assert_int_equal(get16(result.bytes + at), plain_pseudo_sum(&frame));
		assert_int_equal(packet->l2_len, frame.l3);
		assert_int_equal(packet->l2_len + packet->l3_len, frame.l4);
		rte_pktmbuf_free(packet);
	}
}

static void expect_refused(struct rte_mbuf *packet)
{
	assert_int_equal(offload_validate(packet), -EINVAL);
	rte_pktmbuf_free(packet);
}

static void refuses_contradicting_wishes(void **state)
{
	struct rte_mbuf *packet = make_partial(&specs[0], 0);

	packet->ol_flags = RTE_MBUF_F_TX_UDP_CKSUM;
	expect_refused(packet);
	expect_refused(make_super_frame(&specs[0], 0, 0));
	/* 64000 bytes by 16 are more segments than a packet may make. */
	expect_refused(make_super_frame(
		&(struct frame_spec){.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 64000}, 0,
		16));
	packet = make_partial(&specs[0], 0);
	packet->ol_flags = RTE_MBUF_F_TX_SCTP_CKSUM;
	expect_refused(packet);
	/* A fragment's layer 4 is not all there. */
	packet = make_partial(&specs[0], 0);
	rte_pktmbuf_mtod(packet, uint8_t *)[14 + 6] = 0x20;
	expect_refused(packet);
	/* The IP length reaches beyond the frame. */
	packet = make_partial(&specs[0], 0);
	rte_pktmbuf_mtod(packet, uint8_t *)[14 + 2] = 0xff;
	expect_refused(packet);
	packet = make_partial(&specs[0], 0);
	rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - 20));
	expect_refused(packet);
}

static void ignores_flags_of_other_kinds(void **state)
{
	struct rte_mbuf *packet = make_partial(&specs[0], 0);

	packet->ol_flags = RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_TX_IP_CKSUM;
	assert_int_equal(offload_validate(packet), 0);
	assert_int_equal(packet->ol_flags, 0);
	rte_pktmbuf_free(packet);
}

static void counts_layer3_of_a_segment_against_the_mtu(void **state)
{
	struct rte_mbuf *packet = make_super_frame(
		&(struct frame_spec){
			.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 9000, .tags = 1},
		0, 1460);

	assert_int_equal(offload_layer3_size(packet), 1500);
	rte_pktmbuf_free(packet);
	packet = make_partial(&specs[3], 0);
	assert_int_equal(offload_layer3_size(packet), 20 + 8 + 999);
	rte_pktmbuf_free(packet);
}

static void finishes_for_an_engine_outside(void **state)
{
	int count;

	count = offload_finish(make_super_frame(&(struct frame_spec){.ip_version = 6,
							.protocol = IPPROTO_TCP,
							.payload = 3000},
				       0, 1000),
		pool, out, OFFLOAD_SEGMENTS_MAX);
	assert_int_equal(count, 3);
	rte_pktmbuf_free_bulk(out, 3);
	assert_int_equal(offload_finish(make_partial(&specs[1], 0), pool, out, 1), 1);
	rte_pktmbuf_free(out[0]);
	assert_int_equal(offload_finish(make_super_frame(&(struct frame_spec){.ip_version = 6,
								 .protocol = IPPROTO_TCP,
								 .payload = 3000},
						0, 1000),
				 pool, out, 2),
		-EINVAL);
}

static void gives_all_buffers_back(void **state)
{
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static int set_up(void **state)
{
	pool = frames_start("offload_test");
	return pool ? 0 : -1;
}

static int tear_down(void **state)
{
	return rte_eal_cleanup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finishes_checksums_as_computed_by_hand),
		cmocka_unit_test(leaves_the_trailer_out_of_the_checksum),
		cmocka_unit_test(never_makes_a_udp_checksum_of_zero),
		cmocka_unit_test(cuts_super_frames_into_right_segments),
		cmocka_unit_test(cuts_as_rte_gso_does),
		cmocka_unit_test(does_not_write_into_the_data_of_clones),
		cmocka_unit_test(prepares_the_pseudo_header_sum),
		cmocka_unit_test(refuses_contradicting_wishes),
		cmocka_unit_test(ignores_flags_of_other_kinds),
		cmocka_unit_test(counts_layer3_of_a_segment_against_the_mtu),
		cmocka_unit_test(finishes_for_an_engine_outside),
		cmocka_unit_test(gives_all_buffers_back),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
