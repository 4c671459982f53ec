/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * origin_tag: tags each packet that crosses the gateway with its origin (G3; seed 000, figure 3A,
 * blocks 305 to 315) and hands it to the inspector. The tag lies in the gateway's memory, where the
 * sender of a packet cannot reach it. Workers.
 */
#include "packet/engine/nodes.h"
#include "packet/gateway/ingress.h"
#include "packet/gateway/trunk_counters.h"
#include "wire/decode.h"

enum origin_tag_edge { ORIGIN_TAG_EDGE_DROP = ORIGIN_TAG_EDGE_NEXT + 1, ORIGIN_TAG_EDGE_COUNT };

static const char *const kind_names[ORIGIN_KIND_COUNT] = {
	[ORIGIN_NONE] = "none",
	[ORIGIN_PHYSICAL] = "physical",
	[ORIGIN_TRUNK] = "trunk",
	[ORIGIN_HOST] = "host",
	[ORIGIN_DECRYPTED] = "decrypted",
	[ORIGIN_REMOTE] = "remote",
	[ORIGIN_TARGET] = "target",
};

static const uint8_t kinds[PORT_KIND_COUNT] = {
	[PORT_PHYSICAL] = ORIGIN_PHYSICAL,
	[PORT_PARTITION] = ORIGIN_TRUNK,
	[PORT_HOST] = ORIGIN_HOST,
	[PORT_XCF] = ORIGIN_NONE, /* links are not bridged: ORIGIN_REMOTE is geneve_input's */
	[PORT_VIPA] = ORIGIN_NONE,
};

static uint32_t pair_hash(const struct rte_mbuf *packet, uint16_t vlan)
{
	struct decoded decoded;

	decode_headers(packet_frame(packet), rte_pktmbuf_data_len(packet),
		rte_pktmbuf_pkt_len(packet), &decoded);
	return decode_pair_hash(&decoded, vlan);
}

static inline bool tag(const struct vlan_table *table, struct rte_mbuf *packet, bool needs_hash)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	struct origin *origin = &metadata->origin;
	const struct switch_port *port;

	/* Tagged by who has checked it: geneve_input, ipsec_input, gre_input, switch_forward. */
	if (unlikely(origin->kind != ORIGIN_NONE)) {
		if (needs_hash)
			metadata->pair_hash = pair_hash(packet, metadata->vlan);
		return true;
	}
	port = ingress_port(table, origin);
	if (unlikely(!port || kinds[port->kind] == ORIGIN_NONE))
		return false;
	origin->kind = kinds[port->kind];
	origin->vlan = metadata->vlan;
	origin->adapter = TRUNK_NONE;
	if (origin->kind == ORIGIN_TRUNK) {
		origin->adapter = table->vlans[metadata->vlan].trunk;
		if (likely(origin->adapter != TRUNK_NONE))
			trunk_count_from(origin->adapter, rte_pktmbuf_pkt_len(packet));
	}
	if (needs_hash)
		metadata->pair_hash = pair_hash(packet, metadata->vlan);
	return true;
}

static uint16_t origin_tag_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;
	const struct vlan_table *table = publish_read(&vlan_table);
	/* Of this graph, not of what is configured: a fifth of inspection, where nobody reads it.
	 */
	bool needs_hash = node->nodes[ORIGIN_TAG_EDGE_NEXT]->id == handoff_node.id;

	struct node_run run = node_run_start(graph, node, objects, count);

	for (uint16_t i = 0; i < count; i++) {
		if (unlikely(!tag(table, packets[i], needs_hash))) {
			drop_mark(packets[i], DROP_vlan_not_member);
			node_run_forward(&run, i, ORIGIN_TAG_EDGE_DROP);
			continue;
		}
		trace_step(packets[i], "origin_tag", "origin %s, VLAN %u",
			kind_names[packet_metadata(packets[i])->origin.kind],
			packet_metadata(packets[i])->origin.vlan);
		node_run_forward(&run, i, ORIGIN_TAG_EDGE_NEXT);
	}
	node_run_end(&run);
	return count;
}

struct rte_node_register origin_tag_node = {
	.name = "origin_tag",
	.process = origin_tag_process,
	.nb_edges = ORIGIN_TAG_EDGE_COUNT,
	.next_nodes =
		{
			[ORIGIN_TAG_EDGE_NEXT] = "origin_forward", /* see nodes.h */
			[ORIGIN_TAG_EDGE_DROP] = "drop",
		},
};
