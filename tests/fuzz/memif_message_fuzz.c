/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A memif's control channel: messages of 128 bytes, each behind a byte that chooses which
 * descriptor comes with it, taken by both roles. What a message says is said again by its encoding.
 */
#include "packet/port/memif_link.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REGION_SIZE (64 * 1024)

/* A region as it should be, with rings at both ends of its first page; one that may shrink. */
static int make_region(unsigned int seals)
{
	struct memif_shared *rings;
	int fd = memfd_create("fuzz", MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, REGION_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
		abort();
	rings = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rings->cookie = MEMIF_COOKIE;
	((struct memif_shared *)(void *)((uint8_t *)rings + 2048))->cookie = MEMIF_COOKIE;
	munmap(rings, REGION_SIZE);
	return fd;
}

static int choose(uint8_t choice)
{
	switch (choice % 4) {
	case 0:
		return make_region(F_SEAL_SHRINK);
	case 1:
		return eventfd(0, EFD_NONBLOCK);
	case 2:
		return make_region(F_SEAL_GROW);
	default:
		return -1;
	}
}

static void check_again(const struct memif_message *message)
{
	uint8_t bytes[MEMIF_MESSAGE_SIZE];
	struct memif_message again;

	memif_message_encode(message, bytes);
	if (memif_message_decode(bytes, sizeof(bytes), &again) < 0
		|| memcmp(message, &again, sizeof(again)) != 0)
		abort();
}

/* What a connected link lets workers touch is inside of its regions. */
static void check_rings(const struct memif_link *link)
{
	for (uint16_t i = 0; i < link->rx_count + link->tx_count; i++) {
		const struct memif_ring *ring =
			i < link->rx_count ? &link->rx[i] : &link->tx[i - link->rx_count];
		const struct memif_region *region = link->memory.regions;
		uint16_t at = 0;

		while (at < link->memory.region_count
			&& ((uint8_t *)ring->shared < region[at].base
				|| (uint8_t *)&ring->shared->descriptors[ring->size]
					> region[at].base + region[at].size))
			at++;
		if (at == link->memory.region_count)
			abort();
	}
}

static void run(bool is_client, const uint8_t *data, size_t size)
{
	struct memif_link *link = memif_link_create(is_client, 0, 2);
	struct memif_message message, answer;
	struct error error;
	int result = 0, answer_fd;

	while (result >= 0 && size > 1) {
		size_t part = RTE_MIN(size - 1, (size_t)MEMIF_MESSAGE_SIZE);
		int fd = choose(data[0]);

		result = memif_message_decode(data + 1, part, &message);
		if (result == 0) {
			check_again(&message);
			result = memif_link_take(link, &message, &fd, &answer, &answer_fd, &error);
		}
		if (fd >= 0)
			close(fd);
		if (link->is_connected)
			check_rings(link);
		data += 1 + part;
		size -= 1 + part;
	}
	memif_link_destroy(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	run(data[0] & 1, data + 1, size - 1);
	return 0;
}
