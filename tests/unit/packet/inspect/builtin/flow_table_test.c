/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table: both directions are one flow, and nobody's flood costs others their flows. */
#include "packet/inspect/builtin/flow_table.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CAPACITY 256
#define S        CLOCK_NS_PER_S

static struct flow_table *table;

static int open_table(void **state)
{
	(void)state;
	table = flow_table_create(CAPACITY, 1 << 20);
	return table ? 0 : -1;
}

static int close_table(void **state)
{
	(void)state;
	flow_table_destroy(table);
	return 0;
}

static struct decoded make_packet(uint8_t protocol, uint32_t client, uint16_t port, bool is_reply)
{
	struct decoded decoded = {.ip_version = 4,
		.protocol = protocol,
		.l4_offset = 34,
		.frame_size = 60,
		.source_port = is_reply ? 80 : port,
		.destination_port = is_reply ? port : 80};
	uint8_t *from = is_reply ? decoded.destination : decoded.source;
	uint8_t *to = is_reply ? decoded.source : decoded.destination;

	memcpy(from, &client, sizeof(client));
	memcpy(to, "\xc0\x00\x02\x0a", 4);
	return decoded;
}

static struct flow *get(uint32_t client, uint16_t port, uint16_t vlan, bool is_reply,
	uint64_t now_ns, enum flow_side *side)
{
	struct decoded decoded = make_packet(IPPROTO_UDP, client, port, is_reply);
	struct flow_lookup lookup;

	flow_table_look(table, &decoded, vlan, &lookup);
	flow_table_fetch(table, &lookup);
	return flow_table_get(table, &decoded, &lookup, now_ns, side);
}

static void both_directions_are_one_flow(void **state)
{
	enum flow_side side;
	struct flow *flow = get(1, 1000, 10, false, S, &side);

	(void)state;
	assert_int_equal(side, FLOW_CLIENT);
	assert_ptr_equal(get(1, 1000, 10, true, S, &side), flow);
	assert_int_equal(side, FLOW_SERVER);
	assert_int_equal(flow->packets[FLOW_CLIENT], 1);
	assert_int_equal(flow->packets[FLOW_SERVER], 1);
	assert_int_equal(flow_table_count(table), 1);
}

/* G1: the same addresses in another VLAN are another tenant's. */
static void vlans_are_kept_apart(void **state)
{
	enum flow_side side;

	(void)state;
	assert_ptr_not_equal(get(1, 1000, 10, false, S, &side), get(1, 1000, 20, false, S, &side));
	assert_int_equal(flow_table_count(table), 2);
}

static void flood_of_one_vlan_costs_no_flow_of_another(void **state)
{
	enum flow_side side;
	struct flow *quiet = get(7, 7, 20, false, S, &side);
	uint64_t id = quiet->id;

	(void)state;
	for (uint32_t i = 0; i < 10 * CAPACITY; i++)
		get(i, 1000, 10, false, S, &side);
	assert_int_equal(flow_table_count(table), CAPACITY);
	assert_int_equal(flow_table_evicted(table), 10 * CAPACITY - CAPACITY + 1);
	assert_int_equal(get(7, 7, 20, false, S, &side)->id, id);
}

static void flood_costs_no_established_flow(void **state)
{
	enum flow_side side;
	struct flow *flow = get(7, 7, 10, false, S, &side);
	uint64_t id = flow->id;

	(void)state;
	flow_table_set_state(table, flow, FLOW_ESTABLISHED);
	for (uint32_t i = 100; i < 10 * CAPACITY; i++)
		get(i, 1000, 10, false, S, &side);
	assert_int_equal(get(7, 7, 10, false, S, &side)->id, id);
}

/* A tenant with most of the table's connections keeps them under another's flood. */
static void flood_costs_no_connection_of_the_heaviest_vlan(void **state)
{
	const uint32_t connections = CAPACITY * 3 / 4;
	enum flow_side side;

	(void)state;
	for (uint32_t i = 0; i < connections; i++)
		flow_table_set_state(
			table, get(1000 + i, 7, 20, false, S, &side), FLOW_ESTABLISHED);
	for (uint32_t i = 0; i < 10 * CAPACITY; i++)
		get(100000 + i, 1000, 10, false, S, &side);
	for (uint32_t i = 0; i < connections; i++)
		assert_int_equal(get(1000 + i, 7, 20, false, S, &side)->state, FLOW_ESTABLISHED);
}

