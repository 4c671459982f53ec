/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of the configuration, one at a time:
 *
 *	prepare: policy and lanes (cmm_prepare), then a socket from the broker for each partition
 *	that is new or listens elsewhere; answered when all are there.  commit: all in force.
 *	abort, a failure, or control's end: nothing has changed.
 */
#include "base/log.h"
#include "channel/channel_private.h"
#include "schema/config_document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A socket that the broker was asked for. */
struct listen_call {
	struct channel_role *role;
	struct listener *listener;
};

void channel_close_listeners(struct list *listeners)
{
	list_foreach_safe (node, listeners) {
		struct listener *listener = list_entry(node, struct listener, node);

		if (listener->fd >= 0)
			close(listener->fd);
		agent_close(listener->agent);
		guest_port_close(listener->port);
		list_remove(node);
		free(listener);
	}
}

static void forget_change(struct channel_role *role)
{
	struct channel_change *change = &role->change;

	json_decref(change->document);
	channel_close_listeners(&change->listeners);
	links_abort(role);
	*change = (struct channel_change){0};
	list_init(&change->listeners);
}

static void abort_change(struct channel_role *role)
{
	cmm_abort(&role->cmm);
	forget_change(role);
}

/* All sockets are there, or some cannot be had. */
static void end_prepare(struct channel_role *role)
{
	struct channel_change *change = &role->change;
	struct ipc_request *request = change->request;

	change->request = NULL;
	if (change->is_orphaned)
		error_set(&change->failure, -ECANCELED, "control is gone");
	if (!change->failure.text[0])
		(void)links_prepare(role, &change->failure);
	if (!change->failure.text[0]) {
		ipc_reply(request, json_pack("{s:[]}", "restart"));
		return;
	}
	log_warning("configuration_refused", log_int("generation", change->generation),
		log_str("error", change->failure.text));
	ipc_reply_failed(request, -EINVAL, change->failure.text);
	abort_change(role);
}

void channel_configure_answered(struct channel_role *role)
{
	if (--role->change.answers_due == 0)
		end_prepare(role);
	channel_role_put(role);
}

static void on_listening(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct listen_call *call = context;
	struct channel_role *role = call->role;
	struct listener *listener = call->listener;
	const char *why = json_string_value(json_object_get(error, "message"));

	if (descriptor_count > 0) {
		listener->fd = descriptors[0];
		descriptors[0] = -1;
	} else if (!role->change.failure.text[0]) {
		error_set(&role->change.failure, -EIO, "channels.partitions.%s.%ssocket: %s",
			listener->partition, listener->is_guests ? "vsock." : "",
			why ? why : "the broker has answered without a socket");
	}
	free(call);
	channel_configure_answered(role);
}

static const char *socket_path(const struct policy_partition *settings, bool is_guests)
{
	return is_guests ? settings->guest_socket : settings->socket;
}

static struct listener *create_listener(const struct policy_partition *settings, bool is_guests)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return NULL;
	listener->fd = -1;
	listener->is_guests = is_guests;
	listener->is_client = is_guests && settings->is_guest_client;
	listener->cid = settings->cid;
	strcpy(listener->partition, settings->name);
	strcpy(listener->path, socket_path(settings, is_guests));
	return listener;
}

static int ask_for_socket(struct channel_role *role, const struct policy_partition *settings,
	bool is_guests, struct error *error)
{
	const char *path = socket_path(settings, is_guests);
	struct listener *listener = create_listener(settings, is_guests);
	struct listen_call *call = calloc(1, sizeof(*call));
	int status = -ENOMEM;

	if (listener && listener->is_client) {
		free(call);
		list_append(&role->change.listeners, &listener->node);
		return 0;
	}
	if (listener && call) {
		*call = (struct listen_call){role, listener};
		status = ipc_call(role->context->broker, "broker.listen_unix",
			json_pack("{s:s, s:s, s:i, s:s, s:b}", "path", path, "type",
				is_guests ? "stream" : "seqpacket", "mode",
				settings->is_open_to_all ? 0666 : 0660, "group", settings->group,
				"folders", true),
			NULL, 0, IPC_CALL_TIMEOUT_MS, on_listening, call);
	}
	if (status < 0) {
		free(listener);
		free(call);
		return error_set(error, status, "the broker cannot be asked for %s: %s", path,
			strerror(-status));
	}
	list_append(&role->change.listeners, &listener->node);
	role->change.answers_due++;
	role->references++;
	return 0;
}

