/* SPDX-License-Identifier: BSD-3-Clause */
/* The workers' part of the engine appliance: out, with a handle; back in, with distrust. */
#include "base/clock.h"
#include "packet/engine/pool.h"
#include "packet/inspect/appliance/appliance.h"
#include "packet/inspect/inspect.h"
#include "packet/inspect/same_bytes.h"
#include "packet/port/offload.h"

#define BURST 32

static void count(uint64_t *counter)
{
	/* Relaxed: a statistic; partner is appliance.c. */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static enum verdict fail(struct rte_mbuf *packet, enum drop_reason reason)
{
	drop_mark(packet, reason);
	return VERDICT_FAILED;
}

static uint32_t room(const struct appliance_worker *own)
{
	return APPLIANCE_READY_MAX - (own->ready_head - own->ready_tail);
}

static void make_ready(struct appliance_worker *own, struct rte_mbuf *packet, enum verdict verdict)
{
	uint32_t at = own->ready_head++ % APPLIANCE_READY_MAX;

	own->ready[at].packet = packet;
	own->ready[at].verdict = verdict;
}

/* ---- back ---- */

/* Who sent the packet and for whom it is, no inspector has to decide. */
static bool is_for_same(const struct rte_mbuf *held, const struct rte_mbuf *frame, uint32_t network)
{
	return network == packet_metadata_const(held)->vlan && frame->data_len >= ETH_HEADER_SIZE
		&& memcmp(rte_pktmbuf_mtod(held, const uint8_t *),
			   rte_pktmbuf_mtod(frame, const uint8_t *), ETH_HEADER_SIZE)
		== 0;
}

static enum verdict settle_pass(struct appliance *appliance, uint16_t worker,
	struct rte_mbuf *frame, const struct geneve *geneve, struct rte_mbuf **packet)
{
	struct rte_mbuf *held = *packet;

	if (!message_strip(frame, geneve) || !is_for_same(held, frame, geneve->network)) {
		count(&appliance->base.counters[worker].invalid_returns);
		drop_mark(held, DROP_inspect_invalid_return);
		rte_pktmbuf_free(frame);
		return VERDICT_DROP;
	}
	if (same_bytes(held, 0, frame, 0)) {
		rte_pktmbuf_free(frame);
		return VERDICT_DEEPER;
	}
	frame->ol_flags = 0;
	*packet_metadata(frame) = *packet_metadata(held);
	rte_pktmbuf_free(held);
	*packet = frame;
	return VERDICT_REPLACE;
}

static void take_answer(struct appliance *appliance, const struct message *message)
{
	if (message->handle != __atomic_load_n(&appliance->nonce, __ATOMIC_RELAXED))
		return; /* of an earlier probe: too late to tell anything */
	__atomic_store_n(&appliance->round_trip_ns, clock_monotonic_ns() - appliance->sent_ns,
		__ATOMIC_RELAXED);
	__atomic_store_n(&appliance->is_ready, message->flags & MESSAGE_IS_READY, __ATOMIC_RELAXED);
	/* Release; pairs with was_answered() in appliance.c. */
	__atomic_store_n(&appliance->answered_nonce, message->handle, __ATOMIC_RELEASE);
}

/* True: it is from the other end, whole and unchanged. */
static bool is_authentic(const struct link_end *end, const struct rte_mbuf *frame,
	struct geneve *geneve, struct message *message)
{
	const struct link_key *key;

	if (geneve_parse(rte_pktmbuf_mtod(frame, const uint8_t *), frame->data_len, frame->pkt_len,
		    MESSAGE_OPTION_CLASS, MESSAGE_OPTION_TYPE, geneve)
			!= GENEVE_FINE
		|| link_find_peer(end, &geneve->source) < 0
		|| !message_parse(geneve->option, geneve->option_size, message)
		|| message_is_for_appliance(message->kind))
		return false;
	key = link_find_key(end, message->key);
	return key
		&& message_is_authentic(key, geneve->option, geneve->network, frame,
			geneve->payload_offset, geneve->payload_end - geneve->payload_offset);
}

bool appliance_take_return(struct appliance *appliance, uint16_t worker, const struct link_end *end,
	struct rte_mbuf *frame, struct rte_mbuf **packet, enum verdict *verdict)
{
	struct appliance_worker *own = appliance->workers[worker];
	struct message message;
	struct geneve geneve;

	count(&own->returned);
	if (!is_authentic(end, frame, &geneve, &message)) {
		count(&own->forged);
		count(&appliance->base.counters[worker].invalid_returns);
		rte_pktmbuf_free(frame);
		return false;
	}
	if (message.kind == MESSAGE_ANSWER) {
		if (worker == 0)
			take_answer(appliance, &message);
		rte_pktmbuf_free(frame);
		return false;
	}
	*packet = hold_take(inspect_workers[worker]->holds, message.handle, appliance->base.owner);
	if (!*packet) {
		count(&appliance->base.counters[worker].invalid_returns);
		rte_pktmbuf_free(frame);
		return false;
	}
	if (message.kind == MESSAGE_PASS) {
		*verdict = settle_pass(appliance, worker, frame, &geneve, packet);
		return true;
	}
	rte_pktmbuf_free(frame);
	if (message.kind == MESSAGE_DROP) {
		count(&own->refused);
		drop_mark(*packet, DROP_inspect_remote);
		*verdict = VERDICT_DROP;
	} else {
		count(&own->failed);
		*verdict = fail(*packet, DROP_inspect_down);
	}
	return true;
}

static void drain(struct appliance *appliance, uint16_t worker, const struct link_end *end)
{
	struct appliance_worker *own = appliance->workers[worker];
	struct rte_mbuf *frames[BURST], *packet;
	enum verdict verdict;
	unsigned int received;

	do {
		if (room(own) < BURST)
			return;
		received = rte_ring_sc_dequeue_burst(
			appliance_returns[worker], (void **)frames, BURST, NULL);
		for (unsigned int i = 0; i < received; i++)
			if (appliance_take_return(
				    appliance, worker, end, frames[i], &packet, &verdict))
				make_ready(own, packet, verdict);
	} while (received == BURST);
}

/* Nobody is there: nothing of what it has will come back in time. */
static void release_held(struct appliance *appliance, uint16_t worker)
{
	struct appliance_worker *own = appliance->workers[worker];
	struct rte_mbuf *packets[BURST];
	uint16_t released;

	do {
		if (room(own) < BURST)
			return;
		released = hold_release(
			inspect_workers[worker]->holds, appliance->base.owner, packets, BURST);
		for (uint16_t i = 0; i < released; i++)
			make_ready(own, packets[i], fail(packets[i], DROP_inspect_down));
	} while (released == BURST);
	own->was_down = true;
}

/* ---- probes; worker 0 alone ---- */

static void ask_address(const struct link_end *end, const struct port *port)
{
	struct rte_mbuf *question = rte_pktmbuf_alloc(packet_pool);

	if (!question)
		return;
	if (!link_write_question(question, end, &end->peers[0], port->mac)) {
		rte_pktmbuf_free(question);
		return;
	}
	*packet_metadata(question) = (struct packet_metadata){
		.origin = {.ingress_port = PORT_NONE}, .egress_port = port->index};
	inspect_inject(0, question, INSPECT_INJECT_TX);
}

static void send_probe(struct appliance *appliance, struct link_end *end)
{
	const struct port *port = link_port(end);
	const struct message message = {.kind = MESSAGE_PROBE,
		.key = link_keys(end)->keys[0].id,
		.handle = __atomic_load_n(&appliance->nonce, __ATOMIC_RELAXED)};
	struct rte_mbuf *probe;
	uint8_t mac[6];

	if (!port)
		return;
	/* Asked again as long as nobody answers: it may be another machine by now. */
	if (!end->peers[0].is_static
		&& (!link_peer_mac(&end->peers[0], mac)
			|| __atomic_load_n(&appliance->base.is_down, __ATOMIC_RELAXED)))
		ask_address(end, port);
	probe = rte_pktmbuf_alloc(packet_pool);
	if (!probe)
		return;
	if (!message_seal(
		    probe, &message, 0, 0, end, &end->peers[0], &link_keys(end)->keys[0], port)) {
		rte_pktmbuf_free(probe);
		return;
	}
	appliance->sent_ns = clock_monotonic_ns();
	inspect_inject(0, probe, INSPECT_INJECT_TX);
}

static void probe_when_due(struct appliance *appliance, struct link_end *end)
{
	/* Acquire: nonce was written before; pairs with on_watch(). */
	if (!__atomic_load_n(&appliance->is_due, __ATOMIC_ACQUIRE))
		return;
	send_probe(appliance, end);
	__atomic_store_n(&appliance->is_due, false, __ATOMIC_RELEASE);
}

uint16_t appliance_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max)
{
	struct appliance *appliance = (struct appliance *)inspector;
	struct appliance_worker *own = appliance->workers[worker];
	struct link_end *end = link_end_of(publish_read(&link_table), LINK_CLIENT);
	uint16_t collected = 0;

	/* One that is being replaced leaves what returns to its successor. */
	if (end && appliance == __atomic_load_n(&appliance_current, __ATOMIC_RELAXED)) {
		if (worker == 0)
			probe_when_due(appliance, end);
		drain(appliance, worker, end);
	}
	if (!__atomic_load_n(&inspector->is_down, __ATOMIC_RELAXED))
		own->was_down = false;
	else if (!own->was_down)
		release_held(appliance, worker);
	while (collected < max && own->ready_tail != own->ready_head) {
		uint32_t at = own->ready_tail++ % APPLIANCE_READY_MAX;

		packets[collected] = own->ready[at].packet;
		verdicts[collected++] = own->ready[at].verdict;
	}
	return collected;
}

