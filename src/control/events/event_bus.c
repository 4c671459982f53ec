/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/events/event_bus.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "schema/api_schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recent_event {
	json_t *event;
	size_t size; /* bytes of its text */
	uint64_t sequence;
};

struct event_subscription {
	struct list node;
	int64_t id;
	struct event_filter filter;
	event_deliver_fn deliver;
	void *context;
};

/* The last events of one weight: the n-th is at n % EVENT_BUS_RECENT_MAX; oldest..next-1 are there.
 */
struct recent {
	struct recent_event events[EVENT_BUS_RECENT_MAX];
	uint64_t oldest, next;
	size_t size;
};

struct event_bus {
	struct recent recent[EVENT_WEIGHT_COUNT]; /* so that bulk takes no other's place */
	uint64_t next;                            /* sequence number */
	struct list subscriptions;
	size_t subscription_count;
	int64_t next_subscription_id;
	event_sink_fn sink;
	void *sink_context;
	const json_t *config;
	uint64_t lost, invalid;
};

struct event_bus *event_bus_create(void)
{
	struct event_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	list_init(&bus->subscriptions);
	bus->next = 1;
	bus->next_subscription_id = 1;
	return bus;
}

static void subscription_destroy(struct event_bus *bus, struct event_subscription *subscription)
{
	list_remove(&subscription->node);
	bus->subscription_count--;
	event_filter_destroy(&subscription->filter);
	free(subscription);
}

static void recent_remove_oldest(struct recent *recent)
{
	struct recent_event *slot = &recent->events[recent->oldest++ % EVENT_BUS_RECENT_MAX];

	recent->size -= slot->size;
	json_decref(slot->event);
	slot->event = NULL;
}

void event_bus_destroy(struct event_bus *bus)
{
	if (!bus)
		return;
	list_foreach_safe (node, &bus->subscriptions)
		subscription_destroy(bus, list_entry(node, struct event_subscription, node));
	for (int weight = 0; weight < EVENT_WEIGHT_COUNT; weight++)
		while (bus->recent[weight].oldest != bus->recent[weight].next)
			recent_remove_oldest(&bus->recent[weight]);
	free(bus);
}

void event_bus_set_config(struct event_bus *bus, const json_t *config)
{
	bus->config = config;
}

void event_bus_set_sink(struct event_bus *bus, event_sink_fn sink, void *context)
{
	bus->sink = sink;
	bus->sink_context = context;
}

/* "web.eth0" is of partition "web" when the configuration has that one. */
static json_t *partition_of_port(const struct event_bus *bus, const json_t *event)
{
	const char *port = json_string_value(json_object_get(event, "port"));
	const char *dot = port ? strchr(port, '.') : NULL;
	char name[64];

	if (!dot || (size_t)(dot - port) >= sizeof(name))
		return NULL;
	memcpy(name, port, (size_t)(dot - port));
	name[dot - port] = '\0';
	if (!json_object_get(json_object_get(bus->config, "partitions"), name))
		return NULL;
	return json_string(name);
}

/* The completed event, in the order in which people read it. Consumes raw. */
static json_t *complete(struct event_bus *bus, json_t *raw, const char *type)
{
	char now[CLOCK_TEXT_SIZE];
	json_t *event = json_object(), *timestamp = json_object_get(raw, "timestamp");
	json_t *host = json_object_get(bus->config, "host");

	if (json_is_string(timestamp)) {
		json_object_set(event, "timestamp", timestamp);
	} else {
		clock_format(clock_wall_ns(), now);
		json_object_set_new(event, "timestamp", json_string(now));
	}
	json_object_set_new(event, "event_type", json_string(type));
	json_object_set_new(event, "seq", json_integer((json_int_t)bus->next));
	if (host)
		json_object_set(event, "host", host);
	if (!json_object_get(raw, "partition"))
		json_object_set_new(event, "partition", partition_of_port(bus, raw));
	json_object_del(raw, "type");
	json_object_update_missing(event, raw);
	json_decref(raw);
	return event;
}

/* Records of all that happens, good or bad: a flood of connections is a flood of them. */
static enum event_weight weight_of(const char *type)
{
	static const char *const bulk[] = {"flow", "stats", "anomaly", "http", "dns", "tls", "ssh",
		"smtp", "ftp", "smb", "fileinfo"};

	for (size_t i = 0; i < sizeof(bulk) / sizeof(bulk[0]); i++)
		if (strcmp(bulk[i], type) == 0)
			return EVENT_BULK;
	return EVENT_NEWS;
}

/* Takes event. */
static void remember(struct event_bus *bus, enum event_weight weight, json_t *event, size_t size)
{
	static const size_t size_max[EVENT_WEIGHT_COUNT] = {
		[EVENT_NEWS] = EVENT_BUS_RECENT_SIZE_MAX / 4 * 3,
		[EVENT_BULK] = EVENT_BUS_RECENT_SIZE_MAX / 4,
	};
	struct recent *recent = &bus->recent[weight];
	struct recent_event *slot;

	while (recent->oldest != recent->next
		&& (recent->next - recent->oldest >= EVENT_BUS_RECENT_MAX
			|| recent->size + size > size_max[weight]))
		recent_remove_oldest(recent);
	slot = &recent->events[recent->next++ % EVENT_BUS_RECENT_MAX];
	*slot = (struct recent_event){.event = event, .size = size, .sequence = bus->next++};
	recent->size += size;
}

