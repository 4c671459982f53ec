/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inspector interface (I1): what stands behind the gateway's decision to let a packet go on. A
 * burst of tagged packets is submitted and gets verdicts at once, or `held`: held packets are
 * returned later, in any order, by collect. Implementations: none.c, builtin/, external/,
 * suricata/, appliance/.
 *
 * compile runs on any thread; create, configure, reload, status and destroy on the control thread;
 * submit and collect on the worker that is named. An inspector keeps per-worker state apart and
 * locks nothing between workers.
 */
#pragma once

#include "base/error.h"
#include "packet/engine/worker.h"
#include "packet/inspect/compile_progress.h"

#include <jansson.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

enum verdict {
	VERDICT_PASS,    /* goes on, by its origin tag */
	VERDICT_DROP,    /* metadata's drop_reason is set */
	VERDICT_REPLACE, /* goes on, with other bytes (packets[i] may be another mbuf); checksums
			  * are right */
	VERDICT_HELD,    /* owned by the hold table until collected or its deadline */
	VERDICT_DEEPER,  /* clean as far as this engine sees; the next one of the chain decides */
	VERDICT_FAILED,  /* none to be had: the failure policy decides; drop_reason says why */
	VERDICT_COUNT,
};

/* Each worker's own, read relaxed by the control thread. */
struct inspector_counters {
	uint64_t verdicts[VERDICT_COUNT];
	uint64_t late_verdicts[VERDICT_COUNT]; /* of what was held */
	uint64_t alerts;
	uint64_t expired;         /* held packets whose deadline passed */
	uint64_t invalid_returns; /* what came back and was not held (any more) */
} __rte_cache_aligned;

/* The common part; the implementation's struct starts with it. */
struct inspector {
	const struct inspector_ops *ops;
	uint16_t owner; /* of its packets in the hold tables, 1..255; given by inspect_control */
	/* Its implementation writes it (any thread), workers read it, both relaxed: while it is
	 * set, the failure policy decides instead of submit. */
	bool is_down;
	struct inspector_counters counters[WORKERS_MAX];
};

/* The text of a rule file, read when it was opened. */
struct inspector_file {
	const char *name;
	const char *text;
	size_t size;
};

struct inspector_rules {
	const struct inspector_file *files;
	size_t file_count;
	const json_t *variables;
	uint16_t worker_count;
	struct compile_progress *progress;
	const int *cache_fd;             /* file for what was compiled; NULL: none */
	const struct inspector *running; /* the one that is to be reloaded; NULL: a new one */
};

/* What an engine's rules came to; error: they are not in force. */
typedef void (*inspector_settled_fn)(
	void *context, uint64_t loaded, uint64_t refused, const struct error *error);

struct inspector_ops {
	const char *name; /* as in `inspection.engines` */

	/* With rules only; else NULL. Compiles them for create and reload, which take *out; nothing
	 * that runs changes. *report is a new reference (or NULL), also on error. Any thread. */
	int (*compile)(const struct inspector_rules *rules, void **out, json_t **report,
		struct error *error);
	void (*discard)(void *compiled);

	/* config is `inspection` of the document. compiled is taken on success; NULL without
	 * compile. */
	int (*create)(const json_t *config, uint16_t worker_count, void *compiled,
		struct inspector **out, struct error *error);
	/* After the workers' grace period, when the hold tables have nothing of it any more. */
	void (*destroy)(struct inspector *inspector);

	void (*submit)(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
		uint16_t count, enum verdict *verdicts);
	/* Up to max packets that were held and have their verdict now. NULL: never by itself. */
	uint16_t (*collect)(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
		enum verdict *verdicts, uint16_t max);

	/* The engine was replaced: called by each worker before it looks at packets with what came
	 * in its place, and again until it is destroyed. What it must tell others goes out as
	 * injections. NULL: nothing to tell. */
	void (*retire)(struct inspector *inspector, uint16_t worker);

	/* Settings that may change while it runs; cannot fail. NULL: none. */
	void (*configure)(struct inspector *inspector, const json_t *config);
	/* Puts compiled in force, taken, in the place of the old rules (I5). */
	void (*reload)(struct inspector *inspector, void *compiled);
	/* Engines that read rules by themselves when they are configured: calls done when that is
	 * over, maybe at once. NULL: there is nothing to wait for. */
	void (*settle)(struct inspector *inspector, inspector_settled_fn done, void *context);
	/* New reference: fields for engines[] of inspect.status. NULL: nothing to add. */
	json_t *(*status)(struct inspector *inspector);
	void (*metrics)(struct inspector *inspector, json_t *samples);
	/* The methods inspect.rules and inspect.flows (schema/), for engines that have some: params
	 * was validated. New references. */
	json_t *(*rules)(struct inspector *inspector, const json_t *params);
	json_t *(*flows)(struct inspector *inspector, const json_t *params);
	/* Turns what its workers recorded into events: packet_emit_event(). Called some time after
	 * worker_notify_control(). */
	void (*drain)(struct inspector *inspector);
};

extern const struct inspector_ops none_inspector;
extern const struct inspector_ops builtin_inspector;
extern const struct inspector_ops external_inspector;
extern const struct inspector_ops suricata_inspector;
extern const struct inspector_ops appliance_inspector;

/* Of the broker, about the program that the engine suricata had started. */
void suricata_program_news(const json_t *params);
