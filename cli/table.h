/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables on a terminal: columns as wide as their content, narrowed where the line would be too
 * long; what comes from outside is made printable. Cells are copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum style { STYLE_PLAIN, STYLE_GOOD, STYLE_WARNING, STYLE_BAD, STYLE_DIM, STYLE_BOLD };

struct table_column {
	const char *title;
	bool is_right;    /* numbers */
	bool is_flexible; /* is narrowed, down to 8, when the table is too wide */
};

struct table;

/* columns is borrowed until destroy. */
struct table *table_create(const struct table_column *columns, size_t column_count);
void table_destroy(struct table *table);
/* Next cell, row by row. */
void table_add(struct table *table, const char *text);
void table_add_styled(struct table *table, enum style style, const char *text);
void table_add_format(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* width 0: as wide as it gets. */
void table_print(const struct table *table, FILE *out, size_t width, bool has_colours);
