/* SPDX-License-Identifier: BSD-3-Clause */
/* SAs and policies as who manages keys sees them (D3, D16, D17). */
#include "packet/ipsec/sa.h"

#include "base/clock.h"
#include "packet/ipsec/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipsec_bench.h"

#define OWNER 7
#define MANY  2000

static struct error error;

static int open_group(void **state)
{
	(void)state;
	return ipsec_bench_start("sa_test", 2 * MANY);
}

static void no_events(void)
{
	sa_set_events(NULL);
}

static int flush(void **state)
{
	(void)state;
	sa_flush_owner(OWNER);
	sa_flush_owner(OWNER + 1);
	no_events();
	return sa_table_count() == 0 && policy_count() == 0 ? 0 : -1;
}

static struct sa_parameters parameters_of(uint32_t spi, enum sa_direction direction)
{
	static struct reference reference;
	struct sa_parameters parameters;

	reference = make_reference(&suites[0], false);
	parameters = make_parameters(&reference, direction);
	parameters.name.spi = spi;
	parameters.owner = OWNER;
	return parameters;
}

static void add(const struct sa_parameters *parameters)
{
	if (sa_add(parameters, &error) < 0)
		fail_msg("%s", error.text);
}

static struct sa *found(uint32_t spi, uint32_t destination)
{
	struct ip_address address = ipv4(destination);

	return sa_look_up(SA_INBOUND, rte_cpu_to_be_32(spi), &address);
}

/* ---- SAs ---- */

static void finds_inbound_associations_by_spi_and_destination(void **state)
{
	struct sa_parameters parameters = parameters_of(1000, SA_INBOUND);

	(void)state;
	add(&parameters);
	parameters.name.destination = ipv4(VIPA + 1);
	add(&parameters);
	assert_non_null(found(1000, VIPA));
	assert_non_null(found(1000, VIPA + 1));
	assert_ptr_not_equal(found(1000, VIPA), found(1000, VIPA + 1));
	assert_null(found(1001, VIPA));
	assert_null(found(1000, VIPA + 2));
	assert_int_equal(sa_add(&parameters, &error), -EEXIST);
	/* Outbound ones are found by policy alone. */
	parameters = parameters_of(2000, SA_OUTBOUND);
	add(&parameters);
	assert_null(found(2000, CLIENT));
	assert_int_equal(sa_delete(&parameters.name, &error), 0);
	assert_int_equal(sa_delete(&parameters.name, &error), -ENOENT);
}

static uint32_t peer_at(uint32_t spi, enum sa_direction direction, uint16_t port)
{
	struct sa_parameters parameters = parameters_of(spi, direction);
	bool is_in = direction == SA_INBOUND;

	parameters.mode = SA_TRANSPORT;
	parameters.has_encapsulation = true;
	parameters.source_port = is_in ? port : 4500;
	parameters.destination_port = is_in ? 4500 : port;
	add(&parameters);
	return sa_find(&parameters.name)->peer;
}

/* Who is behind one address is told by the port of his ESP, and stays who he is when it moves. */
static void knows_peers_by_their_ends(void **state)
{
	uint32_t first = peer_at(1000, SA_INBOUND, 40001),
		 second = peer_at(1001, SA_INBOUND, 40002);
	struct sa_name name = {.spi = 2000, .destination = ipv4(CLIENT)};
	struct sa_move move = {.source = ipv4(VIPA),
		.destination = ipv4(CLIENT),
		.has_encapsulation = true,
		.source_port = 4500,
		.destination_port = 40003};
	struct sa_parameters bare = parameters_of(1004, SA_INBOUND);

	(void)state;
	assert_int_not_equal(first, second);
	assert_int_equal(peer_at(2000, SA_OUTBOUND, 40001), first);
	assert_int_equal(peer_at(2001, SA_OUTBOUND, 40002), second);
	assert_int_equal(sa_move(&name, &move, &error), 0);
	assert_int_equal(sa_find(&name)->peer, first);
	assert_int_equal(peer_at(1003, SA_INBOUND, 40003), first);
	add(&bare);
	assert_int_equal(sa_find(&bare.name)->peer, IPSEC_PEER_BY_ADDRESS);
}

