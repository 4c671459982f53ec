/* SPDX-License-Identifier: BSD-3-Clause */
/* API methods that control answers: api.*, config.*, events.*; status.get is in control_status.c.
 */
#include "base/log.h"
#include "control/control.h"
#include "control/control_status.h"
#include "schema/config_document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a handler gets. */
struct method_call {
	struct control *control;
	struct api_session *session;
};

static void reply_error(struct ipc_request *request, const struct error *error)
{
	ipc_reply_error(request, IPC_FAILED, error->text, NULL);
}

/* --- api.list --- */

static bool is_listed(const struct api_method *method, const char *only)
{
	if (method->access == API_INTERNAL)
		return false;
	return !only || strcmp(method->name, only) == 0;
}

/* "after" is the name of the last method of the page before. */
static const struct api_method *start_after(const char *after)
{
	const struct api_method *method = after ? api_method_find(after) : NULL;

	if (!after)
		return api_methods;
	return method ? method + 1 : NULL;
}

static void handle_api_list(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *only = json_string_value(json_object_get(params, "method"));
	const char *after = api_page_after(params), *last = NULL;
	const struct api_method *method = start_after(after);
	size_t limit = api_page_limit(params);
	json_t *methods = json_array(), *result = json_pack("{s:o}", "methods", methods);

	for (; method && method->name; method++) {
		if (!is_listed(method, only))
			continue;
		if (json_array_size(methods) == limit) {
			json_object_set_new(result, "next", json_string(last));
			break;
		}
		json_array_append_new(methods, api_method_json(method));
		last = method->name;
	}
	ipc_reply(request, result);
}

/* --- config.* --- */

/* The call's descriptor, when it is sealed memory: reading it cannot block, and what was checked
 * cannot change. -1: answered. */
static int take_text(struct ipc_request *request)
{
	int fd = ipc_request_take_descriptor(request, 0);
	int seals = fcntl(fd, F_GET_SEALS);
	int wanted = F_SEAL_WRITE | F_SEAL_SHRINK;

	if (seals >= 0 && (seals & wanted) == wanted)
		return fd;
	close(fd);
	ipc_reply_error(request, IPC_INVALID_PARAMS,
		"the descriptor must be memory of memfd_create(2) with the seals F_SEAL_WRITE and "
		"F_SEAL_SHRINK",
		NULL);
	return -1;
}

static const char *file_param(struct ipc_request *request)
{
	return json_string_value(json_object_get(ipc_request_params(request), "file"));
}

/* Loads the text and answers with its errors and, with_changes, how it differs. */
static void reply_checked(struct control *control, struct ipc_request *request, bool with_changes)
{
	int fd = take_text(request);
	struct config_report report;
	json_t *document = NULL, *result;

	if (fd < 0)
		return;
	config_report_init(&report);
	config_load(fd, file_param(request), &document, &report);
	close(fd);
	result = json_pack("{s:b}", "is_valid", document != NULL);
	control_set_bounded(
		result, "errors", config_report_json(&report, CONFIG_ERROR), report.left_out_count);
	control_set_bounded(result, "warnings", config_report_json(&report, CONFIG_WARNING), 0);
	if (with_changes)
		control_set_bounded(result, "changes",
			document ? config_diff(control->store.running, document) : json_array(), 0);
	config_report_destroy(&report);
	json_decref(document);
	ipc_reply(request, result);
}

static void handle_config_check(struct ipc_request *request, void *context)
{
	struct method_call *call = context;

	reply_checked(call->control, request, false);
}

static void handle_config_diff(struct ipc_request *request, void *context)
{
	struct method_call *call = context;

	reply_checked(call->control, request, true);
}

static void on_applied(void *context, const json_t *result, const struct error *error)
{
	struct ipc_request *request = context;

	if (error)
		reply_error(request, error);
	else
		ipc_reply(request, json_incref((json_t *)result));
}

static void handle_config_apply(struct ipc_request *request, void *context)
{
	struct method_call *call = context;
	const json_t *params = ipc_request_params(request);
	json_int_t confirm_ms = json_integer_value(json_object_get(params, "confirm_ms"));
	int fd = take_text(request);

	if (fd < 0)
		return;
	control_apply_fd(
		call->control, fd, file_param(request), (uint64_t)confirm_ms, on_applied, request);
	close(fd);
}

static void on_confirmed(void *context, const json_t *result, const struct error *error)
{
	struct ipc_request *request = context;

	if (error)
		reply_error(request, error);
	else
		ipc_reply(request, json_incref((json_t *)result));
}

static void handle_config_confirm(struct ipc_request *request, void *context)
{
	struct method_call *call = context;

	control_confirm(call->control, on_confirmed, request);
}

static json_t *rollback_result(const json_t *result)
{
	json_t *left_out = json_object_get(result, "changes_left_out");
	json_t *answer =
		json_pack("{s:O, s:O}", "generation", json_object_get(result, "generation"),
			"changes", json_object_get(result, "changes"));

	if (left_out)
		json_object_set(answer, "changes_left_out", left_out);
	return answer;
}

static void on_rolled_back(void *context, const json_t *result, const struct error *error)
{
	struct ipc_request *request = context;

	if (error)
		reply_error(request, error);
	else
		ipc_reply(request, rollback_result(result));
}

static void handle_config_rollback(struct ipc_request *request, void *context)
{
	struct method_call *call = context;

	control_rollback(call->control, on_rolled_back, request);
}

