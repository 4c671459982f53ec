/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiles rule files into a ruleset, and tells about one. Control side. */
#include "packet/inspect/builtin/rules/ruleset.h"

#include "base/log.h"
#include "packet/inspect/builtin/rules/rule_directives.h"
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/ruleset_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX 200000

struct compiler {
	struct ruleset *ruleset;
	struct rule_parser parser;
	struct ruleset_report report;
	size_t capacity;    /* of ruleset->rules */
	uint32_t *by_id;    /* open addressing: index + 1 of the rule with a gid and sid */
	size_t by_id_count; /* a power of two */
	struct rule_directive *directives, **next_directive;
	const struct ruleset_source *source;
	size_t bytes_done, bytes_all; /* of the files */
};

/* ---- rules by gid and sid ---- */

static size_t id_slot(const struct compiler *compiler, uint32_t gid, uint32_t sid)
{
	/* Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4) */
	size_t at = ((uint64_t)gid << 32 | sid) * 0x9e3779b97f4a7c15ULL >> 32;

	for (;; at++) {
		uint32_t index = compiler->by_id[at & (compiler->by_id_count - 1)];

		if (index == 0)
			break;
		if (compiler->ruleset->rules[index - 1]->info.gid == gid
			&& compiler->ruleset->rules[index - 1]->info.sid == sid)
			break;
	}
	return at & (compiler->by_id_count - 1);
}

static int grow_rules(struct compiler *compiler)
{
	struct ruleset *ruleset = compiler->ruleset;
	size_t capacity = compiler->capacity ? compiler->capacity * 2 : 1024;
	struct rule **rules;
	uint32_t *by_id;

	rules = realloc(ruleset->rules, capacity * sizeof(struct rule *));
	if (!rules)
		return -ENOMEM;
	ruleset->rules = rules;
	by_id = calloc(capacity * 2, sizeof(*by_id));
	if (!by_id)
		return -ENOMEM;
	free(compiler->by_id);
	compiler->by_id = by_id;
	compiler->by_id_count = capacity * 2;
	compiler->capacity = capacity;
	for (size_t i = 0; i < ruleset->rule_count; i++)
		by_id[id_slot(compiler, rules[i]->info.gid, rules[i]->info.sid)] = (uint32_t)i + 1;
	return 0;
}

static void refuse_duplicate(
	struct compiler *compiler, const struct rule *rule, const struct rule *other)
{
	struct error reason;

	error_set(&reason, 0, "sid %u (gid %u) rev %u is also in %s:%u, with rev %u",
		rule->info.sid, rule->info.gid, rule->info.rev, other->file, other->line,
		other->info.rev);
	ruleset_report_add(&compiler->report,
		&(struct ruleset_refused){RULESET_DUPLICATE, rule->file, rule->line, rule->info.sid,
			"sid", reason.text});
}

/* Takes the rule. Of those with the same gid and sid, the one with the highest rev stays, and of
 * equals the first, as with Suricata. */
static int add_rule(struct compiler *compiler, struct rule *rule)
{
	struct ruleset *ruleset = compiler->ruleset;
	struct rule **same;
	size_t slot;

	if (ruleset->rule_count == compiler->capacity && grow_rules(compiler) < 0) {
		rule_release(rule);
		return -ENOMEM;
	}
	slot = id_slot(compiler, rule->info.gid, rule->info.sid);
	if (compiler->by_id[slot] == 0) {
		ruleset->rules[ruleset->rule_count++] = rule;
		compiler->by_id[slot] = (uint32_t)ruleset->rule_count;
		return 0;
	}
	same = &ruleset->rules[compiler->by_id[slot] - 1];
	if (rule->info.rev > (*same)->info.rev) {
		struct rule *older = *same;

		*same = rule;
		rule = older;
	}
	refuse_duplicate(compiler, rule, *same);
	rule_release(rule);
	return 0;
}

/* ---- reading ---- */

