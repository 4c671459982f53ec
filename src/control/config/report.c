/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of what is wrong with a configuration. */
#include "control/config/report.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Of what was found, so much is shown: a whole line of a terminal would hide the rest. */
#define FOUND_SHOWN 60

void config_report_init(struct config_report *report)
{
	memset(report, 0, sizeof(*report));
}

void config_report_destroy(struct config_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		free(report->problems[i].key);
		free(report->problems[i].found);
		free(report->problems[i].text);
		free(report->problems[i].valid);
	}
	free(report->problems);
	free(report->file);
	config_report_init(report);
}

/* A printable copy: bytes from outside must not reach a terminal as they are. */
static char *copy_found(const char *found)
{
	char *copy = malloc(FOUND_SHOWN + sizeof("..."));
	size_t size = 0;

	if (!copy)
		return NULL;
	for (; *found && size < FOUND_SHOWN; found++) {
		unsigned char byte = (unsigned char)*found;

		copy[size++] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
	}
	/* Not within a character of several bytes (RFC 3629: 10xxxxxx goes on). */
	while (*found && size > 0 && ((unsigned char)*found & 0xc0) == 0x80)
		found--, size--;
	copy[size] = '\0';
	if (*found)
		strcpy(copy + size, "...");
	return copy;
}

static bool fill(struct config_problem *problem, const struct config_place *place,
	const char *valid, const char *format, va_list arguments)
{
	problem->line = place->line;
	problem->column = place->column;
	problem->key = strdup(place->key ? place->key : "");
	if (!problem->key || vasprintf(&problem->text, format, arguments) < 0) {
		problem->text = NULL;
		return false;
	}
	if (place->found && !(problem->found = copy_found(place->found)))
		return false;
	return !valid || (problem->valid = strdup(valid));
}

void config_report_add(struct config_report *report, enum config_severity severity,
	const struct config_place *place, const char *valid, const char *format, ...)
{
	struct config_problem problem = {.severity = severity}, *problems;
	va_list arguments;
	bool is_filled;

	if (severity == CONFIG_ERROR)
		report->error_count++;
	else
		report->warning_count++;
	if (report->count >= CONFIG_PROBLEMS_MAX) {
		report->left_out_count++;
		return;
	}
	va_start(arguments, format);
	is_filled = fill(&problem, place, valid, format, arguments);
	va_end(arguments);
	problems = is_filled ? realloc(report->problems, (report->count + 1) * sizeof(*problems))
			     : NULL;
	if (!problems) {
		free(problem.key);
		free(problem.found);
		free(problem.text);
		free(problem.valid);
		report->left_out_count++;
		return;
	}
	report->problems = problems;
	problems[report->count++] = problem;
}

static int compare_problems(const void *left, const void *right)
{
	const struct config_problem *a = left, *b = right;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	if (a->severity != b->severity)
		return a->severity < b->severity ? -1 : 1;
	return strcmp(a->text, b->text);
}

void config_report_sort(struct config_report *report)
{
	if (report->count > 1)
		qsort(report->problems, report->count, sizeof(report->problems[0]),
			compare_problems);
}

/* "KEY: what is wrong; found "…"; valid: …", without place. For free(). */
static char *problem_message(const struct config_problem *problem)
{
	char *message;
	int size = asprintf(&message, "%s%s%s%s%s%s%s%s", problem->key, problem->key[0] ? ": " : "",
		problem->text, problem->found ? "; found \"" : "",
		problem->found ? problem->found : "", problem->found ? "\"" : "",
		problem->valid ? "; valid: " : "", problem->valid ? problem->valid : "");

	return size < 0 ? NULL : message;
}

static char *problem_line(const struct config_report *report, const struct config_problem *problem)
{
	const char *kind = problem->severity == CONFIG_ERROR ? "error" : "warning";
	const char *file = report->file ? report->file : "configuration";
	char *message = problem_message(problem), *line = NULL;
	int size = -1;

	if (message && problem->line)
		size = asprintf(&line, "%s:%u:%u: %s: %s", file, problem->line, problem->column,
			kind, message);
	else if (message)
		size = asprintf(&line, "%s: %s: %s", file, kind, message);
	free(message);
	return size < 0 ? NULL : line;
}

void config_report_print(const struct config_report *report, FILE *out)
{
	for (size_t i = 0; i < report->count; i++) {
		char *line = problem_line(report, &report->problems[i]);

		fprintf(out, "%s\n", line ? line : "(no memory to say what is wrong)");
		free(line);
	}
	if (report->left_out_count)
		fprintf(out, "%s: and %zu more\n", report->file ? report->file : "configuration",
			report->left_out_count);
}

static json_t *problem_json(
	const struct config_report *report, const struct config_problem *problem)
{
	char *line = problem_line(report, problem);
	json_t *json = json_pack("{s:s, s:i, s:i, s:s, s:s}", "file",
		report->file ? report->file : "", "line", (int)problem->line, "column",
		(int)problem->column, "key", problem->key, "message", line ? line : problem->text);

	free(line);
	if (json && problem->found)
		json_object_set_new(json, "found", json_string(problem->found));
	if (json && problem->valid)
		json_object_set_new(json, "valid", json_string(problem->valid));
	return json;
}

json_t *config_report_json(const struct config_report *report, enum config_severity severity)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->count; i++)
		if (report->problems[i].severity == severity)
			json_array_append_new(list, problem_json(report, &report->problems[i]));
	return list;
}
