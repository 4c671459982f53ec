/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a compiled ruleset holds. Written by ruleset_compile(); then read-only, but for each
 * worker's own part, which that worker alone writes, and the control thread reads for statistics
 * (relaxed: figures may be a packet old).
 */
#pragma once

#include "packet/inspect/builtin/rules/match_payload.h"
#include "packet/inspect/builtin/rules/message_view.h"
#include "packet/inspect/builtin/rules/rule_arena.h"
#include "packet/inspect/builtin/rules/rule_groups.h"
#include "packet/inspect/builtin/rules/rule_messages.h"
#include "packet/inspect/builtin/rules/rule_parse.h"
#include "packet/inspect/builtin/rules/threshold_table.h"

#include <rte_common.h>

/* Part of one worker. */
struct ruleset_worker {
	struct payload_matcher matcher;
	hs_scratch_t *scratch;
	uint64_t *matches;         /* by rule; read by the control thread */
	uint64_t evaluations;      /* read by the control thread */
	struct message_view *view; /* NULL: no rule looks at messages */

	/* Rules to look at in this pass, each once: it is in when its mark is the pass. */
	uint32_t *marks;
	uint32_t pass;
	uint32_t *candidates;
	size_t candidate_count;
} __rte_cache_aligned;

struct ruleset {
	uint32_t generation; /* never 0 */
	struct rule **rules; /* by index, in the order of evaluation */
	size_t rule_count;
	struct rule_arena arena;
	struct networks *networks;
	struct flowbit_names flowbits;
	struct rule_groups groups;
	struct rule_buffers buffers;
	struct rule_messages messages;
	struct rule **fragment_rules; /* without payload options; in order */
	size_t fragment_rule_count;
	struct threshold_table *thresholds; /* of all workers; NULL: no rule needs it */
	struct ruleset_worker *workers;
	uint16_t worker_count;
};
