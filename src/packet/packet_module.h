/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a folder of the packet role implements, and what the role gives to it. The role runs one
 * configuration change at a time through all modules, in the written order of packet_modules[]
 * (engine, port, gateway, link, ipsec, kmp, distributor, handover, inspect, filter, target):
 *
 *	prepare (forward) -> commit (forward) -> graph_commit() -> finish (backward)
 *	prepare fails or control says abort  -> abort (backward)
 *
 * Everything here belongs to the thread that runs the role's loop.
 */
#pragma once

#include "base/error.h"
#include "ipc/ipc.h"

#include <jansson.h>
#include <stdint.h>

/* Ends a prepare: error is NULL on success. Exactly once, from inside prepare or later. */
typedef void (*packet_prepared_fn)(void *context, const struct error *error);

struct packet_module {
	const char *name;

	/* Once, when EAL runs, before the first prepare; undone by stop. NULL is allowed. */
	int (*start)(struct error *error);
	void (*stop)(void);

	/* Makes ready all that config asks for and can fail, beside what runs: computes the delta
	 * to the running configuration, opens, allocates, compiles. Nothing that runs changes.
	 * config is the whole normalised document (schema/), borrowed until commit or abort has
	 * returned. When it fails the module has already undone its part; abort is then not called
	 * for it. */
	void (*prepare)(const json_t *config, packet_prepared_fn done, void *context);
	/* Puts in force what was prepared: publishes the tables. Cannot fail, does not wait. What
	 * it replaced may still be in use, by this folder and by the others. NULL is allowed. */
	void (*commit)(void);
	/* After all modules' commit and the graph's swap: nobody refers to the old any more except
	 * walks under way (publish_retire(), port_close()). Releases it. NULL is allowed. */
	void (*finish)(void);
	/* Throws away what was prepared. NULL is allowed. */
	void (*abort)(void);

	/* API methods ("port.list") that control passes on; NULL name ends them. NULL is allowed.
	 */
	const struct ipc_method *methods;
	/* Appends samples with packet_metric(). NULL is allowed. */
	void (*metrics)(json_t *samples);
	/* The broker's notifications about programs (src/main/README.md). NULL is allowed. */
	void (*program)(const json_t *params);
};

/* In the written order; NULL ends it. */
extern const struct packet_module *const packet_modules[];

/* Each folder's own. */
extern const struct packet_module engine_module;
extern const struct packet_module port_module;
extern const struct packet_module gateway_module;
extern const struct packet_module link_module;
extern const struct packet_module ipsec_module;
extern const struct packet_module kmp_module;
extern const struct packet_module distributor_module;
extern const struct packet_module handover_module;
extern const struct packet_module inspect_module;
extern const struct packet_module filter_module;
extern const struct packet_module target_module;

/* The loop of the role: for timers and descriptors. */
uv_loop_t *packet_loop(void);

/* A request to the broker (closed list). params is consumed, descriptors are borrowed; done is
 * called exactly once, also with IPC_UNAVAILABLE when the broker cannot be asked; never from inside
 * this call. */
void packet_broker_call(const char *method, json_t *params, const int *descriptors,
	size_t descriptor_count, ipc_reply_fn done, void *context);

/* The notification `event` to control: {"type": ..., ...}, consumed. Bounded: what control does not
 * take in time is dropped and counted. From workers use a ring and worker_notify_control(). */
void packet_emit_event(json_t *event);

/* Whether control keeps up, so that events which are not urgent leave the others room. */
bool packet_has_room_for_events(void);

/* Any other notification to control, as "trace.record". params is consumed. Returns -ENOBUFS or
 * -EPIPE when it was dropped. */
int packet_notify(const char *method, json_t *params);

/* Appends one sample. name without the "bulkhead_" prefix; type is "counter" or "gauge"; labels
 * is a JSON object (consumed) or NULL. help has to be the same for each sample of a name. */
void packet_metric(json_t *samples, const char *name, const char *type, const char *help,
	json_t *labels, double value);

/* The running configuration (borrowed until the next commit); NULL before the first commit. */
const json_t *packet_config(void);
