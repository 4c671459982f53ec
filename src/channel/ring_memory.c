/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Messages of the greatest size that a ring holds at least. */
#define RING_MESSAGES_MIN   4
#define RING_CAPACITY_LEAST (256 * 1024ULL)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* linux/mman.h, since 5.14 */
#endif
#define RING_POPULATE_MAX (4ULL << 20)
#define RING_GUARD_SIZE   65536
#define RING_SEALS        (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

uint64_t ring_capacity_for(uint64_t message_max)
{
	uint64_t capacity = RING_CAPACITY_LEAST;

	while (capacity < RING_MESSAGES_MIN * ring_record_size(message_max)
		&& capacity < RING_CAPACITY_MAX)
		capacity *= 2;
	return capacity;
}

int ring_memory_create(uint64_t capacity)
{
	int fd, why;

	if (!ring_capacity_is_valid(capacity))
		return -EINVAL;
	fd = memfd_create("bulkhead-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Neither end can take pages from under the other, which would end it with SIGBUS. */
	if (ftruncate(fd, (off_t)(RING_DATA_AT + capacity)) == 0
		&& fcntl(fd, F_ADD_SEALS, RING_SEALS) == 0)
		return fd;
	why = -errno;
	close(fd);
	return why;
}

static bool ring_memory_is_valid(int fd, uint64_t capacity)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat info;

	return ring_capacity_is_valid(capacity) && seals >= 0 && (seals & F_SEAL_SHRINK)
		&& fstat(fd, &info) == 0 && (uint64_t)info.st_size == RING_DATA_AT + capacity;
}

/* With pages behind it that nobody may touch. */
static size_t ring_mapped_size(uint64_t capacity)
{
	return (size_t)(RING_DATA_AT + 2 * capacity + RING_GUARD_SIZE);
}

/* Over what is there. */
static int ring_map_at(uint8_t *at, uint64_t size, int fd, off_t offset)
{
	const uint8_t *placed =
		mmap(at, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset);

	return placed == at ? 0 : -errno;
}

/* Within base's pages, where nothing is yet. */
static int ring_map_within(uint8_t *base, int fd, uint64_t capacity)
{
	int status = ring_map_at(base, RING_DATA_AT + capacity, fd, 0);

	if (status == 0)
		status = ring_map_at(base + RING_DATA_AT + capacity, capacity, fd, RING_DATA_AT);
	/* A ring belongs to one process: its children do not get it. */
	if (status == 0 && madvise(base, ring_mapped_size(capacity), MADV_DONTFORK) < 0)
		status = -errno;
	/* The pages of a ring of usual size are there from the start: finding each one with its
	 * first message takes longer than the message. Before Linux 5.14 it has to. (MAP_POPULATE
	 * does nothing in memory that is locked on fault, as the role's.) */
	if (status == 0 && capacity <= RING_POPULATE_MAX)
		(void)!madvise(base + RING_DATA_AT, (size_t)capacity, MADV_POPULATE_WRITE);
	return status;
}

int ring_memory_map(int fd, uint64_t capacity, struct ring_view *out)
{
	size_t mapped = ring_mapped_size(capacity);
	uint8_t *base;
	int status;

	if (!ring_memory_is_valid(fd, capacity))
		return -EINVAL;
	base = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	status = ring_map_within(base, fd, capacity);
	if (status < 0) {
		munmap(base, mapped);
		return status;
	}
	out->shared = (struct ring_shared *)(void *)base;
	out->data = base + RING_DATA_AT;
	out->capacity = capacity;
	return 0;
}

void ring_memory_unmap(struct ring_view *view)
{
	if (view->shared)
		munmap(view->shared, ring_mapped_size(view->capacity));
	*view = (struct ring_view){0};
}
