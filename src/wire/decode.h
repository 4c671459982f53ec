/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decodes a frame's headers, Ethernet to TCP/UDP/ICMP, in one pass over contiguous bytes. Pure: no
 * state, no allocation, any thread. Every length is checked before its field is used; what does not
 * parse ends the walk and is named in `malformed`, and all that lies before it is valid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECODE_VLANS_MAX 4

enum decode_malformed {
	DECODE_OK,
	DECODE_ETHERNET_SHORT,
	DECODE_VLAN_SHORT,
	DECODE_VLAN_DEEP, /* more than DECODE_VLANS_MAX tags */
	DECODE_ARP_SHORT,
	DECODE_IPV4_SHORT,
	DECODE_IPV4_VERSION,
	DECODE_IPV4_HEADER_LENGTH,
	DECODE_IPV4_TOTAL_LENGTH,
	DECODE_IPV4_OPTIONS,
	DECODE_IPV6_SHORT,
	DECODE_IPV6_VERSION,
	DECODE_IPV6_PAYLOAD_LENGTH,
	DECODE_IPV6_EXTENSION,
	DECODE_TCP_SHORT,
	DECODE_TCP_HEADER_LENGTH,
	DECODE_TCP_OPTIONS,
	DECODE_UDP_SHORT,
	DECODE_UDP_LENGTH,
	DECODE_ICMP_SHORT,
	DECODE_SCTP_SHORT,
	DECODE_MALFORMED_COUNT,
};

struct decoded {
	enum decode_malformed malformed;
	const uint8_t *frame;   /* borrowed */
	uint32_t captured_size; /* bytes that could be read, from its start */
	uint32_t frame_size;

	uint16_t ethertype; /* behind all tags; below 0x600: an 802.3 length that holds no SNAP */
	bool has_snap;      /* an LLC/SNAP header (RFC 1042) was among the tags */
	uint8_t vlan_count;
	uint16_t vlan_tpid[DECODE_VLANS_MAX];
	uint16_t vlan_tci[DECODE_VLANS_MAX];
	uint32_t l3_offset; /* behind tags and SNAP header */

	uint8_t ip_version; /* 4, 6, or 0: no IP (or its header does not parse) */
	uint8_t protocol;   /* IPPROTO_*, behind IPv6 extension headers */
	uint8_t ttl;        /* or hop limit */
	uint8_t dscp_ecn;
	bool has_fragment_header; /* IPv6, also an atomic one (RFC 6946) */
	bool is_fragment;         /* fragment offset or more-fragments set */
	bool is_first_fragment;   /* of a fragmented packet */
	uint16_t fragment_offset; /* bytes */
	uint32_t fragment_id;
	uint8_t source[16], destination[16]; /* IPv4 in the first four bytes, the rest zero */
	uint32_t ip_payload_offset; /* behind the IP header and its extensions, in each fragment */
	uint32_t l4_offset;         /* 0: none (not IP, later fragment, ESP, …) */
	uint32_t l3_end; /* where the IP packet ends in the frame: trailers are behind it */

	uint16_t source_port, destination_port; /* TCP, UDP, SCTP; host order */
	uint32_t tcp_sequence, tcp_acknowledgement;
	uint16_t tcp_window;
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint32_t payload_offset; /* behind the layer-4 header; 0: none */
	uint32_t payload_size;   /* up to l3_end, also where that is not captured */
};

/* Always fills out; returns out->malformed. size is the whole frame, from the Ethernet header. */
enum decode_malformed decode_frame(const uint8_t *frame, size_t size, struct decoded *out);

/* The same for a frame of which only the first captured_size bytes are there (the first segment of
 * an mbuf): lengths are checked against size; headers behind the captured bytes count as short. */
enum decode_malformed decode_headers(
	const uint8_t *frame, size_t captured_size, size_t size, struct decoded *out);

const char *decode_malformed_name(enum decode_malformed malformed); /* "ipv4_total_length" */

/* Symmetric hash over the VLAN and the pair of hosts: IP addresses, or MAC addresses where there is
 * no IP. Not over ports and protocol: later fragments have it too. An ICMP error has that of the
 * packet which it is about, whoever sent it. */
uint32_t decode_pair_hash(const struct decoded *decoded, uint16_t vlan);
