/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/target_flow.h"
#include "tests/unit/wait.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FIN 0x01
#define SYN 0x02
#define ACK 0x10

static struct target_flows *flows;
static const struct target_way secure = {TARGET_WAY_SECURE, 1}, plain = {TARGET_WAY_PLAIN, 0};

static struct target_flow_key key_of(uint32_t client, uint16_t port, uint8_t protocol)
{
	struct target_flow_key key = {
		.client_port = port, .port = 80, .ip_version = 4, .protocol = protocol};

	memcpy(key.client, &client, sizeof(client));
	memcpy(key.vipa, (const uint8_t[]){192, 0, 2, 80}, 4);
	return key;
}

static uint8_t find(const struct target_flow_key *key, uint32_t now_s)
{
	return target_flow_find(&flows, 1, key, now_s).kind;
}

static int begin(void **state)
{
	(void)state;
	flows = target_flows_create(1024);
	return flows ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	target_flows_destroy(flows);
	return 0;
}

/* D9 */
static void tells_by_which_way_a_flow_came(void **state)
{
	struct target_flow_key one = key_of(1, 1000, IPPROTO_TCP),
			       other = key_of(1, 1001, IPPROTO_TCP);

	(void)state;
	assert_int_equal(find(&one, 0), TARGET_WAY_UNKNOWN);
	assert_true(target_flow_learn(flows, &one, secure, SYN, 0));
	assert_true(target_flow_learn(flows, &other, plain, SYN, 0));
	assert_int_equal(find(&one, 1), TARGET_WAY_SECURE);
	assert_int_equal(target_flow_find(&flows, 1, &one, 1).peer, 1);
	assert_int_equal(find(&other, 1), TARGET_WAY_PLAIN);
	/* The same ports again, and this time in clear. */
	assert_true(target_flow_learn(flows, &one, plain, SYN, 2));
	assert_int_equal(find(&one, 2), TARGET_WAY_PLAIN);
}

/* D9: each field tells flows apart. */
static void a_flow_is_its_whole_key(void **state)
{
	const struct target_flow_key key = key_of(1, 1000, IPPROTO_TCP);
	const size_t fields[] = {offsetof(struct target_flow_key, client) + 15,
		offsetof(struct target_flow_key, vipa),
		offsetof(struct target_flow_key, client_port),
		offsetof(struct target_flow_key, port),
		offsetof(struct target_flow_key, ip_version),
		offsetof(struct target_flow_key, protocol)};

	(void)state;
	assert_true(target_flow_learn(flows, &key, secure, SYN, 0));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct target_flow_key changed = key;

		((uint8_t *)&changed)[fields[i]] ^= 1;
		assert_int_equal(find(&changed, 0), TARGET_WAY_UNKNOWN);
	}
}

/* D9: ages by the state of the connection. */
static void flows_are_forgotten_in_their_time(void **state)
{
	struct target_flow_key half = key_of(1, 1, IPPROTO_TCP), whole = key_of(1, 2, IPPROTO_TCP),
			       closing = key_of(1, 3, IPPROTO_TCP), udp = key_of(1, 4, IPPROTO_UDP);

	(void)state;
	target_flow_learn(flows, &half, secure, SYN, 0);
	target_flow_learn(flows, &whole, secure, SYN, 0);
	target_flow_learn(flows, &whole, secure, ACK, 0);
	target_flow_learn(flows, &closing, secure, ACK, 0);
	target_flow_learn(flows, &closing, secure, FIN | ACK, 0);
	target_flow_learn(flows, &closing, secure, ACK, 0);
	target_flow_learn(flows, &udp, secure, 0, 0);
	assert_int_equal(target_flows_count(flows, 60), 4);
	assert_int_equal(target_flows_count(flows, 61), 2);
	assert_int_equal(find(&half, 61), TARGET_WAY_UNKNOWN);
	assert_int_equal(find(&closing, 61), TARGET_WAY_UNKNOWN);
	assert_int_equal(find(&udp, 300), TARGET_WAY_SECURE);
	/* An answer is a packet of the flow, too. */
	assert_int_equal(find(&udp, 600), TARGET_WAY_SECURE);
	assert_int_equal(find(&udp, 901), TARGET_WAY_UNKNOWN);
	assert_int_equal(find(&whole, 7440), TARGET_WAY_SECURE);
	assert_int_equal(find(&whole, 14881), TARGET_WAY_UNKNOWN);
}

