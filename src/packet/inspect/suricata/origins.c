/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/suricata/origins.h"

#include <string.h>

static_assert(sizeof(struct origin) == sizeof(uint64_t), "is stored as one word");

static void make_key(const uint8_t macs[12], uint16_t vlan, uint64_t key[2])
{
	key[1] = (uint64_t)vlan << 32;
	memcpy(&key[0], macs, 8);
	memcpy(&key[1], macs + 8, 4);
}

static uint32_t place_of(const uint64_t key[2])
{
	/* Multiplicative hashing (Knuth); who makes others collide makes them forgotten. */
	uint64_t mixed = (key[0] ^ key[1] * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

	return (uint32_t)(mixed >> 40) % ORIGINS_SIZE;
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

void origins_note(
	struct origins *origins, const uint8_t macs[12], uint16_t vlan, const struct origin *origin)
{
	uint64_t key[2], words[3];

	make_key(macs, vlan, key);
	words[0] = key[0];
	words[1] = key[1];
	memcpy(&words[2], origin, sizeof(words[2]));
	__auto_type entry = &origins->entries[place_of(key)];
	if (load(&entry->words[0]) == words[0] && load(&entry->words[1]) == words[1]
		&& load(&entry->words[2]) == words[2])
		return;
	__atomic_store_n(&entry->sequence, entry->sequence + 1, __ATOMIC_RELAXED);
	/* Pairs with the acquire fence in origins_find(): odd is seen before the words change. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (int i = 0; i < 3; i++)
		__atomic_store_n(&entry->words[i], words[i], __ATOMIC_RELAXED);
	/* Release: pairs with the first load in origins_find(). */
	__atomic_store_n(&entry->sequence, entry->sequence + 1, __ATOMIC_RELEASE);
}

bool origins_find(
	struct origins *origins, const uint8_t macs[12], uint16_t vlan, struct origin *out)
{
	uint64_t key[2], words[3], sequence;

	make_key(macs, vlan, key);
	__auto_type entry = &origins->entries[place_of(key)];
	sequence = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
	for (int i = 0; i < 3; i++)
		words[i] = load(&entry->words[i]);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (sequence == 0 || sequence & 1 || load(&entry->sequence) != sequence
		|| words[0] != key[0] || words[1] != key[1])
		return false;
	memcpy(out, &words[2], sizeof(*out));
	return true;
}
