/* SPDX-License-Identifier: BSD-3-Clause */
/* The workers' part of the inspector outside: out, with a handle; back in, with distrust. */
#include "base/clock.h"
#include "base/id.h"
#include "packet/engine/pool.h"
#include "packet/inspect/external/external.h"
#include "packet/inspect/external/vn_tag.h"
#include "packet/inspect/inspect.h"
#include "packet/inspect/same_bytes.h"
#include "packet/port/memif.h"
#include "packet/port/offload.h"
#include "packet/port/vhost_device.h"

#define BURST EXTERNAL_BURST

/* No packet has it: 4095 is reserved in IEEE 802.1Q. */
#define FENCE_VLAN 4095
/* An ARP probe: every inspector knows it, and none looks into it. */
#define FENCE_ETHERTYPE 0x0806
#define FENCE_SIZE      60 /* behind its tags as short as Ethernet allows */
/* How long a packet may stay the last one before it is asked for. */
#define FENCE_AFTER_NS (500ULL * 1000)
/* A fence that is out so long is lost, and the inspector takes no packets for now. */
#define FENCE_LOST_NS (1000 * CLOCK_NS_PER_MS)
/* While it does not answer. */
#define FENCE_RETRY_NS (20 * CLOCK_NS_PER_MS)

static void count(uint64_t *counter, uint64_t change)
{
	/* Relaxed: a statistic; partner is external_device.c. */
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

static struct rte_mbuf *take_held(const struct external *external, uint16_t worker, uint32_t handle)
{
	return hold_take_short(inspect_workers[worker]->holds, handle, VN_TAG_INDEX_BITS,
		VN_TAG_TAG_BITS, external->base.owner);
}

/* ---- devices ---- */

uint16_t external_receive(
	struct external *external, uint16_t worker, struct rte_mbuf **frames, uint16_t frame_count)
{
	if (external->memifs[worker])
		return memif_receive(external->memifs[worker], 0, frames, frame_count);
	return vhost_device_receive(external->vhosts[worker], 0, frames, frame_count);
}

uint16_t external_send(
	struct external *external, uint16_t worker, struct rte_mbuf **frames, uint16_t frame_count)
{
	uint16_t refused = 0; /* never returns, as if the inspector had kept it */

	if (external->memifs[worker])
		return memif_send(external->memifs[worker], 0, frames, frame_count, &refused);
	return vhost_device_send(external->vhosts[worker], 0, frames, frame_count);
}

/* ---- order ---- */

/* What is still held of the oldest one: it was kept back. */
static void omit_oldest(struct external *external, uint16_t worker)
{
	struct external_worker *own = external->workers[worker];
	uint32_t handle = own->order[own->order_tail++ % EXTERNAL_ORDER_MAX];
	struct rte_mbuf *packet = take_held(external, worker, handle);

	if (!packet)
		return; /* its deadline was earlier */
	drop_mark(packet, external->omitted_reason);
	count(&own->omitted, 1);
	make_ready(own, packet, VERDICT_DROP);
}

/* The packet of this handle came back: whatever was sent before it will not. */
static void settle_before(struct external *external, uint16_t worker, uint32_t handle)
{
	struct external_worker *own = external->workers[worker];

	own->progress_ns = clock_monotonic_ns();
	while (own->order_tail != own->order_head
		&& own->order[own->order_tail % EXTERNAL_ORDER_MAX] != handle)
		omit_oldest(external, worker);
	if (own->order_tail != own->order_head)
		own->order_tail++;
}

static void remember_order(struct external *external, uint16_t worker, uint32_t handle)
{
	struct external_worker *own = external->workers[worker];

	if (own->order_head == own->order_tail)
		own->progress_ns = clock_monotonic_ns();
	own->order[own->order_head++ % EXTERNAL_ORDER_MAX] = handle;
}

static void take_fence(struct external *external, uint16_t worker, uint32_t handle)
{
	struct external_worker *own = external->workers[worker];
	struct external_fence *fence = &own->fence;

	if (fence->sent_ns == 0 || handle != fence->handle) {
		/* An older one: more are sent while it does not answer. */
		if (own->is_answering && fence->sent_ns == 0)
			count(&external->base.counters[worker].invalid_returns, 1);
		return;
	}
	own->progress_ns = clock_monotonic_ns();
	__atomic_store_n(
		&fence->round_trip_ns, own->progress_ns - fence->sent_ns, __ATOMIC_RELAXED);
	fence->sent_ns = 0;
	__atomic_store_n(&own->is_answering, true, __ATOMIC_RELAXED);
	/* Signed: packets that returned meanwhile may have gone past it. */
	while ((int32_t)(fence->order - own->order_tail) > 0)
		omit_oldest(external, worker);
}

static void send_fence(struct external *external, uint16_t worker, uint64_t now_ns)
{
	static const uint8_t macs[VN_TAG_MACS] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2};
	struct external_worker *own = external->workers[worker];
	struct rte_mbuf *frame = rte_pktmbuf_alloc(packet_pool);
	uint8_t *out =
		frame ? (uint8_t *)rte_pktmbuf_append(frame, FENCE_SIZE + VN_TAG_SIZE) : NULL;

	if (!out) {
		rte_pktmbuf_free(frame);
		return;
	}
	memset(out, 0, FENCE_SIZE + VN_TAG_SIZE);
	/* Not secret from the inspector, which sees it: a fence that is returned early drops what
	 * the inspector had, and could have dropped. */
	own->fence.handle =
		(own->fence.handle + 1) & ((1u << (VN_TAG_INDEX_BITS + VN_TAG_TAG_BITS)) - 1);
	own->fence.order = own->order_head;
	vn_tag_write(out, macs, own->fence.handle, FENCE_VLAN);
	network_store16(out + VN_TAG_MACS + VN_TAG_SIZE, FENCE_ETHERTYPE);
	/* Ethernet, IPv4, lengths 6 and 4, request; no address asks for no address. */
	memcpy(out + VN_TAG_MACS + VN_TAG_SIZE + 2, "\x00\x01\x08\x00\x06\x04\x00\x01", 8);
	if (external_send(external, worker, &frame, 1) != 1)
		rte_pktmbuf_free(frame);
	/* Also when there was no room: what does not drain the ring for so long does not answer. */
	own->fence.sent_ns = now_ns;
}

