/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of the configuration concerns control itself: the API's socket and who may use it, the
 * metrics' socket, the EVE file, the log. Each is opened by the broker and can fail on its own; the
 * gateway goes on and status tells it.
 */
#include "base/log.h"
#include "control/control.h"
#include "control/principals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVE_RETRY_MS     2000
#define METRICS_RETRY_MS 2000

static const char *setting(const json_t *config, const char *section, const char *name)
{
	return json_string_value(json_object_get(json_object_get(config, section), name));
}

static const json_t *setting_list(const json_t *config, const char *section, const char *name)
{
	return json_object_get(json_object_get(config, section), name);
}

static bool differs(const json_t *old, const json_t *new, const char *section, const char *name)
{
	const json_t *a = setting_list(old, section, name);
	const json_t *b = setting_list(new, section, name);

	return !a != !b || (a && !json_equal(a, b));
}

/* Takes the first descriptor of an answer of the broker. */
static int take_descriptor(int *descriptors, size_t count)
{
	int fd = count > 0 ? descriptors[0] : -1;

	if (count > 0)
		descriptors[0] = -1;
	return fd;
}

/* Logs a failure and keeps it for status. */
static void fail(char problem[ERROR_TEXT_SIZE], const char *event, const char *reason)
{
	snprintf(problem, ERROR_TEXT_SIZE, "%s", reason);
	log_error(event, log_str("reason", reason));
}

/* --- The API's socket --- */

static struct ipc_channel *role_channel(void *context, const char *role)
{
	const struct control *control = context;

	for (enum control_peer peer = 0; peer < PEER_COUNT; peer++)
		if (strcmp(control_peer_names[peer], role) == 0)
			return control_channel(control, peer);
	return NULL;
}

static const struct api_server_ops api_ops = {
	.handle = control_handle, .channel = role_channel, .forget = control_forget};

/* Also when nothing changed in the configuration: users and groups may have. old: what was in force
 * before, whose unknown names have been told; NULL: nothing. */
static void set_principals(struct control *control, const json_t *old)
{
	const json_t *config = control->settings;
	struct api_principals readers, operators;

	if (!control->api || !config)
		return;
	principals_resolve(setting_list(config, "control", "readers"),
		!old || differs(old, config, "control", "readers"), &readers);
	principals_resolve(setting_list(config, "control", "operators"),
		!old || differs(old, config, "control", "operators"), &operators);
	api_server_set_principals(control->api, &readers, &operators);
}

static void on_api_socket(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;
	int fd, code;

	if (control->is_stopping || control->api)
		return;
	if (error) {
		log_error("api_socket_failed", log_str("reason", control_error_text(error)));
		role_tell_failed(control->role, control_error_text(error));
		return;
	}
	fd = take_descriptor(descriptors, descriptor_count);
	code = api_server_open(control->role->loop, fd, &api_ops, control, &control->api);
	if (code < 0) {
		log_error("api_socket_failed", log_errno(code));
		return;
	}
	set_principals(control, NULL);
}

/* Everybody may connect: who may do what is decided by the credentials, which may change while the
 * socket stays, and those who may nothing are told so. */
static void open_api(struct control *control, const json_t *config)
{
	control_broker_call(control, "broker.listen_unix",
		json_pack("{s:s, s:i, s:s}", "path", setting(config, "control", "socket"), "mode",
			0666, "group", setting(config, "control", "group")),
		on_api_socket, control);
}

/* --- Metrics --- */

static void on_metrics_timer(uv_timer_t *timer);

static void on_metrics_socket(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;
	struct error why;

	if (control->is_stopping || control->metrics)
		return;
	if (error) {
		/* The address may be of an interface that comes later. */
		if (strcmp(control->metrics_problem, control_error_text(error)) != 0)
			fail(control->metrics_problem, "metrics_failed", control_error_text(error));
		uv_timer_start(&control->metrics_timer, on_metrics_timer, METRICS_RETRY_MS, 0);
		return;
	}
	control->metrics_problem[0] = '\0';
	if (metrics_server_open(control->role->loop, take_descriptor(descriptors, descriptor_count),
		    control_collect_metrics, control, &control->metrics, &why)
		< 0)
		fail(control->metrics_problem, "metrics_failed", why.text);
}

