/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a gateway and an appliance say to each other (docs/decisions/0013): Geneve packets with one
 * critical option of an experimental class, whose body is
 *
 *	kind, key id, worker, flags           8 bits each
 *	handle (of a probe: nonce)            64 bits
 *	ingress port at the gateway, zero     16 bits each
 *	code of authentication               128 bits: SipHash-2-4
 *
 * and the inner frame behind it. The code covers the body, the network id and the whole frame with
 * its size: what was changed on the way is as dangerous as what was made up. The direction is in
 * the kind. Any thread.
 */
#pragma once

#include "packet/engine/metadata.h"
#include "packet/link/link.h"

#define MESSAGE_OPTION_CLASS 0xfff8
#define MESSAGE_OPTION_TYPE  (GENEVE_IS_CRITICAL | 0x01)
#define MESSAGE_SIZE         32 /* of the option's body */

enum message_kind {
	MESSAGE_NONE,
	MESSAGE_REQUEST, /* gateway: inspect the frame; flags is its kind of origin */
	MESSAGE_PASS,    /* appliance: the frame may go on, as it is here */
	MESSAGE_DROP,    /* appliance: it may not; no frame */
	MESSAGE_FAILED,  /* appliance: no verdict; the gateway's on-failure decides; no frame */
	MESSAGE_PROBE,   /* gateway: are you there? no frame */
	MESSAGE_ANSWER,  /* appliance: yes; flags tells whether its engines give verdicts */
	MESSAGE_KIND_COUNT,
};
#define MESSAGE_IS_READY 1 /* of an answer's flags */

struct message {
	uint8_t kind;
	uint8_t key;
	uint8_t worker;
	uint8_t flags;
	uint64_t handle;
	uint16_t ingress_port;
};

static inline bool message_has_frame(uint8_t kind)
{
	return kind == MESSAGE_REQUEST || kind == MESSAGE_PASS;
}

static inline bool message_is_for_appliance(uint8_t kind)
{
	return kind == MESSAGE_REQUEST || kind == MESSAGE_PROBE;
}

/* False: no message of ours: its size, kind, or what has to be zero. What is in it is not to be
 * believed before message_is_authentic(). */
bool message_parse(const uint8_t *body, size_t size, struct message *out);
/* Whether key made it; the frame is size bytes of packet from offset on. */
bool message_is_authentic(const struct link_key *key, const uint8_t body[MESSAGE_SIZE],
	uint32_t network, const struct rte_mbuf *packet, uint32_t offset, uint32_t size);

/*
 * Puts everything in front of the frame that packet is (of an empty mbuf: no frame), from our port
 * to the peer. packet->data has to be its own. False: no room, or the peer's hardware address is
 * not known; packet is then as it was.
 */
bool message_seal(struct rte_mbuf *packet, const struct message *message, uint32_t network,
	uint32_t flow_hash, const struct link_end *end, const struct link_peer *peer,
	const struct link_key *key, const struct port *port);

/* Takes off what geneve_parse() found in front of the frame, and the padding of a short outer frame
 * behind it. False: not in the first segment. */
bool message_strip(struct rte_mbuf *packet, const struct geneve *geneve);

/* Of a frame, so that networks spread flows over paths and queues, and keep each in order. */
uint32_t message_flow_hash(const struct rte_mbuf *frame, uint16_t vlan);

/* Largest inner frame that fits the port. */
uint32_t message_frame_max(const struct link_end *end, const struct port *port);
