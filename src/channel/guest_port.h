/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket of a partition that is a virtual machine: QEMU connects its vhost-user-vsock device
 * to it. One at a time; another one is served when the first is gone. The loop's thread.
 */
#pragma once

#include "channel/guest.h"

#include <uv.h>

struct guest_port;

/* Takes fd, which listens (a stream socket); -1: connections come by guest_port_take(). cid is the
 * guest's. */
int guest_port_open(uv_loop_t *loop, struct cmm *cmm, const char *partition, uint32_t cid, int fd,
	struct guest_port **out);
/* Takes fd, a connection to QEMU; closed when there is one. */
void guest_port_take(struct guest_port *port, int fd);
bool guest_port_has_peer(const struct guest_port *port);
/* The guest's processes are gone with it. NULL is allowed. */
void guest_port_close(struct guest_port *port);
