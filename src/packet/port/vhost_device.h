/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user device on librte_vhost: the back end of somebody's virtio-net driver, whose front
 * end (QEMU, a virtio-user process) connects to our socket, or we to its. docs/decisions/0008.
 *
 * Of several front ends on one socket the newest one counts: the others are about to end. A front
 * end may do as it likes; it harms its own device only.
 *
 * Bursts run on workers, one at a time a queue and direction; the rest is the control thread's.
 * What librte_vhost tells comes on its own threads.
 */
#pragma once

#include "base/error.h"

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#define VHOST_QUEUES_MAX 16
/* Of one process: librte_vhost 22.11 waits on 1024 descriptors, of which a device takes two (the
 * socket and who is connected to it). */
#define VHOST_DEVICES_MAX 500

struct vhost_device;

struct vhost_setup {
	const char *path;     /* of the socket; shorter than DEVICE_ARGUMENT_SIZE */
	bool is_client;       /* we connect, again and again */
	bool has_offloads;    /* checksums and segments may be left to the other side (G11) */
	uint16_t queue_count; /* pairs, at most VHOST_QUEUES_MAX */
	mode_t socket_mode;   /* of our socket; 0: as the umask makes it */
};

/* What a device's front end is and wants. */
struct vhost_state {
	bool is_up;
	uint64_t features;       /* negotiated (1 << VIRTIO_NET_F_…); 0 while down */
	uint32_t tx_queue_count; /* enabled ones, from the first on */
};

/* Before the first open: on_news is called on the control thread when the state of any device may
 * have changed. -EIO. */
int vhost_start(uv_loop_t *loop, void (*on_news)(void));
/* After the last close. */
void vhost_stop(void);

/* -ENOSPC, -EACCES, -EEXIST, -EADDRINUSE, -EIO with why. */
int vhost_device_open(
	const struct vhost_setup *setup, struct vhost_device **out, struct error *error);
/* No worker uses it any more. NULL is accepted. */
void vhost_device_close(struct vhost_device *device);

/* Relaxed look, for whoever decides on it again later. */
bool vhost_device_is_up(const struct vhost_device *device);
void vhost_device_look(struct vhost_device *device, struct vhost_state *out);

/* Worker. At most count packets, of packet_pool, with the transmit flags of what is unfinished. */
uint16_t vhost_device_receive(
	struct vhost_device *device, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
/* Worker. Consumes those that are sent, from the front. */
uint16_t vhost_device_send(
	struct vhost_device *device, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
