/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/fdb_table.h"

#include "base/id.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MIN 64

struct fdb_table *fdb_table;

struct fdb_table *fdb_table_create(uint32_t entries_max)
{
	struct fdb_table *table = calloc(1, sizeof(*table));
	uint32_t wanted = entries_max / (FDB_BUCKET_ENTRIES / 2);

	if (!table)
		return NULL;
	table->entries_max = entries_max;
	table->bucket_count = BUCKETS_MIN;
	while (table->bucket_count < wanted)
		table->bucket_count *= 2;
	table->shift = (uint8_t)(64 - __builtin_ctz(table->bucket_count));
	table->multiplier = id_random_u64() | 1;
	table->epoch = 1;
	table->passed = calloc(table->bucket_count, sizeof(*table->passed));
	table->buckets = aligned_alloc(
		sizeof(struct fdb_bucket), (size_t)table->bucket_count * sizeof(struct fdb_bucket));
	if (!table->buckets || !table->passed) {
		fdb_table_destroy(table);
		return NULL;
	}
	memset(table->buckets, 0, (size_t)table->bucket_count * sizeof(struct fdb_bucket));
	return table;
}

void fdb_table_destroy(struct fdb_table *table)
{
	if (!table)
		return;
	free(table->passed);
	free(table->buckets);
	free(table);
}

/* Keeps the bucket's own flag. Release: see the head of fdb_table.h. */
static void store_value(struct fdb_bucket *bucket, int slot, uint64_t value)
{
	uint64_t flag = bucket->entries[slot].value & FDB_VALUE_GOES_ON;

	__atomic_store_n(&bucket->entries[slot].value, (value & ~FDB_VALUE_GOES_ON) | flag,
		__ATOMIC_RELEASE);
}

static void set_goes_on(struct fdb_bucket *bucket, bool goes_on)
{
	uint64_t value = bucket->entries[0].value & ~FDB_VALUE_GOES_ON;

	__atomic_store_n(&bucket->entries[0].value, value | (goes_on ? FDB_VALUE_GOES_ON : 0),
		__ATOMIC_RELEASE);
}

struct place {
	uint32_t home, index; /* buckets */
	int slot;
};

/* Where key is (free_slot false), or the first free slot for it. */
static bool find_place(
	const struct fdb_table *table, uint64_t key, bool free_slot, struct place *out)
{
	out->home = out->index = fdb_bucket_index(table, key);
	for (int probe = 0; probe < FDB_PROBES_MAX; probe++) {
		const struct fdb_bucket *bucket = &table->buckets[out->index];

		for (out->slot = 0; out->slot < FDB_BUCKET_ENTRIES; out->slot++) {
			if (bucket->entries[out->slot].key == (free_slot ? 0 : key))
				return true;
		}
		if (!free_slot && !table->passed[out->index])
			return false;
		out->index = (out->index + 1) & (table->bucket_count - 1);
	}
	return false;
}

int fdb_insert(struct fdb_table *table, uint64_t key, uint64_t value)
{
	struct place place;
	struct fdb_bucket *bucket;

	if (find_place(table, key, false, &place)) {
		store_value(&table->buckets[place.index], place.slot, value);
		return 0;
	}
	if (table->count >= table->entries_max || !find_place(table, key, true, &place))
		return -ENOSPC;
	/* The way to it first, then the entry. */
	for (uint32_t index = place.home; index != place.index;
		index = (index + 1) & (table->bucket_count - 1)) {
		if (table->passed[index]++ == 0)
			set_goes_on(&table->buckets[index], true);
	}
	bucket = &table->buckets[place.index];
	store_value(bucket, place.slot, value);
	__atomic_store_n(&bucket->entries[place.slot].key, key, __ATOMIC_RELEASE);
	table->count++;
	return 0;
}

bool fdb_remove(struct fdb_table *table, uint64_t key)
{
	struct place place;

	if (!find_place(table, key, false, &place))
		return false;
	__atomic_store_n(&table->buckets[place.index].entries[place.slot].key, 0, __ATOMIC_RELEASE);
	for (uint32_t index = place.home; index != place.index;
		index = (index + 1) & (table->bucket_count - 1)) {
		if (--table->passed[index] == 0)
			set_goes_on(&table->buckets[index], false);
	}
	table->count--;
	return true;
}

void fdb_bump_epoch(struct fdb_table *table)
{
	__atomic_store_n(&table->epoch, table->epoch + 1, __ATOMIC_RELEASE);
}

bool fdb_next(const struct fdb_table *table, uint32_t *cursor, uint64_t *key, uint64_t *value)
{
	while (*cursor < table->bucket_count * FDB_BUCKET_ENTRIES) {
		const struct fdb_entry *entry = &table->buckets[*cursor / FDB_BUCKET_ENTRIES]
							 .entries[*cursor % FDB_BUCKET_ENTRIES];

		++*cursor;
		if (!entry->key)
			continue;
		*key = entry->key;
		*value = entry->value & ~FDB_VALUE_GOES_ON;
		return true;
	}
	return false;
}
