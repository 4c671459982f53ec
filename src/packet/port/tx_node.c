/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tx: the end of the packet walk. Sorts packets by their egress port, puts the VLAN tag back where
 * the port wants it, does what the sender left to a receiver that cannot, pads, and transmits with
 * a bounded number of attempts. Worker thread.
 */
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"
#include "packet/port/transmit.h"

#include <rte_ether.h>

#define BATCH_COUNT 16 /* ports that a burst is sorted by; more are sent in several rounds */
#define BATCH_SIZE  64
#define RUN_MIN     8 /* packets in a row that are sent without being sorted */
#define ATTEMPTS    4 /* while the queue is full; longer would hold up all other ports */

enum tx_edge { TX_EDGE_DROP, TX_EDGE_COUNT };

struct batch {
	struct port *port;
	uint16_t count;
	uint64_t bytes;
	struct rte_mbuf *packets[BATCH_SIZE];
};

/* One per worker: too large for a stack that is walked every few microseconds. */
struct tx_worker {
	uint16_t used;
	struct batch batches[BATCH_COUNT];
	uint8_t batch_of[PORTS_MAX]; /* 1 + index into batches; 0: none */
	struct rte_mbuf *segments[OFFLOAD_SEGMENTS_MAX];
} __rte_cache_aligned;

static struct tx_worker tx_workers[WORKERS_MAX];

static void drop(struct rte_graph *graph, struct rte_node *node, struct port *port,
	struct rte_mbuf *packet, enum drop_reason reason)
{
	if (port)
		port->counters[worker_index].tx_drops++;
	drop_mark(packet, reason);
	trace_step(packet, "tx", "dropped: %s", drop_descriptions[reason].name);
	node_forward(graph, node, TX_EDGE_DROP, packet);
}

/* The queue of this worker among those that the peer serves. */
static uint16_t send_some(struct port *port, struct rte_mbuf **packets, uint16_t count)
{
	uint32_t queues = __atomic_load_n(&port->tx_queue_count, __ATOMIC_RELAXED);
	uint16_t queue = (uint16_t)(worker_index % RTE_MAX(queues, 1U));
	bool is_shared = worker_count() > RTE_MAX(queues, 1U);
	uint16_t sent;

	if (is_shared)
		rte_spinlock_lock(&port->tx_locks[queue]);
	sent = port->ops->tx_burst(port, queue, packets, count);
	if (is_shared)
		rte_spinlock_unlock(&port->tx_locks[queue]);
	return sent;
}

/* bytes: of all of them. */
static void send_all(struct rte_graph *graph, struct rte_node *node, struct port *port,
	struct rte_mbuf **packets, uint16_t count, uint64_t bytes)
{
	struct port_counters *counters = &port->counters[worker_index];
	uint16_t done = 0;

	for (int attempt = 0; done < count && attempt < ATTEMPTS; attempt++) {
		uint16_t sent = send_some(port, packets + done, (uint16_t)(count - done));

		done = (uint16_t)(done + sent);
		if (sent > 0)
			attempt = -1; /* it moves */
	}
	counters->tx_packets += done;
	for (; done < count; done++) {
		bytes -= packets[done]->pkt_len;
		drop(graph, node, port, packets[done], DROP_tx_full);
	}
	counters->tx_bytes += bytes;
}

static void flush(struct rte_graph *graph, struct rte_node *node, struct batch *batch)
{
	send_all(graph, node, batch->port, batch->packets, batch->count, batch->bytes);
	batch->count = 0;
	batch->bytes = 0;
}

static void flush_all(struct rte_graph *graph, struct rte_node *node, struct tx_worker *worker)
{
	for (uint16_t i = 0; i < worker->used; i++) {
		struct batch *batch = &worker->batches[i];

		flush(graph, node, batch);
		worker->batch_of[batch->port->index] = 0;
	}
	worker->used = 0;
}

static struct batch *find_batch(
	struct rte_graph *graph, struct rte_node *node, struct tx_worker *worker, struct port *port)
{
	uint8_t found = worker->batch_of[port->index];

	if (likely(found))
		return &worker->batches[found - 1];
	if (worker->used == BATCH_COUNT)
		flush_all(graph, node, worker);
	worker->batches[worker->used].port = port;
	worker->batches[worker->used].count = 0;
	worker->batches[worker->used].bytes = 0;
	worker->batch_of[port->index] = (uint8_t)(worker->used + 1);
	return &worker->batches[worker->used++];
}

