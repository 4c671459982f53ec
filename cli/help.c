/* SPDX-License-Identifier: BSD-3-Clause */
/* --help, from the table of commands. */
#include "cli/command.h"
#include "cli/format.h"

#include <string.h>

#define WIDTH        78
#define OPTION_WIDTH 22

/* Text in lines of WIDTH, each indented, the first one from where the line is; an empty line stays
 * one. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
	int column = indent;
	bool is_first = true;

	while (*text) {
		int length = (int)strcspn(text, " \n");

		if (!is_first && column + 1 + length > WIDTH) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
			is_first = true;
		}
		column += fprintf(out, "%s%.*s", is_first ? "" : " ", length, text);
		is_first = false;
		text += length;
		if (*text == '\n') {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
			is_first = true;
		}
		text += *text != '\0';
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const char *name, const char *argument, const char *help)
{
	char head[64];

	snprintf(head, sizeof(head), "--%s%s%s", name, argument ? " " : "",
		argument ? argument : "");
	fprintf(out, "  %-*s ", OPTION_WIDTH, head);
	print_wrapped(out, help, OPTION_WIDTH + 3);
}

static void print_options(FILE *out, const struct command_option *options)
{
	for (; options && options->name; options++) {
		print_option(out, options->name, options->argument, options->help);
		if (options->choices)
			fprintf(out, "%*sOne of: %s\n", OPTION_WIDTH + 3, "", options->choices);
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
		print_option(out, "watch[=SECONDS]", NULL, "Repeat every 2 or so many seconds.");
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
