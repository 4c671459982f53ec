/* SPDX-License-Identifier: BSD-3-Clause */
/* D2: the bounded table of connections, who gets in when it is full, and how they age. */
#include "packet/distributor/connection_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <netinet/in.h>

#define CAPACITY 1024
#define SYN      0x02
#define ACK      0x10
#define FIN      0x01
#define RST      0x04

#define SCTP_DATA        0
#define SCTP_ABORT       6
#define SCTP_SHUTDOWN    7
#define SCTP_COOKIE_ECHO 10

static struct connection_table *table;

static int open_table(void **state)
{
	(void)state;
	table = connection_table_create(CAPACITY);
	for (int i = 0; i < CONNECTION_STATE_COUNT; i++)
		table->timeouts[i] = 100;
	table->timeouts[CONNECTION_ESTABLISHED] = 1000;
	connection_table_divide(table, 2);
	return table ? 0 : -1;
}

static int close_table(void **state)
{
	(void)state;
	connection_table_destroy(table);
	return 0;
}

static struct connection_key key_of(uint16_t vipa, uint32_t number, uint8_t protocol)
{
	struct connection_key key = {.vipa = vipa, .protocol = protocol, .port = 80};

	memcpy(key.client, &number, sizeof(number));
	key.client_port = (uint16_t)number;
	return key;
}

static struct connection *add(uint16_t vipa, uint32_t number, uint32_t now)
{
	struct connection_key key = key_of(vipa, number, IPPROTO_TCP);

	return connection_add(table, &key, CONNECTION_EMBRYONIC, 3, 0, now);
}

static struct connection *find(uint16_t vipa, uint32_t number)
{
	struct connection_key key = key_of(vipa, number, IPPROTO_TCP);

	return connection_find(table, &key);
}

/* A packet of the client, as distribute follows it. */
static void take(struct connection *connection, uint8_t flags, uint32_t now)
{
	enum connection_state next = connection_next_state(connection, flags, true);

	connection->packets++;
	connection_touch(table, connection, next, now);
}

static void establish(struct connection *connection, uint32_t now)
{
	take(connection, SYN, now);
	take(connection, ACK, now);
}

static void finds_what_was_added_and_nothing_else(void **state)
{
	struct connection_key other;

	(void)state;
	for (uint32_t i = 0; i < 500; i++)
		assert_non_null(add(0, i, 1));
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(find(0, i)->key.client_port, i);
	assert_null(find(0, 500));
	assert_null(find(1, 0));
	other = key_of(0, 1, IPPROTO_UDP);
	assert_null(connection_find(table, &other));
	other = key_of(0, 1, IPPROTO_TCP);
	other.vipa_generation = 1; /* the index has another VIPA now */
	assert_null(connection_find(table, &other));
	assert_int_equal(table->count, 500);
	assert_int_equal(table->targets[3], 500);
	for (uint32_t i = 0; i < 500; i += 2)
		connection_remove(table, find(0, i));
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(find(0, i) != NULL, i % 2);
	assert_int_equal(table->targets[3], 250);
}

static void a_flood_evicts_no_established_connection(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		establish(add(0, i, 1), 1);
	for (uint32_t i = 1000; i < 100000; i++)
		assert_non_null(add(0, i, 2));
	for (uint32_t i = 0; i < 100; i++)
		assert_non_null(find(0, i));
	assert_int_equal(
		table->shares[0].count, CAPACITY * 3 / 4); /* its reserve, and what is shared */
	assert_null(find(0, 1000));
	assert_non_null(find(0, 99999)); /* the oldest gave way */
}

static void a_flood_leaves_another_address_its_reserve(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		add(0, i, 1);
	for (uint32_t i = 0; i < CAPACITY / 4; i++)
		establish(add(1, i, 2), 2);
	for (uint32_t i = 0; i < CAPACITY / 4; i++)
		assert_non_null(find(1, i));
	/* Beyond its reserve those that are not established elsewhere give way. */
	assert_non_null(add(1, 5000, 2));
	assert_int_equal(table->shares[0].count, CAPACITY * 3 / 4 - 1);
	assert_int_equal(table->count, CAPACITY);
}

/* Whatever they begin with, where that may be something else than a SYN: one packet of an address
 * that may be anybody's, and what the target says to it. */
static void single_packets_of_a_flood_give_way(void **state)
{
	static const struct {
		uint8_t protocol, flags, answer;
	} floods[] = {{IPPROTO_TCP, ACK, RST}, {IPPROTO_TCP, SYN | FIN, SYN | ACK},
		{IPPROTO_TCP, SYN | RST, RST}, {IPPROTO_TCP, FIN | ACK, RST | ACK},
		{IPPROTO_UDP, 0, 0}, {IPPROTO_SCTP, SCTP_DATA, SCTP_ABORT},
		{IPPROTO_SCTP, SCTP_COOKIE_ECHO, SCTP_ABORT},
		{IPPROTO_SCTP, SCTP_SHUTDOWN, SCTP_ABORT}};
	uint32_t kind, number = 10000;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		establish(add(0, i, 1), 1);
	for (kind = 0; kind < sizeof(floods) / sizeof(floods[0]); kind++)
		for (uint32_t end = number + 2 * CAPACITY; number < end; number++) {
			struct connection_key key = key_of(0, number, floods[kind].protocol);
			struct connection *connection =
				connection_add(table, &key, CONNECTION_EMBRYONIC, 3, 0, 2);

			assert_non_null(connection);
			take(connection, floods[kind].flags, 2);
			connection_touch(table, connection,
				connection_next_state(connection, floods[kind].answer, false), 2);
			assert_int_equal(connection->state, CONNECTION_EMBRYONIC);
		}
	for (uint32_t i = 0; i < 100; i++)
		assert_non_null(find(0, i));
	/* What is left of them is gone as soon as what was only begun. */
	assert_int_equal(connection_expire(table, 102, CAPACITY), CAPACITY * 3 / 4 - 100);
}

