/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that remember: flowbits, threshold, detection_filter; and noalert. */
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_noalert(struct rule_parser *parser, struct rule *rule, char *value)
{
	rule->is_noalert = true;
	return 0;
}

/* The bit of a name; a new one is numbered. */
static int find_flowbit(struct rule_parser *parser, const char *name, uint16_t *out)
{
	struct flowbit_names *names = parser->flowbits;

	if (strchr(name, ','))
		return RULE_UNSUPPORTED(parser, "Snort's groups of flowbits are not supported");
	for (*out = 0; *out < names->count; (*out)++)
		if (strcmp(names->names[*out], name) == 0)
			return 0;
	if (names->count == DETECT_FLOWBITS_MAX)
		return RULE_UNSUPPORTED(
			parser, "more than %d names of flowbits are in use", DETECT_FLOWBITS_MAX);
	names->names[names->count] = strdup(name);
	if (!names->names[names->count])
		return -ENOMEM;
	names->count++;
	return 0;
}

static int add_flowbit(struct rule_parser *parser, struct rule *rule,
	enum rule_flowbit_command command, const char *name)
{
	struct rule_flowbit *bit = &parser->rule_flowbits[rule->flowbit_count];
	int code;

	if (!*name)
		return RULE_INVALID(parser, "a name is missing, as in \"flowbits: set, name;\"");
	if (rule->flowbit_count == RULE_FLOWBITS_MAX)
		return RULE_UNSUPPORTED(parser, "more than %d in one rule", RULE_FLOWBITS_MAX);
	*bit = (struct rule_flowbit){.command = command};
	code = find_flowbit(parser, name, &bit->bit);
	rule->flowbit_count += code == 0;
	return code;
}

/* "name", or of isset and isnotset "name|name": one of them is enough. */
static int add_flowbits(struct rule_parser *parser, struct rule *rule,
	enum rule_flowbit_command command, char *names)
{
	uint8_t first = rule->flowbit_count;
	char *name;
	int code = 0;

	if (strchr(names, '|') && command != RULE_FLOWBIT_IS_SET
		&& command != RULE_FLOWBIT_IS_NOT_SET)
		return RULE_INVALID(parser, "alternatives (a|b) are for isset and isnotset");
	while (code == 0 && (name = rule_piece(&names, '|')))
		code = add_flowbit(parser, rule, command, name);
	for (uint8_t i = first; i + 1 < rule->flowbit_count; i++)
		parser->rule_flowbits[i].or_next = true;
	return code;
}

static int parse_flowbits(struct rule_parser *parser, struct rule *rule, char *value)
{
	static const char *const commands[] = {[RULE_FLOWBIT_SET] = "set",
		[RULE_FLOWBIT_UNSET] = "unset",
		[RULE_FLOWBIT_TOGGLE] = "toggle",
		[RULE_FLOWBIT_IS_SET] = "isset",
		[RULE_FLOWBIT_IS_NOT_SET] = "isnotset"};
	char *command = rule_piece(&value, ',');

	if (strcmp(command, "noalert") == 0 && !value) {
		rule->is_noalert = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(command, commands[i]) == 0)
			return add_flowbits(parser, rule, (enum rule_flowbit_command)i,
				value ? rule_trim(value) : command + strlen(command));
	return RULE_INVALID(parser,
		"\"%.40s\": valid are set, unset, toggle, isset, isnotset and noalert", command);
}

/* ---- threshold, detection_filter ---- */

static int take_track(
	struct rule_parser *parser, struct rule_threshold *threshold, const char *name)
{
	static const char *const tracks[] = {[RULE_TRACK_SOURCE] = "by_src",
		[RULE_TRACK_DESTINATION] = "by_dst",
		[RULE_TRACK_BOTH] = "by_both",
		[RULE_TRACK_RULE] = "by_rule"};

	for (size_t i = 0; i < sizeof(tracks) / sizeof(tracks[0]); i++) {
		if (strcmp(name, tracks[i]) != 0)
			continue;
		threshold->track = (enum rule_track)i;
		return 0;
	}
	if (strcmp(name, "by_flow") == 0)
		return RULE_UNSUPPORTED(parser, "track by_flow is not supported");
	return RULE_INVALID(
		parser, "\"%.40s\": valid are by_src, by_dst, by_both and by_rule", name);
}

