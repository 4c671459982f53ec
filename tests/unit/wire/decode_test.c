/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/decode.h"

#include "wire/checksum.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A frame under construction; append_* return where they wrote. */
struct frame {
	uint8_t bytes[2048];
	size_t size;
};

static uint8_t *append(struct frame *frame, const void *bytes, size_t size)
{
	uint8_t *at = frame->bytes + frame->size;

	assert_true(frame->size + size <= sizeof(frame->bytes));
	if (bytes)
		memcpy(at, bytes, size);
	else
		memset(at, 0, size);
	frame->size += size;
	return at;
}

static void append_u16(struct frame *frame, uint16_t value)
{
	network_store16(append(frame, NULL, 2), value);
}

static void append_ethernet(struct frame *frame, uint16_t type)
{
	append(frame, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	append_u16(frame, type);
}

static uint8_t *append_ipv4(struct frame *frame, uint8_t protocol, uint16_t payload_size)
{
	uint8_t *ip = append(frame, NULL, 20);

	ip[0] = 0x45;
	network_store16(ip + 2, (uint16_t)(20 + payload_size));
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, "\xc0\0\x02\x01\xc0\0\x02\x02", 8);
	return ip;
}

static uint8_t *append_ipv6(struct frame *frame, uint8_t next, uint16_t payload_size)
{
	uint8_t *ip = append(frame, NULL, 40);

	ip[0] = 0x60;
	network_store16(ip + 4, payload_size);
	ip[6] = next;
	ip[7] = 255;
	ip[8] = 0xfe;
	ip[9] = 0x80;
	ip[23] = 1;
	ip[24] = 0xff;
	ip[39] = 2;
	return ip;
}

static uint8_t *append_tcp(struct frame *frame, uint8_t header_words)
{
	uint8_t *tcp = append(frame, NULL, header_words < 5 ? 20 : header_words * 4U);

	network_store16(tcp, 1234);
	network_store16(tcp + 2, 80);
	network_store32(tcp + 4, 0x01020304);
	network_store32(tcp + 8, 0x05060708);
	tcp[12] = (uint8_t)(header_words << 4);
	tcp[13] = 0x18;
	network_store16(tcp + 14, 4096);
	return tcp;
}

static uint8_t *append_udp(struct frame *frame, uint16_t length)
{
	uint8_t *udp = append(frame, NULL, 8);

	network_store16(udp, 53);
	network_store16(udp + 2, 5353);
	network_store16(udp + 4, length);
	return udp;
}

/* Decodes an exact copy on the heap, so that a sanitizer sees each byte read past the end. */
static enum decode_malformed decode(const struct frame *frame, struct decoded *out)
{
	uint8_t *copy = malloc(frame->size ? frame->size : 1);
	enum decode_malformed malformed;

	memcpy(copy, frame->bytes, frame->size);
	malformed = decode_frame(copy, frame->size, out);
	assert_int_equal(malformed, out->malformed);
	assert_int_equal(out->frame_size, frame->size);
	decode_pair_hash(out, 10);
	checksum_is_right(out);
	free(copy);
	out->frame = frame->bytes;
	return malformed;
}

static void decodes_tcp_over_ipv4(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x0800);
	append_ipv4(&frame, IPPROTO_TCP, 25);
	append_tcp(&frame, 5);
	append(&frame, "hello", 5);
	append(&frame, "trailer", 7);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_int_equal(out.ip_version, 4);
	assert_int_equal(out.l3_offset, 14);
	assert_int_equal(out.ip_payload_offset, 34);
	assert_int_equal(out.l4_offset, 34);
	assert_int_equal(out.l3_end, 59);
	assert_int_equal(out.source_port, 1234);
	assert_int_equal(out.destination_port, 80);
	assert_int_equal(out.tcp_sequence, 0x01020304);
	assert_int_equal(out.tcp_acknowledgement, 0x05060708);
	assert_int_equal(out.tcp_flags, 0x18);
	assert_int_equal(out.tcp_window, 4096);
	assert_int_equal(out.payload_offset, 54);
	assert_int_equal(out.payload_size, 5);
	assert_memory_equal(out.source, "\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

static void decodes_headers_of_a_frame_that_goes_on_elsewhere(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x0800);
	append_ipv4(&frame, IPPROTO_TCP, 20 + 1000);
	append_tcp(&frame, 5);
	assert_int_equal(decode_headers(frame.bytes, frame.size, 1054, &out), DECODE_OK);
	assert_int_equal(out.payload_size, 1000);
	assert_int_equal(decode_headers(frame.bytes, frame.size - 1, 1054, &out), DECODE_TCP_SHORT);
	assert_int_equal(
		decode_headers(frame.bytes, frame.size, 1053, &out), DECODE_IPV4_TOTAL_LENGTH);
}

