/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's part of an inspector outside: its devices, and whether somebody is there. */
#include "base/log.h"
#include "packet/engine/pool.h"
#include "packet/inspect/external/external.h"
#include "packet/inspect/inspect.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <fcntl.h>
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
#define PATH_SIZE       sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* Outlives the inspector until its timer is closed. */
struct external_device {
	uv_timer_t timer;
	struct external *owner;
	enum external_kind kind;
	uint16_t open_count;
	char names[WORKERS_MAX][32];
	char path[PATH_SIZE];
};

static uint32_t name_counter; /* names are never used twice in a process */

/* ---- whether somebody is there ---- */

static void tell(const struct external *external, bool is_down)
{
	const char *type = is_down ? "inspector_down" : "inspector_up";
	const char *name = external->base.ops->name;

	log_warning(type, log_str("engine", name), log_str("socket", external->device->path));
	packet_emit_event(json_pack(
		"{s:s, s:s, s:s}", "type", type, "engine", name, "socket", external->device->path));
}

uint16_t external_find_unconnected(const struct external *external)
{
	struct rte_eth_link link;

	for (uint16_t i = 0; i < external->worker_count; i++)
		if (rte_eth_link_get_nowait(external->ports[i], &link) < 0
			|| link.link_status == RTE_ETH_LINK_DOWN)
			return i;
	return external->worker_count;
}

static bool is_answering(const struct external *external)
{
	for (uint16_t i = 0; external->is_ordered && i < external->worker_count; i++)
		if (!__atomic_load_n(&external->workers[i]->is_answering, __ATOMIC_RELAXED))
			return false;
	return true;
}

static void on_watch(uv_timer_t *timer)
{
	struct external_device *device = timer->data;
	struct external *external = device->owner;
	bool is_connected, is_down;

	if (!external)
		return;
	is_connected = external_find_unconnected(external) == external->worker_count;
	/* Relaxed: workers act on both when they see them. */
	__atomic_store_n(&external->is_connected, is_connected, __ATOMIC_RELAXED);
	is_down = !is_connected || !is_answering(external);
	if (is_down == external->base.is_down)
		return;
	__atomic_store_n(&external->base.is_down, is_down, __ATOMIC_RELAXED);
	tell(external, is_down);
}

/* ---- devices ---- */

/* What a killed process left; DPDK's servers cannot start on it. */
static int remove_stale(const char *path, const char *option, struct error *error)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, -EEXIST,
			"%s: %s exists and is no socket; remove it or choose another path", option,
			path);
	if (unlink(path) < 0)
		return error_set(error, -errno, "%s: cannot remove the stale %s: %s", option, path,
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

static void socket_of(
	const struct external_device *device, uint16_t worker, char out[PATH_SIZE + 8])
{
	if (device->kind == EXTERNAL_MEMIF)
		snprintf(out, PATH_SIZE + 8, "%s", device->path);
	else
		snprintf(out, PATH_SIZE + 8, "%s.%u", device->path, worker);
}

static void close_devices(struct external *external)
{
	struct external_device *device = external->device;
	char path[PATH_SIZE + 8];

	while (device->open_count > 0) {
		uint16_t i = --device->open_count;

		(void)rte_eth_dev_stop(external->ports[i]);
		(void)rte_eth_dev_close(external->ports[i]);
		(void)rte_eal_hotplug_remove("vdev", device->names[i]);
		socket_of(device, i, path);
		(void)unlink(path);
	}
}

/* Where others may write to the folder: what is changed is our socket, and nothing behind a link.
 */
static int open_to_others(const char *path, mode_t mode)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), status = 0;
	struct stat info;
	char name[64];

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (fstat(fd, &info) < 0 || !S_ISSOCK(info.st_mode) || info.st_uid != geteuid())
		status = -EPERM;
	else if (chmod(name, mode) < 0)
		status = -errno;
	close(fd);
	return status;
}