static void handle_config_reload(struct ipc_request *request, void *context)
{
	struct method_call *call = context;

	control_reload(call->control, on_applied, request);
}

/* What is at "gateway.trunks" of the document; NULL: nothing. Names with dots are not supported. */
static json_t *find_key(json_t *document, const char *key)
{
	char name[128];

	while (document && key && *key) {
		size_t size = strcspn(key, ".");

		snprintf(name, sizeof(name), "%.*s", (int)size, key);
		document = json_object_get(document, name);
		key += size + (key[size] == '.');
	}
	return document;
}

/* Text as sealed memory; -errno. */
static int text_to_memory(const char *text)
{
	size_t size = strlen(text);
	int fd = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (write(fd, text, size) != (ssize_t)size) {
		close(fd);
		return -EIO;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Takes result and text; what is too long for a message goes as a descriptor. */
static void reply_text(
	struct ipc_request *request, json_t *result, const char *name, json_t *value, char *text)
{
	int fd;

	if (text && strlen(text) <= CONFIG_DOCUMENT_INLINE_SIZE) {
		json_object_set(result, name, value);
		ipc_reply(request, result);
		return;
	}
	fd = text ? text_to_memory(text) : -ENOMEM;
	if (fd < 0) {
		json_decref(result);
		ipc_reply_failed(request, fd, "no memory left to show the configuration");
		return;
	}
	json_object_set_new(result, "in_descriptor", json_true());
	ipc_reply_with_descriptors(request, result, &fd, 1);
	close(fd);
}

static void handle_config_show(struct ipc_request *request, void *context)
{
	struct method_call *call = context;
	struct control *control = call->control;
	const json_t *params = ipc_request_params(request);
	const char *key = json_string_value(json_object_get(params, "key"));
	const char *format = json_string_value(json_object_get(params, "format"));
	json_t *value = find_key(control->store.running, key), *result;
	char *text;

	if (!value) {
		struct error error;

		error_set(&error, -ENOENT,
			control->store.running ? "the running configuration has no %s"
					       : "there is no configuration yet (asked for %s)",
			key ? key : "content");
		reply_error(request, &error);
		return;
	}
	result = json_pack("{s:I, s:s}", "generation", control->store.generation, "file",
		control->store.file ? control->store.file : "");
	if (format && strcmp(format, "yaml") == 0) {
		json_t *string;

		text = key ? config_show_below(key, value) : config_show(control->store.running);
		string = text ? json_string(text) : NULL;
		reply_text(request, result, "text", string, text);
		json_decref(string);
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		reply_text(request, result, "config", value, text);
	}
	free(text);
}

static void handle_config_explain(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *key = json_string_value(json_object_get(params, "key"));
	char suggestion[128] = "";
	json_t *option = config_explain(key ? key : "", suggestion, sizeof(suggestion));
	struct error error;

	if (option) {
		ipc_reply(request, json_pack("{s:o}", "option", option));
		return;
	}
	error_set(&error, -ENOENT, "there is no option %.100s%s%s%s", key,
		suggestion[0] ? "; did you mean " : "", suggestion, suggestion[0] ? "?" : "");
	reply_error(request, &error);
}

/* --- events.* --- */

static void deliver_event(void *context, int64_t subscription, const json_t *event)
{
	api_session_notify(context, "event",
		json_pack("{s:I, s:O}", "subscription", (json_int_t)subscription, "event", event));
}

static void handle_events_subscribe(struct ipc_request *request, void *context)
{
	struct method_call *call = context;
	int64_t id;
	int code = event_bus_subscribe(
		call->control->bus, ipc_request_params(request), deliver_event, call->session, &id);

	if (code < 0)
		ipc_reply_failed(request, code,
			"there are as many subscriptions to events as there may be; try again "
			"later");
	else
		ipc_reply(request, json_pack("{s:I}", "subscription", (json_int_t)id));
}

static void handle_events_unsubscribe(struct ipc_request *request, void *context)
{
	struct method_call *call = context;
	int64_t id =
		json_integer_value(json_object_get(ipc_request_params(request), "subscription"));

	if (event_bus_unsubscribe(call->control->bus, id, call->session) < 0)
		ipc_reply_failed(
			request, -ENOENT, "this connection has no subscription of that number");
	else
		ipc_reply(request, json_object());
}

static void handle_events_recent(struct ipc_request *request, void *context)
{
	struct method_call *call = context;

	ipc_reply(request, event_bus_recent(call->control->bus, ipc_request_params(request)));
}

static void handle_status_get(struct ipc_request *request, void *context)
{
	struct method_call *call = context;

	control_status_reply(call->control, request);
}

static const struct ipc_method methods[] = {
	{"status.get", handle_status_get},
	{"api.list", handle_api_list},
	{"config.check", handle_config_check},
	{"config.show", handle_config_show},
	{"config.diff", handle_config_diff},
	{"config.apply", handle_config_apply},
	{"config.confirm", handle_config_confirm},
	{"config.rollback", handle_config_rollback},
	{"config.explain", handle_config_explain},
	{"config.reload", handle_config_reload},
	{"events.subscribe", handle_events_subscribe},
	{"events.unsubscribe", handle_events_unsubscribe},
	{"events.recent", handle_events_recent},
	{NULL, NULL},
};

void control_handle(void *context, struct api_session *session, struct ipc_request *request)
{
	struct method_call call = {.control = context, .session = session};

	ipc_dispatch(methods, request, &call);
}

void control_forget(void *context, struct api_session *session)
{
	struct control *control = context;

	event_bus_forget(control->bus, session);
}
