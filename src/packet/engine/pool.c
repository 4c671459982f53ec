/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/pool.h"

#include "packet/engine/metadata.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memcpy.h>

#define POOL_SHARE_PERCENT 60 /* of EAL's memory; rings, tables and drivers have the rest */
#define POOL_CACHE_COUNT   512
#define POOL_COUNT_MIN     4096 /* two queues of 1024 each way, and some on their way */
/* What a buffer takes: header of the mempool's element, mbuf, headroom and data. */
#define POOL_BUFFER_SIZE                                                                           \
	(RTE_CACHE_LINE_SIZE + sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + POOL_DATA_SIZE)

struct rte_mempool *packet_pool;

/* As rte_pktmbuf_pool_create(), which cannot be told that buffers may cross pages: with ordinary
 * memory it would put one buffer on each page of 4 KB, and waste almost half. */
struct rte_mempool *pool_create(const char *name, uint32_t count)
{
	struct rte_pktmbuf_pool_private room = {
		.mbuf_data_room_size = RTE_PKTMBUF_HEADROOM + POOL_DATA_SIZE};
	/* Devices that need contiguous bus addresses are used with hugepages only. */
	uint32_t flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	struct rte_mempool *pool = rte_mempool_create_empty(name, count,
		sizeof(struct rte_mbuf) + room.mbuf_data_room_size, POOL_CACHE_COUNT, sizeof(room),
		SOCKET_ID_ANY, flags);

	if (!pool)
		return NULL;
	rte_errno = -rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (rte_errno == 0) {
		int populated;

		rte_pktmbuf_pool_init(pool, &room);
		populated = rte_mempool_populate_default(pool);
		rte_errno = populated < 0 ? -populated : 0;
	}
	if (rte_errno != 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

int pool_open(uint64_t memory_bytes, struct error *error)
{
	uint64_t count = memory_bytes / 100 * POOL_SHARE_PERCENT / POOL_BUFFER_SIZE;

	if (count < POOL_COUNT_MIN)
		return error_set(error, -ENOMEM,
			"packet.memory: %llu MiB make %llu packet buffers, at least %u are needed; "
			"give it 32MiB or more",
			(unsigned long long)(memory_bytes >> 20), (unsigned long long)count,
			POOL_COUNT_MIN);
	packet_pool = pool_create("packets", (uint32_t)count);
	if (!packet_pool)
		return error_set(error, -rte_errno, "cannot make %llu packet buffers: %s",
			(unsigned long long)count, rte_strerror(rte_errno));
	return 0;
}

void pool_close(void)
{
	rte_mempool_free(packet_pool);
	packet_pool = NULL;
}

struct rte_mbuf *pool_gather(struct rte_mbuf *packet)
{
	struct rte_mbuf *copy;

	if (likely(packet->nb_segs == 1 || packet->data_len >= POOL_CONTIGUOUS_SIZE))
		return packet;
	copy = rte_pktmbuf_copy(packet, packet_pool, 0, UINT32_MAX);
	if (!copy)
		return NULL;
	*packet_metadata(copy) = *packet_metadata(packet);
	rte_pktmbuf_free(packet);
	return copy;
}

int pool_append(
	struct rte_mbuf *packet, struct rte_mbuf **last, const uint8_t *bytes, uint32_t size)
{
	while (size > 0) {
		uint16_t room = rte_pktmbuf_tailroom(*last);
		uint16_t part = (uint16_t)RTE_MIN(size, (uint32_t)room);

		if (part == 0) {
			(*last)->next = rte_pktmbuf_alloc(packet_pool);
			if (!(*last)->next)
				return -ENOMEM;
			*last = (*last)->next;
			packet->nb_segs++;
			continue;
		}
		rte_memcpy(rte_pktmbuf_mtod_offset(*last, void *, (*last)->data_len), bytes, part);
		(*last)->data_len = (uint16_t)((*last)->data_len + part);
		packet->pkt_len += part;
		bytes += part;
		size -= part;
	}
	return 0;
}
