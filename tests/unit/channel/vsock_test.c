/* SPDX-License-Identifier: BSD-3-Clause */
/* The vsock device against its driver: who is heard, and what a hostile driver gets (C9). */
#include "tests/unit/channel/vsock_driver.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* The owner: one stream for all, and what came on it. */
static struct ring_stream stream;
static uint8_t heard[65536];
static size_t heard_size;
static int opened, closed, answer;

static int on_open(struct vsock_connection *connection)
{
	if (answer < 0)
		return answer;
	opened++;
	connection->process = &stream;
	connection->stream = &stream;
	return 0;
}

static void on_close(struct vsock_connection *connection)
{
	assert_ptr_equal(connection->process, &stream);
	closed++;
}

static int on_take(struct vsock_connection *connection, const uint8_t *bytes, size_t size)
{
	if (size > 0 && bytes[0] == '!')
		return -EPROTO;
	memcpy(heard + heard_size, bytes, size);
	heard_size += size;
	return 0;
}

static int on_fill(struct vsock_connection *connection)
{
	return 0;
}

static const struct vsock_ops ops = {on_open, on_close, on_take, on_fill};
static struct driver driver;

static int set_up(void **state)
{
	static const struct ring_stream_ops stream_ops = {NULL};

	ring_stream_open(&stream, &stream_ops);
	heard_size = 0;
	opened = closed = answer = 0;
	driver_open(&driver, 3, &ops, NULL);
	return 0;
}

static int tear_down(void **state)
{
	vsock_device_stop(&driver.device);
	return 0;
}

/* The operation that the guest is answered with; 0: nothing. */
static uint16_t next_operation(void)
{
	struct vsock_packet packet;
	const uint8_t *bytes;

	return driver_receive(&driver, &packet, &bytes) ? packet.operation : 0;
}

static void say(uint32_t port, uint16_t operation, const char *text)
{
	struct vsock_packet packet = driver_packet(&driver, port, operation);

	packet.size = (uint32_t)strlen(text);
	driver_send(&driver, &packet, text);
}

static void connect_from(uint32_t port)
{
	say(port, VSOCK_REQUEST, "");
	driver_give_buffer(&driver);
	assert_int_equal(driver_run(&driver), VSOCK_IDLE);
	assert_int_equal(next_operation(), VSOCK_RESPONSE);
}

static void queue_bytes(size_t size)
{
	memset(stream.tx, 'x', size);
	stream.tx_start = 0;
	stream.tx_end = size;
}

static void answers_a_connection_to_its_port(void **state)
{
	connect_from(7);
	assert_int_equal(opened, 1);
	say(7, VSOCK_BYTES, "hello");
	say(7, VSOCK_BYTES, ", world");
	driver_run(&driver);
	assert_int_equal(heard_size, 12);
	assert_memory_equal(heard, "hello, world", 12);
	say(7, VSOCK_RESET, "");
	driver_run(&driver);
	assert_int_equal(closed, 1);
	assert_int_equal(driver.device.connection_count, 0);
}

static void expect_reset(const struct vsock_packet *packet)
{
	struct vsock_packet reset;
	const uint8_t *bytes;

	driver_send(&driver, packet, NULL);
	driver_give_buffer(&driver);
	driver_run(&driver);
	assert_true(driver_receive(&driver, &reset, &bytes));
	assert_int_equal(reset.operation, VSOCK_RESET);
	assert_int_equal(reset.target_port, packet->source_port);
	assert_int_equal(reset.source_port, packet->target_port);
	assert_int_equal(reset.target_cid, 3);
	assert_int_equal(opened, 0);
}

static void resets_what_leads_nowhere(void **state)
{
	struct vsock_packet packet = driver_packet(&driver, 7, VSOCK_REQUEST);

	packet.target_port = GUEST_PORT + 1;
	expect_reset(&packet);
	packet = driver_packet(&driver, 7, VSOCK_REQUEST);
	packet.type = 2;
	expect_reset(&packet);
	packet = driver_packet(&driver, GUEST_PORT_MAX + 1, VSOCK_REQUEST);
	expect_reset(&packet);
	packet = driver_packet(&driver, 0, VSOCK_REQUEST);
	expect_reset(&packet);
	packet = driver_packet(&driver, 7, VSOCK_BYTES);
	expect_reset(&packet);
	answer = -EDQUOT;
	packet = driver_packet(&driver, 7, VSOCK_REQUEST);
	expect_reset(&packet);
}

