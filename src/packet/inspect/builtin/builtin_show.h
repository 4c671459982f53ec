/* SPDX-License-Identifier: BSD-3-Clause */
/* What the builtin inspector tells people: status, metrics, rules, flows, events. Control thread.
 */
#pragma once

#include "packet/inspect/inspector.h"

json_t *builtin_status(struct inspector *inspector);
void builtin_metrics(struct inspector *inspector, json_t *samples);
json_t *builtin_rules(struct inspector *inspector, const json_t *params);
json_t *builtin_flows(struct inspector *inspector, const json_t *params);
void builtin_drain_events(struct inspector *inspector);

struct builtin;
/* What its workers recorded last, and each flow that it leaves; the workers are done with it. */
void builtin_end_events(struct builtin *builtin);
