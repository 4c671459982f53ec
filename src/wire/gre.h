/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GRE (RFC 2784) with a key (RFC 2890) over IPv4 or IPv6 over Ethernet, as distributor and targets
 * speak it on a trusted link: no checksum, no sequence number. The key is not a number of a tunnel
 * but a proof that the sender knows the target's secret, and it says what the packet is. Pure; any
 * thread.
 */
#pragma once

#include "base/siphash.h"
#include "wire/eth.h"
#include "wire/ip_address.h"

#include <stdbool.h>
#include <stddef.h>

#define GRE_IP_PROTOCOL 47
#define GRE_HEADER_SIZE 8 /* with the key */
/* The payload of GRE_CONTROL: the first ethertype for local experiments (IEEE 802, table 3). */
#define GRE_HEARTBEAT 0x88b5

enum gre_fault {
	GRE_FINE,
	GRE_NOT_GRE,  /* another ethertype or protocol */
	GRE_FRAGMENT, /* of IPv4; we send none */
	GRE_SHORT,    /* a header is cut off, or lengths contradict each other */
	GRE_CHECKSUM, /* the IPv4 header's */
	GRE_VERSION,  /* not 0 (1 is PPTP's, RFC 2637) */
	GRE_ROUTING,  /* the bit of RFC 1701 for source routes */
	GRE_FLAGS,    /* a checksum, a sequence number, or a bit that has to be zero */
	GRE_NO_KEY,
	GRE_PROTOCOL, /* the payload is neither IP, in the version that it says, nor a heartbeat */
	GRE_FAULT_COUNT,
};

struct gre {
	struct ip_address source, destination;
	uint32_t key;
	uint16_t protocol;       /* ETH_TYPE_IPV4, ETH_TYPE_IPV6, GRE_HEARTBEAT */
	uint32_t payload_offset; /* of the inner packet; */
	uint32_t payload_end;    /* behind it may be the padding of a short outer frame */
};

/* Of the first captured bytes of a frame of size bytes; the headers and the first byte of the
 * payload have to be in the captured ones. */
enum gre_fault gre_parse(const uint8_t *frame, size_t captured, size_t size, struct gre *out);

struct gre_headers {
	const uint8_t *source_mac, *destination_mac;
	const struct ip_address *source, *destination; /* of one version */
	uint32_t key;
	uint16_t protocol;
};

/* Of what is in front of the payload, the bytes that count against the link's MTU. */
uint32_t gre_overhead(uint8_t ip_version);
/* Writes ETH_HEADER_SIZE + gre_overhead() bytes. */
void gre_write(uint8_t *out, const struct gre_headers *headers, uint32_t payload_size);

const char *gre_fault_name(enum gre_fault fault);

/* ---- keys ---- */

/* What a packet is. */
enum gre_kind {
	GRE_SECURE,  /* of a connection that came by IPsec: answers come back by GRE */
	GRE_PLAIN,   /* distributed in clear: answers go straight to the client */
	GRE_CONTROL, /* heartbeats */
	GRE_KIND_COUNT,
};

enum gre_direction { GRE_TO_TARGET, GRE_TO_DISTRIBUTOR };

/* SipHash-2-4 over kind, direction and both ends' link addresses, cut to 32 bits: whoever sees one
 * key learns nothing of the others. */
uint32_t gre_key(const uint8_t secret[SIPHASH_KEY_SIZE], enum gre_kind kind,
	enum gre_direction direction, const struct ip_address *distributor,
	const struct ip_address *target);

struct gre_keys {
	uint32_t keys[GRE_KIND_COUNT];
};

/* All keys of a direction. False: two of them are the same (once in 10^9 secrets), so that a key
 * would not tell what a packet is; another secret is needed. */
bool gre_keys_derive(const uint8_t secret[SIPHASH_KEY_SIZE], enum gre_direction direction,
	const struct ip_address *distributor, const struct ip_address *target,
	struct gre_keys *out);
/* enum gre_kind, or -1, in a time that does not tell how much of the key was right. */
int gre_kind_of(const struct gre_keys *keys, uint32_t key);
