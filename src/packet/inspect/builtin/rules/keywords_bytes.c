/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that take numbers from the payload, or ask for its size: isdataat, byte_test, byte_jump,
 * byte_extract, byte_math. */
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* ---- isdataat ---- */

static int parse_isdataat(struct rule_parser *parser, struct rule *rule, char *value)
{
	struct rule_item *item = rule_add_item(parser, rule, RULE_ISDATAAT);
	char *piece;
	int64_t number;
	int code;

	if (!item)
		return -ENOTSUP;
	item->is_negated = *value == '!';
	value += item->is_negated;
	piece = rule_piece(&value, ',');
	code = rule_value(parser, rule, piece, 0, RULE_POSITION_MAX, &number,
		&item->isdataat.offset_variable);
	if (code < 0) {
		rule_remove_item(rule);
		return code;
	}
	item->isdataat.offset = (uint32_t)number;
	while ((piece = rule_piece(&value, ','))) {
		if (strcmp(piece, "relative") == 0) {
			item->is_relative = true;
		} else if (strcmp(piece, "rawbytes") != 0) {
			rule_remove_item(rule);
			return RULE_INVALID(
				parser, "\"%.40s\": valid are relative and rawbytes", piece);
		}
	}
	return 0;
}

/* ---- byte_test, byte_jump ---- */

/* Options that all of these share: 1: taken, 0: not one of them. */
static int parse_byte_option(
	struct rule_parser *parser, struct rule_item *item, const char *piece, bool *is_string)
{
	struct rule_byte *byte = &item->byte;
	const char *mask = strncmp(piece, "bitmask", 7) == 0 ? piece + 7 : NULL;
	int64_t number;

	if (strcmp(piece, "relative") == 0)
		item->is_relative = true;
	else if (strcmp(piece, "big") == 0)
		byte->is_little = false;
	else if (strcmp(piece, "little") == 0)
		byte->is_little = true;
	else if (strcmp(piece, "string") == 0)
		*is_string = true;
	else if (strcmp(piece, "hex") == 0)
		byte->text = RULE_NUMBER_HEX;
	else if (strcmp(piece, "dec") == 0)
		byte->text = RULE_NUMBER_DECIMAL;
	else if (strcmp(piece, "oct") == 0)
		byte->text = RULE_NUMBER_OCT;
	else if (strcmp(piece, "dce") == 0)
		return RULE_UNSUPPORTED(parser, "dce is not supported");
	else if (mask && rule_number(mask + strspn(mask, " "), 1, UINT32_MAX, &number))
		byte->bitmask = (uint64_t)number;
	else
		return 0;
	return 1;
}

/* Checks the number of bytes against the way they are read. */
static int settle_byte(struct rule_parser *parser, struct rule_byte *byte, bool is_string)
{
	/* Bounds of Suricata: what fits into 64 bits. */
	static const uint8_t most[] = {[RULE_NUMBER_BINARY] = 8,
		[RULE_NUMBER_DECIMAL] = 20,
		[RULE_NUMBER_HEX] = 14,
		[RULE_NUMBER_OCT] = 23};

	if (is_string && byte->text == RULE_NUMBER_BINARY)
		return RULE_INVALID(parser, "string needs dec, hex or oct");
	if (!is_string && byte->text != RULE_NUMBER_BINARY)
		return RULE_INVALID(parser, "dec, hex and oct need string");
	if (byte->size > most[byte->text])
		return RULE_INVALID(parser, "%u bytes are more than the %u that are valid here",
			byte->size, most[byte->text]);
	return 0;
}

/* A number that no variable may stand for. */
static int take_number(
	struct rule_parser *parser, const char *piece, int64_t min, int64_t max, int64_t *out)
{
	if (!piece || !*piece)
		return RULE_INVALID(parser, "a number is missing");
	if (!rule_number(piece, min, max, out))
		return RULE_INVALID(parser, "\"%.40s\" is no number from %lld to %lld", piece,
			(long long)min, (long long)max);
	return 0;
}

static int take_offset(
	struct rule_parser *parser, const struct rule *rule, char *piece, struct rule_byte *byte)
{
	int64_t number = 0;
	int code = rule_value(parser, rule, piece, -RULE_POSITION_MAX, RULE_POSITION_MAX, &number,
		&byte->offset_variable);

	byte->offset = (int32_t)number;
	return code;
}

