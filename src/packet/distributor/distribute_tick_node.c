/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * distribute_tick: a source node. What is to be done without a packet: connections age, those of a
 * dead target are reset or moved, packets that waited for a neighbour go on, VIPAs are announced,
 * targets' hardware addresses are asked for, and the control thread gets its look at the connection
 * table. A bounded part of it in each walk. Workers.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/health.h"
#include "packet/distributor/neighbour.h"
#include "packet/distributor/standby.h"
#include "packet/engine/drop_count.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/link/resolve.h"
#include "packet/port/port.h"

#include <netinet/in.h>
#include <rte_cycles.h>

#define EXPIRE_MAX    64   /* connections in one walk */
#define SWEEP_MAX     1024 /* entries looked at */
#define RESETS_MAX    32   /* of them reset */
#define PAGE_LOOK_MAX 4096 /* entries looked at for the control thread */
#define ASK_TICKS     (1000 / CONNECTION_TICK_MS)
#define ASK_KNOWN     30 /* seconds between questions for what is known */

enum distribute_tick_edge {
	DISTRIBUTE_TICK_EDGE_CLIENT, /* resets */
	DISTRIBUTE_TICK_EDGE_WAITED,
	DISTRIBUTE_TICK_EDGE_TX, /* questions, announcements */
	DISTRIBUTE_TICK_EDGE_COUNT,
};

/* One walk. */
struct tick {
	struct rte_graph *graph;
	struct rte_node *node;
	struct vipa_table *table;
	struct distributor_worker *own;
	uint16_t sent;
};

uint64_t distribute_announce[VIPAS_MAX / 64];

static void emit(struct tick *tick, rte_edge_t edge, struct rte_mbuf *packet)
{
	node_forward(tick->graph, tick->node, edge, packet);
	tick->sent++;
}

/* ---- connections of dead targets ---- */

static void reset(struct tick *tick, const struct connection *connection)
{
	const struct vipa *vipa = &tick->table->vipas[connection->key.vipa];
	struct rte_mbuf *packet;

	/* A client that has not got an answer yet asks again, and finds another target. */
	if (connection->key.protocol != IPPROTO_TCP || connection->state != CONNECTION_ESTABLISHED
		|| connection->key.vipa_generation != vipa->generation || !vipa->name[0])
		return;
	packet = message_reset(vipa, connection);
	if (!packet)
		return;
	*packet_metadata(packet) = (struct packet_metadata){.vlan = vipa->vlan,
		.origin = {.kind = ORIGIN_TARGET, .vlan = vipa->vlan, .ingress_port = PORT_NONE},
		.service = {.vipa = connection->key.vipa,
			.peer = connection->peer,
			.target = connection->target,
			.is_secure = connection->flags & CONNECTION_IS_SECURE}};
	emit(tick, DISTRIBUTE_TICK_EDGE_CLIENT, packet);
}

static bool has_vipa(const struct vipa_table *table, const struct connection *connection)
{
	const struct vipa *vipa = &table->vipas[connection->key.vipa];

	return vipa->name[0] && vipa->generation == connection->key.vipa_generation;
}

static bool is_lost(const struct vipa_table *table, const struct connection *connection)
{
	const struct vipa_target *target = &table->targets[connection->target];

	return !target->name[0] || target->generation != connection->target_generation
		|| !health_is_up(connection->target) || !has_vipa(table, connection);
}

/* Where they are moved the client's next packet chooses another target. Until then they are known,
 * or a packet that begins no connection would be refused, and the client never hear of it. */
static void settle_lost(struct tick *tick, struct connection *connection, uint16_t *resets)
{
	if (tick->table->moves && has_vipa(tick->table, connection))
		return;
	if (!tick->table->moves) {
		reset(tick, connection);
		(*resets)++;
	}
	connection_remove(tick->own->connections, connection);
}

static void sweep(struct tick *tick)
{
	struct distributor_worker *own = tick->own;
	struct connection_table *table = own->connections;
	/* Acquire; pairs with the control thread's increment. */
	uint32_t deaths = __atomic_load_n(&health_deaths, __ATOMIC_ACQUIRE);
	uint16_t resets = 0;

	if (deaths != own->deaths_seen) {
		own->deaths_seen = deaths;
		own->sweep_at = 0;
	}
	for (int i = 0; i < SWEEP_MAX && resets < RESETS_MAX && own->sweep_at < table->fresh;
		i++, own->sweep_at++) {
		struct connection *connection = &table->entries[own->sweep_at];

		if (connection->flags & CONNECTION_IS_USED && is_lost(tick->table, connection))
			settle_lost(tick, connection, &resets);
	}
	if (own->sweep_at != CONNECTION_NONE && own->sweep_at >= table->fresh)
		own->sweep_at = CONNECTION_NONE;
}

