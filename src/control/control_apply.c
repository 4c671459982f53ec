/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of the configuration. One at a time: checked, prepared by the packet role, committed; on
 * any failure before the commit nothing has changed. What runs is given to a packet role that was
 * started again, and taken back from it when control itself was.
 */
#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"
#include "schema/config_document.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Compiling thousands of rules, reserving memory: far below this on any machine. */
#define CONFIGURE_TIMEOUT_MS 120000
#define RETRY_MS             2000

enum apply_step {
	APPLY_WAIT,    /* for the packet role to be there */
	APPLY_PREPARE, /* the packet role works on it */
	APPLY_COMMIT,
};

struct apply {
	struct control *control;
	enum apply_step step;
	json_t *document;
	json_t *changes, *errors, *warnings; /* for the result */
	char *file;                          /* NULL: as before (rollback) */
	uint64_t confirm_ms;
	bool is_again;    /* the running configuration, for a packet role that was restarted */
	bool did_restart; /* the packet role was started again for this change */
	apply_done_fn done;
	void *context;
};

static void apply_send(struct apply *apply);
static void restart_packet(struct control *control);

static void apply_destroy(struct apply *apply)
{
	json_decref(apply->document);
	json_decref(apply->changes);
	json_decref(apply->errors);
	json_decref(apply->warnings);
	free(apply->file);
	free(apply);
}

static json_t *result_of(
	bool is_applied, json_int_t generation, json_t *errors, json_t *warnings, json_t *changes)
{
	return json_pack("{s:b, s:I, s:O, s:O, s:O}", "is_applied", is_applied, "generation",
		generation, "errors", errors, "warnings", warnings, "changes", changes);
}

/* Ends the change; text NULL: success. Frees apply, and then tells. */
static void apply_end(struct apply *apply, const struct error *error)
{
	struct control *control = apply->control;
	apply_done_fn done = apply->done;
	void *context = apply->context;
	json_t *result = error ? NULL
			       : result_of(true, control->generation, apply->errors,
				       apply->warnings, apply->changes);

	control->apply = NULL;
	apply_destroy(apply);
	if (done)
		done(context, result, error);
	json_decref(result);
}

static void on_confirm_due(uv_timer_t *timer);

static void tell_applied(struct control *control, const struct apply *apply)
{
	log_info("config_applied", log_int("generation", control->generation),
		log_uint("changes", json_array_size(apply->changes)),
		log_uint("confirm_ms", apply->confirm_ms));
	event_bus_publish(control->bus,
		json_pack("{s:s, s:I, s:i}", "event_type", "config_applied", "generation",
			control->generation, "changes", (int)json_array_size(apply->changes)));
}

/* The packet role has it in force. */
static void apply_succeed(struct apply *apply)
{
	struct control *control = apply->control;
	bool is_first = control->config == NULL;

	control->is_packet_configured = control->packet != NULL;
	control->problem[0] = '\0';
	if (apply->is_again) {
		apply_end(apply, NULL);
		return;
	}
	json_decref(control->previous);
	control->previous = control->config;
	control->config = json_incref(apply->document);
	control->generation++;
	clock_format(clock_wall_ns(), control->applied_at);
	if (apply->file) {
		free(control->config_file);
		control->config_file = apply->file;
		apply->file = NULL;
	}
	control->is_unconfirmed = apply->confirm_ms > 0;
	if (control->is_unconfirmed) {
		control->confirm_due_ms = uv_now(control->role->loop) + apply->confirm_ms;
		uv_timer_start(&control->confirm_timer, on_confirm_due, apply->confirm_ms, 0);
	}
	control_settings_apply(control, control->config);
	tell_applied(control, apply);
	apply_end(apply, NULL);
	if (is_first)
		role_tell_ready(control->role);
}

static void on_retry(uv_timer_t *timer)
{
	struct control *control = timer->data;

	if (control->packet && !control->apply && !control->is_packet_configured)
		control_apply_packet_up(control);
}

static bool is_unavailable(const json_t *error)
{
	return json_integer_value(json_object_get(error, "code")) == IPC_UNAVAILABLE;
}