/* ---- out ---- */

struct way {
	const struct link_end *end; /* NULL: there is none */
	const struct port *port;
	const struct link_key *key;
	uint32_t frame_max;
	uint64_t now_ns;
};

static struct rte_mbuf *make_copy(
	struct rte_mbuf *packet, uint16_t worker, uint64_t handle, const struct way *way)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	const struct message message = {.kind = MESSAGE_REQUEST,
		.key = way->key->id,
		.worker = (uint8_t)worker,
		.flags = metadata->origin.kind,
		.handle = handle,
		.ingress_port = metadata->origin.ingress_port};
	struct rte_mbuf *copy = rte_pktmbuf_copy(packet, packet_pool, 0, UINT32_MAX);

	if (copy
		&& !message_seal(copy, &message, metadata->vlan,
			message_flow_hash(packet, metadata->vlan), way->end, &way->end->peers[0],
			way->key, way->port)) {
		rte_pktmbuf_free(copy);
		copy = NULL;
	}
	return copy;
}

/* A finished packet: held, and its copy sent. On failure it is still the caller's. */
static enum verdict send_one(struct appliance *appliance, uint16_t worker, struct rte_mbuf *packet,
	const struct way *way)
{
	struct inspect_worker *state = inspect_workers[worker];
	struct rte_mbuf *copy;
	uint64_t handle;

	if (!way->port)
		return fail(packet, DROP_inspect_down);
	if (packet->pkt_len > way->frame_max) {
		count(&appliance->workers[worker]->too_large);
		return fail(packet, DROP_inspect_too_large);
	}
	if (state->injection_count == INSPECT_INJECT_MAX
		|| hold_count_of(state->holds, appliance->base.owner)
			>= __atomic_load_n(&appliance->in_flight_max, __ATOMIC_RELAXED)
		|| inspect_hold(worker, &appliance->base, packet, way->now_ns, &handle) < 0)
		return fail(packet, DROP_inspect_overload);
	copy = make_copy(packet, worker, handle, way);
	if (!copy) {
		hold_take(state->holds, handle, appliance->base.owner);
		return fail(packet, DROP_inspect_overload);
	}
	inspect_inject(worker, copy, INSPECT_INJECT_TX);
	count(&appliance->workers[worker]->sent);
	return VERDICT_HELD;
}