/* ---- packets that wait ---- */

/* The first question, or its answer, was lost. */
static void ask_again(struct tick *tick, struct waiting *waiting)
{
	struct rte_mbuf *question = NULL;

	if (waiting_may_ask(&waiting->asked, tick->own->now))
		question = vipa_output_question(tick->table, waiting);
	if (question)
		emit(tick, DISTRIBUTE_TICK_EDGE_TX, question);
}

/* True: it is gone from the list. */
static bool release(struct tick *tick, struct waiting *waiting)
{
	struct packet_metadata *metadata = packet_metadata(waiting->packet);
	uint8_t mac[ETH_ADDRESS_SIZE];
	enum neighbour_state state =
		neighbour_find(metadata->vlan, &waiting->hop, tick->own->now, mac);

	if (state == NEIGHBOUR_UNKNOWN || state == NEIGHBOUR_STALE)
		ask_again(tick, waiting);
	if (state == NEIGHBOUR_KNOWN || state == NEIGHBOUR_STALE) {
		emit(tick, DISTRIBUTE_TICK_EDGE_WAITED, waiting->packet);
		return true;
	}
	if (tick->own->now - waiting->since < WAITING_TICKS)
		return false;
	drop_note(metadata->origin.ingress_port, DROP_vipa_unreachable, 1);
	rte_pktmbuf_free(waiting->packet);
	return true;
}

static void release_waiting(struct tick *tick)
{
	struct distributor_worker *own = tick->own;
	uint16_t left = 0;

	for (uint16_t i = 0; i < own->waiting_count; i++)
		if (!release(tick, &own->waiting[i]))
			own->waiting[left++] = own->waiting[i];
	own->waiting_count = left;
}

/* ---- announcements and questions: worker 0 ---- */

static struct rte_mbuf *new_frame(uint16_t vlan, uint16_t port)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);

	if (packet)
		*packet_metadata(packet) = (struct packet_metadata){
			.vlan = vlan, .origin = {.ingress_port = PORT_NONE}, .egress_port = port};
	return packet;
}

static void announce(struct tick *tick, uint16_t index)
{
	const struct vipa *vipa = &tick->table->vipas[index];
	struct rte_mbuf *packet =
		vipa->name[0] ? new_frame(vipa->vlan, tick->table->physical_port) : NULL;

	if (!packet)
		return;
	resolve_write_announcement(packet, &vipa->address, vipa->mac);
	emit(tick, DISTRIBUTE_TICK_EDGE_TX, packet);
}

static void announce_all(struct tick *tick)
{
	for (uint16_t i = 0; i < VIPAS_MAX / 64; i++) {
		uint64_t bits = 0;

		if (__atomic_load_n(&distribute_announce[i], __ATOMIC_RELAXED))
			bits = __atomic_exchange_n(&distribute_announce[i], 0, __ATOMIC_RELAXED);
		for (; bits; bits &= bits - 1)
			announce(tick, (uint16_t)(i * 64 + __builtin_ctzll(bits)));
	}
}

/* Targets are asked for before a client needs them. */
static void ask_targets(struct tick *tick)
{
	static uint32_t asked, round; /* worker 0 */
	struct link_end *end = link_end_of(publish_read(&link_table), LINK_DISTRIBUTOR);
	const struct port *port = end ? link_port(end) : NULL;

	if (!port || tick->own->now - asked < ASK_TICKS)
		return;
	asked = tick->own->now;
	round++;
	for (uint16_t i = 0; i < end->peer_count; i++) {
		uint8_t mac[ETH_ADDRESS_SIZE];
		bool is_known = link_peer_mac(&end->peers[i], mac);
		struct rte_mbuf *packet;

		if (end->peers[i].is_static || (is_known && round % ASK_KNOWN != i % ASK_KNOWN))
			continue;
		packet = new_frame(0, port->index);
		if (!packet)
			return;
		link_write_question(packet, end, &end->peers[i], port->mac);
		emit(tick, DISTRIBUTE_TICK_EDGE_TX, packet);
	}
}

