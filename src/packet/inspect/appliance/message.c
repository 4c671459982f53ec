/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/appliance/message.h"

#include "base/bytes.h"
#include "packet/port/offload.h"
#include "wire/decode.h"

#define MAC_OFFSET (MESSAGE_SIZE - SIPHASH_MAC_SIZE)

bool message_parse(const uint8_t *body, size_t size, struct message *out)
{
	struct bytes reader = bytes_from(body, size);

	if (!body || size != MESSAGE_SIZE)
		return false;
	out->kind = bytes_read_u8(&reader);
	out->key = bytes_read_u8(&reader);
	out->worker = bytes_read_u8(&reader);
	out->flags = bytes_read_u8(&reader);
	out->handle = bytes_read_u64(&reader);
	out->ingress_port = bytes_read_u16(&reader);
	return bytes_read_u16(&reader) == 0 && out->kind != MESSAGE_NONE
		&& out->kind < MESSAGE_KIND_COUNT && out->worker < WORKERS_MAX
		&& out->ingress_port < PORTS_MAX;
}

static void write_body(uint8_t *body, const struct message *message)
{
	body[0] = message->kind;
	body[1] = message->key;
	body[2] = message->worker;
	body[3] = message->flags;
	network_store32(body + 4, (uint32_t)(message->handle >> 32));
	network_store32(body + 8, (uint32_t)message->handle);
	network_store16(body + 12, message->ingress_port);
	network_store16(body + 14, 0);
}

static void add_frame(
	struct siphash_state *state, const struct rte_mbuf *packet, uint32_t offset, uint32_t size)
{
	for (; packet && offset >= packet->data_len; packet = packet->next)
		offset -= packet->data_len;
	for (; packet && size > 0; packet = packet->next, offset = 0) {
		uint32_t part = RTE_MIN(packet->data_len - offset, size);

		siphash_add(state, rte_pktmbuf_mtod_offset(packet, const uint8_t *, offset), part);
		size -= part;
	}
}

static void authenticate(const struct link_key *key, const uint8_t *body, uint32_t network,
	const struct rte_mbuf *packet, uint32_t offset, uint32_t size,
	uint8_t mac[SIPHASH_MAC_SIZE])
{
	struct siphash_state state;
	uint8_t covered[MAC_OFFSET + 8];

	memcpy(covered, body, MAC_OFFSET);
	network_store32(covered + MAC_OFFSET, network);
	network_store32(covered + MAC_OFFSET + 4, size);
	siphash_start(&state, key->bytes);
	siphash_add(&state, covered, sizeof(covered));
	add_frame(&state, packet, offset, size);
	siphash_end(&state, mac);
}

bool message_is_authentic(const struct link_key *key, const uint8_t body[MESSAGE_SIZE],
	uint32_t network, const struct rte_mbuf *packet, uint32_t offset, uint32_t size)
{
	uint8_t mac[SIPHASH_MAC_SIZE];

	authenticate(key, body, network, packet, offset, size, mac);
	return secret_is_equal(mac, body + MAC_OFFSET, sizeof(mac));
}

static void finish_checksum(struct rte_mbuf *packet, uint32_t headers_size)
{
	uint32_t above = GENEVE_HEADER_SIZE + GENEVE_OPTION_SIZE + MESSAGE_SIZE;
	uint32_t offset = headers_size - above;
	uint16_t sum = offload_raw_sum(packet, offset, packet->pkt_len - offset);

	geneve_finish_ipv6(rte_pktmbuf_mtod(packet, uint8_t *), rte_bswap16(sum));
}

bool message_seal(struct rte_mbuf *packet, const struct message *message, uint32_t network,
	uint32_t flow_hash, const struct link_end *end, const struct link_peer *peer,
	const struct link_key *key, const struct port *port)
{
	uint32_t size = packet->pkt_len;
	uint32_t headers_size = geneve_headers_size(end->local.version, MESSAGE_SIZE);
	uint8_t body[MESSAGE_SIZE], destination_mac[6], *out;
	const struct geneve_headers headers = {
		.source_mac = port->mac,
		.destination_mac = destination_mac,
		.source = &end->local,
		.destination = &peer->address,
		/* The hash's high bits: its low ones may have chosen the worker. */
		.source_port = (uint16_t)(GENEVE_SOURCE_MIN | (flow_hash >> 16 & 0x3fff)),
		.network = network,
		.is_control = !message_has_frame(message->kind),
		.option_class = MESSAGE_OPTION_CLASS,
		.option_type = MESSAGE_OPTION_TYPE,
		.option = body,
		.option_size = sizeof(body),
	};

	if (!link_peer_mac(peer, destination_mac))
		return false;
	write_body(body, message);
	authenticate(key, body, network, packet, 0, size, body + MAC_OFFSET);
	out = (uint8_t *)rte_pktmbuf_prepend(packet, (uint16_t)headers_size);
	if (!out)
		return false;
	geneve_write(out, &headers, size);
	if (end->local.version == 6)
		finish_checksum(packet, headers_size);
	packet->ol_flags = 0;
	*packet_metadata(packet) = (struct packet_metadata){
		.origin = {.ingress_port = PORT_NONE}, .egress_port = port->index};
	return true;
}

uint32_t message_frame_max(const struct link_end *end, const struct port *port)
{
	/* Relaxed: a device may change it at any time. */
	uint32_t mtu_bytes = __atomic_load_n(&port->mtu_bytes, __ATOMIC_RELAXED);
	uint32_t overhead = geneve_overhead(end->local.version, MESSAGE_SIZE);

	return mtu_bytes > overhead ? mtu_bytes - overhead : 0;
}

bool message_strip(struct rte_mbuf *packet, const struct geneve *geneve)
{
	if (geneve->payload_end < packet->pkt_len
		&& rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - geneve->payload_end)) < 0)
		return false;
	return rte_pktmbuf_adj(packet, (uint16_t)geneve->payload_offset) != NULL;
}

uint32_t message_flow_hash(const struct rte_mbuf *frame, uint16_t vlan)
{
	struct decoded decoded;
	uint32_t ports;

	decode_headers(rte_pktmbuf_mtod(frame, const uint8_t *), frame->data_len, frame->pkt_len,
		&decoded);
	ports = (uint32_t)(decoded.source_port ^ decoded.destination_port);
	return decode_pair_hash(&decoded, vlan) ^ ports * 0x9e3779b1U; /* the golden ratio */
}
