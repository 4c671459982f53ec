/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_role.h"

#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BROKER_TIMEOUT_MS IPC_CALL_TIMEOUT_MS

const char *control_error_text(const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "message"));

	return text ? text : "no reason was given";
}

/* Keeps control alive until its calls to the broker have ended. */
struct broker_call {
	struct control *control;
	ipc_reply_fn done;
	void *context;
};

static void control_put(struct control *control)
{
	if (--control->references > 0)
		return;
	event_bus_destroy(control->bus);
	config_store_destroy(&control->store);
	json_decref(control->settings);
	json_decref(control->kept);
	json_decref(control->packet_document);
	free(control->first_file);
	free(control);
}

void control_timer_init(struct control *control, uv_timer_t *timer)
{
	uv_timer_init(control->role->loop, timer);
	timer->data = control;
	control->references++;
}

static void on_timer_closed(uv_handle_t *handle)
{
	control_put(handle->data);
}

void control_timer_close(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, on_timer_closed);
}

static void on_broker_replied(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct broker_call *call = context;

	call->done(call->context, result, error, descriptors, descriptor_count);
	control_put(call->control);
	free(call);
}

void control_broker_give(struct control *control, const char *method, json_t *params, int fd,
	ipc_reply_fn done, void *context)
{
	struct broker_call *call = calloc(1, sizeof(*call));
	int code = -ENOMEM;

	if (call) {
		*call = (struct broker_call){control, done, context};
		code = ipc_call(control->role->broker, method, params, &fd, fd >= 0 ? 1 : 0,
			BROKER_TIMEOUT_MS, on_broker_replied, call);
	} else {
		json_decref(params);
	}
	if (code < 0) {
		json_t *error = json_pack("{s:i, s:s}", "code", IPC_UNAVAILABLE, "message",
			"the broker cannot be asked");

		free(call);
		log_error("broker_call_failed", log_str("method", method), log_errno(code));
		done(context, NULL, error, NULL, 0);
		json_decref(error);
		return;
	}
	control->references++;
}

void control_broker_call(struct control *control, const char *method, json_t *params,
	ipc_reply_fn done, void *context)
{
	control_broker_give(control, method, params, -1, done, context);
}

const char *const control_peer_names[] = {"packet", "channel", NULL};

/* What the other roles send: events, and records for those who trace. */
static void on_peer_request(struct ipc_request *request, void *context)
{
	struct control_peer_link *link = context;
	struct control *control = link->control;
	const char *method = ipc_request_method(request);
	const json_t *params = ipc_request_params(request);

	if (!ipc_request_is_notification(request)) {
		ipc_reply_error(
			request, IPC_METHOD_NOT_FOUND, "control answers clients only", NULL);
		return;
	}
	if (strcmp(method, "event") == 0 && params)
		event_bus_publish(control->bus, json_deep_copy(params));
	else if (control->api && params)
		api_server_route(control->api, method, params);
}

static void on_peer_closed(struct ipc_channel *channel, void *context)
{
	struct control_peer_link *link = context;
	struct control *control = link->control;
	const char *name = control_peer_names[link->peer];

	if (link->channel != channel)
		return;
	link->channel = NULL;
	ipc_close(channel);
	control_apply_peer_down(control, link->peer);
	if (control->api)
		api_server_role_lost(control->api, name);
	event_bus_publish(
		control->bus, json_pack("{s:s, s:s}", "event_type", "role_down", "role", name));
}

static const struct ipc_ops peer_ops = {.on_request = on_peer_request, .on_close = on_peer_closed};

static int control_start(struct role_context *role, void **state, struct error *error)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return error_set(error, -ENOMEM, "control: no memory left");
	control->role = role;
	control->references = 1;
	control->started_ms = clock_monotonic_ns() / CLOCK_NS_PER_MS;
	clock_format(clock_wall_ns(), control->started_at);
	control->bus = event_bus_create();
	if (!control->bus) {
		control_put(control);
		return error_set(error, -ENOMEM, "control: no memory left");
	}
	for (enum control_peer peer = 0; peer < PEER_COUNT; peer++)
		control->peers[peer] = (struct control_peer_link){control, peer, NULL};
	control_settings_init(control);
	control_apply_init(control);
	*state = control;
	return 0;
}

