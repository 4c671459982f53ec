/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/target_flow.h"

#include "base/id.h"
#include "base/siphash.h"
#include "wire/tcp.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SET_SIZE  4
#define SETS      2 /* that a flow may be in */
#define TRIES_MAX 4 /* to read an entry that is being written */

enum flow_state { FLOW_FREE, FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSING, FLOW_STATE_COUNT };

/* Seconds without a packet. TCP's as Linux's conntrack has them, but with RFC 5382's least for an
 * established one; UDP's of RFC 4787. */
static const uint32_t tcp_limits_s[FLOW_STATE_COUNT] = {
	[FLOW_NEW] = 60, [FLOW_ESTABLISHED] = 7440, [FLOW_CLOSING] = 60};
#define OTHER_LIMIT_S 300

#define KEY_WORDS (sizeof(struct target_flow_key) / sizeof(uint64_t))
static_assert(sizeof(struct target_flow_key) % sizeof(uint64_t) == 0, "hashed as words");

struct flow {
	uint32_t sequence; /* odd: it is being written */
	uint32_t seen_s;   /* of the last packet; any worker writes it, relaxed */
	struct target_way way;
	uint8_t state; /* enum flow_state */
	struct target_flow_key key;
} __attribute__((aligned(64)));
static_assert(sizeof(struct flow) == 64, "a cache line");

/* An entry is copied by words that are loaded and stored whole. */
typedef uint64_t __attribute__((may_alias)) word;
#define FLOW_WORDS (sizeof(struct flow) / sizeof(word))

struct target_flows {
	uint32_t mask; /* of sets */
	uint64_t secret[2];
	struct flow flows[];
};

struct target_flows *target_flows_create(uint32_t count)
{
	struct target_flows *flows;
	uint32_t sets = 1;
	size_t size;

	while (sets * SET_SIZE < count)
		sets *= 2;
	size = sizeof(*flows) + (size_t)sets * SET_SIZE * sizeof(struct flow);
	flows = aligned_alloc(_Alignof(struct flow), size);
	if (!flows)
		return NULL;
	memset(flows, 0, size);
	flows->mask = sets - 1;
	id_random_bytes(flows->secret, sizeof(flows->secret));
	return flows;
}

void target_flows_destroy(struct target_flows *flows)
{
	free(flows);
}

/* The two sets of SET_SIZE that a flow may be in: with the choice between them, a set is full only
 * when the table nearly is. Keyed: nobody outside can fill one. */
static void find_sets(
	struct target_flows *flows, const struct target_flow_key *key, struct flow *sets[SETS])
{
	uint64_t v[4], words[KEY_WORDS], hash;

	memcpy(words, key, sizeof(words));
	siphash_set(v, flows->secret);
	for (size_t i = 0; i < KEY_WORDS; i++)
		siphash_compress(v, words[i]);
	siphash_rounds(v, 4);
	hash = v[0] ^ v[1] ^ v[2] ^ v[3];
	sets[0] = &flows->flows[(hash & flows->mask) * SET_SIZE];
	sets[1] = &flows->flows[(hash >> 32 & flows->mask) * SET_SIZE];
}

static bool is_over(const struct flow *flow, uint32_t now_s)
{
	uint32_t limit_s =
		flow->key.protocol == IPPROTO_TCP ? tcp_limits_s[flow->state] : OTHER_LIMIT_S;

	/* Relaxed: a worker that answers may have seen it later than we. */
	return flow->state == FLOW_FREE
		|| (int32_t)(now_s - __atomic_load_n(&flow->seen_s, __ATOMIC_RELAXED))
		> (int32_t)limit_s;
}

/* ---- the owner ---- */

static uint8_t next_state(uint8_t state, uint8_t protocol, uint8_t tcp_flags)
{
	if (protocol != IPPROTO_TCP)
		return FLOW_ESTABLISHED;
	if (tcp_flags & (TCP_FIN | TCP_RST))
		return FLOW_CLOSING;
	if (tcp_flags & TCP_SYN)
		return FLOW_NEW;
	return state == FLOW_CLOSING ? FLOW_CLOSING : FLOW_ESTABLISHED;
}

static void write_flow(struct flow *flow, const struct target_flow_key *key, struct target_way way,
	uint8_t state, uint32_t now_s)
{
	uint32_t sequence = flow->sequence + 1;
	const struct flow written = {
		.sequence = sequence, .seen_s = now_s, .way = way, .state = state, .key = *key};

	/* Relaxed, with the fence: pairs with read_flow(). */
	__atomic_store_n(&flow->sequence, sequence, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < FLOW_WORDS; i++)
		__atomic_store_n((word *)flow + i, ((const word *)&written)[i], __ATOMIC_RELAXED);
	__atomic_store_n(&flow->sequence, sequence + 1, __ATOMIC_RELEASE);
}

static bool is_same(const struct flow *flow, const struct target_flow_key *key)
{
	return flow->state != FLOW_FREE && memcmp(&flow->key, key, sizeof(*key)) == 0;
}

