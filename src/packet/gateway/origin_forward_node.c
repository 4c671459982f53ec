/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * origin_forward: forwards each packet that came back from the inspector by its origin tag, exactly
 * as figure 3B of seed 000 does (G4, G5, G6); the blocks are named at the edges. What is addressed
 * to the host itself is received by its socket layer before (docs/decisions/0004). Workers.
 */
#include "packet/engine/nodes.h"
#include "packet/gateway/egress.h"
#include "packet/gateway/forward_edges.h"

const char *const origin_forward_labels[ORIGIN_FORWARD_EDGE_COUNT] = {
	[ORIGIN_FORWARD_EDGE_TRUNK_TO_PHYSICAL] = "origin trunk",
	[ORIGIN_FORWARD_EDGE_PHYSICAL_TO_TRUNK] = "origin physical",
	[ORIGIN_FORWARD_EDGE_HOST_TO_TRUNK] = "origin host: internal",
	[ORIGIN_FORWARD_EDGE_HOST_TO_PHYSICAL] = "origin host: external",
	[ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_TRUNK] = "origin host: unknown",
	[ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_PHYSICAL] = "origin host: unknown",
	[ORIGIN_FORWARD_EDGE_TO_HOST] = "to the host",
	[ORIGIN_FORWARD_EDGE_EAST_WEST] = "east-west",
	[ORIGIN_FORWARD_EDGE_REMOTE] = "origin remote",
	[ORIGIN_FORWARD_EDGE_VIPA] = "origin decrypted or physical: a VIPA's",
	[ORIGIN_FORWARD_EDGE_TARGET] = "origin target",
	[ORIGIN_FORWARD_EDGE_DROP] = "drop",
};

/* One call of the node. */
struct forwarder {
	struct rte_graph *graph;
	struct rte_node *node;
	struct gateway_walk walk;
	struct node_run run;
	uint16_t at; /* the packet that is being forwarded, in the call's */
	uint32_t counts[ORIGIN_FORWARD_EDGE_COUNT];
};

/* Where an edge leads this packet, for traces. */
static __attribute__((cold)) const char *target_name(
	const struct forwarder *forwarder, rte_edge_t edge, struct rte_mbuf *packet)
{
	const struct vlan_table *table = forwarder->walk.vlans;
	const struct packet_metadata *metadata = packet_metadata(packet);

	uint8_t trunk = table->vlans[metadata->vlan].trunk;

	if (forwarder->node->nodes[edge]->id == tx_node.id)
		return egress_port_name(metadata->egress_port);
	return trunk == TRUNK_NONE ? "the switch" : table->trunk_names[trunk];
}

static void send(struct forwarder *forwarder, rte_edge_t edge, struct rte_mbuf *packet)
{
	trace_step(packet, "origin_forward", "%s -> %s", origin_forward_labels[edge],
		target_name(forwarder, edge, packet));
	forwarder->counts[edge]++;
	if (likely(packet == forwarder->run.objects[forwarder->at])) {
		node_run_forward(&forwarder->run, forwarder->at, edge);
		return;
	}
	node_run_flush(&forwarder->run); /* a copy must not overtake what came before */
	node_forward(forwarder->graph, forwarder->node, edge, packet);
}

/* Out through the port, or dropped. */
static void send_to_port(struct forwarder *forwarder, rte_edge_t edge, struct rte_mbuf *packet,
	uint16_t port, enum drop_reason absent)
{
	enum drop_reason reason = egress_check(forwarder->walk.vlans, port, packet, absent);

	if (likely(!reason))
		send(forwarder, edge, packet);
	else
		egress_drop(forwarder->graph, forwarder->node, ORIGIN_FORWARD_EDGE_DROP, packet,
			reason);
}

static void send_to_physical(struct forwarder *forwarder, rte_edge_t edge, struct rte_mbuf *packet)
{
	send_to_port(
		forwarder, edge, packet, forwarder->walk.vlans->physical_port, DROP_no_physical);
}

/* To the trunk adapter of the packet's VLAN: the switch behind it finds the partition. */
static void send_to_trunk(struct forwarder *forwarder, rte_edge_t edge, struct rte_mbuf *packet)
{
	if (likely(forwarder->walk.vlans->vlans[packet_metadata(packet)->vlan].trunk != TRUNK_NONE))
		send(forwarder, edge, packet);
	else
		egress_drop(forwarder->graph, forwarder->node, ORIGIN_FORWARD_EDGE_DROP, packet,
			DROP_vlan_no_trunk);
}

