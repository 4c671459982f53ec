/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections for a hand-over (D15). While the distributor is silent no worker touches its table
 * (distribute_tick and distribute look at standby_is_silent() first), so the control thread does.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/distributor_control.h"
#include "packet/ipsec/ipsec.h"

#include <assert.h>
#include <errno.h>

/* One for each worker, when there ever was a distributor. */
static uint16_t count_tables(void)
{
	uint16_t count = 0;

	while (count < WORKERS_MAX && distributor_workers[count])
		count++;
	return count;
}

const struct connection *distributor_next_connection(struct distributor_cursor *cursor)
{
	while (cursor->worker < count_tables()) {
		const struct connection_table *table =
			distributor_workers[cursor->worker]->connections;

		while (cursor->entry < table->fresh) {
			const struct connection *connection = &table->entries[cursor->entry++];

			if (connection->flags & CONNECTION_IS_USED)
				return connection;
		}
		cursor->worker++;
		cursor->entry = 0;
	}
	return NULL;
}

void distributor_forget_connections(void)
{
	for (uint16_t i = 0; i < count_tables(); i++)
		connection_table_clear(distributor_workers[i]->connections);
}

/* As origin_tag and handoff choose it. */
static struct distributor_worker *worker_of(const struct connection *connection)
{
	const struct vipa *vipa = &vipa_table->vipas[connection->key.vipa];
	struct decoded pair = {
		.ip_version = vipa->address.version, .protocol = connection->key.protocol};

	memcpy(pair.source, connection->key.client, sizeof(pair.source));
	memcpy(pair.destination, vipa->address.bytes, sizeof(pair.destination));
	return distributor_workers[decode_pair_hash(&pair, vipa->vlan) % count_tables()];
}

int distributor_add_connection(const struct connection *connection)
{
	struct distributor_worker *own = worker_of(connection);
	struct connection_table *table = own->connections;
	struct connection_key key = connection->key;
	struct connection *added;

	key.vipa_generation = vipa_table->vipas[key.vipa].generation;
	if (connection_find(table, &key))
		return -EEXIST;
	/* Seen now: what is silent is forgotten a little later than it would have been. */
	added = connection_add(table, &key, (enum connection_state)connection->state,
		connection->target, vipa_table->targets[connection->target].generation,
		distribute_clock());
	if (!added)
		return -ENOSPC;
	added->flags = connection->flags | CONNECTION_IS_USED;
	added->peer = IPSEC_PEER_UNKNOWN; /* they have other numbers here */
	added->acknowledged = connection->acknowledged;
	added->packets = connection->packets;
	return 0;
}
