/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands share: calls with their errors told, parameters from options. */
#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

static int vfail(int code, const char *format, va_list arguments)
{
	fflush(stdout);
	fputs("bulkhead: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	return code;
}

int cli_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfail(CLI_FAILED, format, arguments);
	va_end(arguments);
	return CLI_FAILED;
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfail(CLI_USAGE, format, arguments);
	va_end(arguments);
	if (cli->command)
		fprintf(stderr, "See `bulkhead %s --help`.\n", cli->command->name);
	else
		fprintf(stderr, "See `bulkhead%s%s --help`.\n", cli->group ? " " : "",
			cli->group ? cli->group : "");
	return CLI_USAGE;
}

int cli_connect(struct cli *cli)
{
	struct bulkhead_control_error error;

	if (cli->control)
		return 0;
	if (bulkhead_control_open(cli->socket, &cli->control, &error) < 0)
		return cli_fail("%s", error.message);
	return 0;
}

int cli_call(struct cli *cli, const char *method, json_t *params, json_t **result)
{
	struct bulkhead_control_error error;

	if (cli_connect(cli) != 0) {
		json_decref(params);
		return CLI_FAILED;
	}
	if (bulkhead_control_call(cli->control, method, params, -1, result, &error) < 0)
		return cli_fail("%s", error.message);
	return 0;
}

int cli_call_paged(struct cli *cli, const char *method, json_t *params, json_t **result)
{
	struct bulkhead_control_error error;

	if (cli_connect(cli) != 0) {
		json_decref(params);
		return CLI_FAILED;
	}
	if (bulkhead_control_call_paged(cli->control, method, params, result, &error) < 0)
		return cli_fail("%s", error.message);
	return 0;
}

static int show(const struct cli *cli, json_t *result, void (*print)(const json_t *result))
{
	if (cli->is_json)
		cli_print_json(result);
	else if (print)
		print(result);
	json_decref(result);
	return CLI_OK;
}

int cli_show(
	struct cli *cli, const char *method, json_t *params, void (*print)(const json_t *result))
{
	json_t *result;

	return cli_call(cli, method, params, &result) != 0 ? CLI_FAILED : show(cli, result, print);
}

int cli_show_paged(
	struct cli *cli, const char *method, json_t *params, void (*print)(const json_t *result))
{
	json_t *result;

	return cli_call_paged(cli, method, params, &result) != 0 ? CLI_FAILED
								 : show(cli, result, print);
}

int cli_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	return CLI_OK;
}

int cli_param_integer(struct cli *cli, json_t *params, const char *option, const char *param)
{
	const char *text = cli_value(cli, option);
	long long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || *end || errno != 0) {
		cli_usage(cli, "--%s %s: must be a whole number", option, text);
		return -1;
	}
	json_object_set_new(params, param, json_integer(value));
	return 0;
}

void cli_param_string(struct cli *cli, json_t *params, const char *option, const char *param)
{
	const char *text = cli_value(cli, option);

	if (text)
		json_object_set_new(params, param, json_string(text));
}
