/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one look-up of the forwarding table costs, in bursts as a node makes them: prefetch all,
 * then find all; with 2, 1,000 and 100,000 addresses, all of them known or none, in random order.
 */
#include "base/clock.h"
#include "packet/gateway/fdb_table.h"

#include <stdio.h>
#include <stdlib.h>

#define BURST   32
#define LOOKUPS (32u << 20)
#define ORDER   (1u << 20)

static uint64_t key_of(uint64_t number)
{
	uint8_t mac[8] = {2};

	memcpy(mac + 1, &number, 5);
	return fdb_key(10, mac);
}

static double measure(const struct fdb_table *table, const uint64_t *keys, uint64_t *found)
{
	uint64_t started = clock_monotonic_ns();

	for (uint32_t done = 0; done < LOOKUPS; done += BURST) {
		const uint64_t *burst = keys + done % ORDER;

		for (int i = 0; i < BURST; i++)
			fdb_prefetch(table, burst[i]);
		for (int i = 0; i < BURST; i++)
			*found += fdb_find(table, burst[i]) != FDB_VALUE_NONE;
	}
	return (double)(clock_monotonic_ns() - started) / LOOKUPS;
}

int main(void)
{
	static const uint32_t counts[] = {2, 1000, 100000};
	struct fdb_table *table = fdb_table_create(131072);
	uint64_t *keys = calloc(ORDER, sizeof(*keys));
	uint32_t inserted = 0;

	if (!table || !keys)
		return 1;
	printf("%10s %14s %14s\n", "addresses", "ns, known", "ns, unknown");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t found = 0;
		double known, unknown;

		for (; inserted < counts[i]; inserted++)
			fdb_insert(table, key_of(inserted), fdb_value(1, 10, FDB_INTERNAL, 0, 0));
		for (uint32_t n = 0; n < ORDER; n++)
			keys[n] = key_of((uint64_t)random() % counts[i]);
		known = measure(table, keys, &found);
		if (found != LOOKUPS)
			return 1;
		for (uint32_t n = 0; n < ORDER; n++)
			keys[n] = key_of(1000000 + (uint64_t)random() % counts[i]);
		unknown = measure(table, keys, &found);
		printf("%10u %14.1f %14.1f\n", counts[i], known, unknown);
	}
	free(keys);
	fdb_table_destroy(table);
	return 0;
}