static void tells_every_truncation_of_a_tcp_frame(void **state)
{
	struct frame frame = {0};
	struct decoded out;
	size_t whole;

	append_ethernet(&frame, 0x8100);
	append_u16(&frame, 10);
	append_u16(&frame, 0x0800);
	append_ipv4(&frame, IPPROTO_TCP, 20);
	append_tcp(&frame, 5);
	whole = frame.size;
	for (frame.size = 0; frame.size < whole; frame.size++) {
		enum decode_malformed malformed = decode(&frame, &out);

		if (frame.size < 14)
			assert_int_equal(malformed, DECODE_ETHERNET_SHORT);
		else if (frame.size < 18)
			assert_int_equal(malformed, DECODE_VLAN_SHORT);
		else if (frame.size < 38)
			assert_int_equal(malformed, DECODE_IPV4_SHORT);
		else
			assert_int_equal(malformed, DECODE_IPV4_TOTAL_LENGTH);
	}
	assert_int_equal(decode(&frame, &out), DECODE_OK);
}

static void walks_four_tags_and_refuses_a_fifth(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x88a8);
	append_u16(&frame, 100);
	append_u16(&frame, 0x8100);
	append_u16(&frame, 200);
	append_u16(&frame, 0x9100);
	append_u16(&frame, 0xe12c);
	append_u16(&frame, 0x8100);
	append_u16(&frame, 0);
	append_u16(&frame, 0x1234);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_int_equal(out.vlan_count, 4);
	assert_int_equal(out.vlan_tpid[0], 0x88a8);
	assert_int_equal(out.vlan_tci[2], 0xe12c);
	assert_int_equal(out.ethertype, 0x1234);
	assert_int_equal(out.l3_offset, 30);
	network_store16(frame.bytes + frame.size - 2, 0x8100);
	append_u16(&frame, 1);
	append_u16(&frame, 0x0800);
	assert_int_equal(decode(&frame, &out), DECODE_VLAN_DEEP);
}

static void sees_ip_behind_snap_and_tags(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x8100);
	append_u16(&frame, 0);
	append_u16(&frame, 60);
	append(&frame, "\xaa\xaa\x03\0\0\0\x81\0", 8);
	append_u16(&frame, 0);
	append_u16(&frame, 0x86dd);
	append_ipv6(&frame, IPPROTO_ICMPV6, 16);
	append(&frame, "\x86\0\0\0", 4);
	append(&frame, NULL, 12);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_true(out.has_snap);
	assert_int_equal(out.vlan_count, 2);
	assert_int_equal(out.icmp_type, 134);
}

static void leaves_other_llc_frames_alone(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 38); /* a spanning tree BPDU */
	append(&frame, "\x42\x42\x03", 3);
	append(&frame, NULL, 35);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_int_equal(out.ethertype, 38);
	assert_int_equal(out.ip_version, 0);
	assert_int_equal(out.l4_offset, 0);
}

static void refuses_bad_ipv4_headers(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
		enum decode_malformed malformed;
	} cases[] = {
		{14, 0x65, DECODE_IPV4_VERSION},
		{14, 0x44, DECODE_IPV4_HEADER_LENGTH},
		{14, 0x4f, DECODE_IPV4_HEADER_LENGTH}, /* 60 bytes, 48 are there */
		{16, 0xff, DECODE_IPV4_TOTAL_LENGTH},
		{17, 19, DECODE_IPV4_TOTAL_LENGTH},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame frame = {0};
		struct decoded out;

		append_ethernet(&frame, 0x0800);
		append_ipv4(&frame, IPPROTO_UDP, 28);
		append_udp(&frame, 28);
		append(&frame, NULL, 20);
		assert_int_equal(decode(&frame, &out), DECODE_OK);
		frame.bytes[cases[i].offset] = cases[i].value;
		assert_int_equal(decode(&frame, &out), cases[i].malformed);
		assert_int_equal(out.l4_offset, 0);
	}
}

