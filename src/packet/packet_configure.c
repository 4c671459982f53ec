/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transaction of packet_module.h:
 *
 *	IDLE --prepare--> PREPARING --all modules done--> PREPARED --commit or abort--> IDLE
 *
 * A prepare that fails leads straight back to IDLE. A module may end its prepare later; if control
 * went away meanwhile, the change is aborted as soon as the module is done.
 */
#include "packet/packet_configure.h"

#include "base/log.h"
#include "main/role.h"
#include "packet/engine/eal.h"
#include "packet/engine/engine_control.h"
#include "packet/engine/graph.h"
#include "packet/packet_module.h"
#include "schema/config_document.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_DELAY_MS 100 /* for an answer to leave */

enum phase { IDLE, PREPARING, PREPARED };

static struct {
	enum phase phase;
	uint32_t module;             /* PREPARING: whose turn it is */
	struct ipc_request *request; /* PREPARING: to be answered */
	bool is_orphaned;            /* PREPARING: control is gone, abort when the module is done */
	json_t *config;              /* PREPARING and PREPARED */
	json_int_t generation;
} change;

static json_t *running;
static json_int_t running_generation;
static uint32_t started_count; /* modules whose start has succeeded */
/* The prepare of a new control, behind an orphaned change. */
static struct ipc_request *waiting;
static uv_timer_t exit_timer;
static bool is_exiting;

const json_t *packet_config(void)
{
	return running;
}

static void forget_change(void)
{
	struct ipc_request *next = waiting;

	json_decref(change.config);
	change.config = NULL;
	change.request = NULL;
	change.is_orphaned = false;
	change.phase = IDLE;
	waiting = NULL;
	if (next)
		packet_configure(next, NULL);
}

/* Backward, the modules below count. */
static void abort_modules(uint32_t count)
{
	while (count > 0) {
		const struct packet_module *module = packet_modules[--count];

		if (module->abort)
			module->abort();
	}
}

static void on_exit_timer(uv_timer_t *timer)
{
	_exit(EXIT_FAILURE);
}

/* DPDK cannot be started twice in a process: when the answer has left, the broker starts us anew.
 */
static void exit_soon(void)
{
	if (is_exiting)
		return;
	is_exiting = true;
	uv_timer_init(packet_loop(), &exit_timer);
	uv_timer_start(&exit_timer, on_exit_timer, EXIT_DELAY_MS, 0);
}

/* Without an answer: control takes it for the role's death, and sends the configuration to the
 * next process. */
static _Noreturn void end_for_ordinary_memory(const struct error *error)
{
	log_warning("hugepages_taken", log_str("problem", error->text),
		log_str("effect", "the role starts again, with ordinary memory"));
	_exit(ROLE_EXIT_AGAIN);
}

static int start_modules(struct error *error)
{
	int status = engine_start(packet_loop(), change.config, error);

	if (status < 0 && eal_lacks_hugepages())
		end_for_ordinary_memory(error);
	if (status < 0) {
		if (engine_is_spoilt())
			exit_soon();
		return status;
	}
	while (packet_modules[started_count]) {
		const struct packet_module *module = packet_modules[started_count];

		status = module->start ? module->start(error) : 0;
		if (status < 0) {
			error_prefix(error, "cannot start %s", module->name);
			return status;
		}
		started_count++;
	}
	return 0;
}

static void end_prepare(void)
{
	json_t *keys;

	if (change.is_orphaned) {
		ipc_reply_failed(change.request, -ECANCELED, "control is gone");
		abort_modules(change.module);
		forget_change();
		return;
	}
	keys = json_array();
	engine_needs_restart(change.config, keys);
	change.phase = PREPARED;
	ipc_reply(change.request, json_pack("{s:o}", "restart", keys));
	change.request = NULL;
}

static void on_module_prepared(void *context, const struct error *error)
{
	const struct packet_module *module;

	if (change.phase != PREPARING)
		return; /* the role is stopping */
	module = packet_modules[change.module];
	if (error) {
		log_warning("configuration_refused", log_int("generation", change.generation),
			log_str("module", module->name), log_str("error", error->text));
		ipc_reply_failed(change.request, -EINVAL, error->text);
		abort_modules(change.module);
		forget_change();
		return;
	}
	/* A module that is done inside its prepare comes back here by recursion: a few frames. */
	module = packet_modules[++change.module];
	if (module)
		module->prepare(change.config, on_module_prepared, NULL);
	else
		end_prepare();
}

