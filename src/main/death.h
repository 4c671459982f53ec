/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Says how a process ended (status is that of waitpid(2)), with the name of the signal, and for
 * SIGSYS of the system call when the kernel's log tells it. */
void death_describe(pid_t pid, int status, char *out, size_t size);
