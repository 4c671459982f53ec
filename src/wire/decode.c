/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/decode.h"

#include "wire/eth.h"
#include "wire/icmp_error.h"

#include <string.h>

#define SNAP_SIZE           8 /* LLC aa aa 03, OUI, type (RFC 1042) */
#define ENCAPSULATIONS_MAX  8 /* VLAN tags and SNAP headers in a row */
#define IPV4_HEADER_SIZE    20
#define IPV6_HEADER_SIZE    40
#define IPV6_EXTENSIONS_MAX 16 /* far more than hosts send; bounds the work per frame */
#define TCP_HEADER_SIZE     20
#define UDP_HEADER_SIZE     8
#define SCTP_HEADER_SIZE    12
#define ICMP_HEADER_SIZE    8
#define ARP_HEADER_SIZE     8

/* Assigned Internet Protocol Numbers (IANA). */
enum protocol {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_ESP = 50,
	PROTOCOL_AH = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_NO_NEXT = 59,
	PROTOCOL_DESTINATION = 60,
	PROTOCOL_SCTP = 132,
	PROTOCOL_MOBILITY = 135,
	PROTOCOL_UDP_LITE = 136,
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
};

static const char *const malformed_names[DECODE_MALFORMED_COUNT] = {
	[DECODE_OK] = "ok",
	[DECODE_ETHERNET_SHORT] = "ethernet_short",
	[DECODE_VLAN_SHORT] = "vlan_short",
	[DECODE_VLAN_DEEP] = "vlan_deep",
	[DECODE_ARP_SHORT] = "arp_short",
	[DECODE_IPV4_SHORT] = "ipv4_short",
	[DECODE_IPV4_VERSION] = "ipv4_version",
	[DECODE_IPV4_HEADER_LENGTH] = "ipv4_header_length",
	[DECODE_IPV4_TOTAL_LENGTH] = "ipv4_total_length",
	[DECODE_IPV4_OPTIONS] = "ipv4_options",
	[DECODE_IPV6_SHORT] = "ipv6_short",
	[DECODE_IPV6_VERSION] = "ipv6_version",
	[DECODE_IPV6_PAYLOAD_LENGTH] = "ipv6_payload_length",
	[DECODE_IPV6_EXTENSION] = "ipv6_extension",
	[DECODE_TCP_SHORT] = "tcp_short",
	[DECODE_TCP_HEADER_LENGTH] = "tcp_header_length",
	[DECODE_TCP_OPTIONS] = "tcp_options",
	[DECODE_UDP_SHORT] = "udp_short",
	[DECODE_UDP_LENGTH] = "udp_length",
	[DECODE_ICMP_SHORT] = "icmp_short",
	[DECODE_SCTP_SHORT] = "sctp_short",
};

const char *decode_malformed_name(enum decode_malformed malformed)
{
	return (unsigned int)malformed < DECODE_MALFORMED_COUNT ? malformed_names[malformed]
								: "unknown";
}

static void set_payload(struct decoded *out, uint32_t offset, uint32_t end)
{
	out->payload_offset = offset;
	out->payload_size = end - offset;
}

static enum decode_malformed options_check(
	const uint8_t *options, size_t size, enum decode_malformed malformed)
{
	size_t at = 0;

	while (at < size && options[at] != 0) { /* 0 ends, 1 pads: RFC 791, RFC 9293 alike */
		if (options[at] == 1) {
			at++;
			continue;
		}
		if (size - at < 2 || options[at + 1] < 2 || options[at + 1] > size - at)
			return malformed;
		at += options[at + 1];
	}
	return DECODE_OK;
}

/* The packet's end, or that of the bytes that are there to be read. */
static uint32_t l3_readable_end(const struct decoded *out)
{
	return out->l3_end < out->captured_size ? out->l3_end : out->captured_size;
}

static uint32_t l4_left(const struct decoded *out)
{
	return l3_readable_end(out) - out->l4_offset;
}

static enum decode_malformed decode_tcp(struct decoded *out)
{
	const uint8_t *tcp = out->frame + out->l4_offset;
	uint32_t left = l4_left(out);
	uint32_t header;