static int take_operator(struct rule_parser *parser, struct rule_item *item, const char *piece)
{
	static const struct {
		const char *text;
		enum rule_byte_operator operator;
	} operators[] = {{"<", RULE_BYTE_BELOW}, {">", RULE_BYTE_ABOVE}, {"=", RULE_BYTE_EQUAL},
		{"<=", RULE_BYTE_BELOW_OR_EQUAL}, {">=", RULE_BYTE_ABOVE_OR_EQUAL},
		{"&", RULE_BYTE_AND}, {"^", RULE_BYTE_OR}, {"", RULE_BYTE_EQUAL}};

	if (!piece)
		return RULE_INVALID(parser, "expected: bytes, operator, value, offset");
	item->is_negated = *piece == '!';
	piece += item->is_negated;
	piece += strspn(piece, " ");
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (strcmp(piece, operators[i].text) != 0 || (!*piece && !item->is_negated))
			continue;
		item->byte.operator= operators[i].operator;
		return 0;
	}
	return RULE_INVALID(
		parser, "\"%.10s\" is no operator: valid are < > = <= >= & ^, and ! before", piece);
}

/* The first value: how many bytes. */
static int take_size(struct rule_parser *parser, struct rule_byte *byte, char **value)
{
	int64_t number;
	int code = take_number(parser, rule_piece(value, ','), 1, 23, &number);

	if (code == 0)
		byte->size = (uint8_t)number;
	return code;
}

static int parse_byte_test_value(
	struct rule_parser *parser, struct rule *rule, struct rule_item *item, char *value)
{
	bool is_string = false;
	int64_t number;
	char *piece;
	int code = take_size(parser, &item->byte, &value);

	if (code < 0)
		return code;
	code = take_operator(parser, item, rule_piece(&value, ','));
	if (code < 0)
		return code;
	code = rule_value(parser, rule, rule_piece(&value, ','), 0, INT64_MAX, &number,
		&item->byte.value_variable);
	if (code < 0)
		return code;
	item->byte.value = (uint64_t)number;
	code = take_offset(parser, rule, rule_piece(&value, ','), &item->byte);
	if (code < 0)
		return code;
	while ((piece = rule_piece(&value, ','))) {
		code = parse_byte_option(parser, item, piece, &is_string);
		if (code == 0)
			return RULE_INVALID(parser, "\"%.40s\" is no option of it", piece);
		if (code < 0)
			return code;
	}
	return settle_byte(parser, &item->byte, is_string);
}

/* Options that byte_jump has alone: 1: taken, 0: not one of them. */
static int parse_jump_option(struct rule_parser *parser, struct rule_byte *byte, const char *piece)
{
	const char *blank = strchr(piece, ' ');
	int64_t number;
	int code = 0;

	if (strcmp(piece, "align") == 0) {
		byte->align = 4;
	} else if (strcmp(piece, "from_beginning") == 0) {
		byte->from_beginning = true;
	} else if (strcmp(piece, "from_end") == 0) {
		byte->from_end = true;
	} else if (blank && strncmp(piece, "multiplier ", 11) == 0) {
		code = take_number(parser, blank + strspn(blank, " "), 1, 65535, &number);
		byte->multiplier = code == 0 ? (uint32_t)number : 1;
	} else if (blank && strncmp(piece, "post_offset ", 12) == 0) {
		code = take_number(parser, blank + strspn(blank, " "), -RULE_POSITION_MAX,
			RULE_POSITION_MAX, &number);
		byte->post_offset = code == 0 ? (int32_t)number : 0;
	} else {
		return 0;
	}
	return code < 0 ? code : 1;
}

static int parse_byte_jump_value(
	struct rule_parser *parser, struct rule *rule, struct rule_item *item, char *value)
{
	bool is_string = false;
	char *piece;
	int code = take_size(parser, &item->byte, &value);

	if (code < 0)
		return code;
	item->byte.multiplier = 1;
	code = take_offset(parser, rule, rule_piece(&value, ','), &item->byte);
	if (code < 0)
		return code;
	while ((piece = rule_piece(&value, ','))) {
		code = parse_byte_option(parser, item, piece, &is_string);
		if (code == 0)
			code = parse_jump_option(parser, &item->byte, piece);
		if (code == 0)
			return RULE_INVALID(parser, "\"%.40s\" is no option of it", piece);
		if (code < 0)
			return code;
	}
	if (item->byte.from_beginning && item->byte.from_end)
		return RULE_INVALID(parser, "from_beginning and from_end exclude each other");
	return settle_byte(parser, &item->byte, is_string);
}

