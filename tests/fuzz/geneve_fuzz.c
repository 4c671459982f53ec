/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame from a trusted link, first as Geneve with our option, then as a question for an address
 * or the answer to one, then as the text of a key file. What the parser of Geneve points to has to
 * be within the frame, and nothing is authentic without the key.
 */
#include "packet/inspect/appliance/message.h"

#include "base/error.h"

#include "../unit/packet/inspect/bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct port port = {.index = 1, .mac = {2, 0, 0, 0, 0, 1}};

static void read_geneve(const struct rte_mbuf *packet)
{
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	const struct link_key key = {.id = 1, .bytes = {0xa5, 0x5a, 1}};
	struct message message;
	struct geneve geneve;

	if (geneve_parse(frame, packet->data_len, packet->pkt_len, MESSAGE_OPTION_CLASS,
		    MESSAGE_OPTION_TYPE, &geneve)
		!= GENEVE_FINE)
		return;
	if (geneve.payload_offset > packet->data_len || geneve.payload_end > packet->pkt_len
		|| geneve.payload_offset > geneve.payload_end || geneve.network > 0xffffff
		|| (geneve.option
			&& (geneve.option < frame
				|| geneve.option + geneve.option_size > frame + packet->data_len)))
		abort();
	if (message_parse(geneve.option, geneve.option_size, &message)
		&& message_is_authentic(&key, geneve.option, geneve.network, packet,
			geneve.payload_offset, geneve.payload_end - geneve.payload_offset))
		abort();
}

static void resolve(struct rte_mbuf *packet, uint8_t version)
{
	static struct link_table table;
	struct link_end *end = &table.ends[LINK_CLIENT];

	*end = (struct link_end){.is_used = true,
		.port = port.index,
		.local = {version, {10, 0, 0, 1}},
		.peer_count = 1};
	end->peers[0].hop = (struct ip_address){version, {10, 0, 0, 2}};
	if (link_resolve(&table, &port, packet)
		&& memcmp(rte_pktmbuf_mtod(packet, const uint8_t *) + 6, port.mac, 6) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link_keys keys;
	struct error error;
	struct rte_mbuf *packet;

	if (!packet_pool && bench_start("geneve_fuzz") < 0)
		abort();
	(void)link_keys_parse((const char *)data, size, &keys, &error);
	if (size < ETH_HEADER_SIZE || size > POOL_DATA_SIZE)
		return 0;
	packet = rte_pktmbuf_alloc(packet_pool);
	memcpy(rte_pktmbuf_append(packet, (uint16_t)size), data, size);
	read_geneve(packet);
	resolve(packet, 4);
	resolve(packet, 6);
	rte_pktmbuf_free(packet);
	return 0;
}
