/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/vsock/virtqueue.h"

#include "base/shared_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* virtio 1.2, 2.7.5, 2.7.6 */
#define DESCRIPTOR_NEXT        1
#define DESCRIPTOR_WRITE       2
#define DESCRIPTOR_FLAGS       (DESCRIPTOR_NEXT | DESCRIPTOR_WRITE)
#define AVAILABLE_NO_INTERRUPT 1
#define AVAILABLE_INDEX        2
#define AVAILABLE_RING         4
#define USED_INDEX             2
#define USED_RING              4
#define CHAIN_SIZE_MAX         INT32_MAX /* of each kind */

/* --- Memory --- */

uint8_t *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t *size)
{
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t offset = address - region->guest_address;

		if (address < region->guest_address || offset >= region->size)
			continue;
		if (*size > region->size - offset)
			*size = region->size - offset;
		return region->base + region->offset + offset;
	}
	return NULL;
}

uint8_t *guest_memory_at_user(const struct guest_memory *memory, uint64_t address, uint64_t size)
{
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t offset = address - region->user_address;

		if (address >= region->user_address && offset < region->size
			&& size <= region->size - offset)
			return region->base + region->offset + offset;
	}
	return NULL;
}

static int check_region(const struct guest_region *region, int fd)
{
	uint64_t end;
	struct stat info;

	if (region->size == 0 || __builtin_add_overflow(region->offset, region->size, &end)
		|| region->guest_address + region->size < region->guest_address
		|| region->user_address + region->size < region->user_address)
		return -EINVAL;
	if (shared_memory_check(fd) < 0)
		return -EACCES;
	if (fstat(fd, &info) < 0)
		return -errno;
	return end <= (uint64_t)info.st_size ? 0 : -EINVAL;
}

int guest_memory_add(struct guest_memory *memory, const struct guest_region *region, int fd)
{
	int status = check_region(region, fd);
	void *base;

	if (status < 0)
		return status;
	if (memory->count == GUEST_REGIONS_MAX)
		return -ENOSPC;
	/* From the file's start, so that it begins where pages do, however large they are. */
	base = mmap(NULL, region->offset + region->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	memory->regions[memory->count] = *region;
	memory->regions[memory->count++].base = base;
	return 0;
}

void guest_memory_unmap(struct guest_memory *memory)
{
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];

		munmap(region->base, region->offset + region->size);
	}
	memory->count = 0;
}

/* --- Queues --- */

static uint16_t load16(const uint8_t *at)
{
	return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED);
}

static uint64_t load64(const uint8_t *at)
{
	return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
}

void virtqueue_start(struct virtqueue *queue, uint16_t next)
{
	queue->next = next;
	queue->used_index = load16(queue->used + USED_INDEX);
	queue->is_running = true;
}

struct descriptor {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
};

static struct descriptor load_descriptor(const struct virtqueue *queue, uint16_t number)
{
	const uint8_t *at = queue->descriptors + virtqueue_descriptors_size(number);
	uint64_t rest = load64(at + 8);

	return (struct descriptor){.address = load64(at),
		.size = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48)};
}

/* A buffer that lies in several regions has several parts. */
static int chain_add(
	struct chain *chain, const struct guest_memory *memory, const struct descriptor *descriptor)
{
	uint64_t address = descriptor->address, left = descriptor->size;

	while (left > 0) {
		uint64_t size = left;
		uint8_t *at = guest_memory_at(memory, address, &size);

		if (!at || chain->count == CHAIN_PARTS_MAX)
			return -EPROTO;
		chain->parts[chain->count++] = (struct chain_part){at, (uint32_t)size};
		address += size;
		left -= size;
	}
	return 0;
}

static int chain_count(struct chain *chain, const struct descriptor *descriptor)
{
	bool is_written = descriptor->flags & DESCRIPTOR_WRITE;
	uint32_t *sum = is_written ? &chain->write_size : &chain->read_size;

	/* What is read comes first. */
	if (!is_written && chain->write_size > 0)
		return -EPROTO;
	if (descriptor->size > CHAIN_SIZE_MAX - *sum)
		return -EPROTO;
	*sum += descriptor->size;
	return 0;
}

