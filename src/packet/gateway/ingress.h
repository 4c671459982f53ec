/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the three input nodes have in common: how a frame becomes canonical (IEEE 802.1Q 6.9, 8.6),
 * and the check of its source address. Worker threads.
 */
#pragma once

#include "packet/engine/node.h"
#include "packet/engine/publish.h"
#include "packet/gateway/fdb_learn.h"
#include "packet/gateway/vlan_table.h"

#include <rte_cycles.h>

/* What a node reads once a burst. */
struct gateway_walk {
	const struct vlan_table *vlans; /* NULL: not configured yet */
	const struct fdb_table *fdb;
	struct fdb_learner *learner;
	uint32_t epoch;
};

static inline struct gateway_walk gateway_walk_start(void)
{
	struct gateway_walk walk = {
		.vlans = publish_read(&vlan_table),
		.fdb = publish_read(&fdb_table),
		.learner = &fdb_learners[worker_index],
	};

	/* Acquire; pairs with fdb_bump_epoch(). */
	if (walk.fdb)
		walk.epoch = __atomic_load_n(&walk.fdb->epoch, __ATOMIC_ACQUIRE);
	return walk;
}

static inline const uint8_t *packet_frame(const struct rte_mbuf *packet)
{
	return rte_pktmbuf_mtod(packet, const uint8_t *);
}

static inline uint16_t packet_ethertype(const struct rte_mbuf *packet)
{
	return network_load16(packet_frame(packet) + ETH_TYPE_OFFSET);
}

static inline bool rate_allows(struct rate *rate, uint32_t amount, uint8_t priority)
{
	/* Most ports have no limit: the clock is read for those that do. */
	if (likely(!__atomic_load_n(&rate->cost, __ATOMIC_RELAXED)))
		return true;
	return rate_take(rate, rte_rdtsc(), amount, priority);
}

/* Takes the outer tag off into metadata; returns its VLAN id, 0 of a priority tag. The frame is at
 * least 18 contiguous bytes. */
static inline uint16_t ingress_strip_tag(struct rte_mbuf *packet, struct packet_metadata *metadata)
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);
	uint16_t tci = network_load16(frame + ETH_HEADER_SIZE);

	metadata->tci_bits = (uint8_t)(tci >> 12);
	metadata->priority = (uint8_t)(tci >> 13);
	metadata->flags |= PACKET_WAS_TAGGED;
	memmove(frame + ETH_TAG_SIZE, frame, ETH_TYPE_OFFSET);
	rte_pktmbuf_adj(packet, ETH_TAG_SIZE);
	return tci & ETH_VLAN_ID_MASK;
}

/* 01:80:c2:00:00:0x: pause ends at the link; the others are what the policy says (G13,
 * docs/decisions/0004). */
static inline enum drop_reason ingress_check_reserved(
	const struct vlan_table *table, const uint8_t *frame)
{
	if (likely(!eth_address_is_reserved(frame)))
		return DROP_none;
	return table->forwards_reserved && frame[5] != ETH_RESERVED_PAUSE ? DROP_none
									  : DROP_reserved_address;
}

/* Brings a frame into canonical form and into its VLAN. port is the one it came through. */
static inline enum drop_reason ingress_classify(const struct vlan_table *table,
	const struct switch_port *port, struct rte_mbuf *packet, struct packet_metadata *metadata)
{
	metadata->vlan = port->pvid;
	metadata->priority = port->priority;
	if (packet_ethertype(packet) == ETH_TYPE_VLAN) {
		uint16_t vlan;

		if (unlikely(rte_pktmbuf_data_len(packet) < ETH_HEADER_SIZE + ETH_TAG_SIZE))
			return DROP_rx_malformed;
		vlan = ingress_strip_tag(packet, metadata);
		if (vlan)
			metadata->vlan = vlan;
		/* An access port takes priority tags only. A second tag behind one would become the
		 * outer one where the VLAN leaves untagged. */
		if (unlikely(!(port->flags & SWITCH_PORT_TAKES_TAGS)
			    && (vlan || packet_ethertype(packet) == ETH_TYPE_VLAN)))
			return DROP_vlan_tagged;
	}
	if (unlikely(!metadata->vlan))
		return DROP_vlan_untagged;
	if (unlikely(
		    metadata->vlan > ETH_VLAN_ID_MAX || !switch_port_carries(port, metadata->vlan)))
		return DROP_vlan_not_member;
	if (unlikely(eth_address_is_group(packet_frame(packet) + ETH_ADDRESS_SIZE)
		    || eth_address_is_zero(packet_frame(packet) + ETH_ADDRESS_SIZE)))
		return DROP_source_invalid;
	return ingress_check_reserved(table, packet_frame(packet));
}

/* Finds the port of a packet; NULL: it is not the switch's, or the index has another port now. */
static inline const struct switch_port *ingress_port(
	const struct vlan_table *table, const struct origin *origin)
{
	const struct switch_port *port = vlan_table_port(table, origin->ingress_port);

	return port && port->generation == origin->ingress_generation ? port : NULL;
}

/* The source of a packet that is not in the worker's cache: marks news, or says why to drop. */
enum drop_reason ingress_check_source(const struct gateway_walk *walk,
	const struct switch_port *port, struct packet_metadata *metadata, uint64_t key);

/*
 * The body of physical_input and host_input: frames of one port kind that all go to origin_tag, or
 * are dropped. Their sources are checked here, and learned when inspection has passed them. Takers
 * say what of them is taken out, along edges of their own.
 */
#define INGRESS_AHEAD 4 /* packets whose headers are fetched in advance */
enum ingress_edge {
	INGRESS_EDGE_ORIGIN_TAG,
	INGRESS_EDGE_DROP,
	INGRESS_EDGE_COUNT,
	INGRESS_EDGE_VIPA = INGRESS_EDGE_COUNT, /* of physical_input alone, as the next one */
	INGRESS_EDGE_STATION,
	INGRESS_EDGE_PHYSICAL_COUNT,
};
struct ingress_takers {
	const struct vipa_table *vipas;    /* NULL: no distributor */
	const struct target_table *target; /* NULL: no target */
	/* Whose addresses nobody behind this ingress may speak for: they are another distributor's
	 * now. NULL: they are not. */
	const struct vipa_table *silent;
};
uint16_t ingress_run(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **packets,
	uint16_t count, const struct ingress_takers *takers);
