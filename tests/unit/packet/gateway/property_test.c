/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * G1: random configurations and frames; nothing ever leaves through a port that is no member of the
 * frame's VLAN, nor through the port it came from, nor changed. The rules are written down here
 * anew, as plainly as can be.
 */
#include "switch_lab.h"

#include "wire/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARTITIONS     8
#define VLANS          5 /* 1..5 */
#define CONFIGURATIONS 60
#define FRAMES         400

struct member {
	char name[32];
	int pvid;        /* 0: none */
	bool is_trunk;   /* trunk mode */
	unsigned tagged; /* bits by VLAN */
};

static struct member members[PARTITIONS + 2]; /* then uplink, then host */
#define UPLINK (&members[PARTITIONS])
#define HOST   (&members[PARTITIONS + 1])

static int pick(int count)
{
	return (int)(random() % count);
}

static void append(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, size - used, format, arguments);
	va_end(arguments);
}

static void append_list(char *text, size_t size, unsigned bits)
{
	const char *comma = "";

	append(text, size, "[");
	for (int vlan = 1; vlan <= VLANS; vlan++) {
		if (!(bits >> vlan & 1))
			continue;
		append(text, size, "%s%d", comma, vlan);
		comma = ",";
	}
	append(text, size, "]");
}

static void append_partition(char *text, size_t size, int i)
{
	struct member *member = &members[i];

	snprintf(member->name, sizeof(member->name), "p%d.e", i);
	member->is_trunk = pick(3) == 0;
	member->pvid = member->is_trunk && pick(2) ? 0 : 1 + pick(VLANS);
	member->tagged = 0;
	append(text, size, "%s'p%d': {'adapters': {'e': {'vlan': %d", i ? "," : "", i,
		member->pvid);
	if (member->is_trunk) {
		member->tagged = (unsigned)random() & 0x3e & ~(1U << member->pvid);
		append(text, size, ", 'mode': 'trunk', 'vlans': ");
		append_list(text, size, member->tagged);
	}
	append(text, size, "}}}");
}

static void configure_at_random(void)
{
	static char text[8192];
	unsigned trunk_a = (unsigned)random() & 0x3e,
		 trunk_b = (unsigned)random() & 0x3e & ~trunk_a;
	int host_vlan = 1 + pick(VLANS), native = 1 + pick(VLANS);

	text[0] = '\0';
	*UPLINK = (struct member){"uplink", native, true, 0x3eU & ~(1U << native)};
	*HOST = (struct member){"host", host_vlan, false, 0};
	append(text, sizeof(text),
		"{'gateway': {'physical': 'uplink', 'native-vlan': %d, 'host': "
		"{'interface': 'x', 'vlan': %d}, 'trunks': {'a': {'vlans': ",
		native, host_vlan);
	append_list(text, sizeof(text), trunk_a);
	append(text, sizeof(text), "}, 'b': {'vlans': ");
	append_list(text, sizeof(text), trunk_b);
	append(text, sizeof(text), "}}, 'vlans': {");
	for (int vlan = 1; vlan <= VLANS; vlan++)
		append(text, sizeof(text), "%s'%d': {'inspect': '%s', 'flood': %s}",
			vlan > 1 ? "," : "", vlan, pick(3) ? "gateway" : "all",
			pick(4) ? "true" : "false");
	append(text, sizeof(text), "}}, 'partitions': {");
	for (int i = 0; i < PARTITIONS; i++)
		append_partition(text, sizeof(text), i);
	append(text, sizeof(text), "}}");
	if (lab_configure(text) != 0)
		fail_msg("%s: %s", text, lab_error);
}

/* The VLAN a frame from member belongs to; 0: none takes it. */
static int vlan_of(const struct member *member, int tag)
{
	int vlan = tag < 0 || (tag & 0xfff) == 0 ? member->pvid : tag & 0xfff;

	if (!member->is_trunk && tag >= 0 && (tag & 0xfff) != 0)
		return 0;
	return vlan == member->pvid || (vlan <= VLANS && member->tagged >> vlan & 1) ? vlan : 0;
}

static bool carries(const struct member *member, int vlan)
{
	return vlan && (vlan == member->pvid || (member->tagged >> vlan & 1));
}

/* to, from, optional tag, type, a mark. */
static size_t make(uint8_t *frame, int to, int from, int tag, uint32_t mark)
{
	size_t size = 12;

	memset(frame, 0, 80);
	frame[0] = frame[6] = 2;
	frame[5] = (uint8_t)to;
	frame[11] = (uint8_t)from;
	if (to >= 30)
		memset(frame, to == 30 ? 0xff : 0x33, 6);
	if (tag >= 0) {
		network_store16(frame + size, 0x8100);
		network_store16(frame + size + 2, (uint16_t)tag);
		size += 4;
	}
	network_store16(frame + size, 0x88b5);
	network_store32(frame + size + 2, mark);
	return size + 60;
}

static uint32_t delivered;

static void check_output(
	const struct member *to, const struct lab_frame *out, const uint8_t *sent, int vlan)
{
	uint8_t wanted[96];
	size_t size = 12;

	assert_true(carries(to, vlan));
	memcpy(wanted, sent, 12);
	if (vlan != to->pvid) {
		network_store16(wanted + 12, 0x8100);
		/* The priority of the tag it came with stays. */
		network_store16(
			wanted + 14, (uint16_t)((network_load16(out->bytes + 14) & 0xf000) | vlan));
		size += 4;
	}
	memcpy(wanted + size, sent + (network_load16(sent + 12) == 0x8100 ? 16 : 12), 60);
	assert_memory_equal(out->bytes, wanted, size + 60);
	delivered++;
}

static void send_one(uint32_t mark)
{
	const struct member *from = &members[pick(PARTITIONS + 2)];
	int tag = pick(2) ? -1 : pick(VLANS + 2) | pick(8) << 13;
	int vlan = vlan_of(from, tag);
	uint8_t frame[96];
	size_t size = make(frame, 1 + pick(31), (int)(from - members) * 2 + 1 + pick(3), tag, mark);

	lab_clear();
	lab_send(from->name, frame, size);
	if (!vlan)
		assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_count(from->name), 0);
	for (const struct member *to = members; to < members + PARTITIONS + 2; to++) {
		assert_true(lab_count(to->name) <= 1);
		if (lab_count(to->name))
			check_output(to, lab_frame_at(to->name, 0), frame, vlan);
	}
}

static void nothing_leaves_its_vlan(void **state)
{
	srandom(3);
	for (int i = 0; i < CONFIGURATIONS; i++) {
		configure_at_random();
		for (uint32_t n = 0; n < FRAMES; n++)
			send_one((uint32_t)i << 16 | n);
		lab_advance_ms(2000);
	}
	assert_true(delivered > CONFIGURATIONS * FRAMES / 2); /* it is not all dropped */
	assert_int_equal(lab_buffers(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_leaves_its_vlan),
	};

	return cmocka_run_group_tests(tests, lab_set_up, lab_tear_down);
}
