/* SPDX-License-Identifier: BSD-3-Clause */
/* KMP's transport on a host: a Unix socket of type SOCK_SEQPACKET, a packet is a message. It gives
 * the sessions their time, too. Control thread. */
#pragma once

#include "packet/ipsec/kmp_session.h"

#include <uv.h>

struct kmp_unix;

/* Takes the listening socket, which does not block. The server is borrowed. -ENOMEM, or what libuv
 * says. */
int kmp_unix_open(uv_loop_t *loop, int fd, struct kmp_server *server, struct kmp_unix **out);
/* All connections are closed. NULL is allowed. */
void kmp_unix_close(struct kmp_unix *listener);
/* After something was told to the server from elsewhere: sees to connections and time. */
void kmp_unix_attend(struct kmp_unix *listener);
