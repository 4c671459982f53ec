/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IPv4 or IPv6 header, behind Ethernet, that a tunnel's packets have on a trusted link: without
 * VLAN tags, extension headers or fragments, none of which a sender of ours writes. Pure; any
 * thread.
 */
#pragma once

#include "base/bytes.h"
#include "wire/eth.h"
#include "wire/ip_address.h"

enum outer_ip_fault {
	OUTER_IP_FINE,
	OUTER_IP_NONE,     /* another ethertype */
	OUTER_IP_SHORT,    /* cut off, or lengths contradict each other */
	OUTER_IP_CHECKSUM, /* of the IPv4 header */
	OUTER_IP_FRAGMENT,
};

struct outer_ip {
	struct ip_address source, destination;
	uint8_t protocol; /* IPPROTO_*; of IPv6: the next header, whatever it is */
	uint32_t end;     /* of the packet in the frame; padding may be behind it */
};

/* Reads from the start of a frame of size bytes, of which the reader has the captured ones; leaves
 * it behind the IP header. */
enum outer_ip_fault outer_ip_parse(struct bytes *reader, size_t size, struct outer_ip *out);

/* Bytes of the header that outer_ip_write() writes behind the Ethernet header. */
uint32_t outer_ip_size(uint8_t version);

struct outer_ip_headers {
	const uint8_t *source_mac, *destination_mac;
	const struct ip_address *source, *destination; /* of one version */
	uint8_t protocol;
};

/* Writes ETH_HEADER_SIZE + outer_ip_size() bytes; returns where the payload begins. */
uint8_t *outer_ip_write(
	uint8_t *out, const struct outer_ip_headers *headers, uint32_t payload_size);
