/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples for OpenMetrics: control's own, and those of the other roles, page by page. */
#include "base/log.h"
#include "control/control.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MAX       400
#define PAGE_SIZE       250 /* samples; with long names and labels still within a message */
#define PAGE_TIMEOUT_MS 3000

struct collection {
	struct control *control; /* NULL: abandoned, nobody waits any more */
	struct metrics_server *server;
	json_t *samples;
	unsigned int pages;
	enum control_peer peer; /* that is asked */
};

static void add(
	json_t *samples, const char *name, const char *type, const char *help, uint64_t value)
{
	json_array_append_new(samples,
		json_pack("{s:s, s:s, s:s, s:I}", "name", name, "type", type, "help", help, "value",
			(json_int_t)value));
}

static void add_own(struct control *control, json_t *samples)
{
	struct event_bus_counts events;
	struct eve_counts eve = {0};
	struct api_server_counts api = {0};

	event_bus_count(control->bus, &events);
	if (control->eve)
		eve_writer_count(control->eve, &eve);
	if (control->api)
		api_server_count(control->api, &api);
	json_array_append_new(samples,
		json_pack("{s:s, s:s, s:s, s:{s:s}, s:i}", "name", "build_info", "type", "gauge",
			"help", "version of the daemon", "labels", "version", BULKHEAD_VERSION,
			"value", 1));
	add(samples, "uptime_seconds", "gauge", "seconds since the control role started",
		(uv_now(control->role->loop) - control->started_ms) / 1000);
	add(samples, "config_generation", "gauge", "counts configurations applied",
		(uint64_t)control->store.generation);
	add(samples, "packet_role_up", "gauge", "1: the packet role runs with this configuration",
		control->store.roles[PEER_PACKET].is_configured);
	add(samples, "channel_role_up", "gauge", "1: the channel role runs with this configuration",
		control->store.roles[PEER_CHANNEL].is_configured);
	add(samples, "events", "counter", "events published", events.total);
	add(samples, "events_refused", "counter", "events without type or too large",
		events.invalid);
	add(samples, "event_subscriptions", "gauge", "subscriptions to events",
		events.subscriptions);
	add(samples, "eve_lines", "counter", "lines written to the EVE sink", eve.written);
	add(samples, "eve_errors", "counter", "lines lost for the EVE sink", eve.errors);
	add(samples, "api_clients", "gauge", "connections to the API", api.clients);
	add(samples, "api_calls", "counter", "calls of clients", api.calls);
	add(samples, "api_refused", "counter", "calls refused before they were made", api.refused);
	add(samples, "api_dropped_clients", "counter", "clients closed since they did not read",
		api.dropped);
	add(samples, "api_turned_away", "counter", "clients refused because of the limits",
		api.turned_away);
}

static void collection_end(struct collection *collection)
{
	struct control *control = collection->control;

	if (!control) {
		json_decref(collection->samples);
	} else {
		control->collection = NULL;
		add_own(control, collection->samples);
		metrics_server_collected(collection->server, collection->samples);
	}
	free(collection);
}

static void ask_page(struct collection *collection, const char *after);
static void ask_next_peer(struct collection *collection);

static void on_page(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct collection *collection = context;
	const json_t *samples = json_object_get(result, "samples");
	const char *next = json_string_value(json_object_get(result, "next"));

	if (error)
		log_warning("metrics_incomplete", log_str("reason", control_error_text(error)));
	if (samples)
		json_array_extend(collection->samples, (json_t *)samples);
	if (next && collection->control && ++collection->pages < PAGES_MAX)
		ask_page(collection, next);
	else
		ask_next_peer(collection);
}

static void ask_next_peer(struct collection *collection)
{
	if (collection->control && ++collection->peer < PEER_COUNT)
		ask_page(collection, NULL);
	else
		collection_end(collection);
}

static void ask_page(struct collection *collection, const char *after)
{
	struct ipc_channel *channel = control_channel(collection->control, collection->peer);
	json_t *params = json_pack("{s:i}", "limit", PAGE_SIZE);
	char method[64];

	if (after)
		json_object_set_new(params, "after", json_string(after));
	if (!channel) {
		json_decref(params);
		ask_next_peer(collection);
		return;
	}
	snprintf(method, sizeof(method), "%s.metrics", control_peer_names[collection->peer]);
	if (ipc_call(channel, method, params, NULL, 0, PAGE_TIMEOUT_MS, on_page, collection) < 0)
		ask_next_peer(collection);
}

void control_collect_metrics(void *context, struct metrics_server *server)
{
	struct control *control = context;
	struct collection *collection = calloc(1, sizeof(*collection));

	if (!collection) {
		metrics_server_collected(server, NULL);
		return;
	}
	*collection =
		(struct collection){.control = control, .server = server, .samples = json_array()};
	control->collection = collection;
	ask_page(collection, NULL);
}

void control_metrics_abandon(struct control *control)
{
	if (!control->collection)
		return;
	control->collection->control = NULL;
	control->collection = NULL;
}
