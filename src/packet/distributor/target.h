/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This host as a target (D9): the host's stack owns virtual addresses (VIPAs) on a hidden
 * interface; a distributor sends it what clients want of them in GRE over a trusted link, and what
 * the host answers goes back the way that its connection came: by GRE when it came to the
 * distributor by IPsec, straight out of the physical adapter when it came in clear; there the
 * target's own IPsec does what policy says.
 *
 *	link_input ── target_input ── tx (the hidden interface)
 *	target_station ── ipsec_input ──┘
 *	rx (the hidden interface) ── target_reply ─┬─ tx (the link)
 *	                                           └─ ipsec_output ── target_direct ── tx (the
 *	                                              physical adapter)
 *
 * Writer of the table: the control thread (target_config.c, target_control.c), before it is
 * published. Readers: workers, valid until the end of the walk. Other state says so beside it.
 */
#pragma once

#include "base/secret.h"
#include "packet/distributor/target_flow.h"
#include "packet/engine/publish.h"
#include "packet/engine/worker.h"
#include "packet/link/link.h"
#include "wire/eth.h"
#include "wire/gre.h"
#include "wire/heartbeat.h"
#include "wire/ip_address.h"

#include <jansson.h>
#include <rte_mbuf.h>

#define TARGET_VIPAS_MAX    16
#define TARGET_SERVICES_MAX 48
#define TARGET_NAME_SIZE    32
#define TARGET_PEER_NONE    UINT8_MAX

/* A report has a line for each VIPA and service. */
static_assert(TARGET_SERVICES_MAX <= HEARTBEAT_SERVICES_MAX, "all of them fit");

struct target_service {
	char name[TARGET_NAME_SIZE];
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	uint16_t port;
};

/* Who we are on the physical adapter's network, to neighbours and routers alone: a VIPA is nobody's
 * there but the distributor's. */
struct target_station {
	struct ip_address address; /* version 0: no way straight out for this version */
	struct ip_address router;  /* version 0: none */
	uint8_t prefix;            /* length in bits: what is on-link */
};

/* What is shared with one distributor; a second secret is the next or the last one. */
struct target_keys {
	uint8_t count;
	struct {
		uint8_t secret[SIPHASH_KEY_SIZE];
		struct gre_keys to_target, to_distributor;
	} keys[LINK_KEYS_MAX]; /* the first one is used for sending */
};

struct target_table {
	uint16_t vipa_count, service_count;
	struct ip_address vipas[TARGET_VIPAS_MAX];
	struct target_service services[TARGET_SERVICES_MAX];
	/* Indices, or PORT_NONE: the hidden interface, the physical adapter, the host's own. */
	uint16_t host_port, physical_port, socket_port;
	uint16_t vlan;                     /* of the stations */
	uint8_t mac[ETH_ADDRESS_SIZE];     /* of the stations */
	struct target_station stations[2]; /* IPv4, IPv6 */
	struct secret *keys;               /* struct target_keys[LINK_PEERS_MAX]; NULL: no link */
	/* Control thread only. */
	uint32_t interval_ms, mtu_max_bytes, flows_max;
	char interface[16];
	bool has_sockets; /* gateway.host is there */
};

/* The table in force; read with publish_read(). NULL: this host is no target. */
extern struct target_table *target_table;

/* By index in the table: whether the service takes new connections. Control thread writes, workers
 * read, relaxed. */
extern bool target_is_ready[TARGET_SERVICES_MAX];

/* What is known of one distributor, by its index among the link end's peers. Workers write, workers
 * and the control thread read, each field relaxed. */
struct target_peer {
	uint64_t challenge;        /* of its last answer; 0: none yet */
	uint64_t answered;         /* sequence of our report that it answered last */
	uint64_t answered_ns;      /* when; 0: never */
	uint32_t mtu_bytes;        /* that it asks for; 0: none */
	uint32_t answers, refused; /* heartbeats; GRE in its name that was refused */
};
extern struct target_peer target_peers[LINK_PEERS_MAX];

/* The reports: the control thread sets what they carry and then is_due (release), worker 0 sends
 * and clears it (acquire). */
struct target_reports {
	bool is_due;
	uint16_t load;
	uint64_t session, sequence;
};
extern struct target_reports target_reports;

