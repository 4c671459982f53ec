/* SPDX-License-Identifier: BSD-3-Clause */
/* The one drop node: where packets end that go nowhere. Counts by the reason that was noted. */
#include "packet/engine/drop_count.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"

static uint16_t drop_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;

	for (uint16_t i = 0; i < count; i++) {
		const struct packet_metadata *metadata = packet_metadata(packets[i]);
		uint8_t reason = metadata->drop_reason;

		/* A node that forgot the reason must not hide the loss. */
		if (unlikely(reason == DROP_none || reason >= DROP_REASON_COUNT))
			reason = DROP_no_route;
		drop_note(metadata->origin.ingress_port, (enum drop_reason)reason, 1);
	}
	rte_pktmbuf_free_bulk(packets, count);
	return count;
}

struct rte_node_register drop_node = {
	.name = "drop",
	.process = drop_process,
};
