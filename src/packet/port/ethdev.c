/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports on DPDK's drivers: AF_XDP as a virtual device, and PCI devices. Devices are plugged in and
 * out while the process runs. Packets are finished in software: a driver's own offloads would have
 * to be trusted with each kind of frame.
 *
 * Bursts run on workers; the drivers' callbacks on their own threads; the rest on the control
 * thread.
 */
#include "packet/port/backend.h"

#include "base/log.h"
#include "packet/engine/pool.h"
#include "packet/packet_module.h"
#include "packet/port/af_xdp.h"

#include <errno.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_spinlock.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RING_SIZE_MAX 1024 /* descriptors of a queue, where the device takes as many */
#define MTU_DEFAULT   1500
/* One segment, with Ethernet header, our tag and two of the frame's own. */
#define AF_XDP_MTU_MAX (POOL_DATA_SIZE - 14 - 3 * 4)
#define ARGUMENTS_SIZE 384

struct ethdev {
	char name[RTE_DEV_NAME_MAX_LEN]; /* as on its bus */
	bool is_af_xdp;
	uint64_t missed; /* control thread: told already */
};

/* From the drivers' threads to the control thread: ports with news. */
static struct {
	uv_async_t async;
	bool is_running;
	void (*on_change)(uint16_t ethdev_id);
	bool has_news[RTE_MAX_ETHPORTS]; /* set there, exchanged here */
} watch;

static uint32_t name_counter; /* device names are never used twice in a process */

static uint16_t ethdev_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return rte_eth_rx_burst(port->ethdev_id, queue, packets, count);
}

static uint16_t ethdev_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return rte_eth_tx_burst(port->ethdev_id, queue, packets, count);
}

static void unplug(struct ethdev *ethdev)
{
	const char *bus = strchr(ethdev->name, ':') ? "pci" : "vdev";

	if (rte_eal_hotplug_remove(bus, ethdev->name) < 0)
		log_warning("device_not_removed", log_str("device", ethdev->name));
	free(ethdev);
}

static void ethdev_close(struct port *port)
{
	(void)rte_eth_dev_stop(port->ethdev_id);
	(void)rte_eth_dev_close(port->ethdev_id);
	unplug(port->backend);
	port->backend = NULL;
}

static uint64_t ethdev_take_missed(struct port *port)
{
	struct ethdev *ethdev = port->backend;
	struct rte_eth_stats statistics;
	uint64_t before = ethdev->missed;

	if (rte_eth_stats_get(port->ethdev_id, &statistics) < 0)
		return 0;
	ethdev->missed = statistics.imissed + statistics.ierrors + statistics.rx_nombuf;
	return ethdev->missed - before;
}

static bool ethdev_refresh(struct port *port)
{
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(port->ethdev_id, &link) == 0
		&& link.link_status == RTE_ETH_LINK_UP;
}

static const struct port_ops ethdev_ops = {
	.rx_burst = ethdev_rx_burst,
	.tx_burst = ethdev_tx_burst,
	.take_missed = ethdev_take_missed,
	.refresh = ethdev_refresh,
	.close = ethdev_close,
};

static int af_xdp_arguments(const struct port *port, const struct device *device,
	struct ethdev *ethdev, char *arguments, struct error *error)
{
	char program[AF_XDP_PROGRAM_SIZE];
	int result = af_xdp_prepare(device->argument, program, error);

	if (result < 0)
		return result;
	ethdev->is_af_xdp = true;
	snprintf(ethdev->name, sizeof(ethdev->name), "net_af_xdp%u", name_counter++);
	snprintf(arguments, ARGUMENTS_SIZE, "iface=%s,queue_count=%u,xdp_prog=%s", device->argument,
		port->config.queue_count, program);
	return 0;
}

static int make_arguments(struct port *port, const struct device *device, struct ethdev *ethdev,
	char *arguments, struct error *error)
{
	arguments[0] = '\0';
	switch (device->kind) {
	case DEVICE_AF_XDP:
		port->is_linear = true;
		port->is_wire = true;
		return af_xdp_arguments(port, device, ethdev, arguments, error);
	case DEVICE_PCI:
		port->is_wire = true;
		snprintf(ethdev->name, sizeof(ethdev->name), "%.12s", device->argument);
		return 0;
	default:
		return error_set(error, -EINVAL, "%s is not a device of DPDK's",
			device_kind_name(device->kind));
	}
}