/* Asks where the inspector is, when packets do not tell. */
static void look_after_order(struct external *external, uint16_t worker)
{
	struct external_worker *own = external->workers[worker];
	uint64_t now_ns, waited_ns;

	if (own->is_answering && own->fence.sent_ns == 0 && own->order_tail == own->order_head)
		return;
	now_ns = clock_monotonic_ns();
	if (own->fence.sent_ns != 0) {
		waited_ns = now_ns - own->fence.sent_ns;
		if (waited_ns > FENCE_LOST_NS)
			__atomic_store_n(&own->is_answering, false, __ATOMIC_RELAXED);
		if (!own->is_answering && waited_ns > FENCE_RETRY_NS)
			send_fence(external, worker, now_ns);
	} else if (!own->is_answering || now_ns - own->progress_ns > FENCE_AFTER_NS) {
		send_fence(external, worker, now_ns);
	}
}

/* ---- back ---- */

/* Who sent the packet, for whom it is and what it is: no inspector has to decide that. Another
 * ethertype might be a tag of another VLAN. */
static bool is_for_same(const struct rte_mbuf *held, const uint8_t *frame)
{
	const uint8_t *first = rte_pktmbuf_mtod(held, const uint8_t *);

	return memcmp(frame, first, VN_TAG_MACS) == 0
		&& memcmp(frame + VN_TAG_MACS + VN_TAG_SIZE, first + VN_TAG_MACS,
			   VN_TAG_FRAME_MIN - VN_TAG_MACS)
		== 0;
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

/* What came back for packet, whose handle it carried. */
static enum verdict judge(struct external *external, uint16_t worker, struct rte_mbuf **packet,
	struct rte_mbuf *frame, uint16_t vlan)
{
	if (vlan != packet_metadata(*packet)->vlan
		|| !is_for_same(*packet, rte_pktmbuf_mtod(frame, const uint8_t *))) {
		count(&external->base.counters[worker].invalid_returns, 1);
		drop_mark(*packet, DROP_inspect_invalid_return);
		rte_pktmbuf_free(frame);
		return VERDICT_DROP;
	}
	/* From the Ethernet type on, which in the frame is behind the tags. */
	if (same_bytes(*packet, VN_TAG_MACS, frame, VN_TAG_MACS + VN_TAG_SIZE)) {
		rte_pktmbuf_free(frame);
		return VERDICT_DEEPER;
	}
	*packet = replace(*packet, frame);
	return VERDICT_REPLACE;
}

bool external_take_return(struct external *external, uint16_t worker, struct rte_mbuf *frame,
	struct rte_mbuf **packet, enum verdict *verdict)
{
	uint32_t handle;
	uint16_t vlan;

	count(&external->workers[worker]->returned, 1);
	if (!vn_tag_read(
		    rte_pktmbuf_mtod(frame, const uint8_t *), frame->data_len, &handle, &vlan)) {
		count(&external->base.counters[worker].invalid_returns, 1);
		rte_pktmbuf_free(frame);
		return false;
	}
	if (external->is_ordered && vlan == FENCE_VLAN) {
		take_fence(external, worker, handle);
		rte_pktmbuf_free(frame);
		return false;
	}
	*packet = take_held(external, worker, handle);
	if (!*packet) {
		count(&external->base.counters[worker].invalid_returns, 1);
		rte_pktmbuf_free(frame);
		return false;
	}
	if (external->is_ordered)
		settle_before(external, worker, handle);
	*verdict = judge(external, worker, packet, frame, vlan);
	return true;
}

/* Drained before anything new is sent: an inspector whose way back is full drops silently. */
static void drain(struct external *external, uint16_t worker)
{
	struct external_worker *own = external->workers[worker];
	const struct hold_table *holds = inspect_workers[worker]->holds;
	struct rte_mbuf *frames[BURST], *packet;
	enum verdict verdict;
	uint16_t received;

	do {
		/* One that returns may settle all that are held. */
		if (room(own) < hold_count_of(holds, external->base.owner) + BURST)
			return;
		received = external_receive(external, worker, frames, BURST);
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
	own->order_tail = own->order_head;
	own->was_down = true;
}

/* What is not connected cannot answer; what has just come has to. */
static void follow_connection(struct external *external, uint16_t worker)
{
	struct external_worker *own = external->workers[worker];

	if (__atomic_load_n(&external->is_connected, __ATOMIC_RELAXED)) {
		drain(external, worker);
		look_after_order(external, worker);
		return;
	}
	own->fence.sent_ns = 0;
	if (own->is_answering)
		__atomic_store_n(&own->is_answering, false, __ATOMIC_RELAXED);
}

uint16_t external_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max)
{
	struct external *external = (struct external *)inspector;
	struct external_worker *own = external->workers[worker];
	bool is_down = __atomic_load_n(&inspector->is_down, __ATOMIC_RELAXED);
	uint16_t collected = 0;

	if (external->is_ordered)
		follow_connection(external, worker);
	else if (!is_down)
		drain(external, worker);
	if (!is_down)
		own->was_down = false;
	else if (!own->was_down)
		release_held(external, worker);
	while (collected < max && own->ready_tail != own->ready_head) {
		uint32_t at = own->ready_tail++ % EXTERNAL_READY_MAX;

		packets[collected] = own->ready[at].packet;
		verdicts[collected++] = own->ready[at].verdict;
	}
	return collected;
}

/* ---- out ---- */

/* The tagged copy in one piece, which is quicker than two for what fits. */
static struct rte_mbuf *copy_whole(const struct rte_mbuf *packet, struct rte_mbuf *copy)
{
	uint8_t *out =
		(uint8_t *)rte_pktmbuf_append(copy, (uint16_t)(packet->pkt_len + VN_TAG_SIZE));
	const uint8_t *rest = rte_pktmbuf_read(packet, VN_TAG_MACS, packet->pkt_len - VN_TAG_MACS,
		out + VN_TAG_MACS + VN_TAG_SIZE);

	if (rest != out + VN_TAG_MACS + VN_TAG_SIZE)
		memcpy(out + VN_TAG_MACS + VN_TAG_SIZE, rest, packet->pkt_len - VN_TAG_MACS);
	return copy;
}

/* Or its head, and behind it the packet's own bytes: the device copies them when it sends. */
static struct rte_mbuf *chain_rest(struct rte_mbuf *packet, struct rte_mbuf *head)
{
	struct rte_mbuf *rest = rte_pktmbuf_clone(packet, packet_pool);

	if (!rest || !rte_pktmbuf_append(head, VN_TAG_MACS + VN_TAG_SIZE)
		|| !rte_pktmbuf_adj(rest, VN_TAG_MACS) || rte_pktmbuf_chain(head, rest) < 0) {
		rte_pktmbuf_free(rest);
		rte_pktmbuf_free(head);
		return NULL;
	}
	return head;
}

/* What is sent for packet; NULL: no buffer. */
static struct rte_mbuf *make_copy(struct rte_mbuf *packet, uint32_t handle)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(packet_pool);

	if (!copy)
		return NULL;
	copy = packet->pkt_len + VN_TAG_SIZE <= rte_pktmbuf_tailroom(copy)
		? copy_whole(packet, copy)
		: chain_rest(packet, copy);
	if (copy)
		vn_tag_write(rte_pktmbuf_mtod(copy, uint8_t *),
			rte_pktmbuf_mtod(packet, const uint8_t *), handle,
			packet_metadata(packet)->vlan);
	return copy;
}