	if (left < TCP_HEADER_SIZE)
		return DECODE_TCP_SHORT;
	out->source_port = network_load16(tcp);
	out->destination_port = network_load16(tcp + 2);
	out->tcp_sequence = network_load32(tcp + 4);
	out->tcp_acknowledgement = network_load32(tcp + 8);
	out->tcp_flags = tcp[13];
	out->tcp_window = network_load16(tcp + 14);
	header = (uint32_t)(tcp[12] >> 4) * 4;
	if (header < TCP_HEADER_SIZE || header > left)
		return DECODE_TCP_HEADER_LENGTH;
	/* Hosts take the data of a segment with broken options, so it is told in any case. */
	set_payload(out, out->l4_offset + header, out->l3_end);
	return options_check(tcp + TCP_HEADER_SIZE, header - TCP_HEADER_SIZE, DECODE_TCP_OPTIONS);
}

static enum decode_malformed decode_udp(struct decoded *out)
{
	const uint8_t *udp = out->frame + out->l4_offset;
	uint32_t left = out->l3_end - out->l4_offset;
	uint32_t length;

	if (l4_left(out) < UDP_HEADER_SIZE)
		return DECODE_UDP_SHORT;
	out->source_port = network_load16(udp);
	out->destination_port = network_load16(udp + 2);
	length = network_load16(udp + 4);
	/* UDP-Lite has its coverage there; a first fragment holds less than the length says. */
	if (out->protocol == PROTOCOL_UDP_LITE || (out->is_fragment && length > left))
		length = left;
	/* Of a jumbogram; hosts take it in place of any length (RFC 2675 section 4). */
	if (out->ip_version == 6 && length == 0)
		length = left;
	if (length < UDP_HEADER_SIZE || length > left)
		return DECODE_UDP_LENGTH;
	set_payload(out, out->l4_offset + UDP_HEADER_SIZE, out->l4_offset + length);
	return DECODE_OK;
}

static enum decode_malformed decode_sctp(struct decoded *out)
{
	const uint8_t *sctp = out->frame + out->l4_offset;

	if (l4_left(out) < SCTP_HEADER_SIZE)
		return DECODE_SCTP_SHORT;
	out->source_port = network_load16(sctp);
	out->destination_port = network_load16(sctp + 2);
	set_payload(out, out->l4_offset + SCTP_HEADER_SIZE, out->l3_end);
	return DECODE_OK;
}

static enum decode_malformed decode_icmp(struct decoded *out)
{
	const uint8_t *icmp = out->frame + out->l4_offset;

	if (l4_left(out) < ICMP_HEADER_SIZE)
		return DECODE_ICMP_SHORT;
	out->icmp_type = icmp[0];
	out->icmp_code = icmp[1];
	set_payload(out, out->l4_offset + ICMP_HEADER_SIZE, out->l3_end);
	return DECODE_OK;
}

/* out->ip_payload_offset and out->protocol are known; the packet is no later fragment. */
static enum decode_malformed decode_transport(struct decoded *out)
{
	if (out->protocol == PROTOCOL_ESP
		|| (out->ip_version == 6 && out->protocol == PROTOCOL_NO_NEXT))
		return DECODE_OK;
	out->l4_offset = out->ip_payload_offset;
	switch (out->protocol) {
	case PROTOCOL_TCP:
		return decode_tcp(out);
	case PROTOCOL_UDP:
	case PROTOCOL_UDP_LITE:
		return decode_udp(out);
	case PROTOCOL_SCTP:
		return decode_sctp(out);
	case PROTOCOL_ICMP:
		if (out->ip_version == 4)
			return decode_icmp(out);
		break;
	case PROTOCOL_ICMPV6:
		if (out->ip_version == 6)
			return decode_icmp(out);
		break;
	default:
		break;
	}
	set_payload(out, out->l4_offset, out->l3_end);
	return DECODE_OK;
}

static enum decode_malformed decode_ipv4(struct decoded *out)
{
	const uint8_t *ip = out->frame + out->l3_offset;
	uint32_t left = out->captured_size - out->l3_offset;
	uint32_t header, total;
	uint16_t fragment;

