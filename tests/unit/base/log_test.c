/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int sink_fd; /* ours; the log has a duplicate */

static int open_sink(void **state)
{
	sink_fd = memfd_create("log", MFD_CLOEXEC);
	log_open(LOG_SINK_FILE, dup(sink_fd), "packet", LOG_LEVEL_INFO);
	return sink_fd < 0;
}

static int close_sink(void **state)
{
	log_close();
	return close(sink_fd);
}

static const char *sink_text(void)
{
	static char text[65536];
	ssize_t size = pread(sink_fd, text, sizeof(text) - 1, 0);

	text[size < 0 ? 0 : size] = '\0';
	return text;
}

static unsigned sink_lines(void)
{
	unsigned count = 0;

	for (const char *at = sink_text(); *at; at++)
		count += *at == '\n';
	return count;
}

static void writes_event_and_typed_fields(void **state)
{
	log_info("port_up", log_str("port", "web/eth0"), log_uint("mtu_bytes", 1500),
		log_int("delta", -3), log_bool("is_up", true));
	assert_non_null(strstr(sink_text(),
		" info port_up role=packet port=web/eth0 mtu_bytes=1500 delta=-3 is_up=true\n"));
}

static void value_from_outside_cannot_forge_a_line(void **state)
{
	log_info("event", log_str("name", "a\"b\\c\nERROR fake=1\x1b[31m\xff"));
	assert_int_equal(sink_lines(), 1);
	assert_non_null(strstr(sink_text(), "name=\"a\\\"b\\\\c\\nERROR fake=1\\x1b[31m\\xff\"\n"));
}

static void empty_and_missing_strings_are_told_apart(void **state)
{
	log_info("event", log_str("empty", ""), log_str("none", NULL));
	assert_non_null(strstr(sink_text(), "empty=\"\" none=null\n"));
}

static void errno_has_name_and_text(void **state)
{
	log_info("event", log_errno(-ENOENT));
	assert_non_null(strstr(sink_text(), "error=\"ENOENT: No such file or directory\"\n"));
}

static void level_below_the_threshold_is_silent(void **state)
{
	log_debug("event");
	assert_int_equal(sink_lines(), 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("event");
	assert_int_equal(sink_lines(), 1);
}

static void flood_it(void)
{
	log_info("flood");
}

static void call_site_is_limited_and_tells_what_it_suppressed(void **state)
{
	uint64_t started_ns = clock_monotonic_ns(), refilled;
	unsigned lines;
	char last[64];

	for (int i = 0; i < 1000; i++)
		flood_it();
	/* However long that took: what the bucket was refilled with meanwhile is allowed too. */
	refilled = (clock_monotonic_ns() - started_ns) / (CLOCK_NS_PER_S / 5);
	lines = sink_lines();
	assert_in_range(lines, 20, 20 + refilled);
	usleep(250000);
	flood_it();
	assert_int_equal(sink_lines(), lines + 1);
	if (refilled > 0)
		return; /* some line in the middle told a part */
	snprintf(last, sizeof(last), "flood role=packet suppressed=%u", 1000 - lines);
	assert_non_null(strstr(sink_text(), last));
}

static void long_value_is_cut_and_the_line_still_ends(void **state)
{
	static char value[100000];

	memset(value, 'x', sizeof(value) - 1);
	log_info("event", log_str("value", value));
	assert_int_equal(sink_lines(), 1);
	assert_true(strlen(sink_text()) < 4096);
}

static void goes_to_stderr_where_no_journal_is(void **state)
{
	int saved;

	if (access("/run/systemd/journal/socket", F_OK) == 0)
		skip(); /* journald runs here, and would get it */
	saved = dup(STDERR_FILENO);
	dup2(sink_fd, STDERR_FILENO);
	log_open(LOG_SINK_JOURNALD, -1, "packet", LOG_LEVEL_INFO);
	log_info("event");
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(sink_lines(), 2);
	assert_non_null(strstr(sink_text(), "warning journal_missing role=packet"));
	assert_non_null(strstr(sink_text(), "info event role=packet"));
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, open_sink, close_sink)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(writes_event_and_typed_fields),
		LOG_TEST(value_from_outside_cannot_forge_a_line),
		LOG_TEST(empty_and_missing_strings_are_told_apart),
		LOG_TEST(errno_has_name_and_text),
		LOG_TEST(level_below_the_threshold_is_silent),
		LOG_TEST(call_site_is_limited_and_tells_what_it_suppressed),
		LOG_TEST(long_value_is_cut_and_the_line_still_ends),
		LOG_TEST(goes_to_stderr_where_no_journal_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
