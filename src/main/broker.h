/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The broker: root, and therefore small. It starts and restarts the roles, connects them with each
 * other, and opens privileged things for them from the closed list in broker_requests.c. It reads
 * nothing but small, checked requests of the roles. One thread.
 */
#pragma once

#include <stdbool.h>

struct broker_options {
	const char *config_path;
	bool is_foreground;
	int ready_fd; /* owned; told "R" when ready, else why not. -1: nobody waits */
};

/* Runs the daemon to its end; returns the exit code of the process. */
int broker_run(const struct broker_options *options);
