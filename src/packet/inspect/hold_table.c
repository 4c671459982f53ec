/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/hold_table.h"

#include "base/clock.h"
#include "base/id.h"
#include "packet/inspect/siphash.h"

#include <errno.h>
#include <sys/mman.h>

#define WHEEL_SLOTS 1024 /* of a millisecond; later deadlines go round more than once */
#define NO_ENTRY    UINT32_MAX

struct hold_entry {
	struct rte_mbuf *packet; /* NULL: free */
	uint64_t deadline_ns;
	uint64_t tag;
	uint64_t generation;     /* uses of this index */
	uint32_t next, previous; /* in the slot's list; next alone in the free list */
	uint16_t slot;
	uint16_t owner;
};

struct hold_table {
	uint32_t limit; /* written by the control thread, read by the worker */
	uint32_t count; /* written by the worker, read by the control thread */
	uint32_t free;  /* head of the free list */
	uint32_t ever_used;
	uint32_t release_at;
	uint64_t swept_ms; /* slots up to here have been looked at */
	struct siphash_key key;
	uint32_t slots[WHEEL_SLOTS];
	uint32_t owner_counts[UINT8_MAX + 1]; /* by the low byte of the owner */
	struct hold_entry entries[];
};

struct hold_table *hold_table_create(uint32_t limit)
{
	size_t size = sizeof(struct hold_table) + HOLD_MAX * sizeof(struct hold_entry);
	struct hold_table *table;

	/* All the addresses, so that the limit can change; pages come when they are used. */
	table = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED)
		return NULL;
	hold_set_limit(table, limit);
	table->free = NO_ENTRY;
	id_random_bytes(&table->key, sizeof(table->key));
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
		table->slots[i] = NO_ENTRY;
	return table;
}

void hold_table_destroy(struct hold_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; i < table->ever_used; i++)
		rte_pktmbuf_free(table->entries[i].packet);
	munmap(table, sizeof(*table) + HOLD_MAX * sizeof(table->entries[0]));
}

void hold_set_limit(struct hold_table *table, uint32_t limit)
{
	/* Relaxed: nothing hangs on it. */
	__atomic_store_n(&table->limit, limit < HOLD_MAX ? limit : HOLD_MAX, __ATOMIC_RELAXED);
}

static void set_count(struct hold_table *table, uint16_t owner, int change)
{
	uint32_t *of_owner = &table->owner_counts[owner & UINT8_MAX];

	/* Relaxed: the control thread shows them, nothing hangs on them. */
	__atomic_store_n(&table->count, table->count + (uint32_t)change, __ATOMIC_RELAXED);
	__atomic_store_n(of_owner, *of_owner + (uint32_t)change, __ATOMIC_RELAXED);
}

static void link_entry(struct hold_table *table, uint32_t index)
{
	struct hold_entry *entry = &table->entries[index];
	uint32_t *head = &table->slots[entry->slot];

	entry->previous = NO_ENTRY;
	entry->next = *head;
	if (*head != NO_ENTRY)
		table->entries[*head].previous = index;
	*head = index;
}

static struct rte_mbuf *remove_entry(struct hold_table *table, uint32_t index)
{
	struct hold_entry *entry = &table->entries[index];
	struct rte_mbuf *packet = entry->packet;

	if (entry->previous == NO_ENTRY)
		table->slots[entry->slot] = entry->next;
	else
		table->entries[entry->previous].next = entry->next;
	if (entry->next != NO_ENTRY)
		table->entries[entry->next].previous = entry->previous;
	set_count(table, entry->owner, -1);
	entry->packet = NULL;
	entry->owner = HOLD_OWNER_NONE;
	entry->next = table->free;
	table->free = index;
	return packet;
}

int hold_insert(struct hold_table *table, struct rte_mbuf *packet, uint16_t owner,
	uint64_t deadline_ns, uint64_t *handle)
{
	uint64_t deadline_ms = deadline_ns / CLOCK_NS_PER_MS;
	uint32_t index = table->free;
	struct hold_entry *entry;

	if (table->count >= hold_limit(table))
		return -ENOBUFS;
	if (index == NO_ENTRY)
		index = table->ever_used++;
	entry = &table->entries[index];
	if (table->free != NO_ENTRY)
		table->free = entry->next;
	entry->packet = packet;
	entry->owner = owner;
	entry->deadline_ns = deadline_ns;
	entry->generation++;
	entry->tag = siphash_2(&table->key, index, entry->generation) >> (64 - HOLD_TAG_BITS);
	/* A deadline in a slot that was swept already would wait for a whole round. */
	if (deadline_ms <= table->swept_ms)
		deadline_ms = table->swept_ms + 1;
	entry->slot = (uint16_t)(deadline_ms % WHEEL_SLOTS);
	link_entry(table, index);
	set_count(table, owner, 1);
	*handle = entry->tag << HOLD_INDEX_BITS | index;
	return 0;
}

