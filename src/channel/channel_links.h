/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links as far as they are configuration and sockets: certificates, the listening socket and
 * connections come from the broker. Private to channel_*.c; the loop's thread.
 */
#pragma once

#include "base/error.h"
#include "channel/policy.h"
#include "channel/tls.h"

#include <uv.h>

struct channel_role;

/* What is in force, or will be. */
struct links_state {
	struct tls *tls; /* NULL: there are no links */
	int files[TLS_FILES];
	int listen_fd;
	struct policy_endpoint listen; /* of listen_fd, or of who is polled */
};

struct links {
	struct links_state now, next;
	uv_timer_t timer;
	uv_poll_t *listener; /* of now.listen_fd; NULL: nobody listens */
};

void links_open(struct channel_role *role);
/* In order: asks the broker for what the next policy wants (change.answers_due); makes TLS of it
 * when all is there; takes it, or forgets it. */
void links_ask(struct channel_role *role);
int links_prepare(struct channel_role *role, struct error *error);
void links_commit(struct channel_role *role);
void links_abort(struct channel_role *role);
/* Before cmm_close(). */
void links_close(struct channel_role *role);
