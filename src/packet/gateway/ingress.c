/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/ingress.h"

#include "packet/distributor/target.h"
#include "packet/distributor/vipa.h"

enum drop_reason ingress_check_source(const struct gateway_walk *walk,
	const struct switch_port *port, struct packet_metadata *metadata, uint64_t key)
{
	bool is_full = __atomic_load_n(&port->state->is_full, __ATOMIC_RELAXED);

	switch (fdb_check_source(walk->learner, walk->fdb, key, metadata->origin.ingress_port,
		port->generation, walk->epoch, is_full)) {
	case FDB_SOURCE_KNOWN:
		return DROP_none;
	case FDB_SOURCE_NEWS:
		metadata->flags |= PACKET_IS_NEWS;
		return DROP_none;
	case FDB_SOURCE_STATIC:
		return DROP_source_static;
	case FDB_SOURCE_PINNED:
		return DROP_mac_moving;
	case FDB_SOURCE_LIMIT:
		return DROP_source_limit;
	}
	return DROP_none;
}

static enum drop_reason check(const struct gateway_walk *walk, struct rte_mbuf *packet)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct switch_port *port = ingress_port(walk->vlans, &metadata->origin);
	enum drop_reason reason;
	const uint8_t *frame;
	uint64_t source;

	if (unlikely(!port))
		return DROP_vlan_not_member;
	reason = ingress_classify(walk->vlans, port, packet, metadata);
	if (unlikely(reason))
		return reason;
	frame = packet_frame(packet);
	source = fdb_key(metadata->vlan, frame + ETH_ADDRESS_SIZE);
	if (likely(fdb_is_cached(walk->learner, source, metadata->origin.ingress_port,
		    port->generation, walk->epoch)))
		return DROP_none;
	return ingress_check_source(walk, port, metadata, source);
}

uint16_t ingress_run(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **packets,
	uint16_t count, const struct ingress_takers *takers)
{
	struct gateway_walk walk = gateway_walk_start();
	struct node_run run = node_run_start(graph, node, (void **)packets, count);

	for (uint16_t i = 0; i < count; i++) {
		enum drop_reason reason;

		if (i + INGRESS_AHEAD < count)
			rte_prefetch0(packet_frame(packets[i + INGRESS_AHEAD]));
		reason = check(&walk, packets[i]);
		if (unlikely(takers->silent != NULL) && !reason
			&& vipa_is_source(takers->silent, packets[i]))
			reason = DROP_vipa_standby;
		if (likely(!reason)) {
			const struct packet_metadata *metadata = packet_metadata(packets[i]);
			rte_edge_t edge = INGRESS_EDGE_ORIGIN_TAG;

			if (takers->vipas && vipa_takes(takers->vipas, metadata->vlan, packets[i]))
				edge = INGRESS_EDGE_VIPA;
			else if (takers->target
				&& target_takes(takers->target, metadata->vlan, packets[i]))
				edge = INGRESS_EDGE_STATION;
			else if (!eth_address_is_group(
					 packet_frame(packets[i]))) /* for later nodes */
				fdb_prefetch(walk.fdb,
					fdb_key(metadata->vlan, packet_frame(packets[i])));
			trace_step(packets[i], node->name, "VLAN %u, priority %u", metadata->vlan,
				metadata->priority);
			node_run_forward(&run, i, edge);
			continue;
		}
		trace_step(packets[i], node->name, "drop: %s", drop_descriptions[reason].name);
		drop_mark(packets[i], reason);
		node_run_forward(&run, i, INGRESS_EDGE_DROP);
	}
	node_run_end(&run);
	return count;
}
