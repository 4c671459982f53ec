/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geneve_input: Geneve from a trusted link. What another host wants inspected is authenticated,
 * unwrapped and tagged ORIGIN_REMOTE, so that it walks to the inspectors and back to that host;
 * probes are answered; what returns to our own engine goes to the worker that holds its packet.
 * Workers.
 */
#include "packet/engine/nodes.h"
#include "packet/inspect/appliance/appliance.h"
#include "packet/inspect/inspect_nodes.h"

#include "packet/engine/pool.h"

enum geneve_input_edge {
	GENEVE_INPUT_EDGE_ORIGIN_TAG,
	GENEVE_INPUT_EDGE_ANSWER,
	GENEVE_INPUT_EDGE_DROP,
	GENEVE_INPUT_EDGE_COUNT,
	GENEVE_INPUT_TAKEN, /* by a ring, or freed */
};

static void count(uint64_t *counter)
{
	/* Relaxed: a statistic; partner is appliance_clients(). */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static rte_edge_t refuse(struct rte_mbuf *packet, enum drop_reason reason)
{
	drop_mark(packet, reason);
	return GENEVE_INPUT_EDGE_DROP;
}

/* ---- for our own engine ---- */

static rte_edge_t give_back(struct rte_mbuf *packet, const struct message *message)
{
	struct rte_ring *ring =
		message->worker < worker_count() ? appliance_returns[message->worker] : NULL;

	if (!ring)
		return refuse(packet, DROP_link_unknown);
	if (rte_ring_mp_enqueue(ring, packet) < 0)
		return refuse(packet, DROP_handoff_full);
	if (message->worker != worker_index)
		worker_wake(message->worker);
	return GENEVE_INPUT_TAKEN;
}

/* ---- as the appliance ---- */

static bool is_ready(void)
{
	const struct inspect_chain *chain = publish_read(&inspect_chain);

	for (uint16_t i = 0; chain && i < chain->count; i++)
		if (__atomic_load_n(&chain->engines[i]->is_down, __ATOMIC_RELAXED))
			return false;
	return chain && chain->count > 0;
}

/* The probe's own buffer carries the answer. */
static rte_edge_t answer_probe(struct rte_mbuf *packet, const struct message *probe,
	const struct link_end *end, const struct link_peer *peer, const struct link_key *key)
{
	const struct message answer = {.kind = MESSAGE_ANSWER,
		.key = probe->key,
		.worker = probe->worker,
		.flags = is_ready() ? MESSAGE_IS_READY : 0,
		.handle = probe->handle};
	const struct port *port = link_port(end);

	if (packet->nb_segs > 1 || !port)
		return refuse(packet, DROP_link_no_peer);
	rte_pktmbuf_reset(packet);
	if (message_seal(packet, &answer, 0, 0, end, peer, key, port))
		return GENEVE_INPUT_EDGE_ANSWER;
	*packet_metadata(packet) = (struct packet_metadata){.origin = {.ingress_port = end->port}};
	return refuse(packet, DROP_link_no_peer);
}

static rte_edge_t take_request(struct rte_mbuf *packet, const struct message *message,
	const struct geneve *geneve, uint8_t client)
{
	struct packet_metadata *metadata = packet_metadata(packet);

	if (geneve->network < ETH_VLAN_ID_MIN || geneve->network > ETH_VLAN_ID_MAX
		|| geneve->payload_end - geneve->payload_offset < ETH_HEADER_SIZE
		|| !message_strip(packet, geneve))
		return refuse(packet, DROP_link_malformed);
	metadata->vlan = (uint16_t)geneve->network;
	metadata->origin.kind = ORIGIN_REMOTE;
	metadata->origin.adapter = message->flags;
	metadata->origin.vlan = metadata->vlan;
	metadata->remote = (struct remote_tag){
		.handle = {(uint32_t)(message->handle >> 32), (uint32_t)message->handle},
		.worker = (uint16_t)(message->worker & 0xf),
		.port = (uint16_t)(message->ingress_port & 0xfff),
		.client = client,
		.key = message->key};
	packet->ol_flags &= ~(RTE_MBUF_F_TX_OFFLOAD_MASK);
	return GENEVE_INPUT_EDGE_ORIGIN_TAG;
}

static rte_edge_t serve(struct rte_mbuf *packet, struct link_end *end,
	const struct message *message, const struct geneve *geneve)
{
	int client = link_find_peer(end, &geneve->source);
	const struct link_key *key = link_find_key(end, message->key);
	struct appliance_served *served;

	if (client < 0)
		return refuse(packet, DROP_link_forged);
	served = &appliance_served[worker_index][client];
	if (!key
		|| !message_is_authentic(key, geneve->option, geneve->network, packet,
			geneve->payload_offset, geneve->payload_end - geneve->payload_offset)) {
		count(&served->forged);
		return refuse(packet, DROP_link_forged);
	}
	/* From here on its sender is who it says: the answer goes where this came from. */
	link_learn_mac(&end->peers[client],
		rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_ADDRESS_SIZE));
	if (message->kind == MESSAGE_PROBE) {
		count(&served->probes);
		return answer_probe(packet, message, end, &end->peers[client], key);
	}
	count(&served->requests);
	return take_request(packet, message, geneve, (uint8_t)client);
}

