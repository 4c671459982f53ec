/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/memif_memory.h"

#include "base/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(struct memif_memory *memory, uint64_t size, int fd, struct error *error)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return error_set(error, -EINVAL, "cannot map the region: %s", strerror(errno));
	memory->regions[memory->region_count++] = (struct memif_region){.base = base, .size = size};
	memory->total += size;
	return 0;
}

static int check_file(int fd, uint64_t size, struct error *error)
{
	int code = shared_memory_check(fd);
	struct stat status;

	if (code == -EACCES)
		return error_set(error, -EINVAL, "region not sealed with F_SEAL_SHRINK");
	if (code < 0)
		return error_set(error, -EINVAL, "region on huge pages; switch zero-copy off");
	if (fstat(fd, &status) < 0 || status.st_size < 0 || (uint64_t)status.st_size < size)
		return error_set(error, -EINVAL, "region larger than its file");
	return 0;
}

int memif_memory_add(
	struct memif_memory *memory, uint16_t index, uint64_t size, int fd, struct error *error)
{
	int result;

	if (index != memory->region_count || index >= MEMIF_REGIONS_MAX)
		return error_set(error, -EINVAL, "unexpected region index");
	if (size == 0 || size > MEMIF_MEMORY_MAX - memory->total)
		return error_set(error, -EINVAL, "regions of no size, or of more than %llu MiB",
			MEMIF_MEMORY_MAX / 1024 / 1024);
	if (fd < 0)
		return error_set(error, -EINVAL, "region without a descriptor");
	result = check_file(fd, size, error);
	return result < 0 ? result : map(memory, size, fd, error);
}

int memif_memory_create(struct memif_memory *memory, uint64_t size, int *fd, struct error *error)
{
	*fd = memfd_create("memif", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return error_set(error, -errno, "memfd_create: %s", strerror(errno));
	/* Neither end can take a page away from the other; who wrote it needs no seals of ours. */
	if (ftruncate(*fd, (off_t)size) == 0
		&& fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0
		&& map(memory, size, *fd, error) == 0)
		return 0;
	close(*fd);
	*fd = -1;
	return error_set(error, -ENOMEM, "no memory for rings and buffers");
}

void memif_memory_release(struct memif_memory *memory)
{
	for (uint16_t i = 0; i < memory->region_count; i++)
		munmap(memory->regions[i].base, memory->regions[i].size);
	*memory = (struct memif_memory){0};
}
