/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process of the guest that has attached: its socket, a stream to the channel role, and its
 * rings, which are mirrored over that (channel/ring_stream.h). Who it is follows from the kernel's
 * credentials, of each of its packets, as on a host. One thread.
 */
#pragma once

#include "channel/ring_stream.h"

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct agent_process;

/* Takes fd, which a process has connected. Its descriptors are watched in epoll, with the process
 * as data. NULL: it was refused, and told why. */
struct agent_process *agent_process_open(int epoll, int fd);
/* One of its descriptors has something: it is to be run. */
void agent_process_wake(struct agent_process *process);
/* Now and then: asks the role whether it is there. -ECONNRESET: it has not answered for long. */
int agent_process_tick(struct agent_process *process);
/* If it was woken: moves what there is to be moved, a bounded amount. 1: there is more; 0: its
 * descriptors will tell; -ECONNRESET: it is over, and to be closed. */
int agent_process_run(struct agent_process *process);
void agent_process_close(struct agent_process *process);
/* For the caller's list. */
struct list *agent_process_node(struct agent_process *process);
struct agent_process *agent_process_of(struct list *node);
