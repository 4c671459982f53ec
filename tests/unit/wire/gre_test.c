/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/gre.h"

#include "wire/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PAYLOAD_SIZE 60

static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const struct ip_address v4[2] = {{4, {198, 51, 100, 1}}, {4, {198, 51, 100, 2}}};
static const struct ip_address v6[2] = {
	{6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}, {6, {0x20, 0x01, 0x0d, 0xb8, [15] = 2}}};
static const uint8_t secret[SIPHASH_KEY_SIZE] = {1, 2, 3};
static uint8_t frame[2048];
static uint32_t frame_size;
static struct gre parsed;

/* Returns where GRE begins. */
static uint8_t *make(uint8_t version, uint16_t protocol)
{
	const struct ip_address *ends = version == 4 ? v4 : v6;
	const struct gre_headers headers = {.source_mac = macs[0],
		.destination_mac = macs[1],
		.source = &ends[0],
		.destination = &ends[1],
		.key = 0xdeadbeef,
		.protocol = protocol};
	uint32_t size = ETH_HEADER_SIZE + gre_overhead(version);

	gre_write(frame, &headers, PAYLOAD_SIZE);
	memset(frame + size, protocol == ETH_TYPE_IPV6 ? 0x60 : 0x45, PAYLOAD_SIZE);
	frame_size = size + PAYLOAD_SIZE;
	return frame + size - GRE_HEADER_SIZE;
}

static enum gre_fault parse(void)
{
	return gre_parse(frame, frame_size, frame_size, &parsed);
}

/* D6 */
static void reads_what_it_writes(void **state)
{
	static const uint16_t protocols[] = {ETH_TYPE_IPV4, ETH_TYPE_IPV6, GRE_HEARTBEAT};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		uint8_t version = i < 3 ? 4 : 6;
		struct decoded decoded;

		make(version, protocols[i % 3]);
		assert_int_equal(parse(), GRE_FINE);
		assert_int_equal(parsed.key, 0xdeadbeef);
		assert_int_equal(parsed.protocol, protocols[i % 3]);
		assert_int_equal(parsed.payload_offset, frame_size - PAYLOAD_SIZE);
		assert_int_equal(parsed.payload_end, frame_size);
		assert_true(ip_address_is_equal(&parsed.source, version == 4 ? &v4[0] : &v6[0]));
		assert_true(
			ip_address_is_equal(&parsed.destination, version == 4 ? &v4[1] : &v6[1]));
		/* The decoder of the packet path, which was not written with this. */
		assert_int_equal(decode_frame(frame, frame_size, &decoded), DECODE_OK);
		assert_int_equal(decoded.protocol, GRE_IP_PROTOCOL);
		assert_int_equal(decoded.ip_payload_offset, frame_size - PAYLOAD_SIZE - 8);
	}
}

/* D6: RFC 2890's own drawing: C and S bits off, K on, protocol, key. */
static void writes_the_bytes_of_rfc_2890(void **state)
{
	static const uint8_t expected[] = {0x20, 0x00, 0x08, 0x00, 0xde, 0xad, 0xbe, 0xef};

	(void)state;
	assert_memory_equal(make(4, ETH_TYPE_IPV4), expected, sizeof(expected));
}

static void padding_behind_is_no_payload(void **state)
{
	(void)state;
	make(4, ETH_TYPE_IPV4);
	frame_size += 7;
	assert_int_equal(parse(), GRE_FINE);
	assert_int_equal(parsed.payload_end, frame_size - 7);
}

static void rejects_each_cut(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		uint32_t whole;

		make(version, ETH_TYPE_IPV4);
		whole = frame_size;
		for (uint32_t captured = 0; captured <= whole - PAYLOAD_SIZE; captured++)
			assert_int_not_equal(gre_parse(frame, captured, whole, &parsed), GRE_FINE);
		for (frame_size = 0; frame_size < whole; frame_size++)
			assert_int_not_equal(parse(), GRE_FINE);
	}
}

static void an_empty_payload_is_short(void **state)
{
	(void)state;
	make(6, ETH_TYPE_IPV4);
	network_store16(frame + ETH_HEADER_SIZE + 4, GRE_HEADER_SIZE);
	assert_int_equal(parse(), GRE_SHORT);
}

