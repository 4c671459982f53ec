/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/outer.h"

#include "wire/checksum.h"
#include "wire/esp.h"

#include <netinet/in.h>
#include <rte_malloc.h>
#include <string.h>

#define IPV4_TOS      1
#define IPV4_LENGTH   2
#define IPV4_ID       4
#define IPV4_FLAGS    6
#define IPV4_TTL      8
#define IPV4_PROTOCOL 9
#define IPV4_CHECKSUM 10
#define IPV4_DF       0x40
#define IPV6_LENGTH   4
#define IPV6_NEXT     6
#define IPV6_HOPS     7
#define TTL           64 /* RFC 4301 section 5.1.2: of the tunnel's own */

struct sa_outer *outer_create(const struct sa_parameters *parameters)
{
	struct sa_outer *outer = rte_zmalloc("sa-outer", sizeof(*outer), 0);
	bool is_ipv4 = parameters->source.version == 4;
	uint8_t *ip, protocol;

	if (!outer)
		return NULL;
	outer->source = parameters->source;
	outer->destination = parameters->name.destination;
	outer->has_encapsulation = parameters->has_encapsulation;
	outer->source_port = parameters->source_port;
	outer->destination_port = parameters->destination_port;
	outer->ip_size = is_ipv4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
	outer->size = (uint8_t)(outer->ip_size + (outer->has_encapsulation ? ESP_UDP_SIZE : 0));
	protocol = outer->has_encapsulation ? IPPROTO_UDP : ESP_PROTOCOL;
	ip = outer->bytes;
	if (is_ipv4) {
		ip[0] = 0x45;
		ip[IPV4_TTL] = TTL;
		ip[IPV4_PROTOCOL] = protocol;
		memcpy(ip + 12, outer->source.bytes, 4);
		memcpy(ip + 16, outer->destination.bytes, 4);
		outer->sum = checksum_add(0, ip, IPV4_HEADER_SIZE);
	} else {
		ip[0] = 0x60;
		ip[IPV6_NEXT] = protocol;
		ip[IPV6_HOPS] = TTL;
		memcpy(ip + 8, outer->source.bytes, 16);
		memcpy(ip + 24, outer->destination.bytes, 16);
	}
	return outer;
}

void outer_write_udp(
	uint8_t *ip, uint32_t ip_header_size, const struct sa_outer *outer, uint32_t esp_size)
{
	uint32_t udp_size = ESP_UDP_SIZE + esp_size, sum;
	const uint8_t pseudo[8] = {
		0, 0, (uint8_t)(udp_size >> 8), (uint8_t)udp_size, 0, 0, 0, IPPROTO_UDP};
	uint8_t *udp = ip + ip_header_size;
	uint16_t checksum;

	network_store16(udp, outer->source_port);
	network_store16(udp + 2, outer->destination_port);
	network_store16(udp + 4, (uint16_t)udp_size);
	network_store16(udp + 6, 0);
	/* Over IPv4 there is none, which RFC 3948 section 2.1 asks for. IPv6 without one would be
	 * dropped by who was not told (RFC 8200 section 8.1). */
	if (ip[0] >> 4 == 4)
		return;
	sum = checksum_add(checksum_add(0, ip + 8, 32), pseudo, sizeof(pseudo));
	checksum = checksum_finish(checksum_add(sum, udp, udp_size));
	network_store16(udp + 6, checksum ? checksum : 0xffff);
}

/* In 17 bits, so that a few words may be added. */
static uint32_t sum_folded(uint32_t sum)
{
	return (sum & 0xffff) + (sum >> 16);
}

void outer_write(uint8_t *out, const struct sa_outer *outer, const struct outer_choice *choice,
	uint32_t esp_size)
{
	uint32_t size = outer->size + esp_size;

	memcpy(out, outer->bytes, outer->ip_size);
	if (outer->source.version == 6) {
		network_store16(out + IPV6_LENGTH, (uint16_t)(size - IPV6_HEADER_SIZE));
		out[0] = (uint8_t)(0x60 | choice->tos >> 4);
		out[1] = (uint8_t)(choice->tos << 4);
	} else {
		uint32_t flags = choice->has_df ? IPV4_DF << 8 : 0;

		out[IPV4_TOS] = choice->tos;
		network_store16(out + IPV4_LENGTH, (uint16_t)size);
		network_store16(out + IPV4_ID, choice->id);
		network_store16(out + IPV4_FLAGS, (uint16_t)flags);
		network_store16(out + IPV4_CHECKSUM,
			checksum_finish(
				sum_folded(outer->sum) + choice->tos + size + choice->id + flags));
	}
	if (outer->has_encapsulation)
		outer_write_udp(out, outer->ip_size, outer, esp_size);
}

uint8_t ip_traffic_class(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[IPV4_TOS] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

void ip_set_traffic_class(uint8_t *ip, uint8_t value)
{
	if (ip[0] >> 4 == 4) {
		ip[IPV4_TOS] = value;
		checksum_write_ipv4(ip);
		return;
	}
	ip[0] = (uint8_t)(0x60 | value >> 4);
	ip[1] = (uint8_t)(value << 4 | (ip[1] & 0xf));
}

int ecn_leaving(uint8_t inner, uint8_t outer)
{
	inner &= ECN_MASK;
	outer &= ECN_MASK;
	if (outer == ECN_CE)
		return inner ? ECN_CE : -1;
	if (outer == ECN_ECT_1 && inner == ECN_ECT_0)
		return ECN_ECT_1;
	return inner;
}

void ip_set_payload(uint8_t *ip, uint8_t *next_header, uint8_t protocol, uint32_t ip_size)
{
	*next_header = protocol;
	if (ip[0] >> 4 == 6) {
		network_store16(ip + IPV6_LENGTH, (uint16_t)(ip_size - IPV6_HEADER_SIZE));
		return;
	}
	network_store16(ip + IPV4_LENGTH, (uint16_t)ip_size);
	checksum_write_ipv4(ip);
}

/* Of the extensions that may be in front of ESP (RFC 8200 section 4.1), all have their length in
 * units of 8 bytes, but the fragment header, which has a fixed one. */
uint8_t *ip_next_header(uint8_t *ip, uint32_t header_size)
{
	uint8_t *next = ip + IPV6_NEXT;
	uint32_t at = IPV6_HEADER_SIZE;

	if (ip[0] >> 4 == 4)
		return ip + IPV4_PROTOCOL;
	while (at + 8 <= header_size) {
		uint32_t size = *next == IPPROTO_FRAGMENT ? 8 : ((uint32_t)ip[at + 1] + 1) * 8;

		if (*next != IPPROTO_HOPOPTS && *next != IPPROTO_ROUTING
			&& *next != IPPROTO_FRAGMENT && *next != IPPROTO_DSTOPTS)
			return NULL;
		next = ip + at;
		at += size;
	}
	return at == header_size ? next : NULL;
}