static void holds_thousands(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		struct sa_parameters in = parameters_of(5000 + i * 77, SA_INBOUND);
		struct sa_parameters out = parameters_of(5000 + i * 77, SA_OUTBOUND);

		add(&in);
		out.name.destination = ipv4(CLIENT + i);
		add(&out);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		assert_non_null(found(5000 + i * 77, VIPA));
		assert_int_equal(found(5000 + i * 77, VIPA)->name.spi, 5000 + i * 77);
	}
	assert_int_equal(sa_table_count(), 2 * MANY);
	{
		struct sa_parameters one_more = parameters_of(300, SA_INBOUND);

		assert_int_equal(sa_add(&one_more, &error), -ENOSPC);
	}
}

static void refuses_parameters_that_make_no_sense(void **state)
{
	struct sa_parameters good = parameters_of(1000, SA_INBOUND), wrong;
	struct sa_selector selector = {.source_first = ipv4(2), .source_last = ipv4(1)};

	(void)state;
#define REFUSED(status, change)                                                                    \
	wrong = good;                                                                              \
	change;                                                                                    \
	assert_int_equal(sa_add(&wrong, &error), status);                                          \
	assert_int_equal(sa_table_count(), 0)
	REFUSED(-EINVAL, wrong.name.spi = 255);
	REFUSED(-EINVAL, wrong.direction = 2);
	REFUSED(-EINVAL, wrong.mode = 2);
	REFUSED(-ENOTSUP, wrong.cipher = SA_CIPHER_COUNT);
	REFUSED(-ENOTSUP, wrong.integrity = SA_INTEGRITY_COUNT);
	REFUSED(-EINVAL, wrong.cipher_key_size = 16);
	REFUSED(-EINVAL, wrong.cipher_key_size = 37);
	REFUSED(-EINVAL, wrong.integrity = SA_INTEGRITY_HMAC_SHA1_96);
	REFUSED(-EINVAL, (wrong.cipher = SA_CIPHER_NULL, wrong.cipher_key_size = 0));
	REFUSED(-EINVAL, (wrong.cipher = SA_CIPHER_AES_CBC, wrong.cipher_key_size = 16));
	REFUSED(-EINVAL, wrong.source = ipv6(1));
	REFUSED(-EINVAL, wrong.source.version = 0);
	REFUSED(-EINVAL, wrong.has_encapsulation = true);
	REFUSED(-EINVAL, wrong.replay_window = SA_REPLAY_WINDOW_MAX + 1);
	REFUSED(-EINVAL, (wrong.replay_window = 0, wrong.has_esn = true));
	REFUSED(-EINVAL, (wrong.lifetime.soft_s = 2, wrong.lifetime.hard_s = 1));
	REFUSED(-EINVAL, (wrong.selectors = &selector, wrong.selector_count = 1));
	REFUSED(-EINVAL, wrong.selector_count = 1000);
#undef REFUSED
}

static void reserves_spis_for_their_owner(void **state)
{
	struct ip_address vipa = ipv4(VIPA);
	struct sa_parameters parameters;
	uint32_t first, second;

	(void)state;
	assert_int_equal(sa_allocate_spi(OWNER, &vipa, &first, &error), 0);
	assert_int_equal(sa_allocate_spi(OWNER, &vipa, &second, &error), 0);
	assert_int_not_equal(first, second);
	assert_true(first >= 256 && second >= 256);
	parameters = parameters_of(first, SA_INBOUND);
	parameters.owner = OWNER + 1;
	assert_int_equal(sa_add(&parameters, &error), -EEXIST);
	parameters.owner = OWNER;
	add(&parameters);
	sa_flush_owner(OWNER);
	assert_null(found(first, VIPA));
	/* The other reservation went with its owner. */
	parameters = parameters_of(second, SA_INBOUND);
	parameters.owner = OWNER + 1;
	add(&parameters);
}

static void moves_an_association(void **state)
{
	struct sa_parameters parameters = parameters_of(1000, SA_INBOUND);
	struct sa_move move = {.source = ipv4(CLIENT + 9),
		.destination = ipv4(VIPA + 9),
		.has_encapsulation = true,
		.source_port = 40000,
		.destination_port = 4500};

	(void)state;
	add(&parameters);
	assert_int_equal(sa_move(&parameters.name, &move, &error), 0);
	assert_null(found(1000, VIPA));
	assert_non_null(found(1000, VIPA + 9));
	assert_int_equal(found(1000, VIPA + 9)->outer->source_port, 40000);
	assert_int_equal(sa_move(&parameters.name, &move, &error), -ENOENT);
	move.source = ipv6(1);
	parameters.name.destination = ipv4(VIPA + 9);
	assert_int_equal(sa_move(&parameters.name, &move, &error), -EINVAL);
	assert_non_null(found(1000, VIPA + 9));
}

