/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/prefilter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The rules of pattern i are rules[first[i]] to rules[first[i + 1]], end excluded. */
struct prefilter {
	hs_database_t *database; /* NULL: no patterns */
	size_t pattern_count, always_count, size;
	uint32_t *first, *rules, *always;
	struct pattern_key key; /* of the patterns */
};

/* While it is built: one for each rule that has a pattern. */
struct entry {
	const uint8_t *bytes;
	size_t size;
	bool is_nocase;
	uint32_t rule;
};

/* The one that is asked for, or the longest, from item `first` on. */
static const struct rule_item *choose_item(const struct rule *rule, size_t first)
{
	const struct rule_item *best = NULL;

	for (size_t i = first; i < rule->item_count; i++) {
		const struct rule_item *item = &rule->items[i];

		if (item->type != RULE_CONTENT || item->is_negated)
			continue;
		if (item->content.is_fast_pattern)
			return item;
		if (!best || item->content.size > best->content.size)
			best = item;
	}
	return best;
}

/* A body comes last, in pieces: a rule that looks into one is looked at when a piece has it. */
static const struct rule_item *find_item(const struct rule *rule)
{
	bool in_body = rule->part_count > 0 && rule->app_stage == APP_STAGE_BODY;

	return choose_item(rule, in_body ? rule->parts[rule->part_count - 1].first : 0);
}

uint8_t prefilter_use(const struct rule *rule)
{
	const struct rule_item *item = find_item(rule);

	return item ? item->use : 0;
}

const struct rule_content *prefilter_content(
	const struct rule *rule, const uint8_t **bytes, size_t *size)
{
	const struct rule_item *item = find_item(rule);
	const struct rule_content *best = item ? &item->content : NULL;

	if (!best)
		return NULL;
	*bytes = best->is_nocase ? best->folded : best->bytes;
	*bytes += best->chop_size ? best->chop_offset : 0;
	*size = best->chop_size ? best->chop_size : best->size;
	if (*size > PREFILTER_PATTERN_MAX)
		*size = PREFILTER_PATTERN_MAX;
	return best;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order;

	if (a->is_nocase != b->is_nocase)
		return a->is_nocase ? 1 : -1;
	order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
	if (order == 0 && a->size != b->size)
		order = a->size < b->size ? -1 : 1;
	return order != 0 ? order : a->rule < b->rule ? -1 : a->rule > b->rule;
}

