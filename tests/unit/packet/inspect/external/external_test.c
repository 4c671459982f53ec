/* SPDX-License-Identifier: BSD-3-Clause */
/* What an inspector outside may return, whatever it is, breaks nothing and reaches nobody else
 * (I10). */
#include "packet/inspect/external/external.h"
#include "packet/inspect/external/vn_tag.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../bench.h"

#define OWNER 9

static struct external *external;
static struct rte_mbuf *returned;
static enum verdict verdict;

static int open_group(void **state)
{
	(void)state;
	return bench_start("external_test");
}

static int open_external(void **state)
{
	(void)state;
	external = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*external), RTE_CACHE_LINE_SIZE));
	memset(external, 0, sizeof(*external));
	external->base.ops = &external_inspector;
	external->base.owner = OWNER;
	external->worker_count = 1;
	external->frame_max = UINT16_MAX;
	external->workers[0] = calloc(1, sizeof(*external->workers[0]));
	inspect_workers[0] = calloc(1, sizeof(*inspect_workers[0]));
	inspect_workers[0]->holds = hold_table_create(64);
	return 0;
}

static int close_external(void **state)
{
	(void)state;
	hold_table_destroy(inspect_workers[0]->holds);
	free(inspect_workers[0]);
	inspect_workers[0] = NULL;
	free(external->workers[0]);
	free(external);
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
	return 0;
}

/* Holds packet and makes what the inspector is sent for it. */
static struct rte_mbuf *hand_out(struct rte_mbuf *packet)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(packet_pool);
	uint64_t handle;
	uint32_t small;
	uint8_t *out;

	assert_int_equal(hold_insert(inspect_workers[0]->holds, packet, OWNER,
				 clock_monotonic_ns() + CLOCK_NS_PER_S, &handle),
		0);
	assert_int_equal(
		hold_handle_shorten(handle, VN_TAG_INDEX_BITS, VN_TAG_TAG_BITS, &small), 0);
	out = (uint8_t *)rte_pktmbuf_append(copy, (uint16_t)(packet->pkt_len + VN_TAG_SIZE));
	vn_tag_write(out, rte_pktmbuf_mtod(packet, uint8_t *), small, BENCH_VLAN);
	memcpy(out + VN_TAG_MACS + VN_TAG_SIZE,
		rte_pktmbuf_mtod_offset(packet, uint8_t *, VN_TAG_MACS),
		packet->pkt_len - VN_TAG_MACS);
	return copy;
}

static bool take_back(struct rte_mbuf *frame)
{
	returned = NULL;
	return external_take_return(external, 0, frame, &returned, &verdict);
}

static uint64_t invalid_returns(void)
{
	return external->base.counters[0].invalid_returns;
}

/* I1 */
static void unchanged_packet_is_the_one_that_was_held(void **state)
{
	struct rte_mbuf *packet = make_udp(FROM_CLIENT, 2000, "unchanged");

	(void)state;
	assert_true(take_back(hand_out(packet)));
	assert_ptr_equal(returned, packet);
	assert_int_equal(verdict, VERDICT_DEEPER);
	rte_pktmbuf_free(returned);
}

/* I3: other bytes and another length, with the origin of the one that was held. */
static void changed_packet_replaces_it(void **state)
{
	struct rte_mbuf *frame = hand_out(make_udp(FROM_CLIENT, 2000, "change me"));

	(void)state;
	rte_pktmbuf_mtod(frame, uint8_t *)[frame->pkt_len - 1] = 'X';
	rte_pktmbuf_append(frame, 4);
	assert_true(take_back(frame));
	assert_int_equal(verdict, VERDICT_REPLACE);
	assert_int_equal(packet_metadata(returned)->vlan, BENCH_VLAN);
	assert_int_equal(packet_metadata(returned)->origin.kind, ORIGIN_PHYSICAL);
	assert_int_equal(returned->pkt_len, 14 + 20 + 8 + 9 + 4);
	assert_int_equal(network_load16(rte_pktmbuf_mtod_offset(returned, uint8_t *, 12)), 0x0800);
	rte_pktmbuf_free(returned);
}

