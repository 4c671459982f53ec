/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/connection_table.h"

#include "base/siphash.h"
#include "wire/tcp.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define REFRESH_TICKS 10 /* the lists are in order to this: a packet mostly writes one line */

#define HUGE_PAGE (2u << 20)

/* RFC 9260 section 3.2 */
enum sctp_chunk {
	SCTP_INIT = 1,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_COOKIE_ECHO = 10,
	SCTP_SHUTDOWN_COMPLETE = 14,
};

/* ---- memory ---- */

static uint32_t count_heads(uint32_t capacity)
{
	uint32_t heads = 1;

	while (heads < capacity)
		heads *= 2;
	return heads;
}

/* In huge pages where the kernel gives them: who finds a connection of many would else wait for
 * page tables as long as for the connection. Not cleared: what was never written takes no memory.
 */
static void *take_memory(size_t size)
{
	size_t aligned = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	void *memory = aligned_alloc(HUGE_PAGE, aligned);

	if (memory)
		(void)madvise(memory, aligned, MADV_HUGEPAGE);
	return memory;
}

static void empty_list(struct connection_list *list)
{
	list->oldest = list->newest = CONNECTION_NONE;
}

struct connection_table *connection_table_create(uint32_t capacity)
{
	struct connection_table *table = calloc(1, sizeof(*table));
	uint32_t heads = count_heads(capacity);

	if (!table)
		return NULL;
	table->capacity = capacity;
	table->mask = heads - 1;
	table->heads = take_memory(heads * sizeof(*table->heads));
	table->entries = take_memory(capacity * sizeof(*table->entries));
	if (!table->heads || !table->entries
		|| getrandom(table->key, sizeof(table->key), 0) != sizeof(table->key)) {
		connection_table_destroy(table);
		return NULL;
	}
	connection_table_clear(table);
	connection_table_divide(table, 1);
	return table;
}

void connection_table_clear(struct connection_table *table)
{
	/* Those that were never used are zero, and not there yet. */
	memset(table->entries, 0, table->fresh * sizeof(*table->entries));
	table->count = table->shared_used = table->fresh = 0;
	table->free = CONNECTION_NONE;
	memset(table->heads, 0xff, ((size_t)table->mask + 1) * sizeof(*table->heads));
	memset(table->targets, 0, sizeof(table->targets));
	for (int i = 0; i < CONNECTION_STATE_COUNT; i++)
		empty_list(&table->lists[i]);
	for (int i = 0; i < VIPAS_MAX; i++) {
		table->shares[i] = (struct connection_share){.count = 0};
		empty_list(&table->shares[i].embryonic);
	}
}

void connection_table_destroy(struct connection_table *table)
{
	if (!table)
		return;
	free(table->heads);
	free(table->entries);
	free(table);
}

static uint32_t beyond_reserve(const struct connection_table *table, uint16_t vipa)
{
	uint32_t count = table->shares[vipa].count;

	return count > table->reserve ? count - table->reserve : 0;
}

void connection_table_divide(struct connection_table *table, uint32_t vipa_count)
{
	table->reserve = table->capacity / 2 / (vipa_count ? vipa_count : 1);
	table->shared_max = table->capacity - table->reserve * (vipa_count ? vipa_count : 1);
	table->shared_used = 0;
	for (uint16_t i = 0; i < VIPAS_MAX; i++)
		table->shared_used += beyond_reserve(table, i);
}

/* ---- lists ---- */

static struct connection_list *list_of(
	struct connection_table *table, const struct connection *connection)
{
	return connection->state == CONNECTION_EMBRYONIC
		? &table->shares[connection->key.vipa].embryonic
		: &table->lists[connection->state];
}

static void append(struct connection_table *table, struct connection *connection)
{
	struct connection_list *list = list_of(table, connection);
	uint32_t index = (uint32_t)(connection - table->entries);

	connection->older = list->newest;
	connection->newer = CONNECTION_NONE;
	if (list->newest == CONNECTION_NONE)
		list->oldest = index;
	else
		table->entries[list->newest].newer = index;
	list->newest = index;
	table->shares[connection->key.vipa].embryonic_count +=
		connection->state == CONNECTION_EMBRYONIC;
}

