/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/link/resolve.h"

#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/nd.h"

#include <netinet/in.h>

#define ARP_REQUEST      1
#define ARP_REPLY        2
#define IPV6_HEADER_SIZE 40
#define ND_SIZE          24 /* solicitation or advertisement, without options */
#define ND_OPTION_SIZE   8  /* with an Ethernet address */
#define ND_SOURCE        1  /* link-layer address options, RFC 4861 section 4.6.1 */
#define ND_TARGET        2
#define ND_SOLICITED     0x40000000 /* RFC 4861 section 4.4 */
#define ND_OVERRIDE      0x20000000
#define ND_HOP_LIMIT     255
#define ND_FRAME_SIZE    (ETH_HEADER_SIZE + IPV6_HEADER_SIZE + ND_SIZE + ND_OPTION_SIZE)

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* ---- writing ---- */

static void write_ethernet(
	uint8_t *frame, const uint8_t destination[6], const uint8_t source[6], uint16_t type)
{
	memcpy(frame, destination, ETH_ADDRESS_SIZE);
	memcpy(frame + ETH_ADDRESS_SIZE, source, ETH_ADDRESS_SIZE);
	network_store16(frame + ETH_TYPE_OFFSET, type);
}

static void write_arp(uint8_t *arp, uint16_t operation, const uint8_t sender_mac[6],
	const uint8_t sender_ip[4], const uint8_t target_mac[6], const uint8_t target_ip[4])
{
	network_store32(arp, 0x00010800);
	network_store16(arp + 4, 0x0604);
	network_store16(arp + 6, operation);
	memcpy(arp + 8, sender_mac, 6);
	memcpy(arp + 14, sender_ip, 4);
	memcpy(arp + 18, target_mac, 6);
	memcpy(arp + 24, target_ip, 4);
}

static void write_nd(uint8_t *frame, const uint8_t source[16], const uint8_t destination[16],
	uint8_t type, uint32_t flags, const uint8_t target[16], const uint8_t mac[6])
{
	uint8_t *ip = frame + ETH_HEADER_SIZE, *nd = ip + IPV6_HEADER_SIZE;
	const uint8_t pseudo[4] = {0, ND_SIZE + ND_OPTION_SIZE, 0, IPPROTO_ICMPV6};
	uint32_t sum;

	network_store32(ip, 6U << 28);
	network_store16(ip + 4, ND_SIZE + ND_OPTION_SIZE);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = ND_HOP_LIMIT;
	memcpy(ip + 8, source, 16);
	memcpy(ip + 24, destination, 16);
	memset(nd, 0, 4);
	nd[0] = type;
	network_store32(nd + 4, flags);
	memcpy(nd + 8, target, 16);
	nd[24] = type == ND_NEIGHBOUR_SOLICITATION ? ND_SOURCE : ND_TARGET;
	nd[25] = 1;
	memcpy(nd + 26, mac, 6);
	sum = checksum_add(0, ip + 8, 32);
	sum = checksum_add(sum, pseudo, sizeof(pseudo));
	network_store16(nd + 2, checksum_finish(checksum_add(sum, nd, ND_SIZE + ND_OPTION_SIZE)));
}

static bool write_arp_frame(struct rte_mbuf *packet, const uint8_t sender_ip[4],
	const uint8_t target_ip[4], const uint8_t mac[6])
{
	static const uint8_t nobody[6];
	uint8_t *frame = (uint8_t *)rte_pktmbuf_append(packet, ETH_FRAME_SIZE_MIN);

	if (!frame)
		return false;
	memset(frame, 0, ETH_FRAME_SIZE_MIN);
	write_ethernet(frame, everybody, mac, ETH_TYPE_ARP);
	write_arp(frame + ETH_HEADER_SIZE, ARP_REQUEST, mac, sender_ip, nobody, target_ip);
	return true;
}

bool resolve_write_question(struct rte_mbuf *packet, const struct ip_address *local,
	const struct ip_address *hop, const uint8_t mac[6])
{
	/* Solicited-node multicast, RFC 4291 section 2.7.1, and its Ethernet form, RFC 2464. */
	uint8_t group[16] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};
	uint8_t group_mac[6] = {0x33, 0x33, 0xff};
	uint8_t *frame;

	if (hop->version == 4)
		return write_arp_frame(packet, local->bytes, hop->bytes, mac);
	frame = (uint8_t *)rte_pktmbuf_append(packet, ND_FRAME_SIZE);
	if (!frame)
		return false;
	memcpy(group + 13, hop->bytes + 13, 3);
	memcpy(group_mac + 3, hop->bytes + 13, 3);
	write_ethernet(frame, group_mac, mac, ETH_TYPE_IPV6);
	write_nd(frame, local->bytes, group, ND_NEIGHBOUR_SOLICITATION, 0, hop->bytes, mac);
	return true;
}

