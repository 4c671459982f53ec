/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPsec as a module of the packet role: the section `ipsec`, what a life before kept, the timer of
 * lifetimes, and the state that is kept for the next life. Control thread.
 *
 * The first preparation that has the section opens the tables, and asks the broker for what was
 * kept; each one reads the key file anew. A static SA whose row is as before stays, and one
 * whose key is goes on with its numbers.
 */
#include "packet/ipsec/ipsec_control.h"

#include "base/clock.h"
#include "base/log.h"
#include "packet/distributor/standby.h"
#include "packet/engine/worker.h"
#include "packet/ipsec/ipsec_config.h"
#include "packet/ipsec/ipsec_packet.h"
#include "packet/ipsec/sa_state.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS       100
#define KEEP_RETRY_MS 1000
#define OWNERS_MAX    128 /* of one look */

static struct {
	struct ipsec_config *config; /* NULL: IPsec is to be off */
	json_t *document;
	/* Of a life before: its state, and its records. -1: none, or taken already. */
	int kept_fd, records_fd;
	packet_prepared_fn done;
	void *context;
} change = {.kept_fd = -1, .records_fd = -1};

static struct ipsec_config *running; /* NULL: off */
static json_t *running_document;     /* that running borrows from */
static bool was_kept_asked;
static uv_timer_t tick_timer, keep_timer;
static bool has_timers;

/* The state that is on its way to the broker. */
static struct {
	struct sa_state *state;                    /* NULL: none is */
	bool is_stale;                             /* something has changed since */
	void (*done)(void *context, bool is_kept); /* NULL: nobody waits */
	void *context;
	bool is_awaited; /* the state that is on its way */
} keeping;

/* ---- keeping ---- */

static void keep(void);

static void on_keep_timer(uv_timer_t *timer)
{
	keep();
}

/* At once, but behind all that this turn of the loop changes. */
static void on_changed(void)
{
	if (keeping.state)
		keeping.is_stale = true;
	else if (has_timers && !uv_is_active((uv_handle_t *)&keep_timer))
		uv_timer_start(&keep_timer, on_keep_timer, 0, 0);
}

void ipsec_when_kept(void (*done)(void *context, bool is_kept), void *context)
{
	keeping.done = done;
	keeping.context = context;
	keeping.is_awaited = false;
	on_changed();
}

void ipsec_forget_waiter(void)
{
	keeping.done = NULL;
}

static void tell_waiter(bool is_kept)
{
	void (*done)(void *context, bool is_kept) = keeping.done;

	keeping.done = NULL;
	if (done)
		done(keeping.context, is_kept);
}

static void on_kept(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	const char *message = json_string_value(json_object_get(failure, "message"));
	struct sa_state *state = keeping.state;

	keeping.state = NULL;
	if (!state)
		return; /* the role is stopping */
	if (failure) {
		log_error("ipsec_state_not_kept", log_str("reason", message ? message : "unknown"));
		uv_timer_start(&keep_timer, on_keep_timer, KEEP_RETRY_MS, 0);
	} else {
		sa_state_kept(state);
	}
	sa_state_destroy(state);
	if (keeping.is_stale)
		on_changed();
	keeping.is_stale = false;
	if (keeping.is_awaited)
		tell_waiter(!failure);
}

static void keep(void)
{
	struct error error;
	int fds[2];

	if (keeping.state || !sa_table_is_open())
		return;
	if (sa_state_write(&fds[0], &keeping.state, &error) < 0) {
		log_error("ipsec_state_not_written", log_str("reason", error.text));
		uv_timer_start(&keep_timer, on_keep_timer, KEEP_RETRY_MS, 0);
		tell_waiter(false);
		return;
	}
	keeping.is_awaited = true;
	fds[1] = sa_records_descriptor();
	packet_broker_call("broker.keep", NULL, fds, 2, on_kept, NULL);
	close(fds[0]);
}

static void on_tick(uv_timer_t *timer)
{
	sa_tick(clock_monotonic_ns());
}

/* ---- preparing ---- */

static void forget_change(void)
{
	ipsec_config_destroy(change.config);
	json_decref(change.document);
	if (change.kept_fd >= 0) {
		close(change.kept_fd);
		was_kept_asked = false; /* the next preparation asks again */
	}
	if (change.records_fd >= 0)
		close(change.records_fd);
	memset(&change, 0, sizeof(change));
	change.kept_fd = change.records_fd = -1;
}

static void end_prepare(const struct error *error)
{
	packet_prepared_fn done = change.done;
	void *context = change.context;

	if (error)
		forget_change();
	done(context, error);
}

