/* SPDX-License-Identifier: BSD-3-Clause */
/* The child is this program again (what /proc/self/exe is), and answers on descriptor 3. */
#include "main/spawn.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *const arguments[] = {"spawn-test", "child", NULL};
static char *const environment[] = {"WHO=child", NULL};

static int be_child(void)
{
	char byte;

	if (read(3, &byte, 1) != 1 || !getenv("WHO") || getsid(0) != getpid())
		return 1;
	return write(3, "A", 1) == 1 && read(3, &byte, 1) == 1 ? byte : 2;
}

/* Makes the sibling from a process that then ends, as a broker that dies; says its pid. */
static pid_t spawn_from_a_child(int fds[2])
{
	int pipes[2], status;
	pid_t parent, pid = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(pipe(pipes), 0);
	parent = fork();
	if (parent == 0) {
		struct spawned spawned;

		status = spawn_sibling(arguments, environment, fds[1], fds[0], &spawned);
		if (status < 0 || spawned_signal(&spawned, 0) < 0
			|| write(pipes[1], &spawned.pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	assert_int_equal(read(pipes[0], &pid, sizeof(pid)), sizeof(pid));
	close(pipes[0]);
	close(pipes[1]);
	close(fds[1]);
	return pid;
}

static void sibling_outlives_its_maker_and_is_reaped_by_the_parent(void **state)
{
	int fds[2], status;
	char byte = 0;
	pid_t pid = spawn_from_a_child(fds);

	assert_int_equal(send(fds[0], "s", 1, 0), 1);
	assert_int_equal(recv(fds[0], &byte, 1, 0), 1);
	assert_int_equal(byte, 'A');
	assert_int_equal(send(fds[0], "\x2a", 1, 0), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	close(fds[0]);
}

static void sibling_that_nobody_speaks_to_does_not_begin(void **state)
{
	int fds[2], status;
	pid_t pid = spawn_from_a_child(fds);

	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 1 << 8);
}

static void signal_reaches_the_process_and_never_a_later_one(void **state)
{
	struct spawned spawned;
	int fds[2], status;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	/* From the test itself the sibling is the child of the test's parent: in between. */
	if (fork() == 0) {
		char byte;

		if (spawn_sibling(arguments, environment, fds[1], fds[0], &spawned) < 0)
			_exit(1);
		close(fds[1]);
		if (spawned_signal(&spawned, SIGKILL) < 0)
			_exit(2);
		if (recv(fds[0], &byte, 1, 0) != 0) /* its end of the socket went with it */
			_exit(3);
		while (spawned_signal(&spawned, 0) != -ESRCH)
			usleep(1000); /* until the test has reaped it */
		_exit(0);
	}
	close(fds[0]);
	close(fds[1]);
	for (int left = 2; left > 0; left--) {
		assert_true(wait(&status) > 0);
		assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sibling_outlives_its_maker_and_is_reaped_by_the_parent),
		cmocka_unit_test(sibling_that_nobody_speaks_to_does_not_begin),
		cmocka_unit_test(signal_reaches_the_process_and_never_a_later_one),
	};

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return be_child();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