static void refuses_bad_ipv4_options(void **state)
{
	static const uint8_t options[][4] = {
		{7, 0, 0, 0}, {7, 1, 0, 0}, {7, 5, 0, 0}, {1, 1, 1, 7}, {1, 1, 7, 3}};
	static const uint8_t good[][4] = {{0, 9, 9, 9}, {1, 1, 1, 0}, {7, 4, 0, 0}, {7, 3, 0, 0}};

	for (size_t i = 0; i < 9; i++) {
		struct frame frame = {0};
		struct decoded out;
		uint8_t *ip;

		append_ethernet(&frame, 0x0800);
		ip = append_ipv4(&frame, IPPROTO_UDP, 12);
		ip[0] = 0x46;
		append(&frame, i < 5 ? options[i] : good[i - 5], 4);
		append_udp(&frame, 8);
		assert_int_equal(decode(&frame, &out), i < 5 ? DECODE_IPV4_OPTIONS : DECODE_OK);
		assert_memory_equal(out.source, ip + 12, 4);
		assert_int_equal(out.l4_offset, i < 5 ? 0 : 38);
	}
}

static void knows_fragments_of_ipv4(void **state)
{
	struct frame frame = {0};
	struct decoded out;
	uint8_t *ip;

	append_ethernet(&frame, 0x0800);
	ip = append_ipv4(&frame, IPPROTO_UDP, 16);
	append_udp(&frame, 1000);
	append(&frame, NULL, 8);
	assert_int_equal(decode(&frame, &out), DECODE_UDP_LENGTH);
	ip[6] = 0x20; /* more fragments */
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_true(out.is_fragment && out.is_first_fragment);
	assert_int_equal(out.source_port, 53);
	assert_int_equal(out.payload_size, 8);
	network_store16(ip + 6, 2);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_true(out.is_fragment && !out.is_first_fragment);
	assert_int_equal(out.fragment_offset, 16);
	assert_int_equal(out.l4_offset, 0);
	assert_int_equal(out.ip_payload_offset, 34);
	network_store16(ip + 6, 0x4000); /* don't fragment */
	assert_int_equal(decode(&frame, &out), DECODE_UDP_LENGTH);
	assert_false(out.is_fragment);
}

static void walks_ipv6_extension_headers(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x86dd);
	append_ipv6(&frame, 0, 8 + 16 + 8 + 12 + 8 + 8);
	append(&frame, "\x3c\0\1\4\0\0\0\0", 8);   /* hop by hop */
	append(&frame, "\x2b\1\1\x0c\0\0\0\0", 8); /* destination options, 16 bytes */
	append(&frame, NULL, 8);
	append(&frame, "\x33\0\0\0\0\0\0\0", 8);          /* routing */
	append(&frame, "\x2c\1\0\0\0\0\0\0\0\0\0\1", 12); /* AH, in words of four bytes */
	append(&frame, "\x3a\0\0\0\0\0\0\1", 8);          /* an atomic fragment */
	append(&frame, "\x88\0\0\0\0\0\0\0", 8);          /* neighbour advertisement */
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_int_equal(out.protocol, IPPROTO_ICMPV6);
	assert_int_equal(out.icmp_type, 136);
	assert_true(out.has_fragment_header);
	assert_false(out.is_fragment);
}

static void tells_a_truncated_ipv6_chain(void **state)
{
	struct frame frame = {0};
	struct decoded out;
	uint8_t *extension;

	append_ethernet(&frame, 0x86dd);
	append_ipv6(&frame, 60, 16);
	extension = append(&frame, "\x3a\0\1\4\0\0\0\0", 8);
	append(&frame, "\x86\0\0\0\0\0\0\0", 8);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_int_equal(out.icmp_type, 134);
	extension[1] = 2; /* 24 bytes, 16 are there */
	assert_int_equal(decode(&frame, &out), DECODE_IPV6_EXTENSION);
	assert_int_equal(out.icmp_type, 0);
	extension[1] = 1; /* all of them: nothing is left for ICMPv6 */
	assert_int_equal(decode(&frame, &out), DECODE_ICMP_SHORT);
}

/* RFC 2675 section 4: the length is the packet's; Linux takes that without a jumbo payload too. */
static void reads_udp_over_ipv6_without_a_length(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x86dd);
	append_ipv6(&frame, 17, 20);
	append(&frame, "\x12\x34\0\x35\0\0\0\1evil payload", 20);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	assert_int_equal(out.payload_size, 12);
}

