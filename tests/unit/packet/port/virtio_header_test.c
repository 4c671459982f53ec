/* SPDX-License-Identifier: BSD-3-Clause */
/* G11: virtio-net headers to mbufs and back, and what impossible ones get. */
#include "packet/port/kernel.h"
#include "packet/port/offload.h"
#include "packet/port/virtio_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "frames.h"

#include <errno.h>

#include <cmocka.h>

static struct rte_mempool *pool;
static struct frame frame, result;

static const struct frame_spec tcp4 = {
	.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 3000, .tcp_flags = 0x98};
static const struct frame_spec tcp6 = {
	.ip_version = 6, .protocol = IPPROTO_TCP, .payload = 3000, .tags = 1};
static const struct frame_spec udp4 = {.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 300};

static struct rte_mbuf *make(const struct frame_spec *spec)
{
	frame_make(&frame, spec);
	frame_leave_checksum(&frame);
	return frame_to_mbuf(&frame, pool, 0);
}

static struct virtio_net_hdr tcp_header(uint8_t gso_type, uint16_t gso_size)
{
	return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type,
		.gso_size = gso_size,
		.csum_start = (uint16_t)frame.l4,
		.csum_offset = 16};
}

static void translates_tcp_super_frames_both_ways(void **state)
{
	const struct frame_spec *specs[] = {&tcp4, &tcp6};
	const uint8_t types[] = {
		VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, VIRTIO_NET_HDR_GSO_TCPV6};

	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *packet = make(specs[i]);
		struct virtio_net_hdr header = tcp_header(types[i], 1400), back;

		assert_int_equal(virtio_header_decode(&header, packet), 0);
		assert_int_equal(offload_validate(packet), 0);
		assert_true(packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
		assert_int_equal(packet->tso_segsz, 1400);
		assert_int_equal(offload_prepare(&packet, pool), 0);
		virtio_header_encode(packet, &back);
		assert_int_equal(back.flags, header.flags);
		assert_int_equal(back.gso_type, header.gso_type);
		assert_int_equal(back.gso_size, header.gso_size);
		assert_int_equal(back.csum_start, header.csum_start);
		assert_int_equal(back.csum_offset, header.csum_offset);
		assert_int_equal(back.hdr_len, frame.payload);
		rte_pktmbuf_free(packet);
	}
}

static void translates_partial_udp_checksums_both_ways(void **state)
{
	struct rte_mbuf *packet = make(&udp4);
	struct virtio_net_hdr back,
		header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = (uint16_t)frame.l4,
			.csum_offset = 6};

	assert_int_equal(virtio_header_decode(&header, packet), 0);
	assert_int_equal(offload_validate(packet), 0);
	virtio_header_encode(packet, &back);
	assert_memory_equal(&back, &header, sizeof(back));
	rte_pktmbuf_free(packet);
}

static void says_nothing_of_plain_frames(void **state)
{
	struct rte_mbuf *packet = make(&udp4);
	struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_DATA_VALID}, empty = {0};

	assert_int_equal(virtio_header_decode(&header, packet), 0);
	assert_int_equal(packet->ol_flags, 0);
	virtio_header_encode(packet, &header);
	assert_memory_equal(&header, &empty, sizeof(header));
	rte_pktmbuf_free(packet);
}

/* As of a tunnel: the checksum is that of the inner packet, the outer one has none. */
static void fills_in_checksums_in_other_places(void **state)
{
	struct rte_mbuf *packet = make(&udp4);
	uint32_t start = frame.payload + 50;
	struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)start,
		.csum_offset = 6};

	assert_int_equal(virtio_header_decode(&header, packet), 0);
	assert_false(offload_is_needed(packet));
	frame_from_mbuf(&result, packet);
	/* What was in the field (the pseudo header's sum) has been replaced by the complement. */
	assert_int_equal(get16(result.bytes + start + 6),
		0xffff & ~plain_sum(frame.bytes + start, frame.size - start, 0));
	rte_pktmbuf_free(packet);
}

static void expect_refused(const struct frame_spec *spec, struct virtio_net_hdr header)
{
	struct rte_mbuf *packet = make(spec);

	assert_true(virtio_header_decode(&header, packet) < 0 || offload_validate(packet) < 0);
	rte_pktmbuf_free(packet);
}

