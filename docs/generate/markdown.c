/* SPDX-License-Identifier: BSD-3-Clause */
/* The API's reference as Markdown. */
#include "docs/generate/pages.h"
#include "schema/api_schema.h"

/* A cell of a table must not hold a bar. */
static void put_cell(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void put_row(
	FILE *out, const char *name, const char *type, const char *help, const char *note)
{
	fprintf(out, "| `%s` | ", name);
	put_cell(out, type);
	fprintf(out, "%s | ", note);
	put_cell(out, help);
	fputs(" |\n", out);
}

static void put_method(FILE *out, const struct api_method *method)
{
	fprintf(out, "\n## `%s`\n\n%s For %ss; answered by the role `%s`.%s%s\n", method->name,
		method->help, api_access_name(method->access), method->owner,
		method->is_paged ? " Paged (`after`, `limit` → `next`)." : "",
		method->takes_descriptor ? " A descriptor comes with the call." : "");
	if (method->params)
		fputs("\n| parameter | type | meaning |\n| --- | --- | --- |\n", out);
	for (const struct api_param *param = method->params; param && param->name; param++)
		put_row(out, param->name,
			param->choices ? param->choices : api_type_name(param->type), param->help,
			param->is_required ? ", required" : "");
	if (method->result)
		fputs("\n| result | type | meaning |\n| --- | --- | --- |\n", out);
	for (const struct api_field *field = method->result; field && field->path; field++)
		put_row(out, field->path, api_type_name(field->type), field->help,
			field->is_optional ? ", optional" : "");
	for (const struct api_notification *row = method->notifications; row && row->name; row++) {
		fprintf(out, "\n| notification `%s` | type | meaning |\n| --- | --- | --- |\n",
			row->name);
		for (const struct api_field *field = row->fields; field->path; field++)
			put_row(out, field->path, api_type_name(field->type), field->help,
				field->is_optional ? ", optional" : "");
	}
}

void print_api_markdown(FILE *out)
{
	fputs("# The API\n\nGenerated from `schema/api_methods.c`. JSON-RPC 2.0, one message a "
	      "packet of "
	      "a `SOCK_SEQPACKET` Unix socket.\n",
		out);
	for (const struct api_method *method = api_methods; method->name; method++) {
		if (method->access != API_INTERNAL)
			put_method(out, method);
	}
}
