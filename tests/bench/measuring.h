/* SPDX-License-Identifier: BSD-3-Clause */
/* What programs that measure messages have in common: a clock, and the JSON that they print. */
#pragma once

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Ends the program when status is a negative errno. */
static inline void check(int status, const char *what)
{
	if (status < 0)
		errx(1, "%s: %s", what, strerror(-status));
}

static inline int compare_latencies(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* Sorts them. */
static inline void print_latencies(uint64_t *latencies_ns, long count)
{
	if (count == 0)
		errx(1, "nothing was received");
	qsort(latencies_ns, (size_t)count, sizeof(*latencies_ns), compare_latencies);
	printf("{\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f}\n",
		(double)latencies_ns[count / 2] / 1e3, (double)latencies_ns[count * 99 / 100] / 1e3,
		(double)latencies_ns[count * 999 / 1000] / 1e3);
}

static inline void print_rate(uint64_t messages, size_t size, uint64_t elapsed_ns)
{
	double rate = (double)messages * 1e9 / (double)elapsed_ns;

	printf("{\"messages_per_s\": %.0f, \"bytes_per_s\": %.0f}\n", rate, rate * (double)size);
}
