/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/reject.h"

#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/tcp.h"
#include "packet/inspect/inspect.h"
#include "wire/checksum.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <string.h>

#define IPV4_HEADER_SIZE  20
#define IPV6_HEADER_SIZE  40
#define TCP_HEADER_SIZE   20
#define ICMP_HEADER_SIZE  8
#define HOP_LIMIT         64
#define QUOTE_SIZE        512 /* of the rejected packet; RFC 1812 and RFC 4443 allow more */
#define HEADERS_SIZE_MAX  32  /* Ethernet with tags */
#define ICMPV4_UNREACH    3
#define ICMPV4_PROHIBITED 13 /* communication administratively prohibited, RFC 1812 */
#define ICMPV6_UNREACH    1
#define ICMPV6_PROHIBITED 1 /* RFC 4443 section 3.1 */

static bool is_group_mac(const uint8_t *mac)
{
	return mac[0] & 1;
}

static bool can_answer(const struct decoded *decoded)
{
	static const uint8_t zero[16];
	bool is_multicast;

	if (!decoded->ip_version || decoded->has_snap || decoded->l3_offset > HEADERS_SIZE_MAX
		|| is_group_mac(decoded->frame) || is_group_mac(decoded->frame + 6))
		return false;
	is_multicast = decoded->ip_version == 4 ? decoded->destination[0] >= 224
						: decoded->destination[0] == 0xff;
	return !is_multicast && memcmp(decoded->source, zero, sizeof(zero)) != 0;
}

/* Ethernet and IP headers, to be finished by checksum_repair(); returns where the payload goes. */
static uint32_t put_headers(const struct decoded *decoded, bool is_reversed, uint8_t protocol,
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
	memset(ip, 0, IPV6_HEADER_SIZE);
	ip[0] = 0x60;
	network_store16(ip + 4, (uint16_t)payload_size);
	ip[6] = protocol;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, source, 16);
	memcpy(ip + 24, destination, 16);
	return decoded->l3_offset + IPV6_HEADER_SIZE;
}

static void finish(uint8_t *frame, uint32_t size)
{
	struct decoded decoded;

	decode_frame(frame, size, &decoded);
	checksum_repair(frame, &decoded);
}

/* RFC 9293 section 3.5.2, with the sequence numbers that each end expects. */
static void put_rst(const struct decoded *decoded, enum reject_target target, uint8_t *tcp)
{
	uint32_t size = decoded->payload_size;
	bool has_ack = decoded->tcp_flags & TCP_ACK;

	if (decoded->tcp_flags & TCP_SYN)
		size++;
	if (decoded->tcp_flags & TCP_FIN)
		size++;
	memset(tcp, 0, TCP_HEADER_SIZE);
	tcp[12] = (TCP_HEADER_SIZE / 4) << 4;
	if (target == REJECT_TO_SOURCE) {
		network_store16(tcp, decoded->destination_port);
		network_store16(tcp + 2, decoded->source_port);
		network_store32(tcp + 4, has_ack ? decoded->tcp_acknowledgement : 0);
		network_store32(tcp + 8, decoded->tcp_sequence + size);
		tcp[13] = TCP_RST | TCP_ACK;
		return;
	}
	network_store16(tcp, decoded->source_port);
	network_store16(tcp + 2, decoded->destination_port);
	network_store32(tcp + 4, decoded->tcp_sequence);
	network_store32(tcp + 8, has_ack ? decoded->tcp_acknowledgement : 0);
	tcp[13] = has_ack ? TCP_RST | TCP_ACK : TCP_RST;
}

uint32_t reject_build_rst(const struct decoded *decoded, enum reject_target target, uint8_t *out)
{
	uint32_t at;

	if (!can_answer(decoded) || decoded->protocol != IPPROTO_TCP || !decoded->payload_offset
		|| (decoded->tcp_flags & TCP_RST))
		return 0;
	at = put_headers(decoded, target == REJECT_TO_SOURCE, IPPROTO_TCP, TCP_HEADER_SIZE, out);
	put_rst(decoded, target, out + at);
	finish(out, at + TCP_HEADER_SIZE);
	return at + TCP_HEADER_SIZE;
}

static bool is_icmp_error(const struct decoded *decoded)
{
	if (decoded->protocol == IPPROTO_ICMP)
		return decoded->icmp_type != 8 && decoded->icmp_type != 13;
	return decoded->protocol == IPPROTO_ICMPV6 && decoded->icmp_type < 128;
}

uint32_t reject_build_icmp(const struct decoded *decoded, uint8_t *out)
{
	bool is_ipv4 = decoded->ip_version == 4;
	uint32_t quote = decoded->l3_end - decoded->l3_offset, at;

	if (!can_answer(decoded) || is_icmp_error(decoded)
		|| (decoded->is_fragment && !decoded->is_first_fragment))
		return 0;
	quote = RTE_MIN(quote, (uint32_t)QUOTE_SIZE);
	at = put_headers(decoded, true, is_ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		ICMP_HEADER_SIZE + quote, out);
	memset(out + at, 0, ICMP_HEADER_SIZE);
	out[at] = is_ipv4 ? ICMPV4_UNREACH : ICMPV6_UNREACH;
	out[at + 1] = is_ipv4 ? ICMPV4_PROHIBITED : ICMPV6_PROHIBITED;
	memcpy(out + at + ICMP_HEADER_SIZE, decoded->frame + decoded->l3_offset, quote);
	finish(out, at + ICMP_HEADER_SIZE + quote);
	return at + ICMP_HEADER_SIZE + quote;
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

static void inject(uint16_t worker, struct rte_mbuf *packet, const uint8_t *frame, uint32_t size,
	enum reject_target target)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	struct packet_metadata *own;
	struct rte_mbuf *answer;

	if (size == 0 || (target == REJECT_TO_SOURCE && !is_port_there(&metadata->origin)))
		return;
	answer = rte_pktmbuf_alloc(packet_pool);
	if (!answer)
		return;
	memcpy(rte_pktmbuf_append(answer, (uint16_t)size), frame, size);
	own = packet_metadata(answer);
	*own = *metadata;
	own->flags &= PACKET_WAS_TAGGED;
	own->flags |= PACKET_IS_INSPECTED;
	own->drop_reason = DROP_none;
	if (target == REJECT_TO_DESTINATION) {
		inspect_inject(worker, answer, INSPECT_INJECT_FORWARD);
		return;
	}
	own->egress_port = metadata->origin.ingress_port;
	inspect_inject(worker, answer, INSPECT_INJECT_TX);
}

void reject_packet(uint16_t worker, struct rte_mbuf *packet, const struct decoded *decoded,
	unsigned int targets)
{
	uint8_t frame[REJECT_FRAME_SIZE];

	static_assert(HEADERS_SIZE_MAX + IPV6_HEADER_SIZE + ICMP_HEADER_SIZE + QUOTE_SIZE
			<= REJECT_FRAME_SIZE,
		"the largest answer fits");
	if (decoded->protocol != IPPROTO_TCP || !decoded->payload_offset) {
		inject(worker, packet, frame, reject_build_icmp(decoded, frame), REJECT_TO_SOURCE);
		return;
	}
	if (targets & REJECT_TO_SOURCE)
		inject(worker, packet, frame, reject_build_rst(decoded, REJECT_TO_SOURCE, frame),
			REJECT_TO_SOURCE);
	if (targets & REJECT_TO_DESTINATION)
		inject(worker, packet, frame,
			reject_build_rst(decoded, REJECT_TO_DESTINATION, frame),
			REJECT_TO_DESTINATION);
}
