/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owners: names of KMP's clients, and what they brought. An owner's number is made of its name, so
 * that SAs which outlive this process find their owner again. Two numbers belong together: one for
 * what the client knows, one for what it left behind when it began anew.
 */
#include "packet/ipsec/kmp_private.h"

#include "base/log.h"
#include "base/sha256.h"
#include "wire/network.h"

#include <stdlib.h>
#include <string.h>

#define CURRENT_BIT 0x80000000U

/* Even, and not 0: neither SA_OWNER_CONFIGURATION nor SA_OWNER_ANY. */
static uint32_t number_of(const char *name)
{
	uint8_t digest[SHA256_SIZE];
	struct sha256 hash;
	uint32_t number;

	sha256_begin(&hash);
	sha256_add(&hash, name, strlen(name));
	sha256_end(&hash, digest);
	number = network_load32(digest) & ~CURRENT_BIT & ~1U;
	return CURRENT_BIT | (number ? number : 2);
}

static uint32_t retired(uint32_t number)
{
	return number & ~CURRENT_BIT;
}

struct kmp_owner *kmp_owner_find(const struct kmp_server *server, uint32_t number)
{
	list_foreach (node, &server->owners) {
		struct kmp_owner *owner = list_entry(node, struct kmp_owner, node);

		if (owner->number == number)
			return owner;
	}
	return NULL;
}

static struct kmp_owner *create(struct kmp_server *server, const char *name, uint32_t number)
{
	struct kmp_owner *owner;

	if (server->owner_count == KMP_OWNERS_MAX)
		return NULL;
	owner = calloc(1, sizeof(*owner));
	if (!owner)
		return NULL;
	strcpy(owner->name, name);
	owner->number = number;
	owner->events.next_sequence = 1;
	list_append(&server->owners, &owner->node);
	server->owner_count++;
	return owner;
}

struct kmp_owner *kmp_owner_get(struct kmp_server *server, const char *name, bool *is_new)
{
	uint32_t number = number_of(name);
	struct kmp_owner *owner = kmp_owner_find(server, number);

	*is_new = !owner;
	if (!owner)
		return create(server, name, number);
	if (owner->name[0] && strcmp(owner->name, name) != 0)
		return NULL;
	strcpy(owner->name, name);
	return owner;
}

void kmp_owner_destroy(struct kmp_server *server, struct kmp_owner *owner)
{
	list_remove(&owner->node);
	server->owner_count--;
	free(owner);
}

void kmp_owner_flush(const struct kmp_owner *owner)
{
	sa_flush_owner(owner->number);
	sa_flush_owner(retired(owner->number));
}

void kmp_owner_retire(struct kmp_server *server, struct kmp_owner *owner, uint64_t now_ns)
{
	sa_change_owner(owner->number, retired(owner->number));
	owner->retired_until_ns = now_ns + server->settings.grace_ms * CLOCK_NS_PER_MS;
	kmp_events_clear(owner);
}

void kmp_owners_adopt(struct kmp_server *server, uint64_t now_ns)
{
	uint64_t until_ns = now_ns + server->settings.grace_ms * CLOCK_NS_PER_MS;
	uint32_t numbers[2 * KMP_OWNERS_MAX];
	size_t count = sa_owners(numbers, sizeof(numbers) / sizeof(numbers[0]));

	for (size_t i = 0; i < count; i++) {
		uint32_t number = numbers[i] | CURRENT_BIT;
		struct kmp_owner *owner = kmp_owner_find(server, number);

		if (!owner)
			owner = create(server, "", number);
		if (!owner)
			return; /* their lifetimes end them */
		owner->gone_until_ns = until_ns;
		if (numbers[i] != number)
			owner->retired_until_ns = until_ns;
	}
}

/* Nobody came back in time. */
static void expire(struct kmp_server *server, struct kmp_owner *owner)
{
	log_warning("kmp_grace_over", log_str("name", owner->name));
	server->stats.expired++;
	kmp_owner_flush(owner);
	kmp_owner_destroy(server, owner);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t kmp_owners_tick(struct kmp_server *server, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	list_foreach_safe (node, &server->owners) {
		struct kmp_owner *owner = list_entry(node, struct kmp_owner, node);

		if (!owner->session && owner->gone_until_ns <= now_ns) {
			expire(server, owner);
			continue;
		}
		if (owner->retired_until_ns && owner->retired_until_ns <= now_ns) {
			sa_flush_owner(retired(owner->number));
			owner->retired_until_ns = 0;
		}
		if (!owner->session)
			next_ns = earlier(next_ns, owner->gone_until_ns);
		if (owner->retired_until_ns)
			next_ns = earlier(next_ns, owner->retired_until_ns);
		next_ns = earlier(next_ns, kmp_events_tick(owner, now_ns));
	}
	return next_ns;
}
