/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/match_payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * What one evaluation may cost. Contents alone take a number of steps that grows with the payload,
 * as starts that failed are not tried again; pcre and byte_jump in a chain may take more. Suricata
 * gives up after 3,000 (detect.inspection-recursion-limit).
 */
#define STEPS_MIN      10000
#define STEPS_PER_BYTE 4
/* A search of pcre reads the bytes, one of a chain again and again: it costs a step for so many. */
#define PCRE_BYTES_PER_STEP 64
/* Of PCRE2, per search: Suricata's match-limit is 3,500, its recursion limit 1,500. */
#define PCRE_MATCH_LIMIT 10000
#define PCRE_DEPTH_LIMIT 1500
/* Only where there is no JIT: kept in the match data, so a worker allocates it once. */
#define PCRE_HEAP_KIB  256
#define JIT_STACK_SIZE ((size_t)64 << 10)

enum outcome {
	MATCHED,
	FAILED,   /* from this position; another one may do */
	HOPELESS, /* wherever earlier items match */
};

static enum outcome match_from(struct payload_matcher *matcher, size_t index, size_t position);

int payload_matcher_open(struct payload_matcher *matcher)
{
	*matcher = (struct payload_matcher){
		.match_data = pcre2_match_data_create(1, NULL),
		.match_context = pcre2_match_context_create(NULL),
		.jit_stack = pcre2_jit_stack_create(JIT_STACK_SIZE, JIT_STACK_SIZE, NULL),
	};
	if (!matcher->match_data || !matcher->match_context) {
		payload_matcher_close(matcher);
		return -ENOMEM;
	}
	pcre2_set_match_limit(matcher->match_context, PCRE_MATCH_LIMIT);
	pcre2_set_depth_limit(matcher->match_context, PCRE_DEPTH_LIMIT);
	pcre2_set_heap_limit(matcher->match_context, PCRE_HEAP_KIB);
	if (matcher->jit_stack)
		pcre2_jit_stack_assign(matcher->match_context, NULL, matcher->jit_stack);
	return 0;
}

void payload_matcher_close(struct payload_matcher *matcher)
{
	pcre2_match_data_free(matcher->match_data);
	pcre2_match_context_free(matcher->match_context);
	if (matcher->jit_stack)
		pcre2_jit_stack_free(matcher->jit_stack);
	*matcher = (struct payload_matcher){0};
}

/* The failure of a test of its own: it depends on what was before only when it is relative, or when
 * the rule has variables, whose values items before it gave. */
static enum outcome fail(const struct payload_matcher *matcher, const struct rule_item *item)
{
	return item->is_relative || matcher->has_variables ? FAILED : HOPELESS;
}

/* The number, or the value of the variable (from 1 on) that stands for it; no payload is as large
 * as the bound, which keeps sums far from theirs. */
static int64_t number_or(const struct payload_matcher *matcher, int64_t number, uint8_t variable)
{
	uint64_t value;

	if (variable == 0)
		return number;
	value = matcher->variables[variable - 1];
	return value < UINT32_MAX ? (int64_t)value : UINT32_MAX;
}

/* Position in the packet or stream as an index; what lies before the bytes is below 0. */
static int64_t index_of(const struct payload_matcher *matcher, uint64_t position)
{
	return (int64_t)(position - matcher->payload->position);
}

/* False, and counted, when the evaluation may cost no more. */
static bool take_steps(struct payload_matcher *matcher, size_t steps)
{
	if (matcher->steps < steps) {
		matcher->steps = 0;
		matcher->limits_exceeded++;
		return false;
	}
	matcher->steps -= (uint32_t)steps;
	return true;
}

/* ---- content ---- */