static void fan_out(struct event_bus *bus, const json_t *event)
{
	list_foreach (node, &bus->subscriptions) {
		struct event_subscription *subscription =
			list_entry(node, struct event_subscription, node);

		if (event_filter_matches(&subscription->filter, event))
			subscription->deliver(subscription->context, subscription->id, event);
	}
}

void event_bus_publish(struct event_bus *bus, json_t *event)
{
	const char *type = json_string_value(json_object_get(event, "event_type"));
	enum event_weight weight;
	char *line;
	size_t size;

	if (!type)
		type = json_string_value(json_object_get(event, "type"));
	if (!type) {
		bus->invalid++;
		log_warning("event_without_type");
		json_decref(event);
		return;
	}
	if (strcmp(type, "events_lost") == 0)
		bus->lost += (uint64_t)json_integer_value(json_object_get(event, "count"));
	weight = weight_of(type);
	event = complete(bus, event, type);
	line = json_dumps(event, JSON_COMPACT);
	size = line ? strlen(line) : 0;
	if (!line || size > EVENT_SIZE_MAX) {
		bus->invalid++;
		log_warning("event_refused", log_uint("size", size));
		free(line);
		json_decref(event);
		return;
	}
	if (bus->sink)
		bus->sink(bus->sink_context, weight, line, size);
	free(line);
	remember(bus, weight, event, size);
	fan_out(bus, event);
}

int event_bus_subscribe(struct event_bus *bus, const json_t *params, event_deliver_fn deliver,
	void *context, int64_t *out)
{
	struct event_subscription *subscription;

	if (bus->subscription_count >= EVENT_BUS_SUBSCRIPTION_MAX)
		return -ENOSPC;
	subscription = calloc(1, sizeof(*subscription));
	if (!subscription)
		return -ENOMEM;
	subscription->id = bus->next_subscription_id++;
	event_filter_init(&subscription->filter, params);
	subscription->deliver = deliver;
	subscription->context = context;
	list_append(&bus->subscriptions, &subscription->node);
	bus->subscription_count++;
	*out = subscription->id;
	return 0;
}

int event_bus_unsubscribe(struct event_bus *bus, int64_t id, void *context)
{
	list_foreach (node, &bus->subscriptions) {
		struct event_subscription *subscription =
			list_entry(node, struct event_subscription, node);

		if (subscription->id == id && subscription->context == context) {
			subscription_destroy(bus, subscription);
			return 0;
		}
	}
	return -ENOENT;
}

void event_bus_forget(struct event_bus *bus, void *context)
{
	list_foreach_safe (node, &bus->subscriptions) {
		struct event_subscription *subscription =
			list_entry(node, struct event_subscription, node);

		if (subscription->context == context)
			subscription_destroy(bus, subscription);
	}
}

/* The first event from sequence on; NULL: none. */
static const struct recent_event *find_recent(const struct event_bus *bus, uint64_t sequence)
{
	const struct recent_event *first = NULL;

	for (int weight = 0; weight < EVENT_WEIGHT_COUNT; weight++) {
		const struct recent *recent = &bus->recent[weight];
		uint64_t low = recent->oldest, high = recent->next;

		while (low < high) {
			uint64_t middle = low + (high - low) / 2;

			if (recent->events[middle % EVENT_BUS_RECENT_MAX].sequence < sequence)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < recent->next
			&& (!first
				|| recent->events[low % EVENT_BUS_RECENT_MAX].sequence
					< first->sequence))
			first = &recent->events[low % EVENT_BUS_RECENT_MAX];
	}
	return first;
}

json_t *event_bus_recent(struct event_bus *bus, const json_t *params)
{
	const char *after = api_page_after(params);
	uint64_t sequence = after ? strtoull(after, NULL, 10) + 1 : 0;
	const struct recent_event *slot;
	size_t limit = api_page_limit(params), size = 0;
	json_t *events = json_array(), *result = json_pack("{s:o}", "events", events);
	struct event_filter filter;
	char next[24];

	event_filter_init(&filter, params);
	for (; (slot = find_recent(bus, sequence)); sequence = slot->sequence + 1) {
		if (!event_filter_matches(&filter, slot->event))
			continue;
		if (json_array_size(events) == limit
			|| (size + slot->size > EVENT_BUS_PAGE_SIZE && size > 0))
			break;
		json_array_append(events, slot->event);
		size += slot->size;
	}
	if (slot) {
		snprintf(next, sizeof(next), "%llu", (unsigned long long)(slot->sequence - 1));
		json_object_set_new(result, "next", json_string(next));
	}
	event_filter_destroy(&filter);
	return result;
}

void event_bus_count(const struct event_bus *bus, struct event_bus_counts *out)
{
	*out = (struct event_bus_counts){.total = bus->next - 1,
		.lost = bus->lost,
		.invalid = bus->invalid,
		.subscriptions = bus->subscription_count};
}
