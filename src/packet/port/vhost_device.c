/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who writes what: librte_vhost's threads tell of connections, rings and devices (and the control
 * thread, while it closes one); they note it under `lock` and derive from it which queues workers
 * may use. Workers read that alone. A device that ends is taken away from them before librte_vhost
 * frees it: destroy_device() returns when each worker has ended its walk.
 *
 * `lock` is a leaf: nothing is waited for, and no librte_vhost function that locks is called, under
 * it.
 */
#include "packet/port/vhost_device.h"

#include "base/list.h"
#include "base/log.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/port/socket_file.h"
#include "schema/device.h"

#include <dirent.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <rte_vhost.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define BURST     32 /* librte_vhost takes and gives as many a call */
#define NO_HANDLE (-1)
/* A front end has its message out in one piece, and reads an answer before it asks again. One that
 * does not is not waited for: it would hold up the thread that serves all, and, with its rings
 * locked, a worker. */
#define RECEIVE_TIMEOUT_US 100000
#define SEND_TIMEOUT_US    1000
/* Of one device: a front end that starts again, while its end has not been noticed. Librte_vhost
 * has room for 1,024 in all, so nobody may have more. */
#define CONNECTIONS_MAX 4

/* Features that no device has: UDP fragmentation offload has no equal in an mbuf. */
#define FEATURES_NEVER (1ULL << VIRTIO_NET_F_GUEST_UFO | 1ULL << VIRTIO_NET_F_HOST_UFO)
/* And those of offloads. */
#define FEATURES_OFFLOAD                                                                           \
	(1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GSO    \
		| 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6                  \
		| 1ULL << VIRTIO_NET_F_HOST_ECN | 1ULL << VIRTIO_NET_F_GUEST_TSO4                  \
		| 1ULL << VIRTIO_NET_F_GUEST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_ECN)

struct vhost_device {
	/* Librte_vhost's handle for bursts of that queue; NO_HANDLE: none are possible. Written
	 * under lock, read by workers. */
	int receive_handles[VHOST_QUEUES_MAX], send_handles[VHOST_QUEUES_MAX];
	/* Constant. */
	struct list siblings; /* written under lock by the control thread */
	uint16_t queue_count;
	bool is_client;
	char path[DEVICE_ARGUMENT_SIZE];
	/* Under lock; is_up is read without. */
	int handle; /* of the front end that counts; NO_HANDLE: none is ready */
	bool is_up;
	uint64_t features;
};

/* What is connected, by librte_vhost's handle. Under lock. */
static struct connection {
	struct vhost_device *device;
	bool is_enabled[2 * VHOST_QUEUES_MAX]; /* rings; the front end receives on even ones */
} connections[RTE_MAX_VHOST_DEVICE];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list devices = {&devices, &devices}; /* under lock */
static uint32_t device_count;                      /* control thread */

static struct {
	uv_async_t async;
	bool is_running;
	void (*on_news)(void);
} watch;

/* --- Bursts --- */

uint16_t vhost_device_receive(
	struct vhost_device *device, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	/* Acquire: pairs with set_queues(). */
	int handle = __atomic_load_n(&device->receive_handles[queue], __ATOMIC_ACQUIRE);

	if (handle == NO_HANDLE)
		return 0;
	return rte_vhost_dequeue_burst(
		handle, (uint16_t)(2 * queue + 1), packet_pool, packets, count);
}

/* Most packets are one buffer of the pool that nobody shares: these go back as they lie. */
static void free_packets(struct rte_mbuf **packets, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		const struct rte_mbuf *packet = packets[i];

		if (unlikely(packet->pool != packet_pool || packet->nb_segs != 1
			    || !RTE_MBUF_DIRECT(packet) || rte_mbuf_refcnt_read(packet) != 1)) {
			rte_pktmbuf_free_bulk(packets, count);
			return;
		}
	}
	rte_mempool_put_bulk(packet_pool, (void *const *)packets, count);
}

uint16_t vhost_device_send(
	struct vhost_device *device, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	int handle = __atomic_load_n(&device->send_handles[queue], __ATOMIC_ACQUIRE);
	uint16_t sent = 0;

	if (handle == NO_HANDLE)
		return 0;
	while (sent < count) {
		uint16_t burst = RTE_MIN((uint16_t)(count - sent), BURST);
		uint16_t taken = rte_vhost_enqueue_burst(
			handle, (uint16_t)(2 * queue), packets + sent, burst);

		free_packets(packets + sent, taken);
		sent = (uint16_t)(sent + taken);
		if (taken < burst)
			break;
	}
	return sent;
}

/* --- What librte_vhost tells --- */

static void tell_news(void)
{
	if (__atomic_load_n(&watch.is_running, __ATOMIC_RELAXED))
		uv_async_send(&watch.async);
}