/* Cut, and with finished checksums: an appliance sees packets as they are on a wire. */
static enum verdict send_finished(struct appliance *appliance, uint16_t worker,
	struct rte_mbuf **packet, const struct way *way)
{
	struct appliance_worker *own = appliance->workers[worker];
	struct rte_mbuf *parts[OFFLOAD_SEGMENTS_MAX];
	int part_count;

	if (!offload_is_super_frame(*packet)) {
		if (offload_finish_checksum(packet, packet_pool) < 0)
			return fail(*packet, DROP_inspect_overload);
		return send_one(appliance, worker, *packet, way);
	}
	if (room(own) < OFFLOAD_SEGMENTS_MAX)
		return fail(*packet, DROP_inspect_overload);
	part_count = offload_segment(*packet, packet_pool, parts, OFFLOAD_SEGMENTS_MAX);
	if (part_count < 0)
		return fail(*packet, DROP_inspect_overload);
	rte_pktmbuf_free(*packet);
	for (int i = 0; i < part_count; i++)
		if (send_one(appliance, worker, parts[i], way) != VERDICT_HELD)
			make_ready(own, parts[i], VERDICT_FAILED);
	return VERDICT_HELD;
}

void appliance_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t packet_count, enum verdict *verdicts)
{
	struct appliance *appliance = (struct appliance *)inspector;
	struct way way = {.end = link_end_of(publish_read(&link_table), LINK_CLIENT),
		.now_ns = clock_monotonic_ns()};

	if (way.end)
		way.port = link_port(way.end);
	if (way.port) {
		way.key = &link_keys(way.end)->keys[0];
		way.frame_max = message_frame_max(way.end, way.port);
	}
	for (uint16_t i = 0; i < packet_count; i++)
		verdicts[i] = offload_is_needed(packets[i])
			? send_finished(appliance, worker, &packets[i], &way)
			: send_one(appliance, worker, packets[i], &way);
}
