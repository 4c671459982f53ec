/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarding table (FDB; IEEE 802.1Q 8.8): VLAN and MAC address to port, with independent
 * learning per VLAN. Flat and open-addressed: entries of 16 bytes, a bucket of four is one cache
 * line, a bucket that is full leads on to the next one.
 *
 * Writer: the control thread alone. Readers: workers, without locks. An entry is two 64-bit words,
 * each read and written whole:
 *  - insertion stores the value, then the key (release, paired with the reader's acquire of the
 *    key), so who sees a key sees a value that was written for it or later;
 *  - removal stores key 0; a later insertion into the slot stores its value with release, so who
 *    reads the newer value (acquire) and then the key again sees that the key has changed. Readers
 *    do read it again and take a change for "not found";
 *  - the value repeats the VLAN. Should a slot change twice between a reader's two loads, the frame
 *    may go to a wrong port, but of its own VLAN still.
 * Entries never move, so a reader cannot miss one that is there.
 */
#pragma once

#include "base/error.h"

#include <rte_prefetch.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FDB_BUCKET_ENTRIES 4
/* Buckets from an entry's own to the one it is in. Of tables that are half full, one in 25 needs
 * more than 8, one in some thousands 16. */
#define FDB_PROBES_MAX 32
#define FDB_TICK_MS    100
#define FDB_MIX        0x9e3779b97f4a7c15ULL /* 2^64 / golden ratio, odd */

/* Where an address is, seen from the gateway (seed 000, figure 3B). */
enum fdb_kind { FDB_INTERNAL, FDB_EXTERNAL, FDB_HOST };

/* The value word: port 0-15, VLAN 16-27, kind 28-29, then flags and the time it was last seen. */
#define FDB_VALUE_VLAN_SHIFT 16
#define FDB_VALUE_KIND_SHIFT 28
#define FDB_VALUE_IS_STATIC  (1ULL << 30) /* from the configuration: never ages, never moves */
#define FDB_VALUE_IS_PINNED  (1ULL << 31) /* moved too often: stays here for a while */
#define FDB_VALUE_SEEN_SHIFT 32           /* 31 bits, in units of FDB_TICK_MS */
#define FDB_VALUE_SEEN_MASK  0x7fffffffU
#define FDB_VALUE_GOES_ON    (1ULL << 63) /* in a bucket's first value: see the next bucket too */
#define FDB_VALUE_NONE       UINT64_MAX

struct fdb_entry {
	uint64_t key; /* VLAN and MAC, 0: free */
	uint64_t value;
};

struct fdb_bucket {
	struct fdb_entry entries[FDB_BUCKET_ENTRIES];
} __attribute__((aligned(64)));

struct fdb_table {
	/* Constant. */
	struct fdb_bucket *buckets;
	uint64_t multiplier; /* random, so that nobody can aim at one bucket */
	uint32_t bucket_count;
	uint8_t shift;
	uint32_t entries_max;
	/* Writer: control thread. Readers: workers, relaxed. */
	uint32_t now;           /* in units of FDB_TICK_MS */
	uint32_t refresh_after; /* an entry older than this is worth a report; same unit */
	/* Changes when what workers remember of addresses is no longer true. Release by the control
	 * thread after the change; acquire by workers, once a burst. */
	uint32_t epoch;
	/* Control thread only. */
	uint16_t *passed; /* per bucket: entries that went on from it to a later bucket */
	uint32_t count;
};

/* The table in force; read with publish_read(). NULL before the first configuration. */
extern struct fdb_table *fdb_table;

/* The MAC is kept as it lies in memory, its first byte lowest. A VLAN is at least 1, so no key is
 * 0. Reads eight bytes. */
static inline uint64_t fdb_key(uint16_t vlan, const uint8_t *mac)
{
	uint64_t word;

	memcpy(&word, mac, sizeof(word));
	return (word & 0xffffffffffffULL) | (uint64_t)vlan << 48;
}

static inline uint16_t fdb_key_vlan(uint64_t key)
{
	return (uint16_t)(key >> 48);
}

static inline void fdb_key_mac(uint64_t key, uint8_t mac[6])
{
	memcpy(mac, &key, 6);
}

