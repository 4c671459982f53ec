/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that say what a rule is: msg, sid, gid, rev, classtype, priority, reference, metadata,
 * target. */
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <errno.h>
#include <string.h>

/* Takes the backslashes before \ " ; : away, in place. */
static int unescape(struct rule_parser *parser, char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1] && strchr("\\\";:", text[1]))
			text++;
		else if (*text == '"')
			return RULE_INVALID(parser, "a quote in it needs a backslash");
		*out++ = *text;
	}
	*out = '\0';
	return 0;
}

bool rule_is_utf8(const char *text)
{
	json_t *string = json_string(text);
	bool is_valid = string != NULL;

	json_decref(string);
	return is_valid;
}

static int parse_msg(struct rule_parser *parser, struct rule *rule, char *value)
{
	bool is_negated;
	char *text = rule_unquote(value, &is_negated);
	int code;

	if (!text || is_negated)
		return RULE_INVALID(parser, "the text must stand in double quotes");
	code = unescape(parser, text);
	if (code < 0)
		return code;
	if (!rule_is_utf8(text))
		return RULE_UNSUPPORTED(parser, "the text is no UTF-8");
	rule->info.msg = rule_arena_copy(parser->arena, text, strlen(text));
	return rule->info.msg ? 0 : -ENOMEM;
}

static int take_id(struct rule_parser *parser, const char *value, int64_t min, uint32_t *out)
{
	int64_t number;

	if (!rule_number(value, min, UINT32_MAX, &number))
		return RULE_INVALID(
			parser, "\"%.40s\" is no number from %d to 4294967295", value, (int)min);
	*out = (uint32_t)number;
	return 0;
}

static int parse_sid(struct rule_parser *parser, struct rule *rule, char *value)
{
	return take_id(parser, value, 1, &rule->info.sid);
}

static int parse_gid(struct rule_parser *parser, struct rule *rule, char *value)
{
	return take_id(parser, value, 1, &rule->info.gid);
}

static int parse_rev(struct rule_parser *parser, struct rule *rule, char *value)
{
	return take_id(parser, value, 0, &rule->info.rev);
}

static int parse_classtype(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_info *info = &rule->info;
	uint8_t priority;

	if (!rule_is_utf8(value))
		return RULE_UNSUPPORTED(parser, "the text is no UTF-8");
	info->classtype = rule_arena_copy(parser->arena, value, strlen(value));
	if (!info->classtype)
		return -ENOMEM;
	if (rule_classification(parser, value, &info->category, &priority) < 0)
		/* One of the user's own: as Suricata, its name, and the default priority. */
		info->category = info->classtype;
	else if (!rule->has_priority)
		info->priority = priority;
	return 0;
}

static int parse_priority(struct rule_parser *parser, struct rule *rule, char *value)
{
	int64_t number;

	if (!rule_number(value, 1, 255, &number))
		return RULE_INVALID(parser, "\"%.40s\" is no number from 1 to 255", value);
	rule->info.priority = (uint8_t)number;
	rule->has_priority = true;
	return 0;
}

/* "system,id": for people who read the rule file; Suricata's events do not tell it by default. */
static int parse_reference(struct rule_parser *parser, struct rule *rule, char *value)
{
	return strchr(value, ',') ? 0 : RULE_INVALID(parser, "expected \"system,id\"");
}

/* "key value, key value": told with the event, {"key": ["value"]}. */
static int parse_metadata(struct rule_parser *parser, struct rule *rule, char *value)
{
	json_t *metadata = (json_t *)rule->info.metadata, *values;
	char *piece, *key;

	if (!metadata)
		metadata = json_object();
	if (!metadata)
		return -ENOMEM;
	rule->info.metadata = metadata;
	while ((piece = rule_piece(&value, ','))) {
		key = rule_piece(&piece, ' ');
		if (!*key)
			continue;
		values = json_object_get(metadata, key);
		if (!values) {
			values = json_array();
			/* Fails for what is no UTF-8, too. */
			if (json_object_set_new(metadata, key, values) < 0)
				return RULE_UNSUPPORTED(parser, "the text is no UTF-8");
		}
		if (json_array_append_new(values, json_string(piece ? rule_trim(piece) : "")) < 0)
			return RULE_UNSUPPORTED(parser, "the text is no UTF-8");
	}
	return 0;
}

static int parse_target(struct rule_parser *parser, struct rule *rule, char *value)
{
	if (strcmp(value, "src_ip") == 0)
		rule->info.target = RULE_TARGET_SOURCE;
	else if (strcmp(value, "dest_ip") == 0)
		rule->info.target = RULE_TARGET_DESTINATION;
	else
		return RULE_INVALID(parser, "\"%.40s\": valid are src_ip and dest_ip", value);
	return 0;
}

/* Where Suricata is to look first. Here all that can be looked for by pattern is. */
static int parse_prefilter(struct rule_parser *parser, struct rule *rule, char *value)
{
	return 0;
}

const struct rule_keyword rule_keywords_meta[] = {
	{"msg", RULE_VALUE_REQUIRED, parse_msg},
	{"sid", RULE_VALUE_REQUIRED, parse_sid},
	{"gid", RULE_VALUE_REQUIRED, parse_gid},
	{"rev", RULE_VALUE_REQUIRED, parse_rev},
	{"classtype", RULE_VALUE_REQUIRED, parse_classtype},
	{"priority", RULE_VALUE_REQUIRED, parse_priority},
	{"reference", RULE_VALUE_REQUIRED, parse_reference},
	{"metadata", RULE_VALUE_REQUIRED, parse_metadata},
	{"target", RULE_VALUE_REQUIRED, parse_target},
	{"prefilter", RULE_VALUE_NONE, parse_prefilter},
	{0},
};
