/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP reassembly (I6): what the rules see is what the receiver reads, whatever comes in what order.
 */
#include "packet/inspect/builtin/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct arena *arena;
	struct stream stream;
	struct stream_step step;
	char read[1 << 16]; /* all that was fresh, in order */
	size_t size;
};

static struct fixture *begin(void **state, uint32_t next)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	(void)state;
	fixture->arena = arena_create(4 * ARENA_BLOCK_MAX);
	stream_sync(&fixture->stream, fixture->arena, next, true);
	stream_acknowledge(&fixture->stream, next, 1 << 20);
	return fixture;
}

static void end(struct fixture *fixture)
{
	stream_release(&fixture->stream, fixture->arena);
	assert_int_equal(arena_used(fixture->arena), 0);
	arena_destroy(fixture->arena);
	free(fixture);
}

static enum stream_result prepare(struct fixture *fixture, uint32_t sequence, const char *text)
{
	stream_prepare(&fixture->stream, fixture->arena, sequence, (const uint8_t *)text,
		(uint32_t)strlen(text), &fixture->step);
	return fixture->step.result;
}

static void commit(struct fixture *fixture)
{
	struct stream_window window;

	if (fixture->step.result == STREAM_NEW) {
		stream_window(&fixture->stream, &fixture->step, &window);
		memcpy(fixture->read + fixture->size, window.data + window.fresh,
			window.size - window.fresh);
		fixture->size += window.size - window.fresh;
	}
	stream_commit(&fixture->stream, &fixture->step);
}

static enum stream_result add(struct fixture *fixture, uint32_t sequence, const char *text)
{
	enum stream_result result = prepare(fixture, sequence, text);

	commit(fixture);
	return result;
}

static void reads_segments_in_order(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	assert_int_equal(add(fixture, 1000, "GET /../../et"), STREAM_NEW);
	assert_int_equal(prepare(fixture, 1013, "c/passwd"), STREAM_NEW);
	struct stream_window window;
	stream_window(&fixture->stream, &fixture->step, &window);
	assert_int_equal(window.fresh, 13);
	assert_int_equal(window.payload_at, 13);
	assert_int_equal(window.position, 0);
	assert_memory_equal(window.data, "GET /../../etc/passwd", 21);
	commit(fixture);
	assert_string_equal(fixture->read, "GET /../../etc/passwd");
	end(fixture);
}

static void reads_what_came_early_when_the_gap_is_closed(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	assert_int_equal(add(fixture, 1006, "ghi"), STREAM_EARLY);
	assert_int_equal(add(fixture, 1003, "def"), STREAM_EARLY);
	assert_int_equal(fixture->size, 0);
	assert_int_equal(add(fixture, 1000, "abc"), STREAM_NEW);
	assert_string_equal(fixture->read, "abcdefghi");
	assert_int_equal(fixture->stream.next, 1009);
	end(fixture);
}

static void sequence_numbers_wrap(void **state)
{
	struct fixture *fixture = begin(state, UINT32_MAX - 4);

	assert_int_equal(add(fixture, 5, "klmno"), STREAM_EARLY);
	assert_int_equal(add(fixture, UINT32_MAX - 4, "abcde"), STREAM_NEW);
	assert_int_equal(add(fixture, 0, "fghij"), STREAM_NEW);
	assert_string_equal(fixture->read, "abcdefghijklmno");
	end(fixture);
}

static void retransmission_with_other_bytes_is_rewritten(void **state)
{
	struct fixture *fixture = begin(state, 1000);
	uint8_t payload[] = "EVIL!";

	assert_int_equal(add(fixture, 1000, "clean"), STREAM_NEW);
	assert_int_equal(prepare(fixture, 1000, "clean"), STREAM_OLD);
	assert_false(fixture->step.must_rewrite);
	assert_int_equal(prepare(fixture, 1000, (char *)payload), STREAM_OLD);
	assert_true(fixture->step.must_rewrite);
	stream_rewrite(&fixture->stream, &fixture->step, payload);
	assert_string_equal((char *)payload, "clean");
	end(fixture);
}

static void overlap_first_wins(void **state)
{
	struct fixture *fixture = begin(state, 1000);
	uint8_t payload[] = "XXXXefghYYYYmn";

	assert_int_equal(add(fixture, 1000, "abcd"), STREAM_NEW);
	assert_int_equal(add(fixture, 1008, "ijkl"), STREAM_EARLY);
	assert_int_equal(prepare(fixture, 1000, (char *)payload), STREAM_NEW);
	assert_true(fixture->step.must_rewrite);
	stream_rewrite(&fixture->stream, &fixture->step, payload);
	assert_string_equal((char *)payload, "abcdefghijklmn");
	commit(fixture);
	assert_string_equal(fixture->read, "abcdefghijklmn");
	end(fixture);
}

