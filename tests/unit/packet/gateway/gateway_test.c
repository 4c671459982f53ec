/* SPDX-License-Identifier: BSD-3-Clause */
/* The switch and the gateway through their real nodes, frame by frame. */
#include "switch_lab.h"

#include "base/clock.h"
#include "packet/engine/drop.h"
#include "packet/gateway/fdb_control.h"
#include "wire/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UNTAGGED (-1)

/*
 *	uplink (native VLAN 1) ── gateway ── trunk-a: VLAN 10 and 11: web, app; trunk port both
 *	                            │        trunk-b: VLAN 20: db, cache
 *	                           host      no trunk: VLAN 30: lone, lone2
 *	                         (VLAN 10)
 */
#define CONFIG                                                                                     \
	"{'gateway': {'physical': 'uplink', 'native-vlan': 1,"                                     \
	"  'trunks': {'trunk-a': {'vlans': [10, 11]}, 'trunk-b': {'vlans': [20]}},"                \
	"  'host': {'interface': 'sea0', 'vlan': 10} %s},"                                         \
	" 'partitions': {"                                                                         \
	"  'web': {'adapters': {'e': {'vlan': 10 %s}}},"                                           \
	"  'app': {'adapters': {'e': {'vlan': 10}}},"                                              \
	"  'db': {'adapters': {'e': {'vlan': 20, 'priority': 3}}},"                                \
	"  'cache': {'adapters': {'e': {'vlan': 20}}},"                                            \
	"  'both': {'adapters': {'e': {'mode': 'trunk', 'vlan': 20, 'vlans': [10, 11]}}},"         \
	"  'lone': {'adapters': {'e': {'vlan': 30}}},"                                             \
	"  'lone2': {'adapters': {'e': {'vlan': 30}}}},"                                           \
	" 'inspection': {'engines': ['none']}}"

static void configure(const char *gateway, const char *web)
{
	char text[4096];

	snprintf(text, sizeof(text), CONFIG, gateway, web);
	if (lab_configure(text) != 0)
		fail_msg("%s", lab_error);
	fdb_control_flush(0, UINT16_MAX);
	lab_advance_ms(5000); /* moves of the test before are over */
	lab_moves = lab_stops = 0;
	lab_clear();
}

static int plain(void **state)
{
	configure("", "");
	return 0;
}

/* Everybody's MAC address is 02:00:00:00:00:N. */
static size_t make(uint8_t *frame, int to, int from, int tag, const char *payload)
{
	size_t size = 12;

	memset(frame, 0, 64);
	frame[0] = frame[6] = 2;
	frame[5] = (uint8_t)to;
	frame[11] = (uint8_t)from;
	if (to == 0xff)
		memset(frame, 0xff, 6);
	if (tag != UNTAGGED) {
		network_store16(frame + 12, 0x8100);
		network_store16(frame + 14, (uint16_t)tag);
		size = 16;
	}
	network_store16(frame + size, 0x88b5); /* local experimental */
	size += 2;
	memcpy(frame + size, payload, strlen(payload));
	return size + strlen(payload);
}

static void send_tagged(const char *port, int to, int from, int tag)
{
	uint8_t frame[128];

	lab_send(port, frame, make(frame, to, from, tag, "the payload of the frame, long enough"));
}

static void send(const char *port, int to, int from)
{
	send_tagged(port, to, from, UNTAGGED);
}

/* The only frame that left the port is the one that send() made, tagged as told. */
static void expect(const char *port, int to, int from, int tag)
{
	uint8_t frame[128];
	size_t size = make(frame, to, from, tag, "the payload of the frame, long enough");

	assert_int_equal(lab_count(port), 1);
	if (lab_frame_at(port, 0)->size != 60)
		assert_int_equal(lab_frame_at(port, 0)->size, size);
	assert_memory_equal(lab_frame_at(port, 0)->bytes, frame, size);
}

