/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * distribute: which target a client's packet goes to (D2), and which client a target's goes back to
 * (D7). New connections are scheduled, ICMP errors follow the connection that they are about, and
 * the distributor answers echoes itself. What clients send passes the common filters first (D8).
 * All packets of a client and a VIPA come to one worker.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/filter.h"
#include "packet/distributor/health.h"
#include "packet/distributor/standby.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/ipsec/ipsec.h"
#include "packet/port/port.h"
#include "wire/icmp_error.h"
#include "wire/tcp.h"

#include <netinet/in.h>

#define ICMP_ECHO   8
#define ICMPV6_ECHO 128

enum distribute_edge {
	DISTRIBUTE_EDGE_TARGET,
	DISTRIBUTE_EDGE_PARTITION,
	DISTRIBUTE_EDGE_CLIENT, /* a target's answer, or an echo's */
	DISTRIBUTE_EDGE_DROP,
	DISTRIBUTE_EDGE_COUNT,
	DISTRIBUTE_TAKEN, /* a fragment that waits for the others */
};

/* One packet on its way. */
struct job {
	struct vipa_table *table;
	struct distributor_worker *own;
	const struct filter_set *filters;
	struct rte_mbuf *packet;
	struct packet_metadata *metadata;
	struct decoded decoded;
};

static rte_edge_t refuse(const struct job *job, enum drop_reason reason)
{
	trace_step(job->packet, "distribute", "drop: %s", drop_descriptions[reason].name);
	drop_mark(job->packet, reason);
	return DISTRIBUTE_EDGE_DROP;
}

static bool is_from_target(const struct job *job)
{
	return job->metadata->origin.kind == ORIGIN_TARGET;
}

static uint16_t refused_by(const struct job *job)
{
	DISTRIBUTE_COUNT(job->own->vipas[job->metadata->service.vipa].refused, 1);
	return VIPA_NONE;
}

/* ---- connections ---- */

/* Of the packet, or of the one that an error is about, seen from the client. */
static void make_key(const struct job *job, const struct decoded *decoded, bool is_from_client,
	struct connection_key *key)
{
	uint16_t vipa = job->metadata->service.vipa;

	*key = (struct connection_key){
		.client_port = is_from_client ? decoded->source_port : decoded->destination_port,
		.port = is_from_client ? decoded->destination_port : decoded->source_port,
		.vipa = vipa,
		.vipa_generation = job->table->vipas[vipa].generation,
		.protocol = decoded->protocol};
	memcpy(key->client, is_from_client ? decoded->source : decoded->destination,
		sizeof(key->client));
}

static bool is_same_target(const struct vipa_table *table, const struct connection *connection)
{
	const struct vipa_target *target = &table->targets[connection->target];

	return target->name[0] && target->generation == connection->target_generation;
}

/* TCP's flags, or the type of SCTP's first chunk (RFC 9260 section 3.2). */
static uint8_t flags_of(const struct decoded *decoded)
{
	if (decoded->protocol == IPPROTO_TCP)
		return decoded->tcp_flags;
	if (decoded->protocol == IPPROTO_SCTP && decoded->payload_size > 0
		&& decoded->payload_offset < decoded->captured_size)
		return decoded->frame[decoded->payload_offset];
	return 0;
}

