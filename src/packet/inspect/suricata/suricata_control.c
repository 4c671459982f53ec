/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Suricata is told, and what becomes of its process. A refresh reads the rule files, writes
 * what has changed into the folder, and then does the least that brings it in force: nothing, a
 * reload through the command socket, or a start. Whatever happens, the files are what Suricata
 * reads when it starts the next time.
 */
#include "base/log.h"
#include "packet/inspect/inspect.h"
#include "packet/inspect/rule_files.h"
#include "packet/inspect/suricata/suricata.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <fcntl.h>
#include <rte_eal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_MS       500
#define HUGEPAGES_FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

/* The one that runs Suricata: of an engine that is replaced and one that takes its place. */
static struct suricata_control *current;

static const json_t *own(const struct suricata_control *control, const char *key)
{
	return json_object_get(json_object_get(control->inspection, "suricata"), key);
}

static bool is_attached(const struct suricata_control *control)
{
	const char *mode = json_string_value(own(control, "mode"));

	return mode && strcmp(mode, "attach") == 0;
}

/* ---- life ---- */

void suricata_control_put(struct suricata_control *control)
{
	if (--control->references > 0)
		return;
	json_decref(control->inspection);
	json_decref(control->drops);
	free(control->main_text);
	free(control->rules_text);
	free(control);
}

static void on_timer_closed(uv_handle_t *handle)
{
	suricata_control_put(handle->data);
}

static void on_watch(uv_timer_t *timer);

static bool make_path(char out[SURICATA_PATH_SIZE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* False: it does not fit. */
static bool make_path(char out[SURICATA_PATH_SIZE], const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(out, SURICATA_PATH_SIZE, format, arguments);
	va_end(arguments);
	return length >= 0 && (size_t)length < SURICATA_PATH_SIZE;
}

/* The folder is beside the API's socket, where the role may write. */
static int make_folder(struct suricata_control *control, struct error *error)
{
	static unsigned int number;
	const char *socket = json_string_value(
		json_object_get(json_object_get(inspect_document(), "control"), "socket"));
	const char *end = socket ? strrchr(socket, '/') : NULL;
	char devices[SURICATA_PATH_SIZE + 8];

	/* An engine that is replaced has its sockets a little longer. */
	number++;
	if (!end || !make_path(control->folder, "%.*s/suricata", (int)(end - socket), socket)
		|| !make_path(control->packets, "%s/packets/%u.sock", control->folder, number)
		|| !make_path(control->eve, "%s/eve-%u.sock", control->folder, number)
		|| !make_path(control->command, "%s/run/command.sock", control->folder))
		return error_set(error, -ENAMETOOLONG,
			"control.socket: the paths of Suricata's sockets beside it are too long");
	/* The broker lets Suricata's group into them; memif wants to be able to write where its
	 * socket is. */
	snprintf(devices, sizeof(devices), "%s/packets", control->folder);
	if ((mkdir(control->folder, 0750) < 0 && errno != EEXIST)
		|| (mkdir(devices, 0750) < 0 && errno != EEXIST))
		return error_set(error, -errno, "%s: %s (the roles' user makes it)", devices,
			strerror(errno));
	return 0;
}

struct suricata_control *suricata_control_open(
	struct suricata *suricata, const json_t *config, struct error *error)
{
	struct suricata_control *control = calloc(1, sizeof(*control));
	const char *binary;

	if (!control) {
		error_set(error, -ENOMEM, "inspection.suricata: no memory");
		return NULL;
	}
	control->references = 1;
	control->inspection = json_deep_copy(config);
	control->drops = json_object();
	control->rules_loaded = control->rules_failed = 0;
	binary = json_string_value(own(control, "binary"));
	if (!is_attached(control) && access(binary, X_OK) < 0) {
		error_set(error, -errno,
			"inspection.suricata.binary: %s: %s; install Suricata 7 (on Debian 12 from "
			"bookworm-backports), or take suricata out of inspection.engines",
			binary, strerror(errno));
		goto put;
	}
	if (make_folder(control, error) < 0 || suricata_records_open(control, error) < 0)
		goto put;
	uv_timer_init(packet_loop(), &control->timer);
	control->timer.data = control;
	control->references++;
	uv_timer_start(&control->timer, on_watch, WATCH_MS, WATCH_MS);
	control->owner = suricata;
	return control;
put:
	suricata_control_put(control);
	return NULL;
}

static void end_waiting(struct suricata_control *control, const struct error *error)
{
	size_t count = control->waiting_count;

	control->waiting_count = 0;
	for (size_t i = 0; i < count; i++)
		control->waiting[i].done(control->waiting[i].context,
			(uint64_t)control->rules_loaded, (uint64_t)control->rules_failed, error);
}

static void ignore(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
}

void suricata_control_close(struct suricata_control *control)
{
	struct error error;

	control->owner = NULL;
	suricata_ask_cancel(control->ask);
	control->ask = NULL;
	if (current == control) {
		current = NULL;
		if (!is_attached(control))
			packet_broker_call("broker.stop_program",
				json_pack("{s:s}", "program", "suricata"), NULL, 0, ignore, NULL);
	}
	error_set(&error, -ECANCELED, "the engine suricata was taken away");
	end_waiting(control, &error);
	suricata_records_close(control);
	uv_close((uv_handle_t *)&control->timer, on_timer_closed);
	suricata_control_put(control);
}

/* ---- files ---- */

/* In the place of the old one at once; readable to who gets into the folder. */
static int write_file(const struct suricata_control *control, const char *name, const char *text,
	size_t size, struct error *error)
{
	char path[SURICATA_PATH_SIZE + 256], fresh[SURICATA_PATH_SIZE + 264];
	FILE *out;
	int status = 0;

	snprintf(path, sizeof(path), "%s/%s", control->folder, name);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	out = fopen(fresh, "we");
	if (!out)
		return error_set(error, -errno, "%s: %s", fresh, strerror(errno));
	if (fwrite(text, 1, size, out) != size || fflush(out) != 0 || fchmod(fileno(out), 0644) < 0)
		status = -errno;
	if (fclose(out) != 0 && status == 0)
		status = -errno;
	if (status == 0 && rename(fresh, path) < 0)
		status = -errno;
	return status == 0 ? 0 : error_set(error, status, "%s: %s", path, strerror(-status));
}

/* A name for each: theirs need not differ. */
static char *rule_name(size_t number, const char *path)
{
	const char *base = strrchr(path, '/');
	char *name = NULL;

	return asprintf(&name, "%04zu-%.64s", number, base ? base + 1 : path) < 0 ? NULL : name;
}

static int write_rules(struct suricata_control *control, const struct rule_files *files,
	char **names, struct error *error)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < files->count; i++) {
		names[i] = rule_name(i, files->files[i].name);
		status = names[i] ? write_file(control, names[i], files->files[i].text,
				 files->files[i].size, error)
				  : error_set(error, -ENOMEM, "inspection.rules: no memory");
	}
	return status;
}

