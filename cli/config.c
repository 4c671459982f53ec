/* SPDX-License-Identifier: BSD-3-Clause */
/* config ...: files are checked here, with the daemon's own code; the rest is the daemon's. */
#include "control/config/config.h"
#include "cli/command.h"
#include "cli/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opens the file of argument 0; "-" is standard input. */
static int open_file(struct cli *cli, const char **name)
{
	int fd;

	*name = cli->arguments[0];
	if (strcmp(*name, "-") == 0) {
		*name = "<stdin>";
		return dup(STDIN_FILENO);
	}
	fd = open(*name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		cli_fail("cannot read %s: %s", *name, strerror(errno));
	return fd;
}

/* The file as sealed memory, which the API wants; -1: the message is printed. */
static int read_file(struct cli *cli, const char **name)
{
	char *text = malloc(CONFIG_FILE_SIZE_MAX + 1);
	int fd = open_file(cli, name), memory = -1;
	size_t size = 0;
	ssize_t count = 0;

	while (fd >= 0 && text && size <= CONFIG_FILE_SIZE_MAX
		&& (count = read(fd, text + size, CONFIG_FILE_SIZE_MAX + 1 - size)) > 0)
		size += (size_t)count;
	if (fd >= 0 && count < 0)
		cli_fail("cannot read %s: %s", *name, strerror(errno));
	else if (fd >= 0 && size > CONFIG_FILE_SIZE_MAX)
		cli_fail("%s is larger than %d bytes", *name, CONFIG_FILE_SIZE_MAX);
	else if (fd >= 0 && (memory = bulkhead_control_memory(text, size)) < 0)
		cli_fail("%s: %s", *name, strerror(-memory));
	if (fd >= 0)
		close(fd);
	free(text);
	return memory;
}

int config_command_check(struct cli *cli)
{
	struct config_report report;
	json_t *document = NULL;
	const char *name;
	int fd = open_file(cli, &name);

	if (fd < 0)
		return CLI_FAILED;
	config_report_init(&report);
	config_load(fd, name, &document, &report);
	close(fd);
	if (cli->is_json) {
		json_t *result = json_pack("{s:b, s:o, s:o}", "is_valid", document != NULL,
			"errors", config_report_json(&report, CONFIG_ERROR), "warnings",
			config_report_json(&report, CONFIG_WARNING));

		cli_print_json(result);
		json_decref(result);
	} else {
		config_report_print(&report, document ? stdout : stderr);
		if (document)
			printf("%s is valid\n", name);
	}
	config_report_destroy(&report);
	json_decref(document);
	return document ? CLI_OK : CLI_FAILED;
}

/* One line each, in the words of the daemon: FILE:LINE:COLUMN: error: KEY: ... */
static void print_messages(const json_t *result, const char *name)
{
	char left_out[32];
	json_t *row;
	size_t index;

	json_array_foreach (json_object_get(result, name), index, row)
		fprintf(stderr, "%s\n", format_string(row, "message"));
	snprintf(left_out, sizeof(left_out), "%s_left_out", name);
	if (json_object_get(result, left_out))
		fprintf(stderr, "and %lld more %s\n", (long long)format_integer(result, left_out),
			name);
}

/* The value as people write it; for free(). */
static char *value_text(const json_t *change, const char *name)
{
	const json_t *value = json_object_get(change, name);

	return value ? config_show_value(format_string(change, "key"), value) : NULL;
}

/* What is more than a change between two packets. */
static const char *effect_text(const json_t *change)
{
	const char *effect = format_string(change, "effect");

	if (strcmp(effect, "reopen") == 0)
		return " (the port is opened again)";
	if (strcmp(effect, "restart") == 0)
		return " (the packet role is started again)";
	return strcmp(effect, "daemon") == 0 ? " (with the next start of the daemon)" : "";
}

static void print_change(const json_t *change)
{
	char *old = value_text(change, "old"), *new = value_text(change, "new");
	const char *key = format_string(change, "key"), *effect = effect_text(change);
	char *line = NULL;
	int size;

	if (old && new)
		size = asprintf(&line, "~ %s: %s -> %s%s", key, old, new, effect);
	else
		size = asprintf(&line, "%s %s: %s%s", new ? "+" : "-", key,
			new           ? new
				: old ? old
				      : "",
			effect);
	if (size >= 0) {
		format_print_styled(old && new ? STYLE_WARNING
				: new          ? STYLE_GOOD
					       : STYLE_BAD,
			line);
		putchar('\n');
		free(line);
	}
	free(old);
	free(new);
}

static void print_changes(const json_t *result)
{
	json_t *change;
	size_t index;

	json_array_foreach (json_object_get(result, "changes"), index, change)
		print_change(change);
	if (json_object_get(result, "changes_left_out"))
		printf("and %lld more changes\n",
			(long long)format_integer(result, "changes_left_out"));
}

/* Calls a method with the file of argument 0; NULL: failed, and told. */
static json_t *call_with_file(struct cli *cli, const char *method, json_t *params)
{
	struct bulkhead_control_error error;
	const char *name;
	int memory = cli_connect(cli) == 0 ? read_file(cli, &name) : -1, code;
	json_t *result;

	if (memory < 0) {
		json_decref(params);
		return NULL;
	}
	json_object_set_new(params, "file", json_string(name));
	code = bulkhead_control_call(cli->control, method, params, memory, &result, &error);
	close(memory);
	if (code < 0) {
		cli_fail("%s", error.message);
		return NULL;
	}
	if (!cli->is_json) {
		print_messages(result, "errors");
		print_messages(result, "warnings");
	}
	return result;
}

int config_command_diff(struct cli *cli)
{
	json_t *result = call_with_file(cli, "config.diff", json_object()), *changes;
	bool is_valid;

	if (!result)
		return CLI_FAILED;
	is_valid = format_boolean(result, "is_valid");
	changes = json_object_get(result, "changes");
	if (cli->is_json)
		cli_print_json(result);
	else if (is_valid && json_array_size(changes) == 0)
		puts("no difference");
	else
		print_changes(result);
	json_decref(result);
	return is_valid ? CLI_OK : CLI_FAILED;
}

int config_command_apply(struct cli *cli)
{
	const char *confirm = cli_value(cli, "confirm");
	int64_t confirm_ms = confirm ? format_parse_duration(confirm) : 0;
	json_t *params = json_object(), *result;
	bool is_applied;

	if (confirm_ms < 0 || (confirm && confirm_ms < 1000)) {
		json_decref(params);
		return cli_usage(cli, "--confirm %s: must be a time of at least 1s, as 60s or 5min",
			confirm);
	}
	if (confirm)
		json_object_set_new(params, "confirm_ms", json_integer(confirm_ms));
	result = call_with_file(cli, "config.apply", params);
	if (!result)
		return CLI_FAILED;
	is_applied = format_boolean(result, "is_applied");
	if (cli->is_json) {
		cli_print_json(result);
	} else if (is_applied) {
		print_changes(result);
		printf("applied, generation %lld\n",
			(long long)format_integer(result, "generation"));
		if (confirm)
			printf("rolled back in %s unless you say: bulkhead config confirm\n",
				confirm);
	} else {
		cli_fail("%s was not applied; what ran before still runs", cli->arguments[0]);
	}
	json_decref(result);
	return is_applied ? CLI_OK : CLI_FAILED;
}

static int print_generation(struct cli *cli, const char *method, const char *done)
{
	json_t *result;

	if (cli_call(cli, method, NULL, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json) {
		cli_print_json(result);
	} else {
		print_changes(result);
		printf("%s, generation %lld\n", done,
			(long long)format_integer(result, "generation"));
	}
	json_decref(result);
	return CLI_OK;
}

int config_command_confirm(struct cli *cli)
{
	return print_generation(cli, "config.confirm", "confirmed");
}

int config_command_rollback(struct cli *cli)
{
	return print_generation(cli, "config.rollback", "rolled back");
}

int config_command_reload(struct cli *cli)
{
	json_t *result;
	bool is_applied;

	if (cli_call(cli, "config.reload", NULL, &result) != 0)
		return CLI_FAILED;
	is_applied = format_boolean(result, "is_applied");
	if (cli->is_json) {
		cli_print_json(result);
	} else {
		print_messages(result, "errors");
		print_messages(result, "warnings");
		print_changes(result);
		puts(is_applied ? "applied" : "not applied; what ran before still runs");
	}
	json_decref(result);
	return is_applied ? CLI_OK : CLI_FAILED;
}

/* Prints what came in a descriptor because it is long. */
static int print_descriptor(struct cli *cli)
{
	int fd = bulkhead_control_take_descriptor(cli->control);
	char buffer[65536];
	ssize_t count;

	if (fd < 0)
		return cli_fail(
			"the daemon said that the configuration is in a descriptor, and sent none");
	while ((count = read(fd, buffer, sizeof(buffer))) > 0)
		fwrite(buffer, 1, (size_t)count, stdout);
	close(fd);
	putchar('\n');
	return count < 0 ? cli_fail("cannot read the configuration: %s", strerror(errno)) : CLI_OK;
}

int config_command_show(struct cli *cli)
{
	const char *key = cli->argument_count > 0 ? cli->arguments[0] : NULL;
	bool is_yaml = !cli->is_json;
	json_t *params = json_pack("{s:s}", "format", is_yaml ? "yaml" : "json"), *result;
	int code = CLI_OK;

	if (key)
		json_object_set_new(params, "key", json_string(key));
	if (cli_call(cli, "config.show", params, &result) != 0)
		return CLI_FAILED;
	if (format_boolean(result, "in_descriptor"))
		code = print_descriptor(cli);
	else if (is_yaml)
		fputs(format_string(result, "text"), stdout);
	else
		cli_print_json(json_object_get(result, "config"));
	json_decref(result);
	return code;
}

int config_command_explain(struct cli *cli)
{
	const char *key = cli->argument_count > 0 ? cli->arguments[0] : "";
	char suggestion[128] = "";
	json_t *option;

	if (!cli->is_json) {
		if (config_explain_print(key, stdout, suggestion, sizeof(suggestion)) == 0)
			return CLI_OK;
		return cli_fail("there is no option %s%s%s%s", key,
			*suggestion ? "; did you mean " : "", suggestion, *suggestion ? "?" : "");
	}
	option = config_explain(key, suggestion, sizeof(suggestion));
	if (!option)
		return cli_fail("there is no option %s", key);
	cli_print_json(option);
	json_decref(option);
	return CLI_OK;
}

int config_command_schema(struct cli *cli)
{
	json_t *schema = config_json_schema();

	cli_print_json(schema);
	json_decref(schema);
	return CLI_OK;
}

int config_command_default(struct cli *cli)
{
	fputs(config_default_text(), stdout);
	return CLI_OK;
}
