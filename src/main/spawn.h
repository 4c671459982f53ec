/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sys/types.h>

struct spawned {
	pid_t pid;
	int pidfd; /* means this process for ever; what a pid means once it was reaped nobody knows
		    */
};

/*
 * Starts this program again with arguments and environment, as a session of its own, with fd as its
 * descriptor 3. The child belongs to the caller's parent (CLONE_PARENT), who reaps it, whatever
 * becomes of the caller. It begins when something can be read from fd, and ends when fd is closed
 * before; other_fd is the caller's end of it.
 */
int spawn_sibling(char *const *arguments, char *const *environment, int fd, int other_fd,
	struct spawned *out);
/* 0 asks whether it is there: -ESRCH once it was reaped. */
int spawned_signal(const struct spawned *spawned, int number);