static unsigned int free_hugepages(void)
{
	FILE *file = fopen(HUGEPAGES_FREE, "re");
	unsigned int count = 0;

	if (file && fscanf(file, "%u", &count) != 1)
		count = 0;
	if (file)
		fclose(file);
	return count;
}

static void fill_settings(struct suricata_control *control, struct suricata_settings *settings)
{
	const char *device = json_string_value(own(control, "device"));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*settings = (struct suricata_settings){.inspection = control->inspection,
		.folder = control->folder,
		.packets = control->packets,
		.eve = control->eve,
		.command = control->command,
		.kind = device && strcmp(device, "vhost-user") == 0 ? EXTERNAL_VHOST_USER
								    : EXTERNAL_MEMIF,
		.worker_count = control->owner->external.worker_count,
		.cpu_count = cpus > 0 ? (unsigned int)cpus : 1,
		.has_classification = access(SURICATA_CLASSIFICATION, R_OK) == 0
			&& access(SURICATA_REFERENCE, R_OK) == 0};
	/* Decided once: a reload is no reason to move its memory. */
	settings->has_hugepages = control->main_text ? !strstr(control->main_text, "no-huge")
						     : rte_eal_has_hugepages()
			&& free_hugepages() * 2 >= suricata_config_memory_mb(settings);
}

struct told {
	char *main_text, *rules_text, **names;
	size_t name_count;
	bool is_main_new, are_rules_new;
};

static void told_clear(struct told *told)
{
	for (size_t i = 0; told->names && i < told->name_count; i++)
		free(told->names[i]);
	free(told->names);
	free(told->main_text);
	free(told->rules_text);
}

/* Writes what is new of it into the folder. */
static int tell_files(struct suricata_control *control, const struct rule_files *files,
	struct told *told, struct error *error)
{
	struct suricata_settings settings;
	char *whole = NULL;
	int size, status;