static void add(struct rte_graph *graph, struct rte_node *node, struct tx_worker *worker,
	struct port *port, struct rte_mbuf *packet)
{
	struct batch *batch = find_batch(graph, node, worker, port);

	if (unlikely(batch->count == BATCH_SIZE))
		flush(graph, node, batch);
	batch->packets[batch->count++] = packet;
	batch->bytes += packet->pkt_len;
}

/* Cuts a super-frame for a port that takes none. */
static void add_segments(struct rte_graph *graph, struct rte_node *node, struct tx_worker *worker,
	struct port *port, struct rte_mbuf *packet)
{
	int count = offload_segment(packet, packet_pool, worker->segments, OFFLOAD_SEGMENTS_MAX);

	if (count < 0) {
		drop(graph, node, port, packet,
			count == -ENOMEM ? DROP_no_memory : DROP_rx_malformed);
		return;
	}
	rte_pktmbuf_free(packet);
	for (int i = 0; i < count; i++)
		add(graph, node, worker, port, worker->segments[i]);
}

static void send_packet(struct rte_graph *graph, struct rte_node *node, struct tx_worker *worker,
	const struct port_table *table, struct rte_mbuf *packet)
{
	uint16_t index = packet_metadata(packet)->egress_port;
	struct port *port = index < table->count ? table->ports[index] : NULL;
	enum drop_reason reason;

	if (unlikely(!port || !__atomic_load_n(&port->is_up, __ATOMIC_ACQUIRE))) {
		drop(graph, node, port, packet, DROP_tx_down);
		return;
	}
	trace_step(packet, "tx", "%s", port->config.name);
	reason = transmit_prepare(port, &packet, packet_pool);
	if (unlikely(reason != DROP_none))
		drop(graph, node, port, packet, reason);
	else if (unlikely(offload_is_super_frame(packet))
		&& !transmit_takes_super_frame(port, packet))
		add_segments(graph, node, worker, port, packet);
	else
		add(graph, node, worker, port, packet);
}

/*
 * Packets in a row that leave through one port as they are, and untraced: they are sent from where
 * they lie. Returns how many there were; 0 when they are too few to be worth a burst of their own,
 * or when others for the port wait already, which must go first.
 */
static uint16_t send_run(struct rte_graph *graph, struct rte_node *node,
	const struct tx_worker *worker, const struct port_table *table, struct rte_mbuf **packets,
	uint16_t count)
{
	uint16_t index = packet_metadata(packets[0])->egress_port, length = 0;
	struct port *port = index < table->count ? table->ports[index] : NULL;
	uint64_t bytes = 0;
	uint32_t size_max;

	if (unlikely(!port || !__atomic_load_n(&port->is_up, __ATOMIC_ACQUIRE)))
		return 0;
	if (worker->batch_of[index])
		return 0;
	size_max = transmit_plain_size_max(port);
	for (; length < count; length++) {
		struct rte_mbuf *packet = packets[length];
		const struct packet_metadata *metadata = packet_metadata(packet);

		if (metadata->egress_port != index || metadata->flags & PACKET_IS_TRACED
			|| !transmit_is_plain(port, packet, size_max))
			break;
		bytes += packet->pkt_len;
	}
	if (length < RUN_MIN)
		return 0;
	send_all(graph, node, port, packets, length, bytes);
	return length;
}

static uint16_t tx_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t object_count)
{
	struct tx_worker *worker = &tx_workers[worker_index];
	const struct port_table *table = publish_read(&port_table);
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;
	uint16_t length;

	for (uint16_t i = 0; i < object_count; i = (uint16_t)(i + length)) {
		length = send_run(
			graph, node, worker, table, packets + i, (uint16_t)(object_count - i));
		if (length > 0)
			continue;
		send_packet(graph, node, worker, table, packets[i]);
		length = 1;
	}
	flush_all(graph, node, worker);
	return object_count;
}

struct rte_node_register tx_node = {
	.process = tx_process,
	.name = "tx",
	.nb_edges = TX_EDGE_COUNT,
	.next_nodes = {[TX_EDGE_DROP] = "drop"},
};