static void refuse_rule(struct compiler *compiler, const char *file, uint32_t line, int code)
{
	const struct rule_parser *parser = &compiler->parser;

	ruleset_report_add(&compiler->report,
		&(struct ruleset_refused){code == -ENOTSUP ? RULESET_UNSUPPORTED : RULESET_INVALID,
			file, line, parser->sid, parser->keyword, parser->reason.text});
}

static void refuse_line(
	struct compiler *compiler, const char *file, uint32_t line, const char *reason)
{
	ruleset_report_add(&compiler->report,
		&(struct ruleset_refused){RULESET_INVALID, file, line, 0, "rule", reason});
}

static int read_rule(struct compiler *compiler, const char *file, char *text, uint32_t line)
{
	struct rule *rule;
	int code = rule_parse(&compiler->parser, text, &rule);

	if (code == -EINVAL || code == -ENOTSUP) {
		refuse_rule(compiler, file, line, code);
		return 0;
	}
	if (code < 0)
		return code;
	rule->file = file;
	rule->line = line;
	if (compiler->ruleset->rule_count == RULES_MAX) {
		rule_release(rule);
		refuse_line(compiler, file, line, "more than 200000 rules in all");
		return 0;
	}
	return add_rule(compiler, rule);
}

/* A line that is no rule. */
static int read_directive(struct compiler *compiler, const char *file, char *text, uint32_t line)
{
	struct rule_directive *directive;
	int code = rule_directive_parse(&compiler->parser, text, &directive);

	if (code == -EINVAL || code == -ENOTSUP) {
		refuse_rule(compiler, file, line, code);
		return 0;
	}
	if (code < 0 || !directive)
		return code;
	directive->file = file;
	directive->line = line;
	*compiler->next_directive = directive;
	compiler->next_directive = &directive->next;
	return 0;
}

/* Rules ask for classes, which may stand behind them, or in another file. */
enum reading { READING_CLASSES, READING_ALL };

static int read_line(struct compiler *compiler, enum reading reading, const char *file, char *text,
	uint32_t line)
{
	enum rule_directive_type type = rule_directive_type(text);

	if ((type == RULE_DIRECTIVE_CLASSIFICATION) != (reading == READING_CLASSES))
		return 0;
	return type == RULE_DIRECTIVE_NONE ? read_rule(compiler, file, text, line)
					   : read_directive(compiler, file, text, line);
}

static void tell_progress(const struct compiler *compiler, size_t offset)
{
	compile_progress_set(compiler->source->progress,
		(uint32_t)(RULE_READING_PERMILLE * (uint64_t)(compiler->bytes_done + offset)
			/ (compiler->bytes_all + 1)));
}

static int read_file(
	struct compiler *compiler, enum reading reading, const char *name, struct rule_lexer *lexer)
{
	int code = 0;

	for (;;) {
		uint32_t line;
		char *text;
		enum rule_lexer_result result = rule_lexer_next(lexer, &text, &line);

		if (result == RULE_LEXER_END)
			return 0;
		if (result == RULE_LEXER_NO_MEMORY)
			return -ENOMEM;
		if (compile_progress_is_stopped(compiler->source->progress))
			return -ECANCELED;
		tell_progress(compiler, lexer->offset);
		if (result == RULE_LEXER_RULE)
			code = read_line(compiler, reading, name, text, line);
		else if (reading == READING_ALL)
			refuse_line(compiler, name, line,
				result == RULE_LEXER_NUL ? "the rule contains a NUL byte"
							 : "the rule is longer than 65536 bytes");
		if (code < 0)
			return code;
	}
}

static int read_files(struct compiler *compiler, enum reading reading)
{
	const struct ruleset_file *files = compiler->source->files;
	int code = 0;

	for (size_t i = 0; i < compiler->source->file_count && code == 0; i++) {
		const char *name = rule_arena_copy(
			&compiler->ruleset->arena, files[i].name, strlen(files[i].name));
		struct rule_lexer lexer;

		if (!name)
			return -ENOMEM;
		rule_lexer_open(&lexer, files[i].text, files[i].size);
		code = read_file(compiler, reading, name, &lexer);
		if (reading == READING_ALL) {
			compiler->report.disabled += lexer.disabled;
			compiler->report.files++;
		}
		rule_lexer_close(&lexer);
		compiler->bytes_done += files[i].size;
	}
	return code;
}

