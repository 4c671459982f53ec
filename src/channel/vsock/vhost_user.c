/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/vsock/vhost_user.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Those that QEMU needs for this device. */
enum vhost_request {
	GET_FEATURES = 1,
	SET_FEATURES,
	SET_OWNER,
	RESET_OWNER,
	SET_MEM_TABLE,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR,
	SET_VRING_BASE,
	GET_VRING_BASE,
	SET_VRING_KICK,
	SET_VRING_CALL,
	SET_VRING_ERR,
	GET_PROTOCOL_FEATURES,
	SET_PROTOCOL_FEATURES,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
	VHOST_REQUEST_COUNT,
};

#define VHOST_VERSION      1
#define VHOST_VERSION_MASK 3
#define VHOST_IS_REPLY     4

#define FEATURE_VERSION_1       (1ULL << 32)
#define FEATURE_PROTOCOL        (1ULL << 30)
#define FEATURES                (FEATURE_VERSION_1 | FEATURE_PROTOCOL)
#define PROTOCOL_FEATURE_CONFIG (1ULL << 9)
#define RING_MASK               0xff
#define RING_HAS_NO_DESCRIPTOR  0x100
#define CONFIG_HEAD_SIZE        12
#define CONFIG_SIZE             8 /* of struct virtio_vsock_config: the CID */

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

int vhost_message_read_head(const uint8_t bytes[VHOST_HEAD_SIZE], struct vhost_message *out)
{
	out->request = get32(bytes);
	out->flags = get32(bytes + 4);
	out->size = get32(bytes + 8);
	return out->request == 0 || out->request >= VHOST_REQUEST_COUNT
			|| out->size > VHOST_BODY_MAX
			|| (out->flags & VHOST_VERSION_MASK) != VHOST_VERSION
		? -EPROTO
		: 0;
}

/* --- Queues --- */

