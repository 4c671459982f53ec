/* SPDX-License-Identifier: BSD-3-Clause */
/* api, api call: the API as it is. */
#include "cli/command.h"
#include "cli/format.h"

#include <string.h>

static void print_methods(const json_t *methods)
{
	static const struct table_column columns[] = {
		{"METHOD", false, false}, {"ACCESS", false, false}, {"DOES", false, true}};
	struct table *table = table_create(columns, 3);
	json_t *method;
	size_t index;

	json_array_foreach (methods, index, method) {
		table_add(table, format_string(method, "name"));
		table_add(table, format_string(method, "access"));
		table_add(table, format_string(method, "help"));
	}
	format_print_table(table);
	table_destroy(table);
}

static void print_params(const json_t *params)
{
	json_t *param;
	size_t index;

	if (json_array_size(params) == 0)
		puts("Parameters: none");
	else
		puts("Parameters:");
	json_array_foreach (params, index, param) {
		const char *choices = format_string(param, "choices");

		printf("  %-16s %s%s%s%s\n", format_string(param, "name"),
			format_string(param, "help"),
			format_boolean(param, "is_required") ? " (required)" : "",
			*choices ? ": " : "", choices);
	}
}

static void print_fields(const json_t *fields)
{
	json_t *field;
	size_t index;

	json_array_foreach (fields, index, field)
		printf("  %-28s %s%s\n", format_string(field, "path"),
			format_boolean(field, "is_optional") ? "(optional) " : "",
			format_string(field, "help"));
}

static void print_method(const json_t *method)
{
	json_t *notification;
	size_t index;

	printf("%s: %s\nAnswered by %s, for %ss.%s\n\n", format_string(method, "name"),
		format_string(method, "help"), format_string(method, "owner"),
		format_string(method, "access"),
		format_boolean(method, "takes_descriptor") ? " A descriptor comes with the call."
							   : "");
	print_params(json_object_get(method, "params"));
	puts("\nResult:");
	print_fields(json_object_get(method, "result"));
	json_array_foreach (json_object_get(method, "notifications"), index, notification) {
		printf("\nNotification %s: %s\n", format_string(notification, "name"),
			format_string(notification, "help"));
		print_fields(json_object_get(notification, "fields"));
	}
}

int api_list(struct cli *cli)
{
	const char *only = cli->argument_count > 0 ? cli->arguments[0] : NULL;
	json_t *params = only ? json_pack("{s:s}", "method", only) : json_object();
	json_t *result, *methods;

	json_object_set_new(params, "limit", json_integer(20));
	if (cli_call_paged(cli, "api.list", params, &result) != 0)
		return CLI_FAILED;
	methods = json_object_get(result, "methods");
	if (only && json_array_size(methods) == 0) {
		json_decref(result);
		return cli_fail("there is no method %s; `bulkhead api` lists them", only);
	}
	if (cli->is_json)
		cli_print_json(result);
	else if (only)
		print_method(json_array_get(methods, 0));
	else
		print_methods(methods);
	json_decref(result);
	return CLI_OK;
}

int api_call(struct cli *cli)
{
	const char *text = cli->argument_count > 1 ? cli->arguments[1] : "{}";
	json_error_t error;
	json_t *params = json_loads(text, JSON_REJECT_DUPLICATES, &error), *result;

	if (!json_is_object(params)) {
		json_decref(params);
		return cli_usage(cli, "PARAMS must be a JSON object: %s",
			params ? "it is something else" : error.text);
	}
	if (cli_call(cli, cli->arguments[0], params, &result) != 0)
		return CLI_FAILED;
	cli_print_json(result);
	json_decref(result);
	return CLI_OK;
}