/* ---- suppress, threshold, event_filter, rate_filter ---- */

static void tell_no_effect(
	struct compiler *compiler, const struct rule_directive *directive, const char *reason)
{
	ruleset_report_add(&compiler->report,
		&(struct ruleset_refused){RULESET_NO_EFFECT, directive->file, directive->line,
			directive->sid, directive->name, reason});
}

static int apply_directive(struct compiler *compiler, const struct rule_directive *directive)
{
	struct ruleset *ruleset = compiler->ruleset;
	uint32_t index;

	if (directive->sid == 0) {
		for (size_t i = 0; i < ruleset->rule_count; i++) {
			struct rule *rule = ruleset->rules[i];

			if ((directive->gid == 0 || directive->gid == rule->info.gid)
				&& rule_directive_apply(&ruleset->arena, directive, rule)
					== -ENOMEM)
				return -ENOMEM;
		}
		return 0;
	}
	index = compiler->by_id ? compiler->by_id[id_slot(compiler, directive->gid, directive->sid)]
				: 0;
	if (index == 0) {
		tell_no_effect(compiler, directive, "there is no such rule");
		return 0;
	}
	switch (rule_directive_apply(&ruleset->arena, directive, ruleset->rules[index - 1])) {
	case -ENOMEM:
		return -ENOMEM;
	case -EEXIST:
		tell_no_effect(compiler, directive,
			"the rule, or a line before, has one, which goes first");
		break;
	}
	return 0;
}

/* Those for one rule go before those for all, wherever they stand. */
static int apply_directives(struct compiler *compiler)
{
	int code = 0;

	*compiler->next_directive = NULL;
	for (int is_general = 0; is_general < 2; is_general++)
		for (const struct rule_directive *at = compiler->directives; at && code == 0;
			at = at->next)
			if ((at->sid == 0) == is_general)
				code = apply_directive(compiler, at);
	return code;
}

/* ---- order ---- */

/* Those that set bits come before those that ask for them. */
static unsigned int flowbit_rank(const struct rule *rule)
{
	bool sets = false, asks = false;

	for (size_t i = 0; i < rule->flowbit_count; i++) {
		if (rule->flowbits[i].command == RULE_FLOWBIT_IS_SET
			|| rule->flowbits[i].command == RULE_FLOWBIT_IS_NOT_SET)
			asks = true;
		else
			sets = true;
	}
	return sets ? (asks ? 1 : 0) : asks ? 2 : 3;
}

#define COMPARE(a, b)                                                                              \
	do {                                                                                       \
		if ((a) != (b))                                                                    \
			return (a) < (b) ? -1 : 1;                                                 \
	} while (0)

/* Suricata's order: action, flowbits, priority; and then by number. */
static int compare_rules(const void *left, const void *right)
{
	const struct rule *a = *(const struct rule *const *)left;
	const struct rule *b = *(const struct rule *const *)right;

	COMPARE(a->rank, b->rank);
	COMPARE(flowbit_rank(a), flowbit_rank(b));
	COMPARE(a->info.priority, b->info.priority);
	COMPARE(a->info.gid, b->info.gid);
	COMPARE(a->info.sid, b->info.sid);
	return 0;
}

static void order_rules(struct ruleset *ruleset)
{
	if (ruleset->rule_count > 0)
		qsort(ruleset->rules, ruleset->rule_count, sizeof(struct rule *), compare_rules);
	for (size_t i = 0; i < ruleset->rule_count; i++)
		ruleset->rules[i]->info.index = (uint32_t)i;
}

/* ---- workers ---- */

static bool needs_thresholds(const struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->rule_count; i++)
		if (ruleset->rules[i]->threshold.type != RULE_THRESHOLD_NONE
			|| ruleset->rules[i]->rate.type != RULE_THRESHOLD_NONE)
			return true;
	return false;
}

