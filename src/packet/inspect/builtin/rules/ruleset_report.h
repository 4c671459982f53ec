/* SPDX-License-Identifier: BSD-3-Clause */
/* What became of each rule of the files, for people: nothing is left out in silence. */
#pragma once

#include "packet/inspect/builtin/rules/rule_parse.h"

struct ruleset_report {
	json_t *refusals, *by_keyword;
	uint64_t counts[RULESET_REFUSAL_COUNT];
	uint64_t files, accepted, disabled;
	struct error first_invalid;
};

int ruleset_report_open(struct ruleset_report *report);
void ruleset_report_close(struct ruleset_report *report);

struct ruleset_refused {
	enum ruleset_refusal kind;
	const char *file;
	uint32_t line, sid; /* sid 0: not known */
	const char *keyword, *reason;
};

void ruleset_report_add(struct ruleset_report *report, const struct ruleset_refused *refused);

/* New reference, or NULL. */
json_t *ruleset_report_json(const struct ruleset_report *report);
