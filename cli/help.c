/* SPDX-License-Identifier: BSD-3-Clause */
/* --help, from the table of commands. */
#include "cli/command.h"
#include "cli/format.h"

#include <string.h>

#define WIDTH 78

/* Text in lines of WIDTH, each indented; an empty line stays one. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
	int column = 0;

	while (*text) {
		size_t length = strcspn(text, " \n");

		if (column > 0 && column + 1 + (int)length > WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		if (column == 0)
			column = fprintf(out, "%*s%.*s", indent, "", (int)length, text);
		else
			column += fprintf(out, " %.*s", (int)length, text);
		text += length;
		if (*text == '\n') {
			fputc('\n', out);
			column = 0;
		}
		text += *text != '\0';
	}
	fputc('\n', out);
}

static void print_options(FILE *out, const struct command_option *options)
{
	for (; options && options->name; options++) {
		char name[64];

		snprintf(name, sizeof(name), "--%s%s%s", options->name,
			options->argument ? " " : "", options->argument ? options->argument : "");
		fprintf(out, "  %-22s %s\n", name, options->help);
		if (options->choices)
			fprintf(out, "  %-22s One of: %s\n", "", options->choices);
	}
}

static void print_command(FILE *out, const struct command *command)
{
	const struct command_example *example = command->examples;

	fprintf(out, "bulkhead %s: %s\n\n", command->name, command->summary);
	fprintf(out, "Usage: bulkhead %s%s%s%s\n\n", command->name, *command->arguments ? " " : "",
		command->arguments, command->options ? " [OPTION]..." : "");
	print_wrapped(out, command->description, 0);
	fputs("\nOptions:\n", out);
	print_options(out, command->options);
	if (command->can_watch)
		fprintf(out, "  %-22s Repeat every 2 or so many seconds.\n", "--watch[=SECONDS]");
	print_options(out, global_options);
	fputs("\nExample:\n", out);
	for (; example && example->command; example++)
		fprintf(out, "  %s\n      %s\n", example->command, example->text);
}

static void print_rows(FILE *out, const char *group)
{
	size_t length = group ? strlen(group) : 0;

	for (const struct command *command = commands; command->name; command++) {
		if (group
			&& (strncmp(command->name, group, length) != 0
				|| (command->name[length] && command->name[length] != ' ')))
			continue;
		fprintf(out, "  %-17s %s\n", command->name, command->summary);
	}
}

void help_print(FILE *out, const struct command *command, const char *group)
{
	bool is_bare_group = group && command && strcmp(command->name, group) == 0;

	if (command)
		print_command(out, command);
	if (command && !is_bare_group)
		return;
	if (is_bare_group) {
		fputs("\nSee also:\n", out);
		print_rows(out, group);
		return;
	}
	fprintf(out, "Usage: bulkhead %s [OPTION]... [ARGUMENT]...\n\nCommands:\n",
		group ? group : "COMMAND");
	print_rows(out, group);
	fputs("\nOptions of every command:\n", out);
	print_options(out, global_options);
	fputs("\nExample:\n  bulkhead status\n      Is all well?\n", out);
	fputs("\nExit status: 0 done, 1 failed, 2 wrong usage.\n", out);
}
