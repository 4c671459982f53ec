/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The switch's configuration as the workers see it (IEEE 802.1Q): which port is a member of which
 * VLAN and how, which trunk adapter a VLAN belongs to, and each VLAN's policies. One immutable
 * snapshot, published with publish_swap(); vlan_table.c builds it from the configuration.
 *
 * Writer: the control thread, before it is published. Readers: workers, valid until the end of the
 * walk. What changes while it is in force lies in struct switch_port_state.
 */
#pragma once

#include "base/error.h"
#include "packet/gateway/guard.h"
#include "packet/gateway/rate.h"
#include "packet/port/port.h"
#include "wire/eth.h"

#define TRUNKS_MAX      255
#define TRUNK_NAME_SIZE 64
#define TRUNK_NONE      UINT8_MAX /* also origin.adapter of what belongs to no trunk */

enum vlan_flag {
	VLAN_INSPECT_ALL = 1 << 0, /* traffic between local partitions is inspected too (G7) */
	VLAN_FLOOD = 1 << 1,       /* unknown unicast goes to all members */
};

struct vlan {
	uint32_t first_member; /* into vlan_table.members: partitions' ports, ascending */
	uint16_t member_count;
	uint8_t trunk; /* index, or TRUNK_NONE */
	uint8_t flags; /* enum vlan_flag */
};

enum storm_kind { STORM_BROADCAST, STORM_MULTICAST, STORM_UNKNOWN_UNICAST, STORM_KIND_COUNT };

/* What changes at a port while tables come and go. Owned by the control thread, freed after a grace
 * period when no table refers to it any more. */
struct switch_port_state {
	struct rate rate_in, rate_out; /* rate.h says who writes what */
	struct rate storm[STORM_KIND_COUNT];
	bool is_full; /* has as many addresses as it may; control thread, read relaxed */
	/* Control thread only. */
	uint32_t addresses;     /* learned, in the FDB */
	uint32_t addresses_max; /* 0: no limit */
	uint32_t references;    /* tables */
	uint16_t index, generation;
	char name[PORT_NAME_SIZE];
} __rte_cache_aligned;

enum switch_port_flag {
	SWITCH_PORT_IS_THERE = 1 << 0,
	SWITCH_PORT_TAKES_TAGS = 1 << 1, /* trunk mode, or the physical adapter */
	SWITCH_PORT_ALL_VLANS =
		1 << 2, /* the physical adapter: each VLAN but the native is tagged */
};

struct switch_port {
	uint16_t generation;       /* of the port's index */
	uint8_t kind;              /* enum port_kind */
	uint8_t flags;             /* enum switch_port_flag */
	uint16_t pvid;             /* VLAN of untagged frames, 0: they are not taken */
	uint8_t priority;          /* of untagged frames */
	const uint64_t *tagged;    /* bitmap of the VLANs it carries tagged; NULL: none */
	const struct guard *guard; /* NULL: nothing is guarded */
	struct switch_port_state *state;
};

/* Of a VLAN, what only the control thread needs. */
struct vlan_details {
	uint32_t addresses_max; /* 0: no limit */
	bool is_configured;     /* it has a trunk, a member or policies: vlan.list shows it */
};

/* A port's live settings: put into its state when the table is committed. */
struct switch_port_plan {
	uint16_t index;
	uint64_t rate_in, rate_out;       /* bit/s, 0: no limit */
	uint64_t storm[STORM_KIND_COUNT]; /* packets/s, 0: no limit */
	uint32_t addresses_max;
};

/* An entry of the FDB that the configuration makes. */
struct static_address {
	uint64_t key;
	uint16_t port;
	uint8_t kind; /* enum fdb_kind */
};

struct vlan_table {
	uint16_t physical_port; /* index, or PORT_NONE */
	uint16_t host_port;     /* index, or PORT_NONE */
	uint16_t host_vlan;
	bool forwards_reserved; /* frames to bridges' group addresses; pause never passes */
	bool has_inspection;    /* origin_tag leads to an inspector, that may write */
	uint16_t port_count;    /* elements of ports */
	struct vlan vlans[ETH_VLAN_ID_COUNT];
	uint16_t *members;
	struct switch_port *ports; /* by port index */
	/* Control thread only. */
	struct vlan_details *details; /* by VLAN id */
	struct switch_port_plan *plans;
	uint32_t plan_count;
	struct static_address *statics; /* sorted by key */
	uint32_t static_count;
	char (*trunk_names)[TRUNK_NAME_SIZE]; /* by trunk index; empty: free */
};

/* The table in force; read with publish_read(). NULL before the first configuration. */
extern struct vlan_table *vlan_table;

/* Control thread. Builds a table from the whole normalised configuration; ports are looked up with
 * port_find(). running is the table in force (or NULL): its ports' states and trunk indices are
 * kept. */
int vlan_table_create(const json_t *config, const struct vlan_table *running,
	struct vlan_table **out, struct error *error);
/* Before the table is published: rates and limits go into the ports' states, and into the ports
 * which VLANs leave tagged. Nothing changes for ports whose settings are the same. */
void vlan_table_apply(const struct vlan_table *table);
/* A table without ports and VLANs. NULL: no memory. */
struct vlan_table *vlan_table_create_empty(void);
void vlan_table_destroy(struct vlan_table *table);

/* The port of a packet; NULL: gone, or not the switch's. */
static inline const struct switch_port *vlan_table_port(
	const struct vlan_table *table, uint16_t index)
{
	if (index >= table->port_count || !(table->ports[index].flags & SWITCH_PORT_IS_THERE))
		return NULL;
	return &table->ports[index];
}

static inline bool switch_port_is_tagged(const struct switch_port *port, uint16_t vlan)
{
	if (port->flags & SWITCH_PORT_ALL_VLANS)
		return vlan != port->pvid;
	return port->tagged && (port->tagged[vlan / 64] >> (vlan % 64) & 1);
}

/* Whether the port is a member of the VLAN. */
static inline bool switch_port_carries(const struct switch_port *port, uint16_t vlan)
{
	return vlan == port->pvid || switch_port_is_tagged(port, vlan);
}
