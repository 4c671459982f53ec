/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/pool.h"

#include <errno.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#define POOL_SHARE_PERCENT 60 /* of EAL's memory; rings, tables and drivers have the rest */
#define POOL_CACHE_COUNT   512
#define POOL_COUNT_MIN     4096 /* two queues of 1024 each way, and some on their way */
/* What a buffer takes: header of the mempool's element, mbuf, headroom and data. */
#define POOL_BUFFER_SIZE                                                                           \
	(RTE_CACHE_LINE_SIZE + sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + POOL_DATA_SIZE)

struct rte_mempool *packet_pool;

int pool_open(uint64_t memory_bytes, struct error *error)
{
	uint64_t count = memory_bytes / 100 * POOL_SHARE_PERCENT / POOL_BUFFER_SIZE;

	if (count < POOL_COUNT_MIN)
		return error_set(error, -ENOMEM,
			"packet.memory: %llu MiB make %llu packet buffers, at least %u are needed; "
			"give it 32MiB or more",
			(unsigned long long)(memory_bytes >> 20), (unsigned long long)count,
			POOL_COUNT_MIN);
	packet_pool = rte_pktmbuf_pool_create("packets", (unsigned)count, POOL_CACHE_COUNT, 0,
		RTE_PKTMBUF_HEADROOM + POOL_DATA_SIZE, SOCKET_ID_ANY);
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
