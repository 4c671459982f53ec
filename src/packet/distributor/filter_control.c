/* SPDX-License-Identifier: BSD-3-Clause */
/* The common filters as a module of the packet role, and what is shown of them. Control thread. */
#include "packet/distributor/filter.h"
#include "packet/packet_module.h"
#include "schema/api_schema.h"

#include <stdlib.h>

static struct filter_set *prepared;

static void filter_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	struct error error;
	int status = filter_set_create(config, filter_set, &prepared, &error);

	done(context, status < 0 ? &error : NULL);
}

static void filter_commit(void)
{
	publish_swap(&filter_set, prepared, filter_set_destroy);
	prepared = NULL;
}

static void filter_abort(void)
{
	filter_set_destroy(prepared);
	prepared = NULL;
}

/* The workers have ended. */
static void filter_stop(void)
{
	filter_set_destroy(filter_set);
	filter_set = NULL;
}

/* ---- what is shown ---- */

static uint64_t hits_of(uint16_t slot)
{
	uint64_t sum = 0;

	for (int worker = 0; worker < WORKERS_MAX; worker++)
		/* Relaxed; pairs with filter_check(). */
		sum += __atomic_load_n(&filter_hits[worker][slot], __ATOMIC_RELAXED);
	return sum;
}

static json_t *list_of(const json_t *row, const char *key)
{
	json_t *list = json_object_get(row, key);

	return list ? json_incref(list) : json_array();
}

static json_t *describe(const struct filter_rule *rule)
{
	const json_t *row = rule->row;

	return json_pack("{s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:I}", "name", rule->name,
		"order", json_integer_value(json_object_get(row, "order")), "action",
		json_string_value(json_object_get(row, "action")), "protocol",
		json_string_value(json_object_get(row, "protocol")), "source",
		list_of(row, "source"), "destination", list_of(row, "destination"), "source_ports",
		list_of(row, "source-ports"), "destination_ports",
		list_of(row, "destination-ports"), "hits", (json_int_t)hits_of(rule->slot));
}

static void list_filters(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *after = api_page_after(params);
	size_t start = after ? strtoull(after, NULL, 10) : 0, limit = api_page_limit(params);
	size_t count = filter_set ? filter_set->count : 0;
	json_t *rules = json_array(), *answer;

	for (size_t i = start; i < count && i < start + limit; i++)
		json_array_append_new(rules, describe(&filter_set->rules[i]));
	answer = json_pack("{s:s, s:I, s:o}", "default",
		!filter_set || filter_set->accepts ? "accept" : "drop", "default_hits",
		(json_int_t)hits_of(FILTER_SLOT_DEFAULT), "rules", rules);
	if (start + limit < count)
		json_object_set_new(answer, "next", json_sprintf("%zu", start + limit));
	ipc_reply(request, answer);
}

static void filter_metrics(json_t *samples)
{
	for (uint16_t i = 0; filter_set && i < filter_set->count; i++)
		packet_metric(samples, "filter_hits", "counter",
			"Packets that a rule of the common filters was about.",
			json_pack("{s:s, s:s}", "rule", filter_set->rules[i].name, "action",
				filter_set->rules[i].accepts ? "accept" : "drop"),
			(double)hits_of(filter_set->rules[i].slot));
}

static const struct ipc_method filter_methods[] = {
	{"filters.list", list_filters},
	{NULL, NULL},
};

const struct packet_module filter_module = {
	.name = "filter",
	.stop = filter_stop,
	.prepare = filter_prepare,
	.commit = filter_commit,
	.abort = filter_abort,
	.methods = filter_methods,
	.metrics = filter_metrics,
};
