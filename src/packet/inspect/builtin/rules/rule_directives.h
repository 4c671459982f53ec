/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of rule files that are no rules: `config` of a classification.config or reference.config;
 * suppress, threshold, event_filter and rate_filter of a threshold.config. They may stand in any
 * file, and are for the rules of all files. Control side.
 */
#pragma once

#include "packet/inspect/builtin/rules/rule_parse.h"

enum rule_directive_type {
	RULE_DIRECTIVE_NONE, /* the line is a rule */
	RULE_DIRECTIVE_CLASSIFICATION,
	RULE_DIRECTIVE_REFERENCE,
	RULE_DIRECTIVE_SUPPRESS,
	RULE_DIRECTIVE_THRESHOLD,
	RULE_DIRECTIVE_RATE,
	RULE_DIRECTIVE_UNSUPPORTED,
};

struct rule_directive {
	enum rule_directive_type type;
	const char *name; /* as the line has it: a literal */
	const char *file;
	uint32_t line;
	uint32_t gid, sid; /* 0: all */
	struct rule_threshold threshold;
	struct rule_suppress suppress;
	struct rule_directive *next;
};

/* What kind of line it is, by its first word. */
enum rule_directive_type rule_directive_type(const char *text);

/* Parses a line of that kind; text is cut up. Classifications are added to the parser, the others
 * are for rule_directive_apply(): *out, in the arena; NULL: nothing is left to do. 0, -EINVAL or
 * -ENOTSUP with the parser's keyword and reason, -ENOMEM. */
int rule_directive_parse(struct rule_parser *parser, char *text, struct rule_directive **out);

/* Puts it in force for a rule that it speaks of. -EEXIST: the rule has a threshold already. */
int rule_directive_apply(
	struct rule_arena *arena, const struct rule_directive *directive, struct rule *rule);
