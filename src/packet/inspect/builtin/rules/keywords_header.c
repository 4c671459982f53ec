/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that test header fields and the flow. */
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static int add_test(struct rule_parser *parser, struct rule *rule, struct rule_test test)
{
	if (rule->test_count == RULE_TESTS_MAX)
		return RULE_UNSUPPORTED(
			parser, "more than %d tests of header fields in one rule", RULE_TESTS_MAX);
	parser->tests[rule->test_count++] = test;
	return 0;
}

/* ---- numbers: 5, !5, <5, <=5, >5, >=5, 5-9, 5<>9 ---- */

static enum rule_comparison take_comparison(const char **value)
{
	static const struct {
		const char *text;
		enum rule_comparison comparison;
	} signs[] = {{"<=", RULE_BELOW_OR_EQUAL}, {">=", RULE_ABOVE_OR_EQUAL}, {"<", RULE_BELOW},
		{">", RULE_ABOVE}, {"!", RULE_NOT_EQUAL}, {"=", RULE_EQUAL}};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		size_t size = strlen(signs[i].text);

		if (strncmp(*value, signs[i].text, size) != 0)
			continue;
		*value += size;
		*value += strspn(*value, " ");
		return signs[i].comparison;
	}
	return RULE_EQUAL;
}

/* The second number of a range, cut off from value; NULL: it is none. */
static char *cut_range(char *value)
{
	char *sign = strstr(value, "<>");
	size_t size = 2;

	if (!sign) {
		sign = strchr(value, '-');
		size = 1;
	}
	if (!sign || sign == value)
		return NULL;
	*sign = '\0';
	return rule_trim(sign + size);
}

static int add_number_test(struct rule_parser *parser, struct rule *rule, enum rule_field field,
	char *value, uint32_t max)
{
	struct rule_test test = {.field = field, .comparison = RULE_BETWEEN};
	char *upper = cut_range(value);
	const char *lower = value;
	int64_t low, high = 0;

	if (!upper)
		test.comparison = take_comparison(&lower);
	else
		lower = rule_trim(value);
	if (!rule_number(lower, 0, max, &low) || (upper && !rule_number(upper, 0, max, &high)))
		return RULE_INVALID(parser,
			"\"%.40s\": expected a number up to %u, alone, behind < > <= >= or !, or a "
			"range low-high",
			upper ? upper : value, max);
	/* The bounds do not belong to it. */
	if (upper && low + 1 >= high)
		return RULE_INVALID(parser, "no number lies between %lld and %lld", (long long)low,
			(long long)high);
	test.low = (uint32_t)low;
	test.high = (uint32_t)high;
	return add_test(parser, rule, test);
}

static int parse_ttl(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_TTL, value, UINT8_MAX);
}

static int parse_itype(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_ITYPE, value, UINT8_MAX);
}

static int parse_icode(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_ICODE, value, UINT8_MAX);
}

static int parse_dsize(struct rule_parser *parser, struct rule *rule, char *value)
{
	for (size_t i = 0; i < rule->test_count; i++)
		if (parser->tests[i].field == RULE_FIELD_DSIZE)
			return RULE_INVALID(parser, "given twice in one rule");
	return add_number_test(parser, rule, RULE_FIELD_DSIZE, value, UINT16_MAX);
}

static int parse_icmp_id(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_ICMP_ID, value, UINT16_MAX);
}

static int parse_icmp_seq(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_ICMP_SEQUENCE, value, UINT16_MAX);
}

static int parse_mss(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_TCP_MSS, value, UINT16_MAX);
}

static int parse_window(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_WINDOW, value, UINT16_MAX);
}

static int parse_tos(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_TOS, value, UINT8_MAX);
}

static int parse_id(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_IP_ID, value, UINT16_MAX);
}

static int parse_seq(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_SEQ, value, UINT32_MAX);
}

static int parse_ack(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_number_test(parser, rule, RULE_FIELD_ACK, value, UINT32_MAX);
}

/* IANA's numbers of the protocols that rules name; the sandbox has no /etc/protocols. */
static bool take_protocol(const char *name, int64_t *out)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = {{"icmp", 1}, {"igmp", 2}, {"ipv4", 4}, {"tcp", 6}, {"egp", 8}, {"udp", 17},
		{"ipv6", 41}, {"rsvp", 46}, {"gre", 47}, {"esp", 50}, {"ah", 51}, {"icmpv6", 58},
		{"ipv6-icmp", 58}, {"ipv6-nonxt", 59}, {"eigrp", 88}, {"ospf", 89}, {"etherip", 97},
		{"pim", 103}, {"ipcomp", 108}, {"vrrp", 112}, {"l2tp", 115}, {"sctp", 132},
		{"udplite", 136}};

	if (rule_number(name, 0, UINT8_MAX, out))
		return true;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		*out = protocols[i].number;
		if (strcasecmp(name, protocols[i].name) == 0)
			return true;
	}
	return false;
}

