/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPsec of the virtual addresses, as other folders see it. The nodes:
 *
 *	vipa_input -> ipsec_input -> origin_tag    ESP addressed to a VIPA, whole datagrams
 *	distribute -> ipsec_output -> vipa_output  what a VIPA sends, by policy
 *
 * ipsec_input takes frames with service.vipa set and PACKET_IS_FOR_VIPA or not, also ICMP errors
 * about ESP that was sent; what it hands on has origin.kind ORIGIN_DECRYPTED, PACKET_IS_FOR_VIPA,
 * service.sa, its inner packet behind the Ethernet header, and nothing behind the inner packet.
 * ipsec_output takes frames with service.target set; one that gets too big is answered to that
 * target, by gre_output. Both replace buffers where they must.
 */
#pragma once

#include "packet/engine/drop.h"
#include "wire/decode.h"

/* Worker: whether a packet that came in the clear may be taken (RFC 4301 section 5.2); DROP_none,
 * or why not. Without IPsec configured all are. */
enum drop_reason ipsec_check_plain(const struct decoded *decoded);