static void rejects_what_is_not_for_us(void **state)
{
	(void)state;
	make(4, ETH_TYPE_IPV4);
	frame[13] = 6;
	assert_int_equal(parse(), GRE_NOT_GRE);
	make(6, ETH_TYPE_IPV4);
	frame[ETH_HEADER_SIZE + 6] = 17;
	assert_int_equal(parse(), GRE_NOT_GRE);
	make(4, ETH_TYPE_IPV4);
	frame[24] ^= 1;
	assert_int_equal(parse(), GRE_CHECKSUM);
	make(4, ETH_TYPE_IPV4);
	frame[ETH_HEADER_SIZE + 6] = 0x20; /* more fragments */
	network_store16(frame + ETH_HEADER_SIZE + 10, 0);
	network_store16(frame + ETH_HEADER_SIZE + 10,
		checksum_finish(checksum_add(0, frame + ETH_HEADER_SIZE, 20)));
	assert_int_equal(parse(), GRE_FRAGMENT);
}

/* D6, and what bad input gets: "GRE with unknown flags". */
static void rejects_wrong_gre(void **state)
{
	(void)state;
	make(4, ETH_TYPE_IPV4)[1] = 1;
	assert_int_equal(parse(), GRE_VERSION);
	make(4, ETH_TYPE_IPV4)[0] |= 0x40;
	assert_int_equal(parse(), GRE_ROUTING);
	make(4, ETH_TYPE_IPV4)[0] |= 0x80; /* a checksum */
	assert_int_equal(parse(), GRE_FLAGS);
	make(4, ETH_TYPE_IPV4)[0] |= 0x10; /* a sequence number */
	assert_int_equal(parse(), GRE_FLAGS);
	for (int bit = 3; bit < 8; bit++) {
		make(4, ETH_TYPE_IPV4)[1] = (uint8_t)(1 << bit);
		assert_int_equal(parse(), GRE_FLAGS);
	}
	make(4, ETH_TYPE_IPV4)[0] = 0;
	assert_int_equal(parse(), GRE_NO_KEY);
	make(4, ETH_TYPE_ARP);
	assert_int_equal(parse(), GRE_PROTOCOL);
	make(4, ETH_TYPE_IPV4)[3] = 1;
	assert_int_equal(parse(), GRE_PROTOCOL);
	network_store16(make(4, ETH_TYPE_IPV4) + 2, ETH_TYPE_IPV6); /* and it is IPv4 */
	assert_int_equal(parse(), GRE_PROTOCOL);
}

/* D6: the key field carries an unguessable value per target, that authenticates the sender. */
static void keys_differ_by_all_that_they_stand_for(void **state)
{
	static const uint8_t other_secret[SIPHASH_KEY_SIZE] = {1, 2, 4};
	uint32_t key = gre_key(secret, GRE_SECURE, GRE_TO_TARGET, &v4[0], &v4[1]);

	(void)state;
	assert_int_equal(gre_key(secret, GRE_SECURE, GRE_TO_TARGET, &v4[0], &v4[1]), key);
	assert_int_not_equal(gre_key(secret, GRE_PLAIN, GRE_TO_TARGET, &v4[0], &v4[1]), key);
	assert_int_not_equal(gre_key(secret, GRE_SECURE, GRE_TO_DISTRIBUTOR, &v4[0], &v4[1]), key);
	assert_int_not_equal(gre_key(secret, GRE_SECURE, GRE_TO_TARGET, &v4[1], &v4[0]), key);
	assert_int_not_equal(gre_key(secret, GRE_SECURE, GRE_TO_TARGET, &v4[0], &v6[1]), key);
	assert_int_not_equal(gre_key(other_secret, GRE_SECURE, GRE_TO_TARGET, &v4[0], &v4[1]), key);
}

/* D3, D6 */
static void a_key_tells_the_kind(void **state)
{
	struct gre_keys keys, back;

	(void)state;
	assert_true(gre_keys_derive(secret, GRE_TO_TARGET, &v6[0], &v6[1], &keys));
	assert_true(gre_keys_derive(secret, GRE_TO_DISTRIBUTOR, &v6[0], &v6[1], &back));
	for (int kind = 0; kind < GRE_KIND_COUNT; kind++) {
		assert_int_equal(gre_kind_of(&keys, keys.keys[kind]), kind);
		assert_int_equal(gre_kind_of(&keys, back.keys[kind]), -1);
		assert_int_equal(gre_kind_of(&keys, keys.keys[kind] ^ 1), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(writes_the_bytes_of_rfc_2890),
		cmocka_unit_test(padding_behind_is_no_payload),
		cmocka_unit_test(rejects_each_cut),
		cmocka_unit_test(an_empty_payload_is_short),
		cmocka_unit_test(rejects_what_is_not_for_us),
		cmocka_unit_test(rejects_wrong_gre),
		cmocka_unit_test(keys_differ_by_all_that_they_stand_for),
		cmocka_unit_test(a_key_tells_the_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
