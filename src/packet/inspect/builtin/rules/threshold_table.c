/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/threshold_table.h"

#include "base/clock.h"
#include "base/id.h"
#include "packet/inspect/siphash.h"

#include <assert.h>
#include <rte_atomic.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 16384 /* a power of two */
#define WAYS    4     /* a bucket is a cache line */

/* Of an entry's state: when it began in milliseconds, modulo two years, and matches since. */
#define COUNT_BITS 28
#define TIME_MASK  (((uint64_t)1 << (64 - COUNT_BITS)) - 1)
#define COUNT_MAX  (((uint64_t)1 << COUNT_BITS) - 1)
/* A rate_filter that acts, since the time of the state. */
#define ACTING COUNT_MAX

static_assert(RULE_THRESHOLD_COUNT_MAX < COUNT_MAX, "counts that rules may ask for fit");

/* The tag stands for rule and addresses: a keyed hash, so that nobody can make two the same, or
 * choose addresses that push a count out. 0: free. Both words change as one; any worker writes. */
struct threshold_entry {
	uint64_t tag, state;
};

struct threshold_table {
	struct threshold_entry entries[BUCKETS][WAYS] __rte_cache_aligned;
	struct siphash_key key;
	uint64_t evicted; /* added to by any worker, read relaxed */
};

struct threshold_table *threshold_table_create(void)
{
	struct threshold_table *table = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*table), RTE_CACHE_LINE_SIZE));

	if (!table)
		return NULL;
	memset(table, 0, sizeof(*table));
	table->key = (struct siphash_key){{id_random_u64(), id_random_u64()}};
	return table;
}

void threshold_table_destroy(struct threshold_table *table)
{
	free(table);
}

uint64_t threshold_table_evicted(const struct threshold_table *table)
{
	return __atomic_load_n(&table->evicted, __ATOMIC_RELAXED);
}

/* ---- entries ---- */

/* Relaxed, here and below: the entry is all there is to it, nothing else is published by it. */
static struct threshold_entry load(const struct threshold_entry *entry)
{
	/* The words may be of two moments; an exchange for them fails then. */
	return (struct threshold_entry){__atomic_load_n(&entry->tag, __ATOMIC_RELAXED),
		__atomic_load_n(&entry->state, __ATOMIC_RELAXED)};
}