static uint64_t find_destination(const struct forwarder *forwarder, struct rte_mbuf *packet)
{
	const uint8_t *frame = packet_frame(packet);

	if (eth_address_is_group(frame))
		return FDB_VALUE_NONE;
	return fdb_find(forwarder->walk.fdb, fdb_key(packet_metadata(packet)->vlan, frame));
}

/*
 * What the host's socket layer is to receive: unicast to it, and a copy of group-addressed frames
 * of its VLAN. True: the packet is gone. goes_on tells whether there is somewhere else for it.
 */
static bool deliver_to_host(struct forwarder *forwarder, struct rte_mbuf *packet, bool goes_on)
{
	const struct vlan_table *table = forwarder->walk.vlans;
	struct rte_mbuf *copy;
	uint64_t value;

	if (table->host_port == PORT_NONE || packet_metadata(packet)->vlan != table->host_vlan)
		return false;
	if (!eth_address_is_group(packet_frame(packet))) {
		value = find_destination(forwarder, packet);
		if (value == FDB_VALUE_NONE || fdb_value_kind(value) != FDB_HOST)
			return false;
		goes_on = false;
	}
	copy = goes_on ? egress_copy(forwarder->node, ORIGIN_FORWARD_EDGE_TO_HOST, packet) : packet;
	if (copy)
		send_to_port(forwarder, ORIGIN_FORWARD_EDGE_TO_HOST, copy, table->host_port,
			DROP_tx_down);
	return !goes_on;
}

/* Inspected traffic between partitions (G7). True: the packet is gone; else it goes outside, too.
 */
static bool deliver_east_west(struct forwarder *forwarder, struct rte_mbuf *packet)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	uint64_t value = find_destination(forwarder, packet);
	struct rte_mbuf *copy;

	if (value == FDB_VALUE_NONE && metadata->origin.adapter != TRUNK_NONE) {
		copy = egress_copy(forwarder->node, ORIGIN_FORWARD_EDGE_EAST_WEST, packet);
		if (copy)
			send(forwarder, ORIGIN_FORWARD_EDGE_EAST_WEST, copy);
		return false;
	}
	if (value != FDB_VALUE_NONE && fdb_value_kind(value) != FDB_INTERNAL)
		return false;
	send(forwarder, ORIGIN_FORWARD_EDGE_EAST_WEST, packet);
	return true;
}

static void forward_trunk(struct forwarder *forwarder, struct rte_mbuf *packet)
{
	if (unlikely(packet_metadata(packet)->flags & PACKET_IS_EAST_WEST)
		&& deliver_east_west(forwarder, packet))
		return;
	if (deliver_to_host(forwarder, packet, forwarder->walk.vlans->physical_port != PORT_NONE))
		return;
	send_to_physical(forwarder, ORIGIN_FORWARD_EDGE_TRUNK_TO_PHYSICAL, packet);
}

static void forward_physical(struct forwarder *forwarder, struct rte_mbuf *packet)
{
	const struct vlan *vlan = &forwarder->walk.vlans->vlans[packet_metadata(packet)->vlan];

	if (!deliver_to_host(
		    forwarder, packet, vlan->trunk != TRUNK_NONE && vlan->member_count > 0))
		send_to_trunk(forwarder, ORIGIN_FORWARD_EDGE_PHYSICAL_TO_TRUNK, packet);
}

/* Both sides get it, as far as they are there (block 337). */
static void forward_host_unknown(struct forwarder *forwarder, struct rte_mbuf *packet)
{
	const struct vlan_table *table = forwarder->walk.vlans;
	const struct vlan *vlan = &table->vlans[packet_metadata(packet)->vlan];
	bool has_trunk = vlan->trunk != TRUNK_NONE && vlan->member_count > 0;

	if (has_trunk && table->physical_port != PORT_NONE) {
		struct rte_mbuf *copy = egress_copy(
			forwarder->node, ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_PHYSICAL, packet);

		if (copy)
			send_to_physical(
				forwarder, ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_PHYSICAL, copy);
	}
	if (has_trunk)
		send_to_trunk(forwarder, ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_TRUNK, packet);
	else
		send_to_physical(forwarder, ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_PHYSICAL, packet);
}

static void forward_host(struct forwarder *forwarder, struct rte_mbuf *packet)
{
	uint64_t value = find_destination(forwarder, packet);

	if (value == FDB_VALUE_NONE)
		forward_host_unknown(forwarder, packet);
	else if (fdb_value_kind(value) == FDB_INTERNAL)
		send_to_trunk(forwarder, ORIGIN_FORWARD_EDGE_HOST_TO_TRUNK, packet);
	else if (fdb_value_kind(value) == FDB_EXTERNAL)
		send_to_physical(forwarder, ORIGIN_FORWARD_EDGE_HOST_TO_PHYSICAL, packet);
	else
		egress_drop(forwarder->graph, forwarder->node, ORIGIN_FORWARD_EDGE_DROP, packet,
			DROP_tx_same_port);
}