/* I10 */
static void packet_returned_twice_goes_once(void **state)
{
	struct rte_mbuf *frame = hand_out(make_udp(FROM_CLIENT, 2000, "twice"));
	struct rte_mbuf *again = rte_pktmbuf_copy(frame, packet_pool, 0, UINT32_MAX);

	(void)state;
	assert_true(take_back(frame));
	rte_pktmbuf_free(returned);
	assert_false(take_back(again));
	assert_int_equal(invalid_returns(), 1);
}

/* I10 */
static void guessed_handles_find_nothing(void **state)
{
	struct rte_mbuf *packet = make_udp(FROM_CLIENT, 2000, "guess");
	struct rte_mbuf *frame = hand_out(packet);
	int found = 0;

	(void)state;
	for (uint32_t guess = 0; guess < 200; guess++) {
		struct rte_mbuf *forged = rte_pktmbuf_copy(frame, packet_pool, 0, UINT32_MAX);
		uint8_t *bytes = rte_pktmbuf_mtod(forged, uint8_t *);
		uint32_t tag = network_load32(bytes + 14);

		network_store32(bytes + 14, tag ^ ((guess + 1) << 16 & 0x3fff0000));
		found += take_back(forged);
	}
	assert_int_equal(found, 0);
	assert_int_equal(invalid_returns(), 200);
	assert_true(take_back(frame));
	rte_pktmbuf_free(returned);
}

/* I10: it cannot send a packet elsewhere than it was going. */
static void other_addresses_or_vlan_are_dropped(void **state)
{
	(void)state;
	for (int byte = 0; byte < 22; byte++) {
		struct rte_mbuf *frame = hand_out(make_udp(FROM_CLIENT, 2000, "elsewhere"));

		if (byte >= 12 && byte < 20)
			goto take;
		/* A MAC address, or the VLAN id. */
		rte_pktmbuf_mtod(frame, uint8_t *)[byte] ^= 0x01;
		assert_true(take_back(frame));
		assert_int_equal(verdict, VERDICT_DROP);
		assert_int_equal(
			packet_metadata(returned)->drop_reason, DROP_inspect_invalid_return);
		rte_pktmbuf_free(returned);
		continue;
	take:
		assert_true(take_back(frame));
		rte_pktmbuf_free(returned);
	}
}

/* I10: a tag in front of what was there would be a way into another VLAN. */
static void other_ethertype_is_dropped(void **state)
{
	(void)state;
	for (int byte = 22; byte < 24; byte++) {
		struct rte_mbuf *frame = hand_out(make_udp(FROM_CLIENT, 2000, "ethertype"));

		rte_pktmbuf_mtod(frame, uint8_t *)[byte] ^= 0x01;
		assert_true(take_back(frame));
		assert_int_equal(verdict, VERDICT_DROP);
		rte_pktmbuf_free(returned);
	}
}

/* I10 */
static void runts_and_foreign_frames_are_counted(void **state)
{
	(void)state;
	for (uint16_t size = 0; size < 40; size++) {
		struct rte_mbuf *frame = rte_pktmbuf_alloc(packet_pool);

		memset(rte_pktmbuf_append(frame, size), 0x26, size);
		assert_false(take_back(frame));
	}
	assert_false(take_back(make_udp(FROM_CLIENT, 2000, "no tag at all")));
	assert_int_equal(invalid_returns(), 41);
}

/* What an inspector that works in order has not returned, it has kept back. */
static struct rte_mbuf *hand_out_in_order(struct rte_mbuf *packet)
{
	struct external_worker *own = external->workers[0];
	struct rte_mbuf *frame = hand_out(packet);
	uint16_t vlan;

	assert_true(vn_tag_read(rte_pktmbuf_mtod(frame, const uint8_t *), frame->data_len,
		&own->order[own->order_head++ % EXTERNAL_ORDER_MAX], &vlan));
	return frame;
}

static uint16_t collect(struct rte_mbuf **packets, enum verdict *verdicts)
{
	external->workers[0]->was_down = true; /* nobody is connected, and nothing is released */
	external->base.is_down = true;
	return external_collect(&external->base, 0, packets, verdicts, 16);
}

