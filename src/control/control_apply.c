/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wires the store of the configuration (config/store.h), which decides, to the roles' channels, the
 * loop's timers, and the file that the broker opens. At the start it finds out what is to run: what
 * a packet role that outlived control runs already, or else what the file says.
 */
#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"
#include "schema/config_document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Compiling thousands of rules, reserving memory: far below this on any machine. */
#define CONFIGURE_TIMEOUT_MS 120000

static const char *const phase_names[] = {
	[CONFIG_PREPARE] = "prepare",
	[CONFIG_COMMIT] = "commit",
	[CONFIG_ABORT] = "abort",
};

/* --- The store's ops --- */

static bool is_unavailable(const json_t *error)
{
	return json_integer_value(json_object_get(error, "code")) == IPC_UNAVAILABLE;
}

static void on_peer_answered(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control_peer_link *link = context;
	unsigned int flags = 0;

	if (error && is_unavailable(error))
		flags |= CONFIG_ANSWER_GONE;
	if (json_array_size(json_object_get(result, "restart")))
		flags |= CONFIG_ANSWER_RESTART;
	config_store_answered(
		&link->control->store, link->peer, error ? control_error_text(error) : NULL, flags);
}

static int store_send(void *context, unsigned int role, enum config_phase phase,
	json_int_t generation, const json_t *document, struct error *error)
{
	struct control *control = context;
	struct control_peer_link *link = &control->peers[role];
	const char *name = control_peer_names[role];
	json_t *params =
		json_pack("{s:I, s:s}", "generation", generation, "phase", phase_names[phase]);
	char method[64];
	int fd = -1, code = 0;

	if (document)
		code = config_document_attach(params, document, &fd, error);
	if (code < 0 || !link->channel) {
		json_decref(params);
		return code < 0 ? code : error_set(error, -ENOTCONN, "the %s role is down", name);
	}
	snprintf(method, sizeof(method), "%s.configure", name);
	code = ipc_call(link->channel, method, params, &fd, fd >= 0 ? 1 : 0, CONFIGURE_TIMEOUT_MS,
		on_peer_answered, link);
	if (fd >= 0)
		close(fd);
	if (code < 0)
		error_set(error, code, "the %s role does not take the configuration: %s", name,
			strerror(-code));
	return code;
}

static void on_restarting(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;

	if (error)
		config_store_restart_failed(&control->store, control_error_text(error));
}

static void store_restart(void *context, unsigned int role)
{
	control_broker_call(context, "broker.restart_role",
		json_pack("{s:s}", "role", control_peer_names[role]), on_restarting, context);
}

static void on_timer(uv_timer_t *timer)
{
	struct control *control = timer->data;

	config_store_timer(&control->store, (enum config_timer)(timer - control->config_timers));
}

static void store_set_timer(void *context, enum config_timer timer, uint64_t after_ms)
{
	struct control *control = context;

	if (after_ms)
		uv_timer_start(&control->config_timers[timer], on_timer, after_ms, 0);
	else
		uv_timer_stop(&control->config_timers[timer]);
}

static uint64_t store_now(void *context)
{
	struct control *control = context;

	return uv_now(control->role->loop);
}

/* Each state is told to the control after this one with the time since when it runs. */
static void keep_states(struct control *control, json_t *states, ipc_reply_fn done, void *context)
{
	json_t *runs = json_object_get(states, "runs"), *next = json_object_get(states, "next");
	char now[sizeof(control->applied_at)];
	struct error error;
	int fd = -1;

	clock_format(clock_wall_ns(), now);
	if (runs)
		json_object_set_new(runs, "applied_at", json_string(control->applied_at));
	if (next)
		json_object_set_new(next, "applied_at", json_string(now));
	if (config_document_to_memory(states, &fd, &error) < 0)
		log_error("config_not_kept", log_str("reason", error.text));
	json_decref(states);
	/* Without a descriptor the broker refuses, and done hears of it. */
	control_broker_give(control, "broker.keep", NULL, fd, done, context);
	if (fd >= 0)
		close(fd);
}

static void on_states_kept(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;

	config_store_kept(&control->store, error ? control_error_text(error) : NULL);
}

static void store_keep(void *context, json_t *states)
{
	keep_states(context, states, on_states_kept, context);
}

static void on_running_kept(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	if (error)
		log_error("config_not_kept", log_str("reason", control_error_text(error)));
}