	fill_settings(control, &settings);
	told->name_count = files->count;
	told->names = calloc(files->count + 1, sizeof(*told->names));
	if (!told->names)
		return error_set(error, -ENOMEM, "inspection.suricata: no memory");
	status = write_rules(control, files, told->names, error);
	if (status < 0)
		return status;
	told->main_text = suricata_config_main(&settings);
	told->rules_text = suricata_config_rules(&settings, told->names, files->count);
	if (!told->main_text || !told->rules_text)
		return error_set(error, -ENOMEM, "inspection.suricata: no memory");
	told->is_main_new = !control->main_text || strcmp(told->main_text, control->main_text) != 0;
	told->are_rules_new = !control->rules_text
		|| strcmp(told->rules_text, control->rules_text) != 0
		|| files->digest != control->rules_digest;
	if (!told->is_main_new && !told->are_rules_new)
		return 0;
	size = asprintf(&whole, "%s%s", told->main_text, told->rules_text);
	status = size < 0 ? error_set(error, -ENOMEM, "inspection.suricata: no memory")
			  : write_file(control, "suricata.yaml", whole, (size_t)size, error);
	free(whole);
	return status;
}

/* ---- refresh ---- */

static void begin_refresh(struct suricata_control *control);

static void end_refresh(struct suricata_control *control, const struct error *error)
{
	control->is_refreshing = false;
	snprintf(control->problem, sizeof(control->problem), "%s", error ? error->text : "");
	if (error)
		log_error("suricata_refresh_failed", log_str("reason", error->text));
	if (control->is_again) {
		control->is_again = false;
		begin_refresh(control);
		return;
	}
	end_waiting(control, error);
}

static void on_statistics(void *context, const json_t *message)
{
	struct suricata_control *control = context;
	const json_t *first = json_array_get(message, 0);

	control->ask = NULL;
	control->rules_loaded = json_integer_value(json_object_get(first, "rules_loaded"));
	control->rules_failed = json_integer_value(json_object_get(first, "rules_failed"));
	if (control->is_refreshing) {
		log_info("suricata_rules", log_int("loaded", control->rules_loaded),
			log_int("failed", control->rules_failed));
		packet_emit_event(json_pack("{s:s, s:s, s:I, s:I}", "type", "rules_reloaded",
			"engine", "suricata", "loaded", (json_int_t)control->rules_loaded, "failed",
			(json_int_t)control->rules_failed));
		end_refresh(control, NULL);
	}
}

static bool ask(struct suricata_control *control, const char *command, suricata_answer_fn done)
{
	suricata_ask_cancel(control->ask);
	control->ask = suricata_ask(control->command, command, done, control);
	return control->ask != NULL;
}

static void on_started(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	struct suricata_control *control = context;
	const char *message = json_string_value(json_object_get(failure, "message"));
	struct error error;

	if (!control->owner) {
		suricata_control_put(control);
		return;
	}
	control->is_told = !failure;
	if (failure) {
		error_set(&error, -EIO, "inspection.suricata: %s",
			message ? message : "the broker did not answer");
		end_refresh(control, &error);
	} else {
		end_refresh(control, NULL);
	}
	suricata_control_put(control);
}

/* Also once more: what runs is ended first. Its folder is given to it in any case. */
static void start_program(struct suricata_control *control)
{
	json_t *params = json_pack("{s:s, s:s}", "program", "suricata", "folder", control->folder);

	if (is_attached(control))
		json_object_set_new(params, "is_attached", json_true());
	else
		json_object_set_new(
			params, "binary", json_string(json_string_value(own(control, "binary"))));
	current = control;
	control->is_asked = false;
	control->references++;
	packet_broker_call("broker.start_program", params, NULL, 0, on_started, control);
}

/* What cannot be reloaded is started again: that reads the files, too. */
static void reload_failed(struct suricata_control *control)
{
	struct error error;

	if (!is_attached(control)) {
		start_program(control);
		return;
	}
	error_set(&error, -ENOTCONN,
		"inspection.suricata: the running Suricata does not answer at %s; it takes the new "
		"files when it is started again",
		control->command);
	end_refresh(control, &error);
}

static void on_reload(void *context, const json_t *message)
{
	struct suricata_control *control = context;

	control->ask = NULL;
	if (!message || !ask(control, "ruleset-stats", on_statistics))
		reload_failed(control);
}

