/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/cmm_frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key[CMM_KEY_SIZE] = {1, 2, 3, [31] = 9};
static uint8_t bytes[CMM_FRAME_MAX + 1];
static struct cmm_frame read_back;

static struct cmm_frame make(uint8_t type)
{
	struct cmm_frame frame = {.type = type,
		.channel = 7,
		.sender_partition = 3,
		.sender_endpoint = 5,
		.receiver_partition = 4,
		.receiver_endpoint = 6,
		.key = key,
		.sender = "web",
		.receiver = "db-1_x",
		.sequence = 1ULL << 40,
		.limit = 1ULL << 41,
		.size = 4096,
		.reason = 11,
		.is_senders = true,
		.incarnation = 0xfedcba9876543210};

	return frame;
}

static int write_and_read(const struct cmm_frame *frame)
{
	size_t size = cmm_frame_write(bytes, frame);

	for (size_t part = 0; part < size; part++)
		assert_int_equal(cmm_frame_read(bytes, part, &read_back), 0);
	assert_int_equal(cmm_frame_read(bytes, size + 1, &read_back), size);
	return (int)size;
}

static void each_type_is_read_as_it_was_written(void **state)
{
	for (uint8_t type = CMM_HELLO; type < CMM_FRAME_TYPE_COUNT; type++) {
		struct cmm_frame frame = make(type);

		if (type == CMM_DATA)
			continue;
		assert_true(write_and_read(&frame) <= CMM_CONTROL_MAX);
		assert_int_equal(read_back.type, type);
	}
}

static void a_request_has_ids_key_and_names(void **state)
{
	struct cmm_frame frame = make(CMM_CONNECT);

	assert_int_equal(write_and_read(&frame), CMM_CONTROL_MAX);
	assert_int_equal(read_back.channel, 7);
	assert_int_equal(read_back.sender_partition, 3);
	assert_int_equal(read_back.sender_endpoint, 5);
	assert_int_equal(read_back.receiver_partition, 4);
	assert_int_equal(read_back.receiver_endpoint, 6);
	assert_memory_equal(read_back.key, key, sizeof(key));
	assert_string_equal(read_back.sender, "web");
	assert_string_equal(read_back.receiver, "db-1_x");
	assert_true(read_back.limit == 1ULL << 41);
	assert_int_equal(read_back.size, 4096);
}

static int read_data(uint32_t size, uint32_t offset, uint32_t payload_size)
{
	struct cmm_frame frame = make(CMM_DATA);

	frame.size = size;
	frame.offset = offset;
	frame.payload_size = payload_size;
	cmm_frame_write_data(bytes, &frame);
	memset(bytes + CMM_DATA_HEAD_SIZE, 0xa5, payload_size);
	return cmm_frame_read(bytes, sizeof(bytes), &read_back);
}

static void a_piece_lies_within_its_message(void **state)
{
	assert_int_equal(read_data(100, 40, 60), CMM_DATA_HEAD_SIZE + 60);
	assert_int_equal(read_back.payload_size, 60);
	assert_int_equal(read_back.payload[59], 0xa5);
	assert_true(read_back.sequence == 1ULL << 40);
	assert_int_equal(read_data(0, 0, 0), CMM_DATA_HEAD_SIZE);
	assert_int_equal(read_data(100, 40, 61), -EPROTO);
	assert_int_equal(read_data(100, 101, 0), -EPROTO);
	assert_int_equal(read_data(100, 100, 0), -EPROTO);
	assert_int_equal(read_data(100, 0xffffffff, 10), -EPROTO);
	assert_int_equal(read_data(CMM_MESSAGE_MAX + 1, 0, 1), -EPROTO);
	assert_int_equal(read_data(CMM_PIECE_MAX, 0, CMM_PIECE_MAX), CMM_FRAME_MAX);
}

/* One byte of a good frame changed. */
static int spoil(uint8_t type, size_t at, uint8_t value)
{
	struct cmm_frame frame = make(type);

	write_and_read(&frame);
	bytes[at] = value;
	return cmm_frame_read(bytes, sizeof(bytes), &read_back);
}

static void what_is_no_frame_is_refused(void **state)
{
	assert_int_equal(spoil(CMM_ACK, 0, 1), -EPROTO);               /* too long */
	assert_int_equal(spoil(CMM_ACK, 3, 7), -EPROTO);               /* no header */
	assert_int_equal(spoil(CMM_ACK, 3, CMM_HEADER_SIZE), -EPROTO); /* too short for its type */
	assert_int_equal(spoil(CMM_SYNCED, 3, CMM_HEADER_SIZE + 1), -EPROTO);
	assert_int_equal(spoil(CMM_ACK, 4, 0), -EPROTO);
	assert_int_equal(spoil(CMM_ACK, 4, CMM_FRAME_TYPE_COUNT), -EPROTO);
	assert_int_equal(spoil(CMM_ACK, 5, 1), -EPROTO);
	assert_int_equal(spoil(CMM_ACK, 11, 0), -EPROTO); /* channel 0 */
	assert_int_equal(spoil(CMM_ACK, 20, 0xff), 28);
	assert_int_equal(spoil(CMM_ACK, 12, 0xff), -EPROTO); /* beyond its limit */
	assert_int_equal(spoil(CMM_HELLO, 8, 'X'), -EPROTO);
	assert_int_equal(spoil(CMM_HELLO, 19, CMM_VERSION + 1), -EPROTO);
	assert_int_equal(spoil(CMM_CLOSE, 15, 2), -EPROTO);
}

static void names_are_those_of_the_configuration(void **state)
{
	const size_t sender_at = CMM_HEADER_SIZE + 8;

	assert_int_equal(spoil(CMM_AUTHORISED, sender_at, '/'), -EPROTO);
	assert_int_equal(spoil(CMM_AUTHORISED, sender_at, 0xc3), -EPROTO);
	assert_int_equal(spoil(CMM_AUTHORISED, sender_at, 0), -EPROTO);
	assert_int_equal(spoil(CMM_AUTHORISED, sender_at + 4, 'x'), -EPROTO); /* behind its end */
	assert_true(spoil(CMM_AUTHORISED, sender_at + 3, 'x') > 0);
	assert_string_equal(read_back.sender, "webx");
	assert_int_equal(spoil(CMM_AUTHORISED, sender_at - 5, 0), -EPROTO); /* endpoint 0 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_is_read_as_it_was_written),
		cmocka_unit_test(a_request_has_ids_key_and_names),
		cmocka_unit_test(a_piece_lies_within_its_message),
		cmocka_unit_test(what_is_no_frame_is_refused),
		cmocka_unit_test(names_are_those_of_the_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