static void tells_usage(void **state)
{
	struct sa_parameters parameters = parameters_of(1000, SA_INBOUND);
	struct sa_usage usage;

	(void)state;
	add(&parameters);
	assert_int_equal(sa_query(&parameters.name, &usage, &error), 0);
	assert_int_equal(usage.packets, 0);
	assert_true(usage.last_used_s == UINT64_MAX);
	found(1000, VIPA)->counters = (struct sa_counters){
		.packets = 5, .bytes = 500, .last_used_s = clock_monotonic_ns() / CLOCK_NS_PER_S};
	assert_int_equal(sa_query(&parameters.name, &usage, &error), 0);
	assert_int_equal(usage.packets, 5);
	assert_int_equal(usage.bytes, 500);
	assert_true(usage.last_used_s < 60);
}

/* ---- lifetimes ---- */

static struct {
	int soft, hard;
	uint32_t owner, spi;
} told;

static void on_expire(uint32_t owner, const struct sa_name *name, bool is_hard)
{
	told.soft += !is_hard;
	told.hard += is_hard;
	told.owner = owner;
	told.spi = name->spi;
	/* Who is told may delete what it is told of. */
	if (is_hard)
		assert_int_equal(sa_delete(name, NULL), 0);
}

/* D16: soft, then hard, each told once: by packets, bytes and time. */
static void expires_by_packets_bytes_and_time(void **state)
{
	static const struct sa_events events = {.expire = on_expire};

	(void)state;
	sa_set_events(&events);
	for (int kind = 0; kind < 3; kind++) {
		struct sa_parameters parameters = parameters_of(1000, SA_INBOUND);
		struct sa_lifetime *life = &parameters.lifetime;
		struct sa *sa;

		memset(&told, 0, sizeof(told));
		life->soft_packets = kind == 0 ? 10 : 0, life->hard_packets = kind == 0 ? 20 : 0;
		life->soft_bytes = kind == 1 ? 10 : 0, life->hard_bytes = kind == 1 ? 20 : 0;
		life->soft_s = kind == 2 ? 10 : 0, life->hard_s = kind == 2 ? 20 : 0;
		add(&parameters);
		sa = found(1000, VIPA);
#define USE(amount)                                                                                \
	sa->counters.packets = sa->counters.bytes = (amount);                                      \
	sa_tick(sa->added_ns + (amount)*CLOCK_NS_PER_S + CLOCK_NS_PER_S / 2)
		USE(9);
		assert_int_equal(told.soft + told.hard, 0);
		USE(10);
		assert_int_equal(told.soft, 1);
		assert_int_equal(told.owner, OWNER);
		assert_int_equal(told.spi, 1000);
		USE(19);
		assert_int_equal(told.soft, 1);
		assert_int_equal(told.hard, 0);
		USE(20);
#undef USE
		assert_int_equal(told.hard, 1);
		assert_null(found(1000, VIPA));
	}
}

/* ---- policies ---- */

static struct policy_parameters policy_of(
	uint32_t destination, int prefix, uint32_t priority, enum policy_action action)
{
	uint32_t rest = prefix == 32 ? 0 : 0xffffffffu >> prefix;

	return (struct policy_parameters){.direction = POLICY_OUTBOUND,
		.action = (uint8_t)action,
		.priority = priority,
		.selector = {.source_first = ipv4(VIPA),
			.source_last = ipv4(VIPA),
			.destination_first = ipv4(destination & ~rest),
			.destination_last = ipv4(destination | rest),
			.source_port_last = UINT16_MAX,
			.destination_port_last = UINT16_MAX},
		.owner = OWNER,
		.source = ipv4(VIPA),
		.destination = ipv4(destination)};
}

static struct policy_packet packet_to(uint32_t destination)
{
	return (struct policy_packet){.source = ipv4(VIPA),
		.destination = ipv4(destination),
		.protocol = IPPROTO_TCP,
		.has_ports = true,
		.source_port = 443,
		.destination_port = 50000};
}

