/* SPDX-License-Identifier: BSD-3-Clause */
/* G8: each rule of the guard, and each way around it that is known. */
#include "packet/gateway/guard.h"

#include "wire/checksum.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ALL (GUARD_MAC | GUARD_IP | GUARD_ARP | GUARD_ND | GUARD_DHCP | GUARD_RA | GUARD_EAPOL)

static uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static struct guard_prefix ipv4[2], ipv6[1];
static struct guard guard = {.flags = ALL,
	.mac_count = 2,
	.macs = macs,
	.ipv4_count = 2,
	.ipv4 = ipv4,
	.ipv6_count = 1,
	.ipv6 = ipv6,
	.has_ipv6_link_local = true};

static const uint8_t own_ip[4] = {192, 0, 2, 10}, own_net_ip[4] = {198, 51, 100, 77};
static const uint8_t other_ip[4] = {192, 0, 2, 11};
static const uint8_t own_ip6[16] = {0x20, 1, 0xd, 0xb8, [15] = 0x10};
static const uint8_t other_ip6[16] = {0x20, 1, 0xd, 0xb8, [15] = 0x11};
static const uint8_t link_local[16] = {0xfe, 0x80, [8] = 0, 0, 0, 0xff, 0xfe, 0, 0, 1};
static const uint8_t zero[16];

static int make_guard(void **state)
{
	guard.flags = ALL;
	memcpy(ipv4[0].address, own_ip, 4);
	memset(ipv4[0].mask, 0xff, 4);
	memcpy(ipv4[1].address, "\xc6\x33\x64\0", 4); /* 198.51.100.0/24 */
	memcpy(ipv4[1].mask, "\xff\xff\xff\0", 4);
	memcpy(ipv6[0].address, own_ip6, 16);
	memset(ipv6[0].mask, 0xff, 16);
	memcpy(guard.ipv6_link_local, link_local, 16);
	return 0;
}

struct frame {
	uint8_t bytes[512];
	size_t size;
};

static uint8_t *append(struct frame *frame, const void *bytes, size_t size)
{
	uint8_t *at = frame->bytes + frame->size;

	assert_true(frame->size + size <= sizeof(frame->bytes));
	memset(at, 0, size);
	if (bytes)
		memcpy(at, bytes, size);
	frame->size += size;
	return at;
}

/* A literal, and zeros up to size. */
#define append_text(frame, text, size)                                                             \
	memcpy(append(frame, NULL, size), text,                                                    \
		sizeof(text) - 1 < (size) ? sizeof(text) - 1 : (size))

static struct frame start(uint16_t type)
{
	struct frame frame = {.size = 0};

	append_text(&frame, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1", 12);
	network_store16(append(&frame, NULL, 2), type);
	return frame;
}

static uint8_t *append_ipv4(
	struct frame *frame, const uint8_t *source, uint8_t protocol, size_t payload)
{
	uint8_t *ip = append(frame, NULL, 20);

	ip[0] = 0x45;
	network_store16(ip + 2, (uint16_t)(20 + payload));
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, source, 4);
	memset(ip + 16, 0xff, 4);
	return ip;
}

static uint8_t *append_ipv6(
	struct frame *frame, const uint8_t *source, uint8_t next, size_t payload)
{
	uint8_t *ip = append(frame, NULL, 40);

	ip[0] = 0x60;
	network_store16(ip + 4, (uint16_t)payload);
	ip[6] = next;
	ip[7] = 255;
	memcpy(ip + 8, source, 16);
	ip[24] = 0xff;
	ip[25] = 2;
	ip[39] = 1;
	return ip;
}

static void append_udp(struct frame *frame, uint16_t source, uint16_t destination)
{
	uint8_t *udp = append(frame, NULL, 16);

	network_store16(udp, source);
	network_store16(udp + 2, destination);
	network_store16(udp + 4, 16);
}

/* Type, target and the option with a MAC address; 32 bytes. */
static void append_nd(struct frame *frame, uint8_t type, const uint8_t *target, const uint8_t *mac)
{
	uint8_t *icmp = append(frame, NULL, 32);

	icmp[0] = type;
	memcpy(icmp + 8, target, 16);
	icmp[24] = type == 135 ? 1 : 2;
	icmp[25] = 1;
	memcpy(icmp + 26, mac, 6);
}

/* On the heap, exactly as large, so that a sanitizer sees each byte read past the end. */
static enum drop_reason check(const struct frame *frame)
{
	uint8_t *copy = malloc(frame->size);
	enum drop_reason reason;

