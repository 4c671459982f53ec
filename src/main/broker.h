/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The broker: root, and therefore small. It starts and restarts the roles, connects them with each
 * other, and opens privileged things for them from the closed list in broker_requests.c. It reads
 * nothing but small, checked requests of the roles. One thread. The keeper (keeper.h) starts it,
 * and starts another when it dies, which goes on where it was.
 */
#pragma once

#include <stdbool.h>

struct broker_options {
	const char *config_path;
	bool is_foreground;
	int ready_fd; /* owned; told "R" when ready, else why not. -1: nobody waits */
};

/* Runs as a child of the keeper until the daemon ends; returns the exit code of both. Of the
 * options ready_fd is the keeper's, which hands it over. */
int broker_run(const struct broker_options *options);
