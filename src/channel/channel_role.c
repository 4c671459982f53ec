/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/channel_role.h"

#include "base/log.h"
#include "channel/channel_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void channel_role_put(struct channel_role *role)
{
	if (--role->references == 0)
		free(role);
}

/* --- What the mechanism tells --- */

static json_t *end_json(const char *partition, uint32_t endpoint)
{
	return json_pack("{s:s, s:I}", "partition", partition, "endpoint", (json_int_t)endpoint);
}

static void log_event(const struct cmm_event *event)
{
	log_warning("channel_event", log_str("action", event->action),
		log_str("reason", event->reason ? event->reason : ""),
		log_str("sender", event->sender),
		log_uint("sender_endpoint", event->sender_endpoint),
		log_str("receiver", event->receiver),
		log_uint("receiver_endpoint", event->receiver_endpoint),
		log_str("by", event->by ? event->by : ""),
		log_str("set_by", event->set_by ? event->set_by : ""), log_int("pid", event->pid),
		log_uint("uid", event->uid));
}

static void on_event(void *context, const struct cmm_event *event)
{
	struct channel_role *role = context;
	json_t *what = json_pack("{s:s, s:s*, s:o, s:o, s:s*, s:s*}", "action", event->action,
		"reason", event->reason, "sender", end_json(event->sender, event->sender_endpoint),
		"receiver", end_json(event->receiver, event->receiver_endpoint), "by", event->by,
		"set_by", event->set_by);
	json_t *params;

	if (event->pid) {
		json_object_set_new(what, "pid", json_integer(event->pid));
		json_object_set_new(what, "uid", json_integer(event->uid));
	}
	params = json_pack("{s:s, s:s, s:o}", "event_type", "channel", "partition",
		event->by ? event->by : event->sender, "channel", what);
	/* What somebody tried and may not is also in the log, which needs no control role. */
	if (strcmp(event->action, "up") != 0 && strcmp(event->action, "down") != 0)
		log_event(event);
	if (!role->control) {
		json_decref(params);
		role->events_lost++;
	} else if (ipc_notify(role->control, "event", params, NULL, 0) < 0) {
		role->events_lost++;
	}
}

static void on_peer_event(void *context, const struct cmm_peer_event *event)
{
	struct channel_role *role = context;
	json_t *what = json_pack("{s:s, s:s*, s:s*, s:s*}", "action", event->action, "peer",
		event->peer, "address", event->address, "reason", event->reason);
	json_t *params = json_pack("{s:s, s:o}", "event_type", "channel", "channel", what);

	if (event->reason)
		log_warning("channel_peer", log_str("action", event->action),
			log_str("peer", event->peer ? event->peer : ""),
			log_str("address", event->address ? event->address : ""),
			log_str("reason", event->reason));
	else
		log_info("channel_peer", log_str("action", event->action),
			log_str("peer", event->peer ? event->peer : ""));
	if (!role->control) {
		json_decref(params);
		role->events_lost++;
	} else if (ipc_notify(role->control, "event", params, NULL, 0) < 0) {
		role->events_lost++;
	}
}

static void on_lane_failed(void *context)
{
	struct channel_role *role = context;

	uv_async_send(&role->wake);
}

static void on_wake(uv_async_t *async)
{
	struct channel_role *role = async->data;

	cmm_collect(&role->cmm);
}

/* --- Processes: of this host, and of guests --- */

static void send_to_process(struct session *session, const struct attach_notice *notice,
	const int *descriptors, size_t count)
{
	if (session->is_guest)
		guest_send(session, notice, descriptors, count);
	else
		agent_send(session, notice, descriptors, count);
}

void channel_forget(struct session *session)
{
	if (session->is_guest)
		guest_forget(session);
	else
		agent_forget(session);
}

static const struct cmm_ops cmm_owner = {.send = send_to_process,
	.guest_row_gone = guest_row_gone,
	.event = on_event,
	.peer_event = on_peer_event,
	.wake = on_lane_failed};