/* Its group and mode are those of the daemon's start, and so is what a guest's device is: a socket
 * in use is not replaced. */
static bool listens_so(const struct listener *listener, const struct policy_partition *settings)
{
	return strcmp(listener->partition, settings->name) == 0
		&& strcmp(listener->path, socket_path(settings, listener->is_guests)) == 0;
}

static bool is_listening(
	const struct list *listeners, const struct policy_partition *settings, bool is_guests)
{
	list_foreach (node, listeners) {
		const struct listener *listener = list_entry(node, struct listener, node);

		if (listener->is_guests == is_guests && listens_so(listener, settings))
			return true;
	}
	return false;
}

static void ask_for_sockets(struct channel_role *role)
{
	const struct policy *policy = role->cmm.next_policy;
	struct channel_change *change = &role->change;

	/* One for ourselves, so that an early answer does not end it. */
	change->answers_due = 1;
	for (uint32_t i = 0; i < 2 * policy->partition_count && !change->failure.text[0]; i++) {
		const struct policy_partition *settings = &policy->partitions[i / 2];
		bool is_guests = i % 2;

		if (socket_path(settings, is_guests)[0]
			&& !is_listening(&role->listeners, settings, is_guests))
			ask_for_socket(role, settings, is_guests, &change->failure);
	}
	if (!change->failure.text[0])
		links_ask(role);
	if (--change->answers_due == 0)
		end_prepare(role);
}

static int begin(struct channel_role *role, struct ipc_request *request, struct error *error)
{
	const json_t *params = ipc_request_params(request);
	struct channel_change *change = &role->change;
	int fd = ipc_request_take_descriptor(request, 0);
	struct policy *policy;
	int status = config_document_receive(params, fd, &change->document, error);

	if (fd >= 0)
		close(fd);
	if (status == 0)
		status = policy_create(change->document, &policy, error);
	if (status == 0)
		status = cmm_prepare(&role->cmm, policy, error);
	if (status < 0) {
		forget_change(role);
		return status;
	}
	change->generation = json_integer_value(json_object_get(params, "generation"));
	change->request = request;
	ask_for_sockets(role);
	return 0;
}

static void prepare(struct channel_role *role, struct ipc_request *request)
{
	struct error error;
	int status;

	/* Of a control that went away while the broker was asked, or did not say what it wanted. */
	if (role->change.request) {
		ipc_reply_failed(request, -EBUSY,
			"a change of the configuration is being prepared; try again when it is "
			"done");
		return;
	}
	if (role->change.document)
		abort_change(role);
	status = begin(role, request, &error);
	if (status < 0)
		ipc_reply_failed(request, status, error.text);
}

/* The sockets of partitions that are gone, or listen elsewhere. */
static void drop_listeners(struct channel_role *role)
{
	struct list gone;

	list_init(&gone);
	list_foreach_safe (node, &role->listeners) {
		struct listener *listener = list_entry(node, struct listener, node);
		const struct policy_partition *settings =
			policy_find_partition(role->cmm.policy, listener->partition);

		if (settings && listens_so(listener, settings))
			continue;
		list_remove(node);
		list_append(&gone, node);
	}
	channel_close_listeners(&gone);
}

/* --- Devices that we connect to --- */

/* A socket to a device that the broker was asked for; the listener may be gone meanwhile. */
struct dial_call {
	struct channel_role *role;
	char path[sizeof(((struct listener *)0)->path)];
};

static struct listener *find_client(const struct channel_role *role, const char *path)
{
	list_foreach (node, &role->listeners) {
		struct listener *listener = list_entry(node, struct listener, node);

		if (listener->is_client && strcmp(listener->path, path) == 0)
			return listener;
	}
	return NULL;
}

