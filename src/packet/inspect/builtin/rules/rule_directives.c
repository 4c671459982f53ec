/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/rule_directives.h"

#include "packet/inspect/builtin/rules/rule_lexer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	enum rule_directive_type type;
} words[] = {
	{"config", RULE_DIRECTIVE_CLASSIFICATION}, /* or reference: by its second word */
	{"suppress", RULE_DIRECTIVE_SUPPRESS},
	{"threshold", RULE_DIRECTIVE_THRESHOLD},
	{"event_filter", RULE_DIRECTIVE_THRESHOLD},
	{"rate_filter", RULE_DIRECTIVE_RATE},
	{"include", RULE_DIRECTIVE_UNSUPPORTED},
	{"var", RULE_DIRECTIVE_UNSUPPORTED},
	{"ipvar", RULE_DIRECTIVE_UNSUPPORTED},
	{"portvar", RULE_DIRECTIVE_UNSUPPORTED},
	{"preprocessor", RULE_DIRECTIVE_UNSUPPORTED},
	{"output", RULE_DIRECTIVE_UNSUPPORTED},
};

#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

static size_t find_word(const char *text)
{
	size_t size = strcspn(text, " \t"), i;

	for (i = 0; i < WORD_COUNT; i++)
		if (strlen(words[i].word) == size && strncmp(text, words[i].word, size) == 0)
			break;
	return i;
}

enum rule_directive_type rule_directive_type(const char *text)
{
	size_t word = find_word(text);
	const char *second;

	if (word == WORD_COUNT)
		return RULE_DIRECTIVE_NONE;
	if (words[word].type != RULE_DIRECTIVE_CLASSIFICATION)
		return words[word].type;
	second = text + strlen("config");
	second += strspn(second, " \t");
	if (strncmp(second, "classification:", 15) == 0)
		return RULE_DIRECTIVE_CLASSIFICATION;
	if (strncmp(second, "reference:", 10) == 0)
		return RULE_DIRECTIVE_REFERENCE;
	return RULE_DIRECTIVE_UNSUPPORTED;
}

static void blame(struct rule_parser *parser, const char *keyword)
{
	snprintf(parser->keyword, sizeof(parser->keyword), "%s", keyword);
}

/* "config reference: system prefix": how people find what a rule's `reference` names. */
static int check_reference(struct rule_parser *parser, char *value)
{
	char *prefix = value, *system = rule_piece(&prefix, ' ');

	if (!*system || !prefix || !*rule_trim(prefix))
		return RULE_INVALID(parser, "expected \"system prefix\"");
	return 0;
}

/* The next piece up to a comma that stands outside of brackets, trimmed; NULL at the end. */
static char *next_piece(char **at)
{
	unsigned int depth = 0;
	char *piece = *at, *end;

	if (!piece)
		return NULL;
	for (end = piece; *end && (depth > 0 || *end != ','); end++) {
		depth += *end == '[';
		depth -= *end == ']' && depth > 0;
	}
	*at = *end ? end + 1 : NULL;
	*end = '\0';
	return rule_trim(piece);
}

/* What of a line's values was seen, behind enum rule_threshold_part. */
enum {
	PART_GID = 16,
	PART_SID = 32,
	PART_IP = 64,
	PART_TIMEOUT = 128,
	PART_ACTION = 256,
};

static int take_id(struct rule_parser *parser, const char *name, const char *value, uint32_t *out)
{
	int64_t number;

	if (!rule_number(value, 0, UINT32_MAX, &number))
		return RULE_INVALID(
			parser, "%s \"%.40s\" is no number; 0 means all rules", name, value);
	*out = (uint32_t)number;
	return 0;
}

static int take_suppress_track(
	struct rule_parser *parser, struct rule_suppress *suppress, const char *value)
{
	if (strcmp(value, "by_src") == 0)
		suppress->end = RULE_SUPPRESS_SOURCE;
	else if (strcmp(value, "by_dst") == 0)
		suppress->end = RULE_SUPPRESS_DESTINATION;
	else if (strcmp(value, "by_either") == 0)
		suppress->end = RULE_SUPPRESS_EITHER;
	else
		return RULE_INVALID(
			parser, "\"%.40s\": valid are by_src, by_dst and by_either", value);
	return 0;
}

static int take_new_action(
	struct rule_parser *parser, struct rule_threshold *threshold, const char *value)
{
	static const struct {
		const char *name;
		enum rule_action action;
	} actions[] = {{"alert", RULE_ALERT}, {"drop", RULE_DROP}, {"pass", RULE_PASS},
		{"reject", RULE_REJECT}};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(value, actions[i].name) != 0)
			continue;
		threshold->new_action = actions[i].action;
		return 0;
	}
	return RULE_INVALID(parser, "\"%.40s\": valid are alert, drop, pass and reject", value);
}

/* The parts of suppress and rate_filter that a threshold does not have; 1: it is none of them. */
static int take_own_part(struct rule_parser *parser, struct rule_directive *directive,
	const char *name, char *value, unsigned int *seen)
{
	bool is_suppress = directive->type == RULE_DIRECTIVE_SUPPRESS;
	bool is_rate = directive->type == RULE_DIRECTIVE_RATE;
	int64_t number;

	if (is_suppress && strcmp(name, "track") == 0) {
		*seen |= RULE_PART_TRACK;
		return take_suppress_track(parser, &directive->suppress, value);
	}
	if (is_suppress && strcmp(name, "ip") == 0) {
		*seen |= PART_IP;
		return networks_addresses(
			parser->networks, value, &directive->suppress.addresses, &parser->reason);
	}
	if (is_rate && strcmp(name, "timeout") == 0) {
		*seen |= PART_TIMEOUT;
		if (!rule_number(value, 0, RULE_THRESHOLD_COUNT_MAX, &number))
			return RULE_INVALID(parser, "timeout \"%.40s\" is no number", value);
		directive->threshold.timeout_seconds = (uint32_t)number;
		return 0;
	}
	if (is_rate && strcmp(name, "new_action") == 0) {
		*seen |= PART_ACTION;
		return take_new_action(parser, &directive->threshold, value);
	}
	return 1;
}