	if (left < IPV4_HEADER_SIZE)
		return DECODE_IPV4_SHORT;
	if (ip[0] >> 4 != 4)
		return DECODE_IPV4_VERSION;
	header = (uint32_t)(ip[0] & 0xf) * 4;
	if (header < IPV4_HEADER_SIZE || header > left)
		return DECODE_IPV4_HEADER_LENGTH;
	out->ip_version = 4;
	out->dscp_ecn = ip[1];
	out->fragment_id = network_load16(ip + 4);
	out->ttl = ip[8];
	out->protocol = ip[9];
	memcpy(out->source, ip + 12, 4);
	memcpy(out->destination, ip + 16, 4);
	fragment = network_load16(ip + 6);
	out->fragment_offset = (uint16_t)((fragment & 0x1fff) << 3);
	out->is_fragment = fragment & 0x3fff; /* offset, or more fragments */
	out->is_first_fragment = out->is_fragment && out->fragment_offset == 0;
	total = network_load16(ip + 2);
	if (total < header || total > out->frame_size - out->l3_offset)
		return DECODE_IPV4_TOTAL_LENGTH;
	out->l3_end = out->l3_offset + total;
	out->ip_payload_offset = out->l3_offset + header;
	if (header > IPV4_HEADER_SIZE
		&& options_check(
			ip + IPV4_HEADER_SIZE, header - IPV4_HEADER_SIZE, DECODE_IPV4_OPTIONS))
		return DECODE_IPV4_OPTIONS;
	return out->fragment_offset ? DECODE_OK : decode_transport(out);
}

static bool is_ipv6_extension(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_FRAGMENT:
	case PROTOCOL_AH:
	case PROTOCOL_DESTINATION:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Steps over one extension header at out->ip_payload_offset (RFC 8200, section 4). */
static enum decode_malformed step_ipv6_extension(struct decoded *out)
{
	const uint8_t *extension = out->frame + out->ip_payload_offset;
	uint32_t left = l3_readable_end(out) - out->ip_payload_offset;
	uint32_t size = 8;

	/* A second fragment header would be another datagram in this one, which reassembly of the
	 * first leaves in pieces. */
	if (left < 8 || (out->protocol == PROTOCOL_FRAGMENT && out->has_fragment_header))
		return DECODE_IPV6_EXTENSION;
	if (out->protocol == PROTOCOL_FRAGMENT) {
		uint16_t fragment = network_load16(extension + 2);

		out->has_fragment_header = true;
		out->fragment_offset = fragment & 0xfff8;
		out->is_fragment |= (fragment & 0xfff9) != 0; /* offset, or more fragments */
		out->is_first_fragment = out->is_fragment && out->fragment_offset == 0;
		out->fragment_id = network_load32(extension + 4);
	} else if (out->protocol == PROTOCOL_AH) {
		size = ((uint32_t)extension[1] + 2) * 4; /* RFC 4302, section 2.2 */
	} else {
		size = ((uint32_t)extension[1] + 1) * 8;
	}
	if (size > left)
		return DECODE_IPV6_EXTENSION;
	out->protocol = extension[0];
	out->ip_payload_offset += size;
	return DECODE_OK;
}

static enum decode_malformed decode_ipv6(struct decoded *out)
{
	const uint8_t *ip = out->frame + out->l3_offset;
	uint32_t left = out->captured_size - out->l3_offset;
	uint32_t payload;

	if (left < IPV6_HEADER_SIZE)
		return DECODE_IPV6_SHORT;
	if (ip[0] >> 4 != 6)
		return DECODE_IPV6_VERSION;
	out->ip_version = 6;
	out->dscp_ecn = (uint8_t)(network_load16(ip) >> 4);
	out->protocol = ip[6];
	out->ttl = ip[7];
	memcpy(out->source, ip + 8, 16);
	memcpy(out->destination, ip + 24, 16);
	payload = network_load16(ip + 4);
	if (payload > out->frame_size - out->l3_offset - IPV6_HEADER_SIZE)
		return DECODE_IPV6_PAYLOAD_LENGTH;
	out->l3_end = out->l3_offset + IPV6_HEADER_SIZE + payload;
	out->ip_payload_offset = out->l3_offset + IPV6_HEADER_SIZE;
	for (int count = 0; is_ipv6_extension(out->protocol); count++) {
		if (count == IPV6_EXTENSIONS_MAX || step_ipv6_extension(out) != DECODE_OK)
			return DECODE_IPV6_EXTENSION;
		if (out->fragment_offset)
			return DECODE_OK;
	}
	return decode_transport(out);
}

static enum decode_malformed decode_arp(struct decoded *out)
{
	const uint8_t *arp = out->frame + out->l3_offset;
	uint32_t left = out->captured_size - out->l3_offset;

	if (left < ARP_HEADER_SIZE || left - ARP_HEADER_SIZE < 2U * (arp[4] + arp[5]))
		return DECODE_ARP_SHORT;
	return DECODE_OK;
}

/*
 * Steps over one VLAN tag, or over an LLC/SNAP header that carries an Ethernet type (some hosts
 * accept IP in it, and in any mixture with tags: CERT/CC VU#855201). False: the end is reached, or
 * *malformed is set.
 */
static bool step_encapsulation(struct decoded *out, enum decode_malformed *malformed)
{
	const uint8_t *at = out->frame + out->l3_offset;
	uint32_t left = out->captured_size - out->l3_offset;

	if (eth_type_is_tag(out->ethertype)) {
		if (left < ETH_TAG_SIZE)
			*malformed = DECODE_VLAN_SHORT;
		else if (out->vlan_count == DECODE_VLANS_MAX)
			*malformed = DECODE_VLAN_DEEP;
		if (*malformed)
			return false;
		out->vlan_tpid[out->vlan_count] = out->ethertype;
		out->vlan_tci[out->vlan_count++] = network_load16(at);
		out->ethertype = network_load16(at + 2);
		out->l3_offset += ETH_TAG_SIZE;
		return true;
	}
	if (out->ethertype < ETH_TYPE_MIN && left >= SNAP_SIZE
		&& (network_load32(at) & 0xffffff00) == 0xaaaa0300
		&& (network_load32(at + 2) == 0x03000000 || network_load32(at + 2) == 0x030000f8)
		&& network_load16(at + 6) >= ETH_TYPE_MIN) {
		out->has_snap = true;
		out->ethertype = network_load16(at + 6);
		out->l3_offset += SNAP_SIZE;
		return true;
	}
	return false;
}

static enum decode_malformed decode_layers(struct decoded *out)
{
	enum decode_malformed malformed = DECODE_OK;

	if (out->captured_size < ETH_HEADER_SIZE)
		return DECODE_ETHERNET_SHORT;
	out->ethertype = network_load16(out->frame + ETH_TYPE_OFFSET);
	out->l3_offset = ETH_HEADER_SIZE;
	for (int count = 0; step_encapsulation(out, &malformed); count++) {
		if (count == ENCAPSULATIONS_MAX)
			return DECODE_VLAN_DEEP;
	}
	if (malformed)
		return malformed;
	switch (out->ethertype) {
	case ETH_TYPE_IPV4:
		return decode_ipv4(out);
	case ETH_TYPE_IPV6:
		return decode_ipv6(out);
	case ETH_TYPE_ARP:
		return decode_arp(out);
	default:
		return DECODE_OK;
	}
}

enum decode_malformed decode_frame(const uint8_t *frame, size_t size, struct decoded *out)
{
	return decode_headers(frame, size, size, out);
}

enum decode_malformed decode_headers(
	const uint8_t *frame, size_t captured_size, size_t size, struct decoded *out)
{
	*out = (struct decoded){.frame = frame,
		.captured_size = (uint32_t)captured_size,
		.frame_size = (uint32_t)size};
	out->malformed = decode_layers(out);
	return out->malformed;
}

/* Finaliser of MurmurHash3 (public domain, A. Appleby): every input bit reaches every output bit.
 */
static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdULL;
	value ^= value >> 33;
	value *= 0xc4ceb9fe1a85ec53ULL;
	return value ^ value >> 33;
}