static int configure_queues(struct port *port, const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = {0};
	uint16_t rx_size = RING_SIZE_MAX, tx_size = RING_SIZE_MAX;
	int result;

	if (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	result =
		rte_eth_dev_configure(port->ethdev_id, port->queue_count, port->queue_count, &conf);
	if (result == 0)
		result = rte_eth_dev_adjust_nb_rx_tx_desc(port->ethdev_id, &rx_size, &tx_size);
	for (uint16_t i = 0; result == 0 && i < port->queue_count; i++)
		result = rte_eth_rx_queue_setup(
			port->ethdev_id, i, rx_size, SOCKET_ID_ANY, NULL, packet_pool);
	for (uint16_t i = 0; result == 0 && i < port->queue_count; i++)
		result = rte_eth_tx_queue_setup(port->ethdev_id, i, tx_size, SOCKET_ID_ANY, NULL);
	return result;
}

static int set_mtu(struct port *port, const struct ethdev *ethdev, struct error *error)
{
	uint16_t mtu_bytes;
	int result;

	if (port->config.mtu_bytes) {
		result = rte_eth_dev_set_mtu(port->ethdev_id, (uint16_t)port->config.mtu_bytes);
		if (result < 0 && result != -ENOTSUP)
			return error_set(error, result, "the device refuses an MTU of %u: %s",
				port->config.mtu_bytes, strerror(-result));
	}
	if (rte_eth_dev_get_mtu(port->ethdev_id, &mtu_bytes) < 0)
		mtu_bytes = MTU_DEFAULT;
	port->mtu_bytes = port->config.mtu_bytes ? port->config.mtu_bytes : mtu_bytes;
	/* The driver of AF_XDP sends pkt_len bytes of the first segment, whatever is in it. */
	if (ethdev->is_af_xdp)
		port->mtu_bytes = RTE_MIN(port->mtu_bytes, (uint32_t)AF_XDP_MTU_MAX);
	return 0;
}

static int configure(struct port *port, struct ethdev *ethdev, struct error *error)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	int result;

	result = rte_eth_dev_info_get(port->ethdev_id, &info);
	if (result < 0)
		return error_set(error, result, "no device information: %s", strerror(-result));
	port->queue_count = (uint8_t)RTE_MIN(port->config.queue_count, info.max_rx_queues);
	port->queue_count = (uint8_t)RTE_MIN(port->queue_count, info.max_tx_queues);
	port->tx_queue_count = port->queue_count;
	result = configure_queues(port, &info);
	if (result < 0)
		return error_set(error, result, "cannot set up %u queues: %s", port->queue_count,
			strerror(-result));
	if (set_mtu(port, ethdev, error) < 0)
		return -EINVAL;
	result = rte_eth_dev_start(port->ethdev_id);
	if (result < 0)
		return error_set(error, result, "cannot start: %s", strerror(-result));
	(void)rte_eth_promiscuous_enable(port->ethdev_id);
	(void)rte_eth_allmulticast_enable(port->ethdev_id);
	if (rte_eth_macaddr_get(port->ethdev_id, &mac) == 0)
		memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	return 0;
}

int ethdev_open(struct port *port, const struct device *device, struct error *error)
{
	struct ethdev *ethdev = calloc(1, sizeof(*ethdev));
	char arguments[ARGUMENTS_SIZE];
	int result;

	if (!ethdev)
		return error_set(error, -ENOMEM, "no memory");
	if (rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS) {
		free(ethdev);
		return error_set(error, -ENOSPC,
			"DPDK as it was built for this system has room for %d devices; use netdev: "
			"or tap:, which need none, or a DPDK with a larger max_ethports",
			RTE_MAX_ETHPORTS);
	}
	result = make_arguments(port, device, ethdev, arguments, error);
	if (result < 0)
		goto free_ethdev;
	result = rte_eal_hotplug_add(
		device->kind == DEVICE_PCI ? "pci" : "vdev", ethdev->name, arguments);
	if (result < 0 || rte_eth_dev_get_port_by_name(ethdev->name, &port->ethdev_id) < 0) {
		error_set(error, result < 0 ? result : -ENODEV,
			"the driver refuses %s (its reason is in the log as dpdk)",
			port->config.device);
		goto free_ethdev;
	}
	result = configure(port, ethdev, error);
	if (result < 0) {
		(void)rte_eth_dev_close(port->ethdev_id);
		unplug(ethdev);
		return result;
	}
	port->backend = ethdev;
	port->is_ethdev = true;
	port->ops = &ethdev_ops;
	return 0;
free_ethdev:
	free(ethdev);
	return result < 0 ? result : -ENODEV;
}

/* --- Links --- */

/* A driver's thread. */
static int on_event(uint16_t ethdev_id, enum rte_eth_event_type type, void *context, void *unused)
{
	__atomic_store_n(&watch.has_news[ethdev_id], true, __ATOMIC_RELEASE);
	uv_async_send(&watch.async);
	return 0;
}

static void on_async(uv_async_t *async)
{
	for (uint16_t i = 0; i < RTE_MAX_ETHPORTS; i++)
		if (__atomic_exchange_n(&watch.has_news[i], false, __ATOMIC_ACQUIRE))
			watch.on_change(i);
}

int ethdev_start(uv_loop_t *loop, void (*on_change)(uint16_t ethdev_id))
{
	watch.on_change = on_change;
	if (uv_async_init(loop, &watch.async, on_async) < 0)
		return -EIO;
	watch.is_running = true;
	if (rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_INTR_LSC, on_event, NULL)
		< 0) {
		ethdev_stop();
		return -EIO;
	}
	return 0;
}

void ethdev_stop(void)
{
	if (!watch.is_running)
		return;
	(void)rte_eth_dev_callback_unregister(RTE_ETH_ALL, RTE_ETH_EVENT_INTR_LSC, on_event, NULL);
	uv_close((uv_handle_t *)&watch.async, NULL);
	watch.is_running = false;
}