static int collect_fragment_rules(struct ruleset *ruleset)
{
	ruleset->fragment_rules = calloc(ruleset->rule_count + 1, sizeof(struct rule *));
	if (!ruleset->fragment_rules)
		return -ENOMEM;
	for (size_t i = 0; i < ruleset->rule_count; i++)
		if (ruleset->rules[i]->is_for_fragments && ruleset->rules[i]->item_count == 0)
			ruleset->fragment_rules[ruleset->fragment_rule_count++] = ruleset->rules[i];
	return 0;
}

static int open_worker(const struct ruleset *ruleset, struct ruleset_worker *worker)
{
	size_t count = ruleset->rule_count + 1;
	int code = payload_matcher_open(&worker->matcher);

	worker->matches = calloc(count, sizeof(*worker->matches));
	worker->marks = calloc(count, sizeof(*worker->marks));
	worker->candidates = calloc(count, sizeof(*worker->candidates));
	if (code < 0 || !worker->matches || !worker->marks || !worker->candidates)
		return -ENOMEM;
	if (ruleset->messages.rule_count > 0) {
		worker->view = message_view_create();
		if (!worker->view)
			return -ENOMEM;
	}
	code = rule_groups_reserve(&ruleset->groups, &worker->scratch);
	return code < 0 ? code : rule_messages_reserve(&ruleset->messages, &worker->scratch);
}

static void close_worker(struct ruleset_worker *worker)
{
	payload_matcher_close(&worker->matcher);
	hs_free_scratch(worker->scratch);
	message_view_destroy(worker->view);
	free(worker->matches);
	free(worker->marks);
	free(worker->candidates);
}

static int open_workers(struct ruleset *ruleset, uint16_t count)
{
	int code = 0;

	ruleset->workers = aligned_alloc(
		RTE_CACHE_LINE_SIZE, (count ? count : 1U) * sizeof(struct ruleset_worker));
	if (!ruleset->workers)
		return -ENOMEM;
	memset(ruleset->workers, 0, count * sizeof(struct ruleset_worker));
	if (needs_thresholds(ruleset)) {
		ruleset->thresholds = threshold_table_create();
		if (!ruleset->thresholds)
			return -ENOMEM;
	}
	ruleset->worker_count = count;
	for (uint16_t i = 0; i < count && code == 0; i++)
		code = open_worker(ruleset, &ruleset->workers[i]);
	return code;
}

/* ---- the ruleset ---- */

static uint32_t next_generation(void)
{
	static uint32_t last;
	uint32_t generation;

	do
		generation = __atomic_add_fetch(&last, 1, __ATOMIC_SEQ_CST);
	while (generation == 0);
	return generation;
}

/* Flows outlive rulesets, so that a name keeps its bit. */
static int copy_flowbits(struct flowbit_names *names, const struct ruleset *previous)
{
	for (size_t i = 0; previous && i < previous->flowbits.count; i++) {
		names->names[i] = strdup(previous->flowbits.names[i]);
		if (!names->names[i])
			return -ENOMEM;
		names->count++;
	}
	return 0;
}

/* Without a cache that can be written to, all is compiled again next time: no more than that. */
static void tell_cache(const char *what, const struct error *problem)
{
	if (problem->text[0])
		log_warning(what, log_str("reason", problem->text));
}

/* All databases in the place of what the cache has. */
static void store_patterns(
	const struct ruleset *ruleset, struct pattern_cache *cache, struct error *problem)
{
	size_t count = ruleset->groups.database_count + ruleset->messages.database_count;

	if (pattern_cache_begin(cache, count, problem) < 0
		|| rule_groups_store(&ruleset->groups, cache, problem) < 0
		|| rule_messages_store(&ruleset->messages, cache, problem) < 0)
		return;
	(void)pattern_cache_end(cache, problem);
}