/* D9: a flood of SYNs displaces no connection, and nothing that is established another one. */
static void a_flood_displaces_no_connection(void **state)
{
	uint32_t refused = 0;

	(void)state;
	for (uint32_t i = 0; i < 256; i++) {
		struct target_flow_key key = key_of(i, 2000, IPPROTO_TCP);

		assert_true(target_flow_learn(flows, &key, secure, SYN, 0));
		assert_true(target_flow_learn(flows, &key, secure, ACK, 0));
	}
	for (uint32_t i = 0; i < 100000; i++) {
		struct target_flow_key key = key_of(1000 + i, (uint16_t)i, IPPROTO_TCP);

		target_flow_learn(flows, &key, plain, SYN, 1);
	}
	for (uint32_t i = 0; i < 256; i++) {
		struct target_flow_key key = key_of(i, 2000, IPPROTO_TCP);

		assert_int_equal(find(&key, 2), TARGET_WAY_SECURE);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		struct target_flow_key key = key_of(500000 + i, 1, IPPROTO_TCP);

		refused += !target_flow_learn(flows, &key, plain, ACK, 3);
	}
	assert_true(refused >= 10000 - 1024);
	assert_true(target_flows_count(flows, 3) <= 1024);
}

/* D9: what one worker has learned another one reads, the newer one where both know something. */
static void the_newest_of_several_tables_is_taken(void **state)
{
	struct target_flows *tables[2] = {flows, target_flows_create(1024)};
	struct target_flow_key key = key_of(1, 1, IPPROTO_TCP);

	(void)state;
	assert_non_null(tables[1]);
	target_flow_learn(tables[0], &key, secure, ACK, 10);
	target_flow_learn(tables[1], &key, plain, ACK, 20);
	assert_int_equal(target_flow_find(tables, 2, &key, 20).kind, TARGET_WAY_PLAIN);
	target_flow_learn(tables[0], &key, secure, ACK, 30);
	assert_int_equal(target_flow_find(tables, 2, &key, 30).kind, TARGET_WAY_SECURE);
	target_flows_destroy(tables[1]);
}

static bool is_written;
static uint32_t reads;

static void *write_on(void *context)
{
	struct target_flow_key key = key_of(1, 1, IPPROTO_TCP);
	uint64_t end_ns = clock_monotonic_ns() + WAIT_BOUND_NS;

	(void)context;
	/* The reader may come late: it has to have seen something meanwhile. */
	for (uint32_t i = 0; i < 200000
		|| (!__atomic_load_n(&reads, __ATOMIC_RELAXED) && clock_monotonic_ns() < end_ns);
		i++)
		target_flow_learn(flows, &key, i % 2 ? secure : plain, SYN, i);
	__atomic_store_n(&is_written, true, __ATOMIC_RELEASE);
	return NULL;
}

/* D9: of an entry that is being written a reader sees the old or the new one. */
static void a_reader_never_sees_half_an_entry(void **state)
{
	struct target_flow_key key = key_of(1, 1, IPPROTO_TCP);
	pthread_t writer;

	(void)state;
	is_written = false;
	reads = 0;
	target_flow_learn(flows, &key, plain, SYN, 0);
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	while (!__atomic_load_n(&is_written, __ATOMIC_ACQUIRE)) {
		struct target_way way = target_flow_find(&flows, 1, &key, 0);

		if (way.kind == TARGET_WAY_UNKNOWN)
			continue; /* written all the time that we looked */
		assert_int_equal(way.peer, way.kind == TARGET_WAY_SECURE ? 1 : 0);
		__atomic_store_n(&reads, reads + 1, __ATOMIC_RELAXED);
	}
	pthread_join(writer, NULL);
	assert_true(reads > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_by_which_way_a_flow_came, begin, end),
		cmocka_unit_test_setup_teardown(a_flow_is_its_whole_key, begin, end),
		cmocka_unit_test_setup_teardown(flows_are_forgotten_in_their_time, begin, end),
		cmocka_unit_test_setup_teardown(a_flood_displaces_no_connection, begin, end),
		cmocka_unit_test_setup_teardown(the_newest_of_several_tables_is_taken, begin, end),
		cmocka_unit_test_setup_teardown(a_reader_never_sees_half_an_entry, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
