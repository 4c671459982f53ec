/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is shared with the other end of a memif. What a peer hands over is taken only when it
 * cannot shrink (a memfd sealed with F_SEAL_SHRINK, as DPDK, VPP and libmemif make it), and is no
 * huge page, whose missing page would kill us likewise. Writer: the control thread; workers read.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define MEMIF_REGIONS_MAX 16
/* Of one link. DPDK's client with 16 pairs of queues of 1,024 has 64 MiB. */
#define MEMIF_MEMORY_MAX (256ULL * 1024 * 1024)

struct memif_memory {
	uint16_t region_count;
	struct memif_region {
		uint8_t *base;
		uint64_t size;
	} regions[MEMIF_REGIONS_MAX];
	uint64_t total;
};

/* The peer's region with that index, which has to be the next one; fd stays the caller's. -EINVAL
 * and a reason that may be told to the peer. */
int memif_memory_add(
	struct memif_memory *memory, uint16_t index, uint64_t size, int fd, struct error *error);
/* Our own only region, zeroed; *fd is the caller's. */
int memif_memory_create(struct memif_memory *memory, uint64_t size, int *fd, struct error *error);
void memif_memory_release(struct memif_memory *memory);

/* NULL: not all of it is in that region. */
static inline uint8_t *memif_memory_find(
	const struct memif_memory *memory, uint16_t region, uint32_t offset, uint64_t size)
{
	if (region >= memory->region_count || offset > memory->regions[region].size
		|| size > memory->regions[region].size - offset)
		return NULL;
	return memory->regions[region].base + offset;
}