/* ---- the control thread's look ---- */

static void fill_page(struct tick *tick)
{
	struct distribute_page *page = &tick->own->page;
	const struct connection_table *table = tick->own->connections;
	uint32_t at = page->from, end = RTE_MIN(table->fresh, page->from + PAGE_LOOK_MAX);

	page->count = 0;
	page->now = tick->own->now;
	for (; at < end && page->count < DISTRIBUTE_PAGE_MAX; at++) {
		const struct connection *connection = &table->entries[at];

		if (connection->flags & CONNECTION_IS_USED
			&& (page->vipa == VIPA_NONE || page->vipa == connection->key.vipa)
			&& (page->target == VIPA_NONE || page->target == connection->target))
			page->rows[page->count++] = *connection;
	}
	page->next = at < table->fresh ? at : CONNECTION_NONE;
	/* Release; pairs with distributor_api.c. */
	__atomic_store_n(&page->is_wanted, false, __ATOMIC_RELEASE);
	worker_notify_control();
}

/* ---- the node ---- */

static void count_vipas(struct tick *tick)
{
	uint32_t count = 0;

	for (uint16_t i = 0; i < tick->table->vipa_count; i++)
		count += tick->table->vipas[i].name[0] != '\0';
	if (count == tick->own->divided_for)
		return;
	tick->own->divided_for = count;
	connection_table_divide(tick->own->connections, count);
}

static void show_nothing(struct distribute_page *page)
{
	page->count = 0;
	page->next = CONNECTION_NONE;
	/* Release; pairs with distributor_api.c. */
	__atomic_store_n(&page->is_wanted, false, __ATOMIC_RELEASE);
	worker_notify_control();
}

/* The connections are the control thread's now; targets are asked for all the same, since the
 * address on the link is ours alone. */
static uint16_t tick_in_silence(struct tick *tick)
{
	/* Acquire; pairs with distributor_api.c. */
	if (__atomic_load_n(&tick->own->page.is_wanted, __ATOMIC_ACQUIRE))
		show_nothing(&tick->own->page);
	if (tick->own->ticked_at == tick->own->now)
		return 0;
	tick->own->ticked_at = tick->own->now;
	if (worker_index == 0)
		ask_targets(tick);
	return tick->sent;
}

/* Of what has a time of its own: once a tick; connections as often as it takes. */
static void expire_fragments(struct distributor_worker *own)
{
	for (int i = 0; i < DATAGRAM_WAY_COUNT; i++) {
		rte_ip_frag_table_del_expired_entries(own->fragments[i], &own->dead, rte_rdtsc());
		rte_ip_frag_free_death_row(&own->dead, 0);
	}
}

static uint16_t distribute_tick_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct tick tick = {.graph = graph,
		.node = node,
		.table = publish_read(&vipa_table),
		.own = distributor_own()};

	if (!tick.table)
		return 0;
	tick.own->now = distribute_clock();
	if (standby_is_silent())
		return tick_in_silence(&tick);
	sweep(&tick);
	if (tick.own->waiting_count > 0)
		release_waiting(&tick);
	/* Acquire; pairs with distributor_api.c. */
	if (unlikely(__atomic_load_n(&tick.own->page.is_wanted, __ATOMIC_ACQUIRE)))
		fill_page(&tick);
	if (tick.own->expired_at != tick.own->now
		&& connection_expire(tick.own->connections, tick.own->now, EXPIRE_MAX) < EXPIRE_MAX)
		tick.own->expired_at = tick.own->now;
	if (tick.own->ticked_at == tick.own->now)
		return tick.sent;
	tick.own->ticked_at = tick.own->now;
	count_vipas(&tick);
	expire_fragments(tick.own);
	if (worker_index == 0) {
		announce_all(&tick);
		ask_targets(&tick);
	}
	return tick.sent;
}

struct rte_node_register distribute_tick_node = {
	.name = "distribute_tick",
	.flags = RTE_NODE_SOURCE_F,
	.process = distribute_tick_process,
	.nb_edges = DISTRIBUTE_TICK_EDGE_COUNT,
	.next_nodes =
		{
			[DISTRIBUTE_TICK_EDGE_CLIENT] = "ipsec_output",
			[DISTRIBUTE_TICK_EDGE_WAITED] = "vipa_output",
			[DISTRIBUTE_TICK_EDGE_TX] = "tx",
		},
};