/* A number or a name, with ! < or > before it. */
static int parse_ip_proto(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_test test = {.field = RULE_FIELD_IP_PROTO};
	const char *name = value;
	int64_t number;

	test.comparison = take_comparison(&name);
	if (!take_protocol(name, &number))
		return RULE_INVALID(parser,
			"\"%.40s\" is no number up to 255, and no protocol's name that is known "
			"here",
			name);
	test.low = (uint32_t)number;
	return add_test(parser, rule, test);
}

static int parse_sameip(struct rule_parser *parser, struct rule *rule, char *value)
{
	return add_test(parser, rule,
		(struct rule_test){
			.field = RULE_FIELD_SAME_ADDRESS, .comparison = RULE_EQUAL, .low = 1});
}

/* ---- flags: [!+*]FSRPAUEC120[,ignored] ---- */

/* TCP's flags by bit (RFC 9293, 3.1); 1 and 2 are Snort's names of CWR and ECE. */
static const char tcp_letters[] = "FSRPAUEC";
/* Of IPv4's fragmentation field (RFC 791): more fragments, don't fragment, reserved. */
static const char fragment_letters[] = "MDR";

/* The sign may stand anywhere among the letters; NULL: none is allowed. */
static bool take_flags(
	const char *text, const char *letters, uint32_t *out, enum rule_comparison *comparison)
{
	static const char signs[] = "+*!";
	static const enum rule_comparison meanings[] = {
		RULE_ALL_BITS, RULE_ANY_BITS, RULE_NOT_ALL_BITS};

	if (!*text)
		return false;
	for (; *text; text++) {
		const char *letter = strchr(letters, toupper((unsigned char)*text));
		const char *sign = strchr(signs, *text);

		if (letter)
			*out |= 1U << (letter - letters);
		else if (*text == '1' && letters == tcp_letters)
			*out |= 0x80;
		else if (*text == '2' && letters == tcp_letters)
			*out |= 0x40;
		else if (sign && comparison)
			*comparison = meanings[sign - signs];
		else if (*text != '0' && *text != ' ')
			return false;
	}
	return true;
}

static int parse_flags(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_test test = {.field = RULE_FIELD_TCP_FLAGS, .comparison = RULE_EXACT_BITS};
	char *ignored_letters = value, *letters = rule_piece(&ignored_letters, ',');
	uint32_t ignored = 0;

	if (!take_flags(letters, tcp_letters, &test.low, &test.comparison)
		|| (ignored_letters
			&& !take_flags(rule_trim(ignored_letters), tcp_letters, &ignored, NULL)))
		return RULE_INVALID(parser,
			"expected flags of F S R P A U E C 1 2 0, with !, + or * for how, and "
			"those "
			"to ignore behind a comma");
	test.high = 0xff & ~ignored;
	return add_test(parser, rule, test);
}

static int parse_fragbits(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_test test = {
		.field = RULE_FIELD_FRAGMENT_BITS, .comparison = RULE_EXACT_BITS, .high = 7};

	if (!take_flags(value, fragment_letters, &test.low, &test.comparison))
		return RULE_INVALID(parser, "expected bits of M D R, with !, + or * for how");
	rule->is_for_fragments = true;
	return add_test(parser, rule, test);
}

static int parse_fragoffset(struct rule_parser *parser, struct rule *rule, char *value)
{
	rule->is_for_fragments = true;
	return add_number_test(parser, rule, RULE_FIELD_FRAGMENT_OFFSET, value, 8191);
}

static int parse_ipopts(struct rule_parser *parser, struct rule *rule, char *value)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} options[] = {{"rr", RULE_IP_OPTION_RR}, {"lsrr", RULE_IP_OPTION_LSRR},
		{"eol", RULE_IP_OPTION_EOL}, {"nop", RULE_IP_OPTION_NOP}, {"ts", RULE_IP_OPTION_TS},
		{"sec", RULE_IP_OPTION_SEC}, {"esec", RULE_IP_OPTION_ESEC},
		{"ssrr", RULE_IP_OPTION_SSRR}, {"satid", RULE_IP_OPTION_SATID},
		{"any", UINT32_MAX}};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcasecmp(value, options[i].name) == 0)
			return add_test(parser, rule,
				(struct rule_test){.field = RULE_FIELD_IP_OPTIONS,
					.comparison = RULE_ANY_BITS,
					.low = options[i].bits,
					.high = UINT32_MAX});
	return RULE_INVALID(parser,
		"\"%.40s\": valid are rr, lsrr, eol, nop, ts, sec, esec, ssrr, satid and any",
		value);
}

