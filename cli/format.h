/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers, times, widths and colours for people. */
#pragma once

#include "cli/table.h"

#include <jansson.h>
#include <stdint.h>

#define FORMAT_SIZE  32
#define FORMAT_RESET "\033[0m"

/* 999999, 1.23M, 45.6G: at most 7 characters. */
const char *format_count(double value, char out[FORMAT_SIZE]);
/* 512 B, 1.5 KiB, 20.3 GiB */
const char *format_bytes(double value, char out[FORMAT_SIZE]);
/* Bits a second: 950 kbit/s, 9.87 Gbit/s */
const char *format_bit_rate(double value, char out[FORMAT_SIZE]);
/* 45s, 12m30s, 3h05m, 12d03h */
const char *format_duration(uint64_t seconds, char out[FORMAT_SIZE]);

/* New string in which control characters and invalid UTF-8 are "?". */
char *format_printable(const char *text);
/* Characters of UTF-8 text (each one column wide). */
size_t format_width(const char *text);
/* The first width - 1 characters and an ellipsis. */
void format_print_cut(FILE *out, const char *text, size_t width);
/* Escape sequence; "" for plain. */
const char *format_style(enum style style);

/* Columns of the terminal behind stdout; 80 where there is none. */
size_t format_terminal_width(void);
size_t format_terminal_height(void);
/* stdout is a terminal, and NO_COLOR is not set. */
bool format_has_colours(void);
/* Prints for stdout: its width, its colours. */
void format_print_table(const struct table *table);
/* Text in a style on stdout, printable. */
void format_print_styled(enum style style, const char *text);

/* "30", "60s", "5min", "1h", "500ms" as milliseconds; -1: none of these. */
int64_t format_parse_duration(const char *text);

/* Members of an object, or "" and 0. Borrowed. */
const char *format_string(const json_t *object, const char *name);
json_int_t format_integer(const json_t *object, const char *name);
bool format_boolean(const json_t *object, const char *name);
