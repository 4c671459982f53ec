/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * origin_tag -> handoff -> inspect, on this worker or, through a ring and handoff_rx, on the one
 * that owns the pair of hosts. A full ring drops: waiting would stop both workers.
 */
#include "packet/engine/handoff.h"

#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/worker_control.h"

#include <errno.h>
#include <rte_ring.h>
#include <stdio.h>

#define RING_COUNT 4096
#define RX_BURST   128 /* of one worker and walk */
#define BURST      32

enum handoff_edge { HANDOFF_EDGE_INSPECT, HANDOFF_EDGE_DROP, HANDOFF_EDGE_COUNT };
enum handoff_rx_edge { HANDOFF_RX_EDGE_INSPECT, HANDOFF_RX_EDGE_COUNT };

/* [from][to]; NULL on the diagonal. Constant while workers run. */
static struct rte_ring *rings[WORKERS_MAX][WORKERS_MAX];
static uint16_t count;

int handoff_open(uint16_t worker_count)
{
	char name[32];

	count = worker_count;
	for (uint16_t from = 0; from < count; from++)
		for (uint16_t to = 0; to < count; to++) {
			if (from == to)
				continue;
			snprintf(name, sizeof(name), "handoff-%u-%u", from, to);
			rings[from][to] = rte_ring_create(
				name, RING_COUNT, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (!rings[from][to])
				return -ENOMEM;
		}
	return 0;
}

/* What waits in the rings went to workers that have ended. */
void handoff_close(void)
{
	struct rte_mbuf *packet;

	for (uint16_t from = 0; from < WORKERS_MAX; from++)
		for (uint16_t to = 0; to < WORKERS_MAX; to++) {
			while (rings[from][to]
				&& rte_ring_sc_dequeue(rings[from][to], (void **)&packet) == 0)
				rte_pktmbuf_free(packet);
			rte_ring_free(rings[from][to]);
			rings[from][to] = NULL;
		}
}

static void hand_over(struct rte_graph *graph, struct rte_node *node, uint16_t to,
	struct rte_mbuf **packets, uint32_t size)
{
	uint32_t sent =
		rte_ring_sp_enqueue_burst(rings[worker_index][to], (void **)packets, size, NULL);

	if (sent > 0)
		worker_wake(to);
	for (; sent < size; sent++) {
		drop_mark(packets[sent], DROP_handoff_full);
		node_forward(graph, node, HANDOFF_EDGE_DROP, packets[sent]);
	}
}

static uint16_t handoff_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t size)
{
	struct rte_mbuf *staged[WORKERS_MAX][BURST];
	uint32_t staged_count[WORKERS_MAX] = {0};

	for (uint16_t i = 0; i < size; i++) {
		struct rte_mbuf *packet = objects[i];
		uint16_t to = (uint16_t)(packet_metadata(packet)->pair_hash % count);

		if (to == worker_index) {
			trace_step(packet, "handoff", "stays with worker %u", to);
			node_forward(graph, node, HANDOFF_EDGE_INSPECT, packet);
			continue;
		}
		trace_step(packet, "handoff", "to worker %u", to);
		staged[to][staged_count[to]++] = packet;
		if (staged_count[to] == BURST) {
			hand_over(graph, node, to, staged[to], BURST);
			staged_count[to] = 0;
		}
	}
	for (uint16_t to = 0; to < count; to++)
		if (staged_count[to] > 0)
			hand_over(graph, node, to, staged[to], staged_count[to]);
	return size;
}

static uint16_t handoff_rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t size)
{
	void *packets[RX_BURST];
	uint16_t total = 0;

	(void)objects;
	(void)size;
	for (uint16_t from = 0; from < count; from++) {
		uint32_t got;

		if (from == worker_index)
			continue;
		got = rte_ring_sc_dequeue_burst(rings[from][worker_index], packets, RX_BURST, NULL);
		if (got > 0)
			rte_node_enqueue(
				graph, node, HANDOFF_RX_EDGE_INSPECT, packets, (uint16_t)got);
		total = (uint16_t)(total + got);
	}
	return total;
}

struct rte_node_register handoff_node = {
	.name = "handoff",
	.process = handoff_process,
	.nb_edges = HANDOFF_EDGE_COUNT,
	.next_nodes =
		{
			[HANDOFF_EDGE_INSPECT] = "inspect",
			[HANDOFF_EDGE_DROP] = "drop",
		},
};

struct rte_node_register handoff_rx_node = {
	.name = "handoff_rx",
	.flags = RTE_NODE_SOURCE_F,
	.process = handoff_rx_process,
	.nb_edges = HANDOFF_RX_EDGE_COUNT,
	.next_nodes =
		{
			[HANDOFF_RX_EDGE_INSPECT] = "inspect",
		},
};