static void segment_that_was_dropped_leaves_nothing(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	assert_int_equal(add(fixture, 1004, "late"), STREAM_EARLY);
	assert_int_equal(prepare(fixture, 1000, "evil"), STREAM_NEW);
	/* Not committed. */
	assert_int_equal(prepare(fixture, 1000, "good"), STREAM_NEW);
	assert_false(fixture->step.must_rewrite);
	commit(fixture);
	assert_string_equal(fixture->read, "goodlate");
	end(fixture);
}

static void early_segment_that_was_dropped_leaves_nothing(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	assert_int_equal(prepare(fixture, 1004, "evil"), STREAM_EARLY);
	assert_int_equal(add(fixture, 1000, "good"), STREAM_NEW);
	assert_int_equal(add(fixture, 1004, "fine"), STREAM_NEW);
	assert_string_equal(fixture->read, "goodfine");
	end(fixture);
}

static void edit_is_what_counts_from_then_on(void **state)
{
	struct fixture *fixture = begin(state, 1000);
	uint8_t payload[] = "a secret b";

	assert_int_equal(prepare(fixture, 1000, "a secret b"), STREAM_NEW);
	assert_true(stream_edit(&fixture->stream, &fixture->step, 2, (const uint8_t *)"XXXXXX", 6));
	commit(fixture);
	assert_string_equal(fixture->read, "a XXXXXX b");
	assert_int_equal(prepare(fixture, 1000, "a secret b"), STREAM_OLD);
	assert_true(fixture->step.must_rewrite);
	stream_rewrite(&fixture->stream, &fixture->step, payload);
	assert_string_equal((char *)payload, "a XXXXXX b");
	end(fixture);
}

static void bytes_that_went_out_cannot_be_edited(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	add(fixture, 1000, "abcd");
	add(fixture, 1008, "ijkl");
	assert_int_equal(prepare(fixture, 1002, "cdefghij"), STREAM_NEW);
	assert_false(stream_edit(&fixture->stream, &fixture->step, 0, (const uint8_t *)"xx", 2));
	assert_false(stream_edit(&fixture->stream, &fixture->step, 5, (const uint8_t *)"xx", 2));
	assert_true(stream_edit(&fixture->stream, &fixture->step, 2, (const uint8_t *)"xx", 2));
	end(fixture);
}

static void bytes_beyond_the_window_are_outside(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	fixture->stream.window = 1000;
	assert_int_equal(add(fixture, 1000 + 70000, "far"), STREAM_OUTSIDE);
	assert_int_equal(add(fixture, 1000 - 10, "old"), STREAM_OLD);
	end(fixture);
}

static void bytes_behind_the_fin_are_outside(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	add(fixture, 1000, "abcd");
	fixture->stream.fin = 1004;
	fixture->stream.flags |= STREAM_HAS_FIN;
	assert_int_equal(prepare(fixture, 1004, "more"), STREAM_OUTSIDE);
	assert_int_equal(prepare(fixture, 1002, "cd"), STREAM_OLD);
	end(fixture);
}

static void old_bytes_count_as_read_only_when_acknowledged(void **state)
{
	struct fixture *fixture = begin(state, 1000);
	char block[4097];
	uint32_t sequence = 1000;

	memset(block, 'x', 4096);
	block[4096] = '\0';
	for (int i = 0; i < 200; i++, sequence += 4096)
		assert_int_equal(prepare(fixture, sequence, block) == STREAM_NEW
				? (stream_commit(&fixture->stream, &fixture->step), 0)
				: 1,
			0);
	/* Nothing is acknowledged: all is still compared. */
	assert_int_equal(prepare(fixture, 1000, "yyyy"), STREAM_OLD);
	assert_true(fixture->step.must_rewrite);
	stream_acknowledge(&fixture->stream, sequence, 1 << 20);
	for (int i = 0; i < 400; i++, sequence += 4096) {
		prepare(fixture, sequence, block);
		stream_commit(&fixture->stream, &fixture->step);
		stream_acknowledge(&fixture->stream, sequence + 4096, 1 << 20);
	}
	/* Its history is gone; the receiver will not read it again. */
	assert_int_equal(prepare(fixture, 1000, "yyyy"), STREAM_OLD);
	assert_false(fixture->step.must_rewrite);
	/* The window that rules see keeps its history. */
	struct stream_window window;
	assert_int_equal(prepare(fixture, sequence, "z"), STREAM_NEW);
	stream_window(&fixture->stream, &fixture->step, &window);
	assert_int_equal(window.fresh, STREAM_HISTORY);
	assert_int_equal(window.position, (uint64_t)600 * 4096 - STREAM_HISTORY);
	end(fixture);
}

