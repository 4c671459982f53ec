/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/rule_parse.h"

#include "packet/inspect/builtin/rules/rule_lexer.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers of the keywords ---- */

bool rule_number(const char *text, int64_t min, int64_t max, int64_t *out)
{
	const char *digits = text + (*text == '-' || *text == '+');
	int base = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10;
	long long number;
	char *end;

	if (!isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	number = strtoll(text, &end, base);
	if (*end || errno || number < min || number > max)
		return false;
	*out = number;
	return true;
}

char *rule_piece(char **at, char separator)
{
	char *piece = *at, *end;

	if (!piece)
		return NULL;
	end = strchr(piece, separator);
	*at = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return rule_trim(piece);
}

char *rule_unquote(char *value, bool *is_negated)
{
	size_t size;

	*is_negated = *value == '!';
	if (*is_negated)
		value = rule_trim(value + 1);
	size = strlen(value);
	if (size < 2 || value[0] != '"' || value[size - 1] != '"')
		return NULL;
	value[size - 1] = '\0';
	return value + 1;
}

struct rule_item *rule_add_item(
	struct rule_parser *parser, struct rule *rule, enum rule_item_type type)
{
	struct rule_item *item = &parser->items[rule->item_count];

	if (rule->item_count == RULE_ITEMS_MAX) {
		RULE_UNSUPPORTED(
			parser, "more than %d tests of the payload in one rule", RULE_ITEMS_MAX);
		return NULL;
	}
	rule->item_count++;
	*item = (struct rule_item){.type = type, .use = parser->use};
	return item;
}

void rule_remove_item(struct rule *rule)
{
	rule->item_count--;
}

int rule_value(struct rule_parser *parser, const struct rule *rule, const char *text, int64_t min,
	int64_t max, int64_t *out, uint8_t *variable)
{
	*variable = 0;
	*out = 0;
	if (!text || !*text)
		return RULE_INVALID(parser, "a number is missing");
	if (!isalpha((unsigned char)*text) && *text != '_') {
		if (rule_number(text, min, max, out))
			return 0;
		return RULE_INVALID(parser, "\"%.40s\" is no number from %lld to %lld", text,
			(long long)min, (long long)max);
	}
	for (uint8_t i = 0; i < rule->variable_count; i++) {
		if (strcmp(parser->variables[i], text) != 0)
			continue;
		*variable = (uint8_t)(i + 1);
		return 0;
	}
	/* Perhaps the option that has it was refused: that would be told, not this. */
	return RULE_UNSUPPORTED(
		parser, "\"%.40s\" is the result of no byte_extract or byte_math before it", text);
}

struct rule_item *rule_last_content(struct rule_parser *parser, struct rule *rule)
{
	for (size_t i = rule->item_count; i > 0; i--)
		if (parser->items[i - 1].type == RULE_CONTENT)
			return &parser->items[i - 1];
	return NULL;
}

/* ---- header ---- */

static const struct action_name {
	const char *name;
	enum rule_action action;
	enum rule_rank rank;
} actions[] = {
	{"alert", RULE_ALERT, RULE_RANK_ALERT},
	{"drop", RULE_DROP, RULE_RANK_DROP},
	{"pass", RULE_PASS, RULE_RANK_PASS},
	{"reject", RULE_REJECT, RULE_RANK_REJECT},
	{"rejectsrc", RULE_REJECT, RULE_RANK_REJECT},
	{"rejectdst", RULE_REJECT_DST, RULE_RANK_REJECT},
	{"rejectboth", RULE_REJECT_BOTH, RULE_RANK_REJECT},
};

static const struct protocol_name {
	const char *name;
	int16_t protocol;
	uint8_t ip_version;
	bool stream_only, packet_only;
	enum app_protocol app;
} protocols[] = {
	{"ip", RULE_PROTOCOL_ANY, 0, false, false, APP_UNKNOWN},
	{"pkthdr", RULE_PROTOCOL_ANY, 0, false, false, APP_UNKNOWN},
	{"ip4", RULE_PROTOCOL_ANY, 4, false, false, APP_UNKNOWN},
	{"ipv4", RULE_PROTOCOL_ANY, 4, false, false, APP_UNKNOWN},
	{"ip6", RULE_PROTOCOL_ANY, 6, false, false, APP_UNKNOWN},
	{"ipv6", RULE_PROTOCOL_ANY, 6, false, false, APP_UNKNOWN},
	{"tcp", IPPROTO_TCP, 0, false, false, APP_UNKNOWN},
	{"tcp-pkt", IPPROTO_TCP, 0, false, true, APP_UNKNOWN},
	{"tcp-stream", IPPROTO_TCP, 0, true, false, APP_UNKNOWN},
	{"udp", IPPROTO_UDP, 0, false, false, APP_UNKNOWN},
	{"sctp", IPPROTO_SCTP, 0, false, false, APP_UNKNOWN},
	{"icmp", RULE_PROTOCOL_ICMP, 0, false, false, APP_UNKNOWN},
	{"icmpv4", IPPROTO_ICMP, 4, false, false, APP_UNKNOWN},
	{"icmpv6", IPPROTO_ICMPV6, 6, false, false, APP_UNKNOWN},
	{"http", IPPROTO_TCP, 0, false, false, APP_HTTP},
	{"http1", IPPROTO_TCP, 0, false, false, APP_HTTP},
	{"tls", IPPROTO_TCP, 0, false, false, APP_TLS},
	{"ssl", IPPROTO_TCP, 0, false, false, APP_TLS},
	{"dns", RULE_PROTOCOL_ANY, 0, false, false, APP_DNS},
};

static int blame(struct rule_parser *parser, const char *keyword)
{
	snprintf(parser->keyword, sizeof(parser->keyword), "%s", keyword);
	return 0;
}

/* The next word of the header; blanks inside of brackets belong to it. */
static char *take_word(char **at)
{
	unsigned int depth = 0;
	char *word = *at, *end;

	while (isspace((unsigned char)*word))
		word++;
	for (end = word; *end && (depth > 0 || !isspace((unsigned char)*end)); end++) {
		depth += *end == '[';
		depth -= *end == ']' && depth > 0;
	}
	*at = *end ? end + 1 : end;
	*end = '\0';
	return *word ? word : NULL;
}

static int parse_action(struct rule_parser *parser, struct rule *rule, const char *word)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(word, actions[i].name) != 0)
			continue;
		rule->info.action = actions[i].action;
		rule->rank = actions[i].rank;
		return 0;
	}
	blame(parser, "action");
	return RULE_INVALID(parser,
		"\"%.40s\" is no action: valid are alert, drop, pass, reject, rejectsrc, "
		"rejectdst, "
		"rejectboth",
		word);
}

