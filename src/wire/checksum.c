/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/checksum.h"

#include "wire/network.h"

#include <netinet/in.h>

#define IPV4_CHECKSUM_OFFSET 10

uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t size)
{
	uint64_t wide = sum;

	for (; size >= 4; size -= 4, data += 4)
		wide += network_load32(data);
	if (size >= 2) {
		wide += network_load16(data);
		data += 2;
		size -= 2;
	}
	if (size)
		wide += (uint32_t)data[0] << 8;
	wide = (wide & 0xffffffff) + (wide >> 32);
	wide = (wide & 0xffffffff) + (wide >> 32);
	return (uint32_t)wide;
}

uint16_t checksum_finish(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t checksum_pseudo_header(const struct decoded *decoded, uint32_t l4_size)
{
	size_t address_size = decoded->ip_version == 4 ? 4 : 16;
	uint8_t tail[8] = {0};
	uint32_t sum;

	sum = checksum_add(0, decoded->source, address_size);
	sum = checksum_add(sum, decoded->destination, address_size);
	network_store32(tail, l4_size);
	tail[7] = decoded->protocol;
	return checksum_add(sum, tail, sizeof(tail));
}

/* Where the transport's checksum is in the frame; 0: there is none to check. */
static uint32_t transport_checksum_offset(const struct decoded *decoded)
{
	uint32_t left = decoded->l3_end - decoded->l4_offset;
	uint32_t field;

	if (!decoded->l4_offset || decoded->is_fragment || decoded->l3_end > decoded->captured_size)
		return 0;
	switch (decoded->protocol) {
	case IPPROTO_TCP:
		field = 16;
		break;
	case IPPROTO_UDP:
		field = 6;
		break;
	case IPPROTO_ICMP:
		if (decoded->ip_version != 4)
			return 0;
		field = 2;
		break;
	case IPPROTO_ICMPV6:
		if (decoded->ip_version != 6)
			return 0;
		field = 2;
		break;
	default:
		return 0;
	}
	if (left < field + 2)
		return 0;
	if (decoded->protocol == IPPROTO_UDP && decoded->ip_version == 4
		&& !network_load16(decoded->frame + decoded->l4_offset + field))
		return 0; /* sent without: RFC 768 */
	return decoded->l4_offset + field;
}

/* With the checksum field as it is: the result is 0 (0xffff folded) when it is right. */
static uint16_t transport_checksum(const uint8_t *frame, const struct decoded *decoded)
{
	uint32_t size = decoded->l3_end - decoded->l4_offset;
	uint32_t sum = 0;

	if (decoded->protocol == IPPROTO_UDP && decoded->payload_offset)
		size = decoded->payload_offset + decoded->payload_size - decoded->l4_offset;
	if (decoded->protocol != IPPROTO_ICMP)
		sum = checksum_pseudo_header(decoded, size);
	return checksum_finish(checksum_add(sum, frame + decoded->l4_offset, size));
}

static uint32_t ipv4_header_size(const struct decoded *decoded)
{
	if (decoded->ip_version != 4)
		return 0;
	return (uint32_t)(decoded->frame[decoded->l3_offset] & 0xf) * 4;
}

void checksum_write_ipv4(uint8_t *ip)
{
	network_store16(ip + IPV4_CHECKSUM_OFFSET, 0);
	network_store16(ip + IPV4_CHECKSUM_OFFSET,
		checksum_finish(checksum_add(0, ip, (uint32_t)(ip[0] & 0xf) * 4)));
}

void checksum_repair(uint8_t *frame, const struct decoded *decoded)
{
	uint32_t field = transport_checksum_offset(decoded);
	uint16_t checksum;

	if (ipv4_header_size(decoded))
		checksum_write_ipv4(frame + decoded->l3_offset);
	if (!field)
		return;
	network_store16(frame + field, 0);
	checksum = transport_checksum(frame, decoded);
	if (decoded->protocol == IPPROTO_UDP && checksum == 0)
		checksum = 0xffff; /* 0 would say "none": RFC 768, RFC 8200 section 8.1 */
	network_store16(frame + field, checksum);
}

bool checksum_is_right(const struct decoded *decoded)
{
	uint32_t header = ipv4_header_size(decoded);

	if (header && checksum_finish(checksum_add(0, decoded->frame + decoded->l3_offset, header)))
		return false;
	return !transport_checksum_offset(decoded)
		|| transport_checksum(decoded->frame, decoded) == 0;
}
