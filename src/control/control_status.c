/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Status has to come also when the packet role hangs. */
#define STATUS_TIMEOUT_MS 2000
#define PORTS_PAGE_SIZE   200

struct status {
	struct control *control;
	struct ipc_request *request;
	json_t *result, *problems;
	size_t ports, ports_up;
	bool is_starting;
};

static void ask_ports(struct status *status, const char *after);

static void add_problem(
	struct status *status, const char *format, const char *what, const char *why)
{
	char text[ERROR_TEXT_SIZE];

	snprintf(text, sizeof(text), format, what, why ? why : "");
	json_array_append_new(status->problems, json_string(text));
}

static void status_end(struct status *status)
{
	const char *state = status->is_starting ? "starting" : "running";

	if (json_array_size(status->problems) > 0 && !status->is_starting)
		state = "degraded";
	json_object_set_new(status->result, "state", json_string(state));
	ipc_reply(status->request, status->result);
	free(status);
}

/* --- Inspection: an engine that is down is a problem --- */

static void on_inspection(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct status *status = context;
	size_t index;
	json_t *engine;

	json_array_foreach (json_object_get(result, "engines"), index, engine) {
		const char *state = json_string_value(json_object_get(engine, "state"));
		const char *name = json_string_value(json_object_get(engine, "name"));
		const char *why = json_string_value(json_object_get(engine, "problem"));

		if (state && name && strcmp(state, "down") == 0)
			add_problem(status, "inspection engine %s is down: %s", name, why);
		else if (name && why)
			add_problem(status, "inspection engine %s: %s", name, why);
	}
	status_end(status);
}

static void ask_inspection(struct status *status)
{
	struct ipc_channel *packet = control_channel(status->control, PEER_PACKET);

	if (!packet
		|| ipc_call(packet, "inspect.status", NULL, NULL, 0, STATUS_TIMEOUT_MS,
			   on_inspection, status)
			< 0)
		status_end(status);
}

/* --- Ports --- */

static void count_ports(struct status *status, const json_t *ports)
{
	size_t index;
	json_t *port;

	json_array_foreach (ports, index, port) {
		const char *problem = json_string_value(json_object_get(port, "problem"));

		status->ports++;
		status->ports_up += json_is_true(json_object_get(port, "is_up"));
		if (problem)
			add_problem(status, "port %s: %s",
				json_string_value(json_object_get(port, "name")), problem);
	}
}

static void on_ports(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct status *status = context;
	const char *next = json_string_value(json_object_get(result, "next"));

	if (error) {
		add_problem(status, "the %s role does not answer: %s", "packet",
			control_error_text(error));
		status_end(status);
		return;
	}
	count_ports(status, json_object_get(result, "ports"));
	if (next) {
		ask_ports(status, next);
		return;
	}
	json_object_set_new(status->result, "ports",
		json_pack("{s:I, s:I}", "total", (json_int_t)status->ports, "up",
			(json_int_t)status->ports_up));
	ask_inspection(status);
}

static void ask_ports(struct status *status, const char *after)
{
	json_t *params = json_pack("{s:i}", "limit", PORTS_PAGE_SIZE);
	struct ipc_channel *packet = control_channel(status->control, PEER_PACKET);

	if (after)
		json_object_set_new(params, "after", json_string(after));
	if (!packet) {
		json_decref(params);
		status_end(status);
		return;
	}
	if (ipc_call(packet, "port.list", params, NULL, 0, STATUS_TIMEOUT_MS, on_ports, status) < 0)
		status_end(status);
}

/* --- Roles --- */

/* As people call it, from the broker's own words. */
static const char *state_of(const json_t *role)
{
	const char *state = json_string_value(json_object_get(role, "state"));

	if (!state)
		return "down";
	if (strcmp(state, "ready") == 0)
		return "running";
	if (strcmp(state, "starting") == 0 || strcmp(state, "stopping") == 0)
		return state;
	return "down";
}