static struct control_peer_link *find_peer(struct control *control, const char *name)
{
	for (enum control_peer peer = 0; peer < PEER_COUNT; peer++)
		if (strcmp(control_peer_names[peer], name) == 0)
			return &control->peers[peer];
	return NULL;
}

static void control_peer(void *state, const char *peer_name, int fd)
{
	struct control *control = state;
	struct control_peer_link *link = find_peer(control, peer_name);
	int code;

	if (!link || control->is_stopping) {
		close(fd);
		return;
	}
	/* A new socket can come before the old one's end was seen. */
	if (link->channel)
		on_peer_closed(link->channel, link);
	code = ipc_open(control->role->loop, fd, &peer_ops, link, &link->channel);
	if (code < 0) {
		log_error("role_channel_failed", log_str("role", peer_name), log_errno(code));
		link->channel = NULL;
		return;
	}
	control_apply_peer_up(control, link->peer);
}

/* Nobody sees the answer to a signal, so that the log has to say it. */
static void log_reload_errors(const json_t *result)
{
	json_t *problem;
	size_t index;

	json_array_foreach (json_object_get(result, "errors"), index, problem)
		log_error("config_error",
			log_str("text", json_string_value(json_object_get(problem, "message"))));
}

static void on_reloaded(void *context, const json_t *result, const struct error *error)
{
	struct ipc_request *request = context;

	log_reload_errors(result);
	if (error)
		ipc_reply_error(request, IPC_FAILED, error->text, NULL);
	else if (!json_is_true(json_object_get(result, "is_applied")))
		ipc_reply_error(request, IPC_FAILED,
			"the configuration has errors; the one before stays in force",
			json_incref((json_t *)result));
	else
		ipc_reply(request, json_incref((json_t *)result));
}

/* SIGHUP: the configuration, and the EVE file since it may have been rotated. */
static void control_request(void *state, struct ipc_request *request)
{
	struct control *control = state;
	const char *method = ipc_request_method(request);
	const json_t *params = ipc_request_params(request);

	if (strcmp(method, "config.reload") == 0) {
		control_reopen_eve(control);
		control_reload(control, on_reloaded, request);
		return;
	}
	if (strcmp(method, "broker.role") == 0 && params) {
		json_t *event = json_deep_copy(params);

		json_object_set(event, "role", json_object_get(event, "name"));
		json_object_del(event, "name");
		json_object_set_new(event, "event_type", json_string("role_state"));
		event_bus_publish(control->bus, event);
		return;
	}
	if (strcmp(method, "broker.program") == 0 && params) {
		json_t *event = json_deep_copy(params);

		json_object_set(event, "program", json_object_get(event, "name"));
		json_object_del(event, "name");
		json_object_set_new(event, "event_type", json_string("program_state"));
		event_bus_publish(control->bus, event);
		return;
	}
	ipc_reply_error(request, IPC_METHOD_NOT_FOUND, "control has no such method", NULL);
}

static void control_stop(void *state)
{
	struct control *control = state;

	if (control->is_stopping)
		return;
	control->is_stopping = true;
	/* First the roles' channels: what waits for their answers ends. */
	for (enum control_peer peer = 0; peer < PEER_COUNT; peer++) {
		ipc_close(control->peers[peer].channel);
		control->peers[peer].channel = NULL;
	}
	control_metrics_abandon(control);
	control_apply_close(control);
	api_server_close(control->api);
	control->api = NULL;
	metrics_server_close(control->metrics);
	control->metrics = NULL;
	event_bus_set_sink(control->bus, NULL, NULL);
	eve_writer_destroy(control->eve);
	control->eve = NULL;
	control_settings_close(control);
	control_put(control);
}

const struct role_ops control_role_ops = {
	.start = control_start,
	.peer = control_peer,
	.request = control_request,
	.stop = control_stop,
};
