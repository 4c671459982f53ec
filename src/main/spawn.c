/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/spawn.h"
#include "main/role.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Between the fork and the new program: nothing but system calls. */
static _Noreturn void become(char *const *arguments, char *const *environment, int fd, int other_fd)
{
	sigset_t none;
	char first;
	int null;

	close(other_fd); /* or its end would not be seen */
	if (recv(fd, &first, sizeof(first), MSG_PEEK) <= 0)
		_exit(1);
	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A role that was taken over does not type into the terminal that the daemon was started
	 * from (TIOCSTI). */
	setsid();
	/* Nor does it read what is typed there. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0 && dup2(null, STDIN_FILENO) == STDIN_FILENO && chdir("/") == 0
		&& (fd != ROLE_BROKER_FD || fcntl(fd, F_SETFD, 0) == 0)
		&& (fd == ROLE_BROKER_FD || dup2(fd, ROLE_BROKER_FD) >= 0))
		execve("/proc/self/exe", arguments, environment);
	_exit(127);
}

int spawn_sibling(
	char *const *arguments, char *const *environment, int fd, int other_fd, struct spawned *out)
{
	sigset_t all, before;
	long pid;
	int code;

	/* The caller's handlers must not run in the child, which shares their pipes. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = syscall(SYS_clone, CLONE_PARENT | CLONE_PIDFD | SIGCHLD, 0, &out->pidfd, 0, 0);
	code = errno;
	if (pid == 0)
		become(arguments, environment, fd, other_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -code;
	out->pid = (pid_t)pid;
	return 0;
}

int spawned_signal(const struct spawned *spawned, int number)
{
	return syscall(SYS_pidfd_send_signal, spawned->pidfd, number, NULL, 0) < 0 ? -errno : 0;
}
