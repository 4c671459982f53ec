/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that look into the payload: content and its modifiers, pcre. */
#include "base/hex.h"
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* ---- content ---- */

/* "|0d 0A|" behind its first bar; *at ends behind the second one. */
static int decode_hex(struct rule_parser *parser, const char **at, uint8_t *out, size_t *size)
{
	int high = -1, digit;

	for (; **at != '|'; (*at)++) {
		if (**at == '\0')
			return RULE_INVALID(parser, "the hex bytes do not end with \"|\"");
		if (isspace((unsigned char)**at))
			continue;
		digit = hex_value(**at);
		if (digit < 0)
			return RULE_INVALID(parser, "\"%c\" between \"|\" is no hex digit", **at);
		if (high >= 0)
			out[(*size)++] = (uint8_t)(high << 4 | digit);
		high = high >= 0 ? -1 : digit;
	}
	(*at)++;
	return high < 0 ? 0 : RULE_INVALID(parser, "the hex bytes have an odd number of digits");
}

/* Text with |hex| and backslashes before \ " ; : in place into bytes. */
static int decode_pattern(struct rule_parser *parser, const char *text, uint8_t *out, size_t *size)
{
	const char *at = text;
	int code = 0;

	*size = 0;
	while (*at && code == 0) {
		if (*at == '|') {
			at++;
			code = decode_hex(parser, &at, out, size);
		} else if (*at == '"') {
			code = RULE_INVALID(parser, "a quote in it needs a backslash");
		} else if (*at == '\\') {
			if (!at[1] || !strchr("\\\";:", at[1]))
				return RULE_INVALID(parser,
					"only \\\\ \\\" \\; and \\: can be escaped: write |5c| for "
					"a "
					"backslash");
			out[(*size)++] = (uint8_t)at[1];
			at += 2;
		} else {
			out[(*size)++] = (uint8_t)*at++;
		}
	}
	if (code == 0 && *size == 0)
		return RULE_INVALID(parser, "the pattern is empty");
	return code;
}

/* The decoded pattern of a quoted value, in the arena. */
static int take_pattern(struct rule_parser *parser, char *value, const uint8_t **out,
	uint32_t *out_size, bool *is_negated)
{
	char *text = rule_unquote(value, is_negated);
	uint8_t *bytes;
	size_t size;
	int code;

	if (!text)
		return RULE_INVALID(parser, "the pattern must stand in double quotes");
	bytes = rule_arena_take(parser->arena, strlen(text) + 1);
	if (!bytes)
		return -ENOMEM;
	code = decode_pattern(parser, text, bytes, &size);
	*out = bytes;
	*out_size = (uint32_t)size;
	return code;
}

int rule_parse_content(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = rule_add_item(parser, rule, RULE_CONTENT);
	int code;

	if (!item)
		return -ENOTSUP;
	code = take_pattern(
		parser, value, &item->content.bytes, &item->content.size, &item->is_negated);
	if (code < 0)
		rule_remove_item(rule);
	return code;
}

/* The content that a modifier speaks of. */
static struct rule_item *modified(struct rule_parser *parser, struct rule *rule)
{
	struct rule_item *item = rule_last_content(parser, rule);

	if (!item)
		RULE_INVALID(parser, "needs a content before it");
	return item;
}

static int parse_nocase(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = modified(parser, rule);

	if (!item)
		return -EINVAL;
	if (item->content.is_nocase)
		return RULE_INVALID(parser, "given twice for one content");
	item->content.is_nocase = true;
	return 0;
}

struct position_keyword {
	int64_t min;
	bool is_relative;
	size_t given, variable; /* offsets in struct rule_content */
};

