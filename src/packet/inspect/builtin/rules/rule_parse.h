/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parses one rule of Suricata's language. What is wrong, and what is right but beyond this engine,
 * is told by keyword and reason; nothing is passed over. Control side.
 */
#pragma once

#include "packet/inspect/builtin/rules/networks.h"
#include "packet/inspect/builtin/rules/rule.h"
#include "packet/inspect/builtin/rules/rule_arena.h"
#include "packet/inspect/builtin/rules/rule_buffers.h"

/* Names of flowbits in the order of their bit. */
struct flowbit_names {
	char *names[DETECT_FLOWBITS_MAX];
	uint16_t count;
};

/* A class of rules, of a classification.config. */
struct rule_class {
	const char *name, *text;
	uint8_t priority;
	struct rule_class *next;
};

struct rule_parser {
	struct rule_arena *arena;
	struct networks *networks;
	struct flowbit_names *flowbits;
	struct rule_class *classes; /* by `config classification`; in the arena */
	struct rule_buffers *buffers;

	/* Of the rule that was parsed last, also where that failed. */
	uint32_t sid;        /* 0: not known */
	char keyword[64];    /* the option, or part of the header, that is to blame */
	struct error reason; /* what is wrong with it */

	/* The rule under work. */
	uint8_t use;         /* the buffer that was chosen for what follows; 0: the payload */
	uint16_t use_chosen; /* items before it was */
	bool has_transforms; /* of it */
	struct rule_item items[RULE_ITEMS_MAX];
	struct rule_test tests[RULE_TESTS_MAX];
	struct rule_flowbit rule_flowbits[RULE_FLOWBITS_MAX];
	char variables[RULE_VARIABLES_MAX][RULE_VARIABLE_SIZE];
};

/* text is cut up. 0: *out is the rule, in the arena; -EINVAL: it is wrong; -ENOTSUP: it needs what
 * this engine does not have; -ENOMEM. */
int rule_parse(struct rule_parser *parser, char *text, struct rule **out);

/* Frees what a rule has outside of the arena; NULL is allowed. */
void rule_release(struct rule *rule);

/* ---- for the keywords' files ---- */

struct rule_keyword {
	const char *name;
	enum { RULE_VALUE_NONE, RULE_VALUE_OPTIONAL, RULE_VALUE_REQUIRED } value;
	int (*parse)(struct rule_parser *parser, struct rule *rule, char *value);
};

extern const struct rule_keyword rule_keywords_meta[]; /* end with a NULL name */
extern const struct rule_keyword rule_keywords_header[];
extern const struct rule_keyword rule_keywords_payload[];
extern const struct rule_keyword rule_keywords_bytes[];
extern const struct rule_keyword rule_keywords_state[];
extern const struct rule_keyword rule_keywords_app[];

#define RULE_INVALID(parser, ...)     error_set(&(parser)->reason, -EINVAL, __VA_ARGS__)
#define RULE_UNSUPPORTED(parser, ...) error_set(&(parser)->reason, -ENOTSUP, __VA_ARGS__)

/* Decimal digits alone (or 0x and hex), min to max. false: it is none. */
bool rule_number(const char *text, int64_t min, int64_t max, int64_t *out);

/* The next piece of *at up to separator, trimmed; NULL at the end. */
char *rule_piece(char **at, char separator);

/* Takes the quotes off a value, in place; NULL: it has none. *is_negated: "!" stood before it. */
char *rule_unquote(char *value, bool *is_negated);

/* A number from min to max, or the name of a variable that the rule has by now: *variable is its
 * number from 1 on, 0: none. 0, or the refusal. */
int rule_value(struct rule_parser *parser, const struct rule *rule, const char *text, int64_t min,
	int64_t max, int64_t *out, uint8_t *variable);

/* A new test of the payload; NULL, with a refusal, when there are too many. rule_remove_item()
 * undoes it for a value that did not parse. */
struct rule_item *rule_add_item(
	struct rule_parser *parser, struct rule *rule, enum rule_item_type type);
void rule_remove_item(struct rule *rule);

/* Events are JSON, which is UTF-8. */
bool rule_is_utf8(const char *text);

int rule_parse_content(struct rule_parser *parser, struct rule *rule, char *value);

/* The last content of the rule, for its modifiers; NULL when there is none. */
struct rule_item *rule_last_content(struct rule_parser *parser, struct rule *rule);

/* Of threshold, detection_filter and the lines of a threshold.config: what of the values was seen.
 */
enum rule_threshold_part {
	RULE_PART_TYPE = 1,
	RULE_PART_TRACK = 2,
	RULE_PART_COUNT = 4,
	RULE_PART_SECONDS = 8,
};

/* One "name value" of them; adds to *seen. */
int rule_threshold_part(struct rule_parser *parser, struct rule_threshold *threshold, char *piece,
	unsigned int *seen);

/* Why a keyword of Suricata is beyond this engine. */
const char *rule_keyword_reason(const char *name);

/* Looks into the buffer that a letter behind a pcre stands for. -ENOENT: it is no such letter. */
int rule_choose_by_letter(struct rule_parser *parser, struct rule_item *item, char letter);

/* Puts items of one buffer together, and settles what that means for the rule. */
int rule_settle_buffers(struct rule_parser *parser, struct rule *rule);

/* Settles and checks what depends on several options. */
int rule_settle_payload(struct rule_parser *parser, struct rule *rule);

/* The class of a classtype: 0, or -ENOENT. */
int rule_classification(
	const struct rule_parser *parser, const char *name, const char **text, uint8_t *priority);

/* A line "config classification: name,text,priority" behind its colon. The user's own go before
 * those that are known anyway. 0, -EINVAL, -ENOTSUP with the reason, or -ENOMEM. */
int rule_classification_add(struct rule_parser *parser, char *value);
