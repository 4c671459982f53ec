/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sys/socket.h>

/* accept4(2), non-blocking and close-on-exec, of a socket that a loop polls. A process that has no
 * descriptor left turns away who comes: one that stayed in the queue would wake the loop for ever.
 * from may be NULL, with size. -errno; -EMFILE, -ENFILE: turned away. One thread of a process. */
int accept_connection(int listener, struct sockaddr *from, socklen_t *size);