static void store_on_running(void *context, bool is_first, const json_t *changes)
{
	struct control *control = context;
	json_int_t generation = control->store.generation;

	clock_format(clock_wall_ns(), control->applied_at);
	keep_states(control, config_store_states(&control->store), on_running_kept, control);
	control_settings_apply(control, control->store.running);
	log_info("config_applied", log_int("generation", generation),
		log_uint("changes", json_array_size(changes)),
		log_bool("is_unconfirmed", control->store.is_unconfirmed));
	event_bus_publish(control->bus,
		json_pack("{s:s, s:I, s:i}", "event_type", "config_applied", "generation",
			generation, "changes", (int)json_array_size(changes)));
	if (is_first)
		role_tell_ready(control->role);
}

static const struct config_store_ops store_ops = {
	.send = store_send,
	.restart = store_restart,
	.set_timer = store_set_timer,
	.now_ms = store_now,
	.keep = store_keep,
	.on_running = store_on_running,
};

/* --- What people ask for --- */

/* A change that somebody waits for. */
struct apply {
	struct control *control;
	json_t *errors, *warnings; /* of its text */
	size_t left_out_count;     /* of both */
	apply_done_fn done;
	void *context;
};

static void apply_destroy(struct apply *apply)
{
	json_decref(apply->errors);
	json_decref(apply->warnings);
	free(apply);
}

/* A third of a message for each of errors, warnings and changes. */
#define LIST_SIZE (IPC_MESSAGE_SIZE / 3 - 1024)

void control_set_bounded(json_t *result, const char *name, json_t *list, size_t more)
{
	json_t *bounded = json_array(), *element;
	size_t index, size = 0;
	char left_out[32];

	json_array_foreach (list, index, element) {
		size += json_dumpb(element, NULL, 0, JSON_COMPACT) + 1;
		if (size > LIST_SIZE)
			break;
		json_array_append(bounded, element);
	}
	more += json_array_size(list) - index;
	if (more > 0) {
		snprintf(left_out, sizeof(left_out), "%s_left_out", name);
		json_object_set_new(result, left_out, json_integer((json_int_t)more));
	}
	json_object_set_new(result, name, bounded);
	json_decref(list);
}

static json_t *result_of(const struct apply *apply, const json_t *changes)
{
	json_t *result = json_pack("{s:b, s:I}", "is_applied", changes != NULL, "generation",
		apply->control->store.generation);

	control_set_bounded(result, "errors", json_incref(apply->errors), apply->left_out_count);
	control_set_bounded(result, "warnings", json_incref(apply->warnings), 0);
	control_set_bounded(
		result, "changes", changes ? json_incref((json_t *)changes) : json_array(), 0);
	return result;
}

static void on_changed(void *context, const json_t *changes, const struct error *error)
{
	struct apply *apply = context;
	json_t *result = error ? NULL : result_of(apply, changes);

	if (error)
		log_error("config_failed", log_str("reason", error->text));
	apply->done(apply->context, result, error);
	json_decref(result);
	apply_destroy(apply);
}

static struct apply *apply_create(struct control *control, apply_done_fn done, void *context)
{
	struct apply *apply = calloc(1, sizeof(*apply));

	if (!apply)
		abort(); /* a role without memory cannot go on; the broker starts it again */
	*apply = (struct apply){.control = control, .done = done, .context = context};
	return apply;
}

void control_apply_fd(struct control *control, int fd, const char *file, uint64_t confirm_ms,
	apply_done_fn done, void *context)
{
	struct apply *apply = apply_create(control, done, context);
	struct config_report report;
	struct error error;
	json_t *document = NULL, *result;

	if (!control->store.running) {
		error_set(&error, -EAGAIN,
			"the daemon is starting and has no configuration yet; try again");
		done(context, NULL, &error);
		apply_destroy(apply);
		return;
	}
	config_report_init(&report);
	config_load(fd, file, &document, &report);
	apply->errors = config_report_json(&report, CONFIG_ERROR);
	apply->warnings = config_report_json(&report, CONFIG_WARNING);
	apply->left_out_count = report.left_out_count;
	config_report_destroy(&report);
	if (document) {
		config_store_apply(&control->store, document, file, confirm_ms, on_changed, apply);
		return;
	}
	result = result_of(apply, NULL);
	done(context, result, NULL);
	json_decref(result);
	apply_destroy(apply);
}

/* A reload waits for the file. */
struct reload {
	struct control *control;
	apply_done_fn done;
	void *context;
};

static void on_reload_opened(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct reload *reload = context;
	const char *path = json_string_value(json_object_get(result, "path"));
	struct error why;

	if (error || descriptor_count == 0) {
		error_set(&why, -EIO, "the configuration file: %s", control_error_text(error));
		reload->done(reload->context, NULL, &why);
	} else {
		control_apply_fd(reload->control, descriptors[0], path ? path : "bulkhead.yaml", 0,
			reload->done, reload->context);
	}
	free(reload);
}