	memcpy(copy, frame->bytes, frame->size);
	reason = guard_check(&guard, copy, (uint32_t)frame->size, (uint32_t)frame->size);
	free(copy);
	return reason;
}

static enum drop_reason check_udp4(const uint8_t *ip, uint16_t source, uint16_t destination)
{
	struct frame frame = start(0x0800);

	append_ipv4(&frame, ip, IPPROTO_UDP, 16);
	append_udp(&frame, source, destination);
	return check(&frame);
}

static enum drop_reason check_udp6(const uint8_t *ip, uint16_t source, uint16_t destination)
{
	struct frame frame = start(0x86dd);

	append_ipv6(&frame, ip, IPPROTO_UDP, 16);
	append_udp(&frame, source, destination);
	return check(&frame);
}

static void holds_a_port_to_its_mac_addresses(void **state)
{
	struct frame frame = start(0x1234);

	append(&frame, NULL, 46);
	assert_int_equal(check(&frame), DROP_none);
	frame.bytes[11] = 2;
	assert_int_equal(check(&frame), DROP_none);
	frame.bytes[11] = 3;
	assert_int_equal(check(&frame), DROP_guard_mac);
	guard.flags &= ~GUARD_MAC;
	assert_int_equal(check(&frame), DROP_none);
}

static void holds_a_port_to_its_ipv4_addresses(void **state)
{
	assert_int_equal(check_udp4(own_ip, 1000, 2000), DROP_none);
	assert_int_equal(check_udp4(own_net_ip, 1000, 2000), DROP_none);
	assert_int_equal(check_udp4(other_ip, 1000, 2000), DROP_guard_ipv4);
	assert_int_equal(check_udp4(zero, 1000, 2000), DROP_guard_ipv4);
	guard.flags &= ~GUARD_IP;
	assert_int_equal(check_udp4(other_ip, 1000, 2000), DROP_none);
}

static void lets_a_client_ask_for_its_address(void **state)
{
	assert_int_equal(check_udp4(zero, 68, 67), DROP_none);
	assert_int_equal(check_udp4(other_ip, 68, 67), DROP_guard_ipv4);
	assert_int_equal(check_udp6(link_local, 546, 547), DROP_none);
}

static void holds_a_port_to_its_ipv6_addresses(void **state)
{
	assert_int_equal(check_udp6(own_ip6, 1000, 2000), DROP_none);
	assert_int_equal(check_udp6(link_local, 1000, 2000), DROP_none);
	assert_int_equal(check_udp6(other_ip6, 1000, 2000), DROP_guard_ipv6);
	assert_int_equal(check_udp6(zero, 1000, 2000), DROP_guard_ipv6);
}

static void refuses_dhcp_servers(void **state)
{
	assert_int_equal(check_udp4(own_ip, 67, 68), DROP_guard_dhcp);
	assert_int_equal(check_udp4(own_ip, 67, 1000), DROP_guard_dhcp);
	assert_int_equal(check_udp4(own_ip, 1000, 68), DROP_guard_dhcp); /* clients take it, too */
	assert_int_equal(check_udp6(own_ip6, 547, 546), DROP_guard_dhcp);
	assert_int_equal(check_udp6(own_ip6, 1000, 546), DROP_guard_dhcp);
	assert_int_equal(check_udp4(own_ip, 68, 67), DROP_none);
	guard.flags &= ~GUARD_DHCP;
	assert_int_equal(check_udp4(own_ip, 67, 68), DROP_none);
}

static void dhcp_server_cannot_hide(void **state)
{
	/* Behind an outer tag of each kind, LLC/SNAP, both, and options. */
	static const struct {
		uint16_t type;
		const char *bytes;
		size_t size;
	} covers[] = {
		{0x88a8, "\0\x64\x08\0", 4},
		{0x9100, "\0\x64\x08\0", 4},
		{0x8100, "\0\0\x08\0", 4},
		{0x88a8, "\0\1\x81\0\0\2\x81\0\0\3\x81\0\0\4\x08\0", 16},
		{100, "\xaa\xaa\3\0\0\0\x08\0", 8},
		{0x88a8, "\0\1\0\x40\xaa\xaa\3\0\0\0\x81\0\0\0\x08\0", 16},
	};

	for (size_t i = 0; i < sizeof(covers) / sizeof(covers[0]); i++) {
		struct frame frame = start(covers[i].type);

		append(&frame, covers[i].bytes, covers[i].size);
		append_ipv4(&frame, own_ip, IPPROTO_UDP, 16);
		append_udp(&frame, 67, 68);
		assert_int_equal(check(&frame), DROP_guard_dhcp);
	}
}

