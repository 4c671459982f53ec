/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the distributor is configured to do, as the workers see it (D1, D2, D3): the virtual
 * addresses (VIPAs), their services, and the targets behind them. One snapshot, published with
 * publish_swap(). An index of a VIPA or target keeps its name from snapshot to snapshot, and gets
 * another generation when it gets another name: connections refer to both.
 *
 * Writer: the control thread (vipa_config.c, distributor_control.c), before it is published.
 * Readers: workers, valid until the end of the walk. What changes while it is in force are a
 * service's weights (relaxed) and its Maglev table (publish_swap()); what else a target's state is
 * lies in health.h.
 */
#pragma once

#include "base/secret.h"
#include "packet/engine/publish.h"
#include "packet/link/link.h"
#include "wire/eth.h"
#include "wire/gre.h"
#include "wire/ip_address.h"

#include <jansson.h>
#include <rte_mbuf.h>

#define VIPAS_MAX         256
#define VIPA_SERVICES_MAX 512 /* of all VIPAs together */
#define VIPA_TARGETS_MAX  LINK_PEERS_MAX
#define VIPA_NAME_SIZE    32
#define VIPA_NONE         UINT16_MAX
#define VIPA_HASH_SIZE    1024  /* four times VIPAS_MAX: probes stay short */
#define MAGLEV_SIZE       16381 /* a prime, 250 times VIPA_TARGETS_MAX */
#define MAGLEV_NONE       UINT8_MAX

static_assert(VIPA_TARGETS_MAX < MAGLEV_NONE, "a target fits into a byte");

enum vipa_security {
	VIPA_SECURITY_ALLOWED,  /* in clear and by IPsec */
	VIPA_SECURITY_REQUIRED, /* what comes in clear is dropped */
	VIPA_SECURITY_OFF,      /* what comes by IPsec is dropped */
};

enum vipa_scheduling { VIPA_LEAST_CONNECTIONS, VIPA_ROUND_ROBIN, VIPA_MAGLEV };

struct vipa {
	char name[VIPA_NAME_SIZE]; /* empty: the index is free */
	struct ip_address address;
	struct ip_address router; /* next hop of what is not on-link; version 0: none */
	uint8_t prefix;           /* length in bits: what is on-link */
	uint8_t security;         /* enum vipa_security */
	uint8_t generation;       /* of the index */
	uint16_t vlan;
	uint8_t mac[ETH_ADDRESS_SIZE];
	uint16_t first_service, service_count;
};

struct vipa_service {
	char name[VIPA_NAME_SIZE];
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	uint16_t port;
	uint8_t scheduling; /* enum vipa_scheduling */
	bool is_persistent; /* a client's connections go to one target */
	uint16_t vipa;
	uint16_t target_count;
	uint8_t targets[VIPA_TARGETS_MAX];
	/* In force, by the same order; 0: takes no new connections. Relaxed. */
	uint32_t weights[VIPA_TARGETS_MAX];
	uint8_t *maglev; /* MAGLEV_SIZE targets; publish_read(); NULL: other scheduling */
};

struct vipa_target {
	char name[VIPA_NAME_SIZE]; /* empty: the index is free */
	uint8_t generation;        /* of the index */
	bool is_local;             /* a partition of this host (D11): */
	char local_name[PORT_NAME_SIZE];
	uint16_t local_port;       /* index; PORT_NONE: it is not there */
	uint16_t local_generation; /* of that index */
	uint16_t local_vlan;       /* of the adapter's untagged frames */
	uint8_t local_mac[ETH_ADDRESS_SIZE];
	struct ip_address address; /* else: on the link, */
	int peer;                  /* and its index among the link end's peers; -1: none */
	bool has_heartbeat;        /* it reports; else it counts as up */
	uint32_t weight;           /* configured */
};

/* Of one target. */
struct vipa_secret {
	uint8_t bytes[SIPHASH_KEY_SIZE];
	struct gre_keys to_target, from_target;
};