static void refuses_impossible_headers(void **state)
{
	struct rte_mbuf *packet = make(&tcp4);
	struct virtio_net_hdr good = tcp_header(VIRTIO_NET_HDR_GSO_TCPV4, 1400), bad;

	rte_pktmbuf_free(packet);
	bad = good, bad.gso_size = 0;
	expect_refused(&tcp4, bad);
	bad = good, bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	expect_refused(&tcp4, bad);
	bad = good, bad.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	expect_refused(&tcp4, bad);
	bad = good, bad.gso_type = 77;
	expect_refused(&tcp4, bad);
	bad = good, bad.gso_type = VIRTIO_NET_HDR_GSO_ECN;
	expect_refused(&tcp4, bad);
	bad = good, bad.csum_start = 35;
	expect_refused(&tcp4, bad);
	bad = good, bad.csum_start = 0xffff, bad.csum_offset = 0xffff, bad.gso_type = 0;
	expect_refused(&tcp4, bad);
	bad = good, bad.csum_start = 3000, bad.csum_offset = 1, bad.gso_type = 0;
	expect_refused(&tcp4, bad);
	bad = good, bad.gso_size = 1;
	expect_refused(&tcp4, bad);
	expect_refused(&udp4, good);
}

static void drops_the_wish_to_cut_what_fits(void **state)
{
	struct rte_mbuf *packet = make(&tcp4);
	struct virtio_net_hdr header = tcp_header(VIRTIO_NET_HDR_GSO_TCPV4, 3000);

	assert_int_equal(virtio_header_decode(&header, packet), 0);
	assert_int_equal(offload_validate(packet), 0);
	assert_false(offload_is_super_frame(packet));
	assert_true(offload_is_needed(packet));
	rte_pktmbuf_free(packet);
}

/* G13 */
static void puts_tags_back_as_the_kernel_took_them_off(void **state)
{
	struct rte_mbuf *packet = make(&tcp4);
	struct virtio_net_hdr header = tcp_header(VIRTIO_NET_HDR_GSO_TCPV4, 1400);
	static const uint8_t tag[] = {0x88, 0xa8, 0xf0, 0x64};

	assert_int_equal(kernel_insert_tag(packet, &header, 0x88a8, 0xf064), 0);
	frame_from_mbuf(&result, packet);
	assert_int_equal(result.size, frame.size + 4);
	assert_memory_equal(result.bytes, frame.bytes, 12);
	assert_memory_equal(result.bytes + 12, tag, 4);
	assert_memory_equal(result.bytes + 16, frame.bytes + 12, frame.size - 12);
	assert_int_equal(virtio_header_decode(&header, packet), 0);
	assert_int_equal(offload_validate(packet), 0);
	assert_int_equal(packet->l2_len, 18);
	rte_pktmbuf_free(packet);
}

static void refuses_to_tag_a_fragment_of_a_header(void **state)
{
	struct rte_mbuf *packet = make(&udp4);
	struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = UINT16_MAX};

	assert_int_equal(kernel_insert_tag(packet, &header, 0x8100, 1), -EINVAL);
	rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - 11));
	assert_int_equal(kernel_insert_tag(packet, &header, 0x8100, 1), -EINVAL);
	rte_pktmbuf_free(packet);
}

static int set_up(void **state)
{
	pool = frames_start("virtio_header_test");
	return pool ? 0 : -1;
}

static int tear_down(void **state)
{
	return rte_eal_cleanup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(translates_tcp_super_frames_both_ways),
		cmocka_unit_test(translates_partial_udp_checksums_both_ways),
		cmocka_unit_test(says_nothing_of_plain_frames),
		cmocka_unit_test(fills_in_checksums_in_other_places),
		cmocka_unit_test(refuses_impossible_headers),
		cmocka_unit_test(drops_the_wish_to_cut_what_fits),
		cmocka_unit_test(puts_tags_back_as_the_kernel_took_them_off),
		cmocka_unit_test(refuses_to_tag_a_fragment_of_a_header),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