/* What a failure leaves to do, beside telling it. */
static void recover(struct control *control, const struct apply *apply, const char *text)
{
	if (control->is_stopping)
		return;
	if (apply->is_again) {
		snprintf(control->problem, sizeof(control->problem), "%s", text);
		uv_timer_start(&control->retry_timer, on_retry, RETRY_MS, 0);
	} else if (apply->did_restart) {
		/* It may have taken over workers and memory of what failed. */
		restart_packet(control);
	}
}

static void apply_fail(struct apply *apply, const char *text)
{
	struct control *control = apply->control;
	struct error error;

	error_set(&error, -EIO, "%s", text);
	log_error("config_failed", log_str("reason", text),
		log_bool("of_restarted_role", apply->is_again));
	recover(control, apply, text);
	apply_end(apply, &error);
}

/* The packet role refused, or died; in the latter case the first configuration waits for its
 * successor, while any other change fails. */
static void on_refused(struct apply *apply, const json_t *error)
{
	struct control *control = apply->control;
	bool is_refused_first = !control->config && !is_unavailable(error) && !control->is_stopping;

	if (is_refused_first)
		role_tell_failed(control->role, control_error_text(error));
	apply_fail(apply, control_error_text(error));
}

static void on_committed(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct apply *apply = context;
	bool is_gone = error && is_unavailable(error);

	/* It died while it committed: what was prepared is good, and it gets it when it is back. */
	if (error && (!is_gone || apply->is_again || apply->control->is_stopping))
		on_refused(apply, error);
	else
		apply_succeed(apply);
}

static void on_prepared(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct apply *apply = context;

	if (error) {
		on_refused(apply, error);
		return;
	}
	apply->step = APPLY_COMMIT;
	apply_send(apply);
}

/* Sends the step to the packet role. */
static void apply_send(struct apply *apply)
{
	struct control *control = apply->control;
	bool is_prepare = apply->step == APPLY_PREPARE;
	json_int_t generation = control->generation + !apply->is_again;
	json_t *params = json_pack(
		"{s:I, s:s}", "generation", generation, "phase", is_prepare ? "prepare" : "commit");
	struct error error;
	int fd = -1, code;

	if (is_prepare && config_document_attach(params, apply->document, &fd, &error) < 0) {
		json_decref(params);
		apply_fail(apply, error.text);
		return;
	}
	code = ipc_call(control->packet, "packet.configure", params, &fd, fd >= 0 ? 1 : 0,
		CONFIGURE_TIMEOUT_MS, is_prepare ? on_prepared : on_committed, apply);
	if (fd >= 0)
		close(fd);
	if (code < 0)
		apply_fail(apply, "the packet role does not take the configuration");
}

/* A change that needs another memory or other workers starts the packet role again. */
static bool needs_restart(const json_t *changes)
{
	const char *effect;
	size_t index;
	json_t *change;

	json_array_foreach (changes, index, change) {
		effect = json_string_value(json_object_get(change, "effect"));
		if (effect && strcmp(effect, "restart") == 0)
			return true;
	}
	return false;
}

static void on_restarting(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;

	if (error && control->apply && control->apply->step == APPLY_WAIT)
		apply_fail(control->apply, control_error_text(error));
}

static void restart_packet(struct control *control)
{
	control->is_packet_configured = false;
	control_broker_call(control, "broker.restart_role", json_pack("{s:s}", "role", "packet"),
		on_restarting, control);
}

static void apply_begin(struct apply *apply)
{
	struct control *control = apply->control;

	control->apply = apply;
	if (control->config && !apply->is_again && needs_restart(apply->changes)) {
		apply->step = APPLY_WAIT;
		apply->did_restart = true;
		restart_packet(control);
		return;
	}
	apply->step = APPLY_PREPARE;
	apply_send(apply);
}