/* One that hoards connections gives way to those who have few. */
static void hoarded_connections_give_way(void **state)
{
	enum flow_side side;

	(void)state;
	for (uint32_t i = 0; i < 2 * CAPACITY; i++)
		flow_table_set_state(
			table, get(100000 + i, 1000, 10, false, S, &side), FLOW_ESTABLISHED);
	for (uint32_t i = 0; i < CAPACITY / 4; i++)
		flow_table_set_state(
			table, get(1000 + i, 7, 20, false, S, &side), FLOW_ESTABLISHED);
	for (uint32_t i = 0; i < CAPACITY / 4; i++)
		assert_int_equal(get(1000 + i, 7, 20, false, S, &side)->state, FLOW_ESTABLISHED);
}

static void oldest_goes_first(void **state)
{
	enum flow_side side;
	uint64_t first, second;

	(void)state;
	first = get(0, 1000, 10, false, S, &side)->id;
	second = get(1, 1000, 10, false, S, &side)->id;
	for (uint32_t i = 2; i < CAPACITY; i++)
		get(i, 1000, 10, false, S, &side);
	get(0, 1000, 10, false, S, &side); /* is the youngest now */
	get(CAPACITY, 1000, 10, false, S, &side);
	assert_int_equal(get(0, 1000, 10, false, S, &side)->id, first);
	assert_int_not_equal(get(1, 1000, 10, false, S, &side)->id, second);
}

static void silent_flow_times_out(void **state)
{
	enum flow_side side;
	struct flow *flow = get(1, 1000, 10, false, S, &side);
	uint64_t id = flow->id;

	(void)state;
	assert_int_equal(get(1, 1000, 10, false, 30 * S, &side)->id, id);
	assert_int_not_equal(get(1, 1000, 10, false, 100 * S, &side)->id, id);
	for (int i = 0; i < 10; i++)
		flow_table_age(table, 200 * S);
	assert_int_equal(flow_table_count(table), 0);
}

static void verdict_does_not_outlive_the_flow(void **state)
{
	enum flow_side side;
	struct flow *flow = get(1, 1000, 10, false, S, &side);

	(void)state;
	flow->verdict = FLOW_DROP;
	flow = get(1, 1000, 10, true, 100 * S, &side);
	assert_int_equal(flow->verdict, FLOW_INSPECT);
	assert_int_equal(side, FLOW_CLIENT);
}

static void shows_flows_as_people_know_them(void **state)
{
	const struct flow_filter all = {0}, other = {.vlan = 11};
	enum flow_side side;
	json_t *shown;

	(void)state;
	get(htonl(0xc0000264), 40000, 10, false, S, &side);
	shown = flow_table_show(table, 0, &all, 3 * S);
	assert_string_equal(json_string_value(json_object_get(shown, "client")), "192.0.2.100");
	assert_int_equal(json_integer_value(json_object_get(shown, "client_port")), 40000);
	assert_string_equal(json_string_value(json_object_get(shown, "server")), "192.0.2.10");
	assert_string_equal(json_string_value(json_object_get(shown, "protocol")), "udp");
	assert_string_equal(json_string_value(json_object_get(shown, "state")), "new");
	assert_int_equal(json_integer_value(json_object_get(shown, "idle_ms")), 2000);
	json_decref(shown);
	assert_null(flow_table_show(table, 0, &other, S));
	assert_null(flow_table_show(table, 1, &all, S));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)
	const struct CMUnitTest tests[] = {
		TEST(both_directions_are_one_flow),
		TEST(vlans_are_kept_apart),
		TEST(flood_of_one_vlan_costs_no_flow_of_another),
		TEST(flood_costs_no_established_flow),
		TEST(flood_costs_no_connection_of_the_heaviest_vlan),
		TEST(hoarded_connections_give_way),
		TEST(oldest_goes_first),
		TEST(silent_flow_times_out),
		TEST(verdict_does_not_outlive_the_flow),
		TEST(shows_flows_as_people_know_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