static void send_to_distributor(
	struct forwarder *forwarder, rte_edge_t edge, struct rte_mbuf *packet)
{
	trace_step(packet, "origin_forward", "%s", origin_forward_labels[edge]);
	forwarder->counts[edge]++;
	node_run_forward(&forwarder->run, forwarder->at, edge);
}

/* The inspector has passed the packet: its source is fit to be learned. */
static void learn(const struct gateway_walk *walk, struct rte_mbuf *packet)
{
	struct packet_metadata *metadata = packet_metadata(packet);

	metadata->flags &= (uint16_t)~PACKET_IS_NEWS;
	fdb_report(walk->learner, fdb_key(metadata->vlan, packet_frame(packet) + ETH_ADDRESS_SIZE),
		metadata->origin.ingress_port, metadata->origin.ingress_generation, walk->epoch);
}

static uint16_t origin_forward_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct forwarder forwarder = {
		.graph = graph,
		.node = node,
		.walk = gateway_walk_start(),
		.run = node_run_start(graph, node, objects, count),
	};
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;

	for (uint16_t i = 0; i < count; i++) {
		const struct packet_metadata *metadata = packet_metadata(packets[i]);

		forwarder.at = i;
		if (unlikely(metadata->flags & PACKET_IS_NEWS))
			learn(&forwarder.walk, packets[i]);
		if (unlikely(metadata->flags & PACKET_IS_FOR_VIPA)) {
			send_to_distributor(&forwarder, ORIGIN_FORWARD_EDGE_VIPA, packets[i]);
			continue;
		}
		switch (metadata->origin.kind) {
		case ORIGIN_TRUNK:
			forward_trunk(&forwarder, packets[i]);
			break;
		case ORIGIN_PHYSICAL:
			forward_physical(&forwarder, packets[i]);
			break;
		case ORIGIN_HOST:
			forward_host(&forwarder, packets[i]);
			break;
		case ORIGIN_REMOTE:
			forwarder.counts[ORIGIN_FORWARD_EDGE_REMOTE]++;
			node_forward(graph, node, ORIGIN_FORWARD_EDGE_REMOTE, packets[i]);
			break;
		case ORIGIN_DECRYPTED:
			send_to_distributor(&forwarder, ORIGIN_FORWARD_EDGE_VIPA, packets[i]);
			break;
		case ORIGIN_TARGET:
			send_to_distributor(&forwarder, ORIGIN_FORWARD_EDGE_TARGET, packets[i]);
			break;
		default:
			egress_drop(
				graph, node, ORIGIN_FORWARD_EDGE_DROP, packets[i], DROP_no_route);
			break;
		}
	}
	node_run_end(&forwarder.run);
	for (rte_edge_t edge = 0; edge < ORIGIN_FORWARD_EDGE_DROP; edge++)
		if (forwarder.counts[edge])
			node_count_edge(node, edge, forwarder.counts[edge]);
	return count;
}

struct rte_node_register origin_forward_node = {
	.name = "origin_forward",
	.process = origin_forward_process,
	.nb_edges = ORIGIN_FORWARD_EDGE_COUNT,
	.next_nodes =
		{
			[ORIGIN_FORWARD_EDGE_TRUNK_TO_PHYSICAL] = "tx",
			[ORIGIN_FORWARD_EDGE_PHYSICAL_TO_TRUNK] = "switch_forward",
			[ORIGIN_FORWARD_EDGE_HOST_TO_TRUNK] = "switch_forward",
			[ORIGIN_FORWARD_EDGE_HOST_TO_PHYSICAL] = "tx",
			[ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_TRUNK] = "switch_forward",
			[ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_PHYSICAL] = "tx",
			[ORIGIN_FORWARD_EDGE_TO_HOST] = "tx",
			[ORIGIN_FORWARD_EDGE_EAST_WEST] = "switch_forward",
			[ORIGIN_FORWARD_EDGE_REMOTE] = "geneve_output",
			[ORIGIN_FORWARD_EDGE_VIPA] = "distribute",
			[ORIGIN_FORWARD_EDGE_TARGET] = "distribute",
			[ORIGIN_FORWARD_EDGE_DROP] = "drop",
		},
};