void control_reload(struct control *control, apply_done_fn done, void *context)
{
	struct reload *reload = calloc(1, sizeof(*reload));

	if (!reload)
		abort(); /* see apply_create() */
	*reload = (struct reload){control, done, context};
	control_broker_call(control, "broker.open_config", NULL, on_reload_opened, reload);
}

void control_rollback(struct control *control, apply_done_fn done, void *context)
{
	struct apply *apply = apply_create(control, done, context);

	apply->errors = json_array();
	apply->warnings = json_array();
	config_store_rollback(&control->store, on_changed, apply);
}

/* Somebody waits to hear that the configuration stays. */
struct confirmation {
	apply_done_fn done;
	void *context;
	json_int_t generation;
};

static void on_confirmation_kept(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct confirmation *confirmation = context;
	json_t *answer = json_pack("{s:I}", "generation", confirmation->generation);
	struct error why;

	if (error)
		error_set(&why, -EIO,
			"it is confirmed, but will be rolled back should the control role end: %s",
			control_error_text(error));
	confirmation->done(confirmation->context, error ? NULL : answer, error ? &why : NULL);
	json_decref(answer);
	free(confirmation);
}

void control_confirm(struct control *control, apply_done_fn done, void *context)
{
	struct confirmation *confirmation = calloc(1, sizeof(*confirmation));
	struct error error;

	if (!confirmation)
		abort(); /* see apply_create() */
	if (config_store_confirm(&control->store, &error) < 0) {
		done(context, NULL, &error);
		free(confirmation);
		return;
	}
	log_info("config_confirmed", log_int("generation", control->store.generation));
	*confirmation = (struct confirmation){done, context, control->store.generation};
	keep_states(
		control, config_store_states(&control->store), on_confirmation_kept, confirmation);
}

/* --- The start: what the file says, or what a packet role that outlived control runs. --- */

static bool all_peers_are_up(const struct control *control)
{
	for (enum control_peer peer = 0; peer < PEER_COUNT; peer++)
		if (!control->store.roles[peer].is_up)
			return false;
	return true;
}

/* A role that died gets it from begin_first() when it is back. */
static void on_first_done(void *context, const json_t *changes, const struct error *error)
{
	struct control *control = context;

	if (!error || control->is_stopping)
		return;
	log_error("config_failed", log_str("reason", error->text));
	if (all_peers_are_up(control))
		role_tell_failed(control->role, error->text);
}

/* document NULL: the packet role was started again, too, and gets what state says. */
static void take_over(
	struct control *control, json_t *document, json_int_t generation, const json_t *state)
{
	const char *applied_at = json_string_value(json_object_get(state, "applied_at"));
	struct config_store *store = &control->store;

	config_store_take_over(store, PEER_PACKET, document, generation, state);
	if (applied_at)
		snprintf(control->applied_at, sizeof(control->applied_at), "%s", applied_at);
	else
		clock_format(clock_wall_ns(), control->applied_at);
	control_settings_apply(control, store->running);
	log_info("config_taken_over", log_int("generation", store->generation),
		log_str("file", store->file ? store->file : ""),
		log_bool("is_unconfirmed", store->is_unconfirmed));
	role_tell_ready(control->role);
}

/* What runs already goes on, even if the control before could not say where it is from. */
static bool begin_taken_over(struct control *control)
{
	json_t *document = control->packet_document;
	json_t *state = config_state_find(control->kept, control->packet_generation);

	control->packet_document = NULL;
	if (document && !state)
		log_warning(
			"config_origin_unknown", log_int("generation", control->packet_generation));
	if (!document && !state)
		return false;
	take_over(control, document, control->packet_generation, state);
	json_decref(control->kept);
	control->kept = NULL;
	return true;
}

static void begin_first(struct control *control)
{
	if (!control->is_file_read || !control->is_packet_asked || control->store.running
		|| !control_channel(control, PEER_PACKET) || begin_taken_over(control))
		return;
	if (control->first && !all_peers_are_up(control))
		return; /* the last one to come begins it */
	if (!control->first) {
		role_tell_failed(control->role, control->first_error);
		return;
	}
	config_store_apply(&control->store, json_incref(control->first), control->first_file, 0,
		on_first_done, control);
}