/* I7: whatever on-failure says. */
static void what_came_before_a_return_is_dropped(void **state)
{
	struct rte_mbuf *frames[4], *packets[16];
	enum verdict verdicts[16];

	(void)state;
	external->is_ordered = true;
	external->omitted_reason = DROP_suricata_drop;
	for (int i = 0; i < 4; i++)
		frames[i] = hand_out_in_order(make_udp(FROM_CLIENT, 2000, "in order"));
	assert_true(take_back(frames[2]));
	assert_int_equal(verdict, VERDICT_DEEPER);
	rte_pktmbuf_free(returned);
	assert_int_equal(collect(packets, verdicts), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(verdicts[i], VERDICT_DROP);
		assert_int_equal(packet_metadata(packets[i])->drop_reason, DROP_suricata_drop);
		rte_pktmbuf_free(packets[i]);
	}
	assert_int_equal(hold_count(inspect_workers[0]->holds), 1);
	/* Too late, out of order: they are gone. */
	assert_false(take_back(frames[0]));
	assert_false(take_back(frames[1]));
	assert_int_equal(invalid_returns(), 2);
	assert_true(take_back(frames[3]));
	rte_pktmbuf_free(returned);
	assert_int_equal(external->workers[0]->order_tail, external->workers[0]->order_head);
}

static struct rte_mbuf *fence(uint32_t handle)
{
	struct rte_mbuf *frame = make_udp(FROM_CLIENT, 2000, "a fence by its VLAN");
	uint8_t macs[12] = {2};

	vn_tag_write(rte_pktmbuf_mtod(frame, uint8_t *), macs, handle, 4095);
	return frame;
}

/* I7: when nothing follows by itself. */
static void fence_settles_what_was_sent_before_it(void **state)
{
	struct external_worker *own = external->workers[0];
	struct rte_mbuf *frames[2], *packets[16];
	enum verdict verdicts[16];

	(void)state;
	external->is_ordered = true;
	external->omitted_reason = DROP_suricata_drop;
	own->is_answering = true;
	frames[0] = hand_out_in_order(make_udp(FROM_CLIENT, 2000, "before"));
	own->fence.handle = 77;
	own->fence.order = own->order_head;
	own->fence.sent_ns = clock_monotonic_ns();
	frames[1] = hand_out_in_order(make_udp(FROM_CLIENT, 2000, "behind"));
	assert_false(take_back(fence(76)));
	assert_int_equal(hold_count(inspect_workers[0]->holds), 2);
	assert_false(take_back(fence(77)));
	assert_int_equal(hold_count(inspect_workers[0]->holds), 1);
	assert_int_equal(own->fence.sent_ns, 0);
	own->is_answering = true;
	assert_false(take_back(fence(77)));
	assert_int_equal(invalid_returns(), 1);
	assert_int_equal(collect(packets, verdicts), 1);
	assert_int_equal(verdicts[0], VERDICT_DROP);
	rte_pktmbuf_free(packets[0]);
	assert_false(take_back(frames[0]));
	assert_true(take_back(frames[1]));
	rte_pktmbuf_free(returned);
}

/* I7: over vhost-user jumbo frames go and come in pieces, cut differently. */
static void frames_in_pieces_are_compared_as_a_whole(void **state)
{
	struct rte_mbuf *packet = make_udp(FROM_CLIENT, 2000, "first piece");
	struct rte_mbuf *more = rte_pktmbuf_alloc(packet_pool);
	struct rte_mbuf *frame, *rest;

	(void)state;
	memset(rte_pktmbuf_append(more, 1000), 'm', 1000);
	frame = hand_out(packet);
	rest = rte_pktmbuf_alloc(packet_pool);
	memset(rte_pktmbuf_append(frame, 300), 'm', 300);
	memset(rte_pktmbuf_append(rest, 700), 'm', 700);
	rte_pktmbuf_chain(frame, rest);
	rte_pktmbuf_chain(packet, more);
	assert_true(take_back(frame));
	assert_int_equal(verdict, VERDICT_DEEPER);
	assert_ptr_equal(returned, packet);
	rte_pktmbuf_free(returned);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_external, close_external)
	const struct CMUnitTest tests[] = {
		TEST(unchanged_packet_is_the_one_that_was_held),
		TEST(changed_packet_replaces_it),
		TEST(packet_returned_twice_goes_once),
		TEST(guessed_handles_find_nothing),
		TEST(other_addresses_or_vlan_are_dropped),
		TEST(other_ethertype_is_dropped),
		TEST(runts_and_foreign_frames_are_counted),
		TEST(what_came_before_a_return_is_dropped),
		TEST(fence_settles_what_was_sent_before_it),
		TEST(frames_in_pieces_are_compared_as_a_whole),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
