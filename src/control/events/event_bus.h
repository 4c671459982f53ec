/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event bus: takes events of the roles, completes them (timestamp, host, partition, seq), keeps
 * the last ones, and hands them to subscribers and to one sink (the EVE writer). Bounded in count
 * and in bytes. The loop's thread.
 */
#pragma once

#include "control/events/event_filter.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_BUS_RECENT_MAX       2048
#define EVENT_BUS_RECENT_SIZE_MAX  (8 * 1024 * 1024)
#define EVENT_BUS_SUBSCRIPTION_MAX 256
#define EVENT_BUS_PAGE_SIZE        (64 * 1024) /* of JSON text in one answer */
#define EVENT_SIZE_MAX             (48 * 1024) /* of JSON text; larger events are refused */

struct event_bus;
struct event_subscription;

struct event_bus_counts {
	uint64_t total;       /* published since the start */
	uint64_t lost;        /* what roles said that they had to drop */
	uint64_t invalid;     /* refused: no object, without a type, too large */
	size_t subscriptions; /* now */
};

enum event_weight {
	EVENT_NEWS, /* to be told whatever else happens: alerts, drops, what the daemon does */
	EVENT_BULK, /* records of traffic: they leave room for news */
	EVENT_WEIGHT_COUNT,
};

/* One line of text without its newline; borrowed. */
typedef void (*event_sink_fn)(
	void *context, enum event_weight weight, const char *line, size_t size);
/* event is borrowed. Subscribes and unsubscribes nothing. */
typedef void (*event_deliver_fn)(void *context, int64_t subscription_id, const json_t *event);

struct event_bus *event_bus_create(void); /* NULL: no memory */
void event_bus_destroy(struct event_bus *bus);

/* config is the running document, borrowed until it is set again. */
void event_bus_set_config(struct event_bus *bus, const json_t *config);
void event_bus_set_sink(struct event_bus *bus, event_sink_fn sink, void *context);

/* event is consumed. It needs a string "event_type" (or "type", which is renamed). */
void event_bus_publish(struct event_bus *bus, json_t *event);

/* The subscription's id in *out. -ENOSPC: too many. */
int event_bus_subscribe(struct event_bus *bus, const json_t *params, event_deliver_fn deliver,
	void *context, int64_t *out);
/* Only subscriptions with the same context: -ENOENT otherwise. */
int event_bus_unsubscribe(struct event_bus *bus, int64_t id, void *context);
/* All of context's. */
void event_bus_forget(struct event_bus *bus, void *context);

/* The answer of events.recent for its checked params; new reference. */
json_t *event_bus_recent(struct event_bus *bus, const json_t *params);
void event_bus_count(const struct event_bus *bus, struct event_bus_counts *out);