static void unlink_entry(struct connection_table *table, struct connection *connection)
{
	struct connection_list *list = list_of(table, connection);

	if (connection->older == CONNECTION_NONE)
		list->oldest = connection->newer;
	else
		table->entries[connection->older].newer = connection->newer;
	if (connection->newer == CONNECTION_NONE)
		list->newest = connection->older;
	else
		table->entries[connection->newer].older = connection->older;
	table->shares[connection->key.vipa].embryonic_count -=
		connection->state == CONNECTION_EMBRYONIC;
}

/* ---- look-up ---- */

static uint32_t *head_of(struct connection_table *table, const struct connection_key *key)
{
	uint64_t v[4], words[3];

	memcpy(words, key, sizeof(words));
	siphash_set(v, table->key);
	for (int i = 0; i < 3; i++) {
		v[3] ^= words[i];
		siphash_rounds(v, 1);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	siphash_rounds(v, 3);
	return &table->heads[(v[0] ^ v[1] ^ v[2] ^ v[3]) & table->mask];
}

struct connection *connection_find(struct connection_table *table, const struct connection_key *key)
{
	uint32_t index = *head_of(table, key);

	while (index != CONNECTION_NONE) {
		struct connection *connection = &table->entries[index];

		if (memcmp(&connection->key, key, sizeof(*key)) == 0)
			return connection;
		index = connection->chain;
	}
	return NULL;
}

/* ---- who gets in ---- */

static void count_target(struct connection_table *table, uint16_t target, uint32_t by)
{
	/* Relaxed: other workers compare it; partner is schedule_pick(). */
	__atomic_store_n(&table->targets[target], table->targets[target] + by, __ATOMIC_RELAXED);
}

/* The VIPA that has most connections which are not established, beyond its reserve. */
static uint16_t find_greediest(const struct connection_table *table)
{
	uint16_t found = VIPA_NONE;
	uint32_t most = 0;

	for (uint16_t i = 0; i < VIPAS_MAX; i++) {
		const struct connection_share *share = &table->shares[i];

		if (share->count > table->reserve && share->embryonic_count > most) {
			most = share->embryonic_count;
			found = i;
		}
	}
	return found;
}

static bool make_room(struct connection_table *table, uint16_t vipa)
{
	uint32_t oldest;

	if (table->shares[vipa].count < table->reserve || table->shared_used < table->shared_max)
		return table->count < table->capacity;
	if (table->shares[vipa].embryonic_count == 0)
		vipa = find_greediest(table);
	if (vipa == VIPA_NONE)
		return false;
	oldest = table->shares[vipa].embryonic.oldest;
	connection_remove(table, &table->entries[oldest]);
	return true;
}

static struct connection *take_free(struct connection_table *table)
{
	uint32_t index = table->free;

	if (index == CONNECTION_NONE)
		return &table->entries[table->fresh++];
	table->free = table->entries[index].chain;
	return &table->entries[index];
}

struct connection *connection_add(struct connection_table *table, const struct connection_key *key,
	enum connection_state state, uint16_t target, uint8_t target_generation, uint32_t now)
{
	struct connection *connection;
	uint32_t *head;

	if (!make_room(table, key->vipa))
		return NULL;
	connection = take_free(table);
	head = head_of(table, key);
	*connection = (struct connection){.key = *key,
		.chain = *head,
		.seen = now,
		.target = target,
		.target_generation = target_generation,
		.state = (uint8_t)state,
		.flags = CONNECTION_IS_USED};
	*head = (uint32_t)(connection - table->entries);
	table->count++;
	table->shared_used += table->shares[key->vipa].count >= table->reserve;
	table->shares[key->vipa].count++;
	count_target(table, target, 1);
	append(table, connection);
	return connection;
}

void connection_remove(struct connection_table *table, struct connection *connection)
{
	uint32_t index = (uint32_t)(connection - table->entries);
	uint32_t *at = head_of(table, &connection->key);

	while (*at != index)
		at = &table->entries[*at].chain;
	*at = connection->chain;
	unlink_entry(table, connection);
	table->count--;
	table->shares[connection->key.vipa].count--;
	table->shared_used -= table->shares[connection->key.vipa].count >= table->reserve;
	count_target(table, connection->target, UINT32_MAX);
	connection->flags = 0;
	connection->chain = table->free;
	table->free = index;
}

void connection_touch(struct connection_table *table, struct connection *connection,
	enum connection_state state, uint32_t now)
{
	if (state == connection->state && now - connection->seen < REFRESH_TICKS)
		return;
	unlink_entry(table, connection);
	connection->state = (uint8_t)state;
	connection->seen = now;
	append(table, connection);
}

/* ---- time ---- */

static uint32_t expire_list(struct connection_table *table, struct connection_list *list,
	enum connection_state state, uint32_t now, uint32_t max)
{
	/* Relaxed: the control thread may set another one at any time. */
	uint32_t timeout = __atomic_load_n(&table->timeouts[state], __ATOMIC_RELAXED);
	uint32_t done = 0;

	while (done < max && list->oldest != CONNECTION_NONE
		&& now - table->entries[list->oldest].seen >= timeout) {
		connection_remove(table, &table->entries[list->oldest]);
		done++;
	}
	return done;
}

uint32_t connection_expire(struct connection_table *table, uint32_t now, uint32_t max)
{
	uint32_t done = 0;

	for (int state = CONNECTION_ESTABLISHED; state < CONNECTION_STATE_COUNT; state++)
		done += expire_list(
			table, &table->lists[state], (enum connection_state)state, now, max - done);
	for (int i = 0; i < VIPAS_MAX && done < max; i++)
		done += expire_list(
			table, &table->shares[i].embryonic, CONNECTION_EMBRYONIC, now, max - done);
	return done;
}

/* Whether a packet that is not the one to begin with shows that there is a client. The first one
 * shows nothing, whatever it is: its sender may have made up all of it, and targets answer it. */
static bool is_proof(const struct connection *connection, bool is_from_client)
{
	return is_from_client && connection->packets > 0;
}

static enum connection_state next_tcp(
	struct connection *connection, uint8_t flags, bool is_from_client)
{
	if (flags & TCP_FIN)
		connection->flags |=
			is_from_client ? CONNECTION_CLIENT_DONE : CONNECTION_TARGET_DONE;
	/* Until then it may be evicted, even when it seems to be closed. */
	if (connection->state == CONNECTION_EMBRYONIC
		&& !((flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK
			&& is_proof(connection, is_from_client)))
		return CONNECTION_EMBRYONIC;
	if (flags & TCP_RST)
		return CONNECTION_CLOSING;
	/* The same ports again: only what is closed may begin anew. */
	if (flags & TCP_SYN && is_from_client && connection->state == CONNECTION_CLOSING) {
		connection->flags &= (uint8_t) ~(CONNECTION_CLIENT_DONE | CONNECTION_TARGET_DONE);
		return CONNECTION_EMBRYONIC;
	}
	/* Of a connection in clear the target's end is not seen. */
	if (connection->flags & CONNECTION_CLIENT_DONE
		&& (connection->flags & CONNECTION_TARGET_DONE
			|| !(connection->flags & CONNECTION_IS_SECURE)))
		return CONNECTION_CLOSING;
	return connection->state == CONNECTION_EMBRYONIC ? CONNECTION_ESTABLISHED
							 : connection->state;
}

static enum connection_state next_sctp(
	struct connection *connection, uint8_t chunk, bool is_from_client)
{
	if (connection->state == CONNECTION_EMBRYONIC
		&& (chunk == SCTP_INIT || chunk == SCTP_ABORT
			|| !is_proof(connection, is_from_client)))
		return CONNECTION_EMBRYONIC;
	switch (chunk) {
	case SCTP_INIT:
		return connection->state == CONNECTION_CLOSING ? CONNECTION_EMBRYONIC
							       : connection->state;
	case SCTP_ABORT:
	case SCTP_SHUTDOWN:
	case SCTP_SHUTDOWN_COMPLETE:
		return CONNECTION_CLOSING;
	case SCTP_COOKIE_ECHO:
		return is_from_client ? CONNECTION_ESTABLISHED : connection->state;
	default:
		return connection->state == CONNECTION_EMBRYONIC ? CONNECTION_ESTABLISHED
								 : connection->state;
	}
}

enum connection_state connection_next_state(
	struct connection *connection, uint8_t flags, bool is_from_client)
{
	if (connection->key.protocol == IPPROTO_TCP)
		return next_tcp(connection, flags, is_from_client);
	if (connection->key.protocol == IPPROTO_SCTP)
		return next_sctp(connection, flags, is_from_client);
	return is_proof(connection, is_from_client) ? CONNECTION_DATAGRAM : connection->state;
}