#define POSITION_KEYWORD(name, min_, is_relative_)                                                 \
	(struct position_keyword)                                                                  \
	{                                                                                          \
		.min = (min_), .is_relative = (is_relative_),                                      \
		.given = offsetof(struct rule_content, has_##name),                                \
		.variable = offsetof(struct rule_content, name##_variable),                        \
	}

/* offset, depth, distance, within: a number, or a variable, once, and not of both kinds. */
static int parse_position(struct rule_parser *parser, struct rule *rule, const char *value,
	struct position_keyword keyword, struct rule_item **out, int64_t *number)
{
	struct rule_item *item = modified(parser, rule);
	bool *given;
	int code;

	if (!item)
		return -EINVAL;
	given = (bool *)((char *)&item->content + keyword.given);
	code = rule_value(parser, rule, value, keyword.min, RULE_POSITION_MAX, number,
		(uint8_t *)&item->content + keyword.variable);
	if (code < 0)
		return code;
	if (item->content.starts_with)
		return RULE_INVALID(parser, "cannot be together with startswith");
	if (*given)
		return RULE_INVALID(parser, "given twice for one content");
	if (keyword.is_relative ? item->content.has_offset || item->content.has_depth
				: item->content.has_distance || item->content.has_within)
		return RULE_INVALID(parser,
			"offset and depth cannot be together with distance and within for one "
			"content");
	*given = true;
	*out = item;
	return 0;
}

/* A range that is known must hold the content. */
static int check_range(
	struct rule_parser *parser, const struct rule_item *item, int64_t number, uint8_t variable)
{
	if (variable == 0 && number < item->content.size)
		return RULE_INVALID(parser, "%d is less than the content's %u bytes", (int)number,
			item->content.size);
	return 0;
}

static int parse_offset(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = NULL;
	int64_t number;
	int code = parse_position(
		parser, rule, value, POSITION_KEYWORD(offset, 0, false), &item, &number);

	if (code == 0)
		item->content.offset = (uint32_t)number;
	return code;
}

static int parse_depth(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = NULL;
	int64_t number;
	int code = parse_position(
		parser, rule, value, POSITION_KEYWORD(depth, 1, false), &item, &number);

	if (code < 0)
		return code;
	item->content.depth = (uint32_t)number;
	return check_range(parser, item, number, item->content.depth_variable);
}

static int parse_distance(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = NULL;
	int64_t number;
	int code = parse_position(parser, rule, value,
		POSITION_KEYWORD(distance, -RULE_POSITION_MAX, true), &item, &number);

	if (code < 0)
		return code;
	item->content.distance = (int32_t)number;
	item->is_relative = true;
	return 0;
}

static int parse_within(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = NULL;
	int64_t number;
	int code = parse_position(
		parser, rule, value, POSITION_KEYWORD(within, 1, true), &item, &number);

	if (code < 0)
		return code;
	item->content.within = (int32_t)number;
	item->is_relative = true;
	return check_range(parser, item, number, item->content.within_variable);
}

static int parse_startswith(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = modified(parser, rule);
	struct rule_content *content;

	if (!item)
		return -EINVAL;
	content = &item->content;
	if (content->has_offset || content->has_depth || content->has_distance
		|| content->has_within || content->starts_with)
		return RULE_INVALID(parser,
			"cannot be together with offset, depth, distance, within or itself");
	content->starts_with = true;
	content->has_depth = true;
	content->depth = content->size;
	return 0;
}

static int parse_endswith(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = modified(parser, rule);

	if (!item)
		return -EINVAL;
	if (item->content.ends_with)
		return RULE_INVALID(parser, "given twice for one content");
	item->content.ends_with = true;
	return 0;
}

/* fast_pattern, fast_pattern:only, fast_pattern:offset,size */
static int parse_fast_pattern(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = modified(parser, rule);
	struct rule_content *content;
	int64_t offset, size;

	if (!item)
		return -EINVAL;
	content = &item->content;
	for (size_t i = 0; i < rule->item_count; i++)
		if (parser->items[i].type == RULE_CONTENT
			&& parser->items[i].content.is_fast_pattern)
			return RULE_INVALID(parser, "given twice in one rule");
	if (item->is_negated && (item->is_relative || content->has_offset || content->has_depth))
		return RULE_INVALID(parser, "cannot be for a negated content with a position");
	content->is_fast_pattern = true;
	if (!value || strcmp(value, "only") == 0)
		return 0;
	if (!rule_number(rule_piece(&value, ','), 0, RULE_POSITION_MAX, &offset) || !value
		|| !rule_number(rule_trim(value), 1, RULE_POSITION_MAX, &size))
		return RULE_INVALID(parser, "valid are: no value, \"only\", or \"offset,size\"");
	if (offset + size > content->size)
		return RULE_INVALID(
			parser, "the part reaches beyond the content's %u bytes", content->size);
	content->chop_offset = (uint16_t)offset;
	content->chop_size = (uint16_t)size;
	return 0;
}

static int parse_replace(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = modified(parser, rule);
	const uint8_t *bytes;
	bool is_negated;
	uint32_t size;
	int code;

	if (!item)
		return -EINVAL;
	code = take_pattern(parser, value, &bytes, &size, &is_negated);
	if (code < 0)
		return code;
	if (item->use != 0)
		return RULE_UNSUPPORTED(parser, "buffers of messages cannot be changed");
	if (is_negated || item->is_negated)
		return RULE_INVALID(parser, "cannot be negated, or for a negated content");
	if (item->content.replacement)
		return RULE_INVALID(parser, "given twice for one content");
	if (size != item->content.size && rule->protocol != IPPROTO_UDP
		&& rule->protocol != IPPROTO_TCP)
		return RULE_INVALID(parser,
			"has %u bytes, but the content %u: they must be as many, except for tcp "
			"and udp",
			size, item->content.size);
	item->content.replacement = bytes;
	item->content.replacement_size = (uint16_t)size;
	rule->has_replace = true;
	return 0;
}

static int parse_pkt_data(struct rule_parser *parser, struct rule *rule, char *value)
{
	parser->use = 0;
	return 0;
}

/* The payload is never changed before rules see it, so this chooses what is chosen anyway. */
static int parse_rawbytes(struct rule_parser *parser, struct rule *rule, char *value)
{
	return 0;
}

/* ---- pcre ---- */

static int parse_pcre_option(
	struct rule_parser *parser, struct rule_item *item, char letter, uint32_t *options)
{
	static const struct {
		char letter;
		uint32_t option;
	} letters[] = {{'i', PCRE2_CASELESS}, {'s', PCRE2_DOTALL}, {'m', PCRE2_MULTILINE},
		{'x', PCRE2_EXTENDED}, {'A', PCRE2_ANCHORED}, {'E', PCRE2_DOLLAR_ENDONLY},
		{'G', PCRE2_UNGREEDY}, {'B', 0}, {'O', 0}};
	int code;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		if (letters[i].letter == letter) {
			*options |= letters[i].option;
			return 0;
		}
	}
	if (letter == 'R') {
		item->is_relative = true;
		return 0;
	}
	if (letter == ',')
		return RULE_UNSUPPORTED(parser, "variables taken from groups are not supported");
	code = rule_choose_by_letter(parser, item, letter);
	if (code != -ENOENT)
		return code;
	return RULE_INVALID(parser, "\"%c\" behind the last \"/\" is no option", letter);
}

static int compile_pcre(
	struct rule_parser *parser, struct rule_item *item, const char *regex, uint32_t options)
{
	PCRE2_UCHAR message[120];
	PCRE2_SIZE where;
	int code;

	/* Suricata stores what such groups catch; doing half of it would be another rule. */
	if (strstr(regex, "(?P<flow_") || strstr(regex, "(?P<pkt_"))
		return RULE_UNSUPPORTED(parser, "variables taken from groups are not supported");
	item->pcre.code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
		options | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &code,
		&where, NULL);
	if (!item->pcre.code) {
		pcre2_get_error_message(code, message, sizeof(message));
		return RULE_INVALID(parser, "%s, at character %zu of the expression",
			(const char *)message, where + 1);
	}
	/* Where the system forbids making code executable, matching goes on without. */
	(void)pcre2_jit_compile(item->pcre.code, PCRE2_JIT_COMPLETE);
	return 0;
}