static int parse_protocol(struct rule_parser *parser, struct rule *rule, const char *word)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(word, protocols[i].name) != 0)
			continue;
		rule->protocol = protocols[i].protocol;
		rule->ip_version = protocols[i].ip_version;
		rule->wants_stream_only = protocols[i].stream_only;
		rule->wants_packet_only = protocols[i].packet_only;
		rule->app_protocol = (uint8_t)protocols[i].app;
		return 0;
	}
	blame(parser, word);
	return RULE_UNSUPPORTED(parser,
		"the protocol \"%.40s\" is not supported: ip, ip4, ip6, tcp, tcp-pkt, tcp-stream, "
		"udp, "
		"sctp, icmp, icmpv4, icmpv6, http, tls and dns are",
		word);
}

/* Addresses and ports of one side. */
static int parse_side(struct rule_parser *parser, const char *name, const char *addresses,
	const char *ports, const struct interval_set **address_set,
	const struct interval_set **port_set)
{
	char keyword[64];
	int code;

	snprintf(keyword, sizeof(keyword), "%s address", name);
	blame(parser, keyword);
	code = networks_addresses(parser->networks, addresses, address_set, &parser->reason);
	if (code < 0)
		return code;
	snprintf(keyword, sizeof(keyword), "%s port", name);
	blame(parser, keyword);
	return networks_ports(parser->networks, ports, port_set, &parser->reason);
}

