/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/threshold_table.h"

#include "base/clock.h"
#include "base/id.h"
#include "packet/inspect/siphash.h"

#include <stdlib.h>

#define BUCKETS   4096 /* a power of two */
#define WAYS      4
#define RULE_NONE UINT32_MAX

struct threshold_entry {
	interval_number first, second; /* the addresses that are tracked */
	uint64_t started_ns;
	uint32_t rule; /* RULE_NONE: free */
	uint32_t count;
};

struct threshold_table {
	struct siphash_key key; /* so that nobody can push a count out by chosen addresses */
	struct threshold_entry entries[BUCKETS][WAYS];
};

struct threshold_table *threshold_table_create(void)
{
	struct threshold_table *table = calloc(1, sizeof(*table));

	if (table)
		table->key = (struct siphash_key){{id_random_u64(), id_random_u64()}};
	for (size_t i = 0; table && i < BUCKETS; i++)
		for (size_t way = 0; way < WAYS; way++)
			table->entries[i][way].rule = RULE_NONE;
	return table;
}

void threshold_table_destroy(struct threshold_table *table)
{
	free(table);
}

static size_t bucket_of(const struct threshold_table *table, uint32_t rule, interval_number first,
	interval_number second)
{
	const uint64_t words[] = {rule, (uint64_t)first, (uint64_t)(first >> 64), (uint64_t)second,
		(uint64_t)(second >> 64)};

	return siphash_words(&table->key, words, 5) & (BUCKETS - 1);
}

/* *is_new: it has just been begun. */
static struct threshold_entry *find_or_begin(struct threshold_table *table, uint32_t rule,
	interval_number first, interval_number second, uint64_t now_ns, bool *is_new)
{
	struct threshold_entry *entries = table->entries[bucket_of(table, rule, first, second)];
	struct threshold_entry *victim = &entries[0];

	*is_new = false;
	for (size_t way = 0; way < WAYS; way++) {
		struct threshold_entry *entry = &entries[way];

		if (entry->rule == rule && entry->first == first && entry->second == second)
			return entry;
		if (victim->rule != RULE_NONE
			&& (entry->rule == RULE_NONE || entry->started_ns < victim->started_ns))
			victim = entry;
	}
	*victim = (struct threshold_entry){
		.first = first, .second = second, .started_ns = now_ns, .rule = rule};
	*is_new = true;
	return victim;
}

/* As Suricata's threshold handling does, type by type. */
static enum threshold_verdict judge(
	const struct rule_threshold *threshold, struct threshold_entry *entry)
{
	uint32_t count = entry->count;

	switch (threshold->type) {
	case RULE_THRESHOLD_NONE:
		return THRESHOLD_TELL;
	case RULE_THRESHOLD_LIMIT:
		return count <= threshold->count ? THRESHOLD_TELL : THRESHOLD_SILENT;
	case RULE_THRESHOLD_THRESHOLD:
		if (count < threshold->count)
			return THRESHOLD_NOTHING;
		entry->count = 0;
		return THRESHOLD_TELL;
	case RULE_THRESHOLD_BOTH:
		return count == threshold->count   ? THRESHOLD_TELL
			: count > threshold->count ? THRESHOLD_SILENT
						   : THRESHOLD_NOTHING;
	case RULE_THRESHOLD_DETECTION:
		return count > threshold->count ? THRESHOLD_TELL : THRESHOLD_NOTHING;
	}
	return THRESHOLD_TELL;
}

enum threshold_verdict threshold_table_count(
	struct threshold_table *table, const struct rule *rule, const struct packet_view *view)
{
	const struct rule_threshold *threshold = &rule->threshold;
	uint64_t now_ns = view->context->now_ns;
	interval_number first = 0, second = 0;
	struct threshold_entry *entry;
	bool is_new;

	if (threshold->track == RULE_TRACK_SOURCE || threshold->track == RULE_TRACK_BOTH)
		first = view->source;
	if (threshold->track == RULE_TRACK_DESTINATION || threshold->track == RULE_TRACK_BOTH)
		second = view->destination;
	entry = find_or_begin(table, rule->info.index, first, second, now_ns, &is_new);
	if (!is_new && now_ns - entry->started_ns >= threshold->seconds * CLOCK_NS_PER_S) {
		entry->started_ns = now_ns;
		entry->count = 0;
	}
	entry->count++;
	return judge(threshold, entry);
}
