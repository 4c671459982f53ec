/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options that choose a buffer of a message: for what follows (http.uri), for the content before
 * (http_uri), or in one (uricontent, urilen, dns.opcode); transforms of buffers; bsize.
 */
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ---- choosing ---- */

static int find_use(struct rule_parser *parser, const struct rule_use *use, uint8_t *out)
{
	int number = rule_buffers_use(parser->buffers, use);

	if (number < 0)
		return RULE_UNSUPPORTED(parser,
			"more than %d buffers and ways to transform them in all",
			RULE_USES_MAX - 1);
	*out = (uint8_t)number;
	return 0;
}

static int choose(struct rule_parser *parser, struct rule *rule, enum rule_buffer buffer)
{
	struct rule_use use = {.buffer = (uint8_t)buffer};

	parser->use_chosen = rule->item_count;
	parser->has_transforms = false;
	return find_use(parser, &use, &parser->use);
}

/* The keyword itself tells which buffer: parser->keyword is its name. */
static int parse_sticky(struct rule_parser *parser, struct rule *rule, char *value)
{
	for (int i = 1; i < RULE_BUFFER_COUNT; i++)
		if (rule_buffer_infos[i].name
			&& strcmp(rule_buffer_infos[i].name, parser->keyword) == 0)
			return choose(parser, rule, (enum rule_buffer)i);
	return -EINVAL;
}

static int parse_file_data(struct rule_parser *parser, struct rule *rule, char *value)
{
	return choose(parser, rule, RULE_HTTP_RESPONSE_BODY);
}

static int parse_tls_sni(struct rule_parser *parser, struct rule *rule, char *value)
{
	return choose(parser, rule, RULE_TLS_SNI);
}

static int parse_dns_query(struct rule_parser *parser, struct rule *rule, char *value)
{
	return choose(parser, rule, RULE_DNS_QUERY);
}

static int parse_ja3_hash(struct rule_parser *parser, struct rule *rule, char *value)
{
	return choose(parser, rule, RULE_JA3_HASH);
}

static int parse_ja3_string(struct rule_parser *parser, struct rule *rule, char *value)
{
	return choose(parser, rule, RULE_JA3_STRING);
}

/* Moves an item out of the payload into a buffer. */
static int move_item(struct rule_parser *parser, struct rule_item *item, enum rule_buffer buffer)
{
	struct rule_use use = {.buffer = (uint8_t)buffer};

	if (item->use != 0)
		return RULE_INVALID(parser, "is for something that is in a buffer already");
	if (item->type == RULE_CONTENT && item->content.replacement)
		return RULE_INVALID(parser, "cannot be together with replace");
	return find_use(parser, &use, &item->use);
}

static int parse_modifier(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = rule_last_content(parser, rule);

	if (!item)
		return RULE_INVALID(parser, "needs a content before it");
	for (int i = 1; i < RULE_BUFFER_COUNT; i++)
		if (rule_buffer_infos[i].modifier
			&& strcmp(rule_buffer_infos[i].modifier, parser->keyword) == 0)
			return move_item(parser, item, (enum rule_buffer)i);
	return -EINVAL;
}

int rule_choose_by_letter(struct rule_parser *parser, struct rule_item *item, char letter)
{
	for (int i = 1; i < RULE_BUFFER_COUNT; i++) {
		if (!rule_buffer_infos[i].letter || rule_buffer_infos[i].letter != letter)
			continue;
		/* Behind a sticky buffer they say the same, or contradict it. */
		if (item->use != 0
			&& parser->buffers->uses[item->use].buffer != rule_buffer_infos[i].buffer)
			return RULE_INVALID(
				parser, "/%c is for another buffer than the chosen one", letter);
		return item->use != 0 ? 0 : move_item(parser, item, (enum rule_buffer)i);
	}
	if (letter == 'K')
		return RULE_UNSUPPORTED(parser, "/K is not supported");
	return -ENOENT;
}

/* ---- transforms ---- */

static const struct {
	const char *name;
	enum rule_transform transform;
} transforms[] = {
	{"to_lowercase", RULE_TO_LOWERCASE},
	{"to_uppercase", RULE_TO_UPPERCASE},
	{"strip_whitespace", RULE_STRIP_WHITESPACE},
	{"compress_whitespace", RULE_COMPRESS_WHITESPACE},
	{"url_decode", RULE_URL_DECODE},
	{"dotprefix", RULE_DOTPREFIX},
	{"to_md5", RULE_TO_MD5},
	{"to_sha1", RULE_TO_SHA1},
	{"to_sha256", RULE_TO_SHA256},
};

