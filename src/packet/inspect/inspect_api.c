/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/inspect_api.h"

#include "base/clock.h"
#include "packet/inspect/appliance/appliance.h"
#include "packet/inspect/inspect.h"
#include "packet/packet_module.h"
#include "schema/json.h"

#include <string.h>

struct hold_totals {
	uint64_t held, capacity, expired, invalid_returns, passed, dropped;
};

static uint64_t read_counter(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static uint64_t sum_verdicts(const struct inspector *engine, enum verdict verdict)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		total += read_counter(&engine->counters[i].verdicts[verdict]);
	return total;
}

/* With those that were held at first. */
static uint64_t sum_final(const struct inspector *engine, enum verdict verdict)
{
	uint64_t total = sum_verdicts(engine, verdict);

	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		total += read_counter(&engine->counters[i].late_verdicts[verdict]);
	return total;
}

static struct hold_totals add_up(void)
{
	const struct inspect_chain *chain = inspect_chain;
	struct hold_totals totals = {0};

	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		const struct inspect_worker *own = inspect_workers[i];

		if (!own)
			continue;
		totals.held += hold_count(own->holds);
		totals.capacity += hold_limit(own->holds);
		totals.passed += read_counter(&own->failures_passed);
		totals.dropped += read_counter(&own->failures_dropped);
		for (uint16_t j = 0; chain && j < chain->count; j++) {
			const struct inspector_counters *counters = &chain->engines[j]->counters[i];

			totals.expired += read_counter(&counters->expired);
			totals.invalid_returns += read_counter(&counters->invalid_returns);
		}
	}
	return totals;
}

static json_t *engine_to_json(struct inspector *engine)
{
	bool is_down = __atomic_load_n(&engine->is_down, __ATOMIC_RELAXED);
	json_t *own, *compiling = engine->ops->compile ? inspect_compiling() : NULL;
	const char *state = is_down ? "down" : compiling ? "loading" : "running";
	json_t *row = json_pack("{s:s, s:s, s:i, s:i, s:i}", "name", engine->ops->name, "state",
		state, "rules_loaded", 0, "rules_refused", 0, "flows", 0);
	uint64_t alerts = 0, packets = 0, expired = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		alerts += read_counter(&engine->counters[i].alerts);
		expired += read_counter(&engine->counters[i].expired);
	}
	for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
		packets += sum_verdicts(engine, verdict);
	set_number(row, "packets", packets);
	set_number(
		row, "passed", sum_final(engine, VERDICT_PASS) + sum_final(engine, VERDICT_DEEPER));
	set_number(row, "dropped", sum_final(engine, VERDICT_DROP));
	set_number(row, "replaced", sum_final(engine, VERDICT_REPLACE));
	set_number(row, "held", sum_verdicts(engine, VERDICT_HELD));
	set_number(row, "expired", expired);
	set_number(row, "alerts", alerts);
	if (compiling)
		json_object_set_new(row, "compiling", compiling);
	if (engine->ops->status) {
		own = engine->ops->status(engine);
		json_object_update(row, own);
		json_decref(own);
	}
	return row;
}

static const json_t *inspection(void)
{
	return json_object_get(packet_config(), "inspection");
}

static json_t *copy_of(const char *key)
{
	json_t *value = json_object_get(inspection(), key);

	return value ? json_incref(value) : json_string("");
}

static void answer_status(struct ipc_request *request, void *context)
{
	struct hold_totals totals = add_up();
	json_t *list = json_array(), *clients = appliance_clients(), *status;

	for (uint16_t i = 0; inspect_chain && i < inspect_chain->count; i++)
		json_array_append_new(list, engine_to_json(inspect_chain->engines[i]));
	status = json_pack("{s:o, s:O?, s:I, s:o, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I}}", "scope",
		copy_of("scope"), "on_failure",
		json_object_get(json_object_get(inspection(), "on-failure"), "default"),
		"deadline_ms", json_integer_value(json_object_get(inspection(), "deadline")),
		"engines", list, "hold", "held", (json_int_t)totals.held, "capacity",
		(json_int_t)totals.capacity, "expired", (json_int_t)totals.expired,
		"invalid_returns", (json_int_t)totals.invalid_returns, "failures", "passed",
		(json_int_t)totals.passed, "dropped", (json_int_t)totals.dropped);
	if (clients)
		json_object_set_new(status, "clients", clients);
	ipc_reply(request, status);
}

