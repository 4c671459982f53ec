/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address resolution on Ethernet as frames: ARP (RFC 826) and neighbour discovery (RFC 4861), for
 * those who have addresses of their own. Workers.
 */
#pragma once

#include "wire/eth.h"
#include "wire/ip_address.h"

#include <rte_mbuf.h>

/* What a frame asks or tells. */
struct resolve_message {
	bool is_question;
	struct ip_address sender; /* who asks, or whose answer it is */
	struct ip_address target; /* a question's */
	uint8_t sender_mac[ETH_ADDRESS_SIZE];
};

/* False: it is neither a question nor an answer, malformed, or does not say who sends it. */
bool resolve_read(const struct rte_mbuf *packet, struct resolve_message *out);

/* Turns a question that was read into the answer that mac has its target, in place. False: the
 * frame has no room for it. */
bool resolve_answer(
	struct rte_mbuf *packet, const struct resolve_message *question, const uint8_t mac[6]);

/* The following are made in an empty mbuf; false: no room. A question of local, which has mac, for
 * the hardware address of hop: */
bool resolve_write_question(struct rte_mbuf *packet, const struct ip_address *local,
	const struct ip_address *hop, const uint8_t mac[6]);
/* That mac has local, to all: gratuitous ARP (RFC 5227 section 3), unsolicited advertisement (RFC
 * 4861 section 7.2.6). */
bool resolve_write_announcement(
	struct rte_mbuf *packet, const struct ip_address *local, const uint8_t mac[6]);
