/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/api/api_session.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A call that was passed on to a role. The server outlives it: its owner closes the roles' channels
 * first, which ends their calls. */
struct forwarded_call {
	struct api_server *server;
	struct api_session *session;
	struct ipc_request *request;
	const struct api_method *method;
};

static void on_request(struct ipc_request *request, void *context);
static void on_close(struct ipc_channel *channel, void *context);

static const struct ipc_ops session_ops = {.on_request = on_request, .on_close = on_close};

int api_session_open(struct api_server *server, int fd, const struct api_peer *peer)
{
	struct api_session *session = calloc(1, sizeof(*session));
	int code;

	if (!session) {
		close(fd);
		return -ENOMEM;
	}
	session->peer = *peer;
	session->grant = api_grant_of(peer, &server->readers, &server->operators);
	code = ipc_open(server->loop, fd, &session_ops, session, &session->channel);
	if (code < 0) {
		free(session);
		return code;
	}
	session->server = server;
	list_append(&server->sessions, &session->node);
	server->counts.clients++;
	log_debug("api_client", log_uint("uid", peer->uid), log_int("pid", peer->pid),
		log_int("grant", session->grant));
	return 0;
}

/* The part of a method's name before its dot: what the stream's id is called. */
static void stream_kind(const char *method, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)strcspn(method, "."), method);
}

static void ignore_reply(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
}

static void stream_stop(struct api_server *server, const struct api_method *method, int64_t id)
{
	struct ipc_channel *channel = server->ops->channel(server->context, method->owner);
	char kind[32], stop[64];

	stream_kind(method->name, kind, sizeof(kind));
	snprintf(stop, sizeof(stop), "%s.stop", kind);
	if (channel)
		(void)ipc_call(channel, stop, json_pack("{s:I}", kind, (json_int_t)id), NULL, 0,
			IPC_CALL_TIMEOUT_MS, ignore_reply, NULL);
}

static void session_put(struct api_session *session)
{
	if (session->server == NULL && session->calls == 0)
		free(session);
}

void api_session_close(struct api_session *session)
{
	struct api_server *server = session->server;

	for (size_t i = 0; i < API_STREAMS_MAX; i++) {
		if (session->streams[i].method)
			stream_stop(server, session->streams[i].method, session->streams[i].id);
	}
	server->ops->forget(server->context, session);
	list_remove(&session->node);
	server->counts.clients--;
	session->server = NULL;
	ipc_close(session->channel);
	session->channel = NULL;
	session_put(session);
}

static void on_close(struct ipc_channel *channel, void *context)
{
	api_session_close(context);
}

void api_session_notify(struct api_session *session, const char *method, json_t *params)
{
	int code;

	if (!session->server || session->is_dropped) {
		json_decref(params);
		return;
	}
	code = ipc_notify(session->channel, method, params, NULL, 0);
	if (code == -ENOBUFS) {
		session->is_dropped = true;
		session->server->counts.dropped++;
		api_log_warning(&session->server->log, session->peer.uid, "api_client_dropped",
			log_int("pid", session->peer.pid),
			log_str("reason", "it does not read what it asked for"),
			log_str("method", method));
		api_server_drop_later(session->server);
	}
}

static struct api_stream *stream_find(struct api_session *session, const char *kind, int64_t id)
{
	char own_kind[32];

	for (size_t i = 0; i < API_STREAMS_MAX; i++) {
		if (!session->streams[i].method || session->streams[i].id != id)
			continue;
		stream_kind(session->streams[i].method->name, own_kind, sizeof(own_kind));
		if (strcmp(own_kind, kind) == 0)
			return &session->streams[i];
	}
	return NULL;
}

bool api_session_route(struct api_session *session, const char *method, const json_t *params)
{
	const char *dot = strchr(method, '.');
	struct api_stream *stream;
	char kind[32];

	stream_kind(method, kind, sizeof(kind));
	stream = stream_find(session, kind, json_integer_value(json_object_get(params, kind)));
	if (!stream)
		return false;
	if (dot && strcmp(dot, ".end") == 0)
		stream->method = NULL;
	api_session_notify(session, method, json_incref((json_t *)params));
	return true;
}

void api_session_role_lost(struct api_session *session, const char *role)
{
	char kind[32], end[64], reason[64];

	for (size_t i = 0; i < API_STREAMS_MAX; i++) {
		struct api_stream *stream = &session->streams[i];

		if (!stream->method || strcmp(stream->method->owner, role) != 0)
			continue;
		stream_kind(stream->method->name, kind, sizeof(kind));
		snprintf(end, sizeof(end), "%s.end", kind);
		snprintf(reason, sizeof(reason), "the %s role ended", role);
		stream->method = NULL;
		api_session_notify(session, end,
			json_pack("{s:I, s:s}", kind, (json_int_t)stream->id, "reason", reason));
	}
}

