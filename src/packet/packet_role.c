/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/packet_role.h"

#include "base/log.h"
#include "packet/engine/eal.h"
#include "packet/engine/engine_control.h"
#include "packet/packet_configure.h"
#include "packet/packet_module.h"
#include "packet/packet_names.h"
#include "schema/metrics_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BROKER_TIMEOUT_MS IPC_CALL_TIMEOUT_MS

const struct packet_module *const packet_modules[] = {
	&engine_module,
	&port_module,
	&gateway_module,
	&link_module,
	&ipsec_module,
	&kmp_module,
	&distributor_module,
	&handover_module,
	&inspect_module,
	&filter_module,
	&target_module,
	NULL,
};

/* All of it belongs to the loop's thread. */
static struct role_context *role;
static struct ipc_channel *control; /* NULL: control is down */
static uint64_t events_lost;

uv_loop_t *packet_loop(void)
{
	return role->loop;
}

/* A call that could not be sent: its answer comes from the loop, as all answers do. */
struct refused_call {
	uv_timer_t timer;
	ipc_reply_fn done;
	void *context;
	int code;
};

static void on_refused_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_refused(uv_timer_t *timer)
{
	struct refused_call *call = timer->data;
	json_t *error = json_pack(
		"{s:i, s:s}", "code", IPC_UNAVAILABLE, "message", "the broker cannot be asked");

	call->done(call->context, NULL, error, NULL, 0);
	json_decref(error);
	uv_close((uv_handle_t *)timer, on_refused_closed);
}

static void refuse_later(ipc_reply_fn done, void *context)
{
	struct refused_call *call = calloc(1, sizeof(*call));

	if (!call)
		abort(); /* the answer is owed, and a role without memory cannot go on */
	call->done = done;
	call->context = context;
	uv_timer_init(role->loop, &call->timer);
	call->timer.data = call;
	uv_timer_start(&call->timer, on_refused, 0, 0);
}

void packet_broker_call(const char *method, json_t *params, const int *descriptors,
	size_t descriptor_count, ipc_reply_fn done, void *context)
{
	int status = ipc_call(role->broker, method, params, descriptors, descriptor_count,
		BROKER_TIMEOUT_MS, done, context);

	if (status < 0) {
		log_warning("broker_call_failed", log_str("method", method), log_errno(status));
		refuse_later(done, context);
	}
}

int packet_notify(const char *method, json_t *params)
{
	if (!control) {
		json_decref(params);
		return -EPIPE;
	}
	return ipc_notify(control, method, params, NULL, 0);
}

void packet_emit_event(json_t *event)
{
	if (packet_notify("event", event) < 0)
		events_lost++;
}

bool packet_has_room_for_events(void)
{
	return control && ipc_queue_is_short(control);
}

void packet_metric(json_t *samples, const char *name, const char *type, const char *help,
	json_t *labels, double value)
{
	metrics_sample(samples, name, type, help, labels, value);
}

static void handle_metrics(struct ipc_request *request, void *context)
{
	json_t *samples = json_array();

	for (const struct packet_module *const *module = packet_modules; *module; module++)
		if ((*module)->metrics && packet_config())
			(*module)->metrics(samples);
	packet_metric(samples, "events_lost", "counter", "events that control did not take in time",
		NULL, (double)events_lost);
	ipc_reply(request, metrics_page(samples, ipc_request_params(request)));
}

static const struct ipc_method role_methods[] = {
	{"packet.configure", packet_configure},
	{"packet.config", packet_configure_report},
	{"packet.metrics", handle_metrics},
	{NULL, NULL},
};

static const struct ipc_method *find_method(const struct ipc_method *methods, const char *name)
{
	for (; methods && methods->name; methods++)
		if (strcmp(methods->name, name) == 0)
			return methods;
	return NULL;
}

static void on_request(struct ipc_request *request, void *context)
{
	const char *name = ipc_request_method(request);

	/* Methods may answer later, which a notification does not live for. */
	if (ipc_request_is_notification(request))
		return;
	if (find_method(role_methods, name)) {
		ipc_dispatch(role_methods, request, context);
		return;
	}
	if (!packet_config()) {
		ipc_reply_error(request, IPC_UNAVAILABLE,
			"the packet role has no configuration yet; try again in a moment", NULL);
		return;
	}
	for (const struct packet_module *const *module = packet_modules; *module; module++)
		if (find_method((*module)->methods, name)) {
			ipc_dispatch((*module)->methods, request, context);
			return;
		}
	ipc_reply_error(request, IPC_METHOD_NOT_FOUND, "the packet role has no such method", NULL);
}

static void on_control_close(struct ipc_channel *channel, void *context)
{
	ipc_close(channel);
	if (control == channel)
		control = NULL;
	/* Traffic goes on with the configuration that is in force. */
	engine_control_gone();
	packet_configure_peer_gone();
	log_warning("control_gone");
}

static void on_peer(void *state, const char *peer_name, int fd)
{
	static const struct ipc_ops ops = {.on_request = on_request, .on_close = on_control_close};
	int status;

	if (strcmp(peer_name, "control") != 0) {
		close(fd);
		return;
	}
	if (control) {
		ipc_close(control);
		control = NULL;
		packet_configure_peer_gone();
	}
	status = ipc_open(role->loop, fd, &ops, NULL, &control);
	if (status < 0)
		log_error("control_channel_failed", log_errno(status));
}

static void on_broker_request(void *state, struct ipc_request *request)
{
	bool is_program = strcmp(ipc_request_method(request), "broker.program") == 0;

	if (!ipc_request_is_notification(request))
		ipc_reply_error(request, IPC_METHOD_NOT_FOUND,
			"the packet role answers control only", NULL);
	for (const struct packet_module *const *module = packet_modules; is_program && *module;
		module++)
		if ((*module)->program)
			(*module)->program(ipc_request_params(request));
}

static int on_start(struct role_context *context, void **state, struct error *error)
{
	role = context;
	packet_names_open();
	if (context->is_second_try)
		eal_avoid_hugepages();
	*state = context;
	/* It waits for the configuration now; control says when that is in force. */
	return role_tell_ready(context);
}

static void on_stop(void *state)
{
	/* First: what modules tell at their end. */
	packet_configure_stop();
	ipc_close(control);
	control = NULL;
	role = NULL;
}

const struct role_ops packet_role_ops = {
	.start = on_start,
	.peer = on_peer,
	.request = on_broker_request,
	.stop = on_stop,
};