static struct hold_entry *find_masked(
	struct hold_table *table, uint64_t index, uint64_t tag, uint64_t tag_mask, uint16_t owner)
{
	struct hold_entry *entry;

	if (index >= table->ever_used)
		return NULL;
	entry = &table->entries[index];
	if (!entry->packet || entry->owner != owner || ((entry->tag ^ tag) & tag_mask))
		return NULL;
	return entry;
}

static struct rte_mbuf *take_masked(
	struct hold_table *table, uint64_t index, uint64_t tag, uint64_t tag_mask, uint16_t owner)
{
	if (!find_masked(table, index, tag, tag_mask, owner))
		return NULL;
	return remove_entry(table, (uint32_t)index);
}

struct rte_mbuf *hold_find(struct hold_table *table, uint64_t handle, uint16_t owner)
{
	struct hold_entry *entry = find_masked(table, handle & (HOLD_MAX - 1),
		handle >> HOLD_INDEX_BITS, (1ULL << HOLD_TAG_BITS) - 1, owner);

	return entry ? entry->packet : NULL;
}

struct rte_mbuf *hold_take(struct hold_table *table, uint64_t handle, uint16_t owner)
{
	return take_masked(table, handle & (HOLD_MAX - 1), handle >> HOLD_INDEX_BITS,
		(1ULL << HOLD_TAG_BITS) - 1, owner);
}

int hold_handle_shorten(
	uint64_t handle, unsigned int index_bits, unsigned int tag_bits, uint32_t *out)
{
	uint32_t index = (uint32_t)(handle & (HOLD_MAX - 1));
	uint32_t tag = (uint32_t)(handle >> HOLD_INDEX_BITS) & ((1u << tag_bits) - 1);

	if (index >> index_bits)
		return -ERANGE;
	*out = tag << index_bits | index;
	return 0;
}

struct rte_mbuf *hold_take_short(struct hold_table *table, uint32_t handle, unsigned int index_bits,
	unsigned int tag_bits, uint16_t owner)
{
	return take_masked(table, handle & ((1u << index_bits) - 1), handle >> index_bits,
		(1u << tag_bits) - 1, owner);
}

/* Takes what is due out of one slot; false when expired is full. */
static bool sweep_slot(struct hold_table *table, uint32_t slot, uint64_t now_ns,
	struct hold_expired *expired, uint16_t max, uint16_t *count)
{
	uint32_t next;

	for (uint32_t index = table->slots[slot]; index != NO_ENTRY; index = next) {
		struct hold_entry *entry = &table->entries[index];

		next = entry->next;
		if (entry->deadline_ns > now_ns)
			continue;
		if (*count == max)
			return false;
		expired[*count].owner = entry->owner;
		expired[(*count)++].packet = remove_entry(table, index);
	}
	return true;
}

uint16_t hold_expire(
	struct hold_table *table, uint64_t now_ns, struct hold_expired *expired, uint16_t max)
{
	/* The slot of the running millisecond is swept when that is over. */
	uint64_t until_ms = now_ns / CLOCK_NS_PER_MS;
	uint16_t count = 0;

	if (until_ms == 0 || table->swept_ms + 1 >= until_ms)
		return 0;
	if (table->count == 0) {
		table->swept_ms = until_ms - 1;
		return 0;
	}
	/* After a long pause each slot is looked at once. */
	if (until_ms - table->swept_ms > WHEEL_SLOTS + 1)
		table->swept_ms = until_ms - WHEEL_SLOTS - 1;
	while (table->swept_ms + 1 < until_ms) {
		if (!sweep_slot(table, (uint32_t)((table->swept_ms + 1) % WHEEL_SLOTS), now_ns,
			    expired, max, &count))
			return count;
		table->swept_ms++;
	}
	return count;
}

uint16_t hold_release(
	struct hold_table *table, uint16_t owner, struct rte_mbuf **packets, uint16_t max)
{
	uint16_t count = 0;

	for (uint32_t seen = 0; seen < table->ever_used && count < max; seen++) {
		uint32_t index = table->release_at++ % table->ever_used;

		if (table->owner_counts[owner & UINT8_MAX] == 0)
			break;
		if (table->entries[index].packet && table->entries[index].owner == owner)
			packets[count++] = remove_entry(table, index);
	}
	return count;
}

uint32_t hold_count(const struct hold_table *table)
{
	return __atomic_load_n(&table->count, __ATOMIC_RELAXED);
}

uint32_t hold_count_of(const struct hold_table *table, uint16_t owner)
{
	return __atomic_load_n(&table->owner_counts[owner & UINT8_MAX], __ATOMIC_RELAXED);
}

uint32_t hold_limit(const struct hold_table *table)
{
	return __atomic_load_n(&table->limit, __ATOMIC_RELAXED);
}
