/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/geneve.h"

#include "base/bytes.h"
#include "wire/checksum.h"
#include "wire/outer_ip.h"

#include <netinet/in.h>

#define IPV6_HEADER_SIZE 40
#define UDP_HEADER_SIZE  8
#define CONTROL_BIT      0x80
#define CRITICAL_BIT     0x40

static const char *const fault_names[GENEVE_FAULT_COUNT] = {
	[GENEVE_FINE] = "fine",
	[GENEVE_NOT_IP] = "not_ip",
	[GENEVE_OTHER_PORT] = "other_port",
	[GENEVE_SHORT] = "short",
	[GENEVE_CHECKSUM] = "checksum",
	[GENEVE_VERSION] = "version",
	[GENEVE_PROTOCOL] = "protocol",
	[GENEVE_OPTION] = "option",
	[GENEVE_UNKNOWN_CRITICAL] = "unknown_critical",
	[GENEVE_OPTION_TWICE] = "option_twice",
};

const char *geneve_fault_name(enum geneve_fault fault)
{
	return fault_names[fault];
}

/* ---- reading ---- */

static enum geneve_fault parse_ip(
	struct bytes *reader, size_t size, struct geneve *out, uint32_t *end)
{
	struct outer_ip ip;
	enum outer_ip_fault fault = outer_ip_parse(reader, size, &ip);

	if (fault == OUTER_IP_SHORT)
		return GENEVE_SHORT;
	if (fault == OUTER_IP_CHECKSUM)
		return GENEVE_CHECKSUM;
	if (fault != OUTER_IP_FINE || ip.protocol != IPPROTO_UDP)
		return GENEVE_NOT_IP;
	out->source = ip.source;
	out->destination = ip.destination;
	*end = ip.end;
	return GENEVE_FINE;
}

static enum geneve_fault parse_udp(struct bytes *reader, struct geneve *out, uint32_t *end)
{
	size_t start = reader->offset;
	uint16_t source_port = bytes_read_u16(reader), port = bytes_read_u16(reader);
	uint16_t size = bytes_read_u16(reader), checksum = bytes_read_u16(reader);

	if (!bytes_is_ok(reader) || size < UDP_HEADER_SIZE || start + size > *end)
		return GENEVE_SHORT;
	if (port != GENEVE_UDP_PORT)
		return GENEVE_OTHER_PORT;
	/* What it says is not looked at: each message has a code of authentication over all that
	 * matters, and a virtual link hands checksums over unfinished. */
	if (checksum == 0 && out->source.version == 6)
		return GENEVE_CHECKSUM;
	out->source_port = source_port;
	*end = (uint32_t)(start + size);
	return GENEVE_FINE;
}

static enum geneve_fault parse_options(
	struct bytes options, uint16_t class, uint8_t type, struct geneve *out)
{
	while (bytes_left(&options) > 0) {
		uint16_t its_class = bytes_read_u16(&options);
		uint8_t its_type = bytes_read_u8(&options);
		uint16_t size = (uint16_t)((bytes_read_u8(&options) & 0x1f) * 4);
		const uint8_t *body = bytes_take(&options, size);

		if (!bytes_is_ok(&options))
			return GENEVE_OPTION;
		if (its_class == class && its_type == type) {
			if (out->option)
				return GENEVE_OPTION_TWICE;
			out->option = body;
			out->option_size = size;
		} else if (its_type & GENEVE_IS_CRITICAL) {
			return GENEVE_UNKNOWN_CRITICAL;
		}
	}
	return GENEVE_FINE;
}

enum geneve_fault geneve_parse(const uint8_t *frame, size_t captured, size_t size, uint16_t class,
	uint8_t type, struct geneve *out)
{
	struct bytes reader = bytes_from(frame, captured);
	enum geneve_fault fault;
	uint32_t end, network;
	uint8_t first, flags;
	uint16_t protocol;

	*out = (struct geneve){.option = NULL};
	fault = parse_ip(&reader, size, out, &end);
	if (fault == GENEVE_FINE)
		fault = parse_udp(&reader, out, &end);
	if (fault != GENEVE_FINE)
		return fault;
	first = bytes_read_u8(&reader);
	flags = bytes_read_u8(&reader);
	protocol = bytes_read_u16(&reader);
	network = bytes_read_u32(&reader);
	if (!bytes_is_ok(&reader))
		return GENEVE_SHORT;
	if (first >> 6 != 0)
		return GENEVE_VERSION;
	if (protocol != GENEVE_ETHERNET)
		return GENEVE_PROTOCOL;
	out->network = network >> 8;
	out->is_control = flags & CONTROL_BIT;
	fault = parse_options(bytes_sub(&reader, (first & 0x3f) * 4U), class, type, out);
	if (!bytes_is_ok(&reader) || reader.offset > end)
		return GENEVE_SHORT;
	out->payload_offset = (uint32_t)reader.offset;
	out->payload_end = end;
	return fault;
}

/* ---- writing ---- */

uint32_t geneve_overhead(uint8_t ip_version, uint8_t option_size)
{
	return outer_ip_size(ip_version) + UDP_HEADER_SIZE + GENEVE_HEADER_SIZE + GENEVE_OPTION_SIZE
		+ option_size;
}

uint32_t geneve_headers_size(uint8_t ip_version, uint8_t option_size)
{
	return ETH_HEADER_SIZE + geneve_overhead(ip_version, option_size);
}

void geneve_write(uint8_t *out, const struct geneve_headers *headers, uint32_t payload_size)
{
	const struct outer_ip_headers ip = {headers->source_mac, headers->destination_mac,
		headers->source, headers->destination, IPPROTO_UDP};
	uint32_t above_udp = GENEVE_HEADER_SIZE + GENEVE_OPTION_SIZE + headers->option_size;
	uint32_t udp_size = UDP_HEADER_SIZE + above_udp + payload_size;
	uint8_t *udp = outer_ip_write(out, &ip, udp_size);
	uint8_t *geneve = udp + UDP_HEADER_SIZE, *option = geneve + GENEVE_HEADER_SIZE;

	network_store16(udp, headers->source_port);
	network_store16(udp + 2, GENEVE_UDP_PORT);
	network_store16(udp + 4, (uint16_t)udp_size);
	network_store16(udp + 6, 0);
	geneve[0] = (uint8_t)((GENEVE_OPTION_SIZE + headers->option_size) / 4);
	geneve[1] = (uint8_t)((headers->is_control ? CONTROL_BIT : 0)
		| (headers->option_type & GENEVE_IS_CRITICAL ? CRITICAL_BIT : 0));
	network_store16(geneve + 2, GENEVE_ETHERNET);
	network_store32(geneve + 4, headers->network << 8);
	network_store16(option, headers->option_class);
	option[2] = headers->option_type;
	option[3] = headers->option_size / 4;
	memcpy(option + GENEVE_OPTION_SIZE, headers->option, headers->option_size);
}

void geneve_finish_ipv6(uint8_t *out, uint32_t payload_sum)
{
	uint8_t *ip = out + ETH_HEADER_SIZE, *udp = ip + IPV6_HEADER_SIZE;
	uint32_t sum = checksum_add(payload_sum, ip + 8, 32);
	const uint8_t pseudo[4] = {udp[4], udp[5], 0, IPPROTO_UDP};
	uint16_t checksum;

	sum = checksum_add(sum, pseudo, sizeof(pseudo));
	sum = checksum_add(sum, udp, UDP_HEADER_SIZE - 2);
	checksum = checksum_finish(sum);
	network_store16(udp + 6, checksum ? checksum : 0xffff); /* 0 would say: none */
}
