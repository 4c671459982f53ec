/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to src/control/api: a client's connection, and the server's struct. */
#pragma once

#include "base/list.h"
#include "control/api/api_log.h"
#include "control/api/api_server.h"

struct api_server {
	uv_loop_t *loop;
	uv_poll_t poll;
	uv_timer_t drop_timer;
	int listen_fd;
	int handles_open; /* while closing */
	const struct api_server_ops *ops;
	void *context;
	struct list sessions;
	struct api_principals readers, operators;
	struct api_server_counts counts;
	struct api_log log;
};

/* Something that a role does for the client until it is stopped: {"trace": 7}. */
struct api_stream {
	const struct api_method *method; /* that started it; NULL: free slot */
	int64_t id;
};

struct api_session {
	struct list node;
	struct api_server *server; /* NULL: closed, and only calls under way refer to it */
	struct ipc_channel *channel;
	struct api_peer peer;
	enum api_grant grant;
	unsigned int calls; /* under way; each refers to the session */
	bool is_dropped;    /* does not read; is closed soon */
	struct api_stream streams[API_STREAMS_MAX];
};

/* Takes fd. */
int api_session_open(struct api_server *server, int fd, const struct api_peer *peer);
void api_session_close(struct api_session *session);
/* true: the notification was for a stream of this session. */
bool api_session_route(struct api_session *session, const char *method, const json_t *params);
void api_session_role_lost(struct api_session *session, const char *role);

/* Closes the sessions with is_dropped from the loop, when nobody walks the list. */
void api_server_drop_later(struct api_server *server);