/* RFC 8200 section 4.1: one at most. What a receiver would make of two nobody knows. */
static void refuses_ipv6_fragments_that_are_nested_in_fragments(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x86dd);
	append_ipv6(&frame, 44, 24);
	append(&frame, "\x2c\0\0\1\0\0\0\1", 8); /* first fragment */
	append(&frame, "\x11\0\0\0\0\0\0\1", 8); /* atomic */
	append_udp(&frame, 8);
	assert_int_equal(decode(&frame, &out), DECODE_IPV6_EXTENSION);
	assert_true(out.is_fragment && out.is_first_fragment);
	assert_int_equal(out.l4_offset, 0);
	network_store16(frame.bytes + 14 + 40 + 2, 0); /* the first is atomic, the second is not */
	network_store16(frame.bytes + 14 + 40 + 8 + 2, 8);
	assert_int_equal(decode(&frame, &out), DECODE_IPV6_EXTENSION);
	assert_false(out.is_fragment);
}

static void bounds_the_number_of_extension_headers(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x86dd);
	append_ipv6(&frame, 60, 17 * 8 + 8);
	for (int i = 0; i < 17; i++)
		append(&frame, i < 16 ? "\x3c\0\1\4\0\0\0\0" : "\x11\0\1\4\0\0\0\0", 8);
	append_udp(&frame, 8);
	assert_int_equal(decode(&frame, &out), DECODE_IPV6_EXTENSION);
}

static void refuses_bad_ipv6_headers(void **state)
{
	struct frame frame = {0};
	struct decoded out;
	uint8_t *ip;

	append_ethernet(&frame, 0x86dd);
	ip = append_ipv6(&frame, IPPROTO_UDP, 8);
	append_udp(&frame, 8);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	ip[5] = 9;
	assert_int_equal(decode(&frame, &out), DECODE_IPV6_PAYLOAD_LENGTH);
	ip[5] = 7;
	assert_int_equal(decode(&frame, &out), DECODE_UDP_SHORT);
	ip[0] = 0x45;
	assert_int_equal(decode(&frame, &out), DECODE_IPV6_VERSION);
	frame.size = 14 + 39;
	assert_int_equal(decode(&frame, &out), DECODE_IPV6_SHORT);
}

static void refuses_bad_tcp_headers_and_options(void **state)
{
	static const struct {
		uint8_t options[4];
		uint8_t header_words;
		enum decode_malformed malformed;
	} cases[] = {
		{{1, 1, 1, 0}, 6, DECODE_OK},
		{{2, 4, 5, 0xb4}, 6, DECODE_OK},
		{{2, 5, 5, 0xb4}, 6, DECODE_TCP_OPTIONS},
		{{2, 0, 0, 0}, 6, DECODE_TCP_OPTIONS},
		{{1, 1, 1, 2}, 6, DECODE_TCP_OPTIONS},
		{{0}, 4, DECODE_TCP_HEADER_LENGTH},
		{{0}, 7, DECODE_TCP_HEADER_LENGTH},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame frame = {0};
		struct decoded out;
		uint8_t *tcp;

		append_ethernet(&frame, 0x0800);
		append_ipv4(&frame, IPPROTO_TCP, 24);
		tcp = append_tcp(&frame, 6);
		tcp[12] = (uint8_t)(cases[i].header_words << 4);
		memcpy(tcp + 20, cases[i].options, 4);
		assert_int_equal(decode(&frame, &out), cases[i].malformed);
		assert_int_equal(out.source_port, 1234); /* what lies before is valid */
		if (cases[i].malformed == DECODE_TCP_HEADER_LENGTH)
			assert_int_equal(out.payload_offset, 0);
		else
			assert_int_equal(out.payload_offset, 58);
	}
}

static void refuses_bad_udp_lengths(void **state)
{
	for (uint16_t length = 0; length < 20; length++) {
		struct frame frame = {0};
		struct decoded out;

		append_ethernet(&frame, 0x0800);
		append_ipv4(&frame, IPPROTO_UDP, 12);
		append_udp(&frame, length);
		append(&frame, NULL, 4);
		assert_int_equal(decode(&frame, &out),
			length < 8 || length > 12 ? DECODE_UDP_LENGTH : DECODE_OK);
		if (out.payload_offset)
			assert_int_equal(out.payload_size, length - 8);
	}
}

