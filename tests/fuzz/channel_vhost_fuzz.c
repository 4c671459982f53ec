/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user front end that says whatever it likes (C9): what it names as queues is in its memory
 * when they run, and nothing of it is left behind.
 */
#include "channel/vsock/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY (256 * 1024)

static int on_open(struct vsock_connection *connection)
{
	return -EPERM;
}

static int make_descriptor(uint8_t kind)
{
	int fd;

	if (kind % 4 == 0)
		return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fd = memfd_create("guest", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, MEMORY) < 0
		|| (kind % 4 > 1 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0))
		abort();
	return fd;
}

static void close_rest(const struct vhost_message *message)
{
	for (uint32_t i = 0; i < message->descriptor_count; i++)
		if (message->descriptors[i] >= 0)
			close(message->descriptors[i]);
}

/* Touches the ends of what a running queue is said to be. */
static void touch(const struct virtqueue *queue)
{
	volatile const uint8_t *descriptors = queue->descriptors, *used = queue->used;

	if (!queue->is_running)
		return;
	(void)descriptors[virtqueue_descriptors_size(queue->size) - 1];
	(void)used[virtqueue_used_size(queue->size) - 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vsock_ops ops = {.open = on_open};
	static struct vsock_device device;
	uint8_t reply[VHOST_HEAD_SIZE + VHOST_BODY_MAX];
	bool must_notify[VSOCK_QUEUES];
	struct vhost_user vhost;
	int status = 0;

	vsock_device_open(&device, 3, &ops, NULL);
	vhost_user_open(&vhost, &device);
	/* A head, how many descriptors of which kind, the body. */
	while (status >= 0 && size > VHOST_HEAD_SIZE) {
		struct vhost_message message = {0};
		uint8_t kinds = data[VHOST_HEAD_SIZE];

		status = vhost_message_read_head(data, &message);
		data += VHOST_HEAD_SIZE + 1;
		size -= VHOST_HEAD_SIZE + 1;
		if (status < 0 || message.size > size)
			break;
		memcpy(message.body, data, message.size);
		data += message.size;
		size -= message.size;
		for (uint32_t i = 0; i < (kinds & 3u); i++)
			message.descriptors[message.descriptor_count++] =
				make_descriptor((uint8_t)(kinds >> 2));
		status = vhost_user_handle(&vhost, &message, reply);
		close_rest(&message);
		if (status >= 0) {
			touch(&device.queues[VSOCK_RX]);
			touch(&device.queues[VSOCK_TX]);
			(void)vsock_device_run(&device, must_notify);
		}
	}
	vhost_user_close(&vhost);
	if (device.memory.count != 0)
		abort();
	return 0;
}
