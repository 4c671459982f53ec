/* SPDX-License-Identifier: BSD-3-Clause */
#include "docs/generate/pages.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* The manual has no date of its own: pages are the same for the same tree. */
void roff_head(FILE *out, const char *name, int section, const char *summary)
{
	fputs(".TH ", out);
	for (const char *at = name; *at; at++)
		fputc(toupper((unsigned char)*at), out);
	fprintf(out, " %d \"\" \"bulkhead " BULKHEAD_VERSION "\" \"Bulkhead\"\n", section);
	fputs(".SH NAME\n", out);
	roff_text(out, name);
	fputs(" \\- ", out);
	roff_text(out, summary);
	fputc('\n', out);
}

void roff_text(FILE *out, const char *text)
{
	bool is_line_start = true;

	for (; *text; text++) {
		if (is_line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
		is_line_start = *text == '\n';
	}
}

void roff_paragraphs(FILE *out, const char *text)
{
	const char *end;

	while ((end = strstr(text, "\n\n"))) {
		char paragraph[2048];

		snprintf(paragraph, sizeof(paragraph), "%.*s", (int)(end - text), text);
		roff_text(out, paragraph);
		fputs("\n.PP\n", out);
		text = end + 2;
	}
	roff_text(out, text);
	fputc('\n', out);
}