/* Why no change can begin now; 0: one can. */
static int check_idle(const struct control *control, struct error *error)
{
	if (!control->config)
		return error_set(error, -EAGAIN,
			"the daemon is starting and has no configuration yet; try again");
	if (control->apply)
		return error_set(error, -EBUSY,
			"another change of the configuration is under way; try again");
	if (!control->packet)
		return error_set(error, -EAGAIN,
			"the packet role is not running at the moment; it is started again, try "
			"again");
	if (control->is_unconfirmed)
		return error_set(error, -EBUSY,
			"the configuration that was applied before is not confirmed yet: use "
			"`bulkhead config confirm` or `bulkhead config rollback` first");
	return 0;
}

/* Takes document. */
static void apply_document(struct control *control, json_t *document, struct apply template)
{
	struct apply *apply = calloc(1, sizeof(*apply));
	struct error error;

	if (!apply)
		abort(); /* a role without memory cannot go on; the broker starts it again */
	*apply = template;
	apply->control = control;
	apply->document = document;
	apply->changes = config_diff(control->config, document);
	if (!apply->errors)
		apply->errors = json_array();
	if (!apply->warnings)
		apply->warnings = json_array();
	if (!apply->changes) {
		apply_destroy(apply);
		error_set(&error, -ENOMEM, "no memory left to compare the configurations");
		template.done(template.context, NULL, &error);
		return;
	}
	apply_begin(apply);
}

void control_apply_fd(struct control *control, int fd, const char *file, uint64_t confirm_ms,
	apply_done_fn done, void *context)
{
	struct config_report report;
	struct error error;
	json_t *document = NULL, *errors, *warnings, *none, *result;

	if (check_idle(control, &error) < 0) {
		done(context, NULL, &error);
		return;
	}
	config_report_init(&report);
	config_load(fd, file, &document, &report);
	errors = config_report_json(&report, CONFIG_ERROR);
	warnings = config_report_json(&report, CONFIG_WARNING);
	config_report_destroy(&report);
	if (document) {
		apply_document(control, document,
			(struct apply){.errors = errors,
				.warnings = warnings,
				.file = strdup(file),
				.confirm_ms = confirm_ms,
				.done = done,
				.context = context});
		return;
	}
	none = json_array();
	result = result_of(false, control->generation, errors, warnings, none);
	done(context, result, NULL);
	json_decref(result);
	json_decref(errors);
	json_decref(warnings);
	json_decref(none);
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
		abort(); /* see apply_document() */
	*reload = (struct reload){control, done, context};
	control_broker_call(control, "broker.open_config", NULL, on_reload_opened, reload);
}

static void forget_confirmation(struct control *control)
{
	control->is_unconfirmed = false;
	uv_timer_stop(&control->confirm_timer);
}

void control_rollback(struct control *control, apply_done_fn done, void *context)
{
	bool was_unconfirmed = control->is_unconfirmed;
	struct error error;
	int code;

	control->is_unconfirmed = false;
	code = check_idle(control, &error);
	if (code == 0 && !control->previous)
		code = error_set(&error, -ENOENT,
			"there is nothing to go back to: this is the first configuration since the "
			"daemon's start");
	if (code < 0) {
		control->is_unconfirmed = was_unconfirmed;
		done(context, NULL, &error);
		return;
	}
	forget_confirmation(control);
	apply_document(control, json_incref(control->previous),
		(struct apply){.done = done, .context = context});
}

static void on_rolled_back(void *context, const json_t *result, const struct error *error)
{
	struct control *control = context;

	if (!error) {
		log_warning(
			"config_rolled_back", log_str("reason", "it was not confirmed in time"));
		return;
	}
	if (control->is_stopping)
		return;
	/* The packet role is down, most likely. It must not stay: again until it is gone. */
	log_error("config_rollback_failed", log_str("reason", error->text));
	control->is_unconfirmed = true;
	control->confirm_due_ms = uv_now(control->role->loop) + RETRY_MS;
	uv_timer_start(&control->confirm_timer, on_confirm_due, RETRY_MS, 0);
}

static void on_confirm_due(uv_timer_t *timer)
{
	struct control *control = timer->data;

	control_rollback(control, on_rolled_back, control);
}

int control_confirm(struct control *control, struct error *error)
{
	if (!control->is_unconfirmed)
		return error_set(error, -ENOENT,
			"nothing waits for a confirmation; what runs (generation "
			"%" JSON_INTEGER_FORMAT ") stays",
			control->generation);
	forget_confirmation(control);
	log_info("config_confirmed", log_int("generation", control->generation));
	return 0;
}