static void on_packet_config(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;
	json_int_t generation = json_integer_value(json_object_get(result, "generation"));
	json_t *document = NULL;
	struct error why;

	/* It went down again: its successor is asked. */
	if (control->is_stopping || control->store.running || (error && is_unavailable(error)))
		return;
	if (error)
		log_warning("packet_config_unknown", log_str("reason", control_error_text(error)));
	if (generation > 0
		&& config_document_receive(
			   result, descriptor_count > 0 ? descriptors[0] : -1, &document, &why)
			< 0)
		log_error("packet_config_invalid", log_str("reason", why.text));
	control->is_packet_asked = true;
	control->packet_document = document;
	control->packet_generation = document ? generation : 0;
	begin_first(control);
}

/*
 * The daemon's last words when its file has errors. All of them go to the log, a line each; out
 * gets as many whole lines as the broker can tell of.
 */
static void tell_errors(
	const struct config_report *report, const char *path, char *out, size_t size)
{
	json_t *errors = config_report_json(report, CONFIG_ERROR);
	size_t told = 0, used, index;
	json_t *error;

	used = (size_t)snprintf(out, size,
		"the configuration has %zu errors; all of them: bulkhead config check %s",
		report->error_count, path);
	used = used < size ? used : size;
	json_array_foreach (errors, index, error) {
		const char *line = json_string_value(json_object_get(error, "message"));
		size_t length = strlen(line);

		log_error("config_error", log_str("text", line));
		if (told == index && used + length + 2 <= size) {
			out[used++] = '\n';
			memcpy(out + used, line, length + 1);
			used += length;
			told++;
		}
	}
	json_decref(errors);
}

static void on_first_opened(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;
	const char *path = json_string_value(json_object_get(result, "path"));
	struct config_report report;

	if (control->is_stopping)
		return;
	control->is_file_read = true;
	if (error || descriptor_count == 0) {
		snprintf(control->first_error, sizeof(control->first_error),
			"the configuration file: %s", control_error_text(error));
		begin_first(control);
		return;
	}
	path = path ? path : "bulkhead.yaml";
	control->first_file = strdup(path);
	config_report_init(&report);
	if (config_load(descriptors[0], path, &control->first, &report) < 0) {
		log_error("config_invalid", log_str("file", path),
			log_uint("errors", report.error_count));
		tell_errors(&report, path, control->first_error, sizeof(control->first_error));
	}
	config_report_destroy(&report);
	/* The API is there from now on, and says that the daemon is starting. */
	if (control->first && !control->settings)
		control_settings_apply(control, control->first);
	begin_first(control);
}

/* A control that ended has left what is to run; its file may say otherwise. */
static void on_kept(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct control *control = context;
	json_t *running;
	struct error why;

	if (control->is_stopping)
		return;
	if (error)
		log_error("config_kept_unknown", log_str("reason", control_error_text(error)));
	else if (descriptor_count > 0
		&& config_document_receive(NULL, descriptors[0], &control->kept, &why) < 0)
		log_error("config_kept_invalid", log_str("reason", why.text));
	running = json_object_get(json_object_get(control->kept, "runs"), "document");
	if (!running) {
		control_broker_call(control, "broker.open_config", NULL, on_first_opened, control);
		return;
	}
	control->is_file_read = true;
	control_settings_apply(control, running);
	begin_first(control);
}

/* What runs already is the packet role's: the others get what it has. */
static void ask_what_runs(struct control *control)
{
	if (ipc_call(control_channel(control, PEER_PACKET), "packet.config", NULL, NULL, 0,
		    IPC_CALL_TIMEOUT_MS, on_packet_config, control)
		< 0)
		log_error("packet_config_unknown", log_str("reason", "it cannot be asked"));
}

void control_apply_peer_up(struct control *control, enum control_peer peer)
{
	config_store_role_up(&control->store, peer);
	if (control->store.running)
		return;
	if (peer == PEER_PACKET)
		ask_what_runs(control);
	else
		begin_first(control);
}

void control_apply_peer_down(struct control *control, enum control_peer peer)
{
	config_store_role_down(&control->store, peer);
	if (peer != PEER_PACKET)
		return;
	if (!control->store.running)
		control->is_packet_asked = false;
	json_decref(control->packet_document);
	control->packet_document = NULL;
}

void control_apply_init(struct control *control)
{
	config_store_init(&control->store, &store_ops, control, control_peer_names, PEER_PACKET);
	for (int i = 0; i < CONFIG_TIMER_COUNT; i++)
		control_timer_init(control, &control->config_timers[i]);
	control_broker_call(control, "broker.kept", NULL, on_kept, control);
}

void control_apply_close(struct control *control)
{
	config_store_close(&control->store);
	json_decref(control->first);
	control->first = NULL;
	for (int i = 0; i < CONFIG_TIMER_COUNT; i++)
		control_timer_close(&control->config_timers[i]);
}
