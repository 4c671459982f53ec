/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * switch_forward: the virtual switch's forwarding decision (IEEE 802.1Q 8.6, 8.8), for frames that
 * come from a partition, and for those that the gateway delivers to partitions through a trunk
 * adapter. Partition to partition is switched here (east-west, seed 000 figure 2); all else leaves
 * through the trunk adapter of its VLAN, to be tagged with its origin. Workers.
 */
#include "packet/distributor/vipa.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/gateway/egress.h"
#include "packet/gateway/forward_edges.h"
#include "packet/gateway/trunk_counters.h"

#define CHUNK 32

const char *const switch_forward_labels[SWITCH_FORWARD_EDGE_COUNT] = {
	[SWITCH_FORWARD_EDGE_LOCAL] = "partition of this host",
	[SWITCH_FORWARD_EDGE_FLOOD] = "group or unknown: members",
	[SWITCH_FORWARD_EDGE_TRUNK] = "trunk of the VLAN",
	[SWITCH_FORWARD_EDGE_ANSWER] = "answer of a VIPA's target",
	[SWITCH_FORWARD_EDGE_DROP] = "drop",
};

struct counts {
	uint32_t local, flooded;  /* their edges share a target, */
	uint32_t trunk, answered; /* and these, too */
};

/* Copies for the local members of a frame that goes on through the trunk. What an inspector gets
 * must be its own, since it may write: then the copies are of a copy. */
static uint16_t flood_beside_trunk(struct rte_graph *graph, struct rte_node *node,
	const struct vlan_table *table, struct rte_mbuf *packet)
{
	uint16_t count = table->vlans[packet_metadata(packet)->vlan].member_count;
	struct rte_mbuf *copy;
	uint16_t sent;

	if (count < 2)
		return 0; /* the sender alone */
	if (!table->has_inspection)
		return egress_flood(graph, node, SWITCH_FORWARD_EDGE_FLOOD, table, packet, false);
	copy = rte_pktmbuf_copy(packet, packet_pool, 0, UINT32_MAX);
	if (!copy) {
		drop_note(packet_metadata(packet)->origin.ingress_port, DROP_no_memory, 1);
		return 0;
	}
	sent = egress_flood(graph, node, SWITCH_FORWARD_EDGE_FLOOD, table, copy, true);
	if (!sent)
		rte_pktmbuf_free(copy);
	return sent;
}

/* A group address, or one that nobody has learned, from a partition. */
static enum drop_reason flood_from_partition(struct rte_graph *graph, struct rte_node *node,
	const struct vlan_table *table, struct rte_mbuf *packet, struct counts *counts,
	rte_edge_t *edge)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct switch_port *port = ingress_port(table, &metadata->origin);
	const struct vlan *vlan = &table->vlans[metadata->vlan];
	bool is_group = eth_address_is_group(packet_frame(packet));
	bool floods = is_group || vlan->flags & VLAN_FLOOD;
	uint16_t sent;

	if (!is_group && port
		&& !rate_allows(&port->state->storm[STORM_UNKNOWN_UNICAST], RATE_PACKET,
			RATE_PRIORITY_UPPER))
		return DROP_storm;
	*edge = SWITCH_FORWARD_EDGE_TRUNK;
	if (floods && vlan->flags & VLAN_INSPECT_ALL) {
		metadata->flags |= PACKET_IS_EAST_WEST;
		return DROP_none;
	}
	if (vlan->trunk != TRUNK_NONE) {
		if (floods)
			counts->flooded += flood_beside_trunk(graph, node, table, packet);
		return DROP_none;
	}
	sent = floods ? egress_flood(graph, node, SWITCH_FORWARD_EDGE_FLOOD, table, packet, true)
		      : 0;
	counts->flooded += sent;
	*edge = SWITCH_FORWARD_EDGE_COUNT; /* gone */
	return sent ? DROP_none : DROP_vlan_no_trunk;
}

static enum drop_reason from_partition(struct rte_graph *graph, struct rte_node *node,
	const struct vlan_table *table, struct rte_mbuf *packet, uint64_t value,
	struct counts *counts, rte_edge_t *edge)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct vlan *vlan = &table->vlans[metadata->vlan];

	if (value == FDB_VALUE_NONE)
		return flood_from_partition(graph, node, table, packet, counts, edge);
	*edge = SWITCH_FORWARD_EDGE_TRUNK;
	if (fdb_value_kind(value) != FDB_INTERNAL)
		return vlan->trunk == TRUNK_NONE ? DROP_vlan_no_trunk : DROP_none;
	if (fdb_value_port(value) == metadata->origin.ingress_port)
		return DROP_tx_same_port;
	if (vlan->flags & VLAN_INSPECT_ALL) {
		metadata->flags |= PACKET_IS_EAST_WEST;
		return DROP_none;
	}
	*edge = SWITCH_FORWARD_EDGE_LOCAL;
	return egress_check(table, fdb_value_port(value), packet, DROP_vlan_not_member);
}

