/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trusted links (adapters of kind xcf): our addresses on them, the hosts at their other ends, and
 * the keys that messages with these are authenticated by (a distributor's are its own module's).
 * Links bridge nothing: link_input answers address resolution, gives Geneve to geneve_input and GRE
 * to gre_input, or to target_input what is for us as a target; all else ends there. Where an end
 * demands protection (D10), its GRE is in ESP, both ways: link_input sends ESP to ipsec_input, gets
 * back what was in it, and drops GRE in clear; who sends GRE asks link_protect().
 *
 * Writer: link_control.c, which publishes a table whole. Readers: workers. The one field that
 * workers write is link_peer.mac.
 */
#pragma once

#include "base/secret.h"
#include "base/siphash.h"
#include "packet/engine/metadata.h"
#include "packet/engine/publish.h"
#include "packet/port/port.h"
#include "wire/geneve.h"
#include "wire/gre.h"

#include <jansson.h>
#include <rte_mbuf.h>

#define LINK_PEERS_MAX 64
#define LINK_KEYS_MAX  2 /* so that a key can be replaced on both ends one after the other */
#define LINK_MAC_KNOWN (1ULL << 48)

/* Our parts on a link. */
enum link_role {
	LINK_CLIENT,      /* inspection.appliance: we have packets inspected */
	LINK_APPLIANCE,   /* appliance: we inspect for others */
	LINK_DISTRIBUTOR, /* distributor: we have connections served */
	LINK_TARGET,      /* target: we serve them */
	LINK_ROLE_COUNT,
};

struct link_peer {
	struct ip_address address;
	struct ip_address hop; /* who is asked for the hardware address: it, or a router */
	uint64_t mac;          /* with LINK_MAC_KNOWN, or 0; any worker writes it, relaxed */
	bool is_static;        /* mac is configured */
};

struct link_key {
	uint8_t id;
	uint8_t bytes[SIPHASH_KEY_SIZE];
};

struct link_keys {
	uint8_t count; /* the first one is used for sending */
	struct link_key keys[LINK_KEYS_MAX];
};

struct link_end {
	bool is_used;
	bool is_protected; /* GRE in ESP alone */
	uint16_t port;     /* index; PORT_NONE: the adapter is not there */
	struct ip_address local;
	uint16_t peer_count;
	struct link_peer peers[LINK_PEERS_MAX];
	struct secret *secret; /* struct link_keys; NULL: this role has no key for all */
};

struct link_table {
	struct link_end ends[LINK_ROLE_COUNT];
};
extern struct link_table *link_table; /* publish_read(); NULL: no links */

/* Worker. The end that role has, in a table that was read; NULL: none. */
static inline struct link_end *link_end_of(struct link_table *table, enum link_role role)
{
	return table && table->ends[role].is_used ? &table->ends[role] : NULL;
}

static inline const struct link_keys *link_keys(const struct link_end *end)
{
	return secret_bytes(end->secret);
}

/* NULL: no such key (any more). */
static inline const struct link_key *link_find_key(const struct link_end *end, uint8_t id)
{
	const struct link_keys *keys = link_keys(end);

	for (uint8_t i = 0; i < keys->count; i++)
		if (keys->keys[i].id == id)
			return &keys->keys[i];
	return NULL;
}

/* Worker. The port of an end; NULL: it is gone or down. */
static inline struct port *link_port(const struct link_end *end)
{
	struct port *port = port_at(end->port);

	/* Acquire: its MAC and MTU were written before; pairs with the control thread's is_up. */
	return port && __atomic_load_n(&port->is_up, __ATOMIC_ACQUIRE) ? port : NULL;
}

/* What ESP adds on a link at most (D16): its header, IV of CBC, padding, ICV of HMAC-SHA2-512-256.
 * Transport mode; who has tunnels there needs a larger MTU of the link. */
#define LINK_ESP_OVERHEAD (8 + 16 + 17 + 32)

/* What is around a packet in GRE at most, and counts against the link's MTU. */
static inline uint32_t link_gre_overhead(const struct link_end *end)
{
	return gre_overhead(end->local.version) + (end->is_protected ? LINK_ESP_OVERHEAD : 0);
}

/* Worker. Of finished GRE, egress_port set: whether it has to go by ipsec_output, which lets it out
 * protected or not at all. */
static inline bool link_protect(const struct link_end *end, struct rte_mbuf *packet)
{
	struct packet_metadata *metadata = packet_metadata(packet);

	if (likely(!end->is_protected))
		return false;
	metadata->flags |= PACKET_IS_OF_LINK;
	metadata->service.is_secure = true;
	return true;
}

/* Index of the peer with that address, or -1. */
int link_find_peer(const struct link_end *end, const struct ip_address *address);

/* False: it is not known. */
static inline bool link_peer_mac(const struct link_peer *peer, uint8_t mac[6])
{
	/* Relaxed: one word, nothing hangs on it. */
	uint64_t value = __atomic_load_n(&peer->mac, __ATOMIC_RELAXED);

	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(value >> (40 - 8 * i));
	return value & LINK_MAC_KNOWN;
}

/* Writes the address of a peer for people, in the table in force; "" when there is none of that
 * index. Control thread. */
void link_peer_text(enum link_role role, uint16_t index, char text[IP_ADDRESS_TEXT_SIZE]);

void link_learn_mac(struct link_peer *peer, const uint8_t mac[6]);

/* Frames of a link's own, made in an empty mbuf; false: no room. Worker.
 * A question for the hop of a peer: ARP (RFC 826) or neighbour solicitation (RFC 4861). */
bool link_write_question(struct rte_mbuf *packet, const struct link_end *end,
	const struct link_peer *peer, const uint8_t mac[6]);
/* Turns a question for one of our addresses on the port into its answer, in place, or learns from
 * an answer. True: packet has to be sent back. */
bool link_resolve(struct link_table *table, const struct port *port, struct rte_mbuf *packet);

/* Parses the text of a key file: lines of `ID 32-HEX-DIGITS`, # begins a comment. -EINVAL with the
 * line. */
struct error;
int link_keys_parse(const char *text, size_t size, struct link_keys *out, struct error *error);
/* The same of a file that the broker has opened, at most 4 KiB. out is in locked memory. */
int link_keys_read(int fd, struct link_keys *out, struct error *error);
