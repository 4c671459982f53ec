/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a role's process gives up, in two stages: sandbox_enter() before the role's start (user,
 * capabilities, file system view), sandbox_confine() after it (system calls). Neither can be
 * undone. Threads made between the two are confined as well.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct role;

enum sandbox_view {
	/* An empty, read-only root with nothing but /etc and the journal's sockets, a network
	 * without an interface that is up, and its own IPC: for a role that gets all its files and
	 * sockets as descriptors. */
	SANDBOX_VIEW_EMPTY,
	/* The system, with programs, configuration and kernel settings read-only, and root's home,
	 * mail, spools and other users' processes hidden: for a role that makes sockets where it is
	 * told and opens devices. */
	SANDBOX_VIEW_SYSTEM
};

/* One allowed system call; when mask is not 0, only with (argument & mask) == value. When error is
 * set the call is not allowed but fails with it, for libraries that ask and do without. */
struct sandbox_call {
	int number;
	int error;
	unsigned char argument;
	uint64_t mask, value;
};

struct sandbox {
	enum sandbox_view view;
	const struct sandbox_call *const *lists; /* NULL-terminated; a list ends with number -1 */
	bool may_lock_memory;
};

/* sandbox_calls.c: beside each call why the role needs it. */
extern const struct sandbox sandbox_packet, sandbox_channel, sandbox_control;
extern const struct sandbox_call sandbox_sanitizer_calls[];

int sandbox_enter(const struct role *role, struct error *error);
int sandbox_confine(const struct role *role, struct error *error);
/* Built with a sanitizer: its leak check traces the process, which waits for ever behind the
 * filter. */
bool sandbox_is_sanitized(void);