/* A client that goes on, found in the middle of its connection. */
static void who_goes_on_is_believed(void **state)
{
	struct connection_key key = key_of(0, 2, IPPROTO_UDP);
	struct connection *connection = add(0, 1, 0);

	(void)state;
	take(connection, ACK, 0);
	take(connection, ACK, 0);
	assert_int_equal(connection->state, CONNECTION_ESTABLISHED);
	connection = connection_add(table, &key, CONNECTION_EMBRYONIC, 3, 0, 0);
	take(connection, 0, 0);
	take(connection, 0, 0);
	assert_int_equal(connection->state, CONNECTION_DATAGRAM);
	key = key_of(0, 3, IPPROTO_SCTP);
	connection = connection_add(table, &key, CONNECTION_EMBRYONIC, 3, 0, 0);
	take(connection, SCTP_DATA, 0);
	take(connection, SCTP_DATA, 0);
	assert_int_equal(connection->state, CONNECTION_ESTABLISHED);
}

static void refuses_when_all_are_established(void **state)
{
	uint32_t number = 0;

	(void)state;
	while (number < CAPACITY * 3 / 4)
		establish(add(0, number++, 1), 1);
	assert_null(add(0, number, 2));
	assert_non_null(add(1, 0, 2));
	connection_remove(table, find(0, 7));
	assert_non_null(add(0, number, 2));
}

static void ages_by_state(void **state)
{
	(void)state;
	establish(add(0, 1, 0), 0);
	add(0, 2, 0);
	add(1, 3, 50);
	assert_int_equal(connection_expire(table, 99, 100), 0);
	assert_int_equal(connection_expire(table, 100, 100), 1);
	assert_null(find(0, 2));
	assert_int_equal(connection_expire(table, 150, 100), 1);
	assert_non_null(find(0, 1));
	connection_touch(table, find(0, 1), CONNECTION_ESTABLISHED, 900);
	assert_int_equal(connection_expire(table, 1000, 100), 0);
	assert_int_equal(connection_expire(table, 1900, 100), 1);
	assert_int_equal(table->count, 0);
}

static void expires_no_more_than_it_may(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		add((uint16_t)(i % 2), i, 0);
	assert_int_equal(connection_expire(table, 1000, 30), 30);
	assert_int_equal(connection_expire(table, 1000, 100), 70);
}

static void follows_tcp(void **state)
{
	struct connection *connection = add(0, 1, 0);

	(void)state;
	take(connection, SYN, 0);
	assert_int_equal(connection_next_state(connection, SYN, true), CONNECTION_EMBRYONIC);
	assert_int_equal(connection_next_state(connection, SYN | ACK, false), CONNECTION_EMBRYONIC);
	assert_int_equal(connection_next_state(connection, ACK, false), CONNECTION_EMBRYONIC);
	take(connection, ACK, 0);
	assert_int_equal(connection->state, CONNECTION_ESTABLISHED);
	connection->flags |= CONNECTION_IS_SECURE; /* both ends are seen */
	assert_int_equal(
		connection_next_state(connection, FIN | ACK, true), CONNECTION_ESTABLISHED);
	assert_int_equal(connection_next_state(connection, FIN | ACK, false), CONNECTION_CLOSING);
	connection_touch(table, connection, CONNECTION_CLOSING, 0);
	assert_int_equal(connection_next_state(connection, ACK, true), CONNECTION_CLOSING);
	assert_int_equal(connection_next_state(connection, SYN, true), CONNECTION_EMBRYONIC);
	connection = add(0, 2, 0);
	establish(connection, 0);
	assert_int_equal(connection_next_state(connection, RST, false), CONNECTION_CLOSING);
}

/* Against a plain model: whatever is done, counts and lists agree. */
static void stays_whole_over_many_changes(void **state)
{
	uint32_t seed = 1, counted = 0, at;

	(void)state;
	for (uint32_t step = 0; step < 200000; step++) {
		struct connection *connection;
		uint16_t vipa;

		seed = seed * 1664525 + 1013904223;
		vipa = (uint16_t)(seed >> 8 & 1);
		connection = find(vipa, seed >> 12 & 0x7ff);
		if (!connection)
			add(vipa, seed >> 12 & 0x7ff, step / 100);
		else if (seed >> 28 < 6)
			connection_remove(table, connection);
		else
			establish(connection, step / 100);
		if (step % 1000 == 0)
			connection_expire(table, step / 100, 20);
	}
	for (int each = 0; each < 2; each++)
		for (at = table->shares[each].embryonic.oldest; at != CONNECTION_NONE;
			at = table->entries[at].newer)
			counted++;
	assert_int_equal(
		counted, table->shares[0].embryonic_count + table->shares[1].embryonic_count);
	for (at = table->lists[CONNECTION_ESTABLISHED].oldest; at != CONNECTION_NONE;
		at = table->entries[at].newer)
		counted++;
	assert_int_equal(counted, table->count);
	assert_int_equal(table->count, table->shares[0].count + table->shares[1].count);
	assert_int_equal(table->count, table->targets[3]);
	assert_true(table->count <= CAPACITY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_what_was_added_and_nothing_else),
		TEST(a_flood_evicts_no_established_connection),
		TEST(a_flood_leaves_another_address_its_reserve),
		TEST(single_packets_of_a_flood_give_way),
		TEST(who_goes_on_is_believed),
		TEST(refuses_when_all_are_established),
		TEST(ages_by_state),
		TEST(expires_no_more_than_it_may),
		TEST(follows_tcp),
		TEST(stays_whole_over_many_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