static void does_not_hear_who_uses_another_name(void **state)
{
	struct vsock_packet packet = driver_packet(&driver, 7, VSOCK_REQUEST);

	packet.source_cid = 4;
	driver_send(&driver, &packet, NULL);
	packet = driver_packet(&driver, 7, VSOCK_REQUEST);
	packet.target_cid = 4;
	driver_send(&driver, &packet, NULL);
	driver_give_buffer(&driver);
	driver_run(&driver);
	assert_int_equal(next_operation(), 0);
	assert_int_equal(opened, 0);
	assert_int_equal(driver.device.counts.dropped, 2);
}

static void resets_a_connection_whose_owner_is_offended(void **state)
{
	connect_from(7);
	say(7, VSOCK_BYTES, "!");
	driver_give_buffer(&driver);
	driver_run(&driver);
	assert_int_equal(next_operation(), VSOCK_RESET);
	assert_int_equal(closed, 1);
	connect_from(7);
	assert_int_equal(opened, 2);
}

static void sends_no_more_than_the_guest_has_room_for(void **state)
{
	struct vsock_packet packet = driver_packet(&driver, 7, VSOCK_REQUEST), got;
	const uint8_t *bytes = NULL;

	packet.room = 6000;
	driver_send(&driver, &packet, NULL);
	queue_bytes(10000);
	for (int i = 0; i < 5; i++)
		driver_give_buffer(&driver);
	driver_run(&driver);
	assert_int_equal(next_operation(), VSOCK_RESPONSE);
	assert_true(driver_receive(&driver, &got, &bytes));
	assert_int_equal(got.size, 4096);
	assert_true(driver_receive(&driver, &got, &bytes));
	assert_int_equal(got.size, 6000 - 4096);
	assert_int_equal(bytes[0], 'x');
	assert_int_equal(next_operation(), 0);
	packet.operation = VSOCK_CREDIT_UPDATE;
	packet.taken = 6000;
	driver_send(&driver, &packet, NULL);
	driver_run(&driver);
	assert_true(driver_receive(&driver, &got, &bytes));
	assert_int_equal(got.size, 4000);
	/* A guest that takes back what it has said has no room, and no more than that. */
	queue_bytes(100);
	packet.taken = 5000;
	packet.room = 10;
	driver_send(&driver, &packet, NULL);
	driver_run(&driver);
	assert_int_equal(next_operation(), 0);
}

static void tells_of_room_before_the_guest_has_none(void **state)
{
	static char text[30001];
	struct vsock_packet packet = driver_packet(&driver, 7, VSOCK_BYTES), got;
	const uint8_t *bytes;

	connect_from(7);
	memset(text, 'y', sizeof(text) - 1);
	packet.size = DRIVER_BUFFER - VSOCK_HEAD_SIZE;
	for (uint32_t said = 0; said < VSOCK_ROOM / 4; said += packet.size, heard_size = 0) {
		driver_send(&driver, &packet, text);
		driver_run(&driver);
	}
	driver_give_buffer(&driver);
	driver_run(&driver);
	assert_true(driver_receive(&driver, &got, &bytes));
	assert_int_equal(got.operation, VSOCK_CREDIT_UPDATE);
	assert_true(got.taken >= VSOCK_ROOM / 4);
	assert_int_equal(got.room, VSOCK_ROOM);
}

static void ends_behind_what_is_queued(void **state)
{
	struct vsock_packet got;
	const uint8_t *bytes;

	connect_from(7);
	queue_bytes(100);
	vsock_connection_end(driver.device.connections[7], false);
	for (int i = 0; i < 3; i++)
		driver_give_buffer(&driver);
	driver_run(&driver);
	assert_true(driver_receive(&driver, &got, &bytes));
	assert_int_equal(got.size, 100);
	assert_true(driver_receive(&driver, &got, &bytes));
	assert_int_equal(got.operation, VSOCK_SHUTDOWN);
	assert_int_equal(closed, 1);
	say(7, VSOCK_SHUTDOWN, "");
	say(7, VSOCK_RESET, "");
	driver_run(&driver);
	assert_int_equal(driver.device.connection_count, 0);
}

/* --- Hostile drivers --- */