static struct flow *find_same(struct flow *const sets[SETS], const struct target_flow_key *key)
{
	for (int i = 0; i < SETS * SET_SIZE; i++)
		if (is_same(&sets[i / SET_SIZE][i % SET_SIZE], key))
			return &sets[i / SET_SIZE][i % SET_SIZE];
	return NULL;
}

/* One that is free or over time, in the set that has more of these; NULL: there is none. */
static struct flow *find_free(struct flow *const sets[SETS], uint32_t now_s)
{
	struct flow *chosen = NULL;
	int most = 0;

	for (int set = 0; set < SETS; set++) {
		struct flow *free_one = NULL;
		int count = 0;

		for (int i = 0; i < SET_SIZE; i++)
			if (is_over(&sets[set][i], now_s)) {
				free_one = &sets[set][i];
				count++;
			}
		if (count > most) {
			most = count;
			chosen = free_one;
		}
	}
	return chosen;
}

/* The half open or closing one that is idle for longest; NULL: all are established. */
static struct flow *find_weak(struct flow *const sets[SETS], uint32_t now_s)
{
	struct flow *chosen = NULL;
	int32_t most_s = 0;

	for (int i = 0; i < SETS * SET_SIZE; i++) {
		struct flow *flow = &sets[i / SET_SIZE][i % SET_SIZE];
		/* As in is_over(). */
		int32_t idle_s =
			(int32_t)(now_s - __atomic_load_n(&flow->seen_s, __ATOMIC_RELAXED));

		if (flow->state != FLOW_ESTABLISHED && (!chosen || idle_s > most_s)) {
			chosen = flow;
			most_s = idle_s;
		}
	}
	return chosen;
}

static struct flow *choose(
	struct target_flows *flows, const struct target_flow_key *key, uint32_t now_s)
{
	struct flow *sets[SETS], *flow;

	find_sets(flows, key, sets);
	flow = find_same(sets, key);
	if (!flow)
		flow = find_free(sets, now_s);
	return flow ? flow : find_weak(sets, now_s);
}

bool target_flow_learn(struct target_flows *flows, const struct target_flow_key *key,
	struct target_way way, uint8_t tcp_flags, uint32_t now_s)
{
	struct flow *flow = choose(flows, key, now_s);
	bool is_known = flow && is_same(flow, key);
	uint8_t state = next_state(is_known ? flow->state : FLOW_FREE, key->protocol, tcp_flags);

	if (!flow)
		return false;
	if (is_known && flow->state == state && flow->way.kind == way.kind
		&& flow->way.peer == way.peer) {
		/* Written when it is news only, so that readers keep their lines. */
		if (__atomic_load_n(&flow->seen_s, __ATOMIC_RELAXED) != now_s)
			__atomic_store_n(&flow->seen_s, now_s, __ATOMIC_RELAXED);
		return true;
	}
	write_flow(flow, key, way, state, now_s);
	return true;
}

/* ---- readers ---- */

/* A copy that nobody wrote meanwhile. */
static bool read_flow(const struct flow *flow, struct flow *out)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		/* Acquire, and the fence: pairs with write_flow(). */
		uint32_t sequence = __atomic_load_n(&flow->sequence, __ATOMIC_ACQUIRE);

		if (sequence & 1)
			continue;
		for (size_t word_at = 0; word_at < FLOW_WORDS; word_at++)
			((word *)out)[word_at] =
				__atomic_load_n((const word *)flow + word_at, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&flow->sequence, __ATOMIC_RELAXED) == sequence)
			return true;
	}
	return false;
}

/* NULL: it is not in there. */
static struct flow *find(struct target_flows *flows, const struct target_flow_key *key,
	uint32_t now_s, struct flow *copy)
{
	struct flow *sets[SETS];

	find_sets(flows, key, sets);
	for (int i = 0; i < SETS * SET_SIZE; i++) {
		struct flow *flow = &sets[i / SET_SIZE][i % SET_SIZE];

		if (read_flow(flow, copy) && is_same(copy, key) && !is_over(copy, now_s))
			return flow;
	}
	return NULL;
}

struct target_way target_flow_find(struct target_flows *const *tables, uint16_t count,
	const struct target_flow_key *key, uint32_t now_s)
{
	struct target_way way = {.kind = TARGET_WAY_UNKNOWN};
	struct flow *flow, *newest = NULL, copy;
	uint32_t seen_s = 0;

	for (uint16_t i = 0; i < count; i++) {
		flow = find(tables[i], key, now_s, &copy);
		if (!flow || (newest && (int32_t)(copy.seen_s - seen_s) <= 0))
			continue;
		newest = flow;
		seen_s = copy.seen_s;
		way = copy.way;
	}
	if (newest && seen_s != now_s)
		__atomic_store_n(&newest->seen_s, now_s, __ATOMIC_RELAXED);
	return way;
}

uint32_t target_flows_count(struct target_flows *flows, uint32_t now_s)
{
	uint32_t count = 0;
	struct flow copy;

	for (size_t i = 0; i < ((size_t)flows->mask + 1) * SET_SIZE; i++)
		count += read_flow(&flows->flows[i], &copy) && !is_over(&copy, now_s);
	return count;
}