static int add_transform(struct rule_parser *parser, enum rule_transform transform)
{
	struct rule_use use = parser->buffers->uses[parser->use];

	if (use.transform_count == RULE_TRANSFORMS_MAX)
		return RULE_UNSUPPORTED(
			parser, "more than %d transforms of one buffer", RULE_TRANSFORMS_MAX);
	use.transforms[use.transform_count++] = (uint8_t)transform;
	parser->has_transforms = true;
	return find_use(parser, &use, &parser->use);
}

static int parse_transform(struct rule_parser *parser, struct rule *rule, char *value)
{
	if (parser->use == 0)
		return RULE_UNSUPPORTED(parser, "transforms of the payload are not supported");
	if (rule->item_count != parser->use_chosen)
		return RULE_INVALID(
			parser, "has to stand behind the buffer, before what is looked for in it");
	if (rule_use_info(parser->buffers, parser->use)->stage == APP_STAGE_BODY)
		return RULE_UNSUPPORTED(parser, "transforms of bodies are not supported");
	for (size_t i = 0; i < sizeof(transforms) / sizeof(transforms[0]); i++)
		if (strcmp(transforms[i].name, parser->keyword) == 0)
			return add_transform(parser, transforms[i].transform);
	return -EINVAL;
}

/* ---- sizes ---- */

/* "12", "!12", "<12", "<=12", ">12", ">=12", "5<>12" (bounds excluded), "5-12" likewise. */
static int parse_size(struct rule_parser *parser, struct rule_size *size, char *text)
{
	static const struct {
		const char *text;
		enum rule_comparison comparison;
	} signs[] = {{"<=", RULE_BELOW_OR_EQUAL}, {">=", RULE_ABOVE_OR_EQUAL}, {"<", RULE_BELOW},
		{">", RULE_ABOVE}, {"!", RULE_NOT_EQUAL}};
	char *between = strstr(text, "<>");
	int64_t low, high = 0;

	size->comparison = RULE_EQUAL;
	if (between) {
		*between = '\0';
		size->comparison = RULE_BETWEEN;
		if (!rule_number(rule_trim(between + 2), 0, UINT32_MAX, &high))
			return RULE_INVALID(parser, "\"%.20s\" is no number", between + 2);
	}
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]) && !between; i++) {
		if (strncmp(text, signs[i].text, strlen(signs[i].text)) != 0)
			continue;
		size->comparison = signs[i].comparison;
		text += strlen(signs[i].text);
		break;
	}
	text = rule_trim(text);
	if (!rule_number(text, 0, UINT32_MAX, &low))
		return RULE_INVALID(parser, "\"%.20s\" is no number", text);
	if (between && low >= high)
		return RULE_INVALID(parser, "nothing is between %lld and %lld", (long long)low,
			(long long)high);
	size->low = (uint32_t)low;
	size->high = (uint32_t)high;
	return 0;
}

static int add_size(struct rule_parser *parser, struct rule *rule, char *text)
{
	struct rule_item *item = rule_add_item(parser, rule, RULE_SIZE);
	int code = item ? parse_size(parser, &item->size, text) : -ENOTSUP;

	if (item && code < 0)
		rule_remove_item(rule);
	return code;
}

static int parse_bsize(struct rule_parser *parser, struct rule *rule, char *value)
{
	if (parser->use == 0)
		return RULE_INVALID(parser, "needs a buffer before it, as http.uri");
	if (rule_use_info(parser->buffers, parser->use)->stage == APP_STAGE_BODY)
		return RULE_UNSUPPORTED(parser,
			"the size of a body is known when it is over, and has gone on by then");
	return add_size(parser, rule, value);
}

/* "urilen:<10", "urilen:5<>10,raw": of the normalised one, unless raw is said. */
static int parse_urilen(struct rule_parser *parser, struct rule *rule, char *value)
{
	char *text = rule_piece(&value, ','), *kind = value ? rule_trim(value) : NULL;
	uint8_t chosen = parser->use;
	uint16_t since = parser->use_chosen;
	int code;

	if (kind && strcmp(kind, "raw") != 0 && strcmp(kind, "norm") != 0)
		return RULE_INVALID(parser, "\"%.20s\": valid are raw and norm", kind);
	code = choose(
		parser, rule, kind && strcmp(kind, "raw") == 0 ? RULE_HTTP_URI_RAW : RULE_HTTP_URI);
	if (code == 0)
		code = add_size(parser, rule, text);
	parser->use = chosen;
	parser->use_chosen = since;
	return code;
}