/* Nobody there is the usual answer while the machine does not run. */
static void on_dialled(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct dial_call *call = context;
	struct listener *listener = find_client(call->role, call->path);

	if (listener)
		listener->is_called = false;
	if (listener && listener->port && descriptor_count > 0) {
		guest_port_take(listener->port, descriptors[0]);
		descriptors[0] = -1;
	}
	channel_role_put(call->role);
	free(call);
}

static void dial_guest(struct channel_role *role, struct listener *listener)
{
	struct dial_call *call = calloc(1, sizeof(*call));
	int status = -ENOMEM;

	if (call) {
		call->role = role;
		strcpy(call->path, listener->path);
		status = ipc_call(role->context->broker, "broker.connect_unix",
			json_pack("{s:s, s:s}", "path", listener->path, "type", "stream"), NULL, 0,
			IPC_CALL_TIMEOUT_MS, on_dialled, call);
	}
	if (status < 0) {
		free(call);
		return;
	}
	listener->is_called = true;
	role->references++;
}

void channel_dial_guests(struct channel_role *role)
{
	list_foreach (node, &role->listeners) {
		struct listener *listener = list_entry(node, struct listener, node);

		if (listener->is_client && listener->port && !listener->is_called
			&& !guest_port_has_peer(listener->port))
			dial_guest(role, listener);
	}
}

static void serve(struct channel_role *role, struct listener *listener)
{
	uv_loop_t *loop = role->context->loop;
	int status;

	if (listener->is_guests)
		status = guest_port_open(loop, &role->cmm, listener->partition, listener->cid,
			listener->fd, &listener->port);
	else
		status = agent_open(
			loop, &role->cmm, listener->partition, listener->fd, &listener->agent);
	listener->fd = -1;
	if (status < 0)
		log_error("socket_not_served", log_str("path", listener->path), log_errno(status));
}

static void commit(struct channel_role *role)
{
	struct channel_change *change = &role->change;

	cmm_commit(&role->cmm, channel_forget);
	links_commit(role);
	drop_listeners(role);
	list_foreach_safe (node, &change->listeners) {
		struct listener *listener = list_entry(node, struct listener, node);

		serve(role, listener);
		list_remove(node);
		list_append(&role->listeners, node);
	}
	json_decref(role->running);
	role->running = json_incref(change->document);
	role->generation = change->generation;
	log_info("configured", log_int("generation", role->generation));
	forget_change(role);
}

void channel_configure(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *phase = json_string_value(json_object_get(params, "phase"));
	json_int_t generation = json_integer_value(json_object_get(params, "generation"));
	struct channel_role *role = context;

	if (phase && strcmp(phase, "prepare") == 0) {
		prepare(role, request);
		return;
	}
	if (!phase || (strcmp(phase, "commit") != 0 && strcmp(phase, "abort") != 0)) {
		ipc_reply_error(request, IPC_INVALID_PARAMS,
			"phase has to be prepare, commit or abort", NULL);
		return;
	}
	if (!role->change.document || role->change.request
		|| role->change.generation != generation) {
		ipc_reply_failed(request, -ENOENT, "this generation is not prepared");
		return;
	}
	if (strcmp(phase, "commit") == 0)
		commit(role);
	else
		abort_change(role);
	ipc_reply(request, json_object());
}

void channel_config_report(struct ipc_request *request, void *context)
{
	const struct channel_role *role = context;
	json_t *result = json_pack("{s:I}", "generation", role->generation);
	struct error error;
	int fd = -1, status = 0;

	if (role->running)
		status = config_document_attach(result, role->running, &fd, &error);
	if (status < 0) {
		json_decref(result);
		ipc_reply_failed(request, status, error.text);
		return;
	}
	ipc_reply_with_descriptors(request, result, &fd, fd >= 0 ? 1 : 0);
	if (fd >= 0)
		close(fd);
}

void channel_configure_abandon(struct channel_role *role)
{
	/* The broker's answers are on their way, and end it. */
	if (role->change.request)
		role->change.is_orphaned = true;
	else if (role->change.document)
		abort_change(role);
}