static void dhcp_server_cannot_hide_in_options_or_fragments(void **state)
{
	struct frame frame = start(0x0800);
	uint8_t *ip = append_ipv4(&frame, own_ip, IPPROTO_UDP, 20);

	ip[0] = 0x46;
	append_text(&frame, "\1\1\1\0", 4);
	append_udp(&frame, 67, 68);
	assert_int_equal(check(&frame), DROP_guard_dhcp);
	memcpy(ip + 20, "\7\x63\0\0", 4); /* an option that is longer than all of them */
	assert_int_equal(check(&frame), DROP_guard_malformed);

	frame = start(0x0800);
	ip = append_ipv4(&frame, own_ip, IPPROTO_UDP, 16);
	append_udp(&frame, 67, 68);
	network_store16(ip + 6, 0x2000);
	assert_int_equal(check(&frame), DROP_guard_dhcp); /* first fragment */
	network_store16(ip + 2, 24);
	frame.size = 14 + 24;
	assert_int_equal(check(&frame), DROP_guard_malformed); /* without the ports */
	network_store16(ip + 6, 2);
	assert_int_equal(check(&frame), DROP_none); /* a later one */
}

static void tags_that_are_too_deep_to_follow_are_refused(void **state)
{
	struct frame frame = start(0x88a8);

	for (int i = 0; i < 5; i++)
		append_text(&frame, "\0\1\x81\0", 4);
	append(&frame, NULL, 40);
	assert_int_equal(check(&frame), DROP_guard_malformed);
}

static void arp_claims_only_own_addresses(void **state)
{
	static const struct {
		uint8_t sender_mac;
		const uint8_t *sender_ip;
		enum drop_reason reason;
	} cases[] = {
		{1, own_ip, DROP_none},
		{2, own_net_ip, DROP_none},
		{1, zero, DROP_none},
		{3, own_ip, DROP_guard_arp},
		{1, other_ip, DROP_guard_arp},
		{3, zero, DROP_guard_arp},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint8_t operation = 1; operation <= 2; operation++) {
			struct frame frame = start(0x0806);
			uint8_t *arp = append_text(&frame, "\0\1\x08\0\6\4\0\1\2", 28);

			arp[7] = operation;
			arp[13] = cases[i].sender_mac;
			memcpy(arp + 14, cases[i].sender_ip, 4);
			assert_int_equal(check(&frame), cases[i].reason);
			network_store16(frame.bytes + 12, 0x8035); /* RARP alike */
			assert_int_equal(check(&frame), cases[i].reason);
		}
	}
}

static void refuses_arp_that_it_cannot_read(void **state)
{
	struct frame frame = start(0x0806);
	uint8_t *arp = append_text(&frame, "\0\1\x08\0\6\4\0\1\2\0\0\0\0\1\xc0\0\2\x0a", 28);

	assert_int_equal(check(&frame), DROP_none);
	frame.size--;
	assert_int_equal(check(&frame), DROP_guard_malformed);
	frame.size++;
	arp[4] = 8;
	assert_int_equal(check(&frame), DROP_guard_malformed);
	arp[4] = 6;
	arp[1] = 6; /* IEEE 802 hardware type: some hosts take it for Ethernet */
	assert_int_equal(check(&frame), DROP_guard_malformed);
	guard.flags &= ~GUARD_ARP;
	assert_int_equal(check(&frame), DROP_none);
}

static enum drop_reason check_nd(
	const uint8_t *source, uint8_t type, const uint8_t *target, const uint8_t *mac)
{
	struct frame frame = start(0x86dd);

	append_ipv6(&frame, source, IPPROTO_ICMPV6, 32);
	append_nd(&frame, type, target, mac);
	return check(&frame);
}

static void nd_claims_only_own_addresses(void **state)
{
	static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 3};

	assert_int_equal(check_nd(own_ip6, 136, own_ip6, macs[0]), DROP_none);
	assert_int_equal(check_nd(own_ip6, 136, link_local, macs[0]), DROP_none);
	assert_int_equal(check_nd(own_ip6, 136, other_ip6, macs[0]), DROP_guard_nd);
	assert_int_equal(check_nd(own_ip6, 136, own_ip6, other_mac), DROP_guard_nd);
	assert_int_equal(check_nd(own_ip6, 135, other_ip6, macs[0]), DROP_none);
	assert_int_equal(check_nd(own_ip6, 135, other_ip6, other_mac), DROP_guard_nd);
	assert_int_equal(check_nd(zero, 135, own_ip6, macs[0]), DROP_none);
	assert_int_equal(check_nd(zero, 136, own_ip6, macs[0]), DROP_guard_ipv6);
	assert_int_equal(check_nd(zero, 143, own_ip6, macs[0]), DROP_none);
}