/* ---- flow ---- */

static const struct {
	const char *name;
	enum rule_flow flow, excludes;
} flow_words[] = {
	{"to_server", RULE_FLOW_TO_SERVER, RULE_FLOW_TO_CLIENT},
	{"from_client", RULE_FLOW_TO_SERVER, RULE_FLOW_TO_CLIENT},
	{"to_client", RULE_FLOW_TO_CLIENT, RULE_FLOW_TO_SERVER},
	{"from_server", RULE_FLOW_TO_CLIENT, RULE_FLOW_TO_SERVER},
	{"established", RULE_FLOW_ESTABLISHED, RULE_FLOW_NOT_ESTABLISHED | RULE_FLOW_STATELESS},
	{"not_established", RULE_FLOW_NOT_ESTABLISHED, RULE_FLOW_ESTABLISHED | RULE_FLOW_STATELESS},
	{"stateless", RULE_FLOW_STATELESS, RULE_FLOW_ESTABLISHED | RULE_FLOW_NOT_ESTABLISHED},
	{"only_stream", RULE_FLOW_ONLY_STREAM, RULE_FLOW_NO_STREAM},
	{"no_stream", RULE_FLOW_NO_STREAM, RULE_FLOW_ONLY_STREAM},
	{"only_frag", RULE_FLOW_ONLY_FRAGMENT, RULE_FLOW_NO_FRAGMENT},
	{"no_frag", RULE_FLOW_NO_FRAGMENT, RULE_FLOW_ONLY_FRAGMENT},
};

static int add_flow_word(struct rule_parser *parser, struct rule *rule, const char *word)
{
	for (size_t i = 0; i < sizeof(flow_words) / sizeof(flow_words[0]); i++) {
		if (strcasecmp(word, flow_words[i].name) != 0)
			continue;
		if (rule->flow & (flow_words[i].flow | flow_words[i].excludes))
			return RULE_INVALID(
				parser, "\"%.40s\" contradicts or repeats what is before it", word);
		rule->flow |= flow_words[i].flow;
		rule->is_for_fragments |= flow_words[i].flow == RULE_FLOW_ONLY_FRAGMENT;
		return 0;
	}
	return RULE_INVALID(parser,
		"\"%.40s\": valid are to_server, to_client, from_server, from_client, established, "
		"not_established, stateless, only_stream, no_stream, only_frag, no_frag",
		word);
}

static int parse_flow(struct rule_parser *parser, struct rule *rule, char *value)
{
	char *word;
	int code = 0;

	if (rule->flow)
		return RULE_INVALID(parser, "given twice in one rule");
	while (code == 0 && (word = rule_piece(&value, ',')))
		code = add_flow_word(parser, rule, word);
	return code;
}

const struct rule_keyword rule_keywords_header[] = {
	{"ttl", RULE_VALUE_REQUIRED, parse_ttl},
	{"itype", RULE_VALUE_REQUIRED, parse_itype},
	{"icode", RULE_VALUE_REQUIRED, parse_icode},
	{"dsize", RULE_VALUE_REQUIRED, parse_dsize},
	{"ip_proto", RULE_VALUE_REQUIRED, parse_ip_proto},
	{"flags", RULE_VALUE_REQUIRED, parse_flags},
	{"tcp.flags", RULE_VALUE_REQUIRED, parse_flags},
	{"flow", RULE_VALUE_REQUIRED, parse_flow},
	{"window", RULE_VALUE_REQUIRED, parse_window},
	{"tos", RULE_VALUE_REQUIRED, parse_tos},
	{"id", RULE_VALUE_REQUIRED, parse_id},
	{"seq", RULE_VALUE_REQUIRED, parse_seq},
	{"tcp.seq", RULE_VALUE_REQUIRED, parse_seq},
	{"ack", RULE_VALUE_REQUIRED, parse_ack},
	{"tcp.ack", RULE_VALUE_REQUIRED, parse_ack},
	{"sameip", RULE_VALUE_NONE, parse_sameip},
	{"fragbits", RULE_VALUE_REQUIRED, parse_fragbits},
	{"fragoffset", RULE_VALUE_REQUIRED, parse_fragoffset},
	{"ipopts", RULE_VALUE_REQUIRED, parse_ipopts},
	{"icmp_id", RULE_VALUE_REQUIRED, parse_icmp_id},
	{"icmp_seq", RULE_VALUE_REQUIRED, parse_icmp_seq},
	{"tcp.mss", RULE_VALUE_REQUIRED, parse_mss},
	{0},
};
