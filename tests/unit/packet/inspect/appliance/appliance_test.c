/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes over the link, from the appliance or from somebody else: whatever it is, it breaks
 * nothing and reaches nobody else (I8, I10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "returns.h"

static struct rte_mbuf *returned;
static enum verdict verdict;

static int open_group(void **state)
{
	(void)state;
	return bench_start("appliance_test");
}

static int open_engine(void **state)
{
	(void)state;
	returns_open();
	return 0;
}

static int close_engine(void **state)
{
	(void)state;
	returns_close();
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
	return 0;
}

static bool take_back(struct rte_mbuf *frame)
{
	returned = NULL;
	return appliance_take_return(appliance, 0, &returns_end, frame, &returned, &verdict);
}

static uint64_t invalid_returns(void)
{
	return appliance->base.counters[0].invalid_returns;
}

static struct rte_mbuf *held; /* and its copy at the inspector, with the handle: */
static uint64_t handle;

static struct rte_mbuf *hand_out(const char *payload)
{
	held = make_udp(FROM_CLIENT, 2000, payload);
	handle = returns_hold(held, RETURNS_OWNER);
	return returns_copy(held);
}

static struct rte_mbuf *pass(struct rte_mbuf *frame)
{
	return returns_wrap(frame, MESSAGE_PASS, handle, BENCH_VLAN, returns_key());
}

/* I1 */
static void unchanged_packet_is_the_one_that_was_held(void **state)
{
	(void)state;
	assert_true(take_back(pass(hand_out("unchanged"))));
	assert_ptr_equal(returned, held);
	assert_int_equal(verdict, VERDICT_DEEPER);
	rte_pktmbuf_free(returned);
}

/* I3 */
static void changed_packet_is_a_replacement_with_the_origin_of_the_first(void **state)
{
	struct rte_mbuf *frame = hand_out("changed");

	(void)state;
	rte_pktmbuf_mtod(frame, uint8_t *)[frame->data_len - 1] ^= 1;
	memset(rte_pktmbuf_append(frame, 100), 7, 100); /* longer, too */
	assert_true(take_back(pass(frame)));
	assert_int_equal(verdict, VERDICT_REPLACE);
	assert_int_equal(packet_metadata(returned)->origin.kind, ORIGIN_PHYSICAL);
	assert_int_equal(packet_metadata(returned)->origin.ingress_port, BENCH_PHYSICAL);
	assert_int_equal(packet_metadata(returned)->vlan, BENCH_VLAN);
	rte_pktmbuf_free(returned);
}

/* I8 */
static void refusal_and_failure_come_without_the_frame(void **state)
{
	(void)state;
	rte_pktmbuf_free(hand_out("refused"));
	assert_true(take_back(returns_wrap(
		rte_pktmbuf_alloc(packet_pool), MESSAGE_DROP, handle, BENCH_VLAN, returns_key())));
	assert_int_equal(verdict, VERDICT_DROP);
	assert_int_equal(packet_metadata(returned)->drop_reason, DROP_inspect_remote);
	rte_pktmbuf_free(returned);
	rte_pktmbuf_free(hand_out("failed"));
	assert_true(take_back(returns_wrap(rte_pktmbuf_alloc(packet_pool), MESSAGE_FAILED, handle,
		BENCH_VLAN, returns_key())));
	assert_int_equal(verdict, VERDICT_FAILED);
	rte_pktmbuf_free(returned);
}

/* I10 */
static void handle_is_good_once(void **state)
{
	struct rte_mbuf *frame = hand_out("once"), *second;

	(void)state;
	second = returns_copy(frame);
	assert_true(take_back(pass(frame)));
	rte_pktmbuf_free(returned);
	assert_false(take_back(pass(second)));
	assert_int_equal(invalid_returns(), 1);
}

/* I10 */
static void handles_that_were_never_given_find_nothing(void **state)
{
	struct rte_mbuf *frame = hand_out("guessed");

	(void)state;
	for (int bit = 0; bit < 64; bit++)
		assert_false(take_back(returns_wrap(returns_copy(frame), MESSAGE_PASS,
			handle ^ 1ULL << bit, BENCH_VLAN, returns_key())));
	assert_int_equal(invalid_returns(), 64);
	rte_pktmbuf_free(frame);
	/* Another engine's, too. */
	frame = make_udp(FROM_CLIENT, 2000, "of the memif");
	handle = returns_hold(frame, RETURNS_EXTERNAL_OWNER);
	assert_false(take_back(pass(returns_copy(frame))));
}

/* I10 */
static void other_tenants_handle_does_not_carry_a_frame_there(void **state)
{
	struct rte_mbuf *other = make_udp(FROM_SERVER, 2001, "of web"),
			*frame = hand_out("of outside");
	uint64_t other_handle;

	(void)state;
	packet_metadata(other)->vlan = BENCH_VLAN + 10;
	other_handle = returns_hold(other, RETURNS_OWNER);
	assert_true(take_back(
		returns_wrap(frame, MESSAGE_PASS, other_handle, BENCH_VLAN + 10, returns_key())));
	assert_int_equal(verdict, VERDICT_DROP); /* the other's packet is lost, nothing else */
	assert_ptr_equal(returned, other);
	assert_int_equal(packet_metadata(returned)->drop_reason, DROP_inspect_invalid_return);
	rte_pktmbuf_free(returned);
}

/* I10 */
static void other_network_addresses_or_ethertype_are_refused(void **state)
{
	struct rte_mbuf *network = hand_out("network");

	(void)state;
	assert_true(take_back(
		returns_wrap(network, MESSAGE_PASS, handle, BENCH_VLAN + 1, returns_key())));
	assert_int_equal(verdict, VERDICT_DROP);
	rte_pktmbuf_free(returned);
	for (int at = 0; at < 14; at++) {
		struct rte_mbuf *frame = hand_out("headers");

		rte_pktmbuf_mtod(frame, uint8_t *)[at] ^= 0x40;
		assert_true(take_back(pass(frame)));
		assert_int_equal(verdict, VERDICT_DROP);
		rte_pktmbuf_free(returned);
	}
	assert_int_equal(invalid_returns(), 15);
}

/* I10 */
static void frames_too_short_to_be_one_are_refused(void **state)
{
	(void)state;
	for (uint16_t size = 0; size < 14; size++) {
		struct rte_mbuf *frame = hand_out("short");

		rte_pktmbuf_trim(frame, (uint16_t)(frame->data_len - size));
		assert_true(take_back(pass(frame)));
		assert_int_equal(verdict, VERDICT_DROP);
		rte_pktmbuf_free(returned);
	}
}

/* I8 */
static void each_bit_between_option_and_end_is_covered(void **state)
{
	struct rte_mbuf *sealed = pass(hand_out("covered"));
	uint32_t first = 14 + 20 + 8 + 4; /* the network id and what follows */

	(void)state;
	for (uint32_t at = first; at < sealed->data_len; at++) {
		struct rte_mbuf *changed = returns_copy(sealed);

		rte_pktmbuf_mtod(changed, uint8_t *)[at] ^= 0x01;
		if (at == 14 + 20 + 8 + 7) { /* reserved: ignored on receipt, RFC 8926 3.4 */
			rte_pktmbuf_free(changed);
			continue;
		}
		assert_false(take_back(changed));
	}
	assert_true(take_back(sealed));
	rte_pktmbuf_free(returned);
}

/* I8 */
static void what_we_sent_does_not_serve_as_an_answer(void **state)
{
	struct rte_mbuf *frame = hand_out("reflected");
	const struct message request = {.kind = MESSAGE_REQUEST, .key = 1, .handle = handle};

	(void)state;
	assert_true(message_seal(frame, &request, BENCH_VLAN, 0, &inspector_end, &inspector_peer,
		returns_key(), &returns_port));
	assert_false(take_back(returns_copy(frame)));
	/* With the kind changed it is not authentic. */
	rte_pktmbuf_mtod(frame, uint8_t *)[14 + 20 + 8 + 8 + 4] = MESSAGE_PASS;
	assert_false(take_back(frame));
	assert_int_equal(appliance->workers[0]->forged, 2);
}

/* I8 */
static void other_keys_and_other_senders_are_nobody(void **state)
{
	struct link_key other = {.id = 1, .bytes = {1, 2, 4}}, unknown = *returns_key();
	struct rte_mbuf *frame = hand_out("keys");

	(void)state;
	unknown.id = 2;
	assert_false(take_back(
		returns_wrap(returns_copy(frame), MESSAGE_PASS, handle, BENCH_VLAN, &other)));
	assert_false(take_back(
		returns_wrap(returns_copy(frame), MESSAGE_PASS, handle, BENCH_VLAN, &unknown)));
	inspector_end.local.bytes[3] = 99;
	assert_false(take_back(pass(returns_copy(frame))));
	inspector_end.local.bytes[3] = 2;
	assert_true(take_back(pass(frame)));
	rte_pktmbuf_free(returned);
}

/* I8 */
static void answers_count_for_the_probe_under_way_alone(void **state)
{
	(void)state;
	appliance->nonce = 42;
	for (uint64_t nonce = 41; nonce <= 42; nonce++) {
		struct rte_mbuf *answer = rte_pktmbuf_alloc(packet_pool);
		const struct message message = {.kind = MESSAGE_ANSWER,
			.key = 1,
			.flags = MESSAGE_IS_READY,
			.handle = nonce};

		assert_int_equal(appliance->answered_nonce, 0);
		assert_true(message_seal(answer, &message, 0, 0, &inspector_end, &inspector_peer,
			returns_key(), &returns_port));
		assert_false(take_back(answer));
	}
	assert_int_equal(appliance->answered_nonce, 42);
	assert_true(appliance->is_ready);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_engine, close_engine)
	const struct CMUnitTest tests[] = {
		TEST(unchanged_packet_is_the_one_that_was_held),
		TEST(changed_packet_is_a_replacement_with_the_origin_of_the_first),
		TEST(refusal_and_failure_come_without_the_frame),
		TEST(handle_is_good_once),
		TEST(handles_that_were_never_given_find_nothing),
		TEST(other_tenants_handle_does_not_carry_a_frame_there),
		TEST(other_network_addresses_or_ethertype_are_refused),
		TEST(frames_too_short_to_be_one_are_refused),
		TEST(each_bit_between_option_and_end_is_covered),
		TEST(what_we_sent_does_not_serve_as_an_answer),
		TEST(other_keys_and_other_senders_are_nobody),
		TEST(answers_count_for_the_probe_under_way_alone),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
