/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/table.h"

#include "cli/format.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX      16
#define GAP              2 /* spaces between columns */
#define FLEXIBLE_MINIMUM 8

struct cell {
	char *text;
	size_t width; /* characters */
	enum style style;
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct cell *cells;
	size_t cell_count, cell_capacity;
};

struct table *table_create(const struct table_column *columns, size_t column_count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table || column_count > COLUMNS_MAX)
		abort();
	table->columns = columns;
	table->column_count = column_count;
	return table;
}

void table_destroy(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

void table_add_styled(struct table *table, enum style style, const char *text)
{
	struct cell *cell;

	if (table->cell_count == table->cell_capacity) {
		table->cell_capacity = table->cell_capacity ? 2 * table->cell_capacity : 64;
		table->cells =
			reallocarray(table->cells, table->cell_capacity, sizeof(*table->cells));
		if (!table->cells)
			abort();
	}
	cell = &table->cells[table->cell_count++];
	cell->text = format_printable(text ? text : "");
	cell->width = format_width(cell->text);
	cell->style = style;
}

void table_add(struct table *table, const char *text)
{
	table_add_styled(table, STYLE_PLAIN, text);
}

void table_add_format(struct table *table, const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	table_add(table, text);
}

static void measure(const struct table *table, size_t *widths)
{
	for (size_t i = 0; i < table->column_count; i++)
		widths[i] = format_width(table->columns[i].title);
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t column = i % table->column_count;

		if (table->cells[i].width > widths[column])
			widths[column] = table->cells[i].width;
	}
}

/* Takes from the widest flexible column, character by character, until it fits. */
static void narrow(const struct table *table, size_t *widths, size_t width)
{
	for (;;) {
		size_t total = GAP * (table->column_count - 1), widest = table->column_count;

		for (size_t i = 0; i < table->column_count; i++) {
			total += widths[i];
			if (table->columns[i].is_flexible && widths[i] > FLEXIBLE_MINIMUM
				&& (widest == table->column_count || widths[i] > widths[widest]))
				widest = i;
		}
		if (total <= width || widest == table->column_count)
			return;
		widths[widest]--;
	}
}

static void print_cell(FILE *out, const struct cell *cell, const struct table_column *column,
	size_t width, bool is_last, bool has_colours)
{
	size_t shown = cell->width > width ? width : cell->width;
	int left = column->is_right ? (int)(width - shown) : 0;
	int right = column->is_right || is_last ? 0 : (int)(width - shown);

	fprintf(out, "%*s%s", left, "", has_colours ? format_style(cell->style) : "");
	if (cell->width > width)
		format_print_cut(out, cell->text, width);
	else
		fputs(cell->text, out);
	fprintf(out, "%s%*s", has_colours && cell->style != STYLE_PLAIN ? FORMAT_RESET : "", right,
		"");
	fputs(is_last ? "\n" : "  ", out);
}

void table_print(const struct table *table, FILE *out, size_t width, bool has_colours)
{
	size_t widths[COLUMNS_MAX], count = table->column_count;

	measure(table, widths);
	if (width > 0)
		narrow(table, widths, width);
	for (size_t i = 0; i < count; i++) {
		struct cell title = {.text = (char *)table->columns[i].title,
			.width = format_width(table->columns[i].title),
			.style = STYLE_BOLD};

		print_cell(out, &title, &table->columns[i], widths[i], i + 1 == count, has_colours);
	}
	for (size_t i = 0; i < table->cell_count; i++)
		print_cell(out, &table->cells[i], &table->columns[i % count], widths[i % count],
			(i + 1) % count == 0, has_colours);
}