/* From the gateway, through the VLAN's trunk, to the partition or partitions; never back. */
static enum drop_reason from_trunk(struct rte_graph *graph, struct rte_node *node,
	const struct vlan_table *table, struct rte_mbuf *packet, uint64_t value,
	struct counts *counts, rte_edge_t *edge)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct vlan *vlan = &table->vlans[metadata->vlan];
	uint16_t sent;

	if (metadata->origin.kind != ORIGIN_TRUNK && vlan->trunk != TRUNK_NONE)
		trunk_count_to(vlan->trunk, rte_pktmbuf_pkt_len(packet));
	if (value != FDB_VALUE_NONE) {
		*edge = SWITCH_FORWARD_EDGE_LOCAL;
		if (fdb_value_kind(value) != FDB_INTERNAL
			|| fdb_value_port(value) == metadata->origin.ingress_port)
			return DROP_tx_same_port;
		return egress_check(table, fdb_value_port(value), packet, DROP_vlan_not_member);
	}
	if (!eth_address_is_group(packet_frame(packet)) && !(vlan->flags & VLAN_FLOOD))
		return DROP_vlan_no_member;
	*edge = SWITCH_FORWARD_EDGE_COUNT; /* gone */
	sent = egress_flood(graph, node, SWITCH_FORWARD_EDGE_FLOOD, table, packet, true);
	counts->flooded += sent;
	return sent ? DROP_none : DROP_vlan_no_member;
}

/* Answers of targets leave by way of the distributor, wherever they are addressed to. */
static inline bool is_answer(const struct vipa_table *vipas, struct rte_mbuf *packet)
{
	return unlikely(vipas != NULL) && vipas->has_local_targets
		&& packet_metadata(packet)->origin.kind == ORIGIN_NONE
		&& vipa_take_answer(vipas, packet);
}

static inline void forward(struct node_run *run, uint16_t at, const struct vlan_table *table,
	uint64_t value, struct counts *counts, const struct vipa_table *vipas)
{
	struct rte_graph *graph = run->graph;
	struct rte_node *node = run->node;
	struct rte_mbuf *packet = run->objects[at];
	rte_edge_t edge = SWITCH_FORWARD_EDGE_DROP;
	enum drop_reason reason;

	if (is_answer(vipas, packet)) {
		counts->answered++;
		node_run_forward(run, at, SWITCH_FORWARD_EDGE_ANSWER);
		return;
	}
	if (unlikely(value == FDB_VALUE_NONE))
		node_run_flush(run); /* copies must not overtake what came before */
	if (packet_metadata(packet)->origin.kind == ORIGIN_NONE)
		reason = from_partition(graph, node, table, packet, value, counts, &edge);
	else
		reason = from_trunk(graph, node, table, packet, value, counts, &edge);
	if (unlikely(reason)) {
		egress_drop(graph, node, SWITCH_FORWARD_EDGE_DROP, packet, reason);
		return;
	}
	if (edge == SWITCH_FORWARD_EDGE_COUNT)
		return;
	counts->local += edge == SWITCH_FORWARD_EDGE_LOCAL;
	counts->trunk += edge == SWITCH_FORWARD_EDGE_TRUNK;
	trace_step(packet, "switch_forward", "%s", switch_forward_labels[edge]);
	node_run_forward(run, at, edge);
}

static uint16_t switch_forward_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;
	const struct vlan_table *table = publish_read(&vlan_table);
	const struct fdb_table *fdb = publish_read(&fdb_table);
	const struct vipa_table *vipas = publish_read(&vipa_table);
	struct counts counts = {0};
	struct node_run run = node_run_start(graph, node, objects, count);
	uint64_t values[CHUNK];

	for (uint16_t done = 0; done < count; done += CHUNK) {
		uint16_t size = RTE_MIN((uint16_t)(count - done), (uint16_t)CHUNK);

		for (uint16_t i = 0; i < size; i++) {
			struct rte_mbuf *packet = packets[done + i];
			const uint8_t *frame = packet_frame(packet);

			values[i] = eth_address_is_group(frame)
				? FDB_VALUE_NONE
				: fdb_find(fdb, fdb_key(packet_metadata(packet)->vlan, frame));
		}
		for (uint16_t i = 0; i < size; i++)
			forward(&run, (uint16_t)(done + i), table, values[i], &counts, vipas);
	}
	node_run_end(&run);
	node_count_edge(node, SWITCH_FORWARD_EDGE_LOCAL, counts.local);
	node_count_edge(node, SWITCH_FORWARD_EDGE_FLOOD, counts.flooded);
	node_count_edge(node, SWITCH_FORWARD_EDGE_TRUNK, counts.trunk);
	node_count_edge(node, SWITCH_FORWARD_EDGE_ANSWER, counts.answered);
	return count;
}

struct rte_node_register switch_forward_node = {
	.name = "switch_forward",
	.process = switch_forward_process,
	.nb_edges = SWITCH_FORWARD_EDGE_COUNT,
	.next_nodes =
		{
			[SWITCH_FORWARD_EDGE_LOCAL] = "tx",
			[SWITCH_FORWARD_EDGE_FLOOD] = "tx",
			[SWITCH_FORWARD_EDGE_TRUNK] = "origin_tag",
			[SWITCH_FORWARD_EDGE_ANSWER] = "origin_tag",
			[SWITCH_FORWARD_EDGE_DROP] = "drop",
		},
};