static void expect_only(const char *port, int to, int from, int tag)
{
	expect(port, to, from, tag);
	assert_int_equal(lab_total(), 1);
}

/* Teaches the table where 1 (web), 2 (app), 3 (db), 4 (cache), 8 (outside), 9 (host) are. */
static void teach(void)
{
	send("web.e", 99, 1);
	send("app.e", 99, 2);
	send("db.e", 99, 3);
	send("cache.e", 99, 4);
	send_tagged("uplink", 99, 8, 10);
	send_tagged("uplink", 99, 8, 20);
	send("host", 99, 9);
	lab_clear();
}

/* G1 */
static void switches_between_partitions_of_a_vlan(void **state)
{
	teach();
	send("web.e", 2, 1);
	expect_only("app.e", 2, 1, UNTAGGED);
}

/* G1 */
static void floods_a_broadcast_to_its_vlan_only(void **state)
{
	send("web.e", 0xff, 1);
	expect("app.e", 0xff, 1, UNTAGGED);
	expect("both.e", 0xff, 1, 10);
	expect("uplink", 0xff, 1, 10);
	expect("host", 0xff, 1, UNTAGGED);
	assert_int_equal(lab_total(), 4);
}

/* G1: independent learning */
static void knows_an_address_in_each_vlan_apart(void **state)
{
	teach();
	send("db.e", 99, 1); /* web's address, in another VLAN */
	lab_clear();
	send("app.e", 1, 2);
	expect_only("web.e", 1, 2, UNTAGGED);
	lab_clear();
	send("cache.e", 1, 4);
	expect_only("db.e", 1, 4, UNTAGGED);
}

/* G1 */
static void trunk_port_carries_its_vlans_tagged_and_its_pvid_untagged(void **state)
{
	teach();
	send_tagged("both.e", 99, 5, 10);
	send_tagged("both.e", 99, 6, UNTAGGED);
	lab_clear();
	send("web.e", 5, 1);
	expect_only("both.e", 5, 1, 10);
	lab_clear();
	send("db.e", 6, 3);
	expect_only("both.e", 6, 3, UNTAGGED);
	lab_clear();
	send_tagged("both.e", 1, 5, 10);
	expect_only("web.e", 1, 5, UNTAGGED);
}

/* G1 */
static void refuses_tags_that_the_port_may_not_send(void **state)
{
	static const struct {
		const char *port;
		int tag;
		int reason;
	} cases[] = {
		{"web.e", 10, DROP_vlan_tagged},
		{"web.e", 20, DROP_vlan_tagged},
		{"web.e", 0xfff, DROP_vlan_tagged},
		{"both.e", 30, DROP_vlan_not_member},
		{"both.e", 0xfff, DROP_vlan_not_member},
		{"uplink", 0xfff, DROP_vlan_not_member},
		{"host", 10, DROP_vlan_tagged},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lab_clear();
		send_tagged(cases[i].port, 0xff, 7, cases[i].tag);
		assert_int_equal(lab_drops(cases[i].reason), 1);
		assert_int_equal(lab_total(), 0);
	}
}

/* G1, G9: a priority tag belongs to the port's VLAN, its priority stays */
static void takes_a_priority_tag_for_the_ports_vlan(void **state)
{
	teach();
	send_tagged("web.e", 8, 1, 5 << 13);
	expect_only("uplink", 8, 1, 5 << 13 | 10);
}

/* G9 */
static void untagged_frames_get_the_priority_of_their_port(void **state)
{
	teach();
	send("db.e", 8, 3);
	expect_only("uplink", 8, 3, 3 << 13 | 20);
}

/* G8: a second tag behind a priority tag would be the outer one on a native VLAN */
static void refuses_a_tag_hidden_behind_a_priority_tag(void **state)
{
	uint8_t frame[128];
	size_t size = make(frame, 0xff, 1, 0, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

	network_store16(frame + 16, 0x8100);
	network_store16(frame + 18, 20);
	lab_send("web.e", frame, size);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_vlan_tagged), 1);
}

