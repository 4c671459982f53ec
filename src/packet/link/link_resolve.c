/* SPDX-License-Identifier: BSD-3-Clause */
/* Address resolution on links: ARP (RFC 826) and neighbour discovery (RFC 4861). Workers. */
#include "packet/link/link.h"
#include "packet/port/port.h"
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
#define ND_SOLICITED     0x60000000 /* and override, section 4.4 */
#define ND_HOP_LIMIT     255
#define ND_FRAME_SIZE    (ETH_HEADER_SIZE + IPV6_HEADER_SIZE + ND_SIZE + ND_OPTION_SIZE)

static bool is_same(const struct ip_address *a, const struct ip_address *b)
{
	return a->version == b->version && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int link_find_peer(const struct link_end *end, const struct ip_address *address)
{
	for (uint16_t i = 0; i < end->peer_count; i++)
		if (is_same(&end->peers[i].address, address))
			return i;
	return -1;
}

void link_learn_mac(struct link_peer *peer, const uint8_t mac[6])
{
	uint64_t value = LINK_MAC_KNOWN;

	if (peer->is_static || eth_address_is_group(mac) || eth_address_is_zero(mac))
		return;
	for (int i = 0; i < 6; i++)
		value |= (uint64_t)mac[i] << (40 - 8 * i);
	/* Written when it is news only, so that workers do not take the line from one another. */
	if (__atomic_load_n(&peer->mac, __ATOMIC_RELAXED) != value)
		__atomic_store_n(&peer->mac, value, __ATOMIC_RELAXED);
}

/* ---- frames ---- */

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
	memmove(ip + 8, source, 16);
	memmove(ip + 24, destination, 16);
	memset(nd, 0, 4);
	nd[0] = type;
	network_store32(nd + 4, flags);
	memmove(nd + 8, target, 16);
	nd[24] = type == ND_NEIGHBOUR_SOLICITATION ? ND_SOURCE : ND_TARGET;
	nd[25] = 1;
	memcpy(nd + 26, mac, 6);
	sum = checksum_add(0, ip + 8, 32);
	sum = checksum_add(sum, pseudo, sizeof(pseudo));
	network_store16(nd + 2, checksum_finish(checksum_add(sum, nd, ND_SIZE + ND_OPTION_SIZE)));
}

static bool write_arp_question(struct rte_mbuf *packet, const struct link_end *end,
	const struct link_peer *peer, const uint8_t own_mac[6])
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nobody[6];
	uint8_t *frame = (uint8_t *)rte_pktmbuf_append(packet, ETH_FRAME_SIZE_MIN);

	if (!frame)
		return false;
	memset(frame, 0, ETH_FRAME_SIZE_MIN);
	write_ethernet(frame, everybody, own_mac, ETH_TYPE_ARP);
	write_arp(frame + ETH_HEADER_SIZE, ARP_REQUEST, own_mac, end->local.bytes, nobody,
		peer->hop.bytes);
	return true;
}

bool link_write_question(struct rte_mbuf *packet, const struct link_end *end,
	const struct link_peer *peer, const uint8_t own_mac[6])
{
	/* Solicited-node multicast, RFC 4291 section 2.7.1, and its Ethernet form, RFC 2464. */
	uint8_t group[16] = {0xff, 0x02, [11] = 0x01, [12] = 0xff}, mac[6] = {0x33, 0x33, 0xff};
	uint8_t *frame;

	if (peer->hop.version == 4)
		return write_arp_question(packet, end, peer, own_mac);
	frame = (uint8_t *)rte_pktmbuf_append(packet, ND_FRAME_SIZE);
	if (!frame)
		return false;
	memcpy(group + 13, peer->hop.bytes + 13, 3);
	memcpy(mac + 3, peer->hop.bytes + 13, 3);
	write_ethernet(frame, mac, own_mac, ETH_TYPE_IPV6);
	write_nd(frame, end->local.bytes, group, ND_NEIGHBOUR_SOLICITATION, 0, peer->hop.bytes,
		own_mac);
	return true;
}

/* ---- questions and answers of others ---- */

static struct link_end *find_local(
	struct link_table *table, uint16_t port, const struct ip_address *local)
{
	for (int role = 0; role < LINK_ROLE_COUNT; role++) {
		struct link_end *end = link_end_of(table, (enum link_role)role);

		if (end && end->port == port && is_same(&end->local, local))
			return end;
	}
	return NULL;
}