static void add_policy(const struct policy_parameters *parameters)
{
	if (policy_add(parameters, &error) < 0)
		fail_msg("%s", error.text);
}

static int action_for(uint32_t destination)
{
	struct policy_packet packet = packet_to(destination);
	const struct policy *policy = policy_find(POLICY_OUTBOUND, &packet);

	return policy ? policy->action : -1;
}

/* RFC 4301 section 4.4.1: the SPD is ordered. */
static void asks_policies_in_their_order(void **state)
{
	struct policy_parameters wide = policy_of(0x0a000000, 8, 20, POLICY_DISCARD);
	struct policy_parameters narrow = policy_of(0x0a010000, 16, 30, POLICY_BYPASS);
	struct policy_parameters host = policy_of(0x0a010203, 32, 10, POLICY_PROTECT);

	(void)state;
	assert_int_equal(action_for(0x0a010203), -1);
	add_policy(&narrow);
	assert_int_equal(action_for(0x0a010203), POLICY_BYPASS);
	/* Less specific, but of a lesser number: first. */
	add_policy(&wide);
	assert_int_equal(action_for(0x0a010203), POLICY_DISCARD);
	assert_int_equal(action_for(0x0a010299), POLICY_DISCARD);
	add_policy(&host);
	assert_int_equal(action_for(0x0a010203), POLICY_PROTECT);
	assert_int_equal(action_for(0x0a010204), POLICY_DISCARD);
	assert_int_equal(action_for(0x0b000000), -1);
	assert_int_equal(policy_delete(&wide, &error), 0);
	assert_int_equal(action_for(0x0a010204), POLICY_BYPASS);
	assert_int_equal(policy_delete(&wide, &error), -ENOENT);
	/* Of two alike, the older one. */
	wide = policy_of(0x0a010000, 16, 30, POLICY_DISCARD);
	add_policy(&wide);
	assert_int_equal(action_for(0x0a010204), POLICY_BYPASS);
}

static bool matches(const struct sa_selector *selector, struct policy_packet packet)
{
	return selector_matches(selector, &packet);
}

static void matches_protocols_ports_and_types(void **state)
{
	struct sa_selector selector = policy_of(0x0a000000, 8, 1, POLICY_BYPASS).selector;
	struct policy_packet packet = packet_to(0x0a000001);

	(void)state;
	assert_true(matches(&selector, packet));
	selector.protocol = IPPROTO_UDP;
	assert_false(matches(&selector, packet));
	selector.protocol = IPPROTO_TCP;
	assert_true(matches(&selector, packet));
	selector.source_port_first = selector.source_port_last = 443;
	assert_true(matches(&selector, packet));
	packet.source_port = 444;
	assert_false(matches(&selector, packet));
	packet.source_port = 443;
	/* RFC 4301 section 7: the ports of a later fragment are not known. */
	packet.has_ports = false;
	assert_false(matches(&selector, packet));
	selector.source_port_first = 0;
	selector.source_port_last = UINT16_MAX;
	assert_true(matches(&selector, packet));
	packet.source = ipv6(1);
	assert_false(matches(&selector, packet));
}

/* Ranges that are no prefix, of IPv6, and a table with many hosts. */
static void finds_ranges_and_hosts_among_many(void **state)
{
	struct policy_parameters range = policy_of(0, 32, 5, POLICY_DISCARD);
	struct policy_packet packet = {.source = ipv6(1), .destination = ipv6(0x1005)};

	(void)state;
	range.selector.source_first = range.selector.source_last = ipv6(1);
	range.selector.destination_first = ipv6(0x0fff);
	range.selector.destination_last = ipv6(0x1005);
	add_policy(&range);
	assert_non_null(policy_find(POLICY_OUTBOUND, &packet));
	packet.destination = ipv6(0x1006);
	assert_null(policy_find(POLICY_OUTBOUND, &packet));
	packet.destination = ipv6(0x0ffe);
	assert_null(policy_find(POLICY_OUTBOUND, &packet));
	for (uint32_t i = 0; i < 500; i++) {
		struct policy_parameters host =
			policy_of(0x0a000000 + i * 1000, 32, 10, POLICY_BYPASS);

		add_policy(&host);
	}
	for (uint32_t i = 0; i < 500; i++) {
		assert_int_equal(action_for(0x0a000000 + i * 1000), POLICY_BYPASS);
		assert_int_equal(action_for(0x0a000001 + i * 1000), -1);
	}
	assert_int_equal(policy_count(), 501);
}