static int parse_header(struct rule_parser *parser, struct rule *rule, char *text)
{
	char *words[7];
	int code;

	for (size_t i = 0; i < 7; i++) {
		words[i] = take_word(&text);
		if (!words[i]) {
			blame(parser, "header");
			return RULE_INVALID(parser,
				"expected: action protocol addresses ports -> addresses ports (…)");
		}
		code = i == 0    ? parse_action(parser, rule, words[0])
			: i == 1 ? parse_protocol(parser, rule, words[1])
				 : 0;
		if (code < 0)
			return code;
	}
	blame(parser, "direction");
	rule->is_bidirectional = strcmp(words[4], "<>") == 0;
	if (!rule->is_bidirectional && strcmp(words[4], "->") != 0)
		return RULE_INVALID(
			parser, "\"%.40s\" is no direction: valid are -> and <>", words[4]);
	if (*rule_trim(text)) {
		blame(parser, "header");
		return RULE_INVALID(parser, "\"%.40s\" is too much before the options", text);
	}
	code = parse_side(parser, "source", words[2], words[3], &rule->source, &rule->source_ports);
	if (code < 0)
		return code;
	return parse_side(parser, "destination", words[5], words[6], &rule->destination,
		&rule->destination_ports);
}

/* ---- options ---- */

static const struct rule_keyword *find_keyword(const char *name)
{
	const struct rule_keyword *const tables[] = {rule_keywords_meta, rule_keywords_payload,
		rule_keywords_bytes, rule_keywords_header, rule_keywords_state, rule_keywords_app};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct rule_keyword *keyword = tables[i]; keyword->name; keyword++)
			if (strcmp(keyword->name, name) == 0)
				return keyword;
	return NULL;
}

static int parse_option(
	struct rule_parser *parser, struct rule *rule, const struct rule_option *option)
{
	const struct rule_keyword *keyword = find_keyword(option->name);

	blame(parser, option->name);
	if (!keyword)
		return RULE_UNSUPPORTED(parser, "%s", rule_keyword_reason(option->name));
	if (keyword->value == RULE_VALUE_REQUIRED && (!option->value || !*option->value))
		return RULE_INVALID(parser, "a value is missing, as in \"%s: …;\"", option->name);
	if (keyword->value == RULE_VALUE_NONE && option->value)
		return RULE_INVALID(parser, "takes no value");
	return keyword->parse(parser, rule, option->value);
}

/*
 * A fault that makes the rule wrong weighs more than a feature that is missing, and both are
 * looked for to the end, so that the sid is known for the report.
 */
static int parse_options(struct rule_parser *parser, struct rule *rule, char *text)
{
	struct rule_option option;
	const char *reason = NULL;
	struct error first;
	char first_keyword[sizeof(parser->keyword)];
	int code, worst = 0;

	while ((code = rule_option_next(&text, &option, &reason)) > 0) {
		code = parse_option(parser, rule, &option);
		if (code == -ENOMEM)
			return code;
		if (code < 0 && (worst == 0 || (worst == -ENOTSUP && code == -EINVAL))) {
			worst = code;
			first = parser->reason;
			memcpy(first_keyword, parser->keyword, sizeof(first_keyword));
		}
	}
	if (code < 0 && worst != -EINVAL) {
		blame(parser, "options");
		return RULE_INVALID(parser, "%s, at \"%.40s\"", reason, text);
	}
	if (worst < 0) {
		parser->reason = first;
		memcpy(parser->keyword, first_keyword, sizeof(first_keyword));
	}
	return worst;
}

/* ---- the rule ---- */

/* Moves what was collected in the parser to the arena. */
static int keep_lists(struct rule_parser *parser, struct rule *rule)
{
	rule->items = (struct rule_item *)rule_arena_copy(
		parser->arena, parser->items, rule->item_count * sizeof(*rule->items));
	rule->tests = (struct rule_test *)rule_arena_copy(
		parser->arena, parser->tests, rule->test_count * sizeof(*rule->tests));
	rule->flowbits = (struct rule_flowbit *)rule_arena_copy(parser->arena,
		parser->rule_flowbits, rule->flowbit_count * sizeof(*rule->flowbits));
	return rule->items && rule->tests && rule->flowbits ? 0 : -ENOMEM;
}

