/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/answer.h"

#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/inspect/inspect.h"
#include "packet/ipsec/ipsec.h"
#include "wire/checksum.h"
#include "wire/network.h"

#include <string.h>

#define IPV4_HEADER_SIZE 20
#define HOP_LIMIT        64

static bool is_group_mac(const uint8_t *mac)
{
	return mac[0] & 1;
}

bool answer_is_allowed(const struct decoded *decoded)
{
	static const uint8_t zero[16];
	bool is_multicast;

	if (!decoded->ip_version || decoded->has_snap || decoded->l3_offset > ANSWER_HEADERS_MAX
		|| is_group_mac(decoded->frame) || is_group_mac(decoded->frame + 6))
		return false;
	is_multicast = decoded->ip_version == 4 ? decoded->destination[0] >= 224
						: decoded->destination[0] == 0xff;
	return !is_multicast && memcmp(decoded->source, zero, sizeof(zero)) != 0;
}

uint32_t answer_put_headers(const struct decoded *decoded, bool is_reversed, uint8_t protocol,
	uint32_t payload_size, uint8_t *out)
{
	const uint8_t *frame = decoded->frame;
	const uint8_t *source = is_reversed ? decoded->destination : decoded->source;
	const uint8_t *destination = is_reversed ? decoded->source : decoded->destination;
	uint8_t *ip = out + decoded->l3_offset;

	memcpy(out, frame + (is_reversed ? 6 : 0), 6);
	memcpy(out + 6, frame + (is_reversed ? 0 : 6), 6);
	memcpy(out + 12, frame + 12, decoded->l3_offset - 12);
	if (decoded->ip_version == 4) {
		memset(ip, 0, IPV4_HEADER_SIZE);
		ip[0] = 0x45;
		network_store16(ip + 2, (uint16_t)(IPV4_HEADER_SIZE + payload_size));
		network_store16(ip + 6, 0x4000);
		ip[8] = HOP_LIMIT;
		ip[9] = protocol;
		memcpy(ip + 12, source, 4);
		memcpy(ip + 16, destination, 4);
		return decoded->l3_offset + IPV4_HEADER_SIZE;
	}
	memset(ip, 0, ANSWER_IPV6_HEADER);
	ip[0] = 0x60;
	network_store16(ip + 4, (uint16_t)payload_size);
	ip[6] = protocol;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, source, 16);
	memcpy(ip + 24, destination, 16);
	return decoded->l3_offset + ANSWER_IPV6_HEADER;
}

void answer_finish(uint8_t *frame, uint32_t size)
{
	struct decoded decoded;

	decode_frame(frame, size, &decoded);
	checksum_repair(frame, &decoded);
}

/* Whether the port that the packet came through is there still: a datagram's fragments may have
 * been held while the index went to another partition's, which is not to see what they quote. */
static bool is_port_there(const struct origin *origin)
{
	const struct port_table *table = publish_read(&port_table);
	const struct port *port;

	if (!table)
		return true; /* nothing is transmitted then */
	port = origin->ingress_port < table->count ? table->ports[origin->ingress_port] : NULL;
	return port && port->generation == origin->ingress_generation;
}

/* Who speaks to a virtual address by IPsec, or from it through GRE, is reached by way of the
 * distributor, as the other side's packets are: in clear an answer would be seen, and not be
 * believed. False: it leaves where its packet came in. */
static bool turn_around(struct packet_metadata *own)
{
	switch (own->origin.kind) {
	case ORIGIN_DECRYPTED:
		own->origin.kind = ORIGIN_TARGET;
		own->service.target = SERVICE_NO_TARGET;
		own->service.is_secure = true;
		return true;
	case ORIGIN_TARGET:
		own->origin.kind = own->service.is_secure ? ORIGIN_DECRYPTED : ORIGIN_PHYSICAL;
		own->service.peer = IPSEC_PEER_UNKNOWN;
		own->flags |= PACKET_IS_FOR_VIPA;
		return true;
	default:
		return false;
	}
}

void answer_send(uint16_t worker, struct rte_mbuf *packet, const uint8_t *frame, uint32_t size,
	enum answer_target target)
{
	answer_send_as(worker, packet_metadata(packet), frame, size, target);
}

void answer_send_as(uint16_t worker, const struct packet_metadata *metadata, const uint8_t *frame,
	uint32_t size, enum answer_target target)
{
	struct packet_metadata *own;
	struct rte_mbuf *answer;

	/* Neither end of another host's packet is ours to speak to: it is told of a drop. */
	if (metadata->origin.kind == ORIGIN_REMOTE)
		return;
	if (size == 0 || (target == ANSWER_TO_SOURCE && !is_port_there(&metadata->origin)))
		return;
	answer = rte_pktmbuf_alloc(packet_pool);
	if (!answer)
		return;
	memcpy(rte_pktmbuf_append(answer, (uint16_t)size), frame, size);
	own = packet_metadata(answer);
	*own = *metadata;
	own->flags &= PACKET_WAS_TAGGED | PACKET_IS_FOR_VIPA;
	own->flags |= PACKET_IS_INSPECTED;
	own->drop_reason = DROP_none;
	if (target == ANSWER_TO_DESTINATION) {
		inspect_inject(worker, answer, INSPECT_INJECT_FORWARD);
		return;
	}
	if (turn_around(own)) {
		inspect_inject(worker, answer, INSPECT_INJECT_FORWARD);
		return;
	}
	own->egress_port = metadata->origin.ingress_port;
	inspect_inject(worker, answer, INSPECT_INJECT_TX);
}