static void stream_that_was_picked_up_midway_may_begin_earlier(void **state)
{
	struct fixture *fixture = begin(state, 0);

	stream_sync(&fixture->stream, fixture->arena, 2000, false);
	assert_int_equal(add(fixture, 2000, "passwd"), STREAM_NEW);
	fixture->size = 0;
	memset(fixture->read, 0, sizeof(fixture->read));
	assert_int_equal(add(fixture, 1990, "GET /etc"), STREAM_NEW);
	assert_int_equal(add(fixture, 1998, "//"), STREAM_NEW);
	assert_string_equal(fixture->read, "GET /etc//passwd");
	end(fixture);
}

static void gives_up_when_there_is_no_memory(void **state)
{
	struct fixture *fixture = begin(state, 1000);
	void *blocks[4];
	size_t actual;

	for (int i = 0; i < 4; i++)
		assert_non_null(blocks[i] = arena_take(fixture->arena, ARENA_BLOCK_MAX, &actual));
	assert_int_equal(prepare(fixture, 1000, "abc"), STREAM_NO_MEMORY);
	for (int i = 0; i < 4; i++)
		arena_put(fixture->arena, blocks[i]);
	assert_int_equal(prepare(fixture, 1000, "abc"), STREAM_NEW);
	end(fixture);
}

/* A repetition of them could not be compared any more, and would have to be dropped for good. */
static void unacknowledged_bytes_make_no_room_for_new_ones(void **state)
{
	static char piece[65536];
	struct fixture *fixture = begin(state, 1000);
	uint32_t next = 1000;

	fixture->stream.window = 1 << 30;
	memset(piece, 'a', sizeof(piece) - 1);
	while (prepare(fixture, next, piece) == STREAM_NEW) {
		stream_commit(&fixture->stream, &fixture->step);
		next += sizeof(piece) - 1;
	}
	assert_int_equal(fixture->step.result, STREAM_NO_MEMORY);
	assert_int_equal(prepare(fixture, 1000, piece), STREAM_OLD);
	assert_false(fixture->step.must_rewrite);
	stream_acknowledge(&fixture->stream, next, 1 << 30);
	assert_int_equal(prepare(fixture, next, piece), STREAM_NEW);
	end(fixture);
}

static void gaps_are_bounded(void **state)
{
	struct fixture *fixture = begin(state, 1000);

	for (uint32_t i = 0; i < STREAM_GAPS_MAX; i++)
		assert_int_equal(add(fixture, 1010 + i * 10, "x"), STREAM_EARLY);
	assert_int_equal(add(fixture, 1010 + STREAM_GAPS_MAX * 10, "x"), STREAM_NO_MEMORY);
	assert_int_equal(add(fixture, 1011, "y"), STREAM_EARLY);
	end(fixture);
}

/* What is put together in any order, with overlaps and lies, is the first version of each byte that
 * was committed. */
static void random_segments_give_what_was_committed_first(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 300; round++) {
		struct fixture *fixture = begin(state, (uint32_t)rand());
		uint32_t base = fixture->stream.next;
		char truth[400] = {0}, text[64];

		for (int i = 0; i < 400 && fixture->size < 300; i++) {
			uint32_t at = (uint32_t)rand() % 300, size = 1 + (uint32_t)rand() % 60;

			for (uint32_t j = 0; j < size; j++)
				text[j] = (char)('a' + rand() % 26);
			text[size] = '\0';
			if (at + size > 300)
				continue;
			prepare(fixture, base + at, text);
			if (fixture->step.result == STREAM_NO_MEMORY || rand() % 4 == 0)
				continue;
			for (uint32_t j = 0; j < size; j++)
				if (!truth[at + j])
					truth[at + j] = text[j];
			stream_rewrite(&fixture->stream, &fixture->step, (uint8_t *)text);
			if (fixture->step.to > fixture->step.from)
				assert_memory_equal(text, truth + at, size);
			commit(fixture);
			assert_memory_equal(fixture->read, truth, fixture->size);
		}
		end(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_segments_in_order),
		cmocka_unit_test(reads_what_came_early_when_the_gap_is_closed),
		cmocka_unit_test(sequence_numbers_wrap),
		cmocka_unit_test(retransmission_with_other_bytes_is_rewritten),
		cmocka_unit_test(overlap_first_wins),
		cmocka_unit_test(segment_that_was_dropped_leaves_nothing),
		cmocka_unit_test(early_segment_that_was_dropped_leaves_nothing),
		cmocka_unit_test(edit_is_what_counts_from_then_on),
		cmocka_unit_test(bytes_that_went_out_cannot_be_edited),
		cmocka_unit_test(bytes_beyond_the_window_are_outside),
		cmocka_unit_test(bytes_behind_the_fin_are_outside),
		cmocka_unit_test(old_bytes_count_as_read_only_when_acknowledged),
		cmocka_unit_test(stream_that_was_picked_up_midway_may_begin_earlier),
		cmocka_unit_test(gives_up_when_there_is_no_memory),
		cmocka_unit_test(unacknowledged_bytes_make_no_room_for_new_ones),
		cmocka_unit_test(gaps_are_bounded),
		cmocka_unit_test(random_segments_give_what_was_committed_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