static void answer_rules(struct ipc_request *request, void *context)
{
	for (uint16_t i = 0; inspect_chain && i < inspect_chain->count; i++) {
		struct inspector *engine = inspect_chain->engines[i];

		if (!engine->ops->rules)
			continue;
		ipc_reply(request, engine->ops->rules(engine, ipc_request_params(request)));
		return;
	}
	ipc_reply(request,
		json_pack("{s:i, s:i, s:i, s:i, s:i, s:[], s:[]}", "loaded", 0, "refused", 0,
			"coverage_percent", 100, "files", 0, "disabled", 0, "refused_by_keyword",
			"rules"));
}

static void answer_flows(struct ipc_request *request, void *context)
{
	for (uint16_t i = 0; inspect_chain && i < inspect_chain->count; i++) {
		struct inspector *engine = inspect_chain->engines[i];

		if (!engine->ops->flows)
			continue;
		ipc_reply(request, engine->ops->flows(engine, ipc_request_params(request)));
		return;
	}
	ipc_reply(request, json_pack("{s:i, s:[]}", "total", 0, "flows"));
}

const struct ipc_method inspect_methods[] = {
	{"inspect.status", answer_status},
	{"inspect.rules", answer_rules},
	{"inspect.flows", answer_flows},
	{"inspect.reload", inspect_reload},
	{NULL, NULL},
};

/* ---- metrics ---- */

static void engine_metrics(struct inspector *engine, json_t *samples)
{
	static const char *const names[VERDICT_COUNT] = {
		[VERDICT_PASS] = "pass",
		[VERDICT_DROP] = "drop",
		[VERDICT_REPLACE] = "replace",
		[VERDICT_HELD] = "held",
		[VERDICT_DEEPER] = "deeper",
		[VERDICT_FAILED] = "failed",
	};
	uint64_t alerts = 0;

	for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
		packet_metric(samples, "inspect_verdicts_total", "counter",
			"Verdicts of the inspection engines.",
			json_pack("{s:s, s:s}", "engine", engine->ops->name, "verdict",
				names[verdict]),
			(double)sum_verdicts(engine, verdict));
	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		alerts += read_counter(&engine->counters[i].alerts);
	packet_metric(samples, "inspect_alerts_total", "counter", "Rules that matched.",
		json_pack("{s:s}", "engine", engine->ops->name), (double)alerts);
	packet_metric(samples, "inspect_engine_up", "gauge", "1 while the engine gives verdicts.",
		json_pack("{s:s}", "engine", engine->ops->name),
		__atomic_load_n(&engine->is_down, __ATOMIC_RELAXED) ? 0 : 1);
	if (engine->ops->metrics)
		engine->ops->metrics(engine, samples);
}

void inspect_metrics(json_t *samples)
{
	struct hold_totals totals = add_up();

	for (uint16_t i = 0; inspect_chain && i < inspect_chain->count; i++)
		engine_metrics(inspect_chain->engines[i], samples);
	packet_metric(samples, "inspect_held", "gauge", "Packets held for a verdict.", NULL,
		(double)totals.held);
	packet_metric(samples, "inspect_deadlines_total", "counter",
		"Held packets whose deadline passed.", NULL, (double)totals.expired);
	packet_metric(samples, "inspect_invalid_returns_total", "counter",
		"Packets that an inspector returned and was never given.", NULL,
		(double)totals.invalid_returns);
	packet_metric(samples, "inspect_failures_total", "counter",
		"Packets without a verdict, by what on-failure decided.",
		json_pack("{s:s}", "decision", "pass"), (double)totals.passed);
	packet_metric(samples, "inspect_failures_total", "counter",
		"Packets without a verdict, by what on-failure decided.",
		json_pack("{s:s}", "decision", "drop"), (double)totals.dropped);
}

/* ---- events ---- */

static void emit(const char *type, const char *key, uint64_t now, uint64_t *last,
	const struct hold_totals *totals)
{
	if (now > *last)
		packet_emit_event(json_pack("{s:s, s:I, s:I, s:I}", "type", type, key,
			(json_int_t)(now - *last), "passed_total", (json_int_t)totals->passed,
			"dropped_total", (json_int_t)totals->dropped));
	*last = now;
}

void inspect_report_failures(void)
{
	static uint64_t last_expired, last_failures, last_invalid;
	struct hold_totals totals = add_up();
	uint64_t failures = totals.passed + totals.dropped;

	emit("inspect_deadline", "packets", totals.expired, &last_expired, &totals);
	emit("inspect_failure", "packets", failures, &last_failures, &totals);
	emit("inspect_invalid_return", "packets", totals.invalid_returns, &last_invalid, &totals);
}
