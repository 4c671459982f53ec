/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/geneve.h"

#include "wire/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CLASS 0xfff8
#define TYPE  0x81

static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const struct ip_address v4[2] = {{4, {198, 51, 100, 1}}, {4, {198, 51, 100, 2}}};
static const struct ip_address v6[2] = {
	{6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}, {6, {0x20, 0x01, 0x0d, 0xb8, [15] = 2}}};
static uint8_t frame[2048];
static uint32_t frame_size;
static struct geneve parsed;

/* A frame with 60 bytes of payload and an option of 32. */
static uint8_t *make(int version, uint8_t type)
{
	const struct ip_address *ends = version == 4 ? v4 : v6;
	uint8_t option[32];
	const struct geneve_headers headers = {.source_mac = macs[0],
		.destination_mac = macs[1],
		.source = &ends[0],
		.destination = &ends[1],
		.source_port = 50000,
		.network = 0xabcdef,
		.is_control = true,
		.option_class = CLASS,
		.option_type = type,
		.option = option,
		.option_size = sizeof(option)};
	uint32_t size = geneve_headers_size((uint8_t)version, sizeof(option));

	memset(option, 0x5a, sizeof(option));
	geneve_write(frame, &headers, 60);
	memset(frame + size, 0x33, 60);
	if (version == 6)
		geneve_finish_ipv6(
			frame, checksum_add(0, frame + size - 44, GENEVE_HEADER_SIZE + 36 + 60));
	frame_size = size + 60;
	return frame + size - 36 - GENEVE_HEADER_SIZE;
}

static enum geneve_fault parse(void)
{
	return geneve_parse(frame, frame_size, frame_size, CLASS, TYPE, &parsed);
}

static void reads_what_it_writes(void **state)
{
	struct decoded decoded;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		make(version, TYPE);
		assert_int_equal(parse(), GENEVE_FINE);
		assert_int_equal(parsed.network, 0xabcdef);
		assert_true(parsed.is_control);
		assert_int_equal(parsed.source_port, 50000);
		assert_int_equal(parsed.option_size, 32);
		assert_int_equal(parsed.option[31], 0x5a);
		assert_int_equal(frame[parsed.payload_offset], 0x33);
		assert_int_equal(parsed.payload_end, frame_size);
		assert_int_equal(parsed.source.version, version);
		/* The decoder of the packet path, which was not written with this. */
		assert_int_equal(decode_frame(frame, frame_size, &decoded), DECODE_OK);
		assert_int_equal(decoded.destination_port, GENEVE_UDP_PORT);
		assert_true(checksum_is_right(&decoded));
	}
}

static void padding_behind_is_no_payload(void **state)
{
	(void)state;
	make(4, TYPE);
	frame_size += 7;
	assert_int_equal(parse(), GENEVE_FINE);
	assert_int_equal(parsed.payload_end, frame_size - 7);
}

static void rejects_each_cut(void **state)
{
	uint32_t whole;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		make(version, TYPE);
		whole = frame_size;
		for (frame_size = 0; frame_size < whole; frame_size++)
			assert_int_not_equal(parse(), GENEVE_FINE);
	}
}

static void rejects_what_is_not_for_us(void **state)
{
	(void)state;
	make(4, TYPE);
	frame[13] = 6;
	assert_int_equal(parse(), GENEVE_NOT_IP);
	make(6, TYPE)[-5] ^= 1; /* the port's low byte */
	assert_int_equal(parse(), GENEVE_OTHER_PORT);
	make(6, TYPE)[-1] = 0;
	frame[60] = 0; /* no checksum */
	assert_int_equal(parse(), GENEVE_CHECKSUM);
	make(4, TYPE);
	frame[24] ^= 1;
	assert_int_equal(parse(), GENEVE_CHECKSUM);
}

/* I10 */
static void rejects_wrong_geneve(void **state)
{
	(void)state;
	make(4, TYPE)[0] |= 0x40;
	assert_int_equal(parse(), GENEVE_VERSION);
	make(4, TYPE)[3] ^= 1;
	assert_int_equal(parse(), GENEVE_PROTOCOL);
	make(4, TYPE)[GENEVE_HEADER_SIZE + 3] = 9; /* longer than the options */
	assert_int_equal(parse(), GENEVE_OPTION);
	make(4, TYPE)[0] = 8; /* the options end within ours */
	assert_int_equal(parse(), GENEVE_OPTION);
	make(4, TYPE)[0] = 0x3f; /* longer than the packet */
	assert_int_equal(parse(), GENEVE_SHORT);
	make(4, 0x82); /* critical, and nobody knows it */
	assert_int_equal(parse(), GENEVE_UNKNOWN_CRITICAL);
	make(4, 0x02); /* not critical: ignored */
	assert_int_equal(parse(), GENEVE_FINE);
	assert_null(parsed.option);
}

static void rejects_the_option_twice(void **state)
{
	uint8_t *geneve = make(4, TYPE);

	(void)state;
	/* Its body of 32 bytes becomes one of 12 and another option of 16. */
	geneve[GENEVE_HEADER_SIZE + 3] = 3;
	memcpy(geneve + GENEVE_HEADER_SIZE + 16, geneve + GENEVE_HEADER_SIZE, 4);
	geneve[GENEVE_HEADER_SIZE + 19] = 4;
	assert_int_equal(parse(), GENEVE_OPTION_TWICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(padding_behind_is_no_payload),
		cmocka_unit_test(rejects_each_cut),
		cmocka_unit_test(rejects_what_is_not_for_us),
		cmocka_unit_test(rejects_wrong_geneve),
		cmocka_unit_test(rejects_the_option_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