/* Tables and timers, once a process. */
static int open_tables(struct error *error)
{
	int status;

	if (sa_table_is_open())
		return 0;
	status = sa_table_open(change.config->sas_max, error);
	if (status == 0)
		status = ipsec_pool_open(error);
	if (status == 0 && worker_add_control_handler(sa_take_news, NULL) < 0)
		status = error_set(error, -ENOSPC, "ipsec: too many handlers of workers' news");
	if (status < 0) {
		ipsec_pool_close();
		sa_table_close();
		return status;
	}
	uv_timer_init(packet_loop(), &tick_timer);
	uv_timer_init(packet_loop(), &keep_timer);
	has_timers = true;
	sa_set_changed(on_changed);
	standby_set_changed(on_changed);
	uv_timer_start(&tick_timer, on_tick, TICK_MS, TICK_MS);
	return 0;
}

static int check_statics(struct error *error)
{
	for (size_t i = 0; i < change.config->sa_count; i++) {
		const struct ipsec_static_sa *sa = &change.config->sas[i];

		if (sa_check(&sa->parameters, error) < 0) {
			error_prefix(error, "ipsec.sas.%s", sa->name);
			return -EINVAL;
		}
	}
	return 0;
}

static int take_descriptor(int *descriptors, size_t count, size_t at)
{
	int fd = at < count ? descriptors[at] : -1;

	if (fd >= 0)
		descriptors[at] = -1;
	return fd;
}

static void on_kept_answer(void *context, const json_t *result, const json_t *failure,
	int *descriptors, size_t descriptor_count)
{
	const char *message = json_string_value(json_object_get(failure, "message"));

	was_kept_asked = !failure;
	if (failure)
		log_error("ipsec_state_not_found", log_str("reason", message ? message : ""));
	change.kept_fd = take_descriptor(descriptors, descriptor_count, 0);
	change.records_fd = take_descriptor(descriptors, descriptor_count, 1);
	end_prepare(NULL);
}

static void prepare_tables(void)
{
	struct error error;

	if (open_tables(&error) < 0 || check_statics(&error) < 0)
		end_prepare(&error);
	else if (was_kept_asked)
		end_prepare(NULL);
	else
		packet_broker_call("broker.kept", NULL, NULL, 0, on_kept_answer, NULL);
}

static int read_key_file(int fd, struct error *error)
{
	struct secret *text;
	size_t size;
	int status = ipsec_config_check_clock(fd, error);

	if (status == 0)
		status = secret_read(fd, IPSEC_KEY_FILE_SIZE_MAX, &text, &size, error);
	if (status < 0)
		return status;
	status = ipsec_config_read_keys(change.config, secret_bytes(text), size, error);
	secret_destroy(text);
	return status;
}

static void on_key_file(void *context, const json_t *result, const json_t *failure,
	int *descriptors, size_t descriptor_count)
{
	const char *message = json_string_value(json_object_get(failure, "message"));
	struct error error;

	if (failure || descriptor_count == 0)
		error_set(&error, -EACCES, "ipsec.key-file: %s", message ? message : "not opened");
	else if (read_key_file(descriptors[0], &error) < 0)
		error_prefix(&error, "ipsec.key-file: %s", change.config->key_file);
	else {
		prepare_tables();
		return;
	}
	end_prepare(&error);
}

static void ipsec_prepare(const json_t *document, packet_prepared_fn done, void *context)
{
	struct error error;

	change.done = done;
	change.context = context;
	change.document = json_incref((json_t *)document);
	if (ipsec_config_read(document, &change.config, &error) < 0) {
		end_prepare(&error);
		return;
	}
	if (!change.config) {
		end_prepare(NULL);
		return;
	}
	if (change.config->sa_count > 0 && !change.config->key_file) {
		error_set(&error, -EINVAL, "ipsec.key-file is missing: the keys of ipsec.sas");
		end_prepare(&error);
		return;
	}
	if (change.config->sa_count == 0) {
		prepare_tables();
		return;
	}
	packet_broker_call("broker.open_key", json_pack("{s:s}", "path", change.config->key_file),
		NULL, 0, on_key_file, NULL);
}

/* ---- in force ---- */

