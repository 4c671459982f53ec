/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/clock.h"
#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void formats_time_as_eve_does(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	setenv("TZ", "UTC", 1);
	tzset();
	clock_format(1767323045ULL * CLOCK_NS_PER_S + 678901 * CLOCK_NS_PER_US + 999, text);
	assert_string_equal(text, "2026-01-02T03:04:05.678901+0000");
}

static void monotonic_time_never_goes_back(void **state)
{
	uint64_t before = clock_monotonic_ns();

	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_monotonic_ns();

		assert_true(now >= before);
		before = now;
	}
	assert_true(clock_wall_ns() > 1600000000ULL * CLOCK_NS_PER_S);
}

static void random_numbers_differ(void **state)
{
	assert_int_not_equal(id_random_u64(), id_random_u64());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_time_as_eve_does),
		cmocka_unit_test(monotonic_time_never_goes_back),
		cmocka_unit_test(random_numbers_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
