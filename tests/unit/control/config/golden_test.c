/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each golden/NAME.yaml is loaded; what the report prints must be golden/NAME.expected, byte for
 * byte. With GOLDEN_UPDATE=1 the .expected files are written: read them before you commit them.
 */
#include "control/config/config.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CASES_MINIMUM 60

static char *report_of(const char *name)
{
	struct config_report report;
	json_t *document;
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	int r;

	assert_true(fd >= 0);
	config_report_init(&report);
	r = config_load(fd, name, &document, &report);
	close(fd);
	/* A document exactly when there is no error; errors exactly when it failed. */
	assert_int_equal(r == 0, document != NULL);
	assert_int_equal(r == 0, report.error_count == 0);
	config_report_print(&report, out);
	fclose(out);
	json_decref(document);
	config_report_destroy(&report);
	return text;
}

static char *read_file(const char *name)
{
	FILE *file = fopen(name, "r");
	char *text = calloc(1, 65536);

	if (file) {
		assert_true(fread(text, 1, 65535, file) < 65535);
		fclose(file);
	}
	return text;
}

static void check_case(const char *name)
{
	char expected_name[512];
	char *got = report_of(name), *expected;

	snprintf(
		expected_name, sizeof(expected_name), "%.*s.expected", (int)strlen(name) - 5, name);
	if (getenv("GOLDEN_UPDATE")) {
		FILE *file = fopen(expected_name, "w");

		assert_non_null(file);
		fputs(got, file);
		fclose(file);
	}
	expected = read_file(expected_name);
	if (strcmp(got, expected) != 0)
		print_error("%s: got\n%s\nexpected\n%s\n", name, got, expected);
	assert_string_equal(got, expected);
	free(got);
	free(expected);
}

static void reports_each_golden_file_as_expected(void **state)
{
	struct dirent **entries;
	int count = scandir(".", &entries, NULL, alphasort), cases = 0;

	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		size_t size = strlen(name);

		if (size > 5 && strcmp(name + size - 5, ".yaml") == 0) {
			check_case(name);
			cases++;
		}
		free(entries[i]);
	}
	free(entries);
	assert_true(cases >= CASES_MINIMUM);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_each_golden_file_as_expected),
	};

	if (chdir(CONFIG_GOLDEN_FOLDER) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
