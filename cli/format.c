/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT  80
#define HEIGHT_DEFAULT 24

/* Three digits and the unit of the power of base. */
static const char *scale(double value, double base, const char *const *units, char out[FORMAT_SIZE])
{
	size_t i = 0;

	while (value >= base && units[i + 1]) {
		value /= base;
		i++;
	}
	snprintf(out, FORMAT_SIZE,
		value < 10 && i > 0            ? "%.2f%s"
			: value < 100 && i > 0 ? "%.1f%s"
					       : "%.0f%s",
		value, units[i]);
	return out;
}

const char *format_count(double value, char out[FORMAT_SIZE])
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", NULL};

	if (value < 1000000) {
		snprintf(out, FORMAT_SIZE, "%.0f", value);
		return out;
	}
	return scale(value, 1000, units, out);
}

const char *format_bytes(double value, char out[FORMAT_SIZE])
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL};

	return scale(value, 1024, units, out);
}

const char *format_bit_rate(double value, char out[FORMAT_SIZE])
{
	static const char *const units[] = {
		" bit/s", " kbit/s", " Mbit/s", " Gbit/s", " Tbit/s", NULL};

	return scale(value, 1000, units, out);
}

const char *format_duration(uint64_t seconds, char out[FORMAT_SIZE])
{
	unsigned long long s = seconds;

	if (s < 60)
		snprintf(out, FORMAT_SIZE, "%llus", s);
	else if (s < 3600)
		snprintf(out, FORMAT_SIZE, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, FORMAT_SIZE, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(out, FORMAT_SIZE, "%llud%02lluh", s / 86400, s / 3600 % 24);
	return out;
}

/* Bytes of the UTF-8 character at text; 0: none that is valid and printable. */
static size_t character_size(const char *text)
{
	unsigned char first = (unsigned char)text[0];
	size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

	if (first < 0x20 || first == 0x7f || (first >= 0x80 && first < 0xc2) || first > 0xf4)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
	}
	/* C1 controls, U+0080 to U+009F, move cursors on some terminals. */
	if (first == 0xc2 && (unsigned char)text[1] < 0xa0)
		return 0;
	return size;
}

char *format_printable(const char *text)
{
	char *out = malloc(strlen(text) + 1), *to = out;

	if (!out)
		abort();
	while (*text) {
		size_t size = character_size(text);

		if (size == 0) {
			*to++ = '?';
			text++;
			continue;
		}
		memcpy(to, text, size);
		to += size;
		text += size;
	}
	*to = '\0';
	return out;
}

size_t format_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void format_print_cut(FILE *out, const char *text, size_t width)
{
	size_t shown = 0;

	for (; *text; text++) {
		if (((unsigned char)*text & 0xc0) != 0x80 && ++shown >= width)
			break;
		fputc(*text, out);
	}
	fputs("…", out);
}

const char *format_style(enum style style)
{
	static const char *const sequences[] = {
		[STYLE_PLAIN] = "",
		[STYLE_GOOD] = "\033[32m",
		[STYLE_WARNING] = "\033[33m",
		[STYLE_BAD] = "\033[31m",
		[STYLE_DIM] = "\033[2m",
		[STYLE_BOLD] = "\033[1m",
	};

	return sequences[style];
}

static size_t terminal_size(bool is_width)
{
	size_t fallback = is_width ? WIDTH_DEFAULT : HEIGHT_DEFAULT;
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return fallback;
	if (is_width)
		return size.ws_col ? size.ws_col : fallback;
	return size.ws_row ? size.ws_row : fallback;
}

size_t format_terminal_width(void)
{
	return terminal_size(true);
}

size_t format_terminal_height(void)
{
	return terminal_size(false);
}

bool format_has_colours(void)
{
	const char *no_color = getenv("NO_COLOR"); /* https://no-color.org */

	return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

void format_print_table(const struct table *table)
{
	table_print(table, stdout, format_terminal_width(), format_has_colours());
}

void format_print_styled(enum style style, const char *text)
{
	char *printable = format_printable(text);

	if (format_has_colours() && style != STYLE_PLAIN)
		printf("%s%s%s", format_style(style), printable, FORMAT_RESET);
	else
		fputs(printable, stdout);
	free(printable);
}

int64_t format_parse_duration(const char *text)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {
		{"ms", 1}, {"s", 1000}, {"", 1000}, {"min", 60000}, {"m", 60000}, {"h", 3600000}};
	char *end;
	double value = strtod(text, &end);

	if (end == text || !(value >= 0 && value < 1e9))
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) == 0)
			return (int64_t)(value * units[i].ms + 0.5);
	}
	return -1;
}

const char *format_string(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

json_int_t format_integer(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

bool format_boolean(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}
