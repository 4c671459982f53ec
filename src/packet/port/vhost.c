/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports of guests: vhost-user devices (vhost_device.c). What a guest takes unfinished is read from
 * its negotiated features each time it connects; packets for other devices are finished in
 * software.
 */
#include "packet/port/backend.h"

#include "packet/port/socket_file.h"
#include "packet/port/vhost_device.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>

#define SOCKET_MODE                                                                                \
	0660 /* whoever may enter the folder and is in our group: the guests' processes */
#define MTU_DEFAULT 1500

static_assert(VHOST_QUEUES_MAX >= PORT_QUEUES_MAX, "a port's queues are a device's");

struct vhost {
	struct vhost_device *device;
	char client_socket[DEVICE_ARGUMENT_SIZE]; /* that we connect to; empty: we listen */
};

static uint16_t vhost_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return vhost_device_receive(((struct vhost *)port->backend)->device, queue, packets, count);
}

static uint16_t vhost_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return vhost_device_send(((struct vhost *)port->backend)->device, queue, packets, count);
}

static void vhost_close(struct port *port)
{
	struct vhost *vhost = port->backend;

	vhost_device_close(vhost->device);
	free(vhost);
	port->backend = NULL;
}

/* What the guest takes unfinished, by the features that it has negotiated. */
static uint32_t guest_offloads(uint64_t features)
{
	uint32_t offloads = 0;

	if (!(features & 1ULL << VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	offloads |= PORT_OFFLOAD_CHECKSUM;
	if (features & 1ULL << VIRTIO_NET_F_GUEST_TSO4)
		offloads |= PORT_OFFLOAD_TSO4;
	if (features & 1ULL << VIRTIO_NET_F_GUEST_TSO6)
		offloads |= PORT_OFFLOAD_TSO6;
	return offloads;
}

/* A guest may use fewer queue pairs than there are; we transmit to those enabled. */
static bool vhost_refresh(struct port *port)
{
	struct vhost_state state;

	vhost_device_look(((struct vhost *)port->backend)->device, &state);
	__atomic_store_n(&port->tx_queue_count, state.tx_queue_count, __ATOMIC_RELAXED);
	/* None while it is down: the next guest may take less. */
	__atomic_store_n(&port->offloads, guest_offloads(state.features), __ATOMIC_RELAXED);
	return state.is_up;
}

static bool vhost_find_problem(const struct port *port, struct error *error)
{
	const struct vhost *vhost = port->backend;

	return vhost->client_socket[0] && socket_file_find_problem(vhost->client_socket, error);
}

static const struct port_ops vhost_ops = {
	.rx_burst = vhost_rx_burst,
	.tx_burst = vhost_tx_burst,
	.refresh = vhost_refresh,
	.find_problem = vhost_find_problem,
	.close = vhost_close,
};

int vhost_open(struct port *port, const struct device *device, struct error *error)
{
	const struct vhost_setup setup = {.path = device->argument,
		.is_client = device->is_client,
		.has_offloads = true,
		.queue_count = port->config.queue_count,
		.socket_mode = SOCKET_MODE};
	struct vhost *vhost = calloc(1, sizeof(*vhost));
	int result;

	if (!vhost)
		return error_set(error, -ENOMEM, "no memory");
	result = vhost_device_open(&setup, &vhost->device, error);
	if (result < 0) {
		free(vhost);
		return result;
	}
	if (device->is_client)
		snprintf(
			vhost->client_socket, sizeof(vhost->client_socket), "%s", device->argument);
	port->backend = vhost;
	port->ops = &vhost_ops;
	port->queue_count = (uint8_t)port->config.queue_count;
	port->tx_queue_count = 0;
	/* A guest's MTU is its own affair; the port's only limits what is sent to it. */
	port->mtu_bytes = port->config.mtu_bytes ? port->config.mtu_bytes : MTU_DEFAULT;
	return 0;
}
