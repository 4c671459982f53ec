/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * switch_input: frames from partitions' ports (IEEE 802.1Q 8.6): VLAN rules, guard, storm limits
 * and rate, learning. Behind it a frame is in canonical form and allowed to be in its VLAN.
 * Workers.
 */
#include "packet/engine/nodes.h"
#include "packet/gateway/ingress.h"

#define CHUNK 32

enum switch_input_edge {
	SWITCH_INPUT_EDGE_FORWARD,
	SWITCH_INPUT_EDGE_DROP,
	SWITCH_INPUT_EDGE_COUNT
};

struct candidate {
	const struct switch_port *port;
	uint64_t source;
	enum drop_reason reason;
	bool is_known;
};

/* First pass: the VLAN, and cache lines on their way for the second. */
static inline void classify(
	const struct gateway_walk *walk, struct rte_mbuf *packet, struct candidate *out)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const uint8_t *frame;

	out->port = ingress_port(walk->vlans, &metadata->origin);
	if (unlikely(!out->port)) {
		out->reason = DROP_vlan_not_member;
		return;
	}
	out->reason = ingress_classify(walk->vlans, out->port, packet, metadata);
	if (unlikely(out->reason))
		return;
	frame = packet_frame(packet);
	out->source = fdb_key(metadata->vlan, frame + ETH_ADDRESS_SIZE);
	out->is_known = fdb_is_cached(walk->learner, out->source, metadata->origin.ingress_port,
		out->port->generation, walk->epoch);
	if (unlikely(!out->is_known))
		fdb_prefetch(walk->fdb, out->source);
	if (!eth_address_is_group(frame))
		fdb_prefetch(walk->fdb, fdb_key(metadata->vlan, frame)); /* for switch_forward */
}

static enum drop_reason check_storm(const struct switch_port *port, const uint8_t *frame)
{
	enum storm_kind kind = eth_address_is_broadcast(frame) ? STORM_BROADCAST : STORM_MULTICAST;

	return rate_allows(&port->state->storm[kind], RATE_PACKET, RATE_PRIORITY_UPPER)
		? DROP_none
		: DROP_storm;
}

/* Second pass: all that costs more, cheapest first. */
static inline enum drop_reason check(
	const struct gateway_walk *walk, struct rte_mbuf *packet, const struct candidate *candidate)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct switch_port *port = candidate->port;
	const uint8_t *frame = packet_frame(packet);
	enum drop_reason reason;

	if (port->guard) {
		reason = guard_check(port->guard, frame, rte_pktmbuf_data_len(packet),
			rte_pktmbuf_pkt_len(packet));
		if (unlikely(reason))
			return reason;
	}
	if (unlikely(!candidate->is_known)) {
		reason = ingress_check_source(walk, port, metadata, candidate->source);
		if (reason)
			return reason;
	}
	if (unlikely(eth_address_is_group(frame))) {
		reason = check_storm(port, frame);
		if (reason)
			return reason;
	}
	if (unlikely(!rate_allows(
		    &port->state->rate_in, rte_pktmbuf_pkt_len(packet), metadata->priority)))
		return DROP_rate_in;
	if (unlikely(metadata->flags & PACKET_IS_NEWS)) {
		metadata->flags &= (uint16_t)~PACKET_IS_NEWS;
		fdb_report(walk->learner, candidate->source, metadata->origin.ingress_port,
			port->generation, walk->epoch);
	}
	return DROP_none;
}

/* The chunk of the call's packets that begins at first. */
static void process_chunk(
	struct node_run *run, const struct gateway_walk *walk, uint16_t first, uint16_t count)
{
	struct rte_mbuf **packets = (struct rte_mbuf **)run->objects + first;
	struct candidate candidates[CHUNK];

	for (uint16_t i = 0; i < count; i++) {
		if (i + INGRESS_AHEAD < count)
			rte_prefetch0(packet_frame(packets[i + INGRESS_AHEAD]));
		classify(walk, packets[i], &candidates[i]);
	}
	for (uint16_t i = 0; i < count; i++) {
		enum drop_reason reason = candidates[i].reason;

		if (likely(!reason))
			reason = check(walk, packets[i], &candidates[i]);
		if (likely(!reason)) {
			trace_step(packets[i], "switch_input", "VLAN %u, priority %u",
				packet_metadata(packets[i])->vlan,
				packet_metadata(packets[i])->priority);
			node_run_forward(run, (uint16_t)(first + i), SWITCH_INPUT_EDGE_FORWARD);
			continue;
		}
		trace_step(packets[i], "switch_input", "drop: %s", drop_descriptions[reason].name);
		drop_mark(packets[i], reason);
		node_run_forward(run, (uint16_t)(first + i), SWITCH_INPUT_EDGE_DROP);
	}
}

static uint16_t switch_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct gateway_walk walk = gateway_walk_start();
	struct node_run run = node_run_start(graph, node, objects, count);

	for (uint16_t done = 0; done < count; done += CHUNK)
		process_chunk(
			&run, &walk, done, RTE_MIN((uint16_t)(count - done), (uint16_t)CHUNK));
	node_run_end(&run);
	return count;
}

struct rte_node_register switch_input_node = {
	.name = "switch_input",
	.process = switch_input_process,
	.nb_edges = SWITCH_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[SWITCH_INPUT_EDGE_FORWARD] = "switch_forward",
			[SWITCH_INPUT_EDGE_DROP] = "drop",
		},
};
