/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's vsock device, from the driver's queues to streams of bytes (virtio 1.2, 5.10). The
 * guest can open connections to one port of the host (GUEST_PORT) from a privileged port of its
 * own, and nothing else; whatever else it says is answered with a reset, or (from another CID than
 * its own) dropped. What it says harms its own device only. Memory is bounded: a connection for
 * each privileged port at most, and the owner may refuse. The loop's thread.
 */
#pragma once

#include "channel/ring_stream.h"
#include "channel/vsock/virtqueue.h"
#include "channel/vsock/vsock_packet.h"

enum { VSOCK_RX, VSOCK_TX, VSOCK_QUEUES }; /* rx is the guest's */

#define VSOCK_RESETS_MAX 64
/* Of bytes that the guest may send ahead. They are taken at once, so it is only how often we have
 * to say so. */
#define VSOCK_ROOM        (256 * 1024)
#define VSOCK_PAYLOAD_MAX (64 * 1024)

struct vsock_device;

struct vsock_connection {
	struct list node; /* of the device's, in turns */
	struct vsock_device *device;
	uint32_t guest_port;
	void *process;              /* the owner's; NULL: it has ended it */
	struct ring_stream *stream; /* the owner's; goes with it */
	uint32_t sent, peer_room, peer_taken;
	uint32_t received, told; /* bytes; of those, what the guest knows that we have taken */
	bool owes_response, owes_credit, owes_reset;
	bool is_ending; /* what is queued goes, then a SHUTDOWN */
	bool has_ended; /* it has been sent: the guest closes it */
};

struct vsock_ops {
	/* Somebody in the guest connects: sets process and stream. A negative errno refuses. */
	int (*open)(struct vsock_connection *connection);
	/* It is over; process and stream are the owner's to free. */
	void (*close)(struct vsock_connection *connection);
	/* Bytes came. A negative errno resets the connection. */
	int (*take)(struct vsock_connection *connection, const uint8_t *bytes, size_t size);
	/* Before bytes are sent: the stream is to be filled. A negative errno resets it. */
	int (*fill)(struct vsock_connection *connection);
};

struct vsock_counts {
	uint64_t received, sent;  /* packets */
	uint64_t dropped, resets; /* from another CID, or to nobody; sent */
};

struct vsock_device {
	const struct vsock_ops *ops;
	void *context; /* the owner's */
	uint64_t cid;
	struct guest_memory memory;
	struct virtqueue queues[VSOCK_QUEUES];
	struct vsock_connection *connections[GUEST_PORT_MAX + 1]; /* by the guest's port */
	struct list order;                                        /* of the same */
	uint32_t connection_count;
	struct vsock_packet resets[VSOCK_RESETS_MAX]; /* for who has no connection */
	uint32_t reset_count;
	struct vsock_counts counts;
	uint8_t packet[VSOCK_HEAD_SIZE + VSOCK_PAYLOAD_MAX]; /* the copy that is looked at */
};

enum vsock_result {
	VSOCK_IDLE,   /* nothing to do before the guest's kick, or a wake-up of the owner */
	VSOCK_AGAIN,  /* there is more: come back when others had their turn */
	VSOCK_BROKEN, /* the driver has written what it may not: the queues rest until a reset */
};

void vsock_device_open(
	struct vsock_device *device, uint64_t cid, const struct vsock_ops *ops, void *context);
/* All connections are over; the guest hears of it when it gives us buffers again. */
void vsock_device_reset_connections(struct vsock_device *device);
/* They are over at once, and the queues rest. */
void vsock_device_stop(struct vsock_device *device);
static inline bool vsock_device_is_running(const struct vsock_device *device)
{
	return device->queues[VSOCK_RX].is_running && device->queues[VSOCK_TX].is_running;
}
/* Takes packets from the guest and gives it some, a bounded number of both. *must_notify: for each
 * queue, whether the driver is to be told. */
enum vsock_result vsock_device_run(struct vsock_device *device, bool must_notify[VSOCK_QUEUES]);

/* By the owner. At once (not within ops): process and stream are the owner's again, without
 * ops->close. Else: what is queued goes before. */
void vsock_connection_end(struct vsock_connection *connection, bool at_once);