/* Of hops that we ask for alone; an appliance's clients are learned from what they authenticate. */
static void learn_answer(struct link_table *table, uint16_t port,
	const struct ip_address *sender, const uint8_t mac[6])
{
	struct link_end *end = link_end_of(table, LINK_CLIENT);

	for (uint16_t i = 0; end && end->port == port && i < end->peer_count; i++)
		if (is_same(&end->peers[i].hop, sender))
			link_learn_mac(&end->peers[i], mac);
}

static bool resolve_arp(struct link_table *table, const struct port *port, struct rte_mbuf *packet)
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);
	struct ip_address sender = {.version = 4}, target = {.version = 4};
	const struct link_end *end;
	struct arp arp;

	if (!arp_parse(frame + ETH_HEADER_SIZE, packet->data_len - ETH_HEADER_SIZE, &arp))
		return false;
	memcpy(sender.bytes, arp.sender_ip, 4);
	memcpy(target.bytes, arp.target_ip, 4);
	end = find_local(table, port->index, &target);
	if (arp.operation == ARP_REPLY && end)
		learn_answer(table, port->index, &sender, arp.sender_mac);
	if (arp.operation != ARP_REQUEST || !end)
		return false;
	write_ethernet(frame, arp.sender_mac, port->mac, ETH_TYPE_ARP);
	write_arp(frame + ETH_HEADER_SIZE, ARP_REPLY, port->mac, arp.target_ip, arp.sender_mac,
		arp.sender_ip);
	return true;
}

static bool is_nd(const uint8_t *ip, size_t size)
{
	return size >= IPV6_HEADER_SIZE + ND_SIZE && ip[0] >> 4 == 6 && ip[6] == IPPROTO_ICMPV6
		&& ip[7] == ND_HOP_LIMIT && network_load16(ip + 4) <= size - IPV6_HEADER_SIZE;
}

/* Answers with what was asked: the question's own frame becomes the answer. */
static bool answer_nd(struct rte_mbuf *packet, const struct link_end *end, const uint8_t own_mac[6],
	const uint8_t to_mac[6])
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);
	uint8_t asker[16], mac[6];

	memcpy(asker, frame + ETH_HEADER_SIZE + 8, sizeof(asker));
	memcpy(mac, to_mac, sizeof(mac));
	if (packet->pkt_len > ND_FRAME_SIZE)
		rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - ND_FRAME_SIZE));
	else if (packet->pkt_len < ND_FRAME_SIZE)
		return false; /* without the option with the asker's address: not on Ethernet */
	write_ethernet(frame, mac, own_mac, ETH_TYPE_IPV6);
	write_nd(frame, end->local.bytes, asker, ND_NEIGHBOUR_ADVERTISEMENT, ND_SOLICITED,
		end->local.bytes, own_mac);
	return true;
}

static bool resolve_nd(struct link_table *table, const struct port *port, struct rte_mbuf *packet)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_HEADER_SIZE);
	struct ip_address target = {.version = 6};
	const struct link_end *end;
	uint8_t type;
	struct nd nd;

	if (packet->nb_segs > 1 || !is_nd(ip, packet->data_len - ETH_HEADER_SIZE)
		|| !nd_parse(ip + IPV6_HEADER_SIZE, network_load16(ip + 4), &nd) || !nd.target
		|| !nd.link_address)
		return false;
	type = ip[IPV6_HEADER_SIZE];
	memcpy(target.bytes, nd.target, sizeof(target.bytes));
	if (type == ND_NEIGHBOUR_ADVERTISEMENT)
		learn_answer(table, port->index, &target, nd.link_address);
	end = type == ND_NEIGHBOUR_SOLICITATION ? find_local(table, port->index, &target) : NULL;
	return end && answer_nd(packet, end, port->mac, nd.link_address);
}

bool link_resolve(struct link_table *table, const struct port *port, struct rte_mbuf *packet)
{
	switch (network_load16(rte_pktmbuf_mtod_offset(packet, uint8_t *, ETH_TYPE_OFFSET))) {
	case ETH_TYPE_ARP:
		return resolve_arp(table, port, packet);
	case ETH_TYPE_IPV6:
		return resolve_nd(table, port, packet);
	default:
		return false;
	}
}