static int take_type(struct rule_parser *parser, struct rule_threshold *threshold, const char *name)
{
	if (strcmp(name, "limit") == 0)
		threshold->type = RULE_THRESHOLD_LIMIT;
	else if (strcmp(name, "threshold") == 0)
		threshold->type = RULE_THRESHOLD_THRESHOLD;
	else if (strcmp(name, "both") == 0)
		threshold->type = RULE_THRESHOLD_BOTH;
	else if (strcmp(name, "backoff") == 0)
		return RULE_UNSUPPORTED(parser, "type backoff is not supported");
	else
		return RULE_INVALID(parser, "\"%.40s\": valid are limit, threshold and both", name);
	return 0;
}

int rule_threshold_part(struct rule_parser *parser, struct rule_threshold *threshold, char *piece,
	unsigned int *seen)
{
	char *value = piece, *name = rule_piece(&value, ' ');
	enum rule_threshold_part part;
	int64_t number = 0;
	int code = 0;

	value = value ? rule_trim(value) : NULL;
	if (!value || !*value)
		return RULE_INVALID(parser, "\"%.40s\" has no value", name);
	if (strcmp(name, "count") == 0 || strcmp(name, "seconds") == 0) {
		part = *name == 'c' ? RULE_PART_COUNT : RULE_PART_SECONDS;
		if (!rule_number(value, 1, RULE_THRESHOLD_COUNT_MAX, &number))
			return RULE_INVALID(parser, "%s \"%.40s\" is no number from 1 to %d", name,
				value, RULE_THRESHOLD_COUNT_MAX);
		*(part == RULE_PART_COUNT ? &threshold->count : &threshold->seconds) =
			(uint32_t)number;
	} else if (strcmp(name, "track") == 0) {
		part = RULE_PART_TRACK;
		code = take_track(parser, threshold, value);
	} else if (strcmp(name, "type") == 0) {
		part = RULE_PART_TYPE;
		code = take_type(parser, threshold, value);
	} else {
		return RULE_INVALID(
			parser, "\"%.40s\": valid are type, track, count and seconds", name);
	}
	if (code == 0 && (*seen & part))
		return RULE_INVALID(parser, "%s is given twice", name);
	*seen |= part;
	return code;
}

static int parse_parts(
	struct rule_parser *parser, struct rule *rule, char *value, unsigned int expected)
{
	unsigned int seen = 0;
	char *piece;
	int code = 0;

	if (rule->threshold.type != RULE_THRESHOLD_NONE)
		return RULE_INVALID(
			parser, "one threshold or detection_filter is possible in a rule");
	if (!(expected & RULE_PART_TYPE))
		rule->threshold.type = RULE_THRESHOLD_DETECTION;
	while (code == 0 && (piece = rule_piece(&value, ',')))
		code = rule_threshold_part(parser, &rule->threshold, piece, &seen);
	if (code == 0 && seen != expected)
		return RULE_INVALID(parser, "needs %strack, count and seconds, and nothing else",
			expected & RULE_PART_TYPE ? "type, " : "");
	return code;
}

static int parse_threshold(struct rule_parser *parser, struct rule *rule, char *value)
{
	return parse_parts(parser, rule, value,
		RULE_PART_TYPE | RULE_PART_TRACK | RULE_PART_COUNT | RULE_PART_SECONDS);
}

static int parse_detection_filter(struct rule_parser *parser, struct rule *rule, char *value)
{
	return parse_parts(
		parser, rule, value, RULE_PART_TRACK | RULE_PART_COUNT | RULE_PART_SECONDS);
}

const struct rule_keyword rule_keywords_state[] = {
	{"noalert", RULE_VALUE_NONE, parse_noalert},
	{"flowbits", RULE_VALUE_REQUIRED, parse_flowbits},
	{"threshold", RULE_VALUE_REQUIRED, parse_threshold},
	{"detection_filter", RULE_VALUE_REQUIRED, parse_detection_filter},
	{0},
};
