/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/metrics_server.h"

#include "base/log.h"
#include "control/metrics/openmetrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct metrics_server {
	uv_loop_t *loop;
	uv_poll_t poll;   /* on libmicrohttpd's epoll descriptor */
	uv_timer_t timer; /* for its time-outs */
	int handles_open; /* while closing */
	struct MHD_Daemon *daemon;
	metrics_collect_fn collect;
	void *context;
	bool is_collecting;
	bool has_text;
	uint64_t made_at_ms;
	struct MHD_Response *response; /* shared by all who ask; NULL: none could be made */
	struct MHD_Connection *waiting[METRICS_CONNECTIONS_MAX];
	size_t waiting_count;
};

static enum MHD_Result reply_text(
	struct MHD_Connection *connection, unsigned int status, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static bool is_fresh(const struct metrics_server *server)
{
	return server->has_text && uv_now(server->loop) - server->made_at_ms < METRICS_CACHE_MS;
}

static enum MHD_Result reply_metrics(
	struct metrics_server *server, struct MHD_Connection *connection)
{
	if (is_fresh(server) && server->response)
		return MHD_queue_response(connection, MHD_HTTP_OK, server->response);
	if (is_fresh(server))
		return reply_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
			"no metrics at the moment; try again\n");
	if (server->waiting_count == METRICS_CONNECTIONS_MAX)
		return reply_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many ask\n");
	/* Called again for this connection when it is resumed. */
	server->waiting[server->waiting_count++] = connection;
	MHD_suspend_connection(connection);
	if (!server->is_collecting) {
		server->is_collecting = true;
		server->collect(server->context, server);
	}
	return MHD_YES;
}

static enum MHD_Result on_http(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **state)
{
	static const int seen;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET /metrics only\n");
	/* The first call is about the header alone; it may still be answered by an error. */
	if (!*state) {
		*state = (void *)(uintptr_t)&seen;
		return MHD_YES;
	}
	if (*upload_size > 0)
		return MHD_NO;
	if (strcmp(url, "/metrics") != 0)
		return reply_text(connection, MHD_HTTP_NOT_FOUND, "the metrics are at /metrics\n");
	return reply_metrics(context, connection);
}

static void run(struct metrics_server *server);

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	run(poll->data);
}

static void run(struct metrics_server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(server->daemon);
	if (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES)
		uv_timer_start(&server->timer, on_timer, timeout_ms, 0);
	else
		uv_timer_stop(&server->timer);
}

int metrics_server_open(uv_loop_t *loop, int listen_fd, metrics_collect_fn collect, void *context,
	struct metrics_server **out, struct error *error)
{
	struct metrics_server *server = calloc(1, sizeof(*server));
	const union MHD_DaemonInfo *info;

	if (!server) {
		close(listen_fd);
		return error_set(error, -ENOMEM, "metrics: no memory left");
	}
	server->loop = loop;
	server->collect = collect;
	server->context = context;
	server->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_http, server, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)METRICS_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)METRICS_IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)16384, MHD_OPTION_END);
	if (!server->daemon) {
		close(listen_fd);
		free(server);
		return error_set(error, -EIO, "metrics: the HTTP server could not be started");
	}
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	uv_poll_init(loop, &server->poll, info->epoll_fd);
	uv_timer_init(loop, &server->timer);
	server->poll.data = server->timer.data = server;
	uv_poll_start(&server->poll, UV_READABLE, on_readable);
	*out = server;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct metrics_server *server = handle->data;

	if (--server->handles_open > 0)
		return;
	MHD_stop_daemon(server->daemon);
	if (server->response)
		MHD_destroy_response(server->response);
	free(server);
}

static void resume_waiting(struct metrics_server *server)
{
	size_t count = server->waiting_count;

	server->waiting_count = 0;
	for (size_t i = 0; i < count; i++)
		MHD_resume_connection(server->waiting[i]);
}

void metrics_server_close(struct metrics_server *server)
{
	if (!server)
		return;
	/* libmicrohttpd wants nobody suspended when it stops. */
	resume_waiting(server);
	server->handles_open = 2;
	uv_close((uv_handle_t *)&server->poll, on_closed);
	uv_close((uv_handle_t *)&server->timer, on_closed);
}

void metrics_server_collected(struct metrics_server *server, json_t *samples)
{
	size_t size = 0, left_out = 0;
	char *text = samples ? openmetrics_render(samples, &size, &left_out) : NULL;

	json_decref(samples);
	if (left_out > 0)
		log_warning("metrics_invalid", log_uint("samples", left_out));
	if (server->response)
		MHD_destroy_response(server->response);
	server->response = NULL;
	if (text)
		server->response =
			MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
	if (server->response)
		MHD_add_response_header(
			server->response, MHD_HTTP_HEADER_CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE);
	server->has_text = true;
	server->made_at_ms = uv_now(server->loop);
	server->is_collecting = false;
	resume_waiting(server);
	/* From the loop and not from here, which may be within libmicrohttpd's callback. */
	uv_timer_start(&server->timer, on_timer, 0, 0);
}