static void tells_short_transport_headers(void **state)
{
	static const struct {
		uint8_t protocol, size;
		enum decode_malformed malformed;
	} cases[] = {
		{IPPROTO_TCP, 19, DECODE_TCP_SHORT},
		{IPPROTO_UDP, 7, DECODE_UDP_SHORT},
		{IPPROTO_ICMP, 7, DECODE_ICMP_SHORT},
		{IPPROTO_SCTP, 11, DECODE_SCTP_SHORT},
		{IPPROTO_ICMP, 8, DECODE_OK},
		{IPPROTO_SCTP, 12, DECODE_OK},
		{47, 0, DECODE_OK},
		{IPPROTO_ESP, 0, DECODE_OK},
		{IPPROTO_ICMPV6, 1, DECODE_OK},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame frame = {0};
		struct decoded out;

		append_ethernet(&frame, 0x0800);
		append_ipv4(&frame, cases[i].protocol, cases[i].size);
		append(&frame, NULL, cases[i].size);
		assert_int_equal(decode(&frame, &out), cases[i].malformed);
	}
}

static void tells_short_arp(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x0806);
	append(&frame, "\0\1\x08\0\x06\x04\0\1", 8);
	append(&frame, NULL, 20);
	assert_int_equal(decode(&frame, &out), DECODE_OK);
	frame.size--;
	assert_int_equal(decode(&frame, &out), DECODE_ARP_SHORT);
	frame.size = 14 + 7;
	assert_int_equal(decode(&frame, &out), DECODE_ARP_SHORT);
	frame.size = 14 + 28;
	frame.bytes[14 + 4] = 0xff;
	assert_int_equal(decode(&frame, &out), DECODE_ARP_SHORT);
}

static void pair_hash_is_the_same_both_ways_and_for_all_flows_of_two_hosts(void **state)
{
	struct frame there = {0}, back = {0};
	struct decoded a, b;
	uint8_t *ip, *tcp;

	append_ethernet(&there, 0x0800);
	append_ipv4(&there, IPPROTO_TCP, 20);
	append_tcp(&there, 5);
	append_ethernet(&back, 0x0800);
	ip = append_ipv4(&back, IPPROTO_TCP, 20);
	memcpy(ip + 12, "\xc0\0\x02\x02\xc0\0\x02\x01", 8);
	tcp = append_tcp(&back, 5);
	network_store16(tcp, 80);
	network_store16(tcp + 2, 1234);
	decode(&there, &a);
	decode(&back, &b);
	assert_int_equal(decode_pair_hash(&a, 10), decode_pair_hash(&b, 10));
	assert_int_not_equal(decode_pair_hash(&a, 10), decode_pair_hash(&b, 20));
	network_store16(tcp, 81);
	network_store16(ip + 6, 1); /* a later fragment, that has no ports */
	decode(&back, &b);
	assert_true(b.is_fragment);
	assert_int_equal(decode_pair_hash(&a, 10), decode_pair_hash(&b, 10));
	ip[15] = 3; /* another host */
	decode(&back, &b);
	assert_int_not_equal(decode_pair_hash(&a, 10), decode_pair_hash(&b, 10));
}

/* I6: an error that a router sends is handed to the worker that has the flow. */
static void icmp_error_has_the_pair_hash_of_what_it_is_about(void **state)
{
	struct frame packet = {0}, error = {0}, other = {0};
	struct decoded about, told;
	uint8_t *ip, *icmp;

	(void)state;
	append_ethernet(&packet, 0x0800);
	append_ipv4(&packet, IPPROTO_UDP, 8);
	append(&packet, "\x04\xd2\0\x35\0\x08\0\0", 8);
	decode(&packet, &about);
	append_ethernet(&error, 0x0800);
	ip = append_ipv4(&error, IPPROTO_ICMP, 36);
	memcpy(ip + 12, "\xc0\0\x02\xfe\xc0\0\x02\x01", 8); /* the router, to who sent it */
	icmp = append(&error, NULL, 8);
	icmp[0] = 3;
	append(&error, packet.bytes + 14, 28);
	decode(&error, &told);
	assert_int_equal(decode_pair_hash(&told, 10), decode_pair_hash(&about, 10));
	icmp[0] = 8; /* an echo is about nothing */
	decode(&error, &told);
	assert_int_not_equal(decode_pair_hash(&told, 10), decode_pair_hash(&about, 10));
	icmp[0] = 3;
	network_store16(ip + 6, 0x2000); /* its other fragments do not tell */
	append_ethernet(&other, 0x0800);
	ip = append_ipv4(&other, IPPROTO_ICMP, 8);
	memcpy(ip + 12, "\xc0\0\x02\xfe\xc0\0\x02\x01", 8);
	network_store16(ip + 6, 5);
	append(&other, "12345678", 8);
	decode(&error, &told);
	decode(&other, &about);
	assert_int_equal(decode_pair_hash(&told, 10), decode_pair_hash(&about, 10));
}

