/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A role: one process of bulkheadd with one job. The table in roles.c is the architecture. The
 * broker re-executes the binary as `bulkheadd --role NAME`, with the broker's channel as descriptor
 * 3; a role gets a channel to each of its peers by the notification `role.peer {"role": NAME}` with
 * the socket attached, at the start and again each time the peer was restarted.
 */
#pragma once

#include "base/error.h"
#include "ipc/ipc.h"

#include <stdint.h>
#include <uv.h>

#define ROLE_BROKER_FD 3
/* A role that ends with this cannot do in this process what it can in its next one, which is told
 * (is_second_try): EX_TEMPFAIL of sysexits.h. */
#define ROLE_EXIT_AGAIN 75

struct role_context {
	uv_loop_t *loop;
	struct ipc_channel *broker; /* requests of the closed list go here */
	const char *name;
	bool is_foreground;
	bool is_second_try; /* the process before ended with ROLE_EXIT_AGAIN */
	bool is_ready;      /* role_tell_ready() was called: to be told to the next broker, too */
};

/* What a role implements; each runs on the loop's thread of the role's process. */
struct role_ops {
	/* Runs with the rights of the table's row already reduced. state is the role's own. */
	int (*start)(struct role_context *context, void **state, struct error *error);
	/* A peer's channel was (re)connected: takes fd. */
	void (*peer)(void *state, const char *peer_name, int fd);
	/* Request or notification from the broker that is not role.*. */
	void (*request)(void *state, struct ipc_request *request);
	/* SIGTERM or role.stop: release everything; the loop then runs until it is empty. */
	void (*stop)(void *state);
};

struct role {
	const char *name;
	const char *job; /* one line for --help and the manual */
	const struct role_ops *ops;
	const char *const *peers;    /* roles that get a channel to this one; NULL-terminated */
	const char *const *requests; /* what it may ask of the broker; NULL-terminated */
	const char *const
		*method_prefixes; /* API methods it owns, as "gateway."; NULL-terminated */
	uint64_t capabilities;    /* bit set of CAP_*; kept in the permitted and effective set */
	const struct sandbox *sandbox; /* system calls and file system view, see sandbox.h */
};

/* In the order of starting; stopping goes backwards. NULL name ends it. */
extern const struct role roles[];
const struct role *role_find(const char *name);

/* What a role tells the broker of itself; src/main/README.md says when. */
static inline int role_tell_ready(struct role_context *context)
{
	context->is_ready = true;
	return ipc_notify(context->broker, "role.ready", NULL, NULL, 0);
}

static inline int role_tell_failed(const struct role_context *context, const char *message)
{
	return ipc_notify(
		context->broker, "role.failed", json_pack("{s:s}", "message", message), NULL, 0);
}
