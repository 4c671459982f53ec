/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets that we make in the file system, where others may write to the folder, too. Control
 * thread. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Clears the way for a socket: removes one that is left over from a process that was killed. One
 * that somebody serves is not ours to remove, nor is a file of another kind. -EACCES when the
 * folder is not writable.
 */
int socket_file_prepare(const char *path, struct error *error);

/* Sets the mode of a socket that we have just made: of ours, and of nothing behind a link. */
int socket_file_set_mode(const char *path, mode_t mode);

/* Whether a connect is bound to fail for want of rights. That the socket is not there yet is no
 * problem: the other side makes it. */
bool socket_file_find_problem(const char *path, struct error *error);