static bool has_same_pattern(const struct entry *a, const struct entry *b)
{
	return a->is_nocase == b->is_nocase && a->size == b->size
		&& memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* Rules into entries, and those without a pattern apart. */
static size_t collect(
	struct prefilter *prefilter, struct rule *const *rules, size_t count, struct entry *entries)
{
	size_t entry_count = 0;

	for (size_t i = 0; i < count; i++) {
		struct entry entry = {.rule = rules[i]->info.index};
		const struct rule_content *content =
			prefilter_content(rules[i], &entry.bytes, &entry.size);

		if (!content) {
			prefilter->always[prefilter->always_count++] = entry.rule;
			continue;
		}
		entry.is_nocase = content->is_nocase;
		entries[entry_count++] = entry;
	}
	qsort(entries, entry_count, sizeof(*entries), compare_entries);
	return entry_count;
}

static int compile(struct prefilter *prefilter, const char *const *patterns,
	const unsigned int *flags, const unsigned int *ids, const size_t *sizes,
	struct prefilter_build *build, struct error *error)
{
	hs_compile_error_t *failure = NULL;
	hs_error_t result;
	int code = 0;

	if (compile_progress_is_stopped(build->progress))
		return error_set(error, -ECANCELED, "stopped while the rules were compiled");
	pattern_key_make(&prefilter->key, patterns, flags, sizes, prefilter->pattern_count);
	if (build->cache)
		prefilter->database = pattern_cache_find(build->cache, &prefilter->key);
	if (prefilter->database) {
		build->found_count++;
		hs_database_size(prefilter->database, &prefilter->size);
		return 0;
	}
	build->compiled_count++;

	result = hs_compile_lit_multi(patterns, flags, ids, sizes,
		(unsigned int)prefilter->pattern_count, HS_MODE_BLOCK, NULL, &prefilter->database,
		&failure);
	if (result != HS_SUCCESS)
		code = error_set(error, -ENOMEM, "the patterns of the rules do not compile: %s",
			failure ? failure->message : "no memory");
	hs_free_compile_error(failure);
	if (code == 0)
		hs_database_size(prefilter->database, &prefilter->size);
	return code;
}

/* Entries, sorted, into one pattern for each that differs. */
static int build_patterns(struct prefilter *prefilter, const struct entry *entries, size_t count,
	struct prefilter_build *build, struct error *error)
{
	const char **patterns = calloc(count, sizeof(*patterns));
	unsigned int *flags = calloc(count, sizeof(*flags)), *ids = calloc(count, sizeof(*ids));
	size_t *sizes = calloc(count, sizeof(*sizes)), pattern = 0;
	int code = -ENOMEM;

	if (!patterns || !flags || !ids || !sizes)
		goto out;
	for (size_t i = 0; i < count; i++) {
		prefilter->rules[i] = entries[i].rule;
		if (i > 0 && has_same_pattern(&entries[i - 1], &entries[i]))
			continue;
		patterns[pattern] = (const char *)entries[i].bytes;
		sizes[pattern] = entries[i].size;
		flags[pattern] =
			HS_FLAG_SINGLEMATCH | (entries[i].is_nocase ? HS_FLAG_CASELESS : 0);
		ids[pattern] = (unsigned int)pattern;
		prefilter->first[pattern++] = (uint32_t)i;
	}
	prefilter->first[pattern] = (uint32_t)count;
	prefilter->pattern_count = pattern;
	code = pattern > 0 ? compile(prefilter, patterns, flags, ids, sizes, build, error) : 0;
out:
	free(patterns);
	free(flags);
	free(ids);
	free(sizes);
	return code;
}

int prefilter_create(struct rule *const *rules, size_t count, struct prefilter_build *build,
	struct prefilter **out, struct error *error)
{
	struct prefilter *prefilter = calloc(1, sizeof(*prefilter));
	struct entry *entries = calloc(count + 1, sizeof(*entries));
	int code = -ENOMEM;

	if (!prefilter || !entries)
		goto fail;
	prefilter->first = calloc(count + 1, sizeof(*prefilter->first));
	prefilter->rules = calloc(count + 1, sizeof(*prefilter->rules));
	prefilter->always = calloc(count + 1, sizeof(*prefilter->always));
	if (!prefilter->first || !prefilter->rules || !prefilter->always)
		goto fail;
	code = build_patterns(
		prefilter, entries, collect(prefilter, rules, count, entries), build, error);
	if (code < 0)
		goto fail;
	free(entries);
	*out = prefilter;
	return 0;

fail:
	free(entries);
	prefilter_destroy(prefilter);
	return code;
}

int prefilter_store(
	const struct prefilter *prefilter, struct pattern_cache *cache, struct error *error)
{
	return prefilter->database
		? pattern_cache_add(cache, &prefilter->key, prefilter->database, error)
		: 0;
}

void prefilter_destroy(struct prefilter *prefilter)
{
	if (!prefilter)
		return;
	hs_free_database(prefilter->database);
	free(prefilter->first);
	free(prefilter->rules);
	free(prefilter->always);
	free(prefilter);
}

int prefilter_reserve(const struct prefilter *prefilter, hs_scratch_t **scratch)
{
	if (!prefilter->database)
		return 0;
	return hs_alloc_scratch(prefilter->database, scratch) == HS_SUCCESS ? 0 : -ENOMEM;
}

const uint32_t *prefilter_always(const struct prefilter *prefilter, size_t *count)
{
	*count = prefilter->always_count;
	return prefilter->always;
}

struct scan {
	const struct prefilter *prefilter;
	prefilter_found found;
	void *context;
};

static int on_match(unsigned int id, unsigned long long from, unsigned long long to,
	unsigned int flags, void *context)
{
	const struct scan *scan = context;
	uint32_t first = scan->prefilter->first[id];

	scan->found(scan->context, scan->prefilter->rules + first,
		scan->prefilter->first[id + 1] - first);
	return 0;
}

void prefilter_scan(const struct prefilter *prefilter, hs_scratch_t *scratch, const uint8_t *bytes,
	size_t size, prefilter_found found, void *context)
{
	struct scan scan = {prefilter, found, context};

	if (prefilter->database && size > 0)
		(void)hs_scan(prefilter->database, (const char *)bytes, (unsigned int)size, 0,
			scratch, on_match, &scan);
}

size_t prefilter_pattern_count(const struct prefilter *prefilter)
{
	return prefilter->pattern_count;
}

size_t prefilter_size(const struct prefilter *prefilter)
{
	return sizeof(*prefilter) + prefilter->size
		+ (prefilter->pattern_count + prefilter->always_count) * 2 * sizeof(uint32_t);
}