/* The ring had no room for them: they are not out, and nothing of them will come back. */
static void take_back(struct external *external, uint16_t worker, uint16_t first)
{
	struct external_worker *own = external->workers[worker];

	rte_pktmbuf_free_bulk(own->batch + first, own->batch_count - first);
	for (uint16_t i = first; i < own->batch_count; i++) {
		struct rte_mbuf *packet = hold_take(inspect_workers[worker]->holds,
			own->batch_handles[i], external->base.owner);

		make_ready(own, packet, fail(packet, DROP_inspect_overload));
	}
	/* As many at the end of the order, which nobody can have settled since. */
	if (external->is_ordered)
		own->order_head -= (uint32_t)(own->batch_count - first);
}

static void flush(struct external *external, uint16_t worker)
{
	struct external_worker *own = external->workers[worker];
	uint16_t sent;

	if (own->batch_count == 0)
		return;
	sent = external_send(external, worker, own->batch, own->batch_count);
	count(&own->sent, sent);
	if (sent < own->batch_count)
		take_back(external, worker, sent);
	own->batch_count = 0;
}

static bool has_room(const struct external *external, uint16_t worker)
{
	const struct external_worker *own = external->workers[worker];

	return hold_count_of(inspect_workers[worker]->holds, external->base.owner)
		< __atomic_load_n(&external->in_flight_max, __ATOMIC_RELAXED)
		&& own->order_head - own->order_tail < EXTERNAL_ORDER_MAX
		&& room(own) > EXTERNAL_BURST; /* for take_back() */
}

