/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/neighbour.h"

#include "packet/distributor/connection_table.h"

#include <rte_spinlock.h>

#define BUCKETS        1024
#define BUCKET_ENTRIES 4
/* RFC 4861 section 10: REACHABLE_TIME, RETRANS_TIMER */
#define FRESH_TICKS  (30000 / CONNECTION_TICK_MS)
#define RETRY_TICKS  (1000 / CONNECTION_TICK_MS)
#define FORGET_TICKS (120000 / CONNECTION_TICK_MS) /* without an answer to any question */

struct entry {
	uint32_t sequence; /* odd: it is being written */
	uint16_t vlan;     /* 0: free */
	bool is_known;
	struct ip_address address;
	uint8_t mac[ETH_ADDRESS_SIZE];
	uint32_t confirmed, asked; /* ticks; asked is written without the lock */
};

struct bucket {
	rte_spinlock_t lock;
	struct entry entries[BUCKET_ENTRIES];
};

static struct bucket buckets[BUCKETS];

static struct bucket *bucket_of(uint16_t vlan, const struct ip_address *address)
{
	uint64_t words[2];

	memcpy(words, address->bytes, sizeof(words));
	words[0] ^= words[1] * 0xff51afd7ed558ccdULL ^ (uint64_t)vlan << 40;
	return &buckets[words[0] * 0x9e3779b97f4a7c15ULL >> 54];
}

static_assert(BUCKETS == 1 << 10, "bucket_of() yields so many");

/* ---- readers ---- */

/* A copy that nobody wrote meanwhile; false: somebody did. */
static bool read_entry(const struct entry *entry, struct entry *out)
{
	/* Acquire, and the fence: pairs with begin_write() and end_write(). */
	uint32_t sequence = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);

	if (sequence & 1)
		return false;
	memcpy(out, entry, sizeof(*out));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&entry->sequence, __ATOMIC_RELAXED) == sequence;
}

static struct entry *find(
	struct bucket *bucket, uint16_t vlan, const struct ip_address *address, struct entry *copy)
{
	for (int i = 0; i < BUCKET_ENTRIES; i++)
		if (read_entry(&bucket->entries[i], copy) && copy->vlan == vlan
			&& ip_address_is_equal(&copy->address, address))
			return &bucket->entries[i];
	return NULL;
}

/* ---- writers ---- */

static void begin_write(struct entry *entry)
{
	__atomic_store_n(&entry->sequence, entry->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_write(struct entry *entry)
{
	__atomic_store_n(&entry->sequence, entry->sequence + 1, __ATOMIC_RELEASE);
}

/* Another worker's tick may be the next one already. */
static uint32_t age_of(uint32_t then, uint32_t now)
{
	return (int32_t)(now - then) > 0 ? now - then : 0;
}

/* One that is free, or the one that was confirmed or asked for the longest time ago. */
static struct entry *choose(struct bucket *bucket, uint32_t now)
{
	struct entry *chosen = &bucket->entries[0];
	uint32_t most = 0;

	for (int i = 0; i < BUCKET_ENTRIES; i++) {
		struct entry *entry = &bucket->entries[i];
		uint32_t age = age_of(RTE_MAX(entry->confirmed, entry->asked), now);

		if (!entry->vlan)
			return entry;
		if (age >= most) {
			most = age;
			chosen = entry;
		}
	}
	return chosen;
}

static struct entry *find_locked(
	struct bucket *bucket, uint16_t vlan, const struct ip_address *address)
{
	for (int i = 0; i < BUCKET_ENTRIES; i++)
		if (bucket->entries[i].vlan == vlan
			&& ip_address_is_equal(&bucket->entries[i].address, address))
			return &bucket->entries[i];
	return NULL;
}

static void write_entry(struct bucket *bucket, uint16_t vlan, const struct ip_address *address,
	const uint8_t *mac, uint32_t now, bool may_add)
{
	struct entry *entry;

	rte_spinlock_lock(&bucket->lock);
	entry = find_locked(bucket, vlan, address);
	if (entry && !mac)
		entry = NULL; /* another worker was quicker */
	else if (!entry && may_add)
		entry = choose(bucket, now);
	if (entry) {
		begin_write(entry);
		if (!mac) {
			entry->is_known = false;
			entry->asked = now;
		} else {
			memcpy(entry->mac, mac, ETH_ADDRESS_SIZE);
			entry->is_known = true;
		}
		entry->vlan = vlan;
		entry->address = *address;
		entry->confirmed = now;
		end_write(entry);
	}
	rte_spinlock_unlock(&bucket->lock);
}

/* Whether it is the caller who asks: of several workers one. */
static bool take_turn(struct entry *entry, uint32_t asked, uint32_t now)
{
	return age_of(asked, now) >= RETRY_TICKS
		&& __atomic_compare_exchange_n(
			&entry->asked, &asked, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

enum neighbour_state neighbour_find(uint16_t vlan, const struct ip_address *address, uint32_t now,
	uint8_t mac[ETH_ADDRESS_SIZE])
{
	struct bucket *bucket = bucket_of(vlan, address);
	struct entry copy, *entry = find(bucket, vlan, address, &copy);
	uint32_t age;

	if (!entry) {
		write_entry(bucket, vlan, address, NULL, now, true);
		return NEIGHBOUR_UNKNOWN;
	}
	age = age_of(copy.confirmed, now);
	if (!copy.is_known || age >= FORGET_TICKS)
		return take_turn(entry, copy.asked, now) ? NEIGHBOUR_UNKNOWN : NEIGHBOUR_ASKED;
	memcpy(mac, copy.mac, ETH_ADDRESS_SIZE);
	return age >= FRESH_TICKS && take_turn(entry, copy.asked, now) ? NEIGHBOUR_STALE
								       : NEIGHBOUR_KNOWN;
}

void neighbour_learn(uint16_t vlan, const struct ip_address *address, const uint8_t *mac,
	uint32_t now, bool may_add)
{
	struct bucket *bucket = bucket_of(vlan, address);
	struct entry copy, *entry;

	if (eth_address_is_group(mac) || eth_address_is_zero(mac))
		return;
	entry = find(bucket, vlan, address, &copy);
	if (entry && copy.is_known && copy.confirmed == now
		&& memcmp(copy.mac, mac, ETH_ADDRESS_SIZE) == 0)
		return;
	write_entry(bucket, vlan, address, mac, now, may_add);
}

void neighbour_clear(void)
{
	memset(buckets, 0, sizeof(buckets));
}
