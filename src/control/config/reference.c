/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference of all options as Markdown and as part of a man page. */
#include "control/config/explain.h"

#include <string.h>

#define TEXT_SIZE 640

static bool is_top(const struct config_option *option)
{
	return strchr(option->key, '.') == NULL;
}

static bool is_leaf(const struct config_option *option)
{
	return option->type != CONFIG_SECTION && option->type != CONFIG_MAP;
}

/* Of Markdown's own signs only | and * can be in our texts and matter in a table. */
static void print_markdown_cell(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, *text == '|' || *text == '*' ? "\\%c" : "%c", *text);
}

void config_reference_print_markdown(FILE *out)
{
	char text[TEXT_SIZE];

	fputs("| option | valid | default | meaning | a change is in force |\n"
	      "| --- | --- | --- | --- | --- |\n",
		out);
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		fprintf(out, is_top(option) ? "| **`%s`** | " : "| `%s` | ", option->key);
		if (is_leaf(option)) {
			config_option_valid(option, text, sizeof(text));
			print_markdown_cell(out, text);
		}
		fputs(" | ", out);
		config_option_default(option, text, sizeof(text));
		if (is_leaf(option))
			print_markdown_cell(out, text);
		fputs(" | ", out);
		print_markdown_cell(out, option->help);
		if (option->example) {
			fputs(". Example: ", out);
			print_markdown_cell(out, option->example);
		}
		fprintf(out, " | %s |\n",
			is_leaf(option) ? config_effect_sentence(option->effect) : "");
	}
}

/* roff: a dot or apostrophe must not start a line, and - and \ need care (man(7)). */
static void print_roff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void print_man_line(FILE *out, const char *label, const char *text)
{
	fprintf(out, ".br\n%s: ", label);
	print_roff(out, text);
	fputc('\n', out);
}

void config_reference_print_man(FILE *out)
{
	char text[TEXT_SIZE];

	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		if (is_top(option)) {
			fputs(".SS ", out);
			print_roff(out, option->key);
			fputc('\n', out);
		}
		fputs(".TP\n.B ", out);
		print_roff(out, option->key);
		fputc('\n', out);
		print_roff(out, option->help);
		fputs(".\n", out);
		if (!is_leaf(option))
			continue;
		config_option_valid(option, text, sizeof(text));
		print_man_line(out, "Valid", text);
		config_option_default(option, text, sizeof(text));
		print_man_line(out, "Default", text);
		if (option->example)
			print_man_line(out, "Example", option->example);
		print_man_line(out, "A change is in force", config_effect_sentence(option->effect));
	}
}
