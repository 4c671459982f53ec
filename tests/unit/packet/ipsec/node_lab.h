/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nodes ipsec_input and ipsec_output in a graph of their own, with sinks where the real one has
 * its neighbours. One walk is one call of lab_walk().
 */
#pragma once

#include "packet/engine/nodes.h"
#include "packet/engine/worker.h"
#include "packet/ipsec/ipsec_packet.h"
#include "packet/port/port_table.h"

#include "ipsec_bench.h"

#include <rte_errno.h>

enum lab_entry { LAB_INPUT, LAB_OUTPUT };
enum lab_sink {
	LAB_ORIGIN_TAG,
	LAB_VIPA_OUTPUT,
	LAB_GRE_OUTPUT,
	LAB_TARGET_INPUT,
	LAB_TARGET_DIRECT,
	LAB_LINK_INPUT,
	LAB_TX,
	LAB_DROP,
	LAB_SINKS,
};

#define LAB_MAX 256

static struct {
	struct rte_mbuf *waiting[LAB_MAX];
	uint16_t waiting_count;
	enum lab_entry entry;
	struct rte_mbuf *got[LAB_SINKS][LAB_MAX];
	uint16_t got_count[LAB_SINKS];
	struct rte_graph *graph;
	struct port port;
} lab;

static uint16_t lab_source(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	uint16_t waiting = lab.waiting_count;

	(void)objects;
	(void)count;
	lab.waiting_count = 0;
	rte_node_enqueue(graph, node, (rte_edge_t)lab.entry, (void **)lab.waiting, waiting);
	return waiting;
}

static uint16_t lab_take(enum lab_sink sink, void **objects, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		lab.got[sink][lab.got_count[sink]++] = objects[i];
	return count;
}

#define LAB_SINK(name_, sink)                                                                      \
	static uint16_t name_##_take(                                                              \
		struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)    \
	{                                                                                          \
		return lab_take(sink, objects, count);                                             \
	}                                                                                          \
	static struct rte_node_register name_##_sink = {.name = #name_, .process = name_##_take}
LAB_SINK(origin_tag, LAB_ORIGIN_TAG);
LAB_SINK(vipa_output, LAB_VIPA_OUTPUT);
LAB_SINK(gre_output, LAB_GRE_OUTPUT);
LAB_SINK(target_input, LAB_TARGET_INPUT);
LAB_SINK(target_direct, LAB_TARGET_DIRECT);
LAB_SINK(link_input, LAB_LINK_INPUT);
LAB_SINK(tx, LAB_TX);
LAB_SINK(drop, LAB_DROP);

static struct rte_node_register lab_source_node = {
	.name = "lab_source",
	.flags = RTE_NODE_SOURCE_F,
	.process = lab_source,
	.nb_edges = 2,
	.next_nodes = {[LAB_INPUT] = "ipsec_input", [LAB_OUTPUT] = "ipsec_output"},
};

/* The settings in force, and a way out with an MTU of 1500. */
static inline void lab_configure(bool bypasses)
{
	static struct ipsec_settings settings;
	static struct port_table table;

	lab.port.mtu_bytes = 1500;
	table.count = 1;
	table.ports[0] = &lab.port;
	port_table = &table;
	settings = (struct ipsec_settings){.physical_port = 0, .bypasses = bypasses};
	ipsec_settings = &settings;
}

/* EAL and the tables are there. */
static inline int lab_open(void)
{
	static struct rte_node_register *const list[] = {&lab_source_node, &ipsec_input_node,
		&ipsec_output_node, &origin_tag_sink, &vipa_output_sink, &gre_output_sink,
		&target_input_sink, &target_direct_sink, &link_input_sink, &tx_sink, &drop_sink};
	const char *source = "lab_source";
	struct rte_graph_param param = {
		.socket_id = SOCKET_ID_ANY, .nb_node_patterns = 1, .node_patterns = &source};
	struct error error;

	if (ipsec_pool_open(&error) < 0)
		return -1;
	for (size_t i = 0; i < RTE_DIM(list); i++) {
		list[i]->parent_id = RTE_NODE_ID_INVALID;
		list[i]->id = __rte_node_register(list[i]);
	}
	if (rte_graph_create("lab", &param) == RTE_GRAPH_ID_INVALID) {
		fprintf(stderr, "no graph: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	lab.graph = rte_graph_lookup("lab");
	lab_configure(false);
	return 0;
}

static inline int lab_start(const char *name)
{
	return ipsec_bench_start(name, 256) < 0 ? -1 : lab_open();
}

static inline void lab_forget(void)
{
	for (int sink = 0; sink < LAB_SINKS; sink++) {
		for (uint16_t i = 0; i < lab.got_count[sink]; i++)
			rte_pktmbuf_free(lab.got[sink][i]);
		lab.got_count[sink] = 0;
	}
}

/* Consumes packet. */
static inline void lab_offer(struct rte_mbuf *packet)
{
	lab.waiting[lab.waiting_count++] = packet;
}

static inline void lab_walk(enum lab_entry entry)
{
	lab.entry = entry;
	rte_graph_walk(lab.graph);
}

/* The reason of the one packet that was dropped; DROP_none: not one. */
static inline enum drop_reason lab_dropped(void)
{
	if (lab.got_count[LAB_DROP] != 1)
		return DROP_none;
	return (enum drop_reason)packet_metadata(lab.got[LAB_DROP][0])->drop_reason;
}