static void every_malformation_has_a_name(void **state)
{
	for (int i = 0; i < DECODE_MALFORMED_COUNT; i++)
		assert_non_null(decode_malformed_name(i));
	assert_string_equal(decode_malformed_name(DECODE_IPV4_TOTAL_LENGTH), "ipv4_total_length");
	assert_string_equal(decode_malformed_name(DECODE_MALFORMED_COUNT), "unknown");
}

static void repairs_checksums(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};

	for (int version = 4; version <= 6; version += 2) {
		for (size_t i = 0; i < sizeof(protocols); i++) {
			bool is_icmp6 = version == 6 && protocols[i] == IPPROTO_ICMP;
			uint8_t protocol = is_icmp6 ? IPPROTO_ICMPV6 : protocols[i];
			struct frame frame = {0};
			struct decoded out;

			append_ethernet(&frame, version == 4 ? 0x0800 : 0x86dd);
			if (version == 4)
				append_ipv4(&frame, protocol, 27);
			else
				append_ipv6(&frame, protocol, 27);
			if (protocol == IPPROTO_TCP)
				append_tcp(&frame, 5);
			else
				network_store16(append_udp(&frame, 27) + 6, 0xbeef);
			append(&frame, "odd number of bytes",
				27 - (frame.size - (version == 4 ? 34 : 54)));
			assert_int_equal(decode(&frame, &out), DECODE_OK);
			assert_false(checksum_is_right(&out));
			checksum_repair(frame.bytes, &out);
			assert_true(checksum_is_right(&out));
			frame.bytes[frame.size - 1] ^= 1;
			assert_false(checksum_is_right(&out));
		}
	}
}

static void leaves_udp_without_checksum_so(void **state)
{
	struct frame frame = {0};
	struct decoded out;

	append_ethernet(&frame, 0x0800);
	append_ipv4(&frame, IPPROTO_UDP, 8);
	append_udp(&frame, 8);
	decode(&frame, &out);
	checksum_repair(frame.bytes, &out);
	assert_int_equal(network_load16(frame.bytes + 40), 0);
	assert_true(checksum_is_right(&out));
}

static void checksum_of_rfc_1071_example(void **state)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(checksum_finish(checksum_add(0, data, 8)), (uint16_t)~0xddf2);
	assert_int_equal(checksum_finish(checksum_add(checksum_add(0, data, 2), data + 2, 6)),
		(uint16_t)~0xddf2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_tcp_over_ipv4),
		cmocka_unit_test(decodes_headers_of_a_frame_that_goes_on_elsewhere),
		cmocka_unit_test(tells_every_truncation_of_a_tcp_frame),
		cmocka_unit_test(walks_four_tags_and_refuses_a_fifth),
		cmocka_unit_test(sees_ip_behind_snap_and_tags),
		cmocka_unit_test(leaves_other_llc_frames_alone),
		cmocka_unit_test(refuses_bad_ipv4_headers),
		cmocka_unit_test(refuses_bad_ipv4_options),
		cmocka_unit_test(knows_fragments_of_ipv4),
		cmocka_unit_test(walks_ipv6_extension_headers),
		cmocka_unit_test(tells_a_truncated_ipv6_chain),
		cmocka_unit_test(reads_udp_over_ipv6_without_a_length),
		cmocka_unit_test(refuses_ipv6_fragments_that_are_nested_in_fragments),
		cmocka_unit_test(bounds_the_number_of_extension_headers),
		cmocka_unit_test(refuses_bad_ipv6_headers),
		cmocka_unit_test(refuses_bad_tcp_headers_and_options),
		cmocka_unit_test(refuses_bad_udp_lengths),
		cmocka_unit_test(tells_short_transport_headers),
		cmocka_unit_test(tells_short_arp),
		cmocka_unit_test(pair_hash_is_the_same_both_ways_and_for_all_flows_of_two_hosts),
		cmocka_unit_test(icmp_error_has_the_pair_hash_of_what_it_is_about),
		cmocka_unit_test(every_malformation_has_a_name),
		cmocka_unit_test(repairs_checksums),
		cmocka_unit_test(leaves_udp_without_checksum_so),
		cmocka_unit_test(checksum_of_rfc_1071_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
