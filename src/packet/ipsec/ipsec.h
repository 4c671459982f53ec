/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPsec of the virtual addresses, as other folders see it. The nodes:
 *
 *	vipa_input -> ipsec_input -> origin_tag    ESP addressed to a VIPA, whole datagrams
 *	distribute -> ipsec_output -> vipa_output  what a VIPA sends, by policy
 *
 * ipsec_input takes frames with service.vipa set and PACKET_IS_FOR_VIPA or not, also ICMP errors
 * about ESP that was sent; what it hands on has origin.kind ORIGIN_DECRYPTED, PACKET_IS_FOR_VIPA,
 * service.peer, its inner packet behind the Ethernet header, and nothing behind the inner packet.
 * ipsec_output takes frames with service.target set; one that gets too big is answered to that
 * target, by gre_output. Both replace buffers where they must.
 *
 * On a target, with PACKET_IS_OF_STATION (D9):
 *
 *	target_station -> ipsec_input -> target_input    ESP addressed to the target's own address
 *	target_reply -> ipsec_output -> target_direct    what its VIPAs send straight out
 *
 * Of a trusted link that demands it, with PACKET_IS_OF_LINK (D10):
 *
 *	link_input -> ipsec_input -> link_input          ESP addressed to us on the link
 *	whoever sends GRE -> ipsec_output -> tx          egress_port set, service.is_secure true
 */
#pragma once

#include "packet/engine/drop.h"
#include "wire/decode.h"

/* Who is meant by an address, where that does not say it: several peers of transport mode behind
 * one NAT (sa_peer.c). Other numbers are such peers; none is used again. */
#define IPSEC_PEER_BY_ADDRESS 0
#define IPSEC_PEER_UNKNOWN    UINT32_MAX /* one of them: the next packet says which */
/* Whether what is of's must not be another peer's: of is still there, and peer is not it. Worker.
 */
bool ipsec_is_other_peer(uint32_t of, uint32_t peer);

/* What a packet is, as far as IPsec is concerned. Worker. */
enum ipsec_traffic { TRAFFIC_PLAIN, TRAFFIC_ESP, TRAFFIC_IKE };
/* Of an address that speaks IPsec: ESP, bare or in UDP, and errors about it; IKE (RFC 7296, RFC
 * 3948); all else. */
enum ipsec_traffic ipsec_classify(const struct decoded *decoded);

/* Worker: whether a packet that came in the clear may be taken (RFC 4301 section 5.2); DROP_none,
 * or why not. Without IPsec configured all are. */
enum drop_reason ipsec_check_plain(const struct decoded *decoded);