static int parse_pcre(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = rule_add_item(parser, rule, RULE_PCRE);
	uint32_t options = 0;
	char *text, *slash;
	int code = 0;

	if (!item)
		return -ENOTSUP;
	text = rule_unquote(value, &item->is_negated);
	slash = text ? strrchr(text, '/') : NULL;
	if (!text || text[0] != '/' || slash == text) {
		rule_remove_item(rule);
		return RULE_INVALID(parser, "expected \"/expression/options\"");
	}
	for (const char *letter = slash + 1; code == 0 && *letter; letter++)
		code = parse_pcre_option(parser, item, *letter, &options);
	if (code == 0) {
		*slash = '\0';
		code = compile_pcre(parser, item, text + 1, options);
	}
	if (code < 0)
		rule_remove_item(rule);
	return code;
}

const struct rule_keyword rule_keywords_payload[] = {
	{"content", RULE_VALUE_REQUIRED, rule_parse_content},
	{"nocase", RULE_VALUE_NONE, parse_nocase},
	{"offset", RULE_VALUE_REQUIRED, parse_offset},
	{"depth", RULE_VALUE_REQUIRED, parse_depth},
	{"distance", RULE_VALUE_REQUIRED, parse_distance},
	{"within", RULE_VALUE_REQUIRED, parse_within},
	{"startswith", RULE_VALUE_NONE, parse_startswith},
	{"endswith", RULE_VALUE_NONE, parse_endswith},
	{"fast_pattern", RULE_VALUE_OPTIONAL, parse_fast_pattern},
	{"replace", RULE_VALUE_REQUIRED, parse_replace},
	{"rawbytes", RULE_VALUE_NONE, parse_rawbytes},
	{"pkt_data", RULE_VALUE_NONE, parse_pkt_data},
	{"pcre", RULE_VALUE_REQUIRED, parse_pcre},
	{0},
};

