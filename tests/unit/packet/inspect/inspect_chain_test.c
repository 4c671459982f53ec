/* SPDX-License-Identifier: BSD-3-Clause */
/* The chain of inspectors and its failure policies (I1, I4, I10), with inspectors of the test. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench.h"

/* Gives the verdict that the test asks for; holds, and gives back, what it is told. */
struct fake {
	struct inspector base;
	enum verdict verdict;
	int seen;
	uint64_t handles[16];
	int held, returned;
	bool is_hostile; /* returns what it was never given, and each thing twice */
};

static void fake_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts)
{
	struct fake *fake = (struct fake *)inspector;

	for (uint16_t i = 0; i < count; i++) {
		fake->seen++;
		verdicts[i] = fake->verdict;
		if (fake->verdict == VERDICT_DROP)
			drop_mark(packets[i], DROP_inspect_rule);
		if (fake->verdict != VERDICT_HELD)
			continue;
		if (inspect_hold(worker, inspector, packets[i], clock_monotonic_ns(),
			    &fake->handles[fake->held])
			< 0) {
			drop_mark(packets[i], DROP_inspect_overload);
			verdicts[i] = VERDICT_FAILED;
		} else {
			fake->held++;
		}
	}
}

static uint16_t fake_collect(struct inspector *inspector, uint16_t worker,
	struct rte_mbuf **packets, enum verdict *verdicts, uint16_t max)
{
	struct fake *fake = (struct fake *)inspector;
	struct hold_table *holds = inspect_workers[worker]->holds;
	uint16_t count = 0;

	while (fake->returned < fake->held && count < max) {
		uint64_t handle = fake->handles[fake->returned++];

		if (fake->is_hostile) {
			assert_null(hold_take(holds, handle + 1, inspector->owner));
			assert_null(hold_take(holds, ~handle, inspector->owner));
		}
		packets[count] = hold_take(holds, handle, inspector->owner);
		if (fake->is_hostile)
			assert_null(hold_take(holds, handle, inspector->owner));
		verdicts[count] = VERDICT_PASS;
		count += packets[count] != NULL;
	}
	return count;
}

static const struct inspector_ops fake_ops = {
	.name = "fake", .submit = fake_submit, .collect = fake_collect};

static struct fake *fakes[2];

static int open_group(void **state)
{
	(void)state;
	return bench_start("inspect_chain_test");
}

static int open_chain(void **state)
{
	(void)state;
	inspect_chain = calloc(1, sizeof(*inspect_chain) + 2 * sizeof(struct inspect_party));
	inspect_chain->deadline_ns = 50 * CLOCK_NS_PER_MS;
	for (int i = 0; i < 2; i++) {
		fakes[i] = calloc(1, sizeof(*fakes[i]) + 64);
		fakes[i]->base.ops = &fake_ops;
		fakes[i]->base.owner = (uint16_t)(10 + i);
		fakes[i]->verdict = VERDICT_DEEPER;
		inspect_chain->engines[i] = &fakes[i]->base;
	}
	inspect_chain->count = 2;
	inspect_workers[0] = calloc(1, sizeof(*inspect_workers[0]));
	inspect_workers[0]->holds = hold_table_create(4);
	return 0;
}

static int close_chain(void **state)
{
	(void)state;
	bench_forget_output();
	hold_table_destroy(inspect_workers[0]->holds);
	free(inspect_workers[0]);
	inspect_workers[0] = NULL;
	free(inspect_chain);
	inspect_chain = NULL;
	for (int i = 0; i < 2; i++)
		free(fakes[i]);
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
	return 0;
}

/* Around the last send_one(): the deadline runs from somewhere between them. */
static uint64_t before_ns, after_ns;

static enum outcome send_one(void)
{
	enum outcome outcome;

	before_ns = clock_monotonic_ns();
	outcome = submit(make_udp(FROM_CLIENT, 2000, "x"));
	after_ns = clock_monotonic_ns();
	return outcome;
}

static void collect(uint64_t now_ns)
{
	bench_forget_output();
	inspect_chain_collect(inspect_chain, 0, now_ns, &bench_out);
}

/* I1 */
static void what_is_clean_goes_deeper_and_then_on(void **state)
{
	(void)state;
	assert_int_equal(send_one(), PASSED);
	assert_int_equal(fakes[0]->seen, 1);
	assert_int_equal(fakes[1]->seen, 1);
}

/* I1 */
static void pass_and_drop_of_the_first_are_final(void **state)
{
	(void)state;
	fakes[0]->verdict = VERDICT_PASS;
	assert_int_equal(send_one(), PASSED);
	fakes[0]->verdict = VERDICT_DROP;
	assert_int_equal(send_one(), DROPPED);
	assert_int_equal(fakes[1]->seen, 0);
}

/* I1 */
static void held_packets_come_back_later(void **state)
{
	(void)state;
	fakes[1]->verdict = VERDICT_HELD;
	assert_int_equal(send_one(), HELD);
	assert_int_equal(send_one(), HELD);
	collect(before_ns);
	assert_int_equal(bench_out.pass_count, 2);
}

