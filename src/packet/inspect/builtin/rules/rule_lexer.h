/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cuts a rule file into rules, and a rule's options into names and values. Suricata's files as
 * people have them: comments, rules that are commented out, continuation lines, CRLF, a byte order
 * mark.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rule_lexer {
	const char *text; /* borrowed */
	size_t size, offset;
	uint32_t line;     /* of offset, from 1 */
	uint32_t disabled; /* commented rules that were passed over */
	char *joined;      /* buffer for the rule that was returned last */
	size_t joined_size;
};

enum rule_lexer_result {
	RULE_LEXER_END,
	RULE_LEXER_RULE,
	RULE_LEXER_TOO_LONG, /* skipped */
	RULE_LEXER_NUL,      /* holds a NUL byte: skipped */
	RULE_LEXER_NO_MEMORY,
};

void rule_lexer_open(struct rule_lexer *lexer, const char *text, size_t size);
void rule_lexer_close(struct rule_lexer *lexer);

/* *rule: NUL-terminated, continuation lines joined, trimmed; valid until the next call, and may be
 * written to. *line: where it begins. */
enum rule_lexer_result rule_lexer_next(struct rule_lexer *lexer, char **rule, uint32_t *line);

struct rule_option {
	char *name;
	char *value; /* trimmed, quotes and escapes as written; NULL: none was given */
};

/* Takes the next option off *at, cutting the text up. 1: *option is filled, 0: none left,
 * -EINVAL: *reason says what is wrong. */
int rule_option_next(char **at, struct rule_option *option, const char **reason);

/* Takes the blanks off both ends, in place. */
char *rule_trim(char *text);
