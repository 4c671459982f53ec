/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of a stream in which bytes were replaced by fewer or more (I3). */
#include "packet/inspect/builtin/translate_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static struct translate_map map;

/* From `start` on: 10 bytes, 4 that become 9, 6 bytes, 5 that become 2, and more. */
static void open_map(uint32_t start)
{
	arena = arena_create(4 << 20);
	translate_map_init(&map, start, start);
	assert_true(translate_map_add(&map, arena, start + 10, 4, (const uint8_t *)"NINENINEN", 9));
	assert_true(translate_map_add(&map, arena, start + 20, 5, (const uint8_t *)"TW", 2));
	map.sent = start + 100;
}

static int close_map(void **state)
{
	(void)state;
	translate_map_release(&map, arena);
	assert_int_equal(arena_used(arena), 0);
	arena_destroy(arena);
	return 0;
}

#define ORDINARY 1000u
#define WRAPPING (0u - 12) /* zero lies in the first replacement */

static void check_numbers(uint32_t start)
{
	static const struct {
		uint32_t sender, receiver;
	} pairs[] = {{0, 0}, {9, 9}, {10, 10}, {14, 19}, {15, 20}, {19, 24}, {20, 25}, {25, 27},
		{26, 28}, {99, 101}, {100, 102}, {101, 103}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		uint32_t sender = start + pairs[i].sender, receiver = start + pairs[i].receiver;

		assert_int_equal(translate_map_forward(&map, sender), receiver);
		assert_int_equal(translate_map_back(&map, receiver), sender);
	}
	/* Inside of what was replaced: its beginning. */
	assert_int_equal(translate_map_forward(&map, start + 12), start + 10);
	assert_int_equal(translate_map_forward(&map, start + 24), start + 25);
	assert_int_equal(translate_map_back(&map, start + 11), start + 10);
	assert_int_equal(translate_map_back(&map, start + 18), start + 10);
	assert_int_equal(translate_map_back(&map, start + 26), start + 20);
}

static void numbers_are_mapped_forth_and_back(void **state)
{
	(void)state;
	open_map(ORDINARY);
	check_numbers(ORDINARY);
}

static void numbers_wrap_around(void **state)
{
	(void)state;
	open_map(WRAPPING);
	check_numbers(WRAPPING);
}

static void check_block(uint32_t from, uint32_t to, uint32_t mapped_from, uint32_t mapped_to)
{
	from += ORDINARY;
	to += ORDINARY;
	assert_true(translate_map_back_block(&map, &from, &to));
	assert_int_equal(from, ORDINARY + mapped_from);
	assert_int_equal(to, ORDINARY + mapped_to);
}

static void blocks_claim_no_byte_that_the_receiver_lacks(void **state)
{
	uint32_t from = ORDINARY + 11, to = ORDINARY + 18;

	(void)state;
	open_map(ORDINARY);
	check_block(5, 10, 5, 10);
	check_block(10, 19, 10, 14);
	check_block(5, 15, 5, 10);
	check_block(12, 22, 14, 17);
	check_block(12, 26, 14, 20);
	check_block(12, 27, 14, 25);
	check_block(30, 40, 28, 38);
	assert_false(translate_map_back_block(&map, &from, &to));
}