/* G8, G13 */
static void does_not_send_a_double_tag_untagged(void **state)
{
	uint8_t frame[128];
	size_t size = make(frame, 0xff, 5, 10, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

	network_store16(frame + 16, 0x8100);
	network_store16(frame + 18, 20);
	lab_send("both.e", frame, size);
	assert_int_equal(lab_count("web.e"), 1); /* an access port's peer sees a payload */
	assert_int_equal(lab_count("uplink"), 1);
	assert_memory_equal(lab_frame_at("uplink", 0)->bytes, frame, size);
	configure(", 'native-vlan': 10", "");
	lab_send("both.e", frame, size);
	assert_int_equal(lab_count("uplink"), 0);
	assert_int_equal(lab_drops(DROP_vlan_double), 1);
}

/* G4 */
static void origin_trunk_goes_to_the_physical_adapter(void **state)
{
	teach();
	send("web.e", 8, 1);
	expect_only("uplink", 8, 1, 10);
	lab_clear();
	send("web.e", 77, 1); /* unknown: also to the members */
	expect("uplink", 77, 1, 10);
	assert_int_equal(lab_count("app.e"), 1);
	assert_int_equal(lab_count("host"), 0);
}

/* G5 */
static void origin_physical_goes_to_the_trunk_of_its_vlan(void **state)
{
	teach();
	send_tagged("uplink", 1, 8, 10);
	expect_only("web.e", 1, 8, UNTAGGED);
	lab_clear();
	send_tagged("uplink", 3, 8, 20);
	expect_only("db.e", 3, 8, UNTAGGED);
	lab_clear();
	send_tagged("uplink", 0xff, 8, 20);
	assert_int_equal(lab_count("db.e"), 1);
	assert_int_equal(lab_count("cache.e"), 1);
	expect("both.e", 0xff, 8, UNTAGGED);
	assert_int_equal(lab_total(), 3);
}

/* G5 */
static void drops_what_comes_in_for_a_vlan_without_trunk(void **state)
{
	send_tagged("uplink", 0xff, 8, 30);
	send("uplink", 0xff, 8); /* native VLAN 1 */
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_vlan_no_trunk), 2);
}

/* G5 */
static void never_sends_back_what_came_from_outside(void **state)
{
	teach();
	send_tagged("uplink", 88, 8, 10); /* unknown: members only */
	assert_int_equal(lab_count("uplink"), 0);
	assert_int_equal(lab_count("web.e"), 1);
	lab_clear();
	send_tagged("uplink", 8, 7, 10); /* its destination is outside */
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_tx_same_port), 1);
}

/* G2, G4: a VLAN without trunk stays inside */
static void vlan_without_trunk_is_switched_inside_only(void **state)
{
	send("lone.e", 0xff, 1);
	assert_int_equal(lab_count("lone2.e"), 1);
	assert_int_equal(lab_total(), 1);
	lab_clear();
	send("lone2.e", 1, 2);
	expect_only("lone.e", 1, 2, UNTAGGED);
}

/* G6 */
static void origin_host_goes_by_the_forwarding_table(void **state)
{
	teach();
	send("host", 1, 9);
	expect_only("web.e", 1, 9, UNTAGGED);
	lab_clear();
	send("host", 8, 9);
	expect_only("uplink", 8, 9, 10);
}

/* G6 */
static void origin_host_with_unknown_destination_goes_both_ways(void **state)
{
	teach();
	send("host", 55, 9);
	expect("uplink", 55, 9, 10);
	expect("web.e", 55, 9, UNTAGGED);
	expect("app.e", 55, 9, UNTAGGED);
	expect("both.e", 55, 9, 10);
	assert_int_equal(lab_total(), 4);
	lab_clear();
	send("host", 0xff, 9);
	assert_int_equal(lab_total(), 4);
}