/* Addresses and protocol alone: Suricata's "IP only" rules, told once a flow and direction. */
static bool is_ip_only(const struct rule *rule)
{
	return rule->item_count == 0 && rule->test_count == 0 && rule->flowbit_count == 0
		&& rule->app_protocol == APP_UNKNOWN && rule->flow == 0 && !rule->source_ports
		&& !rule->destination_ports && !rule->wants_packet_only && !rule->wants_stream_only;
}

static int settle(struct rule_parser *parser, struct rule *rule)
{
	int code;

	if (rule->info.sid == 0) {
		blame(parser, "sid");
		return RULE_INVALID(parser, "the rule has no sid");
	}
	if (rule->protocol == RULE_PROTOCOL_ICMP || rule->protocol == IPPROTO_ICMP
		|| rule->protocol == IPPROTO_ICMPV6) {
		rule->source_ports = NULL; /* they have none; Suricata's do not look either */
		rule->destination_ports = NULL;
	}
	rule->is_ip_only = is_ip_only(rule);
	code = rule_settle_payload(parser, rule);
	if (code == 0)
		code = rule_settle_buffers(parser, rule);
	return code < 0 ? code : keep_lists(parser, rule);
}

/* Cuts "header (options)" at its parentheses. */
static char *cut_options(struct rule_parser *parser, char *text)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')');

	blame(parser, "rule");
	if (!open || !close || close < open || *rule_trim(close + 1)) {
		RULE_INVALID(parser, "expected \"header (options)\" on one line");
		return NULL;
	}
	*open = '\0';
	*close = '\0';
	return open + 1;
}

int rule_parse(struct rule_parser *parser, char *text, struct rule **out)
{
	struct rule *rule = rule_arena_take(parser->arena, sizeof(*rule));
	int header, code;
	char *options;

	parser->sid = 0;
	parser->keyword[0] = '\0';
	parser->reason.text[0] = '\0';
	parser->use = 0;
	parser->has_transforms = false;
	if (!rule)
		return -ENOMEM;
	rule->info.gid = 1;
	rule->info.priority = RULE_PRIORITY_DEFAULT;
	rule->info.msg = rule->info.classtype = rule->info.category = "";
	options = cut_options(parser, text);
	if (!options)
		return -EINVAL;
	header = parse_header(parser, rule, text);
	if (header == 0 || header == -ENOTSUP) {
		struct error reason = parser->reason;
		char keyword[sizeof(parser->keyword)];

		memcpy(keyword, parser->keyword, sizeof(keyword));
		code = parse_options(parser, rule, options);
		if (header == -ENOTSUP && code != -ENOMEM) {
			parser->reason = reason;
			memcpy(parser->keyword, keyword, sizeof(keyword));
			code = header;
		}
	} else {
		code = header;
	}
	if (code == 0)
		code = settle(parser, rule);
	parser->sid = rule->info.sid;
	if (code < 0) {
		rule->items = parser->items;
		rule_release(rule);
		return code;
	}
	*out = rule;
	return 0;
}

void rule_release(struct rule *rule)
{
	if (!rule)
		return;
	for (size_t i = 0; i < rule->item_count; i++)
		if (rule->items[i].type == RULE_PCRE)
			pcre2_code_free(rule->items[i].pcre.code);
	json_decref((json_t *)rule->info.metadata);
}

const char *rule_action_name(enum rule_action action)
{
	switch (action) {
	case RULE_ALERT:
		return "alert";
	case RULE_PASS:
		return "pass";
	case RULE_DROP:
		return "drop";
	case RULE_REJECT:
		return "reject";
	case RULE_REJECT_DST:
		return "rejectdst";
	case RULE_REJECT_BOTH:
		return "rejectboth";
	}
	return "unknown";
}