/* Which queues workers may use, of what is known. Under lock. */
static void set_queues(struct vhost_device *device)
{
	const struct connection *connection =
		device->handle == NO_HANDLE ? NULL : &connections[device->handle];

	for (uint16_t i = 0; i < device->queue_count; i++) {
		bool receives = connection && connection->is_enabled[2 * i + 1];
		bool sends = connection && connection->is_enabled[2 * i];

		/* Release: pairs with the bursts; the rings were set up before. */
		__atomic_store_n(&device->receive_handles[i], receives ? device->handle : NO_HANDLE,
			__ATOMIC_RELEASE);
		__atomic_store_n(&device->send_handles[i], sends ? device->handle : NO_HANDLE,
			__ATOMIC_RELEASE);
	}
	__atomic_store_n(&device->is_up, connection, __ATOMIC_RELAXED);
}

static struct vhost_device *find_device(const char *path)
{
	list_foreach (node, &devices) {
		struct vhost_device *device = list_entry(node, struct vhost_device, siblings);

		if (strcmp(device->path, path) == 0)
			return device;
	}
	return NULL;
}

/* Whether the socket may be a connection of the device: accepted at its path, or any that was
 * connected by us. What the listener calls itself is no help for these: it may be relative, or seen
 * from elsewhere. */
static bool is_connection_of(int fd, const struct vhost_device *device)
{
	struct sockaddr_un own = {0}, other = {0};
	socklen_t own_size = sizeof(own), other_size = sizeof(other), type_size = sizeof(int);
	int type = 0;

	return getsockname(fd, (struct sockaddr *)&own, &own_size) == 0
		&& getpeername(fd, (struct sockaddr *)&other, &other_size) == 0
		&& getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0
		&& type == SOCK_STREAM && own.sun_family == AF_UNIX
		&& strncmp(own.sun_path, device->is_client ? "" : device->path,
			   sizeof(own.sun_path))
		== 0;
}

/* Librte_vhost does not tell which descriptor a connection has, and reads from it and writes to it
 * without a bound in time. */
static int limit_waiting(const struct vhost_device *device)
{
	const struct timeval receive = {.tv_usec = RECEIVE_TIMEOUT_US},
			     send = {.tv_usec = SEND_TIMEOUT_US};
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	if (!folder)
		return -errno;
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && is_connection_of(fd, device)
			&& setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive)) == 0
			&& setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send)) == 0)
			count++;
	}
	closedir(folder);
	return count > 0 ? 0 : -ENOENT;
}

/* Under lock. */
static int count_connections(const struct vhost_device *device)
{
	int count = 0;

	for (int i = 0; i < RTE_MAX_VHOST_DEVICE; i++)
		count += connections[i].device == device;
	return count;
}

static void on_destroy_connection(int handle)
{
	pthread_mutex_lock(&lock);
	connections[handle] = (struct connection){0};
	pthread_mutex_unlock(&lock);
}

static int on_new_connection(int handle)
{
	char path[DEVICE_ARGUMENT_SIZE];
	struct vhost_device *device;

	if (rte_vhost_get_ifname(handle, path, sizeof(path)) < 0)
		return -1;
	pthread_mutex_lock(&lock);
	device = find_device(path);
	if (device && count_connections(device) >= CONNECTIONS_MAX)
		device = NULL;
	connections[handle] = (struct connection){.device = device};
	pthread_mutex_unlock(&lock);
	/* Closing the device waits for this to return. */
	if (device && limit_waiting(device) == 0)
		return 0;
	/* Librte_vhost does not tell of the end of those that it did not get to keep. */
	on_destroy_connection(handle);
	return -1;
}

static int on_vring_state(int handle, uint16_t ring, int is_enabled)
{
	struct connection *connection = &connections[handle];
	struct vhost_device *device;

	pthread_mutex_lock(&lock);
	device = connection->device;
	if (ring < 2 * VHOST_QUEUES_MAX)
		connection->is_enabled[ring] = is_enabled;
	if (device && device->handle == handle)
		set_queues(device);
	pthread_mutex_unlock(&lock);
	tell_news();
	return 0;
}

static int on_new_device(int handle)
{
	uint64_t features = 0;
	uint16_t ring_count;
	struct vhost_device *device;

	/* Rings are polled: the front end need not tell of what it puts into them. */
	for (uint16_t i = 0; i < rte_vhost_get_vring_num(handle); i++)
		(void)rte_vhost_enable_guest_notification(handle, i, 0);
	if (rte_vhost_get_negotiated_features(handle, &features) < 0)
		return -1;
	ring_count = rte_vhost_get_vring_num(handle);
	pthread_mutex_lock(&lock);
	device = connections[handle].device;
	/* Rings that it had before, and that librte_vhost has freed without a word. */
	for (uint16_t i = ring_count; i < 2 * VHOST_QUEUES_MAX; i++)
		connections[handle].is_enabled[i] = false;
	if (device) {
		device->handle = handle;
		device->features = features;
		set_queues(device);
	}
	pthread_mutex_unlock(&lock);
	tell_news();
	return device ? 0 : -1;
}

static void on_destroy_device(int handle)
{
	struct vhost_device *device;

	pthread_mutex_lock(&lock);
	device = connections[handle].device;
	if (device && device->handle == handle) {
		device->handle = NO_HANDLE;
		device->features = 0;
		set_queues(device);
	}
	pthread_mutex_unlock(&lock);
	/* Also of a front end that does not count any more: a walk may have it in hand. Not of a
	 * device that is closed (vhost_device_close()). */
	if (device)
		publish_synchronize();
	tell_news();
}