/* G6: the socket layer receives, too */
static void host_receives_what_is_addressed_to_it(void **state)
{
	teach();
	send("web.e", 9, 1);
	expect_only("host", 9, 1, UNTAGGED);
	lab_clear();
	send_tagged("uplink", 9, 8, 10);
	expect_only("host", 9, 8, UNTAGGED);
	lab_clear();
	send_tagged("uplink", 0xff, 8, 10);
	assert_int_equal(lab_count("host"), 1);
	assert_int_equal(lab_count("web.e"), 1);
	lab_clear();
	send("db.e", 9, 3); /* another VLAN: not the host */
	assert_int_equal(lab_count("host"), 0);
}

/* G7 */
static void inspects_east_west_where_the_vlan_says_so(void **state)
{
	configure(", 'vlans': {'10': {'inspect': 'all'}, '30': {'inspect': 'all'}}", "");
	teach();
	send("web.e", 2, 1);
	expect_only("app.e", 2, 1, UNTAGGED);
	lab_clear();
	send("web.e", 0xff, 1);
	assert_int_equal(lab_count("app.e"), 1);
	assert_int_equal(lab_count("both.e"), 1);
	assert_int_equal(lab_count("uplink"), 1);
	assert_int_equal(lab_count("host"), 1);
	assert_int_equal(lab_count("web.e"), 0);
	assert_int_equal(lab_total(), 4);
	lab_clear();
	send("web.e", 77, 1);
	assert_int_equal(lab_count("app.e"), 1);
	assert_int_equal(lab_count("uplink"), 1);
	lab_clear();
	send("lone.e", 0xff, 1);
	assert_int_equal(lab_count("lone2.e"), 1);
	assert_int_equal(lab_total(), 1);
}

/* G1 */
static void keeps_unknown_unicast_from_members_where_flooding_is_off(void **state)
{
	configure(", 'vlans': {'10': {'flood': false}}", "");
	teach();
	send("web.e", 77, 1);
	expect_only("uplink", 77, 1, 10);
	lab_clear();
	send_tagged("uplink", 77, 8, 10);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_vlan_no_member), 1);
	lab_clear();
	send("web.e", 0xff, 1);
	assert_int_equal(lab_count("app.e"), 1);
}

/* G1 */
static void forgets_an_address_that_is_not_seen_any_more(void **state)
{
	configure(", 'ageing': 10000", "");
	teach();
	lab_advance_ms(6000);
	send("web.e", 8, 1); /* web lives on */
	lab_advance_ms(6000);
	lab_clear();
	send("app.e", 1, 2);
	expect_only("web.e", 1, 2, UNTAGGED);
	lab_advance_ms(12000);
	lab_clear();
	send("app.e", 1, 2);
	assert_true(lab_count("uplink") == 1 && lab_count("web.e") == 1);
}

/* G1 */
static void takes_no_more_addresses_on_a_port_than_its_limit(void **state)
{
	configure("", ", 'mac-limit': 3");
	for (int i = 1; i <= 5; i++)
		send("web.e", 0xff, i);
	lab_clear();
	for (int i = 1; i <= 5; i++)
		send("web.e", 0xff, i);
	assert_int_equal(lab_drops(DROP_source_limit), 2);
	assert_int_equal(lab_count("app.e"), 3);
}

/* G1 */
static void takes_no_more_addresses_in_a_vlan_than_its_limit(void **state)
{
	configure(", 'vlans': {'10': {'mac-limit': 2}}", "");
	for (int i = 1; i <= 4; i++)
		send("web.e", 0xff, i);
	assert_int_equal(fdb_control_vlan_count(10), 2);
	assert_int_equal(lab_count("app.e"), 4); /* not learned, but not lost */
}

/* G8: configured addresses are static */
static void configured_address_is_never_learned_elsewhere(void **state)
{
	configure("", ", 'mac': '02:00:00:00:00:01', 'guard': {'mac': true}");
	send_tagged("uplink", 0xff, 1, 10);
	send("app.e", 0xff, 1);
	send("host", 0xff, 1);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_source_static), 3);
	send("app.e", 1, 2);
	expect_only("web.e", 1, 2, UNTAGGED);
	lab_clear();
	send("web.e", 0xff, 7);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_guard_mac), 1);
}