/* --- Control --- */

static const struct ipc_method role_methods[] = {
	{"channel.configure", channel_configure},
	{"channel.config", channel_config_report},
	{NULL, NULL},
};

static bool has_method(const struct ipc_method *methods, const char *name)
{
	for (; methods->name; methods++)
		if (strcmp(methods->name, name) == 0)
			return true;
	return false;
}

static void on_request(struct ipc_request *request, void *context)
{
	struct channel_role *role = context;

	/* Methods may answer later, which a notification does not live for. */
	if (ipc_request_is_notification(request))
		return;
	if (has_method(role_methods, ipc_request_method(request)))
		ipc_dispatch(role_methods, request, role);
	else if (!role->running)
		ipc_reply_error(request, IPC_UNAVAILABLE,
			"the channel role has no configuration yet; try again in a moment", NULL);
	else
		ipc_dispatch(channel_methods, request, role);
}

static void on_control_close(struct ipc_channel *channel, void *context)
{
	struct channel_role *role = context;

	ipc_close(channel);
	if (role->control != channel)
		return;
	role->control = NULL;
	/* Messages go on with the configuration that is in force. */
	channel_configure_abandon(role);
	log_warning("control_gone");
}

static void on_peer(void *state, const char *peer_name, int fd)
{
	static const struct ipc_ops ops = {.on_request = on_request, .on_close = on_control_close};
	struct channel_role *role = state;
	int status;

	if (strcmp(peer_name, "control") != 0) {
		close(fd);
		return;
	}
	if (role->control) {
		ipc_close(role->control);
		role->control = NULL;
		channel_configure_abandon(role);
	}
	status = ipc_open(role->context->loop, fd, &ops, role, &role->control);
	if (status < 0) {
		role->control = NULL;
		log_error("control_channel_failed", log_errno(status));
	}
}

static void on_broker_request(void *state, struct ipc_request *request)
{
	ipc_reply_error(
		request, IPC_METHOD_NOT_FOUND, "the channel role answers control only", NULL);
}

/* --- Life --- */

/* Stacks and heap may hold parts of a key for a moment; none of it is ever swapped out. */
static int lock_memory(struct error *error)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return error_set(error, -errno,
			"the channel role's memory cannot be locked: %s (a container needs "
			"CAP_IPC_LOCK)",
			strerror(errno));
	return 0;
}

static int on_start(struct role_context *context, void **state, struct error *error)
{
	struct channel_role *role = calloc(1, sizeof(*role));
	int status = role ? lock_memory(error) : error_set(error, -ENOMEM, "no memory left");

	if (status == 0)
		status = cmm_open(&role->cmm, &cmm_owner, role, error);
	if (status < 0) {
		free(role);
		return status;
	}
	role->context = context;
	role->references = 1;
	list_init(&role->listeners);
	list_init(&role->change.listeners);
	uv_async_init(context->loop, &role->wake, on_wake);
	role->wake.data = role;
	links_open(role);
	*state = role;
	/* It waits for the configuration now; control says when that is in force. */
	return role_tell_ready(context);
}

static void on_wake_closed(uv_handle_t *handle)
{
	channel_role_put(handle->data);
}

static void on_stop(void *state)
{
	struct channel_role *role = state;

	role->is_stopping = true;
	channel_configure_abandon(role);
	links_close(role);
	/* First what processes are told at the end, then their sockets. */
	cmm_end(&role->cmm);
	channel_close_listeners(&role->listeners);
	agent_forget_all();
	cmm_close(&role->cmm);
	ipc_close(role->control);
	role->control = NULL;
	json_decref(role->running);
	role->running = NULL;
	uv_close((uv_handle_t *)&role->wake, on_wake_closed);
}

const struct role_ops channel_role_ops = {
	.start = on_start,
	.peer = on_peer,
	.request = on_broker_request,
	.stop = on_stop,
};