static int build_patterns(struct compiler *compiler, struct error *error)
{
	const struct ruleset_source *source = compiler->source;
	struct ruleset *ruleset = compiler->ruleset;
	struct prefilter_build build = {.progress = source->progress};
	struct error problem = {0};
	int code;

	if (source->cache_fd)
		build.cache = pattern_cache_open(*source->cache_fd, &problem);
	tell_cache("rules_cache_ignored", &problem);
	code = rule_groups_build(
		&ruleset->groups, ruleset->rules, ruleset->rule_count, &build, error);
	if (code == 0)
		code = rule_messages_build(&ruleset->messages, &ruleset->buffers, ruleset->rules,
			ruleset->rule_count, &build, error);
	if (code == 0 && build.cache && build.compiled_count > 0) {
		problem.text[0] = '\0';
		store_patterns(ruleset, build.cache, &problem);
		tell_cache("rules_cache_not_written", &problem);
	}
	if (source->progress)
		source->progress->has_used_cache =
			build.found_count > 0 && build.compiled_count == 0;
	pattern_cache_close(build.cache);
	return code;
}

static int read_all(struct compiler *compiler)
{
	int code;

	for (size_t i = 0; i < compiler->source->file_count; i++)
		compiler->bytes_all += compiler->source->files[i].size;
	code = read_files(compiler, READING_CLASSES);
	compiler->bytes_done = 0;
	if (code == 0)
		code = read_files(compiler, READING_ALL);
	return code < 0 ? code : apply_directives(compiler);
}

static int compile(struct compiler *compiler, struct error *error)
{
	struct ruleset *ruleset = compiler->ruleset;
	int code = read_all(compiler);

	compiler->report.accepted = ruleset->rule_count;
	if (code == -ECANCELED)
		return error_set(error, code, "stopped while the rules were read");
	if (code == 0 && compiler->report.counts[RULESET_INVALID] > 0) {
		uint64_t others = compiler->report.counts[RULESET_INVALID] - 1;

		if (others == 0)
			return error_set(error, -EINVAL, "%s", compiler->report.first_invalid.text);
		return error_set(error, -EINVAL, "%s (and %llu more)",
			compiler->report.first_invalid.text, (unsigned long long)others);
	}
	order_rules(ruleset);
	if (code == 0)
		code = collect_fragment_rules(ruleset);
	if (code == 0)
		code = build_patterns(compiler, error);
	if (code == 0)
		code = open_workers(ruleset, compiler->source->worker_count);
	return code;
}

static int open_compiler(
	struct compiler *compiler, const struct ruleset_source *source, struct ruleset *ruleset)
{
	int code = ruleset_report_open(&compiler->report);

	if (code < 0)
		return code;
	compiler->ruleset = ruleset;
	compiler->source = source;
	compiler->next_directive = &compiler->directives;
	ruleset->generation = next_generation();
	ruleset->networks = networks_create(source->variables);
	if (!ruleset->networks)
		return -ENOMEM;
	compiler->parser.arena = &ruleset->arena;
	compiler->parser.networks = ruleset->networks;
	compiler->parser.flowbits = &ruleset->flowbits;
	compiler->parser.buffers = &ruleset->buffers;
	ruleset->buffers.count = 1; /* the payload */
	return copy_flowbits(&ruleset->flowbits, source->previous);
}

int ruleset_build(const struct ruleset_source *source, struct ruleset **out, json_t **report,
	struct error *error)
{
	struct compiler *compiler = calloc(1, sizeof(*compiler));
	struct ruleset *ruleset = calloc(1, sizeof(*ruleset));
	int code = -ENOMEM;

	*out = NULL;
	if (report)
		*report = NULL;
	error_set(error, 0, "no memory for the rules");
	if (!compiler || !ruleset)
		goto out;
	code = open_compiler(compiler, source, ruleset);
	if (code == 0)
		code = compile(compiler, error);
	if (report && compiler->report.refusals)
		*report = ruleset_report_json(&compiler->report);
	if (code == 0) {
		networks_forget_variables(ruleset->networks);
		*out = ruleset;
		ruleset = NULL;
	}
out:
	ruleset_destroy(ruleset);
	if (compiler) {
		ruleset_report_close(&compiler->report);
		free(compiler->by_id);
	}
	free(compiler);
	return code;
}