/* G8 */
static void address_that_moves_is_followed_and_told(void **state)
{
	teach();
	send("app.e", 99, 1);
	assert_int_equal(lab_moves, 1);
	lab_clear();
	send("both.e", 99, 6);
	lab_clear();
	send_tagged("uplink", 1, 8, 10);
	expect_only("app.e", 1, 8, UNTAGGED);
}

/* G8 */
static void address_that_moves_too_often_stays_for_a_while(void **state)
{
	configure(", 'mac-move': {'max': 3, 'window': 1000}", "");
	teach();
	for (int i = 0; i < 10; i++)
		send(i % 2 ? "web.e" : "app.e", 99, 1);
	assert_int_equal(lab_moves, 3);
	assert_int_equal(lab_stops, 1);
	assert_true(lab_drops(DROP_mac_moving) >= 2);
	lab_advance_ms(3000);
	lab_clear();
	send("web.e", 99, 1);
	send("app.e", 1, 2);
	assert_int_equal(lab_drops(DROP_mac_moving), 0);
	assert_true(lab_count("web.e") == 1);
}

static void refuses_impossible_sources(void **state)
{
	uint8_t frame[128];
	size_t size = make(frame, 0xff, 1, UNTAGGED, "payload");

	frame[6] = 1;
	lab_send("web.e", frame, size);
	lab_send("uplink", frame, size);
	memset(frame + 6, 0, 6);
	lab_send("host", frame, size);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_source_invalid), 3);
}

/* G13 */
static void reserved_addresses_go_by_the_policy(void **state)
{
	uint8_t frame[128];
	size_t size =
		make(frame, 0, 1, UNTAGGED, "a frame of a bridge protocol, padded to 60 bytes");

	for (int last = 0; last < 16; last++) {
		memcpy(frame, "\x01\x80\xc2\0\0", 5);
		frame[5] = (uint8_t)last;
		lab_clear();
		lab_send("web.e", frame, size);
		assert_int_equal(lab_count("uplink"), last != 1); /* pause never passes */
		assert_int_equal(lab_count("app.e"), last != 1);
	}
	configure(", 'reserved-addresses': 'drop'", "");
	lab_send("web.e", frame, size);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_reserved_address), 1);
}

/* What a limit of so many frames a second lets pass beyond its burst, however long that took. */
static uint64_t earned(uint64_t begin_ns, uint64_t rate)
{
	return (clock_monotonic_ns() - begin_ns) * rate / CLOCK_NS_PER_S;
}

/* G8 */
static void limits_storms_of_a_port(void **state)
{
	uint64_t begin_ns = clock_monotonic_ns();

	configure("", ", 'storm': {'broadcast': 100, 'multicast': 100, 'unknown-unicast': 100}");
	for (int i = 0; i < 60; i++)
		send("web.e", 0xff, 1);
	assert_in_range(lab_count("app.e"), 10, 39 + earned(begin_ns, 100));
	assert_int_equal(lab_count("app.e") + lab_drops(DROP_storm), 60);
	lab_clear();
	for (int i = 0; i < 60; i++)
		send("web.e", 77, 1);
	assert_true(lab_drops(DROP_storm) + earned(begin_ns, 100) > 20);
	lab_clear();
	for (int i = 0; i < 60; i++)
		send("app.e", 0xff, 2); /* another port is not concerned */
	assert_int_equal(lab_drops(DROP_storm), 0);
}

