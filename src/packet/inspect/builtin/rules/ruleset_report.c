/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/ruleset_report.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

static const char *const kind_names[] = {
	[RULESET_INVALID] = "invalid",
	[RULESET_UNSUPPORTED] = "unsupported",
	[RULESET_DUPLICATE] = "duplicate",
	[RULESET_NO_EFFECT] = "no-effect",
};
static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == RULESET_REFUSAL_COUNT,
	"each kind of refusal has a name");

int ruleset_report_open(struct ruleset_report *report)
{
	*report = (struct ruleset_report){.refusals = json_array(), .by_keyword = json_object()};
	if (report->refusals && report->by_keyword)
		return 0;
	ruleset_report_close(report);
	return -ENOMEM;
}

void ruleset_report_close(struct ruleset_report *report)
{
	json_decref(report->refusals);
	json_decref(report->by_keyword);
	report->refusals = report->by_keyword = NULL;
}

/* A copy that is JSON text whatever bytes the rule file had. */
static json_t *plain_string(const char *text)
{
	char plain[ERROR_TEXT_SIZE];
	size_t size = 0;

	for (; *text && size < sizeof(plain); text++)
		plain[size++] = isprint((unsigned char)*text) ? *text : '?';
	return json_stringn(plain, size);
}

static void count_keyword(struct ruleset_report *report, const char *keyword)
{
	json_t *count = json_object_get(report->by_keyword, keyword);

	if (count)
		json_integer_set(count, json_integer_value(count) + 1);
	else
		/* Fails for what is no UTF-8: such a word stands in the refusal itself. */
		(void)json_object_set_new(report->by_keyword, keyword, json_integer(1));
}

void ruleset_report_add(struct ruleset_report *report, const struct ruleset_refused *refused)
{
	json_t *entry;

	report->counts[refused->kind]++;
	if (refused->kind == RULESET_INVALID && report->counts[RULESET_INVALID] == 1)
		error_set(&report->first_invalid, -EINVAL, "%s:%u: %s: %s", refused->file,
			refused->line, refused->keyword, refused->reason);
	count_keyword(report, refused->keyword);
	if (json_array_size(report->refusals) >= RULESET_REPORT_MAX)
		return;
	entry = json_pack("{s:o, s:I, s:s, s:o, s:o}", "file", plain_string(refused->file), "line",
		(json_int_t)refused->line, "kind", kind_names[refused->kind], "keyword",
		plain_string(refused->keyword), "reason", plain_string(refused->reason));
	if (entry && refused->sid != 0)
		(void)json_object_set_new(entry, "sid", json_integer(refused->sid));
	(void)json_array_append_new(report->refusals, entry);
}

json_t *ruleset_report_json(const struct ruleset_report *report)
{
	uint64_t refused = 0, all;

	for (size_t kind = 0; kind < RULESET_REFUSAL_COUNT; kind++)
		if (kind != RULESET_NO_EFFECT) /* these are no rules */
			refused += report->counts[kind];
	all = report->accepted + refused;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:O, s:O}", "files",
		(json_int_t)report->files, "accepted", (json_int_t)report->accepted, "refused",
		(json_int_t)refused, "invalid", (json_int_t)report->counts[RULESET_INVALID],
		"unsupported", (json_int_t)report->counts[RULESET_UNSUPPORTED], "duplicate",
		(json_int_t)report->counts[RULESET_DUPLICATE], "disabled",
		(json_int_t)report->disabled, "coverage_percent",
		all > 0 ? 100.0 * (double)report->accepted / (double)all : 100.0,
		"refused_by_keyword", report->by_keyword, "refusals", report->refusals);
}
