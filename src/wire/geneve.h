/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Geneve (RFC 8926) over UDP over IPv4 or IPv6 over Ethernet: what is in front of the inner frame,
 * with at most one option of ours. Pure; any thread.
 */
#pragma once

#include "wire/eth.h"
#include "wire/ip_address.h"

#include <stdbool.h>
#include <stddef.h>

#define GENEVE_UDP_PORT    6081   /* RFC 8926 section 3.3 */
#define GENEVE_ETHERNET    0x6558 /* Trans Ether Bridging: the payload is an Ethernet frame */
#define GENEVE_HEADER_SIZE 8
#define GENEVE_OPTION_SIZE 4      /* its header; the length is of what is behind it */
#define GENEVE_IS_CRITICAL 0x80   /* of an option's type: who does not know it must drop */
#define GENEVE_CLASS_MIN   0xfff0 /* to 0xffff: experimental (section 7) */
#define GENEVE_SOURCE_MIN  49152  /* RFC 8926 section 3.3: entropy in the dynamic range */

enum geneve_fault {
	GENEVE_FINE,
	GENEVE_NOT_IP,     /* another ethertype or protocol, or a fragment */
	GENEVE_OTHER_PORT, /* UDP, but not to 6081 */
	GENEVE_SHORT,      /* a header is cut off, or lengths contradict each other */
	GENEVE_CHECKSUM,   /* the IPv4 header's; UDP over IPv6 without one (RFC 8200 section 8.1) */
	GENEVE_VERSION,    /* not 0 */
	GENEVE_PROTOCOL,   /* the payload is no Ethernet frame */
	GENEVE_OPTION,     /* an option's length is wrong */
	GENEVE_UNKNOWN_CRITICAL,
	GENEVE_OPTION_TWICE,
	GENEVE_FAULT_COUNT,
};

struct geneve {
	struct ip_address source, destination;
	uint16_t source_port;
	uint32_t network;      /* VNI */
	bool is_control;       /* the O bit */
	const uint8_t *option; /* the body of the option that was asked for, borrowed; NULL: none */
	uint16_t option_size;
	uint32_t payload_offset; /* of the inner frame; */
	uint32_t payload_end;    /* behind it may be the padding of a short outer frame */
};

/* Of the first captured bytes of a frame of size bytes; all headers have to be in the captured
 * ones. class and type (with its critical bit) name the option that the caller knows. */
enum geneve_fault geneve_parse(const uint8_t *frame, size_t captured, size_t size, uint16_t class,
	uint8_t type, struct geneve *out);

struct geneve_headers {
	const uint8_t *source_mac, *destination_mac;
	const struct ip_address *source, *destination; /* of one version */
	uint16_t source_port;
	uint32_t network;
	bool is_control;
	uint16_t option_class;
	uint8_t option_type;
	const uint8_t *option;
	uint8_t option_size; /* of the body: a multiple of 4, at most 124 */
};

/* Bytes in front of the inner frame. */
uint32_t geneve_headers_size(uint8_t ip_version, uint8_t option_size);
/* Of these, what counts against the link's MTU. */
uint32_t geneve_overhead(uint8_t ip_version, uint8_t option_size);
/* Writes geneve_headers_size() bytes. The UDP checksum is left 0: right for IPv4 (section 3.3.1);
 * for IPv6 geneve_finish() fills it in. */
void geneve_write(uint8_t *out, const struct geneve_headers *headers, uint32_t payload_size);
/* sum: one's complement sum, not inverted, of all behind the UDP header. */
void geneve_finish_ipv6(uint8_t *out, uint32_t payload_sum);

const char *geneve_fault_name(enum geneve_fault fault);