static void check_bytes(uint32_t from, uint32_t to, const char *expected)
{
	static const char stream[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint8_t out[64];
	uint32_t size = translate_map_apply(
		&map, ORDINARY + from, (const uint8_t *)stream + from, to - from, out, sizeof(out));

	assert_int_equal(size, strlen(expected));
	assert_memory_equal(out, expected, size);
}

/* Whatever the borders of a repetition are, the same bytes have the same number. */
static void repetitions_with_other_borders_give_the_same_bytes(void **state)
{
	(void)state;
	open_map(ORDINARY);
	check_bytes(0, 28, "0123456789NINENINENefghijTWpqr");
	check_bytes(0, 11, "0123456789NINENINEN");
	check_bytes(11, 13, "NINENINEN");
	check_bytes(13, 16, "NINENINENef");
	check_bytes(14, 20, "efghij");
	check_bytes(24, 26, "TWp");
	check_bytes(25, 26, "p");
	assert_false(translate_map_touches(&map, ORDINARY, 10));
	assert_true(translate_map_touches(&map, ORDINARY, 11));
	assert_true(translate_map_touches(&map, ORDINARY + 13, 1));
	assert_false(translate_map_touches(&map, ORDINARY + 14, 6));
	assert_false(translate_map_touches(&map, ORDINARY + 13, 0));
	assert_false(translate_map_touches(&map, ORDINARY + 25, 100));
}

static void what_does_not_fit_is_not_written(void **state)
{
	uint8_t out[8];

	(void)state;
	open_map(ORDINARY);
	assert_int_equal(translate_map_apply(
				 &map, ORDINARY + 10, (const uint8_t *)"abcd", 4, out, sizeof(out)),
		TRANSLATE_NO_ROOM);
}

static void acknowledged_records_live_on_in_the_difference(void **state)
{
	(void)state;
	open_map(ORDINARY);
	translate_map_acknowledge(&map, ORDINARY + 13);
	assert_int_equal(map.count, 2);
	translate_map_acknowledge(&map, ORDINARY + 14);
	assert_int_equal(map.count, 1);
	assert_int_equal(translate_map_forward(&map, ORDINARY + 15), ORDINARY + 20);
	assert_int_equal(translate_map_back(&map, ORDINARY + 25), ORDINARY + 20);
	/* Nobody can have what was not sent. */
	translate_map_acknowledge(&map, ORDINARY + 102);
	assert_int_equal(map.count, 1);
	translate_map_acknowledge(&map, ORDINARY + 101);
	assert_int_equal(map.count, 0);
	assert_int_equal(translate_map_forward(&map, ORDINARY + 101), ORDINARY + 103);
}

static void nothing_is_replaced_behind_what_was_sent(void **state)
{
	(void)state;
	open_map(ORDINARY);
	assert_false(translate_map_add(&map, arena, ORDINARY + 99, 1, (const uint8_t *)"ab", 2));
	assert_true(translate_map_add(&map, arena, ORDINARY + 100, 1, (const uint8_t *)"ab", 2));
	assert_false(translate_map_add(&map, arena, ORDINARY + 100, 1, (const uint8_t *)"ab", 2));
	assert_false(translate_map_add(&map, arena, ORDINARY + 101, 1, NULL, 0));
}

static void records_are_bounded_and_their_room_is_used_again(void **state)
{
	uint32_t at = ORDINARY, bytes = 0;
	uint8_t out[16];

	(void)state;
	arena = arena_create(4 << 20);
	translate_map_init(&map, at, at);
	for (uint32_t round = 0; round < 20; round++) {
		while (translate_map_has_room(&map, 1)) {
			assert_true(translate_map_add(
				&map, arena, at + 3, 2, (const uint8_t *)"abcdefg", 7));
			at += 10;
			map.sent = at;
			bytes += 5;
		}
		assert_int_equal(map.count, TRANSLATE_RECORDS_MAX);
		assert_false(translate_map_add(&map, arena, at, 1, (const uint8_t *)"abcdefg", 7));
		assert_int_equal(translate_map_forward(&map, at), at + bytes);
		translate_map_acknowledge(&map, at - 10 * (100 + round));
		assert_int_equal(map.count, 100 + round);
		assert_int_equal(translate_map_apply(&map, at - 10, (const uint8_t *)"0123456789",
					 10, out, sizeof(out)),
			15);
		assert_memory_equal(out, "012abcdefg56789", 15);
	}
	assert_true(arena_used(arena) < 200 * 1024);
}

#define TEST(name) cmocka_unit_test_teardown(name, close_map)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(numbers_are_mapped_forth_and_back),
		TEST(numbers_wrap_around),
		TEST(blocks_claim_no_byte_that_the_receiver_lacks),
		TEST(repetitions_with_other_borders_give_the_same_bytes),
		TEST(what_does_not_fit_is_not_written),
		TEST(acknowledged_records_live_on_in_the_difference),
		TEST(nothing_is_replaced_behind_what_was_sent),
		TEST(records_are_bounded_and_their_room_is_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