static void restore_kept(void)
{
	struct error error;
	int restored;

	if (change.kept_fd < 0)
		return;
	/* Without them what was kept is gone on with, which is older. */
	if (change.records_fd >= 0 && sa_records_take(change.records_fd, &error) < 0)
		log_error("ipsec_records_not_taken", log_str("reason", error.text));
	change.records_fd = -1;
	restored = sa_state_restore_from(change.kept_fd, &error);
	if (restored < 0)
		log_error("ipsec_state_not_restored", log_str("reason", error.text));
	else
		log_info("ipsec_restored", log_int("sas", restored),
			log_uint("policies", policy_count()));
	close(change.kept_fd);
	change.kept_fd = -1;
}

static bool is_named(const struct sa *sa, const struct ipsec_config *config)
{
	for (size_t i = 0; config && i < config->sa_count; i++) {
		const struct sa_name *name = &config->sas[i].parameters.name;

		if (sa->name.spi == name->spi
			&& ip_address_is_equal(&sa->name.destination, &name->destination))
			return true;
	}
	return false;
}

static void apply_sas(const struct ipsec_config *config)
{
	struct error error;

	for (struct sa *sa = sa_next(0); sa;) {
		struct sa_name name = sa->name;
		uint32_t index = sa->index;

		if (sa->owner == SA_OWNER_CONFIGURATION && !is_named(sa, config))
			sa_delete(&name, &error);
		sa = sa_next(index + 1);
	}
	for (size_t i = 0; config && i < config->sa_count; i++)
		if (sa_put(&config->sas[i].parameters, &error) < 0)
			log_error("sa_not_added", log_str("sa", config->sas[i].name),
				log_str("reason", error.text));
}

void ipsec_apply_statics(void)
{
	if (sa_table_is_open())
		apply_sas(running);
}

void ipsec_forget_all(void)
{
	uint32_t owners[OWNERS_MAX];
	struct error error;
	size_t count;

	do {
		count = sa_owners(owners, OWNERS_MAX);
		for (size_t i = 0; i < count; i++)
			sa_flush_owner(owners[i]);
	} while (count == OWNERS_MAX);
	for (struct sa *sa = sa_next(0); sa; sa = sa_next(0)) {
		struct sa_name name = sa->name;

		sa_delete(&name, &error);
	}
	ipsec_apply_statics();
}

/* New ones first, then the old ones are taken back, so that what is in both has no gap. */
static void apply_policies(const struct ipsec_config *config)
{
	struct policy_parameters *old = NULL;
	struct error error;
	size_t old_count = policy_copy_owner(SA_OWNER_CONFIGURATION, &old);

	for (size_t i = 0; config && i < config->policy_count; i++)
		if (policy_add(&config->policies[i], &error) < 0)
			log_error("policy_not_added", log_str("reason", error.text));
	for (size_t i = 0; i < old_count; i++)
		policy_delete(&old[i], &error);
	free(old);
}

static void publish_settings(const struct ipsec_config *config)
{
	struct ipsec_settings *settings = config ? calloc(1, sizeof(*settings)) : NULL;
	struct port *port = config && config->physical ? port_find(config->physical) : NULL;

	if (settings)
		*settings = (struct ipsec_settings){.physical_port = port ? port->index : PORT_NONE,
			.bypasses = config->bypasses};
	publish_swap(&ipsec_settings, settings, free);
}

static void ipsec_commit(void)
{
	if (sa_table_is_open()) {
		sa_set_replay_window(change.config ? change.config->replay_window : 0);
		restore_kept();
		apply_sas(change.config);
		apply_policies(change.config);
	}
	publish_settings(change.config);
	ipsec_config_destroy(running);
	json_decref(running_document);
	running = change.config;
	running_document = change.document;
	change.config = NULL;
	change.document = NULL;
}

const struct ipsec_config *ipsec_running(void)
{
	return running;
}

/* The workers have ended. */
static void ipsec_stop(void)
{
	if (has_timers) {
		uv_close((uv_handle_t *)&tick_timer, NULL);
		uv_close((uv_handle_t *)&keep_timer, NULL);
	}
	has_timers = false;
	sa_set_changed(NULL);
	standby_set_changed(NULL);
	sa_state_destroy(keeping.state);
	keeping.state = NULL;
	free(ipsec_settings);
	ipsec_settings = NULL;
	ipsec_config_destroy(running);
	json_decref(running_document);
	running = NULL;
	running_document = NULL;
	if (sa_table_is_open()) {
		sa_table_close();
		ipsec_pool_close();
	}
}

const struct packet_module ipsec_module = {
	.name = "ipsec",
	.stop = ipsec_stop,
	.prepare = ipsec_prepare,
	.commit = ipsec_commit,
	.abort = forget_change,
	.methods = ipsec_methods,
	.metrics = ipsec_metrics,
};
