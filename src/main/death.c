/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/death.h"

#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel tells the system call that seccomp killed for only in its log (audit type 1326,
 * include/uapi/linux/audit.h), one record a read. Returns -1 when it is not there to be read. */
static int death_find_system_call(pid_t pid)
{
	char record[2048], wanted[32];
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int number = -1;
	ssize_t size;

	if (fd < 0)
		return -1;
	snprintf(wanted, sizeof(wanted), " pid=%d ", (int)pid);
	while ((size = read(fd, record, sizeof(record) - 1)) > 0) {
		const char *at;

		record[size] = '\0';
		if (!strstr(record, "type=1326") || !strstr(record, wanted))
			continue;
		at = strstr(record, " syscall=");
		if (at)
			number = atoi(at + strlen(" syscall="));
	}
	close(fd);
	return number;
}

void death_describe(pid_t pid, int status, char *out, size_t size)
{
	int term_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	const char *signal_name = sigabbrev_np(term_signal);
	char *call;
	int number;

	if (term_signal == 0) {
		snprintf(out, size, "exit code %d", WEXITSTATUS(status));
		return;
	}
	snprintf(out, size, "killed by SIG%s%s", signal_name ? signal_name : "?",
		WCOREDUMP(status) ? ", core dumped" : "");
	if (term_signal != SIGSYS)
		return;
	number = death_find_system_call(pid);
	call = number < 0 ? NULL : seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number);
	snprintf(out, size, "killed by SIGSYS: system call %s is not on its list",
		call ? call : "(unknown; see the kernel's log)");
	free(call);
}