/* ---- the node ---- */

static bool is_ours(
	const struct link_end *end, const struct rte_mbuf *packet, const struct geneve *geneve)
{
	return end && end->port == packet_metadata_const(packet)->origin.ingress_port
		&& end->local.version == geneve->destination.version
		&& memcmp(end->local.bytes, geneve->destination.bytes, sizeof(end->local.bytes))
		== 0;
}

static rte_edge_t sort(struct link_table *table, struct rte_mbuf *packet)
{
	struct message message;
	struct geneve geneve;
	struct link_end *end;
	enum geneve_fault fault =
		geneve_parse(rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len,
			packet->pkt_len, MESSAGE_OPTION_CLASS, MESSAGE_OPTION_TYPE, &geneve);

	if (fault == GENEVE_NOT_IP || fault == GENEVE_OTHER_PORT)
		return refuse(packet, DROP_link_unknown);
	if (fault != GENEVE_FINE || !message_parse(geneve.option, geneve.option_size, &message)) {
		trace_step(packet, "geneve_input", "malformed: %s", geneve_fault_name(fault));
		return refuse(packet, DROP_link_malformed);
	}
	end = link_end_of(
		table, message_is_for_appliance(message.kind) ? LINK_APPLIANCE : LINK_CLIENT);
	if (!is_ours(end, packet, &geneve))
		return refuse(packet, DROP_link_unknown);
	if (message_is_for_appliance(message.kind))
		return serve(packet, end, &message, &geneve);
	return give_back(packet, &message);
}

static uint16_t geneve_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count_in)
{
	struct link_table *table = publish_read(&link_table);

	for (uint16_t i = 0; i < count_in; i++) {
		struct rte_mbuf *packet = pool_gather(objects[i]);
		rte_edge_t edge;

		if (unlikely(!packet)) {
			packet = objects[i];
			edge = refuse(packet, DROP_no_memory);
		} else {
			edge = sort(table, packet);
		}
		if (edge != GENEVE_INPUT_TAKEN)
			node_forward(graph, node, edge, packet);
	}
	return count_in;
}

struct rte_node_register geneve_input_node = {
	.name = "geneve_input",
	.process = geneve_input_process,
	.nb_edges = GENEVE_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[GENEVE_INPUT_EDGE_ORIGIN_TAG] = "origin_tag",
			[GENEVE_INPUT_EDGE_ANSWER] = "tx",
			[GENEVE_INPUT_EDGE_DROP] = "drop",
		},
};