struct target_totals {
	uint64_t from_distributor[GRE_KIND_COUNT - 1], to_distributor; /* packets; by kind */
	uint64_t direct;                                               /* straight out */
	uint64_t decrypted;                                            /* by our own IPsec */
};

/* A packet that waits for the hardware address of its next hop. */
#define TARGET_WAITING_MAX 64
struct target_waiting {
	struct rte_mbuf *packet;
	uint32_t since,
		asked; /* ticks of the neighbour table; asked: again, on behalf of this one */
};

#define TARGET_PIECES_MAX 256 /* datagrams of the host whose fragments are followed */
struct target_piece {
	uint64_t datagram; /* hash of addresses, protocol and identification; 0: none */
	struct target_way way;
	uint32_t seen_s;
};

struct target_worker {
	struct target_flows *flows;
	struct target_totals totals; /* read relaxed */
	uint16_t waiting_count;
	struct target_waiting waiting[TARGET_WAITING_MAX];
	struct target_piece pieces[TARGET_PIECES_MAX];
};
/* Made with the first configuration that has a target; freed when no worker runs. */
extern struct target_worker *target_workers[WORKERS_MAX];

#define TARGET_COUNT(counter) __atomic_store_n(&(counter), (counter) + 1, __ATOMIC_RELAXED)

static inline const struct target_keys *target_keys(const struct target_table *table, uint8_t peer)
{
	return (const struct target_keys *)secret_bytes(table->keys) + peer;
}

static inline const struct target_station *target_station(
	const struct target_table *table, uint8_t ip_version)
{
	return &table->stations[ip_version == 6];
}

/* Whether the address is that of our station of its version. */
static inline bool target_is_station(
	const struct target_table *table, const struct ip_address *address)
{
	const struct target_station *station = target_station(table, address->version);

	return station->address.version && ip_address_is_equal(&station->address, address);
}

static inline bool target_has_vipa(
	const struct target_table *table, const struct ip_address *address)
{
	for (uint16_t i = 0; i < table->vipa_count; i++)
		if (ip_address_is_equal(&table->vipas[i], address))
			return true;
	return false;
}

/* Whether a VIPA's port is one that clients come to: nothing leaves from it of the host's own. */
static inline bool target_has_service(
	const struct target_table *table, uint8_t protocol, uint16_t port)
{
	for (uint16_t i = 0; i < table->service_count; i++)
		if (table->services[i].protocol == protocol && table->services[i].port == port)
			return true;
	return false;
}

/* ---- target_config.c: control thread ---- */

/* A table of the whole normalised document, without ports and keys. *out is NULL when the document
 * has no target. */
int target_table_create(const json_t *config, struct target_table **out, struct error *error);
void target_table_destroy(struct target_table *table);
/* Looks up ports and derives keys: the tables of ports and links are in force by now. -EEXIST: a
 * secret's keys are not distinct. */
int target_table_bind(struct target_table *table, const char *physical);

/* ---- target_heartbeat.c: workers ---- */

/* Puts the headers of GRE and of the link in front of packet, from our link to the distributor;
 * packet has no header of Ethernet's, its data is its own. False: no room, or the distributor's
 * hardware address is not known. */
bool target_wrap(struct rte_mbuf *packet, const struct link_end *end, uint8_t peer,
	const struct port *port, uint32_t key, uint16_t protocol);
/* A report to the distributor; NULL: there is no way to it. */
struct rte_mbuf *target_report(const struct target_table *table, const struct link_end *end,
	uint8_t peer, const struct port *port);
/* Takes an answer: false when it is none that is authentic, to one of our last reports, and newer
 * than the one before. */
bool target_take_answer(const struct target_table *table, uint8_t peer, struct rte_mbuf *packet,
	const struct gre *gre);

/* ---- target_direct_node.c ---- */

/* Puts the headers of Ethernet in front of what waits, as far as next hops are known by now, and
 * gives it to send; questions are repeated the same way, and what waits too long is given as lost.
 * Worker. */
void target_retry_waiting(const struct target_table *table, struct target_worker *own,
	void (*send)(void *context, struct rte_mbuf *packet, bool is_lost), void *context);

/* ---- what arrives at our station on the physical adapter ---- */

/* Whether a frame of the VLAN is address resolution of, or for, our stations. Worker. */
bool target_takes(const struct target_table *table, uint16_t vlan, const struct rte_mbuf *packet);