static void breaks_on_an_index_that_runs_away(void **state)
{
	driver_available(&driver, VSOCK_TX)[1] = DRIVER_QUEUE + 1;
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
	assert_false(vsock_device_is_running(&driver.device));
	assert_int_equal(driver_run(&driver), VSOCK_IDLE);
}

static void breaks_on_a_head_that_is_no_descriptor(void **state)
{
	driver_give(&driver, VSOCK_TX, DRIVER_QUEUE);
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
}

static void breaks_on_a_chain_without_end(void **state)
{
	*driver_descriptor(&driver, VSOCK_TX, 0) = (struct driver_descriptor){0, 0, 1, 0};
	driver_give(&driver, VSOCK_TX, 0);
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
}

static void breaks_on_what_is_not_in_the_guests_memory(void **state)
{
	*driver_descriptor(&driver, VSOCK_TX, 0) =
		(struct driver_descriptor){DRIVER_MEMORY - 10, VSOCK_HEAD_SIZE, 0, 0};
	driver_give(&driver, VSOCK_TX, 0);
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
}

static void breaks_on_an_address_that_overflows(void **state)
{
	*driver_descriptor(&driver, VSOCK_TX, 0) =
		(struct driver_descriptor){UINT64_MAX - 3, VSOCK_HEAD_SIZE, 0, 0};
	driver_give(&driver, VSOCK_TX, 0);
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
}

static void breaks_on_flags_that_were_not_agreed(void **state)
{
	*driver_descriptor(&driver, VSOCK_TX, 0) =
		(struct driver_descriptor){driver_buffer(VSOCK_TX, 0), VSOCK_HEAD_SIZE, 4, 0};
	driver_give(&driver, VSOCK_TX, 0);
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
}

static void breaks_on_a_packet_that_is_longer_than_its_buffer(void **state)
{
	struct vsock_packet packet = driver_packet(&driver, 7, VSOCK_BYTES);

	driver_send(&driver, &packet, NULL);
	packet.size = 100;
	vsock_packet_write(driver.memory + driver_buffer(VSOCK_TX, 0), &packet);
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
}

static void breaks_on_a_buffer_without_room_for_a_head(void **state)
{
	*driver_descriptor(&driver, VSOCK_RX, 0) =
		(struct driver_descriptor){driver_buffer(VSOCK_RX, 0), 10, 2, 0};
	driver_give(&driver, VSOCK_RX, 0);
	say(7, VSOCK_REQUEST, "");
	assert_int_equal(driver_run(&driver), VSOCK_BROKEN);
	assert_int_equal(closed, 1);
}

static void leaves_packets_where_they_are_when_it_cannot_answer(void **state)
{
	for (int i = 0; i < DRIVER_QUEUE; i++)
		say(2000, VSOCK_REQUEST, "");
	driver_run(&driver);
	for (int i = 0; i < DRIVER_QUEUE; i++)
		say(2000, VSOCK_REQUEST, "");
	assert_int_equal(driver_run(&driver), VSOCK_IDLE);
	assert_int_equal(driver.device.counts.received, VSOCK_RESETS_MAX);
	driver_give_buffer(&driver);
	driver_run(&driver);
	assert_int_equal(next_operation(), VSOCK_RESET);
	driver_run(&driver);
	assert_int_equal(driver.device.counts.received, VSOCK_RESETS_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(answers_a_connection_to_its_port),
		TEST(resets_what_leads_nowhere),
		TEST(does_not_hear_who_uses_another_name),
		TEST(resets_a_connection_whose_owner_is_offended),
		TEST(sends_no_more_than_the_guest_has_room_for),
		TEST(tells_of_room_before_the_guest_has_none),
		TEST(ends_behind_what_is_queued),
		TEST(breaks_on_an_index_that_runs_away),
		TEST(breaks_on_a_head_that_is_no_descriptor),
		TEST(breaks_on_a_chain_without_end),
		TEST(breaks_on_what_is_not_in_the_guests_memory),
		TEST(breaks_on_an_address_that_overflows),
		TEST(breaks_on_flags_that_were_not_agreed),
		TEST(breaks_on_a_packet_that_is_longer_than_its_buffer),
		TEST(breaks_on_a_buffer_without_room_for_a_head),
		TEST(leaves_packets_where_they_are_when_it_cannot_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
