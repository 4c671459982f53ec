/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's part of the inspector outside: its memif, and whether somebody is there. */
#include "packet/inspect/external/external.h"

#include "base/log.h"
#include "packet/engine/pool.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RING_LOG2       10 /* memif's rsize: 1024 descriptors */
#define WATCH_PERIOD_MS 10

/* Outlives the inspector until its timer is closed. */
struct external_device {
	uv_timer_t timer;
	struct external *owner;
	uint16_t open_count;
	char names[WORKERS_MAX][32];
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static uint32_t name_counter; /* names are never used twice in a process */

/* ---- whether somebody is there ---- */

static void tell(const struct external *external, bool is_down)
{
	const char *type = is_down ? "inspector_down" : "inspector_up";

	log_warning(type, log_str("engine", "external"), log_str("socket", external->device->path));
	packet_emit_event(json_pack("{s:s, s:s, s:s}", "type", type, "engine", "external", "socket",
		external->device->path));
}

/* The first memif that nobody is connected to; worker_count: there is none. */
static uint16_t find_unconnected(const struct external *external)
{
	struct rte_eth_link link;

	for (uint16_t i = 0; i < external->worker_count; i++)
		if (rte_eth_link_get_nowait(external->ports[i], &link) < 0
			|| link.link_status == RTE_ETH_LINK_DOWN)
			return i;
	return external->worker_count;
}

static void on_watch(uv_timer_t *timer)
{
	struct external_device *device = timer->data;
	bool is_down;

	if (!device->owner)
		return;
	is_down = find_unconnected(device->owner) < device->owner->worker_count;
	if (is_down == device->owner->base.is_down)
		return;
	/* Relaxed: workers act on it when they see it. */
	__atomic_store_n(&device->owner->base.is_down, is_down, __ATOMIC_RELAXED);
	tell(device->owner, is_down);
}

/* ---- the memif ---- */

/* What a killed process left; DPDK's memif server cannot start on it. */
static int remove_stale(const char *path, struct error *error)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, -EEXIST,
			"inspection.external.socket: %s exists and is no socket; remove it or "
			"choose another path",
			path);
	if (unlink(path) < 0)
		return error_set(error, -errno,
			"inspection.external.socket: cannot remove the stale %s: %s", path,
			strerror(errno));
	return 0;
}

static int configure_port(uint16_t port)
{
	struct rte_eth_conf conf = {0};
	int status = rte_eth_dev_configure(port, 1, 1, &conf);

	if (status == 0)
		status = rte_eth_rx_queue_setup(
			port, 0, 1 << RING_LOG2, SOCKET_ID_ANY, NULL, packet_pool);
	if (status == 0)
		status = rte_eth_tx_queue_setup(port, 0, 1 << RING_LOG2, SOCKET_ID_ANY, NULL);
	return status == 0 ? rte_eth_dev_start(port) : status;
}

static void close_devices(struct external *external)
{
	struct external_device *device = external->device;

	while (device->open_count > 0) {
		uint16_t i = --device->open_count;

		(void)rte_eth_dev_stop(external->ports[i]);
		(void)rte_eth_dev_close(external->ports[i]);
		(void)rte_eal_hotplug_remove("vdev", device->names[i]);
	}
}

static int open_one(struct external *external, uint16_t worker)
{
	struct external_device *device = external->device;
	char *name = device->names[worker], arguments[256];
	int status;

	snprintf(name, sizeof(device->names[worker]), "net_memif_inspect%u", name_counter++);
	snprintf(arguments, sizeof(arguments),
		"role=server,id=%u,socket=%s,socket-abstract=no,rsize=%d", worker, device->path,
		RING_LOG2);
	status = rte_eal_hotplug_add("vdev", name, arguments);
	if (status < 0)
		return status;
	status = rte_eth_dev_get_port_by_name(name, &external->ports[worker]);
	if (status == 0)
		status = configure_port(external->ports[worker]);
	if (status < 0) {
		(void)rte_eal_hotplug_remove("vdev", name);
		return status;
	}
	device->open_count++;
	return 0;
}

static int open_devices(struct external *external, const char *path, struct error *error)
{
	snprintf(external->device->path, sizeof(external->device->path), "%s", path);
	if (remove_stale(path, error) < 0)
		return -EINVAL;
	for (uint16_t i = 0; i < external->worker_count; i++) {
		int status = open_one(external, i);

		if (status == 0)
			continue;
		close_devices(external);
		return error_set(error, status,
			"inspection.external.socket: no memif with id %u at %s: %s; is its folder "
			"writable for the packet role's user?",
			i, path, strerror(-status));
	}
	return 0;
}