/* I4 */
static void deadline_is_decided_by_policy(void **state)
{
	(void)state;
	fakes[0]->verdict = VERDICT_HELD;
	assert_int_equal(send_one(), HELD);
	fakes[0]->returned = fakes[0]->held; /* never given back */
	collect(before_ns + 40 * CLOCK_NS_PER_MS);
	assert_int_equal(bench_out.pass_count + bench_out.drop_count, 0);
	collect(after_ns + 60 * CLOCK_NS_PER_MS);
	assert_int_equal(bench_out.drop_count, 1);
	assert_int_equal(dropped_for(), DROP_inspect_deadline);
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	assert_int_equal(send_one(), HELD);
	fakes[0]->returned = fakes[0]->held;
	collect(after_ns + 200 * CLOCK_NS_PER_MS);
	/* On, but not past the second one. */
	assert_int_equal(bench_out.pass_count, 1);
	assert_int_equal(fakes[1]->seen, 1);
}

/* I4 */
static void overload_is_decided_by_policy(void **state)
{
	(void)state;
	fakes[0]->verdict = VERDICT_HELD;
	for (int i = 0; i < 4; i++)
		assert_int_equal(send_one(), HELD);
	assert_int_equal(send_one(), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_overload);
	inspect_chain->vlan_policy[BENCH_VLAN] = FAILURE_PASS;
	assert_int_equal(send_one(), PASSED);
	collect(before_ns);
}

/* I4 */
static void dead_inspector_is_not_asked(void **state)
{
	(void)state;
	fakes[0]->base.is_down = true;
	assert_int_equal(send_one(), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_down);
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	assert_int_equal(send_one(), PASSED);
	assert_int_equal(fakes[0]->seen, 0);
	assert_int_equal(inspect_workers[0]->failures_dropped, 1);
	assert_int_equal(inspect_workers[0]->failures_passed, 1);
}

/* I4 */
static void adapter_decides_before_vlan_before_kind(void **state)
{
	static const uint8_t web[6] = {0x52, 0x54, 0, 0, 0x10, 1};
	struct rte_mbuf *to_web = make_udp(FROM_CLIENT, 1, "x"),
			*from_web = make_udp(FROM_SERVER, 1, "x");

	(void)state;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_PASS;
	assert_int_equal(inspect_failure_policy(inspect_chain, to_web), FAILURE_PASS);
	assert_int_equal(inspect_failure_policy(inspect_chain, from_web), FAILURE_DROP);
	inspect_chain->vlan_policy[BENCH_VLAN] = FAILURE_DROP;
	assert_int_equal(inspect_failure_policy(inspect_chain, to_web), FAILURE_DROP);
	memcpy(inspect_chain->parties[0].mac, web, 6);
	inspect_chain->parties[0].vlan = BENCH_VLAN;
	inspect_chain->parties[0].on_failure = FAILURE_PASS;
	inspect_chain->party_count = 1;
	assert_int_equal(inspect_failure_policy(inspect_chain, to_web), FAILURE_PASS);
	assert_int_equal(inspect_failure_policy(inspect_chain, from_web), FAILURE_DROP);
	inspect_chain->port_policy[BENCH_WEB] = FAILURE_PASS;
	assert_int_equal(inspect_failure_policy(inspect_chain, from_web), FAILURE_PASS);
	rte_pktmbuf_free(to_web);
	rte_pktmbuf_free(from_web);
}

/* I10 */
static void hostile_returns_reach_nobody(void **state)
{
	(void)state;
	fakes[0]->verdict = VERDICT_HELD;
	fakes[0]->is_hostile = true;
	assert_int_equal(send_one(), HELD);
	assert_int_equal(send_one(), HELD);
	collect(before_ns);
	assert_int_equal(bench_out.pass_count, 2);
}

/* I5: the replaced one is still collected from. */
static void replaced_inspector_gives_back_what_it_holds(void **state)
{
	(void)state;
	fakes[0]->verdict = VERDICT_HELD;
	assert_int_equal(send_one(), HELD);
	inspect_chain->engines[0] = &fakes[1]->base;
	inspect_chain->count = 1;
	inspect_chain->retiring[0] = &fakes[0]->base;
	inspect_chain->retiring_count = 1;
	collect(before_ns);
	assert_int_equal(bench_out.pass_count, 1);
	assert_int_equal(fakes[1]->seen, 0);
}

/* An inspector that stays is not mistaken for the one that comes 255 changes later. */
static void numbers_of_owners_come_round_without_those_in_use(void **state)
{
	uint16_t owner = 9;

	(void)state;
	inspect_chain->count = 1;
	inspect_chain->retiring[0] = &fakes[1]->base;
	inspect_chain->retiring_count = 1;
	for (int i = 0; i < 1000; i++) {
		owner = inspect_chain_next_owner(inspect_chain, owner);
		assert_in_range(owner, 1, UINT8_MAX);
		assert_int_not_equal(owner, fakes[0]->base.owner);
		assert_int_not_equal(owner, fakes[1]->base.owner);
	}
	assert_int_equal(inspect_chain_next_owner(NULL, UINT8_MAX), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_chain, close_chain)
	const struct CMUnitTest tests[] = {
		TEST(what_is_clean_goes_deeper_and_then_on),
		TEST(pass_and_drop_of_the_first_are_final),
		TEST(held_packets_come_back_later),
		TEST(deadline_is_decided_by_policy),
		TEST(overload_is_decided_by_policy),
		TEST(dead_inspector_is_not_asked),
		TEST(adapter_decides_before_vlan_before_kind),
		TEST(hostile_returns_reach_nobody),
		TEST(replaced_inspector_gives_back_what_it_holds),
		TEST(numbers_of_owners_come_round_without_those_in_use),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
