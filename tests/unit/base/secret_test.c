/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/error.h"
#include "base/secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX 100

/* The end of a pipe that size bytes of 'x' can be read from, in pieces. */
static int pipe_of(size_t size)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(write(fds[1], "x", 1), 1);
	close(fds[1]);
	return fds[0];
}

static void reads_files_up_to_their_bound(void **state)
{
	static const size_t sizes[] = {0, 1, MAX};
	struct secret *secret;
	struct error error;
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd = pipe_of(sizes[i]);

		assert_int_equal(secret_read(fd, MAX, &secret, &size, &error), 0);
		assert_int_equal(size, sizes[i]);
		for (size_t at = 0; at < size; at++)
			assert_int_equal(((char *)secret_bytes(secret))[at], 'x');
		secret_destroy(secret);
		close(fd);
	}
}

static void refuses_what_is_larger_or_cannot_be_read(void **state)
{
	struct secret *secret;
	struct error error;
	int fd = pipe_of(MAX + 1);
	size_t size;

	(void)state;
	assert_int_equal(secret_read(fd, MAX, &secret, &size, &error), -EFBIG);
	assert_string_equal(error.text, "larger than 100 bytes");
	close(fd);
	assert_int_equal(secret_read(-1, MAX, &secret, &size, &error), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_files_up_to_their_bound),
		cmocka_unit_test(refuses_what_is_larger_or_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
