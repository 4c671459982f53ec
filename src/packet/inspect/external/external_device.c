/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's part of an inspector outside: its devices, and whether somebody is there. */
#include "base/log.h"
#include "packet/inspect/external/external.h"
#include "packet/inspect/inspect.h"
#include "packet/packet_module.h"
#include "packet/port/memif.h"
#include "packet/port/vhost_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define WATCH_PERIOD_MS 10
#define PATH_SIZE       sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* Outlives the inspector until its timer is closed. */
struct external_device {
	uv_timer_t timer;
	struct external *owner;
	char path[PATH_SIZE];
};

/* ---- whether somebody is there ---- */

static void tell(const struct external *external, bool is_down)
{
	const char *type = is_down ? "inspector_down" : "inspector_up";
	const char *name = external->base.ops->name;

	log_warning(type, log_str("engine", name), log_str("socket", external->device->path));
	packet_emit_event(json_pack(
		"{s:s, s:s, s:s}", "type", type, "engine", name, "socket", external->device->path));
}

static bool is_connected(const struct external *external, uint16_t worker)
{
	return external->memifs[worker] ? memif_is_up(external->memifs[worker])
					: vhost_device_is_up(external->vhosts[worker]);
}

uint16_t external_find_unconnected(const struct external *external)
{
	for (uint16_t i = 0; i < external->worker_count; i++)
		if (!is_connected(external, i))
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
	bool is_complete, is_down;

	if (!external)
		return;
	for (uint16_t i = 0; i < external->worker_count; i++)
		if (external->memifs[i])
			(void)memif_refresh(external->memifs[i]);
	is_complete = external_find_unconnected(external) == external->worker_count;
	/* Relaxed: workers act on both when they see them. */
	__atomic_store_n(&external->is_connected, is_complete, __ATOMIC_RELAXED);
	is_down = !is_complete || !is_answering(external);
	if (is_down == external->base.is_down)
		return;
	__atomic_store_n(&external->base.is_down, is_down, __ATOMIC_RELAXED);
	tell(external, is_down);
}

/* ---- devices ---- */

static void close_devices(struct external *external)
{
	for (uint16_t i = 0; i < external->worker_count; i++) {
		memif_close(external->memifs[i]);
		vhost_device_close(external->vhosts[i]);
		external->memifs[i] = NULL;
		external->vhosts[i] = NULL;
	}
}

/* One socket for all, and an id for each worker. */
static int open_memif(struct external *external, const struct external_setup *setup,
	uint16_t worker, struct error *error)
{
	const struct memif_setup memif = {.loop = packet_loop(),
		.path = setup->path,
		.id = worker,
		.queue_count = 1,
		.socket_mode = setup->socket_mode};

	return memif_open(&memif, &external->memifs[worker], error);
}

/* A socket for each worker. */
static int open_vhost(struct external *external, const struct external_setup *setup,
	uint16_t worker, struct error *error)
{
	char path[PATH_SIZE + 8];
	const struct vhost_setup vhost = {
		.path = path, .queue_count = 1, .socket_mode = setup->socket_mode};

	snprintf(path, sizeof(path), "%s.%u", setup->path, worker);
	if (strlen(path) >= PATH_SIZE)
		return error_set(error, -ENAMETOOLONG, "%s is too long for a socket", path);
	return vhost_device_open(&vhost, &external->vhosts[worker], error);
}

static int open_devices(
	struct external *external, const struct external_setup *setup, struct error *error)
{
	for (uint16_t i = 0; i < external->worker_count; i++) {
		int status = setup->kind == EXTERNAL_MEMIF ? open_memif(external, setup, i, error)
							   : open_vhost(external, setup, i, error);

		if (status < 0) {
			error_prefix(error, "%s", setup->option);
			close_devices(external);
			return status;
		}
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