static uint8_t fold(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static const uint8_t *find_folded(
	const uint8_t *bytes, size_t size, const uint8_t *pattern, size_t pattern_size)
{
	const uint8_t *last = bytes + size - pattern_size; /* size is not less: see find() */

	for (; bytes <= last; bytes++) {
		size_t i = 0;

		while (i < pattern_size && fold(bytes[i]) == pattern[i])
			i++;
		if (i == pattern_size)
			return bytes;
	}
	return NULL;
}

/* The first place of the content in [from, end), as an index; -1: none. */
static int64_t find(const struct payload_matcher *matcher, const struct rule_content *content,
	int64_t from, int64_t end)
{
	const uint8_t *bytes = matcher->payload->bytes, *found;
	int64_t size = (int64_t)matcher->payload->size;

	if (end > size)
		end = size;
	if (content->ends_with && from < size - (int64_t)content->size)
		from = size - (int64_t)content->size;
	if (from < 0)
		from = 0;
	if (end - from < (int64_t)content->size)
		return -1;
	if (content->is_nocase)
		found = find_folded(
			bytes + from, (size_t)(end - from), content->folded, content->size);
	else
		found = memmem(bytes + from, (size_t)(end - from), content->bytes, content->size);
	return found ? found - bytes : -1;
}

/* Where the content may begin, and where it has to end: indexes. */
static void content_range(const struct payload_matcher *matcher, const struct rule_item *item,
	size_t position, int64_t *from, int64_t *end)
{
	const struct rule_content *content = &item->content;

	*end = (int64_t)matcher->payload->size;
	if (item->is_relative) {
		*from = (int64_t)position
			+ number_or(matcher, content->distance, content->distance_variable);
		if (content->has_within)
			*end = *from
				+ number_or(matcher, content->within, content->within_variable);
	} else {
		*from = index_of(matcher,
			(uint64_t)number_or(matcher, content->offset, content->offset_variable));
		if (content->has_depth)
			*end = *from + number_or(matcher, content->depth, content->depth_variable);
	}
	if (content->ends_with && *end < (int64_t)matcher->payload->size)
		*end = *from; /* must end at the end, and may not */
	if (*from < 0)
		*from = 0;
}

/* Notes that no start in [from, to) leads on. Ranges that do not touch what is known replace it:
 * searches come in rising order, nearly always. */
static void note_failed(struct payload_matcher *matcher, size_t index, int64_t from, int64_t to)
{
	uint32_t *known_from = &matcher->state[index].failed_from,
		 *known_to = &matcher->state[index].failed_to;

	if (to <= from || matcher->has_variables)
		return;
	if (*known_to == *known_from || from > *known_to || to < *known_from) {
		*known_from = (uint32_t)from;
		*known_to = (uint32_t)to;
		return;
	}
	if (from < *known_from)
		*known_from = (uint32_t)from;
	if (to > *known_to)
		*known_to = (uint32_t)to;
}

static enum outcome match_content(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	const struct rule_content *content = &item->content;
	int64_t from, end, start;

	content_range(matcher, item, position, &from, &end);
	for (start = from; (start = find(matcher, content, start, end)) >= 0; start++) {
		enum outcome outcome;

		if (start >= matcher->state[index].failed_from
			&& start < matcher->state[index].failed_to) {
			start = (int64_t)matcher->state[index].failed_to - 1;
			continue;
		}
		matcher->state[index].start = (uint32_t)start;
		matcher->state[index].end = (uint32_t)start + content->size;
		outcome = match_from(matcher, index + 1, (size_t)start + content->size);
		if (outcome != FAILED)
			return outcome;
	}
	note_failed(matcher, index, from, end - content->size + 1);
	return fail(matcher, item);
}

static enum outcome match_absence(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	int64_t from, end;

	content_range(matcher, item, position, &from, &end);
	if (find(matcher, &item->content, from, end) >= 0)
		return fail(matcher, item);
	return match_from(matcher, index + 1, position);
}

/* ---- pcre ---- */

/* 1: found, *start and *end are indexes; 0: not; -1: given up. */
static int search(struct payload_matcher *matcher, const struct rule_item *item, size_t subject,
	size_t offset, size_t *start, size_t *end)
{
	const struct payload *payload = matcher->payload;
	uint32_t options = subject == 0 && payload->position > 0 ? PCRE2_NOTBOL : 0;
	const PCRE2_SIZE *range;
	int found;

	found = pcre2_match(item->pcre.code, payload->bytes + subject, payload->size - subject,
		offset - subject, options, matcher->match_data, matcher->match_context);
	if (found == PCRE2_ERROR_NOMATCH)
		return 0;
	if (found < 0)
		return -1;
	range = pcre2_get_ovector_pointer(matcher->match_data);
	*start = subject + range[0];
	*end = subject + range[1];
	return 1;
}

static enum outcome match_pcre(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	size_t subject = item->is_relative ? position : 0, offset = subject, start, end;
	int found;

	while (offset <= matcher->payload->size) {
		enum outcome outcome;

		if (!take_steps(
			    matcher, 1 + (matcher->payload->size - offset) / PCRE_BYTES_PER_STEP))
			return HOPELESS;
		found = search(matcher, item, subject, offset, &start, &end);
		if (found < 0) {
			matcher->limits_exceeded++;
			return HOPELESS;
		}
		if (item->is_negated)
			return found ? fail(matcher, item)
				     : match_from(matcher, index + 1, position);
		if (!found)
			break;
		/* \K may set the start behind the end. */
		matcher->state[index].start = (uint32_t)start;
		matcher->state[index].end = (uint32_t)end;
		outcome = match_from(matcher, index + 1, end);
		if (outcome != FAILED)
			return outcome;
		offset = (start > offset ? start : offset) + 1;
	}
	return fail(matcher, item);
}

/* ---- isdataat, byte_test, byte_jump, byte_extract, byte_math ---- */

static enum outcome match_isdataat(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	uint64_t size = matcher->payload->size;
	uint64_t offset =
		(uint64_t)number_or(matcher, item->isdataat.offset, item->isdataat.offset_variable);
	bool is_there = item->is_relative ? position + offset <= size
					  : offset < matcher->payload->position + size;

	if (is_there == item->is_negated)
		return fail(matcher, item);
	return match_from(matcher, index + 1, position);
}

static bool parse_digits(const uint8_t *bytes, const struct rule_byte *byte, uint64_t *out)
{
	static const int bases[] = {
		[RULE_NUMBER_DECIMAL] = 10, [RULE_NUMBER_HEX] = 16, [RULE_NUMBER_OCT] = 8};
	char text[32], *end;

	memcpy(text, bytes, byte->size);
	text[byte->size] = '\0';
	errno = 0;
	*out = strtoull(text, &end, bases[byte->text]);
	return end != text && errno == 0;
}

/* What the bitmask has of a number, at its lowest bit. */
static uint64_t apply_bitmask(const struct rule_byte *byte, uint64_t number)
{
	return byte->bitmask ? (number & byte->bitmask) >> __builtin_ctzll(byte->bitmask) : number;
}

/* The number that the item speaks of; *end: the index behind its bytes. */
static bool take_number(const struct payload_matcher *matcher, const struct rule_item *item,
	size_t position, uint64_t *out, size_t *end)
{
	const struct rule_byte *byte = &item->byte;
	int64_t offset = number_or(matcher, byte->offset, byte->offset_variable);
	int64_t start = item->is_relative ? (int64_t)position + offset
					  : offset - (int64_t)matcher->payload->position;
	const uint8_t *bytes;

	if (start < 0 || start + byte->size > (int64_t)matcher->payload->size)
		return false;
	bytes = matcher->payload->bytes + start;
	*end = (size_t)start + byte->size;
	if (byte->text != RULE_NUMBER_BINARY) {
		if (!parse_digits(bytes, byte, out))
			return false;
	} else {
		*out = 0;
		for (size_t i = 0; i < byte->size; i++)
			*out = *out << 8 | bytes[byte->is_little ? byte->size - 1U - i : i];
	}
	return true;
}

static bool compare_number(
	const struct payload_matcher *matcher, const struct rule_byte *byte, uint64_t number)
{
	uint64_t value =
		byte->value_variable ? matcher->variables[byte->value_variable - 1] : byte->value;

	switch (byte->operator) {
	case RULE_BYTE_BELOW:
		return number < value;
	case RULE_BYTE_ABOVE:
		return number > value;
	case RULE_BYTE_EQUAL:
		return number == value;
	case RULE_BYTE_BELOW_OR_EQUAL:
		return number <= value;
	case RULE_BYTE_ABOVE_OR_EQUAL:
		return number >= value;
	case RULE_BYTE_AND:
		return (number & value) != 0;
	case RULE_BYTE_OR:
		return (number ^ value) != 0;
	}
	return false;
}

static enum outcome match_byte_test(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	uint64_t number;
	size_t end;

	if (!take_number(matcher, item, position, &number, &end)
		|| compare_number(matcher, &item->byte, apply_bitmask(&item->byte, number))
			== item->is_negated)
		return fail(matcher, item);
	return match_from(matcher, index + 1, position);
}

static uint64_t align_number(const struct rule_byte *byte, uint64_t number)
{
	return byte->align ? (number + byte->align - 1) & ~(uint64_t)(byte->align - 1) : number;
}

/* As Suricata 7: what is behind looks from the end of the bytes. */
static enum outcome match_byte_extract(
	struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	const struct rule_byte *byte = &item->byte;
	uint64_t number;
	size_t end;

	if (!take_number(matcher, item, position, &number, &end))
		return fail(matcher, item);
	number = apply_bitmask(byte, number) * byte->multiplier;
	matcher->variables[byte->result] = align_number(byte, number);
	matcher->state[index].end = (uint32_t)end;
	return match_from(matcher, index + 1, end);
}

/* false: it has no result. */
static bool calculate(enum rule_math math, uint64_t left, uint64_t right, uint64_t *out)
{
	switch (math) {
	case RULE_MATH_ADD:
		*out = left + right;
		return true;
	case RULE_MATH_SUBTRACT:
		*out = left - right;
		return true;
	case RULE_MATH_MULTIPLY:
		*out = left * right;
		return true;
	case RULE_MATH_DIVIDE:
		*out = right ? left / right : 0;
		return right != 0;
	case RULE_MATH_SHIFT_LEFT:
		*out = right < 64 ? left << right : 0;
		return true;
	case RULE_MATH_SHIFT_RIGHT:
		*out = right < 64 ? left >> right : 0;
		return true;
	}
	return false;
}

/* As Suricata, the bitmask is for the result. */
static enum outcome match_byte_math(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	const struct rule_byte *byte = &item->byte;
	uint64_t right =
		byte->value_variable ? matcher->variables[byte->value_variable - 1] : byte->value;
	uint64_t number;
	size_t end;

	if (!take_number(matcher, item, position, &number, &end)
		|| !calculate(byte->math, number, right, &number))
		return fail(matcher, item);
	matcher->variables[byte->result] = apply_bitmask(byte, number);
	matcher->state[index].end = (uint32_t)end;
	return match_from(matcher, index + 1, end);
}

static enum outcome match_byte_jump(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	const struct rule_byte *byte = &item->byte;
	int64_t size = (int64_t)matcher->payload->size, target;
	enum outcome outcome;
	uint64_t number;
	size_t end;

	if (!take_number(matcher, item, position, &number, &end))
		return fail(matcher, item);
	number = apply_bitmask(byte, number);
	/* Further than any payload is out of it; keeps the sums below far from their bounds. */
	if (number > UINT32_MAX)
		return fail(matcher, item);
	number *= byte->multiplier;
	number = align_number(byte, number);
	target = (int64_t)number + byte->post_offset;
	if (byte->from_end)
		target += size;
	else if (byte->from_beginning)
		target -= (int64_t)matcher->payload->position;
	else
		target += (int64_t)end;
	/* As with Suricata 7: before the payload is its start, and beyond its end is nowhere. */
	if (target > size)
		return fail(matcher, item);
	target = target < 0 ? 0 : target;
	matcher->state[index].start = matcher->state[index].end = (uint32_t)target;
	outcome = match_from(matcher, index + 1, (size_t)target);
	/* Not relative: it leads to the same place from wherever the items before it matched. */
	return outcome == FAILED ? fail(matcher, item) : outcome;
}

static enum outcome match_size(struct payload_matcher *matcher, size_t index, size_t position)
{
	const struct rule_item *item = &matcher->items[index];
	uint64_t size = matcher->payload->position + matcher->payload->size;

	if (!rule_size_matches(&item->size, size))
		return fail(matcher, item);
	return match_from(matcher, index + 1, position);
}

/* ---- the chain ---- */

static enum outcome match_from(struct payload_matcher *matcher, size_t index, size_t position)
{
	if (index == matcher->item_count)
		return MATCHED;
	if (!take_steps(matcher, 1))
		return HOPELESS;
	switch (matcher->items[index].type) {
	case RULE_CONTENT:
		return matcher->items[index].is_negated ? match_absence(matcher, index, position)
							: match_content(matcher, index, position);
	case RULE_PCRE:
		return match_pcre(matcher, index, position);
	case RULE_ISDATAAT:
		return match_isdataat(matcher, index, position);
	case RULE_BYTE_TEST:
		return match_byte_test(matcher, index, position);
	case RULE_BYTE_JUMP:
		return match_byte_jump(matcher, index, position);
	case RULE_BYTE_EXTRACT:
		return match_byte_extract(matcher, index, position);
	case RULE_BYTE_MATH:
		return match_byte_math(matcher, index, position);
	case RULE_SIZE:
		return match_size(matcher, index, position);
	}
	return HOPELESS;
}

bool payload_part_matches(struct payload_matcher *matcher, const struct rule *rule, size_t first,
	size_t count, const struct payload *payload)
{
	matcher->payload = payload;
	matcher->items = rule->items + first;
	matcher->item_count = count;
	matcher->has_variables = rule->variable_count > 0;
	matcher->steps = STEPS_MIN + STEPS_PER_BYTE * (uint32_t)payload->size;
	memset(matcher->state, 0, count * sizeof(matcher->state[0]));
	return match_from(matcher, 0, 0) == MATCHED;
}

bool payload_matches(
	struct payload_matcher *matcher, const struct rule *rule, const struct payload *payload)
{
	return payload_part_matches(matcher, rule, 0, rule->item_count, payload);
}

size_t payload_match_end(const struct payload_matcher *matcher)
{
	size_t end = 0;

	for (size_t i = 0; i < matcher->item_count; i++)
		if (matcher->state[i].end > end)
			end = matcher->state[i].end;
	return end;
}
