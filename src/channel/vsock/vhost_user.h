/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The back end of a vhost-user-vsock device: what QEMU says about its guest's memory and queues
 * (docs/interop/vhost-user.rst of QEMU). librte_vhost would need EAL, files and system calls that
 * the channel role does not have (decision 0023). QEMU is as little trusted as its guest. The
 * loop's thread; knows neither sockets nor the loop.
 */
#pragma once

#include "channel/vsock/vsock_device.h"

#define VHOST_HEAD_SIZE       12
#define VHOST_BODY_MAX        (8 + 32 * GUEST_REGIONS_MAX)
#define VHOST_DESCRIPTORS_MAX 8

struct vhost_message {
	uint32_t request, flags, size; /* size: of the body */
	uint8_t body[VHOST_BODY_MAX];
	int descriptors[VHOST_DESCRIPTORS_MAX]; /* taken ones are set to -1 */
	uint32_t descriptor_count;
};

struct vhost_queue {
	uint32_t size;
	uint16_t base;
	uint64_t descriptors, used, available; /* the front end's addresses */
	bool has_addresses, is_disabled;
	int kick, call; /* -1: none. Never read or written: their other end is somebody else's */
};

struct vhost_user {
	struct vsock_device *device;
	uint64_t features;
	struct vhost_queue queues[VSOCK_QUEUES];
};

void vhost_user_open(struct vhost_user *vhost, struct vsock_device *device);
/* The device stops, and memory and descriptors go: the front end is gone. */
void vhost_user_close(struct vhost_user *vhost);

/* The head of a message: fills request, flags and size. -EPROTO: it is none that we know. */
int vhost_message_read_head(const uint8_t bytes[VHOST_HEAD_SIZE], struct vhost_message *out);
/* Acts on a whole message, and returns the size of the answer in reply (0: none). -EPROTO and what
 * guest_memory_add() returns end the connection. Descriptors that are left are the caller's. */
int vhost_user_handle(struct vhost_user *vhost, struct vhost_message *message,
	uint8_t reply[VHOST_HEAD_SIZE + VHOST_BODY_MAX]);