static void keep_told(
	struct suricata_control *control, struct told *told, const struct rule_files *files)
{
	free(control->main_text);
	free(control->rules_text);
	control->main_text = told->main_text;
	control->rules_text = told->rules_text;
	told->main_text = told->rules_text = NULL;
	control->rules_digest = files->digest;
}

static void warn_of_missing(const struct rule_files *files)
{
	const json_t *pattern;
	size_t i;

	json_array_foreach (files->missing, i, pattern)
		log_warning("rules_missing", log_str("engine", "suricata"),
			log_str("pattern", json_string_value(pattern)));
}

static void apply(struct suricata_control *control, const struct told *told)
{
	struct error error;

	if (!control->is_told || (told->is_main_new && !is_attached(control))) {
		start_program(control);
	} else if (told->is_main_new) {
		error_set(&error, -EBUSY,
			"inspection.suricata: the attached Suricata has to be started again for "
			"its "
			"new configuration");
		end_refresh(control, &error);
	} else if (told->are_rules_new) {
		if (!ask(control, "reload-rules", on_reload))
			reload_failed(control);
	} else {
		end_refresh(control, NULL);
	}
}

static void on_rule_files(void *context, struct rule_files *files, const struct error *failure)
{
	struct suricata_control *control = context;
	struct told told = {0};
	struct error error;

	if (control->owner && failure) {
		end_refresh(control, failure);
	} else if (control->owner) {
		warn_of_missing(files);
		if (tell_files(control, files, &told, &error) < 0) {
			end_refresh(control, &error);
		} else {
			if (told.is_main_new || told.are_rules_new)
				keep_told(control, &told, files);
			apply(control, &told);
		}
	}
	told_clear(&told);
	rule_files_destroy(files);
	suricata_control_put(control);
}

static void begin_refresh(struct suricata_control *control)
{
	const json_t *rules = own(control, "rules");

	control->is_refreshing = true;
	control->references++;
	rule_files_read(
		json_array_size(rules) ? rules : json_object_get(control->inspection, "rules"),
		on_rule_files, control);
}

void suricata_refresh(struct suricata_control *control, const json_t *config)
{
	json_decref(control->inspection);
	control->inspection = json_deep_copy(config);
	if (control->is_refreshing)
		control->is_again = true;
	else
		begin_refresh(control);
}

void suricata_settle(struct suricata_control *control, inspector_settled_fn done, void *context)
{
	struct error error;

	if (control->is_refreshing && control->waiting_count < SURICATA_WAITING_MAX) {
		control->waiting[control->waiting_count].done = done;
		control->waiting[control->waiting_count++].context = context;
		return;
	}
	error_set(&error, -EIO, "%s",
		control->is_refreshing ? "inspection.suricata: too many wait for its rules"
				       : control->problem);
	done(context, (uint64_t)control->rules_loaded, (uint64_t)control->rules_failed,
		error.text[0] ? &error : NULL);
}

/* ---- the process ---- */

static void on_version(void *context, const json_t *message)
{
	struct suricata_control *control = context;
	const char *version = json_string_value(message);

	control->ask = NULL;
	snprintf(control->version, sizeof(control->version), "%s", version ? version : "");
	control->is_asked = version && ask(control, "ruleset-stats", on_statistics);
}

/* When it has come up: who it is, and what it made of its rules. */
static void on_watch(uv_timer_t *timer)
{
	struct suricata_control *control = timer->data;
	bool is_up;

	if (!control->owner)
		return;
	is_up = !control->owner->external.base.is_down;
	if (!is_up)
		control->is_asked = false;
	if (is_up && !control->is_asked && !control->is_refreshing && !control->ask)
		(void)ask(control, "version", on_version);
}

static void copy_text(char *out, size_t size, const json_t *params, const char *key)
{
	const char *text = json_string_value(json_object_get(params, key));

	snprintf(out, size, "%s", text ? text : "");
}

void suricata_program_news(const json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "name"));

	if (!current || !name || strcmp(name, "suricata") != 0)
		return;
	copy_text(current->process, sizeof(current->process), params, "state");
	copy_text(current->reason, sizeof(current->reason), params, "reason");
	current->pid = json_integer_value(json_object_get(params, "pid"));
	current->restarts = (unsigned)json_integer_value(json_object_get(params, "restarts"));
	current->is_asked = false;
}
