/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: one struct, one burst of receive and one of transmit, whatever is behind it. Backends:
 * ethdev.c (vhost-user, memif, AF_XDP and PCI through DPDK's drivers) and kernel.c (TAP and packet
 * sockets with virtio-net headers, on descriptors that the broker opened).
 *
 * Writer: the control thread (port_control.c). Readers: workers, through the published table.
 */
#pragma once

#include "base/error.h"
#include "packet/engine/worker.h"

#include <jansson.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#define PORTS_MAX       4096
#define PORT_NONE       UINT16_MAX
#define PORT_NAME_SIZE  64 /* "web.eth0" */
#define PORT_QUEUES_MAX 16

/* What the port is to the switch. It decides the node that received frames go to. */
enum port_kind {
	PORT_PHYSICAL,  /* -> physical_input */
	PORT_PARTITION, /* -> switch_input */
	PORT_HOST,      /* -> host_input; the host's own socket layer */
	PORT_XCF,       /* a trusted link; with the distributor */
	PORT_KIND_COUNT,
};

/* What the peer behind a port accepts unfinished (G11). */
enum port_offload {
	PORT_OFFLOAD_CHECKSUM = 1 << 0, /* TCP/UDP checksums may be left to it */
	PORT_OFFLOAD_TSO4 = 1 << 1,
	PORT_OFFLOAD_TSO6 = 1 << 2,
};

struct port_config {
	char name[PORT_NAME_SIZE];
	enum port_kind kind;
	char device[256];     /* "vhost-user:/run/…", "af_xdp:eth1", … as configured */
	uint32_t mtu_bytes;   /* layer 3, as of ip link; 0: the device's own */
	uint16_t queue_count; /* pairs */
	uint8_t mac[6];       /* all zero: the device's own */
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
	/* Worker. Consumes those sent; the caller keeps the rest. Packets are finished as far as
	 * port->offloads demands. */
	uint16_t (*tx_burst)(
		struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
	/* Control thread: the reverse of open; workers no longer use the port. */
	void (*close)(struct port *port);
};

struct port {
	/* Read by workers; constant while the port is published. */
	const struct port_ops *ops;
	uint16_t index;      /* into the port table; the port's identity on the path */
	uint16_t generation; /* of the index */
	uint8_t kind;        /* enum port_kind */
	uint8_t queue_count;
	uint16_t ethdev_id; /* with the ethdev backend */
	void *backend;      /* the backend's own state */
	/* Written by the control thread, read by workers (relaxed). */
	uint32_t offloads; /* enum port_offload; changes when a guest (re)negotiates */
	uint32_t mtu_bytes;
	bool is_up;
	struct port_counters counters[WORKERS_MAX]; /* each written by its worker */
	/* Control thread only. */
	struct port_config config;
};

/* The published table; NULL elements are free. Worker: valid until the end of the walk. */
struct port_table {
	uint16_t count; /* highest used index + 1 */
	struct port *ports[PORTS_MAX];
};
extern struct port_table *port_table; /* read with publish_read(&port_table) */

/* Control thread. Opening may need descriptors of the broker and therefore ends later, with done().
 */
typedef void (*port_opened_fn)(void *context, struct port *port, const struct error *error);
int port_open(const struct port_config *config, port_opened_fn done, void *context);
/* Unpublishes, waits for the workers' grace period, closes. NULL is allowed. */
void port_close(struct port *port);
struct port *port_find(const char *name); /* borrowed; NULL: not found */
