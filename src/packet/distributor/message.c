/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP and resets that the distributor itself sends. Workers. */
#include "packet/distributor/distributor.h"
#include "packet/engine/pool.h"
#include "wire/checksum.h"
#include "wire/network.h"
#include "wire/tcp.h"

#include <netinet/in.h>

#define HOP_LIMIT          64
#define ICMP_HEADER_SIZE   8
#define ICMP_UNREACHABLE   3
#define ICMP_NEEDS_CUTTING 4
#define ICMPV6_TOO_BIG     2
#define TCP_HEADER_SIZE    20
/* An error and what it quotes: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c). */
#define ERROR_SIZE_IPV4 576
#define ERROR_SIZE_IPV6 1280

static uint32_t ip_header_size(uint8_t version)
{
	return version == 4 ? 20 : 40;
}

/* The Ethernet header is written when the next hop is known; its type is not. */
static uint8_t *write_headers(uint8_t *frame, const struct ip_address *source,
	const struct ip_address *destination, uint8_t protocol, uint32_t payload_size)
{
	uint8_t *ip = frame + ETH_HEADER_SIZE;

	memset(frame, 0, ETH_HEADER_SIZE + ip_header_size(source->version));
	if (source->version == 4) {
		network_store16(frame + ETH_TYPE_OFFSET, ETH_TYPE_IPV4);
		ip[0] = 0x45;
		network_store16(ip + 2, (uint16_t)(20 + payload_size));
		ip[8] = HOP_LIMIT;
		ip[9] = protocol;
		memcpy(ip + 12, source->bytes, 4);
		memcpy(ip + 16, destination->bytes, 4);
		return ip + 20;
	}
	network_store16(frame + ETH_TYPE_OFFSET, ETH_TYPE_IPV6);
	ip[0] = 0x60;
	network_store16(ip + 4, (uint16_t)payload_size);
	ip[6] = protocol;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, source->bytes, 16);
	memcpy(ip + 24, destination->bytes, 16);
	return ip + 40;
}

static void finish(struct rte_mbuf *packet)
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);
	struct decoded decoded;

	decode_frame(frame, packet->pkt_len, &decoded);
	checksum_repair(frame, &decoded);
}

/* ---- echo ---- */

static void swap_bytes(uint8_t *a, uint8_t *b, size_t size)
{
	uint8_t kept[16];

	memcpy(kept, a, size);
	memcpy(a, b, size);
	memcpy(b, kept, size);
}

/* It has all of its way before it; and may be cut where the question fitted and it, with ESP around
 * it, does not. */
static void answer_as_own(uint8_t *ip)
{
	ip[6] = ip[7] = 0;
	ip[8] = HOP_LIMIT;
	checksum_write_ipv4(ip);
}

void message_echo(struct rte_mbuf *packet, const struct decoded *decoded)
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);
	uint8_t *ip = frame + decoded->l3_offset, *icmp = frame + decoded->l4_offset;
	uint32_t sum = (uint16_t)~network_load16(icmp + 2);
	uint8_t type = decoded->ip_version == 4 ? 0 : (uint8_t)(decoded->icmp_type + 1);

	/* The type is the high byte of the sum's first word (RFC 1624). */
	sum += (uint16_t) ~(icmp[0] << 8) + (uint32_t)(type << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	network_store16(icmp + 2, (uint16_t)~sum);
	icmp[0] = type;
	swap_bytes(frame, frame + ETH_ADDRESS_SIZE, ETH_ADDRESS_SIZE);
	if (decoded->ip_version == 4) {
		swap_bytes(ip + 12, ip + 16, 4);
		answer_as_own(ip);
	} else {
		swap_bytes(ip + 8, ip + 24, 16);
		ip[7] = HOP_LIMIT;
	}
}

/* ---- too big ---- */

/* Nobody to be told: errors about errors, and what was sent to or by a group (RFC 1122 section
 * 3.2.2). */
static bool may_be_told(const struct decoded *decoded)
{
	if (!decoded->ip_version)
		return false;
	if (decoded->ip_version == 4)
		return !(decoded->protocol == IPPROTO_ICMP && decoded->icmp_type != 8
			       && decoded->icmp_type != 0)
			&& decoded->source[0] < 224 && decoded->source[0] != 0;
	return !(decoded->protocol == IPPROTO_ICMPV6 && decoded->icmp_type < 128)
		&& decoded->source[0] != 0xff;
}

struct rte_mbuf *message_too_big(const struct rte_mbuf *packet, uint32_t mtu)
{
	struct ip_address source, sender;
	struct rte_mbuf *answer;
	struct decoded decoded;
	uint32_t quoted, room;
	uint8_t *frame, *icmp;

	decode_headers(rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len,
		&decoded);
	if (!may_be_told(&decoded))
		return NULL;
	answer = rte_pktmbuf_alloc(packet_pool);
	if (!answer)
		return NULL;
	sender.version = source.version = decoded.ip_version;
	memcpy(sender.bytes, decoded.source, sizeof(sender.bytes));
	memcpy(source.bytes, decoded.destination, sizeof(source.bytes));
	room = (source.version == 4 ? ERROR_SIZE_IPV4 : ERROR_SIZE_IPV6)
		- ip_header_size(source.version) - ICMP_HEADER_SIZE;
	quoted = RTE_MIN(packet->data_len - decoded.l3_offset, room);
	frame = (uint8_t *)rte_pktmbuf_append(answer,
		(uint16_t)(ETH_HEADER_SIZE + ip_header_size(source.version) + ICMP_HEADER_SIZE
			+ quoted));
	icmp = write_headers(frame, &source, &sender,
		source.version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, ICMP_HEADER_SIZE + quoted);
	memset(icmp, 0, ICMP_HEADER_SIZE);
	icmp[0] = source.version == 4 ? ICMP_UNREACHABLE : ICMPV6_TOO_BIG;
	icmp[1] = source.version == 4 ? ICMP_NEEDS_CUTTING : 0;
	network_store32(icmp + 4, mtu);
	memcpy(icmp + ICMP_HEADER_SIZE, decoded.frame + decoded.l3_offset, quoted);
	*packet_metadata(answer) = *packet_metadata_const(packet);
	packet_metadata(answer)->flags &= (uint16_t)~PACKET_IS_REASSEMBLED;
	finish(answer);
	return answer;
}

/* ---- reset ---- */

struct rte_mbuf *message_reset(const struct vipa *vipa, const struct connection *connection)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);
	struct ip_address client = {.version = vipa->address.version};
	uint8_t *frame, *tcp;

	if (!packet)
		return NULL;
	memcpy(client.bytes, connection->key.client, sizeof(client.bytes));
	frame = (uint8_t *)rte_pktmbuf_append(packet,
		(uint16_t)(ETH_HEADER_SIZE + ip_header_size(client.version) + TCP_HEADER_SIZE));
	tcp = write_headers(frame, &vipa->address, &client, IPPROTO_TCP, TCP_HEADER_SIZE);
	memset(tcp, 0, TCP_HEADER_SIZE);
	network_store16(tcp, connection->key.port);
	network_store16(tcp + 2, connection->key.client_port);
	network_store32(tcp + 4, connection->acknowledged);
	tcp[12] = TCP_HEADER_SIZE / 4 << 4;
	tcp[13] = TCP_RST;
	finish(packet);
	return packet;
}