/* ---- what depends on several options ---- */

static int fold_contents(struct rule_parser *parser, struct rule *rule)
{
	for (size_t i = 0; i < rule->item_count; i++) {
		struct rule_content *content = &parser->items[i].content;
		uint8_t *folded;

		if (parser->items[i].type != RULE_CONTENT || !content->is_nocase)
			continue;
		folded = rule_arena_take(parser->arena, content->size);
		if (!folded)
			return -ENOMEM;
		for (size_t k = 0; k < content->size; k++)
			folded[k] = (uint8_t)tolower(content->bytes[k]);
		content->folded = folded;
	}
	return 0;
}

/* Where a rule for TCP looks, as Suricata decides: at packets where an option speaks of packets;
 * else at the stream, and with offset or depth at both. */
static int settle_scope(struct rule_parser *parser, struct rule *rule)
{
	bool has_position = false;

	if (rule->flow & RULE_FLOW_ONLY_STREAM)
		rule->wants_stream_only = true;
	if (rule->flow & RULE_FLOW_NO_STREAM)
		rule->wants_packet_only = true;
	if (rule->wants_stream_only && (rule->wants_packet_only || rule->test_count > 0)) {
		strcpy(parser->keyword, "flow");
		return RULE_INVALID(
			parser, "the rule asks for the stream alone, and for fields of packets");
	}
	for (size_t i = 0; i < rule->item_count; i++)
		has_position |= parser->items[i].type == RULE_CONTENT
			&& (parser->items[i].content.has_offset
				|| parser->items[i].content.has_depth);
	for (size_t i = 0; i < rule->test_count; i++)
		rule->wants_packet_only |= parser->tests[i].field != RULE_FIELD_IP_PROTO;
	rule->looks_at_stream = rule->item_count > 0 && !rule->wants_packet_only;
	rule->looks_at_packet =
		!rule->looks_at_stream || (has_position && !rule->wants_stream_only);
	return 0;
}

int rule_settle_payload(struct rule_parser *parser, struct rule *rule)
{
	int code = settle_scope(parser, rule);

	return code < 0 ? code : fold_contents(parser, rule);
}