static struct sa *sa_for(uint32_t destination)
{
	struct policy_packet packet = packet_to(destination);

	return publish_read(&policy_find(POLICY_OUTBOUND, &packet)->sa);
}

static void add_outbound(uint32_t spi, uint32_t request)
{
	struct sa_parameters parameters = parameters_of(spi, SA_OUTBOUND);

	parameters.request = request;
	add(&parameters);
}

static void delete_outbound(uint32_t spi)
{
	struct sa_name name = {.spi = spi, .destination = ipv4(CLIENT)};

	assert_int_equal(sa_delete(&name, &error), 0);
}

/* D17: a new SA takes over at once, and the old one is there until it is taken back. */
static void changes_to_the_new_association_in_a_rekey(void **state)
{
	struct policy_parameters policy = policy_of(CLIENT, 32, 10, POLICY_PROTECT);

	(void)state;
	policy.request = 3;
	policy.spi = 1000;
	add_policy(&policy);
	assert_null(sa_for(CLIENT));
	add_outbound(1000, 3);
	assert_int_equal(sa_for(CLIENT)->name.spi, 1000);
	/* Of another request, with the same SPI. */
	add_outbound(2000, 4);
	policy.spi = 2000;
	add_policy(&policy);
	assert_null(sa_for(CLIENT));
	delete_outbound(2000);
	add_outbound(2000, 3);
	assert_int_equal(sa_for(CLIENT)->name.spi, 2000);
	policy.spi = 1000;
	assert_int_equal(policy_delete(&policy, &error), 0);
	delete_outbound(1000);
	assert_int_equal(sa_for(CLIENT)->name.spi, 2000);
	delete_outbound(2000);
	assert_null(sa_for(CLIENT));
	/* Without an SPI: the newest of the request. */
	policy.spi = 0;
	add_policy(&policy);
	add_outbound(5000, 3);
	assert_int_equal(sa_for(CLIENT)->name.spi, 5000);
	add_outbound(4000, 3);
	assert_int_equal(sa_for(CLIENT)->name.spi, 4000);
}

static struct {
	int count;
	uint32_t owner, request;
	struct sa_selector packet;
} acquired;

static void on_acquire(uint32_t owner, uint32_t request, const struct sa_selector *packet)
{
	acquired.count++;
	acquired.owner = owner;
	acquired.request = request;
	acquired.packet = *packet;
	policy_flush_owner(OWNER + 1);
}

static void asks_for_an_association_once_a_second(void **state)
{
	static const struct sa_events events = {.acquire = on_acquire};
	struct policy_parameters parameters = policy_of(CLIENT, 24, 10, POLICY_PROTECT);
	struct policy_packet packet = packet_to(CLIENT);
	uint64_t now_ns = clock_monotonic_ns();
	struct policy *policy;

	(void)state;
	memset(&acquired, 0, sizeof(acquired));
	sa_set_events(&events);
	parameters.request = 9;
	add_policy(&parameters);
	policy = policy_find(POLICY_OUTBOUND, &packet);
	policy_take_news(now_ns);
	assert_int_equal(acquired.count, 0);
	/* policy_ask() without its message to a control thread, which there is none of. */
	policy->acquire_packet = packet;
	policy->acquire = ACQUIRE_READY;
	policy_take_news(now_ns);
	assert_int_equal(acquired.count, 1);
	assert_int_equal(acquired.owner, OWNER);
	assert_int_equal(acquired.request, 9);
	assert_int_equal(acquired.packet.destination_port_last, 50000);
	assert_true(ip_address_is_equal(&acquired.packet.destination_first, &packet.destination));
	policy->acquire = ACQUIRE_READY;
	policy_take_news(now_ns + CLOCK_NS_PER_S / 2);
	assert_int_equal(acquired.count, 1);
	policy_take_news(now_ns + CLOCK_NS_PER_S);
	assert_int_equal(acquired.count, 2);
}

