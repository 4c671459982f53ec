/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/rule_lexer.h"

#include "packet/inspect/builtin/rules/rule.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rule_lexer_open(struct rule_lexer *lexer, const char *text, size_t size)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";

	*lexer = (struct rule_lexer){.text = text, .size = size, .line = 1};
	if (size >= 3 && memcmp(text, byte_order_mark, 3) == 0)
		lexer->offset = 3;
}

void rule_lexer_close(struct rule_lexer *lexer)
{
	free(lexer->joined);
	lexer->joined = NULL;
}

char *rule_trim(char *text)
{
	size_t size;

	while (isspace((unsigned char)*text))
		text++;
	size = strlen(text);
	while (size > 0 && isspace((unsigned char)text[size - 1]))
		size--;
	text[size] = '\0';
	return text;
}

/* One physical line, without its end; false at the end of the text. */
static bool take_line(struct rule_lexer *lexer, const char **line, size_t *size)
{
	const char *from = lexer->text + lexer->offset;
	size_t left = lexer->size - lexer->offset;
	const char *end;

	if (left == 0)
		return false;
	end = memchr(from, '\n', left);
	*line = from;
	*size = end ? (size_t)(end - from) : left;
	lexer->offset += *size + (end ? 1 : 0);
	lexer->line++;
	while (*size > 0 && isspace((unsigned char)from[*size - 1]))
		(*size)--;
	return true;
}

static int append(struct rule_lexer *lexer, size_t used, const char *text, size_t size)
{
	if (used + size + 1 > lexer->joined_size) {
		size_t grown_size = (used + size + 1) * 2;
		char *grown = realloc(lexer->joined, grown_size);

		if (!grown)
			return -ENOMEM;
		lexer->joined = grown;
		lexer->joined_size = grown_size;
	}
	memcpy(lexer->joined + used, text, size);
	lexer->joined[used + size] = '\0';
	return 0;
}

/* A comment that would be a rule without its mark: "#alert tcp any any -> any any (...)". */
static bool is_disabled_rule(const char *comment, size_t size)
{
	static const char *const actions[] = {"alert", "drop", "pass", "reject"};
	const char *end = comment + size;

	while (comment < end && (*comment == '#' || isspace((unsigned char)*comment)))
		comment++;
	size = (size_t)(end - comment);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		size_t length = strlen(actions[i]);

		if (size > length && memcmp(comment, actions[i], length) == 0)
			return memchr(comment, '(', size) && memchr(comment, ';', size);
	}
	return false;
}

/* The lines of one rule into lexer->joined. line and size are the first one's. */
static enum rule_lexer_result join(struct rule_lexer *lexer, const char *line, size_t size)
{
	size_t used = 0;
	bool continues = true, too_long = false, has_nul = false;

	while (continues) {
		continues = size > 0 && line[size - 1] == '\\';
		if (continues)
			size--;
		has_nul = has_nul || (size > 0 && memchr(line, '\0', size));
		too_long = too_long || used + size > RULE_SIZE_MAX;
		if (!too_long && append(lexer, used, line, size) < 0)
			return RULE_LEXER_NO_MEMORY;
		used += size;
		if (continues && !take_line(lexer, &line, &size))
			break;
	}
	return too_long ? RULE_LEXER_TOO_LONG : has_nul ? RULE_LEXER_NUL : RULE_LEXER_RULE;
}

enum rule_lexer_result rule_lexer_next(struct rule_lexer *lexer, char **rule, uint32_t *line)
{
	const char *text;
	size_t size;

	for (;;) {
		enum rule_lexer_result result;

		*line = lexer->line;
		if (!take_line(lexer, &text, &size))
			return RULE_LEXER_END;
		while (size > 0 && isspace((unsigned char)*text)) {
			text++;
			size--;
		}
		if (size == 0)
			continue;
		if (*text == '#') {
			lexer->disabled += is_disabled_rule(text, size);
			continue;
		}
		result = join(lexer, text, size);
		if (result != RULE_LEXER_RULE)
			return result;
		*rule = rule_trim(lexer->joined);
		if (**rule)
			return result;
	}
}

/* The end of a value: a semicolon that no backslash hides. */
static char *find_value_end(char *at)
{
	for (; *at; at++) {
		if (*at == '\\' && at[1])
			at++;
		else if (*at == ';')
			return at;
	}
	return NULL;
}

int rule_option_next(char **at, struct rule_option *option, const char **reason)
{
	char *name = *at, *end, mark;

	while (isspace((unsigned char)*name) || *name == ';')
		name++;
	if (*name == '\0')
		return 0;
	end = name;
	while (isalnum((unsigned char)*end) || (*end && strchr("_-.", *end)))
		end++;
	if (end == name) {
		*reason = "expected the name of an option";
		return -EINVAL;
	}
	option->name = name;
	option->value = NULL;
	name = end;
	while (isspace((unsigned char)*name))
		name++;
	mark = *name;
	*end = '\0';
	if (mark == ';') {
		*at = name + 1;
		return 1;
	}
	if (mark != ':') {
		*reason = "expected \":\" or \";\" behind it";
		return -EINVAL;
	}
	end = find_value_end(name + 1);
	if (!end) {
		*reason = "its value does not end with \";\"";
		return -EINVAL;
	}
	*end = '\0';
	option->value = rule_trim(name + 1);
	*at = end + 1;
	return 1;
}
