/* SPDX-License-Identifier: BSD-3-Clause */
/* What a target says to its distributors (D14), and how it is wrapped (D6). Workers. */
#include "base/clock.h"
#include "packet/distributor/target.h"
#include "packet/engine/metadata.h"
#include "packet/engine/pool.h"
#include "packet/port/port.h"

#define LATE_MAX 4 /* reports since the one that an answer is to */

bool target_wrap(struct rte_mbuf *packet, const struct link_end *end, uint8_t peer,
	const struct port *port, uint32_t key, uint16_t protocol)
{
	const struct link_peer *other = &end->peers[peer];
	uint32_t size = packet->pkt_len;
	uint8_t mac[ETH_ADDRESS_SIZE], *out;
	const struct gre_headers headers = {
		.source_mac = port->mac,
		.destination_mac = mac,
		.source = &end->local,
		.destination = &other->address,
		.key = key,
		.protocol = protocol,
	};

	if (!link_peer_mac(other, mac))
		return false;
	out = (uint8_t *)rte_pktmbuf_prepend(
		packet, (uint16_t)(ETH_HEADER_SIZE + gre_overhead(end->local.version)));
	if (!out)
		return false;
	gre_write(out, &headers, size);
	packet->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
	return true;
}

static void list_services(const struct target_table *table, struct heartbeat *report)
{
	for (uint16_t i = 0; i < table->vipa_count; i++)
		for (uint16_t j = 0; j < table->service_count; j++)
			report->services[report->service_count++] = (struct heartbeat_service){
				.vipa = table->vipas[i],
				.protocol = table->services[j].protocol,
				.port = table->services[j].port,
				.is_ready = __atomic_load_n(&target_is_ready[j], __ATOMIC_RELAXED)};
}

struct rte_mbuf *target_report(const struct target_table *table, const struct link_end *end,
	uint8_t peer, const struct port *port)
{
	const struct target_keys *keys = target_keys(table, peer);
	struct heartbeat report = {
		.kind = HEARTBEAT_REPORT,
		.session = __atomic_load_n(&target_reports.session, __ATOMIC_RELAXED),
		.sequence = __atomic_load_n(&target_reports.sequence, __ATOMIC_RELAXED),
		.challenge = __atomic_load_n(&target_peers[peer].challenge, __ATOMIC_RELAXED),
		.load = __atomic_load_n(&target_reports.load, __ATOMIC_RELAXED),
	};
	struct rte_mbuf *packet = keys->count ? rte_pktmbuf_alloc(packet_pool) : NULL;
	uint8_t *body;
	size_t size;

	if (!packet)
		return NULL;
	list_services(table, &report);
	body = (uint8_t *)rte_pktmbuf_append(packet, HEARTBEAT_SIZE_MAX);
	size = heartbeat_seal(
		body, &report, keys->keys[0].secret, &end->local, &end->peers[peer].address);
	rte_pktmbuf_trim(packet, (uint16_t)(HEARTBEAT_SIZE_MAX - size));
	if (!target_wrap(packet, end, peer, port, keys->keys[0].to_distributor.keys[GRE_CONTROL],
		    GRE_HEARTBEAT)) {
		rte_pktmbuf_free(packet);
		return NULL;
	}
	*packet_metadata(packet) = (struct packet_metadata){
		.origin = {.ingress_port = PORT_NONE}, .egress_port = port->index};
	return packet;
}

/* With whichever secret is shared. */
static bool open_answer(const struct target_keys *keys, const uint8_t *body, uint32_t size,
	const struct gre *gre, struct heartbeat *answer)
{
	for (uint8_t i = 0; i < keys->count; i++)
		if (heartbeat_open(body, size, keys->keys[i].secret, &gre->source,
			    &gre->destination, answer)
			== HEARTBEAT_FINE)
			return answer->kind == HEARTBEAT_ANSWER;
	return false;
}

bool target_take_answer(const struct target_table *table, uint8_t peer, struct rte_mbuf *packet,
	const struct gre *gre)
{
	struct target_peer *state = &target_peers[peer];
	uint32_t size = gre->payload_end - gre->payload_offset;
	uint8_t copy[HEARTBEAT_SIZE_MAX];
	struct heartbeat answer;
	const uint8_t *body;
	uint64_t last;

	last = __atomic_load_n(&target_reports.sequence, __ATOMIC_RELAXED);
	body = size <= sizeof(copy) ? rte_pktmbuf_read(packet, gre->payload_offset, size, copy)
				    : NULL;
	if (!body || !open_answer(target_keys(table, peer), body, size, gre, &answer)
		|| answer.session != __atomic_load_n(&target_reports.session, __ATOMIC_RELAXED)
		|| answer.sequence > last || last - answer.sequence >= LATE_MAX
		|| answer.sequence <= __atomic_load_n(&state->answered, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&state->challenge, answer.challenge, __ATOMIC_RELAXED);
	__atomic_store_n(&state->mtu_bytes, answer.mtu_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&state->answered, answer.sequence, __ATOMIC_RELAXED);
	__atomic_store_n(&state->answered_ns, clock_monotonic_ns(), __ATOMIC_RELAXED);
	TARGET_COUNT(state->answers);
	return true;
}
