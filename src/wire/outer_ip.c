/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/outer_ip.h"

#include "wire/checksum.h"

#define IPV4_HEADER_SIZE   20
#define IPV6_HEADER_SIZE   40
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_FRAGMENT_BITS 0x3fff /* more fragments, and the offset */
#define HOP_LIMIT          64

static enum outer_ip_fault parse_ipv4(struct bytes *reader, size_t size, struct outer_ip *out)
{
	size_t start = reader->offset;
	const uint8_t *ip = bytes_take(reader, IPV4_HEADER_SIZE);
	size_t header_size, total;

	if (!ip)
		return OUTER_IP_SHORT;
	header_size = (ip[0] & 0xf) * 4U;
	total = network_load16(ip + 2);
	if (ip[0] >> 4 != 4 || header_size < IPV4_HEADER_SIZE || total < header_size
		|| start + total > size)
		return OUTER_IP_SHORT;
	bytes_skip(reader, header_size - IPV4_HEADER_SIZE);
	if (!bytes_is_ok(reader))
		return OUTER_IP_SHORT;
	if (checksum_finish(checksum_add(0, ip, header_size)) != 0)
		return OUTER_IP_CHECKSUM;
	out->source.version = out->destination.version = 4;
	memcpy(out->source.bytes, ip + 12, 4);
	memcpy(out->destination.bytes, ip + 16, 4);
	out->protocol = ip[9];
	out->end = (uint32_t)(start + total);
	return network_load16(ip + 6) & IPV4_FRAGMENT_BITS ? OUTER_IP_FRAGMENT : OUTER_IP_FINE;
}

static enum outer_ip_fault parse_ipv6(struct bytes *reader, size_t size, struct outer_ip *out)
{
	const uint8_t *ip = bytes_take(reader, IPV6_HEADER_SIZE);

	if (!ip || ip[0] >> 4 != 6 || reader->offset + network_load16(ip + 4) > size)
		return OUTER_IP_SHORT;
	out->source.version = out->destination.version = 6;
	memcpy(out->source.bytes, ip + 8, 16);
	memcpy(out->destination.bytes, ip + 24, 16);
	out->protocol = ip[6];
	out->end = (uint32_t)(reader->offset + network_load16(ip + 4));
	return OUTER_IP_FINE;
}

enum outer_ip_fault outer_ip_parse(struct bytes *reader, size_t size, struct outer_ip *out)
{
	uint16_t ethertype;

	*out = (struct outer_ip){.end = 0};
	bytes_skip(reader, ETH_TYPE_OFFSET);
	ethertype = bytes_read_u16(reader);
	if (ethertype == ETH_TYPE_IPV4)
		return parse_ipv4(reader, size, out);
	if (ethertype == ETH_TYPE_IPV6)
		return parse_ipv6(reader, size, out);
	return OUTER_IP_NONE;
}

uint32_t outer_ip_size(uint8_t version)
{
	return version == 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
}

static void write_ipv4(uint8_t *ip, const struct outer_ip_headers *headers, uint32_t total)
{
	memset(ip, 0, IPV4_HEADER_SIZE);
	ip[0] = 0x45;
	network_store16(ip + 2, (uint16_t)total);
	network_store16(ip + 6, IPV4_DONT_FRAGMENT);
	ip[8] = HOP_LIMIT;
	ip[9] = headers->protocol;
	memcpy(ip + 12, headers->source->bytes, 4);
	memcpy(ip + 16, headers->destination->bytes, 4);
	checksum_write_ipv4(ip);
}

static void write_ipv6(uint8_t *ip, const struct outer_ip_headers *headers, uint32_t payload_size)
{
	network_store32(ip, 6U << 28);
	network_store16(ip + 4, (uint16_t)payload_size);
	ip[6] = headers->protocol;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, headers->source->bytes, 16);
	memcpy(ip + 24, headers->destination->bytes, 16);
}

uint8_t *outer_ip_write(uint8_t *out, const struct outer_ip_headers *headers, uint32_t payload_size)
{
	uint8_t version = headers->source->version, *ip = out + ETH_HEADER_SIZE;

	memcpy(out, headers->destination_mac, ETH_ADDRESS_SIZE);
	memcpy(out + ETH_ADDRESS_SIZE, headers->source_mac, ETH_ADDRESS_SIZE);
	network_store16(out + ETH_TYPE_OFFSET, version == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	if (version == 4)
		write_ipv4(ip, headers, IPV4_HEADER_SIZE + payload_size);
	else
		write_ipv6(ip, headers, payload_size);
	return ip + outer_ip_size(version);
}