/* Solicitations change neighbours' tables too, by their source (RFC 4861 section 7.2.3). */
static void nd_without_ip_holds_solicitations_to_own_addresses(void **state)
{
	guard.flags = GUARD_MAC | GUARD_ND;
	assert_int_equal(check_nd(own_ip6, 135, other_ip6, macs[0]), DROP_none);
	assert_int_equal(check_nd(link_local, 135, other_ip6, macs[0]), DROP_none);
	assert_int_equal(check_nd(other_ip6, 135, own_ip6, macs[0]), DROP_guard_nd);
	assert_int_equal(check_nd(other_ip6, 136, own_ip6, macs[0]), DROP_none);
}

static void refuses_router_advertisements(void **state)
{
	struct frame frame;

	assert_int_equal(check_nd(link_local, 134, zero, macs[0]), DROP_guard_ra);
	assert_int_equal(check_nd(link_local, 137, zero, macs[0]), DROP_guard_ra); /* redirect */
	frame = start(0x86dd);
	append_ipv6(&frame, link_local, IPPROTO_ICMPV6, 16);
	append_text(&frame, "\x85\0\0\0\0\0\0\0\1\1\2\0\0\0\0\1", 16);
	assert_int_equal(check(&frame), DROP_none); /* soliciting is a host's part */
	guard.flags &= ~GUARD_RA;
	assert_int_equal(check_nd(link_local, 134, zero, macs[0]), DROP_none);
}

/* RFC 7113 */
static void router_advertisement_cannot_hide_behind_extension_headers(void **state)
{
	static const uint8_t nexts[] = {0, 43, 60, 135, 139, 140, 51};

	for (size_t i = 0; i < sizeof(nexts); i++) {
		struct frame frame = start(0x86dd);

		append_ipv6(&frame, link_local, nexts[i], 24 + 16 + 32);
		append_text(&frame, "\x3c\2", 24);
		frame.bytes[frame.size - 23] = nexts[i] == 51 ? 4 : 2;
		append_text(&frame, "\x3a\1", 16);
		append_nd(&frame, 134, zero, macs[0]);
		assert_int_equal(check(&frame), DROP_guard_ra);
	}
}

/* RFC 7113, RFC 6980 */
static void router_advertisement_cannot_hide_in_fragments(void **state)
{
	struct frame frame = start(0x86dd);
	uint8_t *fragment;

	append_ipv6(&frame, link_local, 44, 8 + 32);
	fragment = append_text(&frame, "\x3a\0\0\1", 8);
	append_nd(&frame, 134, zero, macs[0]);
	assert_int_equal(check(&frame), DROP_guard_ra);
	fragment[3] = 0; /* atomic */
	assert_int_equal(check(&frame), DROP_guard_ra);
	frame.bytes[14 + 40 + 8] = 136;
	assert_int_equal(check(&frame), DROP_guard_nd); /* hosts never fragment these */

	/* The first fragment ends before ICMPv6 begins. */
	frame = start(0x86dd);
	append_ipv6(&frame, link_local, 44, 8 + 8);
	append_text(&frame, "\x3c\0\0\1", 8);
	append_text(&frame, "\x3a\0\1\4", 8);
	assert_int_equal(check(&frame), DROP_guard_malformed);
	frame = start(0x86dd);
	append_ipv6(&frame, link_local, 44, 8 + 8);
	append_text(&frame, "\x3c\0\0\1", 8);
	append_text(&frame, "\x3a\2\1\4", 8); /* or within the extension header */
	assert_int_equal(check(&frame), DROP_guard_malformed);
}

static void nd_options_that_contradict_are_refused(void **state)
{
	struct frame frame = start(0x86dd);
	uint8_t *option;

	append_ipv6(&frame, own_ip6, IPPROTO_ICMPV6, 40);
	append_nd(&frame, 136, own_ip6, macs[0]);
	option = append_text(&frame, "\2\1\2\0\0\0\0\1", 8);
	assert_int_equal(check(&frame), DROP_guard_malformed); /* twice */
	option[0] = 14;                                        /* nonce */
	assert_int_equal(check(&frame), DROP_none);
	option[1] = 0;
	assert_int_equal(check(&frame), DROP_guard_malformed);
	option[1] = 2;
	assert_int_equal(check(&frame), DROP_guard_malformed);
}