static void add_role(struct status *status, json_t *rows, const json_t *role)
{
	const char *name = json_string_value(json_object_get(role, "name"));
	const char *reason = json_string_value(json_object_get(role, "reason"));
	const char *state = state_of(role);

	json_array_append_new(rows,
		json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", name ? name : "", "state", state,
			"pid", json_integer_value(json_object_get(role, "pid")), "restarts",
			json_integer_value(json_object_get(role, "restarts")), "uptime_s",
			json_integer_value(json_object_get(role, "uptime_ms")) / 1000));
	if (strcmp(state, "starting") == 0)
		status->is_starting = true;
	if (strcmp(state, "down") == 0)
		add_problem(status, "role %s is down: %s", name ? name : "?", reason);
}

static void on_roles(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct status *status = context;
	json_t *rows = json_array(), *role;
	size_t index;

	if (error)
		add_problem(
			status, "the %s does not answer: %s", "broker", control_error_text(error));
	json_array_foreach (json_object_get(result, "roles"), index, role)
		add_role(status, rows, role);
	json_object_set_new(status->result, "roles", rows);
	if (status->control->store.roles[PEER_PACKET].is_configured)
		ask_ports(status, NULL);
	else
		status_end(status);
}

static json_t *config_part(const struct control *control)
{
	json_t *config =
		json_pack("{s:s, s:I, s:s}", "file", control->store.file ? control->store.file : "",
			"generation", control->store.generation, "applied_at", control->applied_at);
	uint64_t now = uv_now(control->role->loop);

	if (control->store.is_unconfirmed)
		json_object_set_new(config, "confirm_left_ms",
			json_integer(control->store.confirm_due_ms > now
					? (json_int_t)(control->store.confirm_due_ms - now)
					: 0));
	return config;
}

static json_t *events_part(const struct control *control)
{
	struct event_bus_counts events;
	struct eve_counts eve = {0};

	event_bus_count(control->bus, &events);
	if (control->eve)
		eve_writer_count(control->eve, &eve);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)events.total, "lost",
		(json_int_t)events.lost, "subscribers", (json_int_t)events.subscriptions,
		"eve_written", (json_int_t)eve.written, "eve_errors", (json_int_t)eve.errors);
}

/* The first role that lacks what runs; NULL: none does. */
static const char *unconfigured_peer(const struct control *control)
{
	for (enum control_peer peer = 0; peer < PEER_COUNT; peer++)
		if (!control->store.roles[peer].is_configured)
			return control_peer_names[peer];
	return NULL;
}

void control_status_reply(struct control *control, struct ipc_request *request)
{
	struct status *status = calloc(1, sizeof(*status));
	const char *host = json_string_value(json_object_get(control->settings, "host"));
	struct api_server_counts api = {0};

	if (!status) {
		ipc_reply_error(request, IPC_INTERNAL_ERROR, "no memory left", NULL);
		return;
	}
	if (control->api)
		api_server_count(control->api, &api);
	status->control = control;
	status->request = request;
	status->problems = json_array();
	status->is_starting = !control->store.running
		|| (unconfigured_peer(control) && !control->store.problem[0]);
	status->result = json_pack("{s:s, s:s, s:s, s:o, s:s, s:I, s:o, s:o, s:I}", "host",
		host ? host : "", "version", BULKHEAD_VERSION, "state", "starting", "problems",
		status->problems, "started_at", control->started_at, "uptime_s",
		(json_int_t)((uv_now(control->role->loop) - control->started_ms) / 1000), "config",
		config_part(control), "events", events_part(control), "clients",
		(json_int_t)api.clients);
	if (control->store.problem[0])
		add_problem(status, "%s could not take over the configuration: %s",
			unconfigured_peer(control) ? unconfigured_peer(control) : "a role",
			control->store.problem);
	if (control->metrics_problem[0])
		add_problem(status, "%s are not served: %s", "metrics", control->metrics_problem);
	if (control->eve_problem[0])
		add_problem(status, "%s cannot be written: %s", "EVE", control->eve_problem);
	control_broker_call(control, "broker.roles", NULL, on_roles, status);
}
