/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/icmp_error.h"

#include "base/bytes.h"

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