/* A finished packet: held, and its copy on its way. On failure it is still the caller's. */
static enum verdict send_one(
	struct external *external, uint16_t worker, struct rte_mbuf *packet, uint64_t now_ns)
{
	struct external_worker *own = external->workers[worker];
	struct rte_mbuf *copy = NULL;
	uint64_t handle;
	uint32_t small;

	if (packet->pkt_len > external->frame_max) {
		count(&own->unseen, 1);
		return fail(packet, DROP_inspect_unseen);
	}
	if (!has_room(external, worker)
		|| inspect_hold(worker, &external->base, packet, now_ns, &handle) < 0)
		return fail(packet, DROP_inspect_overload);
	if (hold_handle_shorten(handle, VN_TAG_INDEX_BITS, VN_TAG_TAG_BITS, &small) == 0)
		copy = make_copy(packet, small);
	if (!copy) {
		hold_take(inspect_workers[worker]->holds, handle, external->base.owner);
		return fail(packet, DROP_inspect_overload);
	}
	if (external->is_ordered)
		remember_order(external, worker, small);
	own->batch_handles[own->batch_count] = handle;
	own->batch[own->batch_count++] = copy;
	if (own->batch_count == EXTERNAL_BURST)
		flush(external, worker);
	return VERDICT_HELD;
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
	if (room(own) < OFFLOAD_SEGMENTS_MAX + EXTERNAL_BURST)
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

/* More tags than the inspector decodes: it would pass the frame without a look. */
static bool is_too_deep(const struct external *external, const struct rte_mbuf *packet)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint32_t at = VN_TAG_MACS, layers = 0;

	if (external->vlan_layers_max == 0)
		return false;
	for (; at + 4 <= packet->data_len; at += 4) {
		uint16_t type = network_load16(bytes + at);

		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			return false;
		if (++layers > external->vlan_layers_max)
			return true;
	}
	return false;
}

void external_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t packet_count, enum verdict *verdicts)
{
	struct external *external = (struct external *)inspector;
	uint64_t now_ns = clock_monotonic_ns();

	drain(external, worker);
	for (uint16_t i = 0; i < packet_count; i++) {
		if (packets[i]->data_len < VN_TAG_MACS) {
			verdicts[i] = fail(packets[i], DROP_inspect_malformed);
		} else if (is_too_deep(external, packets[i])) {
			count(&external->workers[worker]->unseen, 1);
			verdicts[i] = fail(packets[i], DROP_inspect_unseen);
		} else if (offload_is_needed(packets[i])) {
			verdicts[i] = send_finished(external, worker, &packets[i], now_ns);
		} else {
			verdicts[i] = send_one(external, worker, packets[i], now_ns);
		}
	}
	flush(external, worker);
}
