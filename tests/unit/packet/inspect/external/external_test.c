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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_external, close_external)
	const struct CMUnitTest tests[] = {
		TEST(unchanged_packet_is_the_one_that_was_held),
		TEST(changed_packet_replaces_it),
		TEST(packet_returned_twice_goes_once),
		TEST(guessed_handles_find_nothing),
		TEST(other_addresses_or_vlan_are_dropped),
		TEST(runts_and_foreign_frames_are_counted),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