/* A success of a method with notifications starts a stream, which the client or its end stops. When
 * the client has gone in the meantime it is stopped at once. */
static void stream_begin(const struct forwarded_call *call, const json_t *result)
{
	struct api_session *session = call->session;
	char kind[32];
	int64_t id;

	stream_kind(call->method->name, kind, sizeof(kind));
	id = json_integer_value(json_object_get(result, kind));
	for (size_t i = 0; session->server && i < API_STREAMS_MAX; i++) {
		if (!session->streams[i].method) {
			session->streams[i] = (struct api_stream){.method = call->method, .id = id};
			return;
		}
	}
	stream_stop(call->server, call->method, id);
}

static bool has_free_stream(const struct api_session *session)
{
	for (size_t i = 0; i < API_STREAMS_MAX; i++) {
		if (!session->streams[i].method)
			return true;
	}
	return false;
}

static void reply_error(struct forwarded_call *call, const json_t *error)
{
	int code = (int)json_integer_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	char text[ERROR_TEXT_SIZE];

	if (code == IPC_UNAVAILABLE) {
		snprintf(text, sizeof(text),
			"the %s role ended while it worked on this; it is started again, try again",
			call->method->owner);
		message = text;
	}
	ipc_reply_error(call->request, code ? code : IPC_INTERNAL_ERROR,
		message ? message : "the role gave no reason",
		json_incref(json_object_get(error, "data")));
}

static void on_forwarded(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct forwarded_call *call = context;
	struct api_session *session = call->session;

	session->calls--;
	if (error) {
		reply_error(call, error);
	} else {
		if (call->method->notifications)
			stream_begin(call, result);
		ipc_reply_with_descriptors(call->request, json_incref((json_t *)result),
			descriptors, descriptor_count);
	}
	session_put(session);
	free(call);
}

static void forward(
	struct api_session *session, const struct api_method *method, struct ipc_request *request)
{
	struct api_server *server = session->server;
	struct ipc_channel *channel = server->ops->channel(server->context, method->owner);
	struct forwarded_call *call;
	char text[ERROR_TEXT_SIZE];
	int descriptor = -1, code;

	if (!channel) {
		snprintf(text, sizeof(text),
			"the %s role is not running at the moment; it is started again, try again",
			method->owner);
		ipc_reply_error(request, IPC_UNAVAILABLE, text, NULL);
		return;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		ipc_reply_failed(request, -ENOMEM, "no memory left");
		return;
	}
	*call = (struct forwarded_call){
		.server = server, .session = session, .request = request, .method = method};
	if (method->takes_descriptor)
		descriptor = ipc_request_take_descriptor(request, 0);
	session->calls++;
	code = ipc_call(channel, method->name, json_incref((json_t *)ipc_request_params(request)),
		&descriptor, method->takes_descriptor ? 1 : 0, API_FORWARD_TIMEOUT_MS, on_forwarded,
		call);
	if (descriptor >= 0)
		close(descriptor);
	if (code < 0) {
		session->calls--;
		free(call);
		snprintf(text, sizeof(text), "the %s role cannot take calls at the moment: %s",
			method->owner, strerror(-code));
		ipc_reply_error(request, IPC_UNAVAILABLE, text, NULL);
	}
}

static void on_request(struct ipc_request *request, void *context)
{
	struct api_session *session = context;
	const struct api_method *method;
	struct error error;
	int code;

	/* A client has nothing to notify. */
	if (ipc_request_is_notification(request))
		return;
	session->server->counts.calls++;
	code = api_admit(session->grant, ipc_request_method(request), ipc_request_params(request),
		ipc_request_descriptor_count(request), &method, &error);
	if (code == 0 && session->calls >= API_CALLS_MAX)
		code = error_set(&error, IPC_FAILED,
			"%u calls of yours are still under way; wait for an answer",
			session->calls);
	if (code == 0 && method->notifications && !has_free_stream(session))
		code = error_set(&error, IPC_FAILED,
			"you have %d traces and captures already; stop one", API_STREAMS_MAX);
	if (code != 0) {
		session->server->counts.refused++;
		if (code == IPC_FORBIDDEN)
			api_log_warning(&session->server->log, session->peer.uid, "api_forbidden",
				log_str("method", ipc_request_method(request)));
		ipc_reply_error(request, code, error.text, NULL);
		return;
	}
	if (strcmp(method->owner, "control") == 0)
		session->server->ops->handle(session->server->context, session, request);
	else
		forward(session, method, request);
}
