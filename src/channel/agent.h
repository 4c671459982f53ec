/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agent of a partition, as far as it is sockets: it listens on the partition's socket and holds
 * a session of the mechanism (cmm.h) for each process that attaches. Who a process is comes from
 * the socket it used and from the kernel's credentials, which each of its packets has to bear: a
 * child that inherited the socket is not the process. The loop's thread.
 */
#pragma once

#include "base/list.h"
#include "channel/cmm.h"

#include <uv.h>

struct agent;

/* Takes fd, which listens. cmm has a partition of this name when a process comes. */
int agent_open(uv_loop_t *loop, struct cmm *cmm, const char *partition, int fd, struct agent **out);
/* Nobody can attach any more; who has stays. NULL is allowed. */
void agent_close(struct agent *agent);

/* cmm_ops.send. */
void agent_send(struct session *session, const struct attach_notice *notice, const int *descriptors,
	size_t count);
/* Closes the socket of a session that is about to be freed. */
void agent_forget(struct session *session);
/* All processes that are attached, of all agents; before cmm_close(). */
void agent_forget_all(void);