static inline uint64_t fdb_value(
	uint16_t port, uint16_t vlan, enum fdb_kind kind, uint64_t flags, uint32_t seen)
{
	return port | (uint64_t)vlan << FDB_VALUE_VLAN_SHIFT
		| (uint64_t)kind << FDB_VALUE_KIND_SHIFT | flags
		| (uint64_t)(seen & FDB_VALUE_SEEN_MASK) << FDB_VALUE_SEEN_SHIFT;
}

static inline uint16_t fdb_value_port(uint64_t value)
{
	return (uint16_t)value;
}

static inline uint16_t fdb_value_vlan(uint64_t value)
{
	return (uint16_t)(value >> FDB_VALUE_VLAN_SHIFT) & 0xfff;
}

static inline enum fdb_kind fdb_value_kind(uint64_t value)
{
	return (enum fdb_kind)(value >> FDB_VALUE_KIND_SHIFT & 3);
}

static inline uint32_t fdb_value_seen(uint64_t value)
{
	return (uint32_t)(value >> FDB_VALUE_SEEN_SHIFT) & FDB_VALUE_SEEN_MASK;
}

/* Ticks since the entry was last seen. */
static inline uint32_t fdb_value_age(uint64_t value, uint32_t now)
{
	return (now - fdb_value_seen(value)) & FDB_VALUE_SEEN_MASK;
}

static inline uint32_t fdb_bucket_index(const struct fdb_table *table, uint64_t key)
{
	uint64_t hash = key * table->multiplier;

	/* One product alone puts rows of addresses into few buckets, for unlucky multipliers. */
	hash ^= hash >> 32;
	return (uint32_t)(hash * FDB_MIX >> table->shift);
}

static inline void fdb_prefetch(const struct fdb_table *table, uint64_t key)
{
	rte_prefetch0(&table->buckets[fdb_bucket_index(table, key)]);
}

/* The value of key, FDB_VALUE_NONE when it is not there. Any thread. */
static inline uint64_t fdb_find(const struct fdb_table *table, uint64_t key)
{
	uint32_t index = fdb_bucket_index(table, key);

	for (int probe = 0; probe < FDB_PROBES_MAX; probe++) {
		const struct fdb_bucket *bucket = &table->buckets[index];

		for (int slot = 0; slot < FDB_BUCKET_ENTRIES; slot++) {
			const struct fdb_entry *entry = &bucket->entries[slot];
			uint64_t value;

			if (__atomic_load_n(&entry->key, __ATOMIC_ACQUIRE) != key)
				continue;
			value = __atomic_load_n(&entry->value, __ATOMIC_ACQUIRE);
			if (__atomic_load_n(&entry->key, __ATOMIC_RELAXED) != key
				|| fdb_value_vlan(value) != fdb_key_vlan(key))
				return FDB_VALUE_NONE; /* being replaced */
			return value & ~FDB_VALUE_GOES_ON;
		}
		if (!(__atomic_load_n(&bucket->entries[0].value, __ATOMIC_RELAXED)
			    & FDB_VALUE_GOES_ON))
			break;
		index = (index + 1) & (table->bucket_count - 1);
	}
	return FDB_VALUE_NONE;
}

/* Room for entries_max entries with a load of at most one half. NULL: no memory. */
struct fdb_table *fdb_table_create(uint32_t entries_max);
void fdb_table_destroy(struct fdb_table *table);

/* Control thread, from here on. Inserts, or replaces the value. -ENOSPC: the table has entries_max
 * entries, or (practically never) FDB_PROBES_MAX buckets in a row are full. */
int fdb_insert(struct fdb_table *table, uint64_t key, uint64_t value);
/* False: it was not there. */
bool fdb_remove(struct fdb_table *table, uint64_t key);
/* Makes workers ask the table anew about each source address. */
void fdb_bump_epoch(struct fdb_table *table);

/* Walks the entries from *cursor (0 at first) in the table's order; false: there are no more.
 * Removing the entry that was just given is allowed. */
bool fdb_next(const struct fdb_table *table, uint32_t *cursor, uint64_t *key, uint64_t *value);
