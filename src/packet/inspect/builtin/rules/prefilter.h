/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which rules may match some bytes: one pattern of each rule, all searched at once by Hyperscan.
 * Immutable; read by workers, each with scratch of its own.
 */
#pragma once

#include "packet/inspect/builtin/rules/pattern_cache.h"
#include "packet/inspect/builtin/rules/rule.h"
#include "packet/inspect/compile_progress.h"

#include <hs/hs.h>

/* Longer patterns are searched by their first bytes, so that a scan of new bytes of a stream needs
 * but that many old ones before them. */
#define PREFILTER_PATTERN_MAX 32

struct prefilter;

/* What the prefilters of one ruleset are built with. */
struct prefilter_build {
	struct pattern_cache *cache;        /* NULL: none */
	struct compile_progress *progress;  /* NULL: nobody waits */
	size_t found_count, compiled_count; /* databases that were in the cache, and were not */
};

/* rules are pointers into the ruleset's order; kept by their index. -ECANCELED: stopped. */
int prefilter_create(struct rule *const *rules, size_t count, struct prefilter_build *build,
	struct prefilter **out, struct error *error);
void prefilter_destroy(struct prefilter *prefilter);

/* Enlarges *scratch for it. */
int prefilter_reserve(const struct prefilter *prefilter, hs_scratch_t **scratch);

/* Rules that have no pattern, and so have to be looked at always. */
const uint32_t *prefilter_always(const struct prefilter *prefilter, size_t *count);

/* Calls found(context, rules, count) for each pattern that is in the bytes: once a pattern. */
typedef void (*prefilter_found)(void *context, const uint32_t *rules, size_t count);
void prefilter_scan(const struct prefilter *prefilter, hs_scratch_t *scratch, const uint8_t *bytes,
	size_t size, prefilter_found found, void *context);

/* 0, or the error of pattern_cache_add(). */
int prefilter_store(
	const struct prefilter *prefilter, struct pattern_cache *cache, struct error *error);

size_t prefilter_pattern_count(const struct prefilter *prefilter);
size_t prefilter_size(const struct prefilter *prefilter); /* bytes */

/* Which of the ruleset's buffers that content is for. */
uint8_t prefilter_use(const struct rule *rule);

/* The content that stands for the rule in the prefilter; NULL: it has none. */
const struct rule_content *prefilter_content(
	const struct rule *rule, const uint8_t **bytes, size_t *size);