/* ---- operations ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void free_external(struct external *external)
{
	for (uint16_t i = 0; i < external->worker_count; i++) {
		struct external_worker *own = external->workers[i];

		while (own && own->ready_tail != own->ready_head)
			rte_pktmbuf_free(own->ready[own->ready_tail++ % EXTERNAL_READY_MAX].packet);
		free(own);
	}
	free(external);
}

static void external_destroy(struct inspector *inspector)
{
	struct external *external = (struct external *)inspector;

	close_devices(external);
	(void)unlink(external->device->path);
	external->device->owner = NULL;
	uv_close((uv_handle_t *)&external->device->timer, on_timer_closed);
	free_external(external);
}

static void external_configure(struct inspector *inspector, const json_t *config)
{
	struct external *external = (struct external *)inspector;
	json_int_t in_flight = json_integer_value(
		json_object_get(json_object_get(config, "external"), "in-flight"));

	__atomic_store_n(&external->in_flight_max, (uint32_t)in_flight, __ATOMIC_RELAXED);
}

static int external_create(const json_t *config, uint16_t worker_count, void *compiled,
	struct inspector **out, struct error *error)
{
	const char *path =
		json_string_value(json_object_get(json_object_get(config, "external"), "socket"));
	size_t size = RTE_ALIGN_CEIL(sizeof(struct external), RTE_CACHE_LINE_SIZE);
	struct external *external = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	int status = -ENOMEM;

	if (!path) {
		free(external);
		return error_set(error, -EINVAL,
			"inspection.external.socket: the engine external needs a path for its "
			"memif");
	}
	if (!external)
		goto no_memory;
	memset(external, 0, size);
	external->base.ops = &external_inspector;
	external->base.is_down = true; /* until somebody comes */
	external->worker_count = worker_count;
	external_configure(&external->base, config);
	external->device = calloc(1, sizeof(*external->device));
	for (uint16_t i = 0; i < worker_count; i++) {
		external->workers[i] = calloc(1, sizeof(*external->workers[i]));
		if (!external->workers[i] || !external->device)
			goto free_all;
	}
	status = open_devices(external, path, error);
	if (status < 0)
		goto free_device;
	external->device->owner = external;
	uv_timer_init(packet_loop(), &external->device->timer);
	external->device->timer.data = external->device;
	uv_timer_start(&external->device->timer, on_watch, WATCH_PERIOD_MS, WATCH_PERIOD_MS);
	*out = &external->base;
	return 0;

free_device:
	free(external->device);
	free_external(external);
	return status;
free_all:
	free(external->device);
	free_external(external);
no_memory:
	return error_set(error, -ENOMEM, "inspection: no memory for the engine external");
}

static uint64_t sum(const struct external *external, size_t offset)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < external->worker_count; i++) {
		const char *own = (const char *)external->workers[i];

		total += __atomic_load_n(
			(const uint64_t *)(const void *)(own + offset), __ATOMIC_RELAXED);
	}
	return total;
}

static json_t *external_status(struct inspector *inspector)
{
	const struct external *external = (const struct external *)inspector;
	uint16_t unconnected = find_unconnected(external);
	json_t *status = json_pack("{s:{s:s, s:I, s:I, s:I}}", "details", "socket",
		external->device->path, "sent",
		(json_int_t)sum(external, offsetof(struct external_worker, sent)), "returned",
		(json_int_t)sum(external, offsetof(struct external_worker, returned)), "too_large",
		(json_int_t)sum(external, offsetof(struct external_worker, too_large)));

	/* Both: somebody who has just come is noticed a little later. */
	if (__atomic_load_n(&inspector->is_down, __ATOMIC_RELAXED)
		&& unconnected < external->worker_count)
		json_object_set_new(status, "problem",
			json_sprintf("no inspector is connected to %s with id %u; each worker has "
				     "an id of its own",
				external->device->path, unconnected));
	return status;
}

const struct inspector_ops external_inspector = {
	.name = "external",
	.create = external_create,
	.destroy = external_destroy,
	.submit = external_submit,
	.collect = external_collect,
	.configure = external_configure,
	.status = external_status,
};
