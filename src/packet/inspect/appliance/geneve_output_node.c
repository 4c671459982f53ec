/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geneve_output: what was inspected for another host goes back to it: the frame when it passed,
 * word of it when it was dropped or when there was no verdict to be had, so that the host need not
 * wait for its deadline. Workers.
 */
#include "packet/engine/drop_count.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/inspect/appliance/appliance.h"
#include "packet/inspect/inspect_nodes.h"

enum geneve_output_edge {
	GENEVE_OUTPUT_EDGE_TX,
	GENEVE_OUTPUT_EDGE_DROP,
	GENEVE_OUTPUT_EDGE_COUNT
};

struct way {
	const struct link_end *end; /* NULL: this host is no appliance (any more) */
	const struct port *port;    /* NULL: the link is down */
	uint32_t frame_max;
};

static void count(uint64_t *counter)
{
	/* Relaxed: a statistic; partner is appliance_clients(). */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* Of what was dropped: whether it was refused, or nobody could say. */
static enum message_kind verdict_of(const struct packet_metadata *metadata)
{
	switch (metadata->drop_reason) {
	case DROP_inspect_deadline:
	case DROP_inspect_overload:
	case DROP_inspect_down:
	case DROP_inspect_too_large:
	case DROP_inspect_unseen:
	case DROP_no_memory:
		return MESSAGE_FAILED;
	default:
		return MESSAGE_DROP;
	}
}

/* Headers may be put in front: the data is nobody else's, and there is room. */
static bool is_own(const struct rte_mbuf *packet, uint32_t headers_size)
{
	return RTE_MBUF_DIRECT(packet) && rte_mbuf_refcnt_read(packet) == 1
		&& rte_pktmbuf_headroom(packet) >= headers_size;
}

static struct rte_mbuf *make_carrier(
	struct rte_mbuf *packet, enum message_kind kind, const struct link_end *end)
{
	if (kind != MESSAGE_PASS)
		return rte_pktmbuf_alloc(packet_pool);
	if (is_own(packet, geneve_headers_size(end->local.version, MESSAGE_SIZE)))
		return packet;
	return rte_pktmbuf_copy(packet, packet_pool, 0, UINT32_MAX);
}

static void note(struct appliance_served *served, enum message_kind kind)
{
	count(kind == MESSAGE_PASS             ? &served->passed
			: kind == MESSAGE_DROP ? &served->dropped
					       : &served->failed);
}

/* NULL: packet is still the caller's, and why not is marked in it. */
static struct rte_mbuf *wrap(struct rte_mbuf *packet, enum message_kind kind, const struct way *way)
{
	struct packet_metadata metadata = *packet_metadata(packet);
	const struct remote_tag *remote = &metadata.remote;
	const struct link_key *key = link_find_key(way->end, remote->key);
	const struct message message = {.kind = (uint8_t)kind,
		.key = remote->key,
		.worker = remote->worker,
		.handle = (uint64_t)remote->handle[0] << 32 | remote->handle[1]};
	uint32_t hash = message_flow_hash(packet, metadata.vlan);
	struct rte_mbuf *carrier = key ? make_carrier(packet, kind, way->end) : NULL;

	if (!carrier
		|| !message_seal(carrier, &message, metadata.vlan, hash, way->end,
			&way->end->peers[remote->client], key, way->port)) {
		if (carrier != packet)
			rte_pktmbuf_free(carrier);
		drop_mark(packet, carrier ? DROP_link_no_peer : DROP_no_memory);
		return NULL;
	}
	if (metadata.flags & PACKET_IS_REFUSED)
		drop_note(metadata.origin.ingress_port, (enum drop_reason)metadata.drop_reason, 1);
	if (carrier != packet)
		rte_pktmbuf_free(packet);
	note(&appliance_served[worker_index][remote->client], kind);
	return carrier;
}

static struct rte_mbuf *answer(struct rte_mbuf *packet, const struct way *way)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	enum message_kind kind = MESSAGE_PASS;

	if (!way->port || metadata->remote.client >= way->end->peer_count) {
		drop_mark(packet, DROP_link_no_peer);
		return NULL;
	}
	if (metadata->flags & PACKET_IS_REFUSED) {
		kind = verdict_of(metadata);
	} else if (packet->pkt_len > way->frame_max) {
		drop_mark(packet, DROP_inspect_too_large);
		metadata->flags |= PACKET_IS_REFUSED;
		kind = MESSAGE_FAILED;
	}
	trace_step(packet, "geneve_output", "%s",
		kind == MESSAGE_PASS           ? "back to the host it came from"
			: kind == MESSAGE_DROP ? "the host is told: dropped"
					       : "the host is told: no verdict");
	return wrap(packet, kind, way);
}

static uint16_t geneve_output_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t packet_count)
{
	struct way way = {.end = link_end_of(publish_read(&link_table), LINK_APPLIANCE)};

	if (way.end)
		way.port = link_port(way.end);
	if (way.port)
		way.frame_max = message_frame_max(way.end, way.port);
	for (uint16_t i = 0; i < packet_count; i++) {
		struct rte_mbuf *packet = answer(objects[i], &way);

		if (likely(packet != NULL))
			node_forward(graph, node, GENEVE_OUTPUT_EDGE_TX, packet);
		else
			node_forward(graph, node, GENEVE_OUTPUT_EDGE_DROP, objects[i]);
	}
	return packet_count;
}

struct rte_node_register geneve_output_node = {
	.name = "geneve_output",
	.process = geneve_output_process,
	.nb_edges = GENEVE_OUTPUT_EDGE_COUNT,
	.next_nodes =
		{
			[GENEVE_OUTPUT_EDGE_TX] = "tx",
			[GENEVE_OUTPUT_EDGE_DROP] = "drop",
		},
};