static int take_part(struct rule_parser *parser, struct rule_directive *directive, char *piece,
	unsigned int *seen)
{
	size_t name_size = strcspn(piece, " \t");
	char name[16], *value = rule_trim(piece + name_size);
	int code;

	if (name_size >= sizeof(name) || !*value)
		return RULE_INVALID(parser, "\"%.40s\": expected a name and a value", piece);
	memcpy(name, piece, name_size);
	name[name_size] = '\0';
	if (strcmp(name, "gen_id") == 0) {
		*seen |= PART_GID;
		return take_id(parser, name, value, &directive->gid);
	}
	if (strcmp(name, "sig_id") == 0) {
		*seen |= PART_SID;
		return take_id(parser, name, value, &directive->sid);
	}
	code = take_own_part(parser, directive, name, value, seen);
	if (code <= 0)
		return code;
	if (directive->type == RULE_DIRECTIVE_SUPPRESS)
		return RULE_INVALID(parser, "\"%s\": valid are gen_id, sig_id, track and ip", name);
	/* As with a rule's threshold; name and value behind one blank. */
	memmove(piece + name_size + 1, value, strlen(value) + 1);
	piece[name_size] = ' ';
	return rule_threshold_part(parser, &directive->threshold, piece, seen);
}

static int check_parts(
	struct rule_parser *parser, const struct rule_directive *directive, unsigned int seen)
{
	const unsigned int ids = PART_GID | PART_SID;
	const unsigned int counts = RULE_PART_TRACK | RULE_PART_COUNT | RULE_PART_SECONDS;

	if (directive->gid == 0 && directive->sid != 0)
		return RULE_INVALID(parser, "gen_id 0 means all rules, sig_id must be 0, too");
	switch (directive->type) {
	case RULE_DIRECTIVE_SUPPRESS:
		if (seen == ids || seen == (ids | RULE_PART_TRACK | PART_IP))
			return 0;
		return RULE_INVALID(
			parser, "needs gen_id and sig_id, and track and ip or neither of them");
	case RULE_DIRECTIVE_RATE:
		if (seen == (ids | counts | PART_TIMEOUT | PART_ACTION))
			return 0;
		return RULE_INVALID(parser,
			"needs gen_id, sig_id, track, count, seconds, new_action and timeout");
	default:
		if (seen == (ids | counts | RULE_PART_TYPE))
			return 0;
		return RULE_INVALID(parser, "needs gen_id, sig_id, type, track, count and seconds");
	}
}

static int parse_filter(struct rule_parser *parser, struct rule_directive *directive, char *value)
{
	unsigned int seen = 0;
	char *piece;
	int code = 0;

	if (directive->type == RULE_DIRECTIVE_RATE)
		directive->threshold.type = RULE_THRESHOLD_RATE;
	while (code == 0 && (piece = next_piece(&value)))
		code = take_part(parser, directive, piece, &seen);
	return code < 0 ? code : check_parts(parser, directive, seen);
}

static int refuse(struct rule_parser *parser, const char *word)
{
	if (strcmp(word, "include") == 0)
		return RULE_UNSUPPORTED(parser,
			"other files are not included from here: inspection.rules names them");
	if (strstr(word, "var"))
		return RULE_UNSUPPORTED(
			parser, "variables are not set here: inspection.variables has them");
	return RULE_UNSUPPORTED(parser,
		"only rules, config classification, config reference, "
		"suppress, threshold, event_filter and rate_filter are read");
}

int rule_directive_parse(struct rule_parser *parser, char *text, struct rule_directive **out)
{
	enum rule_directive_type type = rule_directive_type(text);
	const char *word = words[find_word(text)].word;
	struct rule_directive *directive;
	int code;

	*out = NULL;
	parser->sid = 0;
	parser->reason.text[0] = '\0';
	blame(parser, word);
	text = rule_trim(text + strlen(word));
	if (type == RULE_DIRECTIVE_CLASSIFICATION)
		return rule_classification_add(parser, strchr(text, ':') + 1);
	if (type == RULE_DIRECTIVE_REFERENCE)
		return check_reference(parser, rule_trim(strchr(text, ':') + 1));
	if (type == RULE_DIRECTIVE_UNSUPPORTED)
		return refuse(parser, word);
	directive = rule_arena_take(parser->arena, sizeof(*directive));
	if (!directive)
		return -ENOMEM;
	directive->type = type;
	directive->name = word;
	code = parse_filter(parser, directive, text);
	parser->sid = directive->sid;
	if (code == 0)
		*out = directive;
	return code;
}

int rule_directive_apply(
	struct rule_arena *arena, const struct rule_directive *directive, struct rule *rule)
{
	struct rule_threshold *threshold =
		directive->type == RULE_DIRECTIVE_RATE ? &rule->rate : &rule->threshold;
	struct rule_suppress *suppress;

	if (directive->type == RULE_DIRECTIVE_SUPPRESS) {
		suppress = rule_arena_take(arena, sizeof(*suppress));
		if (!suppress)
			return -ENOMEM;
		*suppress = directive->suppress;
		suppress->next = rule->suppress;
		rule->suppress = suppress;
		return 0;
	}
	if (threshold->type != RULE_THRESHOLD_NONE)
		return -EEXIST;
	*threshold = directive->threshold;
	return 0;
}