static const struct rte_vhost_device_ops callbacks = {
	.new_connection = on_new_connection,
	.vring_state_changed = on_vring_state,
	.destroy_connection = on_destroy_connection,
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
};

static void on_async(uv_async_t *async)
{
	watch.on_news();
}

int vhost_start(uv_loop_t *loop, void (*on_news)(void))
{
	watch.on_news = on_news;
	if (uv_async_init(loop, &watch.async, on_async) < 0)
		return -EIO;
	watch.is_running = true;
	return 0;
}

void vhost_stop(void)
{
	if (!watch.is_running)
		return;
	__atomic_store_n(&watch.is_running, false, __ATOMIC_RELAXED);
	uv_close((uv_handle_t *)&watch.async, NULL);
}

/* --- Life of a device --- */

static struct vhost_device *create_device(const struct vhost_setup *setup)
{
	struct vhost_device *device = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*device), (size_t)RTE_CACHE_LINE_SIZE));

	if (!device)
		return NULL;
	memset(device, 0, sizeof(*device));
	snprintf(device->path, sizeof(device->path), "%s", setup->path);
	device->queue_count = setup->queue_count;
	device->is_client = setup->is_client;
	device->handle = NO_HANDLE;
	pthread_mutex_lock(&lock);
	list_append(&devices, &device->siblings);
	set_queues(device);
	pthread_mutex_unlock(&lock);
	device_count++;
	return device;
}

/* From here on librte_vhost's callbacks know nothing of the device. */
static void forget_device(struct vhost_device *device)
{
	pthread_mutex_lock(&lock);
	list_remove(&device->siblings);
	for (int i = 0; i < RTE_MAX_VHOST_DEVICE; i++)
		if (connections[i].device == device)
			connections[i].device = NULL;
	pthread_mutex_unlock(&lock);
	device_count--;
}

/* From here on front ends are served, if it succeeds. */
static int register_device(const struct vhost_setup *setup)
{
	uint64_t features_off = FEATURES_NEVER | (setup->has_offloads ? 0 : FEATURES_OFFLOAD);

	/* Without RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS: what a guest leaves to us comes as
	 * transmit flags, which is what the whole path uses (offload.h). */
	if (rte_vhost_driver_register(setup->path, setup->is_client ? RTE_VHOST_USER_CLIENT : 0)
		< 0)
		return -EIO;
	if (rte_vhost_driver_disable_features(setup->path, features_off) < 0
		|| rte_vhost_driver_callback_register(setup->path, &callbacks) < 0
		|| rte_vhost_driver_start(setup->path) < 0) {
		(void)rte_vhost_driver_unregister(setup->path);
		return -EIO;
	}
	return 0;
}

int vhost_device_open(
	const struct vhost_setup *setup, struct vhost_device **out, struct error *error)
{
	struct vhost_device *device;
	int result;

	if (device_count >= VHOST_DEVICES_MAX)
		return error_set(error, -ENOSPC,
			"there are %d vhost-user devices, and no more are possible",
			VHOST_DEVICES_MAX);
	if (!setup->is_client) {
		result = socket_file_prepare(setup->path, error);
		if (result < 0)
			return result;
	}
	device = create_device(setup);
	if (!device)
		return error_set(error, -ENOMEM, "no memory");
	result = register_device(setup);
	if (result < 0) {
		forget_device(device);
		free(device);
		return error_set(error, result,
			"librte_vhost refuses %s (its reason is in the log as dpdk)", setup->path);
	}
	*out = device;
	if (!setup->is_client && setup->socket_mode)
		result = socket_file_set_mode(setup->path, setup->socket_mode);
	if (result < 0) {
		vhost_device_close(device);
		return error_set(error, result, "cannot set the rights of %s: %s", setup->path,
			strerror(-result));
	}
	return 0;
}

void vhost_device_close(struct vhost_device *device)
{
	if (!device)
		return;
	/* Unregistering holds librte_vhost's own mutex, which a front end's message may wait for
	 * with rings locked that a worker waits for in turn: nothing may be waited for in there. No
	 * worker uses the device any more, so nothing has to be. */
	forget_device(device);
	/* Ends the connections, and removes our socket. */
	(void)rte_vhost_driver_unregister(device->path);
	free(device);
}

bool vhost_device_is_up(const struct vhost_device *device)
{
	return __atomic_load_n(&device->is_up, __ATOMIC_RELAXED);
}

void vhost_device_look(struct vhost_device *device, struct vhost_state *out)
{
	*out = (struct vhost_state){0};
	pthread_mutex_lock(&lock);
	out->is_up = device->is_up;
	out->features = device->features;
	while (out->tx_queue_count < device->queue_count
		&& device->send_handles[out->tx_queue_count] != NO_HANDLE)
		out->tx_queue_count++;
	pthread_mutex_unlock(&lock);
}
