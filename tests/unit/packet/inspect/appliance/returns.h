/* SPDX-License-Identifier: BSD-3-Clause */
/* The engines outside without their ways out, and a hostile inspector that has all it was given:
 * the copies, and the key. For unit tests and the fuzzer. */
#pragma once

#include "packet/inspect/appliance/appliance.h"
#include "packet/inspect/external/external.h"
#include "packet/inspect/external/vn_tag.h"

#include "base/clock.h"

#include "../bench.h"

#define RETURNS_OWNER          9
#define RETURNS_EXTERNAL_OWNER 10

static struct appliance *appliance;
static struct external *external;
static struct link_end returns_end; /* ours; the inspector writes to it as its peer */
static struct port returns_port = {.index = 7, .mac = {2, 0, 0, 0, 0, 7}, .mtu_bytes = 9000};
static struct link_end inspector_end;
static struct link_peer inspector_peer = {
	.address = {4, {198, 51, 100, 1}}, .mac = LINK_MAC_KNOWN | 0x020000000007};

static inline void *make_cleared(size_t size)
{
	void *memory = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, (size_t)RTE_CACHE_LINE_SIZE));

	memset(memory, 0, size);
	return memory;
}

static inline void returns_open(void)
{
	struct link_keys *keys;

	returns_end = (struct link_end){.is_used = true,
		.port = returns_port.index,
		.local = {4, {198, 51, 100, 1}},
		.peer_count = 1,
		.secret = secret_create(sizeof(struct link_keys))};
	returns_end.peers[0] = (struct link_peer){
		.address = {4, {198, 51, 100, 2}}, .mac = LINK_MAC_KNOWN | 0x020000000008};
	inspector_end = (struct link_end){.is_used = true, .local = returns_end.peers[0].address};
	keys = secret_bytes(returns_end.secret);
	keys->count = 1;
	keys->keys[0] = (struct link_key){.id = 1, .bytes = {1, 2, 3}};
	appliance = make_cleared(sizeof(*appliance));
	appliance->base.ops = &appliance_inspector;
	appliance->base.owner = RETURNS_OWNER;
	appliance->worker_count = 1;
	appliance->workers[0] = calloc(1, sizeof(*appliance->workers[0]));
	external = make_cleared(sizeof(*external));
	external->base.ops = &external_inspector;
	external->base.owner = RETURNS_EXTERNAL_OWNER;
	external->worker_count = 1;
	external->workers[0] = calloc(1, sizeof(*external->workers[0]));
	inspect_workers[0] = calloc(1, sizeof(*inspect_workers[0]));
	inspect_workers[0]->holds = hold_table_create(64);
}

static inline void returns_close(void)
{
	hold_table_destroy(inspect_workers[0]->holds);
	free(inspect_workers[0]);
	inspect_workers[0] = NULL;
	free(appliance->workers[0]);
	free(appliance);
	free(external->workers[0]);
	free(external);
	secret_destroy(returns_end.secret);
}

static inline const struct link_key *returns_key(void)
{
	return &link_keys(&returns_end)->keys[0];
}

static inline uint64_t returns_hold(struct rte_mbuf *packet, uint16_t owner)
{
	uint64_t handle = 0;

	if (hold_insert(inspect_workers[0]->holds, packet, owner,
		    clock_monotonic_ns() + CLOCK_NS_PER_S, &handle)
		< 0)
		abort();
	return handle;
}

/* The frame in an envelope of the inspector's, as it likes. */
static inline struct rte_mbuf *returns_wrap(struct rte_mbuf *frame, enum message_kind kind,
	uint64_t handle, uint32_t network, const struct link_key *key)
{
	const struct message message = {.kind = (uint8_t)kind, .key = key->id, .handle = handle};

	if (!message_seal(frame, &message, network, 0, &inspector_end, &inspector_peer, key,
		    &returns_port))
		abort();
	return frame;
}

static inline struct rte_mbuf *returns_copy(const struct rte_mbuf *packet)
{
	return rte_pktmbuf_copy(packet, packet_pool, 0, UINT32_MAX);
}
