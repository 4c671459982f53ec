/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cli cli;
static char text[256];

/* Parses the words of line. */
static int parse(const char *line)
{
	static char copy[512];
	char *argv[32] = {"bulkhead"};
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	text[0] = '\0';
	return cli_parse(&cli, argc, argv, text, sizeof(text));
}

static void finds_commands_of_one_and_two_words(void **state)
{
	assert_int_equal(parse("status"), 0);
	assert_string_equal(cli.command->name, "status");
	assert_int_equal(parse("config apply x.yaml"), 0);
	assert_string_equal(cli.command->name, "config apply");
	assert_string_equal(cli.arguments[0], "x.yaml");
	assert_int_equal(parse("inspect"), 0);
	assert_string_equal(cli.command->name, "inspect");
	assert_int_equal(parse("inspect rules --refused"), 0);
	assert_string_equal(cli.command->name, "inspect rules");
	assert_int_equal(parse("api call status.get"), 0);
	assert_string_equal(cli.command->name, "api call");
	assert_int_equal(parse("api status.get"), 0);
	assert_string_equal(cli.command->name, "api");
}

static void takes_options_anywhere(void **state)
{
	assert_int_equal(parse("--socket /s fdb --vlan 10 --json --port=a"), 0);
	assert_string_equal(cli.socket, "/s");
	assert_true(cli.is_json);
	assert_string_equal(cli_value(&cli, "vlan"), "10");
	assert_string_equal(cli_value(&cli, "port"), "a");
	assert_null(cli_value(&cli, "flush"));
	assert_int_equal(parse("fdb --flush --socket=/t"), 0);
	assert_string_equal(cli_value(&cli, "flush"), "");
	assert_string_equal(cli.socket, "/t");
	assert_int_equal(parse("ports -- --kind"), 0);
	assert_string_equal(cli.arguments[0], "--kind");
}

static void watches_where_it_makes_sense(void **state)
{
	assert_int_equal(parse("ports --watch"), 0);
	assert_true(cli.watch_s == CLI_WATCH_DEFAULT);
	assert_int_equal(parse("ports --watch=0.5"), 0);
	assert_true(cli.watch_s == 0.5);
	assert_int_equal(parse("ports --watch=0"), -1);
	assert_int_equal(parse("ports --watch=nan"), -1);
	assert_int_equal(parse("config confirm --watch"), -1);
}

static void rejects_wrong_usage(void **state)
{
	static const char *const lines[] = {"", "nonsense", "config", "config nonsense",
		"status extra", "config apply", "config apply a b", "fdb --vlan", "fdb --flush=1",
		"fdb --nonsense", "--nonsense", "status --json=1", "--socket", "fdb -v",
		"inspect nonsense", "--count 1 trace"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(lines[i]), -1);
		assert_true(text[0] != '\0');
	}
}

static void help_needs_nothing_else(void **state)
{
	assert_int_equal(parse("--help"), 0);
	assert_true(cli.wants_help);
	assert_int_equal(parse("config --help"), 0);
	assert_string_equal(cli.group, "config");
	assert_null(cli.command);
	assert_int_equal(parse("config apply --help"), 0);
	assert_int_equal(parse("-h"), 0);
	assert_int_equal(parse("--version"), 0);
	assert_true(cli.wants_version);
}

static void every_command_has_help_with_an_example_in_80_columns(void **state)
{
	for (const struct command *command = commands; command->name; command++) {
		char *help = NULL;
		size_t size;
		FILE *out = open_memstream(&help, &size);

		help_print(out, command, NULL);
		fclose(out);
		assert_non_null(strstr(help, "\nExample:\n  bulkhead "));
		assert_non_null(strstr(help, "--json"));
		for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n")) {
			if (strlen(line) > 80)
				print_message("%s\n", line);
			assert_true(strlen(line) <= 80);
		}
		free(help);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_commands_of_one_and_two_words),
		cmocka_unit_test(takes_options_anywhere),
		cmocka_unit_test(watches_where_it_makes_sense),
		cmocka_unit_test(rejects_wrong_usage),
		cmocka_unit_test(help_needs_nothing_else),
		cmocka_unit_test(every_command_has_help_with_an_example_in_80_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