/* The parts of what is to be read come first, too; a part's kind follows from its place. */
static int chain_walk(
	const struct virtqueue *queue, const struct guest_memory *memory, struct chain *chain)
{
	uint16_t number = chain->head;

	for (uint32_t steps = 0; steps < queue->size; steps++) {
		struct descriptor descriptor = load_descriptor(queue, number);
		int status = descriptor.flags & ~DESCRIPTOR_FLAGS ? -EPROTO : 0;

		if (status == 0)
			status = chain_count(chain, &descriptor);
		if (status == 0)
			status = chain_add(chain, memory, &descriptor);
		if (status < 0 || !(descriptor.flags & DESCRIPTOR_NEXT))
			return status;
		if (descriptor.next >= queue->size)
			return -EPROTO;
		number = descriptor.next;
	}
	return -EPROTO;
}

int virtqueue_next(
	const struct virtqueue *queue, const struct guest_memory *memory, struct chain *out)
{
	/* Acquire: the request is there when its index is. */
	uint16_t index = __atomic_load_n(
		(const uint16_t *)(const void *)(queue->available + AVAILABLE_INDEX),
		__ATOMIC_ACQUIRE);
	uint16_t waiting = (uint16_t)(index - queue->next);
	int status;

	if (waiting == 0)
		return 0;
	if (waiting > queue->size)
		return -EPROTO;
	out->head =
		load16(queue->available + AVAILABLE_RING + 2 * (queue->next & (queue->size - 1)));
	out->count = out->read_size = out->write_size = 0;
	if (out->head >= queue->size)
		return -EPROTO;
	status = chain_walk(queue, memory, out);
	return status < 0 ? status : 1;
}

void virtqueue_finish(struct virtqueue *queue, const struct chain *chain, uint32_t written)
{
	uint8_t *place = queue->used + USED_RING + 8 * (queue->used_index & (queue->size - 1));
	uint32_t entry[2] = {chain->head, written};

	memcpy(place, entry, sizeof(entry));
	queue->next++;
	queue->used_index++;
	/* Release: the bytes and the entry are there when the index is. */
	__atomic_store_n((uint16_t *)(void *)(queue->used + USED_INDEX), queue->used_index,
		__ATOMIC_RELEASE);
}

bool virtqueue_must_notify(const struct virtqueue *queue)
{
	/* The index before the look at the flag; the driver does it the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(load16(queue->available) & AVAILABLE_NO_INTERRUPT);
}

/* --- Copies --- */

/* Copies between bytes and the parts, from offset on (in all parts). */
static void chain_copy(
	const struct chain *chain, uint32_t offset, void *bytes, uint32_t size, bool to_guest)
{
	uint8_t *at = bytes;

	for (uint32_t i = 0; i < chain->count && size > 0; i++) {
		const struct chain_part *part = &chain->parts[i];
		uint32_t count;

		if (offset >= part->size) {
			offset -= part->size;
			continue;
		}
		count = part->size - offset < size ? part->size - offset : size;
		if (to_guest)
			memcpy(part->at + offset, at, count);
		else
			memcpy(at, part->at + offset, count);
		at += count;
		size -= count;
		offset = 0;
	}
}

bool chain_read(const struct chain *chain, uint32_t offset, void *out, uint32_t size)
{
	if (offset > chain->read_size || size > chain->read_size - offset)
		return false;
	chain_copy(chain, offset, out, size, false);
	return true;
}

bool chain_write(const struct chain *chain, uint32_t offset, const void *bytes, uint32_t size)
{
	if (offset > chain->write_size || size > chain->write_size - offset)
		return false;
	chain_copy(chain, chain->read_size + offset, (void *)bytes, size, true);
	return true;
}
