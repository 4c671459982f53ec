/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/guard.h"

#include "wire/arp.h"
#include "wire/decode.h"
#include "wire/dhcp.h"
#include "wire/nd.h"

#include <netinet/in.h>

#define IPV4_PLAIN_SIZE 34 /* Ethernet and IPv4 header without options */
#define IPV6_PLAIN_SIZE 54
#define PORTS_SIZE      4

enum mld_type { MLD_REPORT = 131, MLD_DONE = 132, MLDV2_REPORT = 143 };

static const uint8_t zero_address[16];

static bool matches(const struct guard_prefix *prefix, const uint8_t *address, size_t size)
{
	for (size_t i = 0; i < size; i += 4) {
		if ((network_load32(address + i) & network_load32(prefix->mask + i))
			!= network_load32(prefix->address + i))
			return false;
	}
	return true;
}

static bool allows_ipv4(const struct guard *guard, const uint8_t *address)
{
	for (uint16_t i = 0; i < guard->ipv4_count; i++)
		if (matches(&guard->ipv4[i], address, 4))
			return true;
	return false;
}

static bool allows_ipv6(const struct guard *guard, const uint8_t *address)
{
	for (uint16_t i = 0; i < guard->ipv6_count; i++)
		if (matches(&guard->ipv6[i], address, 16))
			return true;
	return guard->has_ipv6_link_local && memcmp(address, guard->ipv6_link_local, 16) == 0;
}

static bool allows_mac(const struct guard *guard, const uint8_t *mac)
{
	for (uint16_t i = 0; i < guard->mac_count; i++)
		if (memcmp(guard->macs[i], mac, ETH_ADDRESS_SIZE) == 0)
			return true;
	return false;
}

/* A MAC address that a packet claims inside: one of the port's when they are known, else the one
 * that the frame itself comes from. */
static bool allows_claimed_mac(const struct guard *guard, const uint8_t *frame, const uint8_t *mac)
{
	if (guard->mac_count)
		return allows_mac(guard, mac);
	return memcmp(frame + ETH_ADDRESS_SIZE, mac, ETH_ADDRESS_SIZE) == 0;
}

/* The frame's bytes behind the tags are ARP or RARP. */
static enum drop_reason check_arp(const struct guard *guard, const struct decoded *decoded)
{
	struct arp arp;

	if (!(guard->flags & GUARD_ARP))
		return DROP_none;
	if (!arp_parse(decoded->frame + decoded->l3_offset,
		    decoded->captured_size - decoded->l3_offset, &arp))
		return DROP_guard_malformed;
	if (!allows_claimed_mac(guard, decoded->frame, arp.sender_mac))
		return DROP_guard_arp;
	/* 0.0.0.0 asks without a claim (RFC 5227). */
	if (memcmp(arp.sender_ip, zero_address, 4) != 0 && !allows_ipv4(guard, arp.sender_ip))
		return DROP_guard_arp;
	return DROP_none;
}

static enum drop_reason check_ipv4_source(const struct guard *guard, const struct decoded *decoded)
{
	if (!(guard->flags & GUARD_IP) || allows_ipv4(guard, decoded->source))
		return DROP_none;
	/* A client that has no address yet. */
	if (memcmp(decoded->source, zero_address, 4) == 0 && decoded->protocol == IPPROTO_UDP
		&& dhcp_is_from_client(4, decoded->source_port, decoded->destination_port))
		return DROP_none;
	return DROP_guard_ipv4;
}

/* What a host without an address may send: duplicate address detection, router solicitation,
 * listener reports (RFC 4862, RFC 3590). */
static bool may_be_unspecified(const struct decoded *decoded)
{
	if (decoded->protocol != IPPROTO_ICMPV6 || decoded->is_fragment || !decoded->l4_offset)
		return false;
	switch (decoded->icmp_type) {
	case ND_NEIGHBOUR_SOLICITATION:
	case ND_ROUTER_SOLICITATION:
	case MLD_REPORT:
	case MLD_DONE:
	case MLDV2_REPORT:
		return true;
	default:
		return false;
	}
}

static enum drop_reason check_ipv6_source(const struct guard *guard, const struct decoded *decoded)
{
	if (!(guard->flags & GUARD_IP) || allows_ipv6(guard, decoded->source))
		return DROP_none;
	if (guard->ipv6_count && memcmp(decoded->source, zero_address, 16) == 0
		&& may_be_unspecified(decoded))
		return DROP_none;
	return DROP_guard_ipv6;
}

/* The packet is ICMPv6, and no later fragment. */
static enum drop_reason check_nd(const struct guard *guard, const struct decoded *decoded)
{
	struct nd nd;

	if (decoded->icmp_type == ND_ROUTER_ADVERTISEMENT || decoded->icmp_type == ND_REDIRECT)
		return guard->flags & GUARD_RA ? DROP_guard_ra : DROP_none;
	if (!(guard->flags & GUARD_ND) || !nd_is_type(decoded->icmp_type))
		return DROP_none;
	/* Hosts do not send these fragmented (RFC 6980). */
	if (decoded->has_fragment_header)
		return DROP_guard_nd;
	if (decoded->l3_end > decoded->captured_size
		|| !nd_parse(decoded->frame + decoded->l4_offset,
			decoded->l3_end - decoded->l4_offset, &nd))
		return DROP_guard_malformed;
	if (nd.link_address && !allows_claimed_mac(guard, decoded->frame, nd.link_address))
		return DROP_guard_nd;
	if (decoded->icmp_type == ND_NEIGHBOUR_ADVERTISEMENT && !allows_ipv6(guard, nd.target))
		return DROP_guard_nd;
	/* A solicitation claims its source for the MAC address that it brings (RFC 4861, sections
	 * 6.2.6 and 7.2.3); that is checked here for ports whose sources are not. */
	if (decoded->icmp_type != ND_NEIGHBOUR_ADVERTISEMENT && nd.link_address
		&& memcmp(decoded->source, zero_address, 16) != 0
		&& !allows_ipv6(guard, decoded->source))
		return DROP_guard_nd;
	return DROP_none;
}

