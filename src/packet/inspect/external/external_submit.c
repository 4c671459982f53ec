/* SPDX-License-Identifier: BSD-3-Clause */
/* The workers' part of the inspector outside: out, with a handle; back in, with distrust. */
#include "base/clock.h"
#include "packet/engine/pool.h"
#include "packet/inspect/external/external.h"
#include "packet/inspect/external/vn_tag.h"
#include "packet/inspect/inspect.h"
#include "packet/port/offload.h"

#include <rte_ethdev.h>

#define BURST 32

static void count(uint64_t *counter, uint64_t change)
{
	/* Relaxed: a statistic; partner is external.c. */
	__atomic_store_n(counter, *counter + change, __ATOMIC_RELAXED);
}

static enum verdict fail(struct rte_mbuf *packet, enum drop_reason reason)
{
	drop_mark(packet, reason);
	return VERDICT_FAILED;
}

static uint32_t room(const struct external_worker *own)
{
	return EXTERNAL_READY_MAX - (own->ready_head - own->ready_tail);
}

static void make_ready(struct external_worker *own, struct rte_mbuf *packet, enum verdict verdict)
{
	uint32_t at = own->ready_head++ % EXTERNAL_READY_MAX;

	own->ready[at].packet = packet;
	own->ready[at].verdict = verdict;
}

/* ---- back ---- */

static bool is_same(const struct rte_mbuf *packet, const uint8_t *frame, uint32_t size)
{
	uint32_t at = VN_TAG_MACS;

	if (packet->pkt_len != size - VN_TAG_SIZE)
		return false;
	for (uint32_t skip = VN_TAG_MACS; packet; packet = packet->next, skip = 0) {
		if (memcmp(rte_pktmbuf_mtod_offset(packet, const uint8_t *, skip),
			    frame + at + VN_TAG_SIZE, packet->data_len - skip)
			!= 0)
			return false;
		at += packet->data_len - skip;
	}
	return true;
}

/* The returned frame without its tags, in the place of the one that was held. */
static struct rte_mbuf *replace(struct rte_mbuf *held, struct rte_mbuf *frame)
{
	uint8_t *bytes = rte_pktmbuf_mtod(frame, uint8_t *);

	memmove(bytes + VN_TAG_SIZE, bytes, VN_TAG_MACS);
	rte_pktmbuf_adj(frame, VN_TAG_SIZE);
	frame->ol_flags = 0;
	*packet_metadata(frame) = *packet_metadata(held);
	rte_pktmbuf_free(held);
	return frame;
}

bool external_take_return(struct external *external, uint16_t worker, struct rte_mbuf *frame,
	struct rte_mbuf **packet, enum verdict *verdict)
{
	struct inspector_counters *counters = &external->base.counters[worker];
	const uint8_t *bytes = rte_pktmbuf_mtod(frame, const uint8_t *);
	struct rte_mbuf *held = NULL;
	uint32_t handle;
	uint16_t vlan;

	count(&external->workers[worker]->returned, 1);
	/* Ours are sent in one piece, so that is how they return. */
	if (frame->nb_segs == 1 && vn_tag_read(bytes, frame->data_len, &handle, &vlan))
		held = hold_take_short(inspect_workers[worker]->holds, handle, VN_TAG_INDEX_BITS,
			VN_TAG_TAG_BITS, external->base.owner);
	if (!held) {
		count(&counters->invalid_returns, 1);
		rte_pktmbuf_free(frame);
		return false;
	}
	*packet = held;
	if (vlan != packet_metadata(held)->vlan
		|| memcmp(bytes, rte_pktmbuf_mtod(held, const uint8_t *), VN_TAG_MACS) != 0) {
		count(&counters->invalid_returns, 1);
		drop_mark(held, DROP_inspect_invalid_return);
		*verdict = VERDICT_DROP;
		rte_pktmbuf_free(frame);
		return true;
	}
	if (is_same(held, bytes, frame->data_len)) {
		*verdict = VERDICT_DEEPER;
		rte_pktmbuf_free(frame);
		return true;
	}
	*packet = replace(held, frame);
	*verdict = VERDICT_REPLACE;
	return true;
}

/* Drained before anything new is sent: an inspector whose way back is full drops silently. */
static void drain(struct external *external, uint16_t worker)
{
	struct external_worker *own = external->workers[worker];
	struct rte_mbuf *frames[BURST], *packet;
	enum verdict verdict;
	uint16_t received;

	do {
		if (room(own) < BURST)
			return;
		received = rte_eth_rx_burst(external->ports[worker], 0, frames, BURST);
		for (uint16_t i = 0; i < received; i++)
			if (external_take_return(external, worker, frames[i], &packet, &verdict))
				make_ready(own, packet, verdict);
	} while (received == BURST);
}

/* It is gone: nothing of what it has will come back. */
static void release_held(struct external *external, uint16_t worker)
{
	struct external_worker *own = external->workers[worker];
	struct rte_mbuf *packets[BURST];
	uint16_t released;

	do {
		if (room(own) < BURST)
			return;
		released = hold_release(
			inspect_workers[worker]->holds, external->base.owner, packets, BURST);
		for (uint16_t i = 0; i < released; i++)
			make_ready(own, packets[i], fail(packets[i], DROP_inspect_down));
	} while (released == BURST);
	own->was_down = true;
}

