/* SPDX-License-Identifier: BSD-3-Clause */
/* G11, G13: what a packet looks like when it leaves: tags, sizes, padding, offloads. */
#include "packet/port/offload.h"
#include "packet/port/transmit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "frames.h"

#include <cmocka.h>

static struct rte_mempool *pool;
static struct frame frame, result;
static struct port *port;

static const struct frame_spec tcp = {.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 100};
static const struct frame_spec jumbo = {.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 9000};

static struct rte_mbuf *make(const struct frame_spec *spec, uint32_t segment)
{
	struct rte_mbuf *packet;

	frame_make(&frame, spec);
	frame_leave_checksum(&frame);
	packet = frame_to_mbuf(&frame, pool, segment);
	*packet_metadata(packet) =
		(struct packet_metadata){.vlan = 10, .priority = 5, .tci_bits = 0x3};
	return packet;
}

static void leaves_untagged_frames_as_they_are(void **state)
{
	struct rte_mbuf *packet = make(&tcp, 0);

	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	frame_from_mbuf(&result, packet);
	assert_int_equal(result.size, frame.size);
	assert_memory_equal(result.bytes, frame.bytes, frame.size);
	rte_pktmbuf_free(packet);
}

static void inserts_the_tag_with_priority_and_dei(void **state)
{
	static const uint8_t tag[] = {0x81, 0x00, 0xb0, 0x0a};

	port_set_vlan_tagged(port, 10, true);
	for (uint32_t segment = 0; segment <= 40; segment += 5) {
		struct rte_mbuf *packet = make(&tcp, segment);

		assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
		frame_from_mbuf(&result, packet);
		assert_int_equal(result.size, frame.size + 4);
		assert_memory_equal(result.bytes, frame.bytes, 12);
		assert_memory_equal(result.bytes + 12, tag, 4);
		assert_memory_equal(result.bytes + 16, frame.bytes + 12, frame.size - 12);
		rte_pktmbuf_free(packet);
	}
}

static void tags_a_clone_without_touching_its_twin(void **state)
{
	struct rte_mbuf *packet = make(&tcp, 0), *clone = rte_pktmbuf_clone(packet, pool);

	*packet_metadata(clone) = *packet_metadata(packet);
	port_set_vlan_tagged(port, 10, true);
	assert_int_equal(transmit_prepare(port, &clone, pool), DROP_none);
	frame_from_mbuf(&result, clone);
	assert_int_equal(result.size, frame.size + 4);
	assert_memory_equal(result.bytes + 16, frame.bytes + 12, frame.size - 12);
	/* The original shares its data with the clone: it has to be copied as well. */
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	assert_int_equal(packet->pkt_len, frame.size + 4);
	rte_pktmbuf_free(packet);
	frame_from_mbuf(&result, clone);
	assert_memory_equal(result.bytes + 16, frame.bytes + 12, frame.size - 12);
	rte_pktmbuf_free(clone);
}

static void pads_runts_for_a_wire_only(void **state)
{
	struct frame_spec spec = {.ip_version = 4, .protocol = IPPROTO_UDP};
	struct rte_mbuf *packet = make(&spec, 0);

	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	assert_int_equal(packet->pkt_len, 42);
	rte_pktmbuf_free(packet);
	port->is_wire = true;
	packet = make(&spec, 20);
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	frame_from_mbuf(&result, packet);
	assert_int_equal(result.size, 60);
	assert_memory_equal(result.bytes, frame.bytes, 42);
	for (int i = 42; i < 60; i++)
		assert_int_equal(result.bytes[i], 0);
	rte_pktmbuf_free(packet);
}

static void refuses_frames_above_the_mtu(void **state)
{
	struct frame_spec spec = {.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 1473};
	struct rte_mbuf *packet = make(&spec, 0);

	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_tx_too_big);
	rte_pktmbuf_free(packet);
	spec.payload = 1472;
	spec.tags = 2;
	packet = make(&spec, 0);
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	rte_pktmbuf_free(packet);
	port->mtu_bytes = 9000;
	spec.payload = 8972;
	packet = make(&spec, 0);
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	rte_pktmbuf_free(packet);
}

static struct rte_mbuf *make_super_frame(uint16_t size)
{
	struct rte_mbuf *packet = make(&jumbo, 0);

	packet->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	packet->tso_segsz = size;
	assert_int_equal(offload_validate(packet), 0);
	return packet;
}

static void passes_super_frames_to_a_peer_that_takes_them(void **state)
{
	struct rte_mbuf *packet = make_super_frame(1460);

	port_set_vlan_tagged(port, 10, true);
	port->offloads = PORT_OFFLOAD_CHECKSUM | PORT_OFFLOAD_TSO4;
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	assert_true(transmit_takes_super_frame(port, packet));
	assert_int_equal(packet->pkt_len, frame.size + 4);
	assert_int_equal(packet->l2_len, 18);
	port->offloads = PORT_OFFLOAD_CHECKSUM | PORT_OFFLOAD_TSO6;
	assert_false(transmit_takes_super_frame(port, packet));
	rte_pktmbuf_free(packet);
}

static void refuses_super_frames_whose_segments_are_above_the_mtu(void **state)
{
	struct rte_mbuf *packet = make_super_frame(1461);

	port->offloads = PORT_OFFLOAD_CHECKSUM | PORT_OFFLOAD_TSO4;
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_tx_too_big);
	rte_pktmbuf_free(packet);
}

static void finishes_checksums_for_a_peer_that_cannot(void **state)
{
	struct rte_mbuf *packet = make(&tcp, 0);

	packet->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	assert_false(offload_is_needed(packet));
	result = frame;
	frame_from_mbuf(&result, packet);
	assert_true(plain_is_right(&result));
	rte_pktmbuf_free(packet);
}

static void makes_one_segment_for_a_device_that_needs_it(void **state)
{
	struct rte_mbuf *packet = make(&tcp, 50);

	port->is_linear = true;
	assert_int_equal(transmit_prepare(port, &packet, pool), DROP_none);
	assert_int_equal(packet->nb_segs, 1);
	rte_pktmbuf_free(packet);
}

static void gives_all_buffers_back(void **state)
{
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static int reset_port(void **state)
{
	memset(port, 0, sizeof(*port));
	port->mtu_bytes = 1500;
	return 0;
}

static int set_up(void **state)
{
	port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	pool = frames_start("transmit_test");
	return port && pool ? 0 : -1;
}

static int tear_down(void **state)
{
	free(port);
	return rte_eal_cleanup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(leaves_untagged_frames_as_they_are, reset_port),
		cmocka_unit_test_setup(inserts_the_tag_with_priority_and_dei, reset_port),
		cmocka_unit_test_setup(tags_a_clone_without_touching_its_twin, reset_port),
		cmocka_unit_test_setup(pads_runts_for_a_wire_only, reset_port),
		cmocka_unit_test_setup(refuses_frames_above_the_mtu, reset_port),
		cmocka_unit_test_setup(passes_super_frames_to_a_peer_that_takes_them, reset_port),
		cmocka_unit_test_setup(
			refuses_super_frames_whose_segments_are_above_the_mtu, reset_port),
		cmocka_unit_test_setup(finishes_checksums_for_a_peer_that_cannot, reset_port),
		cmocka_unit_test_setup(makes_one_segment_for_a_device_that_needs_it, reset_port),
		cmocka_unit_test(gives_all_buffers_back),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
