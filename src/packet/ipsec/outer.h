/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is around ESP: the headers of tunnels and of UDP, the traffic class and its congestion bits
 * (RFC 6040), and how a packet in front of them is told. No state; any thread.
 */
#pragma once

#include "packet/ipsec/sa.h"

#define IPV4_HEADER_SIZE 20
#define IPV6_HEADER_SIZE 40
#define ECN_MASK         3
#define ECN_CE           3
#define ECN_ECT_1        1
#define ECN_ECT_0        2

/* Of the parameters' ends; NULL: no memory. In EAL's memory, as SAs are; freed with
 * rte_free(). */
struct sa_outer *outer_create(const struct sa_parameters *parameters);

/* Writes the header, outer->size bytes at out, in front of finished ESP of esp_size bytes. */
struct outer_choice {
	uint8_t tos;
	bool has_df;
	uint16_t id; /* of IPv4 */
};
void outer_write(uint8_t *out, const struct sa_outer *outer, const struct outer_choice *choice,
	uint32_t esp_size);

/* Writes UDP's header between an IP header and ESP: for transport mode, whose IP header is the
 * packet's own. ip_header_size: with extensions. */
void outer_write_udp(
	uint8_t *ip, uint32_t ip_header_size, const struct sa_outer *outer, uint32_t esp_size);

/* Traffic class of an IP header (TOS of IPv4). */
uint8_t ip_traffic_class(const uint8_t *ip);
/* Sets it, and keeps an IPv4 header's checksum right. */
void ip_set_traffic_class(uint8_t *ip, uint8_t value);

/* Congestion bits of a packet that leaves a tunnel (RFC 6040 section 4.2); -1: it must be dropped,
 * for who sent it does not understand that there was congestion. */
int ecn_leaving(uint8_t inner, uint8_t outer);

/* Sets length and protocol of an IP header whose payload changed, and the checksum of IPv4.
 * next_header: where the protocol's byte is, for IPv6 with extension headers. */
void ip_set_payload(uint8_t *ip, uint8_t *next_header, uint8_t protocol, uint32_t ip_size);
/* The byte that names the protocol behind header_size bytes of IP header and extensions; NULL: they
 * do not parse. */
uint8_t *ip_next_header(uint8_t *ip, uint32_t header_size);
