/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/icmp_error.h"

#include "base/bytes.h"
#include "wire/checksum.h"
#include "wire/eth.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define ICMP_HEADER_SIZE 8

static bool is_error(const struct decoded *packet)
{
	if (packet->protocol == IPPROTO_ICMP)
		return packet->icmp_type == 3 || packet->icmp_type == 4 || packet->icmp_type == 5
			|| packet->icmp_type == 11 || packet->icmp_type == 12;
	return packet->protocol == IPPROTO_ICMPV6 && packet->icmp_type < 128;
}

/* RFC 791; a later fragment has no ports. */
static bool read_ipv4(struct bytes *bytes, struct decoded *about)
{
	uint8_t first = bytes_read_u8(bytes);
	uint16_t fragment;

	if (first >> 4 != 4 || (first & 0x0f) < 5)
		return false;
	bytes_skip(bytes, 5);
	fragment = bytes_read_u16(bytes);
	bytes_skip(bytes, 1);
	about->protocol = bytes_read_u8(bytes);
	bytes_skip(bytes, 2);
	for (int i = 0; i < 4; i++)
		about->source[i] = bytes_read_u8(bytes);
	for (int i = 0; i < 4; i++)
		about->destination[i] = bytes_read_u8(bytes);
	bytes_skip(bytes, ((first & 0x0f) - 5u) * 4);
	about->ip_version = 4;
	return (fragment & 0x1fff) == 0;
}

/* RFC 8200. What is behind extension headers is taken for no flow's. */
static bool read_ipv6(struct bytes *bytes, struct decoded *about)
{
	if (bytes_read_u8(bytes) >> 4 != 6)
		return false;
	bytes_skip(bytes, 5);
	about->protocol = bytes_read_u8(bytes);
	bytes_skip(bytes, 1);
	for (int i = 0; i < 16; i++)
		about->source[i] = bytes_read_u8(bytes);
	for (int i = 0; i < 16; i++)
		about->destination[i] = bytes_read_u8(bytes);
	about->ip_version = 6;
	return true;
}

int icmp_error_read(const struct decoded *error, struct decoded *about)
{
	struct bytes bytes;
	bool is_read;

	if (!error->l4_offset || !is_error(error))
		return -ENOENT;
	memset(about, 0, sizeof(*about));
	if (error->l4_offset + ICMP_HEADER_SIZE > error->captured_size)
		return -EINVAL;
	bytes = bytes_from(error->frame + error->l4_offset + ICMP_HEADER_SIZE,
		error->captured_size - error->l4_offset - ICMP_HEADER_SIZE);
	is_read = error->ip_version == 4 ? read_ipv4(&bytes, about) : read_ipv6(&bytes, about);
	about->ip_payload_offset = error->captured_size - (uint32_t)bytes_left(&bytes);
	about->source_port = bytes_read_u16(&bytes);
	about->destination_port = bytes_read_u16(&bytes);
	about->tcp_sequence = bytes_read_u32(&bytes);
	about->l4_offset = error->l4_offset + ICMP_HEADER_SIZE; /* it has such a header */
	return is_read && bytes_is_ok(&bytes) ? 0 : -EINVAL;
}

/* ---- writing ---- */

#define HOP_LIMIT       64
#define UNREACHABLE     3
#define NEEDS_CUTTING   4
#define PACKET_TOO_BIG  2
#define ERROR_SIZE_IPV4 576  /* RFC 1812 section 4.3.2.3 */
#define ERROR_SIZE_IPV6 1280 /* RFC 4443 section 2.4 (c) */

/* Not about errors, and not to a group or nobody. */
static bool may_be_told(const struct decoded *packet)
{
	static const uint8_t nobody[16];

	if (!packet->ip_version || is_error(packet)
		|| memcmp(packet->source, nobody, sizeof(nobody)) == 0)
		return false;
	return packet->ip_version == 4 ? packet->source[0] < 224 : packet->source[0] != 0xff;
}

static uint8_t *write_ip(uint8_t *ip, const struct decoded *packet, uint32_t payload_size)
{
	if (packet->ip_version == 4) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		network_store16(ip + 2, (uint16_t)(20 + payload_size));
		ip[8] = HOP_LIMIT;
		ip[9] = IPPROTO_ICMP;
		memcpy(ip + 12, packet->destination, 4);
		memcpy(ip + 16, packet->source, 4);
		return ip + 20;
	}
	memset(ip, 0, 40);
	ip[0] = 0x60;
	network_store16(ip + 4, (uint16_t)payload_size);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, packet->destination, 16);
	memcpy(ip + 24, packet->source, 16);
	return ip + 40;
}

size_t icmp_error_write_too_big(
	uint8_t *out, size_t room, const struct decoded *packet, uint32_t mtu)
{
	bool is_ipv4 = packet->ip_version == 4;
	uint32_t quoted =
		(is_ipv4 ? ERROR_SIZE_IPV4 - 20 : ERROR_SIZE_IPV6 - 40) - ICMP_HEADER_SIZE;
	uint32_t there = packet->captured_size - packet->l3_offset;
	struct decoded decoded;
	uint8_t *icmp;
	size_t size;

	if (room < ICMP_ERROR_SIZE_MAX || !may_be_told(packet))
		return 0;
	if (quoted > there)
		quoted = there;
	memcpy(out, packet->frame, ETH_TYPE_OFFSET);
	network_store16(out + ETH_TYPE_OFFSET, is_ipv4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	icmp = write_ip(out + ETH_HEADER_SIZE, packet, ICMP_HEADER_SIZE + quoted);
	memset(icmp, 0, ICMP_HEADER_SIZE);
	icmp[0] = is_ipv4 ? UNREACHABLE : PACKET_TOO_BIG;
	icmp[1] = is_ipv4 ? NEEDS_CUTTING : 0;
	network_store32(icmp + 4, mtu);
	memcpy(icmp + ICMP_HEADER_SIZE, packet->frame + packet->l3_offset, quoted);
	size = (size_t)(icmp - out) + ICMP_HEADER_SIZE + quoted;
	decode_frame(out, size, &decoded);
	checksum_repair(out, &decoded);
	return size;
}