/* G9 */
static void limits_the_rates_of_a_port(void **state)
{
	const uint64_t rate = 1000000 / 8 / 1400 + 1;
	uint64_t begin_ns = clock_monotonic_ns();
	uint8_t frame[1500];

	configure("", ", 'rate': {'in': 1000000, 'out': 1000000}");
	teach();
	make(frame, 2, 1, UNTAGGED, "x");
	for (int i = 0; i < 200; i++)
		lab_send("web.e", frame, 1400);
	assert_in_range(lab_count("app.e"), 81, 149 + earned(begin_ns, rate));
	assert_int_equal(lab_count("app.e") + lab_drops(DROP_rate_in), 200);
	lab_clear();
	make(frame, 1, 2, UNTAGGED, "x");
	for (int i = 0; i < 200; i++)
		lab_send("app.e", frame, 1400);
	assert_in_range(lab_count("web.e"), 81, 149 + earned(begin_ns, rate));
	assert_int_equal(lab_count("web.e") + lab_drops(DROP_rate_out), 200);
}

/* G12 */
static void change_of_one_vlan_leaves_what_others_learned(void **state)
{
	teach();
	configure("", ""); /* flushes */
	teach();
	assert_int_equal(lab_configure("{'gateway': {'physical': 'uplink', 'native-vlan': 1,"
				       "'trunks': {'trunk-a': {'vlans': [10]}}},"
				       "'partitions': {'web': {'adapters': {'e': {'vlan': 10}}},"
				       "'app': {'adapters': {'e': {'vlan': 10}}}}}"),
		0);
	lab_clear();
	send("web.e", 2, 1);
	expect_only("app.e", 2, 1, UNTAGGED);
	assert_int_equal(fdb_control_vlan_count(20), 0); /* its ports are gone */
	lab_clear();
	send("db.e", 0xff, 3);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(DROP_vlan_not_member), 1);
}

/* G12 */
static void new_port_of_the_same_index_inherits_nothing(void **state)
{
	teach();
	lab_replace_port("web.e");
	send("web.e", 0xff, 1); /* not the switch's yet */
	assert_int_equal(lab_total(), 0);
	plain(state);
	teach();
	lab_replace_port("web.e");
	lab_configure("{'gateway': {'physical': 'uplink', 'native-vlan': 1,"
		      "'trunks': {'trunk-a': {'vlans': [10]}}},"
		      "'partitions': {'web': {'adapters': {'e': {'vlan': 10}}},"
		      "'app': {'adapters': {'e': {'vlan': 10}}}}}");
	lab_clear();
	send("app.e", 1, 2);
	assert_int_equal(lab_count("uplink"), 1); /* unknown again */
}

/* G2 */
static void refuses_a_vlan_in_two_trunks(void **state)
{
	assert_int_not_equal(lab_configure("{'gateway': {'trunks': {'a': {'vlans': [10, 11]},"
					   "'b': {'vlans': [11, 12]}}}}"),
		0);
	assert_non_null(strstr(lab_error, "VLAN 11 belongs to trunk adapter a already"));
}

/* G8 */
static void refuses_an_address_behind_two_ports(void **state)
{
	assert_int_not_equal(
		lab_configure(
			"{'gateway': {}, 'partitions': {"
			"'web': {'adapters': {'e': {'vlan': 10, 'mac': '02:00:00:00:00:01'}}},"
			"'app': {'adapters': {'e': {'vlan': 10,"
			"  'static': ['02:00:00:00:00:01']}}}}}"),
		0);
	assert_non_null(strstr(lab_error, "02:00:00:00:00:01"));
}

/* G13 */
static void whole_bursts_pass_in_order_and_unchanged(void **state)
{
	uint8_t frame[128];

	teach();
	for (int i = 0; i < 200; i++) {
		size_t size = make(frame, 8, 1, UNTAGGED, "................................");

		frame[20] = (uint8_t)i;
		lab_queue("web.e", frame, size);
	}
	lab_walk();
	assert_int_equal(lab_count("uplink"), 200);
	for (int i = 0; i < 200; i++)
		assert_int_equal(lab_frame_at("uplink", (size_t)i)->bytes[24], i);
	assert_int_equal(lab_total(), 200);
}

