/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of an owner: kept in order until they are acknowledged, whether somebody is connected or
 * not. KMP_EVENT_WINDOW of them are on their way at a time; what is not acknowledged for
 * KMP_REPEAT_MS is sent again from its first on. When the ring is full, events are lost and
 * counted, and OVERRUN takes their place in the order.
 */
#include "packet/ipsec/kmp_private.h"

#include <assert.h>
#include <string.h>

static struct kmp_queued_event *at(struct kmp_events *events, uint32_t index)
{
	return &events->ring[(events->head + index) % KMP_EVENTS_MAX];
}

void kmp_events_pump(struct kmp_owner *owner, uint64_t now_ns)
{
	struct kmp_events *events = &owner->events;
	struct kmp_queued_event *event;

	if (!owner->session)
		return;
	while (events->sent < events->count && events->sent < KMP_EVENT_WINDOW) {
		event = at(events, events->sent);
		if (!kmp_session_send(owner->session, event->message, event->size))
			return;
		if (events->sent < events->ever_sent)
			owner->session->server->stats.events_repeated++;
		else
			events->ever_sent++;
		events->sent++;
		events->sent_at_ns = now_ns;
	}
}

void kmp_events_restart(struct kmp_owner *owner, uint64_t now_ns)
{
	owner->events.sent = 0;
	kmp_events_pump(owner, now_ns);
}

void kmp_events_clear(struct kmp_owner *owner)
{
	struct kmp_events *events = &owner->events;

	events->head = events->count = events->sent = events->ever_sent = events->lost = 0;
}

/* An event at the end of the ring, to be filled in by the caller; there is room. */
static void begin(struct kmp_owner *owner, struct kmp_writer *writer, enum kmp_type type)
{
	struct kmp_events *events = &owner->events;

	kmp_begin(writer, at(events, events->count)->message, KMP_EVENT_SIZE, type,
		events->next_sequence, 0);
}

static void end(struct kmp_owner *owner, struct kmp_writer *writer)
{
	struct kmp_events *events = &owner->events;

	at(events, events->count)->size = (uint16_t)kmp_end(writer);
	events->count++;
	events->next_sequence++;
}

/* False: it is lost. What comes after a loss has to wait for OVERRUN, which says so first. */
static bool begin_or_lose(struct kmp_server *server, struct kmp_owner *owner,
	struct kmp_writer *writer, enum kmp_type type)
{
	if (owner->events.count == KMP_EVENTS_MAX || owner->events.lost > 0) {
		owner->events.lost++;
		server->stats.events_lost++;
		return false;
	}
	server->stats.events++;
	begin(owner, writer, type);
	return true;
}

static void tell_loss(struct kmp_owner *owner)
{
	struct kmp_writer writer;

	if (owner->events.lost == 0 || owner->events.count == KMP_EVENTS_MAX)
		return;
	begin(owner, &writer, KMP_OVERRUN);
	kmp_put_number(&writer, KMP_ATTRIBUTE_LOST, 4, owner->events.lost);
	end(owner, &writer);
	owner->events.lost = 0;
}

enum kmp_code kmp_events_acknowledge(struct kmp_owner *owner, uint32_t sequence, uint64_t now_ns)
{
	struct kmp_events *events = &owner->events;
	uint32_t first = events->next_sequence - events->count;
	uint32_t acknowledged = sequence - first + 1;

	/* That of an event which was acknowledged before, as of a repetition. */
	if ((int32_t)acknowledged <= 0)
		return KMP_OK;
	if (acknowledged > events->sent)
		return KMP_BAD_VALUE;
	events->head = (events->head + acknowledged) % KMP_EVENTS_MAX;
	events->count -= acknowledged;
	events->sent -= acknowledged;
	events->ever_sent -= acknowledged;
	events->sent_at_ns = now_ns;
	tell_loss(owner);
	kmp_events_pump(owner, now_ns);
	return KMP_OK;
}

uint64_t kmp_events_tick(struct kmp_owner *owner, uint64_t now_ns)
{
	struct kmp_events *events = &owner->events;
	uint64_t repeat_ns = KMP_REPEAT_MS * CLOCK_NS_PER_MS;

	if (!owner->session || events->sent == 0)
		return UINT64_MAX;
	if (events->sent_at_ns + repeat_ns <= now_ns) {
		events->sent = 0;
		events->sent_at_ns = now_ns;
		kmp_events_pump(owner, now_ns);
	}
	return events->sent_at_ns + repeat_ns;
}

/* ---- what is told ---- */

static_assert(sizeof(struct kmp_address) == sizeof(struct ip_address), "they are the same");

static struct kmp_address address_of(const struct ip_address *address)
{
	struct kmp_address out = {.version = address->version};

	memcpy(out.bytes, address->bytes, sizeof(out.bytes));
	return out;
}

static struct kmp_sa_name name_of(const struct sa_name *name)
{
	return (struct kmp_sa_name){
		.spi = name->spi, .destination = address_of(&name->destination)};
}

void kmp_server_expire(struct kmp_server *server, uint32_t number, const struct sa_name *name,
	bool is_hard, uint64_t now_ns)
{
	struct kmp_owner *owner = kmp_owner_find(server, number);
	struct kmp_sa_name its = name_of(name);
	struct kmp_writer writer;

	if (!owner || !begin_or_lose(server, owner, &writer, KMP_SA_EXPIRE))
		return;
	kmp_put_name(&writer, &its);
	kmp_put_number(&writer, KMP_ATTRIBUTE_IS_HARD, 1, is_hard);
	end(owner, &writer);
	kmp_events_pump(owner, now_ns);
}

void kmp_server_acquire(struct kmp_server *server, uint32_t number, uint32_t request,
	const struct sa_selector *packet, uint64_t now_ns)
{
	struct kmp_owner *owner = kmp_owner_find(server, number);
	struct kmp_selector selector = {
		.source_first = address_of(&packet->source_first),
		.source_last = address_of(&packet->source_last),
		.destination_first = address_of(&packet->destination_first),
		.destination_last = address_of(&packet->destination_last),
		.protocol = packet->protocol,
		.source_port_first = packet->source_port_first,
		.source_port_last = packet->source_port_last,
		.destination_port_first = packet->destination_port_first,
		.destination_port_last = packet->destination_port_last,
	};
	struct kmp_writer writer;

	if (!owner || !begin_or_lose(server, owner, &writer, KMP_SA_ACQUIRE))
		return;
	kmp_put_number(&writer, KMP_ATTRIBUTE_REQUEST, 4, request);
	kmp_put_selectors(&writer, &selector, 1);
	end(owner, &writer);
	kmp_events_pump(owner, now_ns);
}

void kmp_server_mapping(struct kmp_server *server, uint32_t number, const struct sa_name *name,
	const struct ip_address *source, uint16_t source_port, uint64_t now_ns)
{
	struct kmp_owner *owner = kmp_owner_find(server, number);
	struct kmp_sa_name its = name_of(name);
	struct kmp_address from = address_of(source);
	struct kmp_writer writer;

	if (!owner || !begin_or_lose(server, owner, &writer, KMP_MAPPING_CHANGED))
		return;
	kmp_put_name(&writer, &its);
	kmp_put_address(&writer, KMP_ATTRIBUTE_SOURCE, &from);
	kmp_put_number(&writer, KMP_ATTRIBUTE_SOURCE_PORT, 2, source_port);
	end(owner, &writer);
	kmp_events_pump(owner, now_ns);
}