uint16_t external_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max)
{
	struct external *external = (struct external *)inspector;
	struct external_worker *own = external->workers[worker];
	bool is_down = __atomic_load_n(&inspector->is_down, __ATOMIC_RELAXED);
	uint16_t collected = 0;

	if (!is_down) {
		own->was_down = false;
		drain(external, worker);
	} else if (!own->was_down) {
		release_held(external, worker);
	}
	while (collected < max && own->ready_tail != own->ready_head) {
		uint32_t at = own->ready_tail++ % EXTERNAL_READY_MAX;

		packets[collected] = own->ready[at].packet;
		verdicts[collected++] = own->ready[at].verdict;
	}
	return collected;
}

/* ---- out ---- */

/* The tagged copy, in one piece; NULL: no buffer, or it does not fit into one. */
static struct rte_mbuf *make_copy(struct rte_mbuf *packet, uint32_t handle)
{
	uint32_t size = packet->pkt_len + VN_TAG_SIZE;
	struct rte_mbuf *copy = rte_pktmbuf_alloc(packet_pool);
	uint8_t *out;
	const uint8_t *rest;

	if (!copy)
		return NULL;
	out = size <= UINT16_MAX ? (uint8_t *)rte_pktmbuf_append(copy, (uint16_t)size) : NULL;
	if (!out) {
		rte_pktmbuf_free(copy);
		return NULL;
	}
	vn_tag_write(out, rte_pktmbuf_mtod(packet, const uint8_t *), handle,
		packet_metadata(packet)->vlan);
	rest = rte_pktmbuf_read(packet, VN_TAG_MACS, packet->pkt_len - VN_TAG_MACS,
		out + VN_TAG_MACS + VN_TAG_SIZE);
	if (rest != out + VN_TAG_MACS + VN_TAG_SIZE)
		memcpy(out + VN_TAG_MACS + VN_TAG_SIZE, rest, packet->pkt_len - VN_TAG_MACS);
	return copy;
}

/* A finished packet: held, and its copy sent. On failure it is still the caller's. */
static enum verdict send_one(
	struct external *external, uint16_t worker, struct rte_mbuf *packet, uint64_t now_ns)
{
	struct hold_table *holds = inspect_workers[worker]->holds;
	struct rte_mbuf *copy;
	uint64_t handle;
	uint32_t small;

	if (hold_count_of(holds, external->base.owner)
			>= __atomic_load_n(&external->in_flight_max, __ATOMIC_RELAXED)
		|| inspect_hold(worker, &external->base, packet, now_ns, &handle) < 0)
		return fail(packet, DROP_inspect_overload);
	copy = hold_handle_shorten(handle, VN_TAG_INDEX_BITS, VN_TAG_TAG_BITS, &small) < 0
		? NULL
		: make_copy(packet, small);
	if (copy && rte_eth_tx_burst(external->ports[worker], 0, &copy, 1) == 1) {
		count(&external->workers[worker]->sent, 1);
		return VERDICT_HELD;
	}
	if (!copy)
		count(&external->workers[worker]->too_large, 1);
	rte_pktmbuf_free(copy);
	hold_take(holds, handle, external->base.owner);
	return fail(packet, DROP_inspect_overload);
}

/* Cut, since an inspector outside takes packets as they are on a wire; unfinished checksums it
 * would let pass without a look. */
static enum verdict send_finished(
	struct external *external, uint16_t worker, struct rte_mbuf **packet, uint64_t now_ns)
{
	struct external_worker *own = external->workers[worker];
	struct rte_mbuf *parts[OFFLOAD_SEGMENTS_MAX];
	int part_count;

	if (!offload_is_super_frame(*packet)) {
		if (offload_finish_checksum(packet, packet_pool) < 0)
			return fail(*packet, DROP_inspect_overload);
		return send_one(external, worker, *packet, now_ns);
	}
	if (room(own) < OFFLOAD_SEGMENTS_MAX)
		return fail(*packet, DROP_inspect_overload);
	part_count = offload_segment(*packet, packet_pool, parts, OFFLOAD_SEGMENTS_MAX);
	if (part_count < 0)
		return fail(*packet, DROP_inspect_overload);
	rte_pktmbuf_free(*packet);
	for (int i = 0; i < part_count; i++)
		if (send_one(external, worker, parts[i], now_ns) != VERDICT_HELD)
			make_ready(own, parts[i], VERDICT_FAILED);
	return VERDICT_HELD;
}

void external_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t packet_count, enum verdict *verdicts)
{
	struct external *external = (struct external *)inspector;
	uint64_t now_ns = clock_monotonic_ns();

	drain(external, worker);
	for (uint16_t i = 0; i < packet_count; i++) {
		if (packets[i]->data_len < VN_TAG_MACS)
			verdicts[i] = fail(packets[i], DROP_inspect_malformed);
		else if (offload_is_needed(packets[i]))
			verdicts[i] = send_finished(external, worker, &packets[i], now_ns);
		else
			verdicts[i] = send_one(external, worker, packets[i], now_ns);
	}
}