/* ---- byte_extract, byte_math: variables of the rule ---- */

/* Gives the number that comes out a name. */
static int take_result(
	struct rule_parser *parser, struct rule *rule, struct rule_byte *byte, const char *name)
{
	if (!name || !isalpha((unsigned char)*name) || strlen(name) >= RULE_VARIABLE_SIZE
		|| name[strspn(name, RULE_VARIABLE_CHARACTERS)])
		return RULE_INVALID(parser,
			"\"%.40s\" is no name of a variable: up to %d letters, digits, . _ and -",
			name ? name : "", RULE_VARIABLE_SIZE - 1);
	for (uint8_t i = 0; i < rule->variable_count; i++)
		if (strcmp(parser->variables[i], name) == 0)
			return RULE_INVALID(
				parser, "the variable \"%s\" has a value already", name);
	if (rule->variable_count == RULE_VARIABLES_MAX)
		return RULE_UNSUPPORTED(
			parser, "more than %d variables in one rule", RULE_VARIABLES_MAX);
	strcpy(parser->variables[rule->variable_count], name);
	byte->result = rule->variable_count++;
	return 0;
}

static int parse_extract_option(
	struct rule_parser *parser, struct rule_byte *byte, const char *piece)
{
	int64_t number;
	int code;

	if (strncmp(piece, "multiplier ", 11) == 0) {
		code = take_number(parser, piece + 11 + strspn(piece + 11, " "), 1, 65535, &number);
		byte->multiplier = code == 0 ? (uint32_t)number : 1;
		return code < 0 ? code : 1;
	}
	if (strcmp(piece, "align 2") == 0 || strcmp(piece, "align 4") == 0) {
		byte->align = (uint8_t)(piece[6] - '0');
		return 1;
	}
	return 0;
}

static int parse_byte_extract_value(
	struct rule_parser *parser, struct rule *rule, struct rule_item *item, char *value)
{
	bool is_string = false;
	char *piece, *name;
	int64_t number;
	int code = take_size(parser, &item->byte, &value);

	if (code < 0)
		return code;
	item->byte.multiplier = 1;
	code = take_number(
		parser, rule_piece(&value, ','), -RULE_POSITION_MAX, RULE_POSITION_MAX, &number);
	if (code < 0)
		return code;
	item->byte.offset = (int32_t)number;
	name = rule_piece(&value, ',');
	while ((piece = rule_piece(&value, ','))) {
		code = parse_byte_option(parser, item, piece, &is_string);
		if (code == 0)
			code = parse_extract_option(parser, &item->byte, piece);
		if (code == 0)
			return RULE_INVALID(parser, "\"%.40s\" is no option of it", piece);
		if (code < 0)
			return code;
	}
	code = settle_byte(parser, &item->byte, is_string);
	return code < 0 ? code : take_result(parser, rule, &item->byte, name);
}

static int take_math_operator(struct rule_parser *parser, struct rule_byte *byte, const char *text)
{
	static const char *const operators[] = {[RULE_MATH_ADD] = "+",
		[RULE_MATH_SUBTRACT] = "-",
		[RULE_MATH_MULTIPLY] = "*",
		[RULE_MATH_DIVIDE] = "/",
		[RULE_MATH_SHIFT_LEFT] = "<<",
		[RULE_MATH_SHIFT_RIGHT] = ">>"};

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (strcmp(text, operators[i]) != 0)
			continue;
		byte->math = (enum rule_math)i;
		return 0;
	}
	return RULE_INVALID(parser, "\"%.10s\" is no operator: valid are + - * / << >>", text);
}

enum math_part {
	MATH_BYTES = 1,
	MATH_OFFSET = 2,
	MATH_OPERATOR = 4,
	MATH_VALUE = 8,
	MATH_RESULT = 16,
	MATH_REQUIRED = 31,
	MATH_OPTION = 32,
};

