/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile inspector, at the memif or at the other end of the link, that knows all that an
 * inspector knows: its copies, their handles, the key (I10). Whatever it returns: each packet that
 * goes on is one that was held, once, of its own origin and VLAN, with its own addresses and
 * ethertype; and no buffer is lost.
 */
#include "../unit/packet/inspect/appliance/returns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GIVEN_MAX 32

struct given {
	uint64_t handle;
	uint16_t owner;
	struct packet_metadata metadata;
	uint8_t header[ETH_HEADER_SIZE];
	bool is_done;
	struct rte_mbuf *copy; /* as the inspector got it, without envelope */
};

static struct given given[GIVEN_MAX];
static unsigned int given_count;

static uint8_t take(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++;
}

/* Holds a packet of one of four tenants; its source address tells which one it is. */
static void give(uint8_t choice)
{
	struct given *own = &given[given_count];
	struct rte_mbuf *packet;

	if (given_count == GIVEN_MAX)
		return;
	packet = make_udp(FROM_CLIENT, (uint16_t)(2000 + choice), "a packet of a tenant");
	rte_pktmbuf_mtod(packet, uint8_t *)[11] = (uint8_t)given_count;
	packet_metadata(packet)->vlan = (uint16_t)(10 + choice % 4);
	packet_metadata(packet)->origin.ingress_port = (uint16_t)(1 + choice % 4);
	own->owner = choice & 0x80 ? RETURNS_EXTERNAL_OWNER : RETURNS_OWNER;
	own->metadata = *packet_metadata(packet);
	memcpy(own->header, rte_pktmbuf_mtod(packet, const uint8_t *), ETH_HEADER_SIZE);
	own->is_done = false;
	own->copy = returns_copy(packet);
	own->handle = returns_hold(packet, own->owner);
	given_count++;
}

static void check(struct rte_mbuf *packet, enum verdict verdict)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	struct given *own;

	if (packet->data_len < ETH_HEADER_SIZE || frame[11] >= given_count)
		abort();
	own = &given[frame[11]];
	if (own->is_done || memcmp(frame, own->header, ETH_HEADER_SIZE) != 0
		|| metadata->vlan != own->metadata.vlan
		|| memcmp(&metadata->origin, &own->metadata.origin, sizeof(metadata->origin)) != 0
		|| verdict >= VERDICT_COUNT || verdict == VERDICT_HELD)
		abort();
	own->is_done = true;
	rte_pktmbuf_free(packet);
}

/* Bit flips, another length, other segments: of the frame or of its envelope. */
static struct rte_mbuf *change(struct rte_mbuf *frame, const uint8_t **data, size_t *size)
{
	uint8_t flips = take(data, size) % 8, length = take(data, size);
	struct rte_mbuf *rest;
	uint16_t at;

	while (flips-- > 0 && frame->data_len > 0) {
		at = (uint16_t)((take(data, size) | take(data, size) << 8) % frame->data_len);
		rte_pktmbuf_mtod(frame, uint8_t *)[at] ^= take(data, size);
	}
	if (length & 1)
		rte_pktmbuf_trim(frame, (uint16_t)(length % (frame->data_len + 1)));
	else if (length & 2 && rte_pktmbuf_append(frame, (uint16_t)(length * 5)))
		rte_pktmbuf_mtod(frame, uint8_t *)[frame->data_len - 1] = length;
	if (!(length & 4) || frame->data_len < 2)
		return frame;
	at = (uint16_t)(1 + take(data, size) % (frame->data_len - 1));
	rest = rte_pktmbuf_copy(frame, packet_pool, at, UINT32_MAX);
	rte_pktmbuf_trim(frame, (uint16_t)(frame->data_len - at));
	if (rest && rte_pktmbuf_chain(frame, rest) < 0)
		rte_pktmbuf_free(rest);
	return frame;
}

static uint64_t choose_handle(const uint8_t **data, size_t *size)
{
	uint8_t choice = take(data, size);
	uint64_t handle = given[choice % GIVEN_MAX].handle;

	return choice & 0x80 ? handle ^ 1ULL << take(data, size) % 64 : handle;
}

static void over_link(struct rte_mbuf *frame, const uint8_t **data, size_t *size)
{
	uint64_t handle = choose_handle(data, size);
	uint8_t kind = take(data, size) % MESSAGE_KIND_COUNT, what = take(data, size);
	struct rte_mbuf *packet;
	enum verdict verdict;

	frame = returns_wrap(frame, kind, handle, (uint32_t)(10 + what % 5), returns_key());
	if (what & 0x80)
		frame = change(frame, data, size);
	if (appliance_take_return(appliance, 0, &returns_end, frame, &packet, &verdict))
		check(packet, verdict);
}

static void over_memif(struct rte_mbuf *frame, const uint8_t **data, size_t *size)
{
	uint64_t handle = choose_handle(data, size);
	uint8_t what = take(data, size), macs[VN_TAG_MACS];
	struct rte_mbuf *packet;
	enum verdict verdict;
	uint32_t small;
	uint8_t *out;

	if (frame->data_len >= VN_TAG_MACS
		&& hold_handle_shorten(handle, VN_TAG_INDEX_BITS, VN_TAG_TAG_BITS, &small) == 0) {
		memcpy(macs, rte_pktmbuf_mtod(frame, uint8_t *), sizeof(macs));
		out = (uint8_t *)rte_pktmbuf_prepend(frame, VN_TAG_SIZE);
		vn_tag_write(out, macs, small, (uint16_t)(10 + what % 5));
	}
	if (what & 0x80)
		frame = change(frame, data, size);
	if (external_take_return(external, 0, frame, &packet, &verdict))
		check(packet, verdict);
}

static void give_back(const uint8_t **data, size_t *size)
{
	uint8_t choice = take(data, size);
	const struct given *own = &given[choice % GIVEN_MAX];
	struct rte_mbuf *frame;

	if (!own->copy)
		return;
	frame = returns_copy(own->copy);
	if (choice & 0x40 && frame)
		frame = change(frame, data, size);
	if (!frame || frame->nb_segs > 1) {
		/* An envelope is put around one piece; pieces come after it. */
		rte_pktmbuf_free(frame);
		return;
	}
	if (choice & 0x80)
		over_memif(frame, data, size);
	else
		over_link(frame, data, size);
}

static void expire(uint8_t ahead_ms)
{
	struct hold_expired expired[8];
	uint64_t now_ns = clock_monotonic_ns() + (uint64_t)ahead_ms * 10 * CLOCK_NS_PER_MS;
	uint16_t count = hold_expire(inspect_workers[0]->holds, now_ns, expired, 8);

	for (uint16_t i = 0; i < count; i++)
		check(expired[i].packet, VERDICT_FAILED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!packet_pool && bench_start("inspect_return_fuzz") < 0)
		abort();
	returns_open();
	given_count = 0;
	memset(given, 0, sizeof(given));
	for (uint8_t i = 0; i < 4; i++) {
		give(i);
		give(0x80 | i);
	}
	while (size > 0) {
		switch (take(&data, &size) % 8) {
		case 0:
			give(take(&data, &size));
			break;
		case 1:
			expire(take(&data, &size));
			break;
		default:
			give_back(&data, &size);
		}
	}
	for (unsigned int i = 0; i < given_count; i++)
		rte_pktmbuf_free(given[i].copy);
	returns_close();
	if (rte_mempool_in_use_count(packet_pool) != 0)
		abort();
	return 0;
}