int ruleset_compile(const struct ruleset_file *files, size_t file_count, const json_t *variables,
	uint16_t worker_count, const struct ruleset *previous, struct ruleset **out,
	json_t **report, struct error *error)
{
	const struct ruleset_source source = {.files = files,
		.file_count = file_count,
		.variables = variables,
		.worker_count = worker_count,
		.previous = previous};

	return ruleset_build(&source, out, report, error);
}

void ruleset_destroy(struct ruleset *ruleset)
{
	if (!ruleset)
		return;
	for (uint16_t i = 0; i < ruleset->worker_count; i++)
		close_worker(&ruleset->workers[i]);
	free(ruleset->workers);
	free(ruleset->fragment_rules);
	threshold_table_destroy(ruleset->thresholds);
	rule_groups_close(&ruleset->groups);
	rule_messages_close(&ruleset->messages);
	for (size_t i = 0; i < ruleset->rule_count; i++)
		rule_release(ruleset->rules[i]);
	free(ruleset->rules);
	for (size_t i = 0; i < ruleset->flowbits.count; i++)
		free(ruleset->flowbits.names[i]);
	networks_destroy(ruleset->networks);
	rule_arena_release(&ruleset->arena);
	free(ruleset);
}

/* ---- telling ---- */

uint32_t ruleset_rule_count(const struct ruleset *ruleset)
{
	return (uint32_t)ruleset->rule_count;
}

static uint64_t rule_matches(const struct ruleset *ruleset, size_t index)
{
	uint64_t matches = 0;

	for (uint16_t i = 0; i < ruleset->worker_count; i++)
		matches += __atomic_load_n(&ruleset->workers[i].matches[index], __ATOMIC_RELAXED);
	return matches;
}

json_t *ruleset_status(const struct ruleset *ruleset)
{
	uint64_t evaluations = 0, limits_exceeded = 0;

	for (uint16_t i = 0; i < ruleset->worker_count; i++) {
		const struct ruleset_worker *worker = &ruleset->workers[i];

		evaluations += __atomic_load_n(&worker->evaluations, __ATOMIC_RELAXED);
		limits_exceeded +=
			__atomic_load_n(&worker->matcher.limits_exceeded, __ATOMIC_RELAXED);
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rules",
		(json_int_t)ruleset->rule_count, "groups", (json_int_t)ruleset->groups.group_count,
		"patterns",
		(json_int_t)(ruleset->groups.pattern_count + ruleset->messages.pattern_count),
		"bytes",
		(json_int_t)(ruleset->groups.size + ruleset->messages.size + ruleset->arena.size),
		"evaluations", (json_int_t)evaluations, "limits_exceeded",
		(json_int_t)limits_exceeded, "buffers", (json_int_t)(ruleset->buffers.count - 1),
		"message_rules", (json_int_t)ruleset->messages.rule_count, "thresholds_evicted",
		(json_int_t)(ruleset->thresholds ? threshold_table_evicted(ruleset->thresholds)
						 : 0));
}

json_t *ruleset_rules(const struct ruleset *ruleset, uint32_t after, uint32_t limit)
{
	json_t *page = json_array();

	for (size_t i = after; i < ruleset->rule_count && i - after < limit; i++) {
		const struct rule *rule = ruleset->rules[i];
		const struct rule_info *info = &rule->info;

		(void)json_array_append_new(page,
			json_pack("{s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:i, s:s, s:I, s:I}",
				"index", (json_int_t)i, "gid", (json_int_t)info->gid, "sid",
				(json_int_t)info->sid, "rev", (json_int_t)info->rev, "action",
				rule_action_name(info->action), "msg", info->msg, "classtype",
				info->classtype, "priority", (int)info->priority, "file",
				rule->file, "line", (json_int_t)rule->line, "matches",
				(json_int_t)rule_matches(ruleset, i)));
	}
	return page;
}
