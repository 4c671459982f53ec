/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled patterns on disk: used again when nothing changed, and never when in doubt. */
#include "packet/inspect/builtin/rules/pattern_cache.h"

#include "detect_fixture.h"
#include "packet/inspect/compile_progress.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static int fd;

static int open_file(void **state)
{
	strcpy(path, "/tmp/pattern_cache_test.XXXXXX");
	fd = mkstemp(path);
	return fd < 0;
}

static int close_file(void **state)
{
	close(fd);
	return unlink(path);
}

#define RULES                                                                                      \
	"alert udp any any -> any any (content:\"first\"; sid:1;)\n"                               \
	"alert tcp any any -> any 80 (content:\"second\"; nocase; sid:2;)\n"

/* Builds the rules, which must work, and tells whether all came from the cache. */
static bool comes_from_cache(const char *text)
{
	struct ruleset_file file = {"test.rules", text, strlen(text)};
	struct compile_progress progress = {0};
	const struct ruleset_source source = {.files = &file,
		.file_count = 1,
		.worker_count = 1,
		.progress = &progress,
		.cache_fd = &fd};
	struct detect_result result;
	struct ruleset *ruleset;
	struct frame frame;
	struct error error;

	assert_int_equal(ruleset_build(&source, &ruleset, NULL, &error), 0);
	assert_int_equal(progress.permille, 1000);
	make_udp(&frame, &client_to_server, "the first", 9);
	detect_frame(ruleset, &frame, (struct look){.to_server = true}, &result);
	assert_int_equal(result.alert_count, 1);
	ruleset_destroy(ruleset);
	return progress.has_used_cache;
}

static void rules_that_did_not_change_are_not_compiled_again(void **state)
{
	assert_false(comes_from_cache(RULES));
	assert_true(comes_from_cache(RULES));
	/* What is no pattern may change. */
	assert_true(comes_from_cache("# a comment\n" RULES));
	assert_false(
		comes_from_cache(RULES "alert udp any any -> any any (content:\"x\"; sid:3;)"));
	assert_false(comes_from_cache(RULES));
}

static void flags_are_part_of_what_is_looked_up(void **state)
{
	assert_false(comes_from_cache("alert udp any any -> any any (content:\"first\"; sid:1;)"));
	assert_false(comes_from_cache(
		"alert udp any any -> any any (content:\"first\"; nocase; sid:1;)"));
}

static void flip(off_t offset)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

/* Each byte counts: whichever is wrong, the rules are compiled, and the file is right again. */
static void a_damaged_file_is_ignored_and_written_anew(void **state)
{
	struct stat info;

	assert_false(comes_from_cache(RULES));
	assert_int_equal(fstat(fd, &info), 0);
	for (off_t at = 0; at < info.st_size; at += at < 400 ? 1 : 997) {
		flip(at);
		if (comes_from_cache(RULES))
			fail_msg("byte %lld was not checked", (long long)at);
		assert_true(comes_from_cache(RULES));
	}
	for (off_t size = info.st_size - 1; size > 0; size = size * 2 / 3) {
		assert_int_equal(ftruncate(fd, size), 0);
		assert_false(comes_from_cache(RULES));
		assert_true(comes_from_cache(RULES));
	}
}

static void a_foreign_file_is_ignored(void **state)
{
	char text[4096];

	memset(text, 'x', sizeof(text));
	assert_int_equal(pwrite(fd, text, sizeof(text), 0), sizeof(text));
	assert_false(comes_from_cache(RULES));
	assert_true(comes_from_cache(RULES));
}

/* Who may write it could make us run anything: neither used nor written to. */
static void a_file_that_others_may_write_is_not_trusted(void **state)
{
	struct stat before, after;

	assert_false(comes_from_cache(RULES));
	assert_int_equal(fchmod(fd, 0620), 0);
	assert_int_equal(fstat(fd, &before), 0);
	assert_false(comes_from_cache(RULES));
	assert_false(comes_from_cache("alert udp any any -> any any (content:\"first\"; sid:1;)"));
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(fchmod(fd, 0602), 0);
	assert_false(comes_from_cache(RULES));
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_true(comes_from_cache(RULES));
	if (geteuid() == 0) {
		assert_int_equal(fchown(fd, 12345, 12345), 0);
		assert_false(comes_from_cache(RULES));
	}
}

static void a_stopped_compilation_ends(void **state)
{
	struct ruleset_file file = {"test.rules", RULES, strlen(RULES)};
	struct compile_progress progress = {.is_stopped = true};
	const struct ruleset_source source = {
		.files = &file, .file_count = 1, .worker_count = 1, .progress = &progress};
	struct ruleset *ruleset;
	struct error error;

	assert_int_equal(ruleset_build(&source, &ruleset, NULL, &error), -ECANCELED);
	assert_null(ruleset);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_file, close_file)
	const struct CMUnitTest tests[] = {
		TEST(rules_that_did_not_change_are_not_compiled_again),
		TEST(flags_are_part_of_what_is_looked_up),
		TEST(a_damaged_file_is_ignored_and_written_anew),
		TEST(a_foreign_file_is_ignored),
		TEST(a_file_that_others_may_write_is_not_trusted),
		TEST(a_stopped_compilation_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
