/* SPDX-License-Identifier: BSD-3-Clause */
/* Rule files, with the lines of threshold.config and the like: whatever they hold, each line is
 * taken or refused with a reason. */
#include "packet/inspect/builtin/rules/rule_directives.h"
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse_directive(struct rule_parser *parser, char *text)
{
	struct rule_directive *directive;
	struct rule rule = {0};
	int code = rule_directive_parse(parser, text, &directive);

	if (code == 0 && directive && rule_directive_apply(parser->arena, directive, &rule) < 0)
		abort(); /* it has no threshold yet */
	return code;
}

static int parse_line(struct rule_parser *parser, char *text)
{
	struct rule *rule;
	int code;

	if (rule_directive_type(text) != RULE_DIRECTIVE_NONE)
		return parse_directive(parser, text);
	code = rule_parse(parser, text, &rule);
	if (code == 0)
		rule_release(rule);
	return code;
}

static void parse_all(struct rule_parser *parser, const uint8_t *data, size_t size)
{
	enum rule_lexer_result result;
	struct rule_lexer lexer;
	uint32_t line;
	char *text;

	rule_lexer_open(&lexer, (const char *)data, size);
	while ((result = rule_lexer_next(&lexer, &text, &line)) != RULE_LEXER_END) {
		if (result == RULE_LEXER_NO_MEMORY)
			abort();
		if (result != RULE_LEXER_RULE)
			continue;
		if (parse_line(parser, text) < 0
			&& (!parser->reason.text[0] || !parser->keyword[0]))
			abort(); /* refused in silence */
	}
	rule_lexer_close(&lexer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *variables = json_pack("{s:[s,s], s:s, s:[s]}", "HOME_NET", "192.0.2.0/24",
		"2001:db8::/32", "EXTERNAL_NET", "!$HOME_NET", "A", "[$A,!$EXTERNAL_NET]");
	struct rule_parser *parser = calloc(1, sizeof(*parser));
	struct rule_buffers buffers = {.count = 1}; /* the payload */
	struct flowbit_names flowbits = {0};
	struct rule_arena arena = {0};

	parser->arena = &arena;
	parser->networks = networks_create(variables);
	parser->flowbits = &flowbits;
	parser->buffers = &buffers;
	parse_all(parser, data, size);
	for (size_t i = 0; i < flowbits.count; i++)
		free(flowbits.names[i]);
	networks_destroy(parser->networks);
	rule_arena_release(&arena);
	free(parser);
	json_decref(variables);
	return 0;
}
