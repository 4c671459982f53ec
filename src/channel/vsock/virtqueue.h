/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's memory, and split virtqueues in it (virtio 1.2, 2.7), as the device sees them: no
 * indirect descriptors, no event index. The guest may write any of it at any time; each word is
 * read once and checked before it is used. The loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GUEST_REGIONS_MAX 8 /* VHOST_MEMORY_BASELINE_NREGIONS */
#define QUEUE_SIZE_MAX    1024
#define CHAIN_PARTS_MAX   128 /* of a packet; Linux uses two, or one for each fragment */

struct guest_region {
	uint64_t guest_address, user_address, size, offset; /* as the front end has told */
	uint8_t *base; /* of the mapping, which has offset, too */
};

struct guest_memory {
	struct guest_region regions[GUEST_REGIONS_MAX];
	uint32_t count;
};

/* Where size bytes at a guest's physical (or the front end's own) address are, and how many of them
 * are in one piece there; NULL: nowhere. */
uint8_t *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t *size);
uint8_t *guest_memory_at_user(const struct guest_memory *memory, uint64_t address, uint64_t size);
/* Maps one more region; fd is borrowed. -EACCES: its pages could be taken from under us, which
 * would end the role: it has to be a memfd that is sealed against that, and without huge pages, of
 * which one that was punched out may have no successor; -EINVAL; -ENOSPC; -errno. */
int guest_memory_add(struct guest_memory *memory, const struct guest_region *region, int fd);
void guest_memory_unmap(struct guest_memory *memory);

struct virtqueue {
	uint32_t size; /* a power of two */
	const uint8_t *descriptors, *available;
	uint8_t *used;
	uint16_t next, used_index; /* of the available and the used ring */
	bool is_running;
};

struct chain_part {
	uint8_t *at;
	uint32_t size;
};

/* The buffers of one request: those to be read by us, then those to be written. */
struct chain {
	uint16_t head;
	uint32_t count, read_size, write_size; /* parts; bytes */
	struct chain_part parts[CHAIN_PARTS_MAX];
};

/* The rings are at these places, which have been found to be in the memory, and aligned. */
void virtqueue_start(struct virtqueue *queue, uint16_t next);
/* 1: *out is the next request, which stays the next one until virtqueue_finish(); 0: there is none.
 * -EPROTO: the driver has written what it may not. */
int virtqueue_next(
	const struct virtqueue *queue, const struct guest_memory *memory, struct chain *out);
/* Gives the request back with so many bytes written. */
void virtqueue_finish(struct virtqueue *queue, const struct chain *chain, uint32_t written);
/* Whether the driver wants to be told of what was finished. */
bool virtqueue_must_notify(const struct virtqueue *queue);

/* A copy out of what is to be read; whole, or false. */
bool chain_read(const struct chain *chain, uint32_t offset, void *out, uint32_t size);
/* Copies into what is to be written, likewise. */
bool chain_write(const struct chain *chain, uint32_t offset, const void *bytes, uint32_t size);

/* Bytes of the parts of a virtqueue of this size. */
static inline uint64_t virtqueue_descriptors_size(uint32_t size)
{
	return 16ULL * size;
}
static inline uint64_t virtqueue_available_size(uint32_t size)
{
	return 4 + 2ULL * size;
}
static inline uint64_t virtqueue_used_size(uint32_t size)
{
	return 4 + 8ULL * size;
}