/* One "key value" of byte_math. The part it is; or a negative code. */
static int parse_math_part(struct rule_parser *parser, struct rule *rule, struct rule_item *item,
	char *piece, bool *is_string)
{
	char *value = piece, *key = rule_piece(&value, ' ');
	struct rule_byte *byte = &item->byte;
	int64_t number = 0;
	int code = 0;

	value = value ? rule_trim(value) : key + strlen(key);
	if (strcmp(key, "bytes") == 0) {
		code = take_number(parser, value, 1, 10, &number);
		byte->size = (uint8_t)number;
		return code < 0 ? code : MATH_BYTES;
	}
	if (strcmp(key, "offset") == 0) {
		code = take_offset(parser, rule, value, byte);
		return code < 0 ? code : MATH_OFFSET;
	}
	if (strcmp(key, "oper") == 0) {
		code = take_math_operator(parser, byte, value);
		return code < 0 ? code : MATH_OPERATOR;
	}
	if (strcmp(key, "rvalue") == 0) {
		code = rule_value(
			parser, rule, value, 0, UINT32_MAX, &number, &byte->value_variable);
		byte->value = (uint64_t)number;
		return code < 0 ? code : MATH_VALUE;
	}
	if (strcmp(key, "result") == 0) {
		code = take_result(parser, rule, byte, value);
		return code < 0 ? code : MATH_RESULT;
	}
	if (strcmp(key, "bitmask") == 0) {
		code = take_number(parser, value, 1, UINT32_MAX, &number);
		byte->bitmask = (uint64_t)number;
	} else if (strcmp(key, "string") == 0) {
		*is_string = true;
		code = parse_byte_option(parser, item, value, is_string);
	} else if (strcmp(key, "relative") == 0 || strcmp(key, "dce") == 0) {
		code = parse_byte_option(parser, item, key, is_string);
	} else if (strcmp(key, "endian") == 0
		&& (strcmp(value, "big") == 0 || strcmp(value, "little") == 0)) {
		code = parse_byte_option(parser, item, value, is_string);
	} else {
		return RULE_INVALID(parser, "\"%.40s\" is no option of it", key);
	}
	return code < 0 ? code : MATH_OPTION;
}

static int parse_byte_math_value(
	struct rule_parser *parser, struct rule *rule, struct rule_item *item, char *value)
{
	bool is_string = false;
	int seen = 0;
	char *piece;

	while ((piece = rule_piece(&value, ','))) {
		int part = parse_math_part(parser, rule, item, piece, &is_string);

		if (part < 0)
			return part;
		if (part != MATH_OPTION && (seen & part))
			return RULE_INVALID(parser, "\"%.40s\" is given twice", piece);
		seen |= part;
	}
	if ((seen & MATH_REQUIRED) != MATH_REQUIRED)
		return RULE_INVALID(parser, "needs bytes, offset, oper, rvalue and result");
	return settle_byte(parser, &item->byte, is_string);
}

/* ---- the keywords ---- */

typedef int (*parse_byte_fn)(
	struct rule_parser *parser, struct rule *rule, struct rule_item *item, char *value);

static int parse_byte(struct rule_parser *parser, struct rule *rule, char *value,
	enum rule_item_type type, parse_byte_fn parse)
{
	struct rule_item *item = rule_add_item(parser, rule, type);
	int code = item ? parse(parser, rule, item, value) : -ENOTSUP;

	if (item && code < 0)
		rule_remove_item(rule);
	return code;
}

static int parse_byte_test(struct rule_parser *parser, struct rule *rule, char *value)
{
	return parse_byte(parser, rule, value, RULE_BYTE_TEST, parse_byte_test_value);
}

static int parse_byte_jump(struct rule_parser *parser, struct rule *rule, char *value)
{
	return parse_byte(parser, rule, value, RULE_BYTE_JUMP, parse_byte_jump_value);
}

static int parse_byte_extract(struct rule_parser *parser, struct rule *rule, char *value)
{
	return parse_byte(parser, rule, value, RULE_BYTE_EXTRACT, parse_byte_extract_value);
}

static int parse_byte_math(struct rule_parser *parser, struct rule *rule, char *value)
{
	return parse_byte(parser, rule, value, RULE_BYTE_MATH, parse_byte_math_value);
}

const struct rule_keyword rule_keywords_bytes[] = {
	{"isdataat", RULE_VALUE_REQUIRED, parse_isdataat},
	{"byte_test", RULE_VALUE_REQUIRED, parse_byte_test},
	{"byte_jump", RULE_VALUE_REQUIRED, parse_byte_jump},
	{"byte_extract", RULE_VALUE_REQUIRED, parse_byte_extract},
	{"byte_math", RULE_VALUE_REQUIRED, parse_byte_math},
	{0},
};
