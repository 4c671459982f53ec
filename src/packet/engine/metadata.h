/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the packet role knows of a packet, beside its bytes: one struct in the mbuf, registered as
 * one dynamic field at start. It never leaves the process: an external inspector sees a handle
 * (G3).
 *
 * Inside the graph a frame is in its canonical form: the outer IEEE 802.1Q tag (TPID 0x8100) is
 * stripped into `vlan` and `tci_bits` when the frame enters, and put back where the egress port
 * wants it tagged. Everything else of the frame is untouched (G13).
 *
 * Thread: the worker that owns the mbuf. Written field by field by the node that is named.
 */
#pragma once

#include <assert.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a packet entered the gateway (seed 000, figure 3A). NONE: not tagged yet. */
enum origin_kind {
	ORIGIN_NONE,
	ORIGIN_PHYSICAL,
	ORIGIN_TRUNK,
	ORIGIN_HOST, /* the host's own socket layer */
	ORIGIN_DECRYPTED,
	ORIGIN_REMOTE, /* another host's gateway wants it inspected, and back */
	ORIGIN_TARGET, /* a target's answer to a client, on its way through the distributor */
	ORIGIN_KIND_COUNT,
};

/* The origin tag. Written by origin_tag alone, read by all nodes behind it. */
struct origin {
	uint8_t kind;                /* enum origin_kind */
	uint8_t adapter;             /* index of the trunk, for ORIGIN_TRUNK; for ORIGIN_REMOTE
				      * the kind of origin that it has there */
	uint16_t vlan;               /* VLAN id 1..4094 (IEEE 802.1Q) */
	uint16_t ingress_port;       /* index into the port table */
	uint16_t ingress_generation; /* of that index, so that a re-used index is not mistaken */
};

enum packet_flag {
	PACKET_WAS_TAGGED = 1 << 0,   /* the frame carried an 802.1Q tag when it came in */
	PACKET_IS_TRACED = 1 << 1,    /* trace records its walk */
	PACKET_IS_COPY = 1 << 2,      /* clone made by flooding: data is shared, do not write */
	PACKET_IS_INSPECTED = 1 << 3, /* an inspector has passed it */
	PACKET_IS_EAST_WEST =
		1 << 4,          /* origin trunk, and its local delivery comes after inspection */
	PACKET_IS_NEWS = 1 << 5, /* its source address is to be learned after inspection */
	PACKET_IS_REFUSED = 1 << 6,     /* ORIGIN_REMOTE, and dropped here: drop_reason says why */
	PACKET_IS_IN_STREAM = 1 << 7,   /* held behind a gap: does not go on before its verdict */
	PACKET_IS_FOR_VIPA = 1 << 8,    /* addressed to a virtual address: `service` is valid */
	PACKET_IS_REASSEMBLED = 1 << 9, /* of fragments: may be cut again */
	PACKET_IS_OF_STATION = 1 << 10, /* a target's, with its own IPsec: straight in or out */
	PACKET_IS_OF_LINK = 1 << 11,    /* of a trusted link, on its way into ESP or out of it */
};

/* What the host that a packet of ORIGIN_REMOTE came from wants back with the verdict. */
struct remote_tag {
	uint32_t handle[2];  /* its own, opaque here */
	uint16_t worker : 4; /* its own, opaque here */
	uint16_t port : 12;  /* that the packet came in through there, for events */
	uint8_t client;      /* index of the host in appliance.clients */
	uint8_t key;         /* id of the key it used */
};

#define SERVICE_NO_TARGET UINT16_MAX /* the gateway itself speaks in a target's stead */

/* What a packet to or from a virtual address (VIPA) carries through inspection. */
struct service_tag {
	uint32_t peer;   /* secure: who the client is, beside its address (ipsec.h) */
	uint16_t vipa;   /* index of the virtual address */
	uint16_t target; /* ORIGIN_TARGET: index of the target that sent it; behind distribute:
			  * that it goes to */
	bool is_secure;  /* its connection came by IPsec: as GRE's key says, and as it has to say */
	bool is_outer_ipv6; /* ORIGIN_DECRYPTED: so was what it came in */
};

struct packet_metadata {
	struct origin origin; /* by origin_tag; ingress_port already by rx */
	uint16_t vlan;        /* by *_input: the VLAN the frame belongs to */
	uint16_t egress_port; /* by forwarding nodes, for tx */
	uint32_t pair_hash;   /* symmetric over VLAN and the pair of hosts; by origin_tag, for
				 handoff */
	uint8_t tci_bits : 4; /* PCP and DEI of the tag that came in (TCI >> 12) */
	uint8_t priority : 4; /* IEEE 802.1p 0..7, in force */
	uint8_t drop_reason;  /* enum drop_reason, set by whoever picks the drop edge */
	uint16_t flags;       /* enum packet_flag */
	uint32_t trace_id;    /* valid with PACKET_IS_TRACED */
	union {
		struct remote_tag remote;   /* of ORIGIN_REMOTE; by geneve_input */
		struct service_tag service; /* with PACKET_IS_FOR_VIPA, and of ORIGIN_TARGET */
	};
};

/*
 * The dynamic field's place is asked for instead of given, so that it is a constant and no load on
 * each access: the first byte of the mbuf's room for 32-bit fields. EAL and the buses have taken
 * nothing when packet_metadata_register() asks, and nobody can take it afterwards.
 */
#define PACKET_METADATA_OFFSET offsetof(struct rte_mbuf, dynfield1)
static_assert(sizeof(struct packet_metadata) <= sizeof(((struct rte_mbuf *)0)->dynfield1),
	"must fit into the mbuf's dynamic fields");

/* Registers the field. Control thread, after EAL start. */
int packet_metadata_register(void);

static inline struct packet_metadata *packet_metadata(struct rte_mbuf *packet)
{
	return RTE_MBUF_DYNFIELD(packet, PACKET_METADATA_OFFSET, struct packet_metadata *);
}

static inline const struct packet_metadata *packet_metadata_const(const struct rte_mbuf *packet)
{
	return RTE_MBUF_DYNFIELD(packet, PACKET_METADATA_OFFSET, const struct packet_metadata *);
}
