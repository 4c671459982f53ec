/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/fdb_table.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

#define CAPACITY  100000
#define FINDS_MIN 100000 /* of the reader that races with the writer */

static uint64_t key_of(uint16_t vlan, uint64_t number)
{
	uint8_t mac[8] = {2};

	memcpy(mac + 1, &number, 5);
	return fdb_key(vlan, mac);
}

static void key_and_value_keep_what_they_hold(void **state)
{
	static const uint8_t mac[8] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0xff, 0xff};
	uint64_t key = fdb_key(4094, mac);
	uint64_t value = fdb_value(4095, 4094, FDB_HOST, FDB_VALUE_IS_STATIC, 0x12345678);
	uint8_t out[6];

	fdb_key_mac(key, out);
	assert_memory_equal(out, mac, 6);
	assert_int_equal(fdb_key_vlan(key), 4094);
	assert_int_equal(fdb_value_port(value), 4095);
	assert_int_equal(fdb_value_vlan(value), 4094);
	assert_int_equal(fdb_value_kind(value), FDB_HOST);
	assert_int_equal(fdb_value_seen(value), 0x12345678);
	assert_true(value & FDB_VALUE_IS_STATIC);
	assert_false(value & (FDB_VALUE_GOES_ON | FDB_VALUE_IS_PINNED));
}

static void age_survives_the_wrap_of_time(void **state)
{
	uint64_t value = fdb_value(1, 1, FDB_INTERNAL, 0, FDB_VALUE_SEEN_MASK - 4);

	assert_int_equal(fdb_value_age(value, 5), 10);
}

/* G1: the same address in two VLANs is two addresses */
static void finds_what_was_inserted_and_nothing_else(void **state)
{
	struct fdb_table *table = fdb_table_create(CAPACITY);

	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_int_equal(fdb_insert(table, key_of((uint16_t)(1 + i % 4094), i),
					 fdb_value((uint16_t)(i % 4096), (uint16_t)(1 + i % 4094),
						 FDB_INTERNAL, 0, 0)),
			0);
	assert_int_equal(table->count, CAPACITY);
	for (uint64_t i = 0; i < CAPACITY; i++) {
		assert_int_equal(
			fdb_value_port(fdb_find(table, key_of((uint16_t)(1 + i % 4094), i))),
			i % 4096);
		assert_true(fdb_find(table, key_of((uint16_t)(1 + (i + 1) % 4094), i))
			== FDB_VALUE_NONE);
	}
	assert_int_equal(fdb_insert(table, key_of(1, CAPACITY), 0), -ENOSPC);
	fdb_table_destroy(table);
}

static void replaces_the_value_of_a_key(void **state)
{
	struct fdb_table *table = fdb_table_create(1024);
	uint64_t key = key_of(10, 1);

	fdb_insert(table, key, fdb_value(1, 10, FDB_INTERNAL, 0, 0));
	fdb_insert(table, key, fdb_value(2, 10, FDB_EXTERNAL, 0, 0));
	assert_int_equal(table->count, 1);
	assert_int_equal(fdb_value_port(fdb_find(table, key)), 2);
	assert_int_equal(fdb_value_kind(fdb_find(table, key)), FDB_EXTERNAL);
	assert_true(fdb_remove(table, key));
	assert_false(fdb_remove(table, key));
	assert_true(fdb_find(table, key) == FDB_VALUE_NONE);
	assert_int_equal(table->count, 0);
	fdb_table_destroy(table);
}

/* Against a plain array, with buckets that overflow and empty again. */
static void agrees_with_a_simple_model(void **state)
{
	enum { KEYS = 2000 };
	struct fdb_table *table = fdb_table_create(KEYS);
	static uint64_t model[KEYS]; /* value, 0: not there */
	uint32_t cursor = 0, seen = 0, there = 0;
	uint64_t key, value;

	srandom(1);
	for (int step = 0; step < 400000; step++) {
		uint64_t number = (uint64_t)random() % KEYS;

		key = key_of(7, number);
		if (random() % 2) {
			model[number] = fdb_value(
				(uint16_t)(random() % 4096), 7, FDB_INTERNAL, 0, (uint32_t)step);
			assert_int_equal(fdb_insert(table, key, model[number]), 0);
		} else {
			assert_int_equal(fdb_remove(table, key), model[number] != 0);
			model[number] = 0;
		}
		number = (uint64_t)random() % KEYS;
		value = fdb_find(table, key_of(7, number));
		assert_true(value == (model[number] ? model[number] : FDB_VALUE_NONE));
	}
	for (int i = 0; i < KEYS; i++)
		there += model[i] != 0;
	while (fdb_next(table, &cursor, &key, &value))
		seen++;
	assert_int_equal(seen, there);
	assert_int_equal(table->count, there);
	for (int i = 0; i < KEYS; i++)
		fdb_remove(table, key_of(7, (uint64_t)i));
	for (uint32_t i = 0; i < table->bucket_count; i++)
		assert_int_equal(table->passed[i], 0);
	fdb_table_destroy(table);
}

