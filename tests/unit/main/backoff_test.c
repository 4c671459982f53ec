/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void first_restart_is_at_once_for_people(void **state)
{
	struct backoff backoff = {0};

	assert_true(backoff_next(&backoff, 0) < 100);
}

static void waits_twice_as_long_each_time_up_to_a_bound(void **state)
{
	struct backoff backoff = {0};
	uint32_t wait_ms = backoff_next(&backoff, 0);

	for (int i = 0; i < 20; i++) {
		uint32_t next_ms = backoff_next(&backoff, 100);

		assert_true(next_ms == wait_ms * 2 || next_ms == BACKOFF_MAX_MS);
		wait_ms = next_ms;
	}
	assert_int_equal(wait_ms, BACKOFF_MAX_MS);
}

static void forgets_after_a_stable_run(void **state)
{
	struct backoff backoff = {0};

	for (int i = 0; i < 20; i++)
		backoff_next(&backoff, 100);
	assert_int_equal(backoff_next(&backoff, BACKOFF_STABLE_MS), BACKOFF_FIRST_MS);
	assert_int_equal(backoff_next(&backoff, 0), 2 * BACKOFF_FIRST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_restart_is_at_once_for_people),
		cmocka_unit_test(waits_twice_as_long_each_time_up_to_a_bound),
		cmocka_unit_test(forgets_after_a_stable_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
