/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/format.h"
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct table_column columns[] = {
	{"NAME", false, true}, {"COUNT", true, false}, {"TEXT", false, true}};

static char *render(struct table *table, size_t width, bool has_colours)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	table_print(table, out, width, has_colours);
	fclose(out);
	table_destroy(table);
	return text;
}

static void columns_are_as_wide_as_their_content(void **state)
{
	struct table *table = table_create(columns, 3);
	char *text;

	table_add(table, "web.eth0");
	table_add(table, "7");
	table_add(table, "up");
	table_add(table, "db");
	table_add_format(table, "%d", 123456);
	table_add(table, "");
	text = render(table, 80, false);
	assert_string_equal(text,
		"NAME       COUNT  TEXT\n"
		"web.eth0       7  up\n"
		"db        123456  \n");
	free(text);
}

static void fits_into_80_columns(void **state)
{
	struct table *table = table_create(columns, 3);
	char name[200], *text, *line;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	table_add(table, name);
	table_add(table, "1");
	table_add(table, name);
	text = render(table, 80, false);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(format_width(line) <= 80);
	free(text);
}

static void cuts_with_an_ellipsis(void **state)
{
	struct table *table = table_create(columns, 3);
	char *text;

	table_add(table, "näme-that-is-long");
	table_add(table, "1");
	table_add(table, "x");
	text = render(table, 24, false);
	assert_non_null(strstr(text, "näme-that-…"));
	free(text);
}

static void colours_only_where_told(void **state)
{
	struct table *table = table_create(columns, 3);
	char *text;

	table_add_styled(table, STYLE_BAD, "down");
	table_add(table, "");
	table_add(table, "");
	text = render(table, 80, true);
	assert_non_null(strstr(text, "\033[31mdown\033[0m"));
	free(text);
	table = table_create(columns, 3);
	table_add_styled(table, STYLE_BAD, "down");
	table_add(table, "");
	table_add(table, "");
	text = render(table, 80, false);
	assert_null(strchr(text, '\033'));
	free(text);
}

static void makes_foreign_text_printable(void **state)
{
	char *text = format_printable("a\033[31mb\x07\xc2\x9b"
				      "c\xff\xc3\xa4\n");

	assert_string_equal(text, "a?[31mb???c?\xc3\xa4?");
	free(text);
}

static void scales_numbers(void **state)
{
	char text[FORMAT_SIZE];

	assert_string_equal(format_count(999999, text), "999999");
	assert_string_equal(format_count(1234567, text), "1.23M");
	assert_string_equal(format_count(45600000000.0, text), "45.6G");
	assert_string_equal(format_bytes(512, text), "512 B");
	assert_string_equal(format_bytes(1536, text), "1.50 KiB");
	assert_string_equal(format_bit_rate(9870000000.0, text), "9.87 Gbit/s");
	assert_string_equal(format_duration(59, text), "59s");
	assert_string_equal(format_duration(3725, text), "1h02m");
	assert_string_equal(format_duration(90000, text), "1d01h");
}

static void reads_durations(void **state)
{
	assert_int_equal(format_parse_duration("60s"), 60000);
	assert_int_equal(format_parse_duration("1.5"), 1500);
	assert_int_equal(format_parse_duration("5min"), 300000);
	assert_int_equal(format_parse_duration("500ms"), 500);
	assert_int_equal(format_parse_duration(""), -1);
	assert_int_equal(format_parse_duration("x"), -1);
	assert_int_equal(format_parse_duration("-1s"), -1);
	assert_int_equal(format_parse_duration("5 s"), -1);
	assert_int_equal(format_parse_duration("nan"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_content),
		cmocka_unit_test(fits_into_80_columns),
		cmocka_unit_test(cuts_with_an_ellipsis),
		cmocka_unit_test(colours_only_where_told),
		cmocka_unit_test(makes_foreign_text_printable),
		cmocka_unit_test(scales_numbers),
		cmocka_unit_test(reads_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