/* Addresses are given out in rows, and each table has a random multiplier of its own. */
static void holds_rows_of_addresses_whatever_its_multiplier(void **state)
{
	for (int run = 0; run < 400; run++) {
		struct fdb_table *table = fdb_table_create(1024);
		int shift = run % 5 * 8; /* the byte of the address that counts up first */

		for (uint64_t i = 0; i < 1024; i++)
			assert_int_equal(
				fdb_insert(table, fdb_key(7, (const uint8_t[8]){2}) + (i << shift),
					fdb_value(1, 7, FDB_INTERNAL, 0, 0)),
				0);
		fdb_table_destroy(table);
	}
}

static void walk_may_remove_what_it_was_given(void **state)
{
	struct fdb_table *table = fdb_table_create(1024);
	uint32_t cursor = 0, count = 0;
	uint64_t key, value;

	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(
			fdb_insert(table, key_of(5, i), fdb_value(1, 5, FDB_INTERNAL, 0, 0)), 0);
	while (fdb_next(table, &cursor, &key, &value)) {
		assert_true(fdb_remove(table, key));
		count++;
	}
	assert_int_equal(count, 1000);
	assert_int_equal(table->count, 0);
	fdb_table_destroy(table);
}

/* ---- one writer, one reader ---- */

struct race {
	struct fdb_table *table;
	bool is_over;
	uint64_t found, wrong;
};

/* Each value's port is made from the key's address, so a torn pair shows. */
static uint16_t port_of(uint64_t number)
{
	return (uint16_t)(number * 7 % 4093);
}

static void *read_along(void *context)
{
	struct race *race = context;
	uint64_t number = 0;

	while (!__atomic_load_n(&race->is_over, __ATOMIC_RELAXED)) {
		uint64_t value = fdb_find(race->table, key_of(9, number % 300));

		if (value != FDB_VALUE_NONE) {
			/* Relaxed: its only writer; read by the test. */
			__atomic_store_n(&race->found, race->found + 1, __ATOMIC_RELAXED);
			race->wrong += fdb_value_vlan(value) != 9
				|| fdb_value_port(value) != port_of(number % 300);
		}
		number++;
	}
	return NULL;
}

/* Enough to mean something, or too late. */
static bool has_raced(const struct race *race, uint64_t end_ns)
{
	return __atomic_load_n(&race->found, __ATOMIC_RELAXED) >= FINDS_MIN
		|| clock_monotonic_ns() > end_ns;
}

/* The writer reuses slots as fast as it can; a reader that mixes two entries up would see it. */
static void reader_never_sees_half_an_entry(void **state)
{
	struct race race = {.table = fdb_table_create(150)};
	uint64_t end_ns = clock_monotonic_ns() + WAIT_BOUND_NS;
	pthread_t thread;

	pthread_create(&thread, NULL, read_along, &race);
	/* The thread may come late: races count only from then on. */
	for (uint64_t i = 0; i < 2000000 || !has_raced(&race, end_ns); i++) {
		fdb_remove(race.table, key_of(9, (i + 150) % 300));
		fdb_insert(race.table, key_of(9, i % 300),
			fdb_value(port_of(i % 300), 9, FDB_INTERNAL, 0, (uint32_t)i));
	}
	__atomic_store_n(&race.is_over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(race.found >= FINDS_MIN);
	assert_int_equal(race.wrong, 0);
	fdb_table_destroy(race.table);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_and_value_keep_what_they_hold),
		cmocka_unit_test(age_survives_the_wrap_of_time),
		cmocka_unit_test(finds_what_was_inserted_and_nothing_else),
		cmocka_unit_test(replaces_the_value_of_a_key),
		cmocka_unit_test(agrees_with_a_simple_model),
		cmocka_unit_test(holds_rows_of_addresses_whatever_its_multiplier),
		cmocka_unit_test(walk_may_remove_what_it_was_given),
		cmocka_unit_test(reader_never_sees_half_an_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
