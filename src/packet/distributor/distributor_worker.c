/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/distributor.h"

#include <rte_cycles.h>
#include <stdlib.h>

/* Reassembly: so many datagrams of a worker and way at a time, for so long (RFC 8200: at most 60
 * s). */
#define DATAGRAMS_MAX    1024
#define DATAGRAM_BUCKETS 256
#define DATAGRAM_ENTRIES 8
#define DATAGRAM_S       5

struct distributor_worker *distributor_workers[WORKERS_MAX];

void distributor_worker_destroy(struct distributor_worker *own)
{
	if (!own)
		return;
	for (uint16_t i = 0; i < own->waiting_count; i++)
		rte_pktmbuf_free(own->waiting[i].packet);
	for (int i = 0; i < DATAGRAM_WAY_COUNT; i++)
		if (own->fragments[i])
			rte_ip_frag_table_destroy(own->fragments[i]);
	connection_table_destroy(own->connections);
	free(own);
}

static bool create_fragment_tables(struct distributor_worker *own)
{
	for (int i = 0; i < DATAGRAM_WAY_COUNT; i++) {
		own->fragments[i] = rte_ip_frag_table_create(DATAGRAM_BUCKETS, DATAGRAM_ENTRIES,
			DATAGRAMS_MAX, rte_get_tsc_hz() * DATAGRAM_S, SOCKET_ID_ANY);
		if (!own->fragments[i])
			return false;
	}
	return true;
}

struct distributor_worker *distributor_worker_create(uint32_t capacity)
{
	struct distributor_worker *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;
	own->sweep_at = CONNECTION_NONE;
	own->connections = connection_table_create(capacity);
	if (own->connections && create_fragment_tables(own))
		return own;
	distributor_worker_destroy(own);
	return NULL;
}