static uint64_t hash_address(const uint8_t address[16], bool is_ipv6)
{
	uint64_t low, high;

	if (!is_ipv6)
		return mix(network_load32(address));
	memcpy(&high, address, sizeof(high));
	memcpy(&low, address + 8, sizeof(low));
	return mix(mix(high) + low);
}

static uint64_t hash_station(const uint8_t *address)
{
	return mix((uint64_t)network_load32(address) << 16 | network_load16(address + 4));
}

/* Ends commute in the sum, so both directions agree. */
uint32_t decode_pair_hash(const struct decoded *decoded, uint16_t vlan)
{
	struct decoded about;
	uint64_t sum;

	/* Routers between the two send them as well. One in fragments goes with its fragments. */
	if (!decoded->is_fragment && icmp_error_read(decoded, &about) == 0)
		decoded = &about;
	if (decoded->ip_version) {
		bool is_ipv6 = decoded->ip_version == 6;

		sum = hash_address(decoded->source, is_ipv6)
			+ hash_address(decoded->destination, is_ipv6);
	} else if (decoded->captured_size >= ETH_HEADER_SIZE) {
		sum = hash_station(decoded->frame)
			+ hash_station(decoded->frame + ETH_ADDRESS_SIZE);
	} else {
		sum = 0;
	}
	return (uint32_t)(mix(sum ^ (uint64_t)vlan << 48) >> 32);
}
