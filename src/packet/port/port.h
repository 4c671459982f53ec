/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: one struct, one burst of receive and one of transmit, whatever is behind it. Backends:
 * vhost.c (guests, on librte_vhost), memif_port.c, ethdev.c (AF_XDP and PCI through DPDK's drivers)
 * and kernel.c (TAP and packet sockets with virtio-net headers, on descriptors that the broker
 * opened).
 *
 * Writer: the control thread (port_control.c). Readers: workers, through the published table.
 */
#pragma once

#include "base/error.h"
#include "packet/engine/publish.h"
#include "packet/engine/worker.h"

#include <jansson.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>
#include <stdbool.h>
#include <stdint.h>

#define PORTS_MAX       4096
#define PORT_NONE       UINT16_MAX
#define PORT_NAME_SIZE  64 /* "web.eth0" */
#define PORT_QUEUES_MAX 16
#define PORT_BURST      32 /* packets a receive or transmit burst handles */
#define VLAN_IDS        4096

/* What the port is to the switch. It decides the node that received frames go to. */
enum port_kind {
	PORT_PHYSICAL,  /* -> physical_input */
	PORT_PARTITION, /* -> switch_input */
	PORT_HOST,      /* -> host_input; the host's own socket layer */
	PORT_XCF,       /* -> link_input; a trusted link to other hosts, never bridged */
	PORT_VIPA,      /* -> target_reply; the host's hidden interface, which owns VIPAs */
	PORT_KIND_COUNT,
};

#define PORT_VIPA_NAME "vipa" /* of the one port of that kind */

/* What the peer behind a port accepts unfinished (G11). */
enum port_offload {
	PORT_OFFLOAD_CHECKSUM = 1 << 0, /* TCP/UDP checksums may be left to it */
	PORT_OFFLOAD_TSO4 = 1 << 1,
	PORT_OFFLOAD_TSO6 = 1 << 2,
}; /* UDP GSO is always cut for the peer: too few take it */

struct port_config {
	char name[PORT_NAME_SIZE];
	enum port_kind kind;
	char device[256];     /* "vhost-user:/run/…", "af_xdp:eth1", … as configured */
	uint32_t mtu_bytes;   /* layer 3, as of ip link; 0: the device's own */
	uint16_t queue_count; /* pairs */
	uint8_t mac[6];       /* all zero: the device's own */
	json_t *addresses;    /* to put on a TAP; owned; NULL: none */
};

struct port_counters { /* per worker, summed up by the control thread */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_errors, tx_drops;
} __rte_cache_aligned;

struct port;

struct port_ops {
	/* Worker. At most count packets of one queue; sets no metadata. */
	uint16_t (*rx_burst)(
		struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
	/* Worker. Consumes those sent, from the front; the caller keeps the rest. Packets are
	 * finished as far as port->offloads demands. One worker at a time a queue. */
	uint16_t (*tx_burst)(
		struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
	/* Control thread: what becomes readable when the queue has packets. NULL: no such thing. */
	int (*descriptor)(struct port *port, uint16_t queue);
	/* Control thread: frames that the device had no room for, since the last call. NULL: not
	 * known. */
	uint64_t (*take_missed)(struct port *port);
	/* Control thread, now and then and when something changed: reads the link, and what was
	 * negotiated with it, into port; returns whether the link is up. NULL: the kernel tells (of
	 * its interfaces). */
	bool (*refresh)(struct port *port);
	/* Control thread: why the link of an open port may be down. NULL: not known. */
	bool (*find_problem)(const struct port *port, struct error *error);
	/* Control thread: the reverse of open; workers no longer use the port. */
	void (*close)(struct port *port);
};

struct port {
	/* Read by workers; constant while the port is published. */
	const struct port_ops *ops;
	uint16_t index;      /* into the port table; the port's identity on the path */
	uint16_t generation; /* of the index */
	uint8_t kind;        /* enum port_kind */
	uint8_t queue_count; /* receive queues, and the most that transmit may use */
	bool is_wire;        /* frames leave for an Ethernet wire: runts are padded (G13) */
	bool is_linear;      /* packets are sent in one segment where they fit into one */
	bool is_watched;     /* arrivals at its descriptors are told to the workers */
	bool is_ethdev;      /* with the ethdev backend: */
	uint16_t ethdev_id;
	void *backend; /* the backend's own state */
	/* Written by the control thread, read by workers (relaxed). */
	uint32_t offloads;       /* enum port_offload; changes when a guest (re)negotiates */
	uint32_t tx_queue_count; /* queues that the peer takes packets from; 0 counts as 1 */
	uint32_t mtu_bytes;
	bool is_up;
	uint64_t tagged_vlans[VLAN_IDS / 64]; /* see port_vlan_is_tagged() */
	/* Transmit: a queue that several workers share (fewer queues than workers) is locked. */
	rte_spinlock_t tx_locks[PORT_QUEUES_MAX];
	struct port_counters counters[WORKERS_MAX]; /* each written by its worker */
	/* Control thread only. */
	struct port_config config;
	uint64_t rx_missed;  /* by the device, see take_missed */
	int interface_index; /* of the kernel's interface behind it; 0: none */
	uint8_t mac[6];      /* of the port's own end: configured, or the device's; zero: none */
	struct port_state *state; /* of port_control.c */
};

/* Whether frames of the VLAN leave the port with an 802.1Q tag. Written by the gateway's control
 * code, which knows access, trunk and native VLAN; read by tx on each worker. */
static inline bool port_vlan_is_tagged(const struct port *port, uint16_t vlan)
{
	return __atomic_load_n(&port->tagged_vlans[vlan / 64 % (VLAN_IDS / 64)], __ATOMIC_RELAXED)
		>> (vlan % 64)
		& 1;
}

/* Control thread. */
static inline void port_set_vlan_tagged(struct port *port, uint16_t vlan, bool is_tagged)
{
	uint64_t bit = 1ULL << (vlan % 64);

	if (is_tagged)
		__atomic_or_fetch(&port->tagged_vlans[vlan / 64], bit, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&port->tagged_vlans[vlan / 64], ~bit, __ATOMIC_RELAXED);
}

/* The published table; NULL elements are free. Worker: valid until the end of the walk. */
struct port_table {
	uint16_t count; /* highest used index + 1 */
	struct port *ports[PORTS_MAX];
};
extern struct port_table *port_table; /* read with publish_read(&port_table) */

/* NULL: it is not there, nor is any. Worker: valid until the end of the walk. */
static inline struct port *port_at(uint16_t index)
{
	const struct port_table *table = publish_read(&port_table);

	return table && index < table->count ? table->ports[index] : NULL;
}

/* What one worker polls, published whenever ports come, go, open or fail. */
struct rx_plan {
	uint32_t count;
	struct rx_poll {
		struct port *port;
		uint16_t queue;
		int fd; /* that arrivals are told of; -1: of none */
	} polls[];
};
extern struct rx_plan *rx_plans[WORKERS_MAX]; /* read with publish_read(&rx_plans[worker_index]) */

/*
 * Control thread. The port of that name, borrowed; NULL: not found. While a configuration change is
 * under way (from the port module's prepare to its commit or abort) this is the port as it will be,
 * so that the modules behind can refer to its index before it is published.
 */
struct port *port_find(const char *name);
const char *port_kind_name(enum port_kind kind); /* "physical" */

/* Control thread, at start: what adds the switch's view of a port (mode, vlan, vlans, mac, guard,
 * rates) to the answers of port.list and, with all details, of port.show. Sets fields of out. */
void port_set_describer(void (*describe)(const struct port *port, json_t *out, bool is_detailed));
