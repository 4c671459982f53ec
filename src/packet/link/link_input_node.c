/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_input: frames from a trusted link. Questions for our addresses are answered, IP goes on to
 * geneve_input; nothing of a link ever gets to the switch. Workers.
 */
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/link/link.h"
#include "packet/port/port.h"

#include <netinet/in.h>

enum link_input_edge {
	LINK_INPUT_EDGE_GENEVE,
	LINK_INPUT_EDGE_ANSWER,
	LINK_INPUT_EDGE_DROP,
	LINK_INPUT_EDGE_COUNT,
};

#define IPV6_NEXT_HEADER 6

/* Of IPv6, all that is not neighbour discovery is left to geneve_input, too. */
static bool is_tunnel(const struct rte_mbuf *packet)
{
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint16_t type = network_load16(frame + ETH_TYPE_OFFSET);

	if (type == ETH_TYPE_IPV6)
		return packet->data_len > ETH_HEADER_SIZE + IPV6_NEXT_HEADER
			&& frame[ETH_HEADER_SIZE + IPV6_NEXT_HEADER] == IPPROTO_UDP;
	return type == ETH_TYPE_IPV4;
}

static uint16_t link_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct link_table *table = publish_read(&link_table);
	const struct port_table *ports = publish_read(&port_table);

	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *packet = objects[i];
		struct packet_metadata *metadata = packet_metadata(packet);
		uint16_t index = metadata->origin.ingress_port;
		const struct port *port = index < ports->count ? ports->ports[index] : NULL;

		if (likely(is_tunnel(packet))) {
			node_forward(graph, node, LINK_INPUT_EDGE_GENEVE, packet);
		} else if (port && link_resolve(table, port, packet)) {
			metadata->egress_port = index;
			trace_step(packet, "link_input", "answered: the address is ours");
			node_forward(graph, node, LINK_INPUT_EDGE_ANSWER, packet);
		} else {
			drop_mark(packet, DROP_link_unknown);
			node_forward(graph, node, LINK_INPUT_EDGE_DROP, packet);
		}
	}
	return count;
}

struct rte_node_register link_input_node = {
	.name = "link_input",
	.process = link_input_process,
	.nb_edges = LINK_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[LINK_INPUT_EDGE_GENEVE] = "geneve_input",
			[LINK_INPUT_EDGE_ANSWER] = "tx",
			[LINK_INPUT_EDGE_DROP] = "drop",
		},
};