struct vipa_table {
	uint16_t vipa_count, target_count, service_count; /* highest index + 1 */
	uint16_t physical_port, host_port;                /* indices, or PORT_NONE */
	bool has_local_targets;
	bool moves; /* connections of a dead target go to another one; else they are reset */
	uint64_t stations[VIPA_HASH_SIZE];  /* VLAN and MAC address, open-addressed; 0: free */
	uint16_t addresses[VIPA_HASH_SIZE]; /* VIPAs by VLAN and address, likewise; VIPA_NONE */
	struct vipa vipas[VIPAS_MAX];
	struct vipa_service services[VIPA_SERVICES_MAX];
	struct vipa_target targets[VIPA_TARGETS_MAX];
	struct secret *secrets; /* struct vipa_secret[VIPA_TARGETS_MAX] */
	/* Control thread only. */
	char physical_name[PORT_NAME_SIZE], host_name[PORT_NAME_SIZE];
};

/* The table in force; read with publish_read(). NULL: this host is no distributor. */
extern struct vipa_table *vipa_table;

static inline uint64_t vipa_station(uint16_t vlan, const uint8_t *mac)
{
	return (uint64_t)vlan << 48 | (uint64_t)network_load16(mac) << 32 | network_load32(mac + 2);
}

static inline uint32_t vipa_station_hash(uint64_t station)
{
	return (uint32_t)(station * 0x9e3779b97f4a7c15ULL >> 54); /* 10 bits */
}

static_assert(VIPA_HASH_SIZE == 1 << 10, "vipa_station_hash() yields so many");

/* Whether the hardware address is that of a VIPA of the VLAN. */
static inline bool vipa_is_station(
	const struct vipa_table *table, uint16_t vlan, const uint8_t *mac)
{
	uint64_t station = vipa_station(vlan, mac);
	uint32_t at = vipa_station_hash(station);

	for (; table->stations[at]; at = (at + 1) % VIPA_HASH_SIZE)
		if (table->stations[at] == station)
			return true;
	return false;
}

/* The VIPA with the address in the VLAN; VIPA_NONE. */
uint16_t vipa_find(const struct vipa_table *table, uint16_t vlan, const struct ip_address *address);

/* The same in whatever VLAN. */
uint16_t vipa_find_any(const struct vipa_table *table, const struct ip_address *address);

/* Whether a frame to a group is a question for a VIPA: ARP or neighbour solicitation. */
bool vipa_is_asked(const struct vipa_table *table, uint16_t vlan, const struct rte_mbuf *packet);

/* Whether a frame that came in through the physical adapter is for vipa_input. */
static inline bool vipa_takes(
	const struct vipa_table *table, uint16_t vlan, const struct rte_mbuf *packet)
{
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);

	if (likely(!eth_address_is_group(frame)))
		return vipa_is_station(table, vlan, frame);
	return vipa_is_asked(table, vlan, packet);
}

/* Of a frame that a partition of this host sends: whether it is a target's answer, from a VIPA to a
 * client. It is tagged so then, and in the VIPA's VLAN (D11). Worker. */
bool vipa_take_answer(const struct vipa_table *table, struct rte_mbuf *packet);

/* Whether a frame carries what a VIPA says. Worker. */
bool vipa_is_source(const struct vipa_table *table, const struct rte_mbuf *packet);

/* The service of a VIPA; NULL: it has none there. */
static inline struct vipa_service *vipa_find_service(
	struct vipa_table *table, const struct vipa *vipa, uint8_t protocol, uint16_t port)
{
	for (uint16_t i = 0; i < vipa->service_count; i++) {
		struct vipa_service *service = &table->services[vipa->first_service + i];

		if (service->protocol == protocol && service->port == port)
			return service;
	}
	return NULL;
}

static inline const struct vipa_secret *vipa_secret(const struct vipa_table *table, uint16_t target)
{
	return (const struct vipa_secret *)secret_bytes(table->secrets) + target;
}

/* Control thread. A table of the whole normalised document without keys and ports; indices are
 * those of running (or NULL), as far as names are the same. *out is NULL when the document has no
 * distributor. */
int vipa_table_create(const json_t *config, const struct vipa_table *running,
	struct vipa_table **out, struct error *error);
void vipa_table_destroy(struct vipa_table *table);
/* The key file of a target of the document; NULL: it needs none. */
const char *vipa_key_file(const json_t *config, const char *target);
/* Looks up ports and the link's peers: those tables are in force by now. */
void vipa_table_bind(struct vipa_table *table);
