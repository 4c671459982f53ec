/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public API: accepts clients on the socket that the broker opened, admits their calls
 * (api_access.h) and answers them here or passes them to the role that owns the method. What a role
 * notifies for a client (trace records) goes to the client that asked for it. Bounded: clients,
 * calls under way, what waits for a slow reader. The loop's thread.
 */
#pragma once

#include "control/api/api_access.h"
#include "ipc/ipc.h"

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

#define API_CLIENTS_MAX          128
#define API_CLIENTS_PER_USER_MAX 64 /* root is not counted */
#define API_STRANGERS_MAX        8  /* clients that may do nothing, of all users together */
#define API_CALLS_MAX            32 /* of a client, under way */
#define API_STREAMS_MAX          16 /* traces and captures of a client */
/* Longer than what a role may need for a reload of thousands of rules. */
#define API_FORWARD_TIMEOUT_MS 120000 /* rules by the hundred thousand are compiled */

struct api_server;
struct api_session;

/* What the owner of the server does for it. */
struct api_server_ops {
	/* Answers an admitted call of a method that control owns. */
	void (*handle)(void *context, struct api_session *session, struct ipc_request *request);
	/* The channel to a role; NULL: it is down. */
	struct ipc_channel *(*channel)(void *context, const char *role);
	/* A client is gone: forget what refers to it. */
	void (*forget)(void *context, struct api_session *session);
};

struct api_server_counts {
	uint64_t calls;       /* that came in */
	uint64_t refused;     /* not admitted */
	uint64_t dropped;     /* clients closed because they did not read */
	uint64_t turned_away; /* clients closed because of the limits */
	size_t clients;
};

/* Takes listen_fd. */
int api_server_open(uv_loop_t *loop, int listen_fd, const struct api_server_ops *ops, void *context,
	struct api_server **out);
/* Closes all clients. NULL is allowed. */
void api_server_close(struct api_server *server);

/* Who may do what; clients that are connected are looked at again. */
void api_server_set_principals(struct api_server *server, const struct api_principals *readers,
	const struct api_principals *operators);

/* A notification of a role about something that a client started ("trace.records"); whatever is
 * nobody's is ignored. params is borrowed. */
void api_server_route(struct api_server *server, const char *method, const json_t *params);
/* The role is gone: its streams end. */
void api_server_role_lost(struct api_server *server, const char *role);

void api_server_count(const struct api_server *server, struct api_server_counts *out);

/* Notifies a client; params is consumed. One that does not read is dropped, after this call. */
void api_session_notify(struct api_session *session, const char *method, json_t *params);