bool resolve_write_announcement(
	struct rte_mbuf *packet, const struct ip_address *local, const uint8_t mac[6])
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t *frame;

	if (local->version == 4)
		return write_arp_frame(packet, local->bytes, local->bytes, mac);
	frame = (uint8_t *)rte_pktmbuf_append(packet, ND_FRAME_SIZE);
	if (!frame)
		return false;
	write_ethernet(frame, all_nodes_mac, mac, ETH_TYPE_IPV6);
	write_nd(frame, local->bytes, all_nodes, ND_NEIGHBOUR_ADVERTISEMENT, ND_OVERRIDE,
		local->bytes, mac);
	return true;
}

/* ---- reading ---- */

static bool read_arp(const uint8_t *bytes, size_t size, struct resolve_message *out)
{
	struct arp arp;

	if (!arp_parse(bytes, size, &arp)
		|| (arp.operation != ARP_REQUEST && arp.operation != ARP_REPLY))
		return false;
	out->is_question = arp.operation == ARP_REQUEST;
	out->sender.version = out->target.version = 4;
	memcpy(out->sender.bytes, arp.sender_ip, 4);
	memcpy(out->target.bytes, arp.target_ip, 4);
	memcpy(out->sender_mac, arp.sender_mac, 6);
	return true;
}

static bool is_nd(const uint8_t *ip, size_t size)
{
	return size >= IPV6_HEADER_SIZE + ND_SIZE && ip[0] >> 4 == 6 && ip[6] == IPPROTO_ICMPV6
		&& ip[7] == ND_HOP_LIMIT && network_load16(ip + 4) <= size - IPV6_HEADER_SIZE;
}

static bool read_nd(const uint8_t *ip, size_t size, struct resolve_message *out)
{
	struct nd nd;

	if (!is_nd(ip, size) || !nd_parse(ip + IPV6_HEADER_SIZE, network_load16(ip + 4), &nd)
		|| !nd.target || !nd.link_address)
		return false;
	out->is_question = ip[IPV6_HEADER_SIZE] == ND_NEIGHBOUR_SOLICITATION;
	out->sender.version = out->target.version = 6;
	memcpy(out->sender.bytes, out->is_question ? ip + 8 : nd.target, 16);
	memcpy(out->target.bytes, nd.target, 16);
	memcpy(out->sender_mac, nd.link_address, 6);
	return true;
}

bool resolve_read(const struct rte_mbuf *packet, struct resolve_message *out)
{
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	size_t size = packet->data_len - ETH_HEADER_SIZE;

	*out = (struct resolve_message){.is_question = false};
	switch (network_load16(frame + ETH_TYPE_OFFSET)) {
	case ETH_TYPE_ARP:
		return read_arp(frame + ETH_HEADER_SIZE, size, out);
	case ETH_TYPE_IPV6:
		return packet->nb_segs == 1 && read_nd(frame + ETH_HEADER_SIZE, size, out);
	default:
		return false;
	}
}

/* Of what was asked: the question's own frame becomes the answer. */
static bool answer_nd(
	struct rte_mbuf *packet, const struct resolve_message *question, const uint8_t mac[6])
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);

	if (packet->pkt_len > ND_FRAME_SIZE)
		rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - ND_FRAME_SIZE));
	else if (packet->pkt_len < ND_FRAME_SIZE)
		return false; /* without the option with the asker's address: not on Ethernet */
	write_ethernet(frame, question->sender_mac, mac, ETH_TYPE_IPV6);
	write_nd(frame, question->target.bytes, question->sender.bytes, ND_NEIGHBOUR_ADVERTISEMENT,
		ND_SOLICITED | ND_OVERRIDE, question->target.bytes, mac);
	return true;
}

bool resolve_answer(
	struct rte_mbuf *packet, const struct resolve_message *question, const uint8_t mac[6])
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);

	if (question->target.version == 6)
		return answer_nd(packet, question, mac);
	write_ethernet(frame, question->sender_mac, mac, ETH_TYPE_ARP);
	write_arp(frame + ETH_HEADER_SIZE, ARP_REPLY, mac, question->target.bytes,
		question->sender_mac, question->sender.bytes);
	return true;
}
