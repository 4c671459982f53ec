/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/api/api_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define FLOOD 1000
#define BURST 20 /* of a call site (log.c) */
#define FIRST 1000

static int sink; /* what the log closes is a copy */

static int open_sink(void **state)
{
	sink = memfd_create("log", MFD_CLOEXEC);
	log_open(LOG_SINK_FILE, dup(sink), "control", LOG_LEVEL_INFO);
	return 0;
}

static int close_sink(void **state)
{
	log_close();
	close(sink);
	return 0;
}

static size_t lines_with(const char *wanted)
{
	static char text[1 << 20];
	ssize_t size = pread(sink, text, sizeof(text) - 1, 0);
	size_t count = 0;

	assert_true(size >= 0);
	text[size] = '\0';
	for (const char *at = text; (at = strstr(at, wanted)); at++)
		count++;
	return count;
}

static void one_user_does_not_silence_another(void **state)
{
	struct api_log log = {0};
	size_t of_first;

	for (int i = 0; i < FLOOD; i++)
		api_log_warning(&log, 1000U, "api_forbidden", log_str("method", "config.apply"));
	of_first = lines_with("api_forbidden role=control uid=1000 method=config.apply");
	assert_in_range(of_first, BURST, FLOOD / 2);
	api_log_warning(&log, 1001U, "api_forbidden", log_str("method", "config.apply"));
	assert_int_equal(lines_with("uid=1001"), 1);
}

static void user_has_one_allowance_for_all_events(void **state)
{
	struct api_log log = {0};

	assert_ptr_equal(api_log_site(&log, 0), api_log_site(&log, 0));
	assert_ptr_not_equal(api_log_site(&log, 0), api_log_site(&log, 1));
}

static void more_users_than_places_have_no_more_lines(void **state)
{
	struct api_log log = {0};
	struct log_site *longest_ago = api_log_site(&log, FIRST);

	for (uid_t uid = FIRST + 1; uid < FIRST + API_LOG_USERS_MAX; uid++)
		assert_ptr_not_equal(api_log_site(&log, uid), longest_ago);
	longest_ago->is_initialized = true;
	longest_ago->suppressed = 7;
	assert_ptr_equal(api_log_site(&log, 1), longest_ago);
	assert_int_equal(longest_ago->suppressed, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_user_does_not_silence_another, open_sink, close_sink),
		cmocka_unit_test(user_has_one_allowance_for_all_events),
		cmocka_unit_test(more_users_than_places_have_no_more_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