static int receive_config(struct ipc_request *request, json_t **config, struct error *error)
{
	int fd = ipc_request_take_descriptor(request, 0);
	int status = config_document_receive(ipc_request_params(request), fd, config, error);

	if (fd >= 0)
		close(fd);
	return status;
}

static void begin(struct ipc_request *request, json_int_t generation)
{
	struct error error;
	int status;

	if (change.phase == PREPARING && change.is_orphaned && !waiting) {
		waiting = request;
		return;
	}
	if (change.phase == PREPARING) {
		ipc_reply_failed(request, -EBUSY,
			"a change of the configuration is being prepared; try again when it is "
			"done");
		return;
	}
	if (change.phase == PREPARED) {
		abort_modules(change.module);
		forget_change();
	}
	status = receive_config(request, &change.config, &error);
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	change.phase = PREPARING;
	change.generation = generation;
	change.request = request;
	change.module = 0;
	status = start_modules(&error);
	if (status < 0) {
		log_error("start_failed", log_str("error", error.text));
		ipc_reply_failed(request, status, error.text);
		forget_change();
		return;
	}
	packet_modules[0]->prepare(change.config, on_module_prepared, NULL);
}

static void commit(void)
{
	uint32_t count = 0;

	for (; packet_modules[count]; count++)
		if (packet_modules[count]->commit)
			packet_modules[count]->commit();
	graph_commit();
	while (count > 0) {
		const struct packet_module *module = packet_modules[--count];

		if (module->finish)
			module->finish();
	}
	json_decref(running);
	running = json_incref(change.config);
	running_generation = change.generation;
	log_info("configured", log_int("generation", running_generation));
	forget_change();
}

void packet_configure(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *phase = json_string_value(json_object_get(params, "phase"));
	json_int_t generation = json_integer_value(json_object_get(params, "generation"));

	if (phase && strcmp(phase, "prepare") == 0) {
		begin(request, generation);
		return;
	}
	if (!phase || (strcmp(phase, "commit") != 0 && strcmp(phase, "abort") != 0)) {
		ipc_reply_error(request, IPC_INVALID_PARAMS,
			"phase has to be prepare, commit or abort", NULL);
		return;
	}
	if (change.phase != PREPARED || change.generation != generation) {
		ipc_reply_failed(request, -ENOENT, "this generation is not prepared");
		return;
	}
	if (strcmp(phase, "commit") == 0) {
		commit();
	} else {
		abort_modules(change.module);
		forget_change();
	}
	ipc_reply(request, json_object());
}

void packet_configure_report(struct ipc_request *request, void *context)
{
	json_t *result = json_pack("{s:I}", "generation", running_generation);
	struct error error;
	int fd = -1, status = 0;

	if (running)
		status = config_document_attach(result, running, &fd, &error);
	if (status < 0) {
		json_decref(result);
		ipc_reply_failed(request, status, error.text);
		return;
	}
	ipc_reply_with_descriptors(request, result, &fd, fd >= 0 ? 1 : 0);
	if (fd >= 0)
		close(fd);
}

void packet_configure_peer_gone(void)
{
	if (change.phase == PREPARED) {
		abort_modules(change.module);
		forget_change();
	}
	/* The module that prepares may not be interrupted. */
	if (change.phase == PREPARING)
		change.is_orphaned = true;
}

void packet_configure_stop(void)
{
	packet_configure_peer_gone();
	if (change.phase == PREPARING) {
		ipc_reply_failed(change.request, -ECANCELED, "the packet role is stopping");
		abort_modules(change.module);
		forget_change();
	}
	engine_stop_workers();
	while (started_count > 0) {
		const struct packet_module *module = packet_modules[--started_count];

		if (module->stop)
			module->stop();
	}
	engine_stop();
	json_decref(running);
	running = NULL;
}
