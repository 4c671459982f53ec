/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports on memif interfaces (memif.h): programs with memif, such as VPP's and DPDK's. */
#include "packet/port/backend.h"

#include "packet/packet_module.h"
#include "packet/port/memif.h"

#include <errno.h>
#include <stdlib.h>

#define MTU_DEFAULT 1500
#define SOCKET_MODE 0660

struct memif_port {
	struct memif *memif;
	struct port *port;
	void (*on_change)(struct port *port);
};

static struct memif *memif_of(const struct port *port)
{
	return ((const struct memif_port *)port->backend)->memif;
}

static uint16_t memif_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return memif_receive(memif_of(port), queue, packets, count);
}

static uint16_t memif_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	struct port_counters *counters = &port->counters[worker_index];
	uint16_t refused = 0;
	uint16_t done = memif_send(memif_of(port), queue, packets, count, &refused);

	counters->tx_drops += refused;
	counters->tx_packets -= refused; /* tx counts what was consumed */
	return done;
}

static bool memif_port_refresh(struct port *port)
{
	struct memif *memif = memif_of(port);
	bool is_up = memif_refresh(memif);

	if (is_up)
		__atomic_store_n(
			&port->tx_queue_count, memif_tx_queue_count(memif), __ATOMIC_RELAXED);
	return is_up;
}

static bool memif_port_find_problem(const struct port *port, struct error *error)
{
	return memif_find_problem(memif_of(port), error);
}

static void memif_port_close(struct port *port)
{
	memif_close(memif_of(port));
	free(port->backend);
	port->backend = NULL;
}

static const struct port_ops memif_ops = {
	.rx_burst = memif_rx_burst,
	.tx_burst = memif_tx_burst,
	.refresh = memif_port_refresh,
	.find_problem = memif_port_find_problem,
	.close = memif_port_close,
};

static void on_link(void *context)
{
	struct memif_port *own = context;

	own->on_change(own->port);
}

int memif_port_open(struct port *port, const struct device *device, uv_loop_t *loop,
	void (*on_change)(struct port *port), struct error *error)
{
	struct memif_port *own = calloc(1, sizeof(*own));
	const struct memif_setup setup = {.loop = loop,
		.path = device->argument,
		.id = device->id,
		.is_client = device->is_client,
		.queue_count = port->config.queue_count,
		.socket_mode = SOCKET_MODE,
		.on_link = on_link,
		.context = own};
	int result;

	if (!own)
		return error_set(error, -ENOMEM, "no memory");
	own->port = port;
	own->on_change = on_change;
	result = memif_open(&setup, &own->memif, error);
	if (result < 0) {
		free(own);
		return result;
	}
	port->queue_count = (uint8_t)port->config.queue_count;
	port->tx_queue_count = port->queue_count;
	port->mtu_bytes = port->config.mtu_bytes ? port->config.mtu_bytes : MTU_DEFAULT;
	port->is_linear = true; /* what peers make of chained descriptors differs */
	port->backend = own;
	port->ops = &memif_ops;
	return 0;
}