static void hands_all_of_an_owner_over(void **state)
{
	struct policy_parameters policy = policy_of(CLIENT, 32, 10, POLICY_PROTECT);
	struct sa_parameters other = parameters_of(3000, SA_INBOUND);

	(void)state;
	policy.request = 3;
	policy.spi = 1000;
	add_outbound(1000, 3);
	add_policy(&policy);
	other.owner = OWNER + 1;
	sa_change_owner(OWNER, OWNER + 1);
	add(&other);
	assert_int_equal(sa_for(CLIENT)->name.spi, 1000);
	sa_flush_owner(OWNER);
	assert_int_equal(sa_table_count(), 2);
	assert_int_equal(policy_count(), 1);
	sa_flush_owner(OWNER + 1);
	assert_int_equal(sa_table_count(), 0);
	assert_int_equal(policy_count(), 0);
}

/* ---- what a next life is promised ---- */

static void promises_ahead_and_goes_no_further(void **state)
{
	struct sa_parameters parameters = parameters_of(1000, SA_OUTBOUND);
	struct sa_past past = {.sequence = 5000, .iv_base = 99, .added_ns = 1};
	uint64_t promise;
	struct sa *sa;

	(void)state;
	add(&parameters);
	sa = sa_find(&parameters.name);
	/* A new one may begin at once; each state that has it allows for that. */
	assert_true(sa->sequence_max > 0);
	assert_true(sa_promise(sa) >= sa->sequence_max);
	sa->sequence = sa->sequence_max - 1;
	promise = sa_promise(sa);
	assert_true(promise > sa->sequence_max);
	sa_promise_kept(sa->index, sa->generation + 1, promise);
	assert_true(promise > sa->sequence_max);
	sa_promise_kept(sa->index, sa->generation, promise);
	assert_int_equal(sa->sequence_max, promise);
	assert_int_equal(sa_delete(&parameters.name, &error), 0);
	/* One that comes back sends nothing until it is kept anew, and then nothing again. */
	assert_int_equal(sa_add_with_past(&parameters, &past, &error), 0);
	sa = sa_find(&parameters.name);
	assert_int_equal(sa->sequence, 5000);
	assert_int_equal(sa->sequence_max, 5000);
	assert_int_equal(sa->iv_base, 99);
	sa_promise_kept(sa->index, sa->generation, sa_promise(sa));
	assert_true(sa->sequence_max > 5000);
}

static void accepts_nothing_again_after_a_restart(void **state)
{
	struct sa_parameters parameters = parameters_of(1000, SA_INBOUND);
	struct sa_past past = {.floor = 100, .added_ns = 1};
	struct sa *sa;

	(void)state;
	assert_int_equal(sa_add_with_past(&parameters, &past, &error), 0);
	sa = found(1000, VIPA);
	for (uint64_t i = 0; i <= past.floor; i++)
		assert_false(replay_is_new(&sa->window, i));
	assert_true(replay_is_new(&sa->window, past.floor + 1));
	assert_int_equal(sa_promise(sa), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(finds_inbound_associations_by_spi_and_destination, flush),
		cmocka_unit_test_teardown(knows_peers_by_their_ends, flush),
		cmocka_unit_test_teardown(holds_thousands, flush),
		cmocka_unit_test_teardown(refuses_parameters_that_make_no_sense, flush),
		cmocka_unit_test_teardown(reserves_spis_for_their_owner, flush),
		cmocka_unit_test_teardown(moves_an_association, flush),
		cmocka_unit_test_teardown(tells_usage, flush),
		cmocka_unit_test_teardown(expires_by_packets_bytes_and_time, flush),
		cmocka_unit_test_teardown(asks_policies_in_their_order, flush),
		cmocka_unit_test_teardown(matches_protocols_ports_and_types, flush),
		cmocka_unit_test_teardown(finds_ranges_and_hosts_among_many, flush),
		cmocka_unit_test_teardown(changes_to_the_new_association_in_a_rekey, flush),
		cmocka_unit_test_teardown(asks_for_an_association_once_a_second, flush),
		cmocka_unit_test_teardown(hands_all_of_an_owner_over, flush),
		cmocka_unit_test_teardown(promises_ahead_and_goes_no_further, flush),
		cmocka_unit_test_teardown(accepts_nothing_again_after_a_restart, flush),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