static int parse_uricontent(struct rule_parser *parser, struct rule *rule, char *value)
{
	uint8_t chosen = parser->use;
	int code;

	parser->use = 0;
	code = rule_parse_content(parser, rule, value);
	parser->use = chosen;
	if (code < 0)
		return code;
	return move_item(parser, &parser->items[rule->item_count - 1], RULE_HTTP_URI);
}

/* "dns.opcode:4", "dns.opcode:!0": the number is looked at as a buffer of one byte. */
static int parse_dns_opcode(struct rule_parser *parser, struct rule *rule, char *value)
{
	bool is_negated = *value == '!';
	uint8_t chosen = parser->use;
	struct rule_item *item;
	int64_t number;
	int code;

	if (!rule_number(rule_trim(value + is_negated), 0, 15, &number))
		return RULE_INVALID(parser, "\"%.20s\" is no number from 0 to 15", value);
	code = choose(parser, rule, RULE_DNS_OPCODE);
	item = code == 0 ? rule_add_item(parser, rule, RULE_BYTE_TEST) : NULL;
	parser->use = chosen;
	if (!item)
		return -ENOTSUP;
	item->is_negated = is_negated;
	item->byte.size = 1;
	item->byte.operator= RULE_BYTE_EQUAL;
	item->byte.value = (uint64_t)number;
	return 0;
}

#define STICKY(name)                                                                               \
	{                                                                                          \
		name, RULE_VALUE_NONE, parse_sticky                                                \
	}
#define MODIFIER(name)                                                                             \
	{                                                                                          \
		name, RULE_VALUE_NONE, parse_modifier                                              \
	}

const struct rule_keyword rule_keywords_app[] = {
	STICKY("http.method"),
	STICKY("http.uri"),
	STICKY("http.uri.raw"),
	STICKY("http.request_line"),
	STICKY("http.protocol"),
	STICKY("http.host"),
	STICKY("http.host.raw"),
	STICKY("http.header"),
	STICKY("http.header.raw"),
	STICKY("http.header_names"),
	STICKY("http.start"),
	STICKY("http.cookie"),
	STICKY("http.user_agent"),
	STICKY("http.referer"),
	STICKY("http.accept"),
	STICKY("http.accept_lang"),
	STICKY("http.accept_enc"),
	STICKY("http.connection"),
	STICKY("http.content_type"),
	STICKY("http.content_len"),
	STICKY("http.server"),
	STICKY("http.location"),
	STICKY("http.stat_code"),
	STICKY("http.stat_msg"),
	STICKY("http.response_line"),
	STICKY("http.request_body"),
	STICKY("http.response_body"),
	STICKY("tls.sni"),
	STICKY("ja3.hash"),
	STICKY("ja3.string"),
	STICKY("dns.query"),
	/* Older names of the same. */
	{"file.data", RULE_VALUE_NONE, parse_file_data},
	{"file_data", RULE_VALUE_NONE, parse_file_data},
	{"tls_sni", RULE_VALUE_NONE, parse_tls_sni},
	{"dns_query", RULE_VALUE_NONE, parse_dns_query},
	{"ja3_hash", RULE_VALUE_NONE, parse_ja3_hash},
	{"ja3_string", RULE_VALUE_NONE, parse_ja3_string},
	MODIFIER("http_method"),
	MODIFIER("http_uri"),
	MODIFIER("http_raw_uri"),
	MODIFIER("http_host"),
	MODIFIER("http_raw_host"),
	MODIFIER("http_header"),
	MODIFIER("http_raw_header"),
	MODIFIER("http_cookie"),
	MODIFIER("http_user_agent"),
	MODIFIER("http_stat_code"),
	MODIFIER("http_stat_msg"),
	MODIFIER("http_client_body"),
	MODIFIER("http_server_body"),
	{"uricontent", RULE_VALUE_REQUIRED, parse_uricontent},
	{"urilen", RULE_VALUE_REQUIRED, parse_urilen},
	{"bsize", RULE_VALUE_REQUIRED, parse_bsize},
	{"dns.opcode", RULE_VALUE_REQUIRED, parse_dns_opcode},
	{"to_lowercase", RULE_VALUE_NONE, parse_transform},
	{"to_uppercase", RULE_VALUE_NONE, parse_transform},
	{"strip_whitespace", RULE_VALUE_NONE, parse_transform},
	{"compress_whitespace", RULE_VALUE_NONE, parse_transform},
	{"url_decode", RULE_VALUE_NONE, parse_transform},
	{"dotprefix", RULE_VALUE_NONE, parse_transform},
	{"to_md5", RULE_VALUE_NONE, parse_transform},
	{"to_sha1", RULE_VALUE_NONE, parse_transform},
	{"to_sha256", RULE_VALUE_NONE, parse_transform},
	{0},
};

