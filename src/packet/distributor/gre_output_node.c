/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gre_output: packets to a target on the link, in GRE with the key that says whether their
 * connection came by IPsec (D6). No outer packet is ever fragmented: what is too large is cut
 * inside, or its sender is told (D13). Workers.
 */
#include "packet/distributor/distributor.h"
#include "packet/engine/drop_count.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"

enum gre_output_edge {
	GRE_OUTPUT_EDGE_TX,
	GRE_OUTPUT_EDGE_IPSEC, /* to a target by a link that demands it (D10); to a client who is
				* told that its packet is too big */
	GRE_OUTPUT_EDGE_DROP,
	GRE_OUTPUT_EDGE_COUNT,
};

/* One call of the node. */
struct tunnel {
	struct rte_graph *graph;
	struct rte_node *node;
	const struct vipa_table *table;
	const struct link_end *end; /* NULL: no link */
	const struct port *port;    /* NULL: it is down */
	uint32_t mtu;               /* of inner packets */
};

/* One per worker: too large for a stack. */
static struct rte_mbuf *segments[WORKERS_MAX][OFFLOAD_SEGMENTS_MAX];

static void drop(const struct tunnel *tunnel, struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "gre_output", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	node_forward(tunnel->graph, tunnel->node, GRE_OUTPUT_EDGE_DROP, packet);
}

static bool is_writable(const struct rte_mbuf *packet, uint32_t size)
{
	return RTE_MBUF_DIRECT(packet) && rte_mbuf_refcnt_read(packet) == 1
		&& rte_pktmbuf_headroom(packet) >= size;
}

/* GRE's headers take the place of the frame's Ethernet header. NULL: no memory; packet is as it
 * was. */
static struct rte_mbuf *wrap(const struct tunnel *tunnel, struct rte_mbuf *packet,
	const struct vipa_target *target, const uint8_t mac[ETH_ADDRESS_SIZE])
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct vipa_secret *secret = vipa_secret(tunnel->table, metadata->service.target);
	uint32_t size = ETH_HEADER_SIZE + gre_overhead(tunnel->end->local.version);
	struct rte_mbuf *carrier = packet;
	uint32_t inner;
	const struct gre_headers headers = {
		.source_mac = tunnel->port->mac,
		.destination_mac = mac,
		.source = &tunnel->end->local,
		.destination = &target->address,
		.key = secret->to_target.keys[metadata->service.is_secure ? GRE_SECURE : GRE_PLAIN],
		.protocol =
			network_load16(rte_pktmbuf_mtod_offset(packet, uint8_t *, ETH_TYPE_OFFSET)),
	};

	if (!is_writable(packet, size)) {
		carrier = rte_pktmbuf_copy(packet, packet_pool, 0, UINT32_MAX);
		if (!carrier)
			return NULL;
		*packet_metadata(carrier) = *metadata;
		rte_pktmbuf_free(packet);
	}
	rte_pktmbuf_adj(carrier, ETH_HEADER_SIZE);
	inner = carrier->pkt_len;
	gre_write((uint8_t *)rte_pktmbuf_prepend(carrier, (uint16_t)size), &headers, inner);
	return carrier;
}

static void transmit(const struct tunnel *tunnel, struct rte_mbuf *packet)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct vipa_target *target = &tunnel->table->targets[metadata->service.target];
	uint8_t mac[ETH_ADDRESS_SIZE];
	struct rte_mbuf *carrier;

	if (target->peer < 0 || !link_peer_mac(&tunnel->end->peers[target->peer], mac)) {
		drop(tunnel, packet, DROP_link_no_peer);
		return;
	}
	carrier = wrap(tunnel, packet, target, mac);
	if (!carrier) {
		drop(tunnel, packet, DROP_no_memory);
		return;
	}
	metadata = packet_metadata(carrier);
	metadata->vlan = 0;
	metadata->egress_port = tunnel->port->index;
	trace_step(carrier, "gre_output", "to target %s", target->name);
	node_forward(tunnel->graph, tunnel->node,
		link_protect(tunnel->end, carrier) ? GRE_OUTPUT_EDGE_IPSEC : GRE_OUTPUT_EDGE_TX,
		carrier);
}

static void tell_client(const struct tunnel *tunnel, struct rte_mbuf *packet)
{
	bool is_answer = packet_metadata(packet)->origin.kind == ORIGIN_TARGET;
	struct rte_mbuf *error = is_answer ? NULL : message_too_big(packet, tunnel->mtu);

	if (error)
		node_forward(tunnel->graph, tunnel->node, GRE_OUTPUT_EDGE_IPSEC, error);
	drop(tunnel, packet, DROP_gre_too_big);
}

static void fit(const struct tunnel *tunnel, struct rte_mbuf *packet)
{
	struct rte_mbuf *pieces[PIECES_MAX];
	uint16_t count;

	switch (datagram_fit(packet, tunnel->mtu, pieces, &count)) {
	case DATAGRAM_FITS:
		transmit(tunnel, packet);
		return;
	case DATAGRAM_CUT:
		for (uint16_t i = 0; i < count; i++)
			transmit(tunnel, pieces[i]);
		return;
	case DATAGRAM_TOO_BIG:
		tell_client(tunnel, packet);
		return;
	case DATAGRAM_FAILED:
		drop(tunnel, packet, DROP_no_memory);
		return;
	}
}

/* What a sender left to the receiver is done here: the target gets finished packets. */
static void finish(const struct tunnel *tunnel, struct rte_mbuf *packet)
{
	struct packet_metadata metadata = *packet_metadata(packet);
	struct rte_mbuf **out = segments[worker_index];
	int count = offload_finish(packet, packet_pool, out, OFFLOAD_SEGMENTS_MAX);

	if (count < 0)
		drop_note(metadata.origin.ingress_port, DROP_no_memory, 1);
	for (int i = 0; i < count; i++)
		fit(tunnel, out[i]);
}

static uint16_t gre_output_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct tunnel tunnel = {.graph = graph,
		.node = node,
		.table = publish_read(&vipa_table),
		.end = link_end_of(publish_read(&link_table), LINK_DISTRIBUTOR)};

	if (tunnel.end)
		tunnel.port = link_port(tunnel.end);
	if (tunnel.port)
		tunnel.mtu = __atomic_load_n(&tunnel.port->mtu_bytes, __ATOMIC_RELAXED)
			- link_gre_overhead(tunnel.end);
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *packet = objects[i];

		if (unlikely(!tunnel.port || !tunnel.table
			    || packet_metadata(packet)->service.target >= VIPA_TARGETS_MAX))
			drop(&tunnel, packet, DROP_link_no_peer);
		else if (unlikely(offload_is_needed(packet)))
			finish(&tunnel, packet);
		else
			fit(&tunnel, packet);
	}
	return count;
}

struct rte_node_register gre_output_node = {
	.name = "gre_output",
	.process = gre_output_process,
	.nb_edges = GRE_OUTPUT_EDGE_COUNT,
	.next_nodes =
		{
			[GRE_OUTPUT_EDGE_TX] = "tx",
			[GRE_OUTPUT_EDGE_IPSEC] = "ipsec_output",
			[GRE_OUTPUT_EDGE_DROP] = "drop",
		},
};