static void ask_metrics(struct control *control, const json_t *config)
{
	const char *endpoint = setting(config, "control", "metrics");
	const char *colon = endpoint ? strrchr(endpoint, ':') : NULL;
	char address[64];
	size_t size;

	if (!colon)
		return;
	/* "[::1]:9580": the brackets are of the endpoint, not of the address. */
	size = (size_t)(colon - endpoint);
	if (endpoint[0] == '[' && size >= 2) {
		endpoint++;
		size -= 2;
	}
	snprintf(address, sizeof(address), "%.*s", (int)size, endpoint);
	control_broker_call(control, "broker.listen_tcp",
		json_pack("{s:s, s:i}", "address", address, "port", atoi(colon + 1)),
		on_metrics_socket, control);
}

static void on_metrics_timer(uv_timer_t *timer)
{
	struct control *control = timer->data;

	ask_metrics(control, control->settings);
}

static void open_metrics(struct control *control, const json_t *config)
{
	control_metrics_abandon(control);
	metrics_server_close(control->metrics);
	control->metrics = NULL;
	control->metrics_problem[0] = '\0';
	uv_timer_stop(&control->metrics_timer);
	ask_metrics(control, config);
}

/* --- EVE --- */

static void on_eve_timer(uv_timer_t *timer)
{
	control_reopen_eve(timer->data);
}

static void on_eve_opened(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;

	control->is_eve_opening = false;
	if (control->is_stopping)
		return;
	if (control->is_eve_stale) {
		control->is_eve_stale = false;
		control_reopen_eve(control);
		return;
	}
	if (error) {
		fail(control->eve_problem, "eve_failed", control_error_text(error));
		uv_timer_start(&control->eve_timer, on_eve_timer, EVE_RETRY_MS, 0);
		return;
	}
	control->eve_problem[0] = '\0';
	eve_writer_set(control->eve, take_descriptor(descriptors, descriptor_count));
}

static void call_eve(struct control *control, const char *method, json_t *params)
{
	control->is_eve_opening = true;
	control_broker_call(control, method, params, on_eve_opened, control);
}

void control_reopen_eve(struct control *control)
{
	const char *sink = setting(control->settings, "events", "eve");

	if (control->is_eve_opening)
		control->is_eve_stale = true;
	if (!control->eve || control->is_eve_opening)
		return;
	if (!sink || strcmp(sink, "none") == 0) {
		control->eve_problem[0] = '\0';
		eve_writer_set(control->eve, -1);
	} else if (strcmp(sink, "syslog") == 0)
		call_eve(control, "broker.connect_unix",
			json_pack("{s:s, s:s}", "path", "/dev/log", "type", "dgram"));
	else if (strncmp(sink, "unix:", 5) == 0)
		call_eve(control, "broker.connect_unix",
			json_pack("{s:s, s:s}", "path", sink + 5, "type", "stream"));
	else
		call_eve(control, "broker.open_append", json_pack("{s:s}", "path", sink));
}

static void on_eve_lost(void *context)
{
	struct control *control = context;

	uv_timer_start(&control->eve_timer, on_eve_timer, 100, 0);
}

/* --- Log --- */

static void on_log_set(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	if (error)
		log_error("log_failed", log_str("reason", control_error_text(error)));
}

static void set_log(struct control *control, const json_t *config)
{
	control_broker_call(control, "broker.set_role_log",
		json_pack("{s:s, s:s}", "sink", setting(config, "log", "sink"), "level",
			setting(config, "log", "level")),
		on_log_set, control);
}

void control_settings_apply(struct control *control, json_t *config)
{
	json_t *old = control->settings;

	control->settings = json_incref(config);
	event_bus_set_config(control->bus, config);
	if (!control->api && !old)
		open_api(control, config);
	else
		set_principals(control, old);
	if (!old || differs(old, config, "log", "sink") || differs(old, config, "log", "level"))
		set_log(control, config);
	if (!old || differs(old, config, "control", "metrics"))
		open_metrics(control, config);
	if (!old || differs(old, config, "events", "eve"))
		control_reopen_eve(control);
	json_decref(old);
}

void control_settings_init(struct control *control)
{
	control_timer_init(control, &control->eve_timer);
	control_timer_init(control, &control->metrics_timer);
	control->eve = eve_writer_create(control->role->loop, on_eve_lost, control);
	if (control->eve)
		event_bus_set_sink(control->bus, eve_writer_write, control->eve);
}

void control_settings_close(struct control *control)
{
	control_timer_close(&control->eve_timer);
	control_timer_close(&control->metrics_timer);
}