static void drop_descriptor(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The places of a queue's parts, when all of it is told and in the memory. */
static int place_queue(struct vhost_user *vhost, uint32_t number)
{
	const struct vhost_queue *from = &vhost->queues[number];
	const struct guest_memory *memory = &vhost->device->memory;
	struct virtqueue *to = &vhost->device->queues[number];

	to->size = from->size;
	to->descriptors = guest_memory_at_user(
		memory, from->descriptors, virtqueue_descriptors_size(from->size));
	to->available =
		guest_memory_at_user(memory, from->available, virtqueue_available_size(from->size));
	to->used = guest_memory_at_user(memory, from->used, virtqueue_used_size(from->size));
	if (!to->descriptors || !to->available || !to->used || (uintptr_t)to->descriptors % 16
		|| (uintptr_t)to->available % 2 || (uintptr_t)to->used % 4)
		return -EPROTO;
	return 0;
}

static bool is_ready(const struct vhost_queue *queue)
{
	return queue->size > 0 && queue->has_addresses && !queue->is_disabled && queue->kick >= 0;
}

/* A queue runs from its kick on, as long as it is not disabled: QEMU does not always enable those
 * of this device. */
static int start_queue(struct vhost_user *vhost, uint32_t number)
{
	int status;

	if (!is_ready(&vhost->queues[number]) || vhost->device->queues[number].is_running)
		return 0;
	status = place_queue(vhost, number);
	if (status == 0)
		virtqueue_start(&vhost->device->queues[number], vhost->queues[number].base);
	return status;
}

static void stop_queue(struct vhost_user *vhost, uint32_t number)
{
	struct virtqueue *queue = &vhost->device->queues[number];

	if (!queue->is_running)
		return;
	vhost->queues[number].base = queue->next;
	/* The other one may go on. */
	queue->is_running = false;
}

/* --- Requests: size of the answer's body, or a negative errno --- */

static int answer64(uint8_t *body, uint64_t value)
{
	memcpy(body, &value, sizeof(value));
	return sizeof(value);
}

static int get_features(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	return answer64(body, FEATURES);
}

static int set_features(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	vhost->features = get64(message->body);
	return vhost->features & ~FEATURES ? -EPROTO : 0;
}

static int get_protocol_features(
	struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	return answer64(body, PROTOCOL_FEATURE_CONFIG);
}

static int set_protocol_features(
	struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	return get64(message->body) & ~PROTOCOL_FEATURE_CONFIG ? -EPROTO : 0;
}

static int set_owner(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	return 0;
}

/* Memory is another one: running queues are in it, too. */
static int set_memory(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	struct guest_memory *memory = &vhost->device->memory;
	uint32_t count = get32(message->body);
	int status = 0;

	if (count == 0 || count > GUEST_REGIONS_MAX || count != message->descriptor_count
		|| message->size < 8 + 32 * count)
		return -EPROTO;
	guest_memory_unmap(memory);
	for (uint32_t i = 0; i < count && status == 0; i++) {
		const uint8_t *at = message->body + 8 + 32 * i;
		struct guest_region region = {.guest_address = get64(at),
			.size = get64(at + 8),
			.user_address = get64(at + 16),
			.offset = get64(at + 24)};

		status = guest_memory_add(memory, &region, message->descriptors[i]);
	}
	for (uint32_t i = 0; i < VSOCK_QUEUES && status == 0; i++)
		if (vhost->device->queues[i].is_running)
			status = place_queue(vhost, i);
	return status;
}

/* The queue that a message's first word names; NULL: none, or one that runs. */
static struct vhost_queue *resting_queue(
	struct vhost_user *vhost, const struct vhost_message *message, uint32_t *number)
{
	*number = get32(message->body);
	if (*number >= VSOCK_QUEUES || vhost->device->queues[*number].is_running)
		return NULL;
	return &vhost->queues[*number];
}

static int set_size(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t number, size = get32(message->body + 4);
	struct vhost_queue *queue = resting_queue(vhost, message, &number);

	if (!queue || size == 0 || size > QUEUE_SIZE_MAX || (size & (size - 1)) != 0)
		return -EPROTO;
	queue->size = size;
	return start_queue(vhost, number);
}

static int set_addresses(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t number;
	struct vhost_queue *queue = resting_queue(vhost, message, &number);

	if (!queue)
		return -EPROTO;
	queue->descriptors = get64(message->body + 8);
	queue->used = get64(message->body + 16);
	queue->available = get64(message->body + 24);
	queue->has_addresses = true;
	return start_queue(vhost, number);
}

static int set_base(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t number;
	struct vhost_queue *queue = resting_queue(vhost, message, &number);

	if (!queue)
		return -EPROTO;
	queue->base = (uint16_t)get32(message->body + 4);
	return 0;
}

static int get_base(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t words[2] = {get32(message->body), 0};
	struct vhost_queue *queue;

	if (words[0] >= VSOCK_QUEUES)
		return -EPROTO;
	stop_queue(vhost, words[0]);
	queue = &vhost->queues[words[0]];
	drop_descriptor(&queue->kick);
	words[1] = queue->base;
	/* The guest starts again, or was stopped for a while: which, nobody says. */
	vsock_device_reset_connections(vhost->device);
	memcpy(body, words, sizeof(words));
	return sizeof(words);
}

/* The queue and the descriptor (-1: none) of a kick, a call or an error message. */
static struct vhost_queue *take_descriptor(
	struct vhost_user *vhost, struct vhost_message *message, uint32_t *number, int *fd)
{
	uint64_t value = get64(message->body);
	bool has_none = value & RING_HAS_NO_DESCRIPTOR;

	*number = value & RING_MASK;
	if (*number >= VSOCK_QUEUES || message->descriptor_count != !has_none)
		return NULL;
	*fd = -1;
	if (!has_none) {
		*fd = message->descriptors[0];
		message->descriptors[0] = -1;
	}
	return &vhost->queues[*number];
}

static int set_kick(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t number;
	int fd;
	struct vhost_queue *queue = take_descriptor(vhost, message, &number, &fd);

	/* Without one we would have to poll, which was not agreed. */
	if (!queue || fd < 0)
		return -EPROTO;
	drop_descriptor(&queue->kick);
	queue->kick = fd;
	return start_queue(vhost, number);
}

static int set_call(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t number;
	int fd;
	struct vhost_queue *queue = take_descriptor(vhost, message, &number, &fd);

	if (!queue)
		return -EPROTO;
	drop_descriptor(&queue->call);
	queue->call = fd;
	return 0;
}

/* We tell of errors by ending the connection. */
static int set_error(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t number;
	int fd = -1;
	struct vhost_queue *queue = take_descriptor(vhost, message, &number, &fd);

	drop_descriptor(&fd);
	return queue ? 0 : -EPROTO;
}

static int set_enable(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t number = get32(message->body), is_enabled = get32(message->body + 4);

	if (number >= VSOCK_QUEUES || is_enabled > 1)
		return -EPROTO;
	vhost->queues[number].is_disabled = !is_enabled;
	if (!is_enabled)
		stop_queue(vhost, number);
	return is_enabled ? start_queue(vhost, number) : 0;
}

static int get_config(struct vhost_user *vhost, struct vhost_message *message, uint8_t *body)
{
	uint32_t offset = get32(message->body), size = get32(message->body + 4);

	if (offset != 0 || size != CONFIG_SIZE || message->size < CONFIG_HEAD_SIZE + CONFIG_SIZE)
		return -EPROTO;
	memcpy(body, message->body, CONFIG_HEAD_SIZE);
	answer64(body + CONFIG_HEAD_SIZE, vhost->device->cid);
	return CONFIG_HEAD_SIZE + CONFIG_SIZE;
}

/* --- The whole --- */

struct vhost_handler {
	int (*handle)(struct vhost_user *, struct vhost_message *, uint8_t *body);
	uint32_t size; /* of a body at least */
	bool takes_descriptors;
};

static const struct vhost_handler handlers[VHOST_REQUEST_COUNT] = {
	[GET_FEATURES] = {get_features, 0, false},
	[SET_FEATURES] = {set_features, 8, false},
	[SET_OWNER] = {set_owner, 0, false},
	[RESET_OWNER] = {set_owner, 0, false},
	[SET_MEM_TABLE] = {set_memory, 8 + 32, true},
	[SET_VRING_NUM] = {set_size, 8, false},
	[SET_VRING_ADDR] = {set_addresses, 40, false},
	[SET_VRING_BASE] = {set_base, 8, false},
	[GET_VRING_BASE] = {get_base, 8, false},
	[SET_VRING_KICK] = {set_kick, 8, true},
	[SET_VRING_CALL] = {set_call, 8, true},
	[SET_VRING_ERR] = {set_error, 8, true},
	[GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, false},
	[SET_PROTOCOL_FEATURES] = {set_protocol_features, 8, false},
	[SET_VRING_ENABLE] = {set_enable, 8, false},
	[GET_CONFIG] = {get_config, CONFIG_HEAD_SIZE, false},
};

void vhost_user_open(struct vhost_user *vhost, struct vsock_device *device)
{
	*vhost = (struct vhost_user){.device = device};
	for (int i = 0; i < VSOCK_QUEUES; i++)
		vhost->queues[i].kick = vhost->queues[i].call = -1;
}

void vhost_user_close(struct vhost_user *vhost)
{
	vsock_device_stop(vhost->device);
	guest_memory_unmap(&vhost->device->memory);
	for (int i = 0; i < VSOCK_QUEUES; i++) {
		drop_descriptor(&vhost->queues[i].kick);
		drop_descriptor(&vhost->queues[i].call);
	}
	vhost_user_open(vhost, vhost->device);
}

int vhost_user_handle(struct vhost_user *vhost, struct vhost_message *message,
	uint8_t reply[VHOST_HEAD_SIZE + VHOST_BODY_MAX])
{
	const struct vhost_handler *handler = &handlers[message->request];
	uint32_t head[3] = {message->request, VHOST_VERSION | VHOST_IS_REPLY, 0};
	int size;

	if (!handler->handle || message->size < handler->size
		|| (message->descriptor_count > 0 && !handler->takes_descriptors))
		return -EPROTO;
	size = handler->handle(vhost, message, reply + VHOST_HEAD_SIZE);
	if (size <= 0)
		return size;
	head[2] = (uint32_t)size;
	memcpy(reply, head, sizeof(head));
	return VHOST_HEAD_SIZE + size;
}