/* ---- the rule ---- */

static bool has_use(
	const struct rule_parser *parser, const struct rule *rule, uint8_t use, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (parser->items[i].use == use)
			return true;
	return false;
}

static bool is_body(const struct rule_parser *parser, uint8_t use)
{
	return rule_use_info(parser->buffers, use)->stage == APP_STAGE_BODY;
}

/* Items of a buffer, in their order, behind those that are sorted already. */
static void take_part(struct rule_parser *parser, const struct rule *rule, uint8_t use,
	struct rule_item *sorted, uint16_t *count, struct rule_part *part)
{
	*part = (struct rule_part){.use = use, .first = *count};
	for (size_t i = 0; i < rule->item_count; i++)
		if (parser->items[i].use == use)
			sorted[(*count)++] = parser->items[i];
	part->count = (uint16_t)(*count - part->first);
}

/* Parts in the order in which the rule names them, but a body behind the others. */
static int sort_parts(struct rule_parser *parser, struct rule *rule)
{
	struct rule_item sorted[RULE_ITEMS_MAX];
	struct rule_part parts[RULE_ITEMS_MAX];
	uint16_t count = 0;
	uint8_t part_count = 0;

	for (int bodies = 0; bodies < 2; bodies++) {
		for (size_t i = 0; i < rule->item_count; i++) {
			uint8_t use = parser->items[i].use;

			if (is_body(parser, use) == bodies && !has_use(parser, rule, use, i))
				take_part(parser, rule, use, sorted, &count, &parts[part_count++]);
		}
	}
	memcpy(parser->items, sorted, count * sizeof(sorted[0]));
	rule->part_count = part_count;
	rule->parts = (struct rule_part *)rule_arena_copy(
		parser->arena, parts, part_count * sizeof(parts[0]));
	return rule->parts ? 0 : -ENOMEM;
}

/* Protocol, directions and stage that a buffer asks for. */
static int settle_use(struct rule_parser *parser, struct rule *rule, uint8_t use)
{
	const struct rule_buffer_info *info = rule_use_info(parser->buffers, use);

	if (use == 0) {
		strcpy(parser->keyword, "content");
		return RULE_UNSUPPORTED(parser,
			"looking into a buffer and into the whole stream in one rule is not "
			"supported");
	}
	if (rule->app_protocol != APP_UNKNOWN && rule->app_protocol != info->protocol)
		return RULE_INVALID(parser, "%s is of %s, but the rule is for %s",
			info->name ? info->name : "dns.opcode", app_protocol_name(info->protocol),
			app_protocol_name((enum app_protocol)rule->app_protocol));
	rule->app_protocol = (uint8_t)info->protocol;
	rule->app_directions &= (uint8_t)info->directions;
	if (info->stage > rule->app_stage)
		rule->app_stage = (uint8_t)info->stage;
	return 0;
}

static int settle_header(struct rule_parser *parser, const struct rule *rule)
{
	bool fits = rule->protocol == RULE_PROTOCOL_ANY || rule->protocol == IPPROTO_TCP
		|| (rule->protocol == IPPROTO_UDP && rule->app_protocol == APP_DNS);

	if (!fits)
		return RULE_INVALID(parser, "the rule's protocol does not carry %s",
			app_protocol_name((enum app_protocol)rule->app_protocol));
	if (rule->app_directions == 0)
		return RULE_INVALID(parser,
			"the rule's direction, and those of the buffers it looks into, exclude "
			"each "
			"other");
	if (rule->wants_packet_only && rule->protocol == IPPROTO_TCP && rule->test_count == 0)
		return RULE_INVALID(parser, "packets alone have no buffers of messages");
	return 0;
}

int rule_settle_buffers(struct rule_parser *parser, struct rule *rule)
{
	bool has_buffers = false;
	int code = 0;

	for (size_t i = 0; i < rule->item_count; i++)
		has_buffers |= parser->items[i].use != 0;
	if (!has_buffers)
		return 0;
	rule->app_directions = RULE_APP_BOTH;
	if (rule->flow & RULE_FLOW_TO_SERVER)
		rule->app_directions = RULE_APP_TO_SERVER;
	if (rule->flow & RULE_FLOW_TO_CLIENT)
		rule->app_directions = RULE_APP_TO_CLIENT;
	for (size_t i = 0; i < rule->item_count && code == 0; i++)
		code = settle_use(parser, rule, parser->items[i].use);
	if (code == 0)
		code = settle_header(parser, rule);
	rule->looks_at_packet = rule->looks_at_stream = false;
	return code < 0 ? code : sort_parts(parser, rule);
}