static int open_one(struct external *external, const struct external_setup *setup, uint16_t worker,
	const char *path)
{
	struct external_device *device = external->device;
	char *name = device->names[worker], arguments[256];
	int status;

	if (setup->kind == EXTERNAL_MEMIF) {
		snprintf(
			name, sizeof(device->names[worker]), "net_memif_inspect%u", name_counter++);
		snprintf(arguments, sizeof(arguments),
			"role=server,id=%u,socket=%s,socket-abstract=no,rsize=%d", worker, path,
			RING_LOG2);
	} else {
		snprintf(
			name, sizeof(device->names[worker]), "net_vhost_inspect%u", name_counter++);
		snprintf(arguments, sizeof(arguments), "iface=%s,queues=1", path);
	}
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
	return setup->socket_mode ? open_to_others(path, setup->socket_mode) : 0;
}

static int open_devices(
	struct external *external, const struct external_setup *setup, struct error *error)
{
	char path[PATH_SIZE + 8];

	for (uint16_t i = 0; i < external->worker_count; i++) {
		int status = 0;

		socket_of(external->device, i, path);
		if (strlen(path) >= PATH_SIZE)
			status = -ENAMETOOLONG;
		else if ((i == 0 || setup->kind != EXTERNAL_MEMIF)
			&& remove_stale(path, setup->option, error) < 0)
			status = -EEXIST;
		else
			status = open_one(external, setup, i, path);
		if (status == 0)
			continue;
		close_devices(external);
		if (status == -EEXIST && error->text[0])
			return status;
		return error_set(error, status,
			"%s: no device number %u at %s: %s; is its folder writable for the packet "
			"role's user?",
			setup->option, i, path, strerror(-status));
	}
	return 0;
}

static void free_workers(struct external *external)
{
	for (uint16_t i = 0; i < external->worker_count; i++) {
		struct external_worker *own = external->workers[i];

		while (own && own->ready_tail != own->ready_head)
			rte_pktmbuf_free(own->ready[own->ready_tail++ % EXTERNAL_READY_MAX].packet);
		free(own);
		external->workers[i] = NULL;
	}
}

static int make_workers(struct external *external)
{
	for (uint16_t i = 0; i < external->worker_count; i++) {
		external->workers[i] = calloc(1, sizeof(*external->workers[i]));
		if (!external->workers[i])
			return -ENOMEM;
	}
	external->device = calloc(1, sizeof(*external->device));
	return external->device ? 0 : -ENOMEM;
}

int external_open(
	struct external *external, const struct external_setup *setup, struct error *error)
{
	int status;

	error->text[0] = '\0';
	external->base.ops = setup->ops;
	external->base.is_down = true; /* until somebody comes */
	external->worker_count = setup->worker_count;
	if (make_workers(external) < 0) {
		status = error_set(error, -ENOMEM, "inspection: no memory for the engine %s",
			setup->ops->name);
		goto free_all;
	}
	external->device->kind = setup->kind;
	snprintf(external->device->path, sizeof(external->device->path), "%s", setup->path);
	status = open_devices(external, setup, error);
	if (status < 0)
		goto free_all;
	external->device->owner = external;
	uv_timer_init(packet_loop(), &external->device->timer);
	external->device->timer.data = external->device;
	uv_timer_start(&external->device->timer, on_watch, WATCH_PERIOD_MS, WATCH_PERIOD_MS);
	return 0;

free_all:
	free(external->device);
	free_workers(external);
	return status;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void external_close(struct external *external)
{
	close_devices(external);
	external->device->owner = NULL;
	uv_close((uv_handle_t *)&external->device->timer, on_timer_closed);
	free_workers(external);
}

void external_set_in_flight(struct external *external, json_int_t packets)
{
	__atomic_store_n(&external->in_flight_max, (uint32_t)packets, __ATOMIC_RELAXED);
}

/* ---- what it shows ---- */

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

#define SUM(external, field) (json_int_t) sum(external, offsetof(struct external_worker, field))

uint32_t external_in_flight(const struct external *external)
{
	uint32_t total = 0;

	for (uint16_t i = 0; i < external->worker_count; i++)
		if (inspect_workers[i])
			total += hold_count_of(inspect_workers[i]->holds, external->base.owner);
	return total;
}

json_t *external_details(const struct external *external)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I}", "socket", external->device->path, "sent",
		SUM(external, sent), "returned", SUM(external, returned), "unseen",
		SUM(external, unseen), "in_flight", (json_int_t)external_in_flight(external));
}