static bool exchange(struct threshold_entry *entry, const struct threshold_entry *from,
	const struct threshold_entry *to)
{
	rte_int128_t expected = {.val = {from->tag, from->state}};
	const rte_int128_t wanted = {.val = {to->tag, to->state}};

	return rte_atomic128_cmp_exchange((rte_int128_t *)(void *)entry, &expected, &wanted, 0,
		__ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* The entry of the tag, or the one that it may have: a free one, or that of the oldest count.
 * *seen is what was in it. */
static struct threshold_entry *find(
	struct threshold_entry *bucket, uint64_t tag, struct threshold_entry *seen)
{
	struct threshold_entry *oldest = NULL;

	for (size_t way = 0; way < WAYS; way++) {
		struct threshold_entry entry = load(&bucket[way]);

		if (entry.tag == tag) {
			*seen = entry;
			return &bucket[way];
		}
		if (oldest && (seen->tag == 0 || (entry.tag != 0 && entry.state >= seen->state)))
			continue;
		oldest = &bucket[way];
		*seen = entry;
	}
	return oldest;
}

/* ---- counting: as Suricata's threshold handling does, type by type ---- */

struct count {
	uint64_t started_ms, count;
};

static enum threshold_verdict judge(const struct rule_threshold *threshold, struct count *count)
{
	switch (threshold->type) {
	case RULE_THRESHOLD_NONE:
		return THRESHOLD_TELL;
	case RULE_THRESHOLD_LIMIT:
		return count->count <= threshold->count ? THRESHOLD_TELL : THRESHOLD_SILENT;
	case RULE_THRESHOLD_THRESHOLD:
		if (count->count < threshold->count)
			return THRESHOLD_NOTHING;
		count->count = 0;
		return THRESHOLD_TELL;
	case RULE_THRESHOLD_BOTH:
		return count->count == threshold->count   ? THRESHOLD_TELL
			: count->count > threshold->count ? THRESHOLD_SILENT
							  : THRESHOLD_NOTHING;
	case RULE_THRESHOLD_DETECTION:
		return count->count > threshold->count ? THRESHOLD_TELL : THRESHOLD_NOTHING;
	case RULE_THRESHOLD_RATE:
		if (count->count <= threshold->count)
			return THRESHOLD_TELL;
		count->count = ACTING;
		return THRESHOLD_CHANGED;
	}
	return THRESHOLD_TELL;
}

/* One more match at now_ms. */
static enum threshold_verdict advance(
	const struct rule_threshold *threshold, struct count *count, uint64_t now_ms)
{
	uint64_t elapsed_ms = (now_ms - count->started_ms) & TIME_MASK;
	bool is_acting = threshold->type == RULE_THRESHOLD_RATE && count->count == ACTING;
	uint64_t seconds = is_acting ? threshold->timeout_seconds : threshold->seconds;

	/* Another worker's clock was read a moment later. */
	if (elapsed_ms > TIME_MASK / 2)
		elapsed_ms = 0;
	if (is_acting && elapsed_ms <= seconds * 1000)
		return THRESHOLD_CHANGED;
	if (is_acting || elapsed_ms > seconds * 1000)
		*count = (struct count){now_ms, 0};
	if (count->count < ACTING - 1)
		count->count++;
	if (threshold->type == RULE_THRESHOLD_RATE && count->count > threshold->count)
		count->started_ms = now_ms;
	return judge(threshold, count);
}

static uint64_t make_tag(const struct threshold_table *table, const struct rule *rule,
	const struct rule_threshold *threshold, const struct packet_view *view)
{
	interval_number first = view->source, second = view->destination;
	uint64_t words[6] = {rule->info.index, threshold == &rule->rate};

	/* The pair is the same one in both directions, as Suricata's. */
	if (threshold->track == RULE_TRACK_BOTH && first > second) {
		first = view->destination;
		second = view->source;
	}
	if (threshold->track == RULE_TRACK_SOURCE || threshold->track == RULE_TRACK_BOTH) {
		words[2] = (uint64_t)first;
		words[3] = (uint64_t)(first >> 64);
	}
	if (threshold->track == RULE_TRACK_DESTINATION || threshold->track == RULE_TRACK_BOTH) {
		words[4] = (uint64_t)second;
		words[5] = (uint64_t)(second >> 64);
	}
	return siphash_words(&table->key, words, 6) | 1; /* never that of a free one */
}

enum threshold_verdict threshold_table_count(struct threshold_table *table, const struct rule *rule,
	const struct rule_threshold *threshold, const struct packet_view *view)
{
	uint64_t tag = make_tag(table, rule, threshold, view);
	uint64_t now_ms = view->context->now_ns / CLOCK_NS_PER_MS & TIME_MASK;
	struct threshold_entry *bucket = table->entries[tag >> 1 & (BUCKETS - 1)];

	/* Where another worker was quicker its change is there to be built upon. */
	for (;;) {
		struct threshold_entry seen, wanted = {.tag = tag};
		struct threshold_entry *entry = find(bucket, tag, &seen);
		struct count count = {now_ms, 0};
		enum threshold_verdict verdict;

		if (seen.tag == tag)
			count = (struct count){seen.state >> COUNT_BITS, seen.state & COUNT_MAX};
		verdict = advance(threshold, &count, now_ms);
		wanted.state = count.started_ms << COUNT_BITS | count.count;
		if (!exchange(entry, &seen, &wanted))
			continue;
		if (seen.tag != tag && seen.tag != 0)
			__atomic_add_fetch(&table->evicted, 1, __ATOMIC_RELAXED);
		return verdict;
	}
}