/* Of the frames that left the port, each has a later number than the one before. */
static void expect_in_order(const char *port, size_t count, size_t at)
{
	assert_int_equal(lab_count(port), count);
	for (size_t i = 1; i < count; i++)
		assert_true(
			lab_frame_at(port, i - 1)->bytes[at] < lab_frame_at(port, i)->bytes[at]);
}

/* G13: packets of one edge go on together; copies for others must not overtake them, nor they the
 * copies. Rows of each length, so that tx sends some as they lie and sorts others. */
static void copies_and_rows_of_packets_keep_their_order(void **state)
{
	static const int targets[] = {2, 0xff, 8, 2, 2, 0xff, 0xff, 8, 8};
	size_t counts[256] = {0};
	uint8_t frame[128];

	teach();
	for (int i = 0; i < 200; i++) {
		int to = i % 80 < 40 ? targets[i % 9] : i % 80 < 60 ? 2 : 8;
		size_t size = make(frame, to, 1, UNTAGGED, "................................");

		frame[20] = (uint8_t)i;
		counts[to]++;
		lab_queue("web.e", frame, size);
	}
	lab_walk();
	expect_in_order("app.e", counts[2] + counts[0xff], 20);
	expect_in_order("uplink", counts[8] + counts[0xff], 24);
	expect_in_order("both.e", counts[0xff], 24);
	expect_in_order("host", counts[0xff], 20);
}

static void leaks_no_buffer(void **state)
{
	assert_int_equal(lab_buffers(), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, plain)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(switches_between_partitions_of_a_vlan),
		TEST(floods_a_broadcast_to_its_vlan_only),
		TEST(knows_an_address_in_each_vlan_apart),
		TEST(trunk_port_carries_its_vlans_tagged_and_its_pvid_untagged),
		TEST(refuses_tags_that_the_port_may_not_send),
		TEST(takes_a_priority_tag_for_the_ports_vlan),
		TEST(untagged_frames_get_the_priority_of_their_port),
		TEST(refuses_a_tag_hidden_behind_a_priority_tag),
		TEST(does_not_send_a_double_tag_untagged),
		TEST(origin_trunk_goes_to_the_physical_adapter),
		TEST(origin_physical_goes_to_the_trunk_of_its_vlan),
		TEST(drops_what_comes_in_for_a_vlan_without_trunk),
		TEST(never_sends_back_what_came_from_outside),
		TEST(vlan_without_trunk_is_switched_inside_only),
		TEST(origin_host_goes_by_the_forwarding_table),
		TEST(origin_host_with_unknown_destination_goes_both_ways),
		TEST(host_receives_what_is_addressed_to_it),
		TEST(inspects_east_west_where_the_vlan_says_so),
		TEST(keeps_unknown_unicast_from_members_where_flooding_is_off),
		TEST(forgets_an_address_that_is_not_seen_any_more),
		TEST(takes_no_more_addresses_on_a_port_than_its_limit),
		TEST(takes_no_more_addresses_in_a_vlan_than_its_limit),
		TEST(configured_address_is_never_learned_elsewhere),
		TEST(address_that_moves_is_followed_and_told),
		TEST(address_that_moves_too_often_stays_for_a_while),
		TEST(refuses_impossible_sources),
		TEST(reserved_addresses_go_by_the_policy),
		TEST(limits_storms_of_a_port),
		TEST(limits_the_rates_of_a_port),
		TEST(change_of_one_vlan_leaves_what_others_learned),
		TEST(new_port_of_the_same_index_inherits_nothing),
		TEST(refuses_a_vlan_in_two_trunks),
		TEST(refuses_an_address_behind_two_ports),
		TEST(whole_bursts_pass_in_order_and_unchanged),
		TEST(copies_and_rows_of_packets_keep_their_order),
		TEST(leaks_no_buffer),
	};

	return cmocka_run_group_tests(tests, lab_set_up, lab_tear_down);
}