static void refuses_eapol_unless_it_is_allowed(void **state)
{
	struct frame frame = start(0x888e);

	append_text(&frame, "\2\1", 46);
	assert_int_equal(check(&frame), DROP_guard_eapol);
	network_store16(frame.bytes + 12, 0x88c7);
	assert_int_equal(check(&frame), DROP_guard_eapol);
	guard.flags &= ~GUARD_EAPOL;
	assert_int_equal(check(&frame), DROP_none);
}

static void refuses_ip_headers_that_it_cannot_read(void **state)
{
	struct frame frame = start(0x0800);

	append_ipv4(&frame, own_ip, IPPROTO_UDP, 100); /* more than there is */
	append(&frame, NULL, 3);
	assert_int_equal(check(&frame), DROP_guard_malformed);
	frame = start(0x86dd);
	append_text(&frame, "\x60", 39);
	assert_int_equal(check(&frame), DROP_guard_malformed);
	guard.flags = GUARD_RA | GUARD_DHCP; /* no addresses: nothing can hide in it */
	assert_int_equal(check(&frame), DROP_none);
}

static void lets_other_protocols_pass(void **state)
{
	static const uint16_t types[] = {0x88cc, 0x8809, 0x22f0, 0x88f7, 0x8847, 0x893a, 38, 1500};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct frame frame = start(types[i]);

		append_text(&frame, "\x42\x42\3", 46);
		assert_int_equal(check(&frame), DROP_none);
	}
}

/* What the short cut for plain packets lets pass, the long way lets pass, too. */
static void short_cut_and_long_way_agree(void **state)
{
	srandom(2);
	for (int i = 0; i < 300000; i++) {
		bool is_ipv4 = random() % 2;
		struct frame frame = start(is_ipv4 ? 0x0800 : 0x86dd);
		struct frame covered = start(0x88a8);
		uint8_t *ip;

		if (is_ipv4)
			append_ipv4(&frame, random() % 2 ? own_ip : other_ip,
				random() % 2 ? IPPROTO_UDP : IPPROTO_TCP, 20);
		else
			append_ipv6(&frame, random() % 2 ? own_ip6 : other_ip6,
				random() % 2 ? IPPROTO_UDP : IPPROTO_TCP, 20);
		append(&frame, NULL, 20);
		ip = frame.bytes + 14;
		network_store16(ip + (is_ipv4 ? 20 : 40), (uint16_t)(random() % 2 ? 67 : 1000));
		network_store16(ip + (is_ipv4 ? 24 : 44), 20);
		ip[(is_ipv4 ? 20 : 40) + 12] = 0x50;
		covered.size = 12;
		append_text(&covered, "\x88\xa8\0\1", 4); /* behind a tag there is no short cut */
		append(&covered, frame.bytes + 12, frame.size - 12);
		assert_int_equal(check(&frame), check(&covered));
	}
}

#define TEST(name) cmocka_unit_test_setup(name, make_guard)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(holds_a_port_to_its_mac_addresses),
		TEST(holds_a_port_to_its_ipv4_addresses),
		TEST(lets_a_client_ask_for_its_address),
		TEST(holds_a_port_to_its_ipv6_addresses),
		TEST(refuses_dhcp_servers),
		TEST(dhcp_server_cannot_hide),
		TEST(dhcp_server_cannot_hide_in_options_or_fragments),
		TEST(tags_that_are_too_deep_to_follow_are_refused),
		TEST(arp_claims_only_own_addresses),
		TEST(refuses_arp_that_it_cannot_read),
		TEST(nd_claims_only_own_addresses),
		TEST(nd_without_ip_holds_solicitations_to_own_addresses),
		TEST(refuses_router_advertisements),
		TEST(router_advertisement_cannot_hide_behind_extension_headers),
		TEST(router_advertisement_cannot_hide_in_fragments),
		TEST(nd_options_that_contradict_are_refused),
		TEST(refuses_eapol_unless_it_is_allowed),
		TEST(refuses_ip_headers_that_it_cannot_read),
		TEST(lets_other_protocols_pass),
		TEST(short_cut_and_long_way_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
