/* SPDX-License-Identifier: BSD-3-Clause */
/* The channel key table: C2 (unguessable keys), C5 (verification), C6 (exclusion), C7 (wiping). */
#include "channel/key_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct channel_ids ids = {1, 10, 2, 20};

static int open_table(void **state)
{
	struct key_table *table = malloc(sizeof(*table));

	assert_int_equal(key_table_open(table, 4), 0);
	*state = table;
	return 0;
}

static int close_table(void **state)
{
	key_table_close(*state);
	free(*state);
	return 0;
}

static uint32_t claim(struct key_table *table)
{
	uint32_t slot;

	assert_int_equal(key_table_claim(table, &ids, &slot), 0);
	return slot;
}

static bool is_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size > 0 && at[size - 1] == 0)
		size--;
	return size == 0;
}

static void a_key_is_256_random_bits(void **state)
{
	struct key_table *table = *state;
	uint32_t a = claim(table), b = claim(table);

	assert_int_equal(KEY_SIZE * 8, 256);
	assert_int_equal(key_table_set_local(table, a), 0);
	assert_int_equal(key_table_set_local(table, b), 0);
	assert_false(is_zero(table->rows[a].stamp.key, KEY_SIZE));
	assert_memory_not_equal(table->rows[a].stamp.key, table->rows[b].stamp.key, KEY_SIZE);
}

static void what_one_side_has_set_the_other_cannot(void **state)
{
	struct key_table *table = *state;
	uint32_t receiver = claim(table), sender = claim(table), third = claim(table);
	struct stamp before;

	assert_int_equal(key_table_set_local(table, receiver), 0);
	assert_int_equal(key_table_set_remote(table, sender, receiver), 0);
	assert_int_equal(key_table_setter(table, receiver), KEY_SET_LOCAL);
	assert_int_equal(key_table_setter(table, sender), KEY_SET_REMOTE);
	before = table->rows[sender].stamp;
	/* Local after remote, remote after local: exceptions. The same side again: none. */
	assert_int_equal(key_table_set_local(table, sender), -EKEYREJECTED);
	assert_int_equal(key_table_set_remote(table, receiver, sender), -EKEYREJECTED);
	assert_int_equal(key_table_set_local(table, receiver), -EALREADY);
	assert_int_equal(key_table_set_local(table, third), 0);
	assert_int_equal(key_table_set_remote(table, sender, third), -EALREADY);
	assert_memory_equal(&table->rows[sender].stamp, &before, sizeof(before));
}

static void a_stamp_is_good_for_its_own_row_alone(void **state)
{
	struct key_table *table = *state;
	uint32_t receiver = claim(table), sender = claim(table);
	struct stamp stamp;

	key_table_set_local(table, receiver);
	key_table_set_remote(table, sender, receiver);
	key_table_stamp(table, sender, &stamp);
	assert_true(key_table_verify(table, receiver, &stamp));
	/* Each bit of ids and key counts. */
	for (size_t bit = 0; bit < 8 * sizeof(stamp); bit++) {
		((uint8_t *)&stamp)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(key_table_verify(table, receiver, &stamp));
		((uint8_t *)&stamp)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* Of an earlier channel between the same ends: stale. */
	key_table_unset(table, receiver);
	assert_false(key_table_verify(table, receiver, &stamp));
	key_table_set_local(table, receiver);
	assert_false(key_table_verify(table, receiver, &stamp));
}

static void a_row_without_key_verifies_nothing(void **state)
{
	struct key_table *table = *state;
	uint32_t slot = claim(table);
	struct stamp stamp = {.ids = ids};

	assert_false(key_table_verify(table, slot, &stamp));
}

static void released_rows_are_wiped_and_used_again(void **state)
{
	struct key_table *table = *state;
	uint32_t slots[4], slot;

	for (int i = 0; i < 4; i++) {
		slots[i] = claim(table);
		key_table_set_local(table, slots[i]);
	}
	assert_int_equal(key_table_claim(table, &ids, &slot), -ENOSPC);
	key_table_release(table, slots[2]);
	assert_true(is_zero(&table->rows[slots[2]], sizeof(table->rows[0])));
	assert_int_equal(claim(table), slots[2]);
	assert_int_equal(key_table_setter(table, slots[2]), KEY_UNSET);
}

/* Whether the mapping that at is in has all of these flags (proc(5), VmFlags). */
static bool has_flags(const void *at, const char *flags)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool is_ours = false, has_all = false;
	char line[512], flag[4];

	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_ours = from <= (unsigned long)at && (unsigned long)at < to;
		if (!is_ours || strncmp(line, "VmFlags:", 8) != 0)
			continue;
		has_all = true;
		for (; *flags; flags += 2) {
			snprintf(flag, sizeof(flag), " %.2s", flags);
			has_all &= strstr(line, flag) != NULL;
		}
	}
	fclose(maps);
	return has_all;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SECRET_FLAGS "dddc" /* a sanitizer's mlock() locks nothing */
#else
#define SECRET_FLAGS "lodddc"
#endif

static void keys_are_locked_not_dumped_and_not_inherited(void **state)
{
	struct key_table *table = *state;

	assert_true(has_flags(table->rows, SECRET_FLAGS));
	assert_true(has_flags(&table->rows[table->capacity - 1], SECRET_FLAGS));
}

int main(void)
{
#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)
	const struct CMUnitTest tests[] = {
		TABLE_TEST(a_key_is_256_random_bits),
		TABLE_TEST(what_one_side_has_set_the_other_cannot),
		TABLE_TEST(a_stamp_is_good_for_its_own_row_alone),
		TABLE_TEST(a_row_without_key_verifies_nothing),
		TABLE_TEST(released_rows_are_wiped_and_used_again),
		TABLE_TEST(keys_are_locked_not_dumped_and_not_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
