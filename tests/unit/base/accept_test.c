/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/accept.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int listener;

static int open_world(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The family alone: the kernel finds a name (unix(7), autobind). */
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(listener, 8), 0);
	return 0;
}

static int close_world(void **state)
{
	close(listener);
	return 0;
}

static int come(void)
{
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	return fd;
}

static bool somebody_waits(void)
{
	struct pollfd poll_fd = {.fd = listener, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

/* No new descriptor; returns what there was. */
static struct rlimit forbid_descriptors(void)
{
	struct rlimit before, limit;
	int next = dup(listener);

	close(next);
	getrlimit(RLIMIT_NOFILE, &before);
	limit = (struct rlimit){(rlim_t)next, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static void takes_who_comes(void **state)
{
	int client = come(), fd = accept_connection(listener, NULL, NULL);
	char byte;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(client, &byte, 1), 1);
	assert_int_equal(accept_connection(listener, NULL, NULL), -EAGAIN);
	close(fd);
	close(client);
}

static void who_finds_no_descriptor_is_turned_away(void **state)
{
	int first = come(), second = come();
	struct rlimit before = forbid_descriptors();
	char byte;

	assert_int_equal(accept_connection(listener, NULL, NULL), -EMFILE);
	assert_int_equal(read(first, &byte, 1), 0);
	assert_int_equal(accept_connection(listener, NULL, NULL), -EMFILE);
	assert_int_equal(read(second, &byte, 1), 0);
	assert_false(somebody_waits());
	setrlimit(RLIMIT_NOFILE, &before);
	close(first);
	close(second);
	takes_who_comes(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_who_comes, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			who_finds_no_descriptor_is_turned_away, open_world, close_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
