/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/api/api_server.h"

#include "base/accept.h"
#include "base/log.h"
#include "control/api/api_session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Clients accepted before others of the loop get their turn. */
#define ACCEPT_BURST 16

static void close_dropped(uv_timer_t *timer)
{
	struct api_server *server = timer->data;

	list_foreach_safe (node, &server->sessions) {
		struct api_session *session = list_entry(node, struct api_session, node);

		if (session->is_dropped)
			api_session_close(session);
	}
}

static size_t count_of_user(const struct api_server *server, uid_t uid)
{
	size_t count = 0;

	list_foreach (node, &server->sessions)
		count += list_entry(node, struct api_session, node)->peer.uid == uid;
	return count;
}

static size_t count_strangers(const struct api_server *server)
{
	size_t count = 0;

	list_foreach (node, &server->sessions)
		count += list_entry(node, struct api_session, node)->grant == API_GRANT_NONE;
	return count;
}

/* Root always gets in; nobody can keep the others out. */
static bool has_room(const struct api_server *server, const struct api_peer *peer)
{
	if (peer->uid == 0)
		return true;
	if (server->counts.clients >= API_CLIENTS_MAX
		|| count_of_user(server, peer->uid) >= API_CLIENTS_PER_USER_MAX)
		return false;
	return api_grant_of(peer, &server->readers, &server->operators) != API_GRANT_NONE
		|| count_strangers(server) < API_STRANGERS_MAX;
}

/* Takes fd. */
static void admit_client(struct api_server *server, int fd)
{
	struct api_peer peer;
	int code = api_peer_read(fd, &peer);

	if (code < 0) {
		log_warning("api_client_unknown", log_errno(code));
		close(fd);
		return;
	}
	if (!has_room(server, &peer)) {
		server->counts.turned_away++;
		api_log_warning(&server->log, peer.uid, "api_client_turned_away",
			log_uint("clients", server->counts.clients));
		close(fd);
		return;
	}
	code = api_session_open(server, fd, &peer);
	if (code < 0)
		log_warning("api_client_failed", log_errno(code));
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
	struct api_server *server = poll->data;

	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept_connection(server->listen_fd, NULL, NULL);

		if (fd < 0)
			break;
		admit_client(server, fd);
	}
}

int api_server_open(uv_loop_t *loop, int listen_fd, const struct api_server_ops *ops, void *context,
	struct api_server **out)
{
	struct api_server *server = calloc(1, sizeof(*server));
	int code = -ENOMEM;

	if (!server)
		goto close_fd;
	server->loop = loop;
	server->listen_fd = listen_fd;
	server->ops = ops;
	server->context = context;
	list_init(&server->sessions);
	code = uv_poll_init(loop, &server->poll, listen_fd);
	if (code < 0)
		goto free_server;
	uv_timer_init(loop, &server->drop_timer);
	server->poll.data = server->drop_timer.data = server;
	uv_poll_start(&server->poll, UV_READABLE, on_connect);
	*out = server;
	return 0;

free_server:
	free(server);
close_fd:
	close(listen_fd);
	return code;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct api_server *server = handle->data;

	if (--server->handles_open == 0)
		free(server);
}

void api_server_close(struct api_server *server)
{
	if (!server)
		return;
	list_foreach_safe (node, &server->sessions)
		api_session_close(list_entry(node, struct api_session, node));
	server->handles_open = 2;
	uv_close((uv_handle_t *)&server->poll, on_handle_closed);
	uv_close((uv_handle_t *)&server->drop_timer, on_handle_closed);
	close(server->listen_fd);
}

void api_server_drop_later(struct api_server *server)
{
	uv_timer_start(&server->drop_timer, close_dropped, 0, 0);
}

/* Who may do less than before may have begun what is no longer allowed: events, a capture. */
static void set_grant(struct api_session *session, enum api_grant grant)
{
	if (grant < session->grant) {
		api_log_warning(&session->server->log, session->peer.uid, "api_client_dropped",
			log_int("pid", session->peer.pid),
			log_str("reason", "it may do less than before"));
		session->is_dropped = true;
		api_server_drop_later(session->server);
	}
	session->grant = grant;
}

void api_server_set_principals(struct api_server *server, const struct api_principals *readers,
	const struct api_principals *operators)
{
	server->readers = *readers;
	server->operators = *operators;
	list_foreach (node, &server->sessions) {
		struct api_session *session = list_entry(node, struct api_session, node);

		set_grant(session, api_grant_of(&session->peer, readers, operators));
	}
}

void api_server_route(struct api_server *server, const char *method, const json_t *params)
{
	list_foreach (node, &server->sessions) {
		if (api_session_route(list_entry(node, struct api_session, node), method, params))
			return;
	}
}

void api_server_role_lost(struct api_server *server, const char *role)
{
	list_foreach (node, &server->sessions)
		api_session_role_lost(list_entry(node, struct api_session, node), role);
}

void api_server_count(const struct api_server *server, struct api_server_counts *out)
{
	*out = server->counts;
}