static bool begins_connection(const struct decoded *decoded)
{
	if (decoded->protocol == IPPROTO_TCP)
		return (decoded->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
	return decoded->protocol != IPPROTO_SCTP || flags_of(decoded) == 1; /* INIT */
}

/* Whether a packet of no connection that is known may make one. Maglev's choice is the same each
 * time, so that connections which a restarted distributor has forgotten find back. */
static bool may_begin(const struct job *job, const struct vipa_service *service)
{
	return begins_connection(&job->decoded)
		|| (service->scheduling == VIPA_MAGLEV && !(job->decoded.tcp_flags & TCP_RST));
}

/* A target for a client's packet that begins a connection, or whose connection is moved. */
static enum drop_reason begin(const struct job *job, const struct connection_key *key,
	bool is_moved, struct connection **out)
{
	const struct vipa *vipa = &job->table->vipas[key->vipa];
	const struct vipa_service *service =
		vipa_find_service(job->table, vipa, key->protocol, key->port);
	struct connection *connection;
	uint16_t target;

	if (!service)
		return DROP_vipa_no_service;
	if (!is_moved && !may_begin(job, service))
		return DROP_connection_unknown;
	target = schedule_pick(
		service, (uint16_t)(service - job->table->services), key, &job->own->round);
	if (target == VIPA_NONE) {
		refused_by(job);
		return DROP_target_none;
	}
	connection = connection_add(job->own->connections, key, CONNECTION_EMBRYONIC, target,
		job->table->targets[target].generation, job->own->now);
	if (!connection) {
		refused_by(job);
		return DROP_connection_full;
	}
	connection->peer = job->metadata->service.peer;
	if (job->metadata->origin.kind == ORIGIN_DECRYPTED)
		connection->flags |= CONNECTION_IS_SECURE;
	DISTRIBUTE_COUNT(job->own->vipas[key->vipa].connections, 1);
	DISTRIBUTE_COUNT(job->own->targets[target].connections, 1);
	*out = connection;
	return DROP_none;
}

/* The target of a known connection may have gone, or died: then it begins anew, or is reset by
 * distribute_tick, which is on its way. */
static enum drop_reason check_target(const struct job *job, struct connection **connection)
{
	struct connection_key key = (*connection)->key;

	if (likely(is_same_target(job->table, *connection) && health_is_up((*connection)->target)))
		return DROP_none;
	if (!job->table->moves && key.protocol != IPPROTO_UDP && !begins_connection(&job->decoded))
		return DROP_target_none;
	connection_remove(job->own->connections, *connection);
	return begin(job, &key, true, connection);
}

/* What came by IPsec is believed by IPsec only, and the other way round (D3). */
static bool is_as_secure(const struct job *job, const struct connection *connection)
{
	bool is_secure = connection->flags & CONNECTION_IS_SECURE;

	return is_secure == (job->metadata->origin.kind == ORIGIN_DECRYPTED);
}

static void note_outside(const struct service_tag *service, struct connection *connection)
{
	if (unlikely(service->peer == IPSEC_PEER_UNKNOWN))
		return; /* an inspector's, in the client's name */
	connection->peer = service->peer;
	connection->flags &= (uint8_t)~CONNECTION_OUTER_IPV6;
	if (service->is_outer_ipv6)
		connection->flags |= CONNECTION_OUTER_IPV6;
}

static void follow(const struct job *job, struct connection *connection, bool is_from_client)
{
	enum connection_state next =
		connection_next_state(connection, flags_of(&job->decoded), is_from_client);

	if (is_from_client) {
		connection->packets++;
		if (job->decoded.protocol == IPPROTO_TCP && job->decoded.tcp_flags & TCP_ACK)
			connection->acknowledged = job->decoded.tcp_acknowledgement;
		if (connection->flags & CONNECTION_IS_SECURE)
			note_outside(&job->metadata->service, connection);
	}
	connection_touch(job->own->connections, connection, next, job->own->now);
}

/* ---- to a target ---- */

/* A partition of this host gets the frame as from the VIPA. */
static rte_edge_t give_to_partition(const struct job *job, const struct vipa_target *target)
{
	const struct vipa *vipa = &job->table->vipas[job->metadata->service.vipa];
	uint8_t *frame = rte_pktmbuf_mtod(job->packet, uint8_t *);

	memcpy(frame, target->local_mac, ETH_ADDRESS_SIZE);
	memcpy(frame + ETH_ADDRESS_SIZE, vipa->mac, ETH_ADDRESS_SIZE);
	job->metadata->vlan = target->local_vlan;
	trace_step(job->packet, "distribute", "to target %s, partition %s", target->name,
		target->local_name);
	return DISTRIBUTE_EDGE_PARTITION;
}

static rte_edge_t give_to_target(const struct job *job, const struct connection *connection)
{
	uint16_t index = connection->target, vipa = job->metadata->service.vipa;
	const struct vipa_target *target = &job->table->targets[index];
	uint32_t size = job->packet->pkt_len;

	job->metadata->service.target = index;
	job->metadata->service.is_secure = connection->flags & CONNECTION_IS_SECURE;
	DISTRIBUTE_COUNT(job->own->vipas[vipa].packets, 1);
	DISTRIBUTE_COUNT(job->own->vipas[vipa].bytes, size);
	DISTRIBUTE_COUNT(job->own->targets[index].packets, 1);
	DISTRIBUTE_COUNT(job->own->targets[index].bytes, size);
	if (target->is_local)
		return give_to_partition(job, target);
	trace_step(job->packet, "distribute", "to target %s", target->name);
	return DISTRIBUTE_EDGE_TARGET;
}

static void clamp(const struct job *job, const struct connection *connection)
{
	if (job->decoded.protocol == IPPROTO_TCP && job->decoded.tcp_flags & TCP_SYN)
		clamp_mss(job->packet, &job->decoded,
			distribute_path_mtu(job->table, connection->target,
				connection->flags & CONNECTION_IS_SECURE,
				connection->flags & CONNECTION_OUTER_IPV6));
}

static rte_edge_t from_client(const struct job *job)
{
	struct connection_key key;
	struct connection *connection;
	enum drop_reason reason;

	make_key(job, &job->decoded, true, &key);
	connection = connection_find(job->own->connections, &key);
	if (connection && !is_as_secure(job, connection))
		return refuse(job, DROP_vipa_plain);
	/* Two peers behind one address chose the same port: a target cannot tell them apart. */
	if (connection && ipsec_is_other_peer(connection->peer, job->metadata->service.peer))
		return refuse(job, DROP_connection_peer);
	reason = connection ? check_target(job, &connection) : begin(job, &key, false, &connection);
	if (unlikely(reason))
		return refuse(job, reason);
	follow(job, connection, true);
	clamp(job, connection);
	return give_to_target(job, connection);
}

/* ---- to a client ---- */

static rte_edge_t give_to_client(const struct job *job, const struct connection *connection)
{
	uint16_t index = connection->target;

	job->metadata->service.is_secure = connection->flags & CONNECTION_IS_SECURE;
	job->metadata->service.peer = connection->peer;
	DISTRIBUTE_COUNT(job->own->vipas[connection->key.vipa].answers, 1);
	DISTRIBUTE_COUNT(job->own->targets[index].answers, 1);
	trace_step(job->packet, "distribute", "of target %s, to the client",
		job->table->targets[index].name);
	return DISTRIBUTE_EDGE_CLIENT;
}

/* The connection is that target's, and its key says what the connection is; a partition of this
 * host needs no key. An inspector's word in a target's stead needs the connection alone. */
static bool may_answer(const struct job *job, const struct connection *connection)
{
	const struct service_tag *service = &job->metadata->service;
	bool is_secure = connection->flags & CONNECTION_IS_SECURE;

	if (service->target == SERVICE_NO_TARGET)
		return service->is_secure == is_secure;
	return connection->target == service->target && is_same_target(job->table, connection)
		&& (job->table->targets[service->target].is_local
			|| service->is_secure == is_secure);
}

static rte_edge_t to_client(const struct job *job)
{
	struct connection_key key;
	struct connection *connection;

	make_key(job, &job->decoded, false, &key);
	connection = connection_find(job->own->connections, &key);
	if (!connection || !may_answer(job, connection))
		return refuse(job, DROP_gre_unknown);
	follow(job, connection, false);
	clamp(job, connection);
	return give_to_client(job, connection);
}

/* ---- ICMP ---- */

static bool is_echo(const struct decoded *decoded)
{
	if (decoded->protocol == IPPROTO_ICMP)
		return decoded->icmp_type == ICMP_ECHO && decoded->payload_offset;
	return decoded->protocol == IPPROTO_ICMPV6 && decoded->icmp_type == ICMPV6_ECHO
		&& decoded->payload_offset;
}

/* An error goes the way of the packets that it tells of, to their sender. */
static rte_edge_t relay_error(const struct job *job)
{
	bool is_answer = is_from_target(job);
	struct connection_key key;
	struct connection *connection;
	struct decoded about;

	if (icmp_error_read(&job->decoded, &about) < 0)
		return refuse(job, is_answer ? DROP_gre_unknown : DROP_connection_unknown);
	make_key(job, &about, is_answer, &key);
	connection = connection_find(job->own->connections, &key);
	if (is_answer)
		return connection && may_answer(job, connection) ? give_to_client(job, connection)
								 : refuse(job, DROP_gre_unknown);
	if (!connection || !is_same_target(job->table, connection))
		return refuse(job, DROP_connection_unknown);
	return is_as_secure(job, connection) ? give_to_target(job, connection)
					     : refuse(job, DROP_vipa_plain);
}

static rte_edge_t take_icmp(const struct job *job)
{
	if (is_from_target(job) || !is_echo(&job->decoded))
		return relay_error(job);
	message_echo(job->packet, &job->decoded);
	job->metadata->service.is_secure = job->metadata->origin.kind == ORIGIN_DECRYPTED;
	trace_step(job->packet, "distribute", "echo answered");
	return DISTRIBUTE_EDGE_CLIENT;
}

/* ---- the node ---- */

/* What came by IPsec may be for another VIPA than the one it was encrypted for. */
static bool find_inner(struct job *job)
{
	struct ip_address destination = {.version = job->decoded.ip_version};

	if (job->metadata->origin.kind != ORIGIN_DECRYPTED)
		return job->metadata->service.vipa < job->table->vipa_count
			&& job->table->vipas[job->metadata->service.vipa].name[0];
	memcpy(destination.bytes, job->decoded.destination, sizeof(destination.bytes));
	job->metadata->service.vipa = vipa_find(job->table, job->metadata->vlan, &destination);
	return job->metadata->service.vipa != VIPA_NONE;
}

static void decode(struct job *job)
{
	job->metadata = packet_metadata(job->packet);
	decode_headers(rte_pktmbuf_mtod(job->packet, const uint8_t *), job->packet->data_len,
		job->packet->pkt_len, &job->decoded);
}

/* Padding of the frame is none of the packet's. */
static void trim(const struct job *job)
{
	uint32_t extra = job->packet->pkt_len - job->decoded.l3_end;

	if (unlikely(extra > 0) && !(job->packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
		rte_pktmbuf_trim(job->packet, (uint16_t)extra);
}

static rte_edge_t sort(struct job *job)
{
	decode(job);
	if (job->decoded.malformed || !job->decoded.ip_version
		|| job->decoded.l3_offset != ETH_HEADER_SIZE)
		return refuse(job, DROP_vipa_malformed);
	if (!find_inner(job))
		return refuse(job, DROP_vipa_unknown);
	if (job->metadata->origin.kind == ORIGIN_DECRYPTED
		&& job->table->vipas[job->metadata->service.vipa].security == VIPA_SECURITY_OFF)
		return refuse(job, DROP_vipa_no_ipsec);
	if (unlikely(job->decoded.is_fragment)) {
		job->packet = datagram_reassemble(job->own, job->packet, &job->decoded);
		if (!job->packet)
			return DISTRIBUTE_TAKEN;
		decode(job);
		if (job->decoded.malformed)
			return refuse(job, DROP_vipa_malformed);
	}
	trim(job);
	/* Whether it was decrypted or came in clear: here, and at no target again (D8). */
	if (!is_from_target(job) && !filter_check(job->filters, &job->decoded))
		return refuse(job, DROP_filter_rule);
	switch (job->decoded.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return is_from_target(job) ? to_client(job) : from_client(job);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return take_icmp(job);
	default:
		return refuse(job, DROP_vipa_no_service);
	}
}

static uint16_t distribute_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct job job = {.table = publish_read(&vipa_table),
		.own = distributor_own(),
		.filters = publish_read(&filter_set)};

	bool is_silent = standby_is_silent();

	if (job.table)
		job.own->now = distribute_clock();
	for (uint16_t i = 0; i < count; i++) {
		rte_edge_t edge;

		job.packet = objects[i];
		job.metadata = packet_metadata(job.packet);
		if (unlikely(!job.table || is_silent))
			edge = refuse(&job, job.table ? DROP_vipa_standby : DROP_vipa_unknown);
		else
			edge = sort(&job);
		if (likely(edge != DISTRIBUTE_TAKEN))
			node_forward(graph, node, edge, job.packet);
	}
	return count;
}

struct rte_node_register distribute_node = {
	.name = "distribute",
	.process = distribute_process,
	.nb_edges = DISTRIBUTE_EDGE_COUNT,
	.next_nodes =
		{
			[DISTRIBUTE_EDGE_TARGET] = "gre_output",
			[DISTRIBUTE_EDGE_PARTITION] = "switch_forward",
			[DISTRIBUTE_EDGE_CLIENT] = "ipsec_output",
			[DISTRIBUTE_EDGE_DROP] = "drop",
		},
};
