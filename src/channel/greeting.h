/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a connection becomes a peer's link: connecting, the TLS handshake, who it is, and the first
 * frame of both (HELLO). Until then it has nothing of the mechanism, and a bounded time. The loop's
 * thread.
 */
#pragma once

#include "channel/cmm.h"
#include "channel/tls.h"

#include <uv.h>

struct greeting;

/* Takes fd: a socket on its way to the peer's address, or (peer NULL) one that was accepted from
 * address: where there are many of those, the oldest goes. A connection that gets so far is the
 * peer's (cmm_peer_connect()); one that does not is told to people. */
int greeting_open(uv_loop_t *loop, struct cmm *cmm, struct tls *tls, int fd, const char *peer,
	const char *address);
/* Whether one is on its way to this peer. */
bool greeting_is_under_way(const char *peer);
/* Ends those that take too long. Now and then. */
void greeting_tick(void);
/* Ends all. */
void greeting_close_all(void);
