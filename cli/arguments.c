/* SPDX-License-Identifier: BSD-3-Clause */
/* From argv to struct cli. Options may stand anywhere; "--" ends them. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What parsing is in the middle of. */
struct parser {
	struct cli *cli;
	char **argv;
	int argc, at;
	bool is_after_dashes;
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int fail(
	struct parser *parser, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(parser->text, parser->size, format, arguments);
	va_end(arguments);
	return -1;
}

static int find_option(const struct command_option *options, const char *name, size_t length)
{
	for (int i = 0; options && options[i].name; i++) {
		if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
			return i;
	}
	return -1;
}

/* The value of "--name=value" or "--name value". */
static const char *take_value(struct parser *parser, const char *equals)
{
	if (equals)
		return equals + 1;
	return parser->at < parser->argc ? parser->argv[parser->at++] : NULL;
}

static int parse_watch(struct parser *parser, const char *equals)
{
	struct cli *cli = parser->cli;
	char *end;

	if (!cli->command || !cli->command->can_watch)
		return fail(parser, "--watch is not for this command");
	cli->watch_s = CLI_WATCH_DEFAULT;
	if (!equals)
		return 0;
	cli->watch_s = strtod(equals + 1, &end);
	if (end == equals + 1 || *end || !(cli->watch_s >= 0.1 && cli->watch_s <= 3600))
		return fail(parser, "--watch=%s: must be seconds from 0.1 to 3600", equals + 1);
	return 0;
}

static int parse_global(struct parser *parser, int index, const char *equals)
{
	const struct command_option *option = &global_options[index];
	struct cli *cli = parser->cli;

	if (!option->argument && equals)
		return fail(parser, "--%s takes no value", option->name);
	if (strcmp(option->name, "json") == 0)
		cli->is_json = true;
	else if (strcmp(option->name, "help") == 0)
		cli->wants_help = true;
	else
		cli->socket = take_value(parser, equals);
	if (strcmp(option->name, "socket") == 0 && (!cli->socket || !*cli->socket))
		return fail(parser, "--socket needs a path");
	return 0;
}

static int parse_own(struct parser *parser, int index, const char *equals)
{
	const struct command_option *option = &parser->cli->command->options[index];
	const char *value = "";

	if (option->argument)
		value = take_value(parser, equals);
	else if (equals)
		return fail(parser, "--%s takes no value", option->name);
	if (!value)
		return fail(parser, "--%s needs a value: %s", option->name, option->argument);
	parser->cli->values[index] = value;
	return 0;
}

static int parse_option(struct parser *parser, const char *word)
{
	const struct command *command = parser->cli->command;
	const char *name = word + 2, *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	int index;

	if (strcmp(name, "version") == 0) {
		parser->cli->wants_version = true;
		return 0;
	}
	if (length == strlen("watch") && memcmp(name, "watch", length) == 0)
		return parse_watch(parser, equals);
	index = find_option(global_options, name, length);
	if (index >= 0)
		return parse_global(parser, index, equals);
	index = command ? find_option(command->options, name, length) : -1;
	if (index >= 0)
		return parse_own(parser, index, equals);
	if (!command)
		return fail(parser, "there is no option --%.*s, or it belongs after the command",
			(int)length, name);
	return fail(parser, "%s has no option --%.*s", command->name, (int)length, name);
}

/* The word after a group's name: "apply" of "config apply". NULL: none that is a command. */
static const struct command *find_second(struct parser *parser, const char *first)
{
	const struct command *command;
	char name[64];

	if (parser->at >= parser->argc)
		return NULL;
	snprintf(name, sizeof(name), "%s %s", first, parser->argv[parser->at]);
	command = command_find(name);
	if (command)
		parser->at++;
	return command;
}

static int parse_command(struct parser *parser, const char *word)
{
	struct cli *cli = parser->cli;

	if (command_is_group(word)) {
		cli->group = word;
		cli->command = find_second(parser, word);
	}
	if (!cli->command)
		cli->command = command_find(word);
	if (cli->command)
		return 0;
	if (!cli->group)
		return fail(parser, "there is no command %s", word);
	if (parser->at < parser->argc && parser->argv[parser->at][0] != '-')
		return fail(parser, "there is no command %s %s", word, parser->argv[parser->at]);
	return 0;
}

static int parse_word(struct parser *parser, const char *word)
{
	struct cli *cli = parser->cli;

	if (!cli->command && !cli->group)
		return parse_command(parser, word);
	if (!cli->command)
		return fail(parser, "%s: name a command before %s", cli->group, word);
	if (cli->argument_count >= cli->command->arguments_max) {
		if (cli->group && strcmp(cli->command->name, cli->group) == 0)
			return fail(parser, "there is no command %s %s", cli->group, word);
		return fail(parser, "%s takes no argument %s", cli->command->name, word);
	}
	cli->arguments[cli->argument_count++] = word;
	return 0;
}

static int check_complete(struct parser *parser)
{
	struct cli *cli = parser->cli;

	if (cli->wants_help || cli->wants_version)
		return 0;
	if (!cli->command && cli->group)
		return fail(parser, "%s needs to know what to do", cli->group);
	if (!cli->command)
		return fail(parser, "no command was given");
	if (cli->argument_count < cli->command->arguments_min)
		return fail(parser, "%s needs %s", cli->command->name, cli->command->arguments);
	return 0;
}

int cli_parse(struct cli *cli, int argc, char **argv, char *text, size_t size)
{
	struct parser parser = {
		.cli = cli, .argv = argv, .argc = argc, .at = 1, .text = text, .size = size};

	*cli = (struct cli){0};
	while (parser.at < argc) {
		const char *word = argv[parser.at++];
		int code;

		if (!parser.is_after_dashes && strcmp(word, "--") == 0) {
			parser.is_after_dashes = true;
			continue;
		}
		if (!parser.is_after_dashes && strcmp(word, "-h") == 0)
			word = "--help";
		if (!parser.is_after_dashes && word[0] == '-' && word[1] == '-')
			code = parse_option(&parser, word);
		else if (!parser.is_after_dashes && word[0] == '-' && word[1])
			code = fail(&parser, "there is no option %s; options start with --", word);
		else
			code = parse_word(&parser, word);
		if (code < 0)
			return code;
	}
	return check_complete(&parser);
}

const char *cli_value(const struct cli *cli, const char *name)
{
	int index = find_option(cli->command->options, name, strlen(name));

	return index >= 0 ? cli->values[index] : NULL;
}
