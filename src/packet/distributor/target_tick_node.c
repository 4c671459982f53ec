/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target_tick: a source node. What a target does without a packet: it reports to its distributors
 * (D14), asks for their hardware addresses, and sends on what waited for a next hop's. Workers; the
 * reports are worker 0's.
 */
#include "packet/distributor/target.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/port/port.h"

enum target_tick_edge {
	TARGET_TICK_EDGE_TX,
	TARGET_TICK_EDGE_PROTECT, /* a report by a link that demands it (D10) */
	TARGET_TICK_EDGE_DROP,
	TARGET_TICK_EDGE_COUNT,
};

/* One walk. */
struct tick {
	struct rte_graph *graph;
	struct rte_node *node;
	uint16_t sent;
};

static void emit(struct tick *tick, rte_edge_t edge, struct rte_mbuf *packet)
{
	node_forward(tick->graph, tick->node, edge, packet);
	tick->sent++;
}

static void send_waited(void *context, struct rte_mbuf *packet, bool is_lost)
{
	if (is_lost)
		drop_mark(packet, DROP_target_unreachable);
	emit(context, is_lost ? TARGET_TICK_EDGE_DROP : TARGET_TICK_EDGE_TX, packet);
}

static void ask_address(
	struct tick *tick, const struct link_end *end, uint8_t peer, const struct port *port)
{
	struct rte_mbuf *question = rte_pktmbuf_alloc(packet_pool);

	if (!question)
		return;
	if (!link_write_question(question, end, &end->peers[peer], port->mac)) {
		rte_pktmbuf_free(question);
		return;
	}
	*packet_metadata(question) = (struct packet_metadata){
		.origin = {.ingress_port = PORT_NONE}, .egress_port = port->index};
	emit(tick, TARGET_TICK_EDGE_TX, question);
}

/* Asked again as long as reports get no answer: it may be another machine by now. */
static bool needs_address(const struct link_end *end, uint8_t peer)
{
	uint64_t sequence = __atomic_load_n(&target_reports.sequence, __ATOMIC_RELAXED);
	uint64_t answered = __atomic_load_n(&target_peers[peer].answered, __ATOMIC_RELAXED);
	uint8_t mac[ETH_ADDRESS_SIZE];

	return !end->peers[peer].is_static
		&& (!link_peer_mac(&end->peers[peer], mac) || sequence - answered > 2);
}

static void report(struct tick *tick, const struct target_table *table)
{
	const struct link_end *end = link_end_of(publish_read(&link_table), LINK_TARGET);
	const struct port *port = end ? link_port(end) : NULL;

	for (uint8_t peer = 0; port && peer < end->peer_count; peer++) {
		struct rte_mbuf *packet = target_report(table, end, peer, port);

		if (packet)
			emit(tick,
				link_protect(end, packet) ? TARGET_TICK_EDGE_PROTECT
							  : TARGET_TICK_EDGE_TX,
				packet);
		if (needs_address(end, peer))
			ask_address(tick, end, peer, port);
	}
}

static uint16_t target_tick_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	const struct target_table *table = publish_read(&target_table);
	struct target_worker *own = target_workers[worker_index];
	struct tick tick = {.graph = graph, .node = node};

	(void)objects;
	(void)count;
	if (!table)
		return 0;
	if (unlikely(own->waiting_count > 0))
		target_retry_waiting(table, own, send_waited, &tick);
	/* Acquire: what the reports carry was written before; pairs with target_control.c. */
	if (worker_index == 0 && __atomic_load_n(&target_reports.is_due, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&target_reports.is_due, false, __ATOMIC_RELAXED);
		report(&tick, table);
	}
	return tick.sent;
}

struct rte_node_register target_tick_node = {
	.name = "target_tick",
	.flags = RTE_NODE_SOURCE_F,
	.process = target_tick_process,
	.nb_edges = TARGET_TICK_EDGE_COUNT,
	.next_nodes =
		{
			[TARGET_TICK_EDGE_TX] = "tx",
			[TARGET_TICK_EDGE_PROTECT] = "ipsec_output",
			[TARGET_TICK_EDGE_DROP] = "drop",
		},
};
