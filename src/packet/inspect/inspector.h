/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inspector interface (I1): what stands behind the gateway's decision to let a packet go on. A
 * burst of tagged packets is submitted and gets verdicts at once, or `held`: held packets are
 * returned later, in any order, by collect. Implementations: none.c, builtin/, later suricata/ and
 * appliance/.
 *
 * create, reload, status and destroy run on the control thread; submit and collect on the worker
 * that is named. An inspector keeps per-worker state apart and locks nothing between workers.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <rte_mbuf.h>
#include <stdint.h>

enum verdict {
	VERDICT_PASS,    /* goes on, by its origin tag */
	VERDICT_DROP,    /* metadata's drop_reason is set */
	VERDICT_REPLACE, /* goes on, with bytes changed in place; checksums are right */
	VERDICT_HELD,    /* owned by the hold table until collected or its deadline */
	VERDICT_DEEPER,  /* clean as far as this engine sees; the next one of the chain decides */
};

struct inspector;

struct inspector_ops {
	const char *name; /* as in `inspection.engines` */
	int (*create)(const json_t *config, uint16_t worker_count, struct inspector **out,
		struct error *error);
	void (*destroy)(struct inspector *inspector);
	void (*submit)(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
		uint16_t count, enum verdict *verdicts);
	/* Up to max packets that were held and have their verdict now. NULL: never holds. */
	uint16_t (*collect)(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
		enum verdict *verdicts, uint16_t max);
	/* New rules are prepared beside the old ones and swapped in; on error nothing changes (I5).
	 */
	int (*reload)(struct inspector *inspector, const json_t *config, struct error *error);
	json_t *(*status)(struct inspector *inspector); /* new reference */
};