/* --- The start: what the file says, or what a packet role that outlived control runs. --- */

static void begin_first(struct control *control)
{
	if (!control->is_file_read || !control->is_packet_asked || control->config || control->apply
		|| !control->packet)
		return;
	if (!control->first) {
		role_tell_failed(control->role, control->first_error);
		return;
	}
	apply_document(control, json_incref(control->first),
		(struct apply){.file = control->config_file ? strdup(control->config_file) : NULL});
}

static void take_over(struct control *control, json_t *document, json_int_t generation)
{
	control->config = document;
	control->generation = generation;
	control->is_packet_configured = true;
	clock_format(clock_wall_ns(), control->applied_at);
	control_settings_apply(control, document);
	log_info("config_taken_over", log_int("generation", generation));
	role_tell_ready(control->role);
}

static void on_packet_config(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	struct control *control = context;
	json_int_t generation = json_integer_value(json_object_get(result, "generation"));
	json_t *document = NULL;
	struct error why;

	/* It went down again: its successor is asked. */
	if (control->is_stopping || control->config || (error && is_unavailable(error)))
		return;
	if (error)
		log_warning("packet_config_unknown", log_str("reason", control_error_text(error)));
	if (generation > 0
		&& config_document_receive(
			   result, descriptor_count > 0 ? descriptors[0] : -1, &document, &why)
			< 0)
		log_error("packet_config_invalid", log_str("reason", why.text));
	control->is_packet_asked = true;
	if (document)
		take_over(control, document, generation);
	else
		begin_first(control);
}

/* The first problem, and how many there are: for the daemon's last words. */
static void summarise(const struct config_report *report, const char *path, char *out, size_t size)
{
	char *text = NULL;
	size_t text_size = 0;
	FILE *stream = open_memstream(&text, &text_size);

	if (stream) {
		config_report_print(report, stream);
		fclose(stream);
	}
	snprintf(out, size, "%s has %zu errors:\n%s", path, report->error_count, text ? text : "");
	free(text);
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
	control->config_file = strdup(path);
	config_report_init(&report);
	if (config_load(descriptors[0], path, &control->first, &report) < 0) {
		summarise(&report, path, control->first_error, sizeof(control->first_error));
		log_error("config_invalid", log_str("file", path),
			log_uint("errors", report.error_count));
	}
	config_report_destroy(&report);
	/* The API is there from now on, and says that the daemon is starting. */
	if (control->first && !control->settings)
		control_settings_apply(control, control->first);
	begin_first(control);
}

void control_apply_packet_up(struct control *control)
{
	if (control->config && !control->apply) {
		apply_document(
			control, json_incref(control->config), (struct apply){.is_again = true});
		return;
	}
	if (control->apply && control->apply->step == APPLY_WAIT) {
		control->apply->step = APPLY_PREPARE;
		apply_send(control->apply);
		return;
	}
	if (!control->config
		&& ipc_call(control->packet, "packet.config", NULL, NULL, 0, IPC_CALL_TIMEOUT_MS,
			   on_packet_config, control)
			< 0)
		log_error("packet_config_unknown", log_str("reason", "it cannot be asked"));
}

/* A change under way has been ended by the close of the channel, unless it waits for the restart
 * that it asked for itself. */
void control_apply_packet_down(struct control *control)
{
	control->is_packet_configured = false;
	if (!control->config)
		control->is_packet_asked = false;
}

void control_apply_init(struct control *control)
{
	uv_timer_init(control->role->loop, &control->confirm_timer);
	uv_timer_init(control->role->loop, &control->retry_timer);
	control->confirm_timer.data = control->retry_timer.data = control;
	control_broker_call(control, "broker.open_config", NULL, on_first_opened, control);
}

void control_apply_close(struct control *control)
{
	if (control->apply)
		apply_fail(control->apply, "the daemon is stopping");
	json_decref(control->first);
	control->first = NULL;
	uv_close((uv_handle_t *)&control->confirm_timer, NULL);
}