/* Whether something that the guard must see could be behind what did not parse. */
static bool hides(const struct guard *guard, const struct decoded *decoded)
{
	switch (decoded->malformed) {
	case DECODE_OK:
		return false;
	case DECODE_VLAN_DEEP:
	case DECODE_IPV4_OPTIONS: /* some hosts are lenient with them */
	case DECODE_IPV6_EXTENSION:
		return true;
	case DECODE_TCP_SHORT:
	case DECODE_UDP_SHORT:
	case DECODE_ICMP_SHORT:
	case DECODE_SCTP_SHORT:
		/* The header chain is split over fragments (RFC 7112, RFC 7113), or reaches over
		 * what can be seen of it. */
		return decoded->is_fragment || decoded->l3_end > decoded->captured_size;
	case DECODE_ARP_SHORT:
		return guard->flags & GUARD_ARP;
	case DECODE_IPV4_SHORT:
	case DECODE_IPV4_VERSION:
	case DECODE_IPV4_HEADER_LENGTH:
	case DECODE_IPV4_TOTAL_LENGTH:
	case DECODE_IPV6_SHORT:
	case DECODE_IPV6_VERSION:
	case DECODE_IPV6_PAYLOAD_LENGTH:
		return guard->flags & GUARD_IP;
	default:
		return false; /* hosts discard it, and the addresses before it are checked */
	}
}

static enum drop_reason check_ip(const struct guard *guard, const struct decoded *decoded)
{
	enum drop_reason reason = decoded->ip_version == 4 ? check_ipv4_source(guard, decoded)
							   : check_ipv6_source(guard, decoded);

	if (reason || !decoded->l4_offset)
		return reason;
	if (decoded->protocol == IPPROTO_UDP && guard->flags & GUARD_DHCP
		&& dhcp_is_from_server(
			decoded->ip_version, decoded->source_port, decoded->destination_port))
		return DROP_guard_dhcp;
	if (decoded->ip_version == 6 && decoded->protocol == IPPROTO_ICMPV6)
		return check_nd(guard, decoded);
	return DROP_none;
}

/* All headers, wherever they are. */
static enum drop_reason check_decoded(
	const struct guard *guard, const uint8_t *frame, uint32_t captured_size, uint32_t size)
{
	struct decoded decoded;

	decode_headers(frame, captured_size, size, &decoded);
	if (hides(guard, &decoded))
		return DROP_guard_malformed;
	switch (decoded.ethertype) {
	case ETH_TYPE_ARP:
	case ETH_TYPE_RARP:
		return check_arp(guard, &decoded);
	case ETH_TYPE_IPV4:
	case ETH_TYPE_IPV6:
		return decoded.ip_version ? check_ip(guard, &decoded) : DROP_none;
	case ETH_TYPE_EAPOL:
	case ETH_TYPE_PREAUTH:
		return guard->flags & GUARD_EAPOL ? DROP_guard_eapol : DROP_none;
	default:
		return DROP_none;
	}
}

static bool is_udp_of_dhcp(const uint8_t *ports, uint8_t ip_version)
{
	uint16_t source = network_load16(ports), destination = network_load16(ports + 2);

	return dhcp_is_from_server(ip_version, source, destination)
		|| dhcp_is_from_client(ip_version, source, destination);
}

/* The frames that make up most of the traffic, without decoding them whole: IP without options,
 * extensions or fragments, TCP, or UDP that is not DHCP. False: look closer. */
static bool is_plain_and_good(
	const struct guard *guard, const uint8_t *frame, uint32_t captured_size)
{
	uint16_t type = network_load16(frame + ETH_TYPE_OFFSET);
	const uint8_t *ip = frame + ETH_HEADER_SIZE;

	if (type == ETH_TYPE_IPV4) {
		if (captured_size < IPV4_PLAIN_SIZE + PORTS_SIZE || ip[0] != 0x45
			|| network_load16(ip + 6) & 0x3fff)
			return false;
		if (ip[9] != IPPROTO_TCP
			&& (ip[9] != IPPROTO_UDP || is_udp_of_dhcp(frame + IPV4_PLAIN_SIZE, 4)))
			return false;
		return !(guard->flags & GUARD_IP) || allows_ipv4(guard, ip + 12);
	}
	if (type == ETH_TYPE_IPV6) {
		if (captured_size < IPV6_PLAIN_SIZE + PORTS_SIZE || ip[0] >> 4 != 6)
			return false;
		if (ip[6] != IPPROTO_TCP
			&& (ip[6] != IPPROTO_UDP || is_udp_of_dhcp(frame + IPV6_PLAIN_SIZE, 6)))
			return false;
		return !(guard->flags & GUARD_IP) || allows_ipv6(guard, ip + 8);
	}
	return false;
}

enum drop_reason guard_check(
	const struct guard *guard, const uint8_t *frame, uint32_t captured_size, uint32_t size)
{
	if (guard->flags & GUARD_MAC && !allows_mac(guard, frame + ETH_ADDRESS_SIZE))
		return DROP_guard_mac;
	if (is_plain_and_good(guard, frame, captured_size))
		return DROP_none;
	return check_decoded(guard, frame, captured_size, size);
}
