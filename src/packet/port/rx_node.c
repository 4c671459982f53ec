/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rx: the source of the packet walk. Polls the queues of this worker's plan in turn, checks what a
 * device says of a packet, and hands it to the node of the port's kind. Worker thread.
 */
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"

#include <rte_ether.h>

/* Packets a walk takes in at most: so many that the nodes' work is spread over a burst, and so few
 * that packets do not wait long behind one another. */
#define WALK_PACKETS_MAX 128
/* Nodes may read so much of a packet without looking for a next segment. */
#define CONTIGUOUS_SIZE 256

enum rx_edge {
	RX_EDGE_PHYSICAL = PORT_PHYSICAL,
	RX_EDGE_PARTITION = PORT_PARTITION,
	RX_EDGE_HOST = PORT_HOST,
	RX_EDGE_LINK = PORT_XCF,
	RX_EDGE_VIPA = PORT_VIPA,
	RX_EDGE_DROP,
	RX_EDGE_COUNT,
};
static_assert((int)RX_EDGE_DROP == (int)PORT_KIND_COUNT, "each kind of port has its edge");

/* A chain whose first segment is short is copied, so that headers are contiguous. A peer with
 * shared memory can make such chains. */
static struct rte_mbuf *make_contiguous(struct rte_mbuf *packet)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(packet, packet_pool, 0, UINT32_MAX);

	if (!copy)
		return NULL;
	copy->ol_flags |= packet->ol_flags & OFFLOAD_FLAGS;
	copy->tso_segsz = packet->tso_segsz;
	rte_pktmbuf_free(packet);
	return copy;
}

/* All that most packets have to be: one segment, long enough, with no wishes. */
static inline bool is_plain(const struct rte_mbuf *packet)
{
	return packet->nb_segs == 1 && packet->pkt_len >= RTE_ETHER_HDR_LEN
		&& !(packet->ol_flags & (OFFLOAD_NEEDED_FLAGS | OFFLOAD_IS_INVALID));
}

/* Returns the packet, maybe another one, with drop_reason set when it is unfit. */
static struct rte_mbuf *check_packet(struct rte_mbuf *packet, struct packet_metadata initial)
{
	if (packet->nb_segs > 1 && packet->data_len < CONTIGUOUS_SIZE) {
		struct rte_mbuf *copy = make_contiguous(packet);

		if (!copy)
			initial.drop_reason = DROP_no_memory;
		else
			packet = copy;
	}
	if (packet->pkt_len < RTE_ETHER_HDR_LEN)
		initial.drop_reason = DROP_rx_malformed;
	if (packet->ol_flags & OFFLOAD_IS_INVALID)
		initial.drop_reason = DROP_rx_malformed;
	else if (offload_is_needed(packet) && offload_validate(packet) < 0)
		initial.drop_reason = DROP_rx_malformed;
	*packet_metadata(packet) = initial;
	return packet;
}

static uint16_t receive(
	struct rte_graph *graph, struct rte_node *node, struct port *port, uint16_t queue)
{
	struct packet_metadata initial = {
		.origin = {.ingress_port = port->index, .ingress_generation = port->generation},
		.egress_port = PORT_NONE};
	struct port_counters *counters = &port->counters[worker_index];
	struct rte_mbuf *packets[PORT_BURST];
	uint16_t count = port->ops->rx_burst(port, queue, packets, PORT_BURST);
	uint16_t good = 0;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *packet = packets[i];

		if (likely(is_plain(packet)))
			*packet_metadata(packet) = initial;
		else
			packet = check_packet(packet, initial);
		bytes += packet->pkt_len;
		if (likely(packet_metadata(packet)->drop_reason == DROP_none)) {
			packets[good++] = packet;
			continue;
		}
		counters->rx_errors++;
		node_forward(graph, node, RX_EDGE_DROP, packet);
	}
	counters->rx_packets += count;
	counters->rx_bytes += bytes;
	if (good > 0)
		rte_node_enqueue(graph, node, port->kind, (void **)packets, good);
	return count;
}

static uint16_t rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t object_count)
{
	struct rx_plan *plan = publish_read(&rx_plans[worker_index]);
	uint32_t *turn =
		(uint32_t *)node->ctx; /* who is asked first, so that all get their share */
	uint32_t start;
	uint16_t total = 0;

	if (!plan || plan->count == 0)
		return 0;
	start = *turn < plan->count ? *turn : 0;
	for (uint32_t i = 0; i < plan->count && total < WALK_PACKETS_MAX; i++) {
		uint32_t at = start + i < plan->count ? start + i : start + i - plan->count;
		const struct rx_poll *poll = &plan->polls[at];

		*turn = at + 1;
		if (poll->fd >= 0 && !worker_is_ready(poll->fd))
			continue;
		total = (uint16_t)(total + receive(graph, node, poll->port, poll->queue));
	}
	return total;
}

struct rte_node_register rx_node = {
	.process = rx_process,
	.flags = RTE_NODE_SOURCE_F,
	.name = "rx",
	.nb_edges = RX_EDGE_COUNT,
	.next_nodes =
		{
			[RX_EDGE_PHYSICAL] = "physical_input",
			[RX_EDGE_PARTITION] = "switch_input",
			[RX_EDGE_HOST] = "host_input",
			[RX_EDGE_LINK] = "link_input",
			[RX_EDGE_VIPA] = "target_reply",
			[RX_EDGE_DROP] = "drop",
		},
};
