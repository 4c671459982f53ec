/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HZ 3000000000ULL

/* Bytes that pass of an offered load, in steps of a microsecond. */
static uint64_t pass(
	struct rate *rate, uint32_t size, uint64_t per_us, uint64_t us, uint8_t priority)
{
	uint64_t passed = 0;

	for (uint64_t t = 0; t < us; t++)
		for (uint64_t i = 0; i < per_us; i++)
			if (rate_take(rate, (1000000 + t) * (HZ / 1000000), size, priority))
				passed += size;
	return passed;
}

/* G9 */
static void passes_the_rate_and_no_more(void **state)
{
	static const uint64_t bits[] = {1000000, 100000000, 10000000000, 100000000000};

	for (int i = 0; i < 4; i++) {
		struct rate rate = {0};
		uint64_t bytes_per_s = bits[i] / 8, passed;

		rate_set(&rate, bytes_per_s, bytes_per_s / 50, HZ);
		pass(&rate, 1500, 10, 2000, 7); /* the burst is gone */
		rate.full_at = (1000000 + 2000) * (HZ / 1000000) << RATE_TIME_SHIFT;
		rate.full_at += rate.burst;
		passed = 0;
		for (uint64_t t = 2000; t < 102000; t++)
			for (int n = 0; n < 20; n++)
				if (rate_take(&rate, (1000000 + t) * (HZ / 1000000), 1500, 7))
					passed += 1500;
		/* A tenth of a second, within half a percent and a packet. */
		assert_true(passed <= bytes_per_s / 10 * 1005 / 1000 + 1500);
		assert_true(passed + 3000 >= bytes_per_s / 10 * 995 / 1000);
	}
}

static void without_limit_all_passes(void **state)
{
	struct rate rate = {0};

	assert_int_equal(pass(&rate, 1500, 10, 100, 0), 1500 * 10 * 100);
	rate_set(&rate, 1000, 1000, HZ);
	rate_set(&rate, 0, 0, HZ);
	assert_int_equal(pass(&rate, 1500, 10, 100, 0), 1500 * 10 * 100);
}

/* G9: what the lower priorities leave */
static void upper_priorities_find_tokens_left(void **state)
{
	struct rate rate = {0};

	rate_set(&rate, 1000000, 100000, HZ);
	pass(&rate, 1000, 10, 1000, 0);
	assert_false(rate_take(&rate, 1000999 * (HZ / 1000000), 1000, 0));
	assert_true(rate_take(&rate, 1000999 * (HZ / 1000000), 1000, 5));
}

/* G8: storm limits count packets */
static void counts_packets(void **state)
{
	struct rate rate = {0};
	uint64_t passed;

	rate_set(&rate, 100 * RATE_PACKET, 16 * RATE_PACKET, HZ);
	passed = pass(&rate, RATE_PACKET, 1, 1000000, RATE_PRIORITY_UPPER) / RATE_PACKET;
	assert_in_range(passed, 114, 117);
}

static void a_large_packet_passes_an_idle_limit(void **state)
{
	struct rate rate = {0};

	rate_set(&rate, 125, 192 * 1024, HZ);
	assert_true(rate_take(&rate, HZ, 65549, 0));
}

/* G9: TCP's super-frames do not have to find all of their tokens, but what they lack is paid. */
static void a_packet_larger_than_the_tokens_is_paid_afterwards(void **state)
{
	struct rate rate = {0};
	uint64_t passed = 0;

	rate_set(&rate, 1000000, 32000, HZ);
	assert_true(rate_take(&rate, HZ, 65000, 7));
	assert_false(rate_take(&rate, HZ, 64, 7));
	assert_false(rate_take(&rate, HZ + HZ / 1000 * 32, 64, 7));
	assert_true(rate_take(&rate, HZ + HZ / 1000 * 34, 64, 7));
	/* Ten seconds of nothing but those: the rate, the burst and one of them. */
	for (uint64_t ms = 1000; ms < 11000; ms++)
		if (rate_take(&rate, HZ + HZ / 1000 * ms, 65000, 7))
			passed += 65000;
	assert_in_range(passed, 9950000, 10000000 + 32000 + 65000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_the_rate_and_no_more),
		cmocka_unit_test(without_limit_all_passes),
		cmocka_unit_test(upper_priorities_find_tokens_left),
		cmocka_unit_test(counts_packets),
		cmocka_unit_test(a_large_packet_passes_an_idle_limit),
		cmocka_unit_test(a_packet_larger_than_the_tokens_is_paid_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
