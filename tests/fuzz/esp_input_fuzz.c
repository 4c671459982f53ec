/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames through ipsec_input and ipsec_output as they are: from anybody, and from a peer with the
 * key who puts into ESP what it likes. Nothing that is not authentic goes on; what does is one
 * whole IP packet, of which the SA's policy speaks, and no buffer is lost. Then the bytes as a key
 * file.
 */
#include "packet/ipsec/ipsec_config.h"

#include "../unit/packet/ipsec/node_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 1900
#define REQUEST   1

static const enum lab_sink opened_sinks[] = {LAB_ORIGIN_TAG, LAB_TARGET_INPUT, LAB_LINK_INPUT};
static const enum lab_sink sealed_sinks[] = {LAB_VIPA_OUTPUT, LAB_TARGET_DIRECT, LAB_TX};

static struct reference tunnel, transport;
static uint16_t flags; /* of the packet: a VIPA's, a target's or a link's */
static uint64_t next_sequence = 1;

static void add(const struct reference *reference, enum sa_direction direction, enum sa_mode mode)
{
	struct sa_parameters parameters = make_parameters(reference, direction);

	parameters.mode = (uint8_t)mode;
	parameters.copies_ecn = parameters.copies_dscp = true;
	parameters.has_encapsulation = mode == SA_TRANSPORT;
	parameters.source_port = 40000;
	parameters.destination_port = 4500;
	if (sa_add(&parameters, NULL) < 0)
		abort();
}

/* All of IPv4 and UDP by tunnel, all of IPv4 and TCP by transport mode. */
static void add_policy(enum policy_direction direction, enum sa_mode mode, uint8_t protocol)
{
	struct policy_parameters policy = {.direction = (uint8_t)direction,
		.action = POLICY_PROTECT,
		.mode = (uint8_t)mode,
		.request = REQUEST,
		.owner = 7,
		.spi = mode == SA_TUNNEL ? BENCH_SPI : BENCH_SPI + 1,
		.selector = {.source_first = ipv4(0),
			.source_last = ipv4(UINT32_MAX),
			.destination_first = ipv4(0),
			.destination_last = ipv4(UINT32_MAX),
			.protocol = protocol,
			.source_port_last = UINT16_MAX,
			.destination_port_last = UINT16_MAX}};

	if (policy_add(&policy, NULL) < 0)
		abort();
}

static void start(void)
{
	if (lab_start("esp_input_fuzz") < 0)
		abort();
	tunnel = make_reference(&suites[0], false);
	transport = make_reference(&suites[7], true);
	transport.spi = BENCH_SPI + 1;
	add(&tunnel, SA_INBOUND, SA_TUNNEL);
	add(&tunnel, SA_OUTBOUND, SA_TUNNEL);
	add(&transport, SA_INBOUND, SA_TRANSPORT);
	add(&transport, SA_OUTBOUND, SA_TRANSPORT);
	for (int direction = POLICY_INBOUND; direction <= POLICY_OUTBOUND; direction += 2) {
		add_policy((enum policy_direction)direction, SA_TUNNEL, IPPROTO_UDP);
		add_policy((enum policy_direction)direction, SA_TRANSPORT, IPPROTO_TCP);
	}
}

/* In one or two buffers. */
static struct rte_mbuf *to_packet(const uint8_t *bytes, uint32_t size, bool is_split)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool), *rest;
	uint32_t first = is_split ? size / 2 : size;

	memcpy(rte_pktmbuf_append(packet, (uint16_t)first), bytes, first);
	*packet_metadata(packet) = (struct packet_metadata){.vlan = 10, .flags = flags};
	if (!is_split)
		return packet;
	rest = rte_pktmbuf_alloc(packet_pool);
	memcpy(rte_pktmbuf_append(rest, (uint16_t)(size - first)), bytes + first, size - first);
	rte_pktmbuf_chain(packet, rest);
	return packet;
}

/* The peer's: Ethernet and IPv4, and UDP of transport mode. */
static struct rte_mbuf *seal(
	const struct reference *reference, uint8_t next_header, const uint8_t *data, uint32_t size)
{
	static uint8_t frame[INPUT_MAX + 256];
	bool is_in_udp = reference == &transport;
	uint32_t at = 14 + 20 + (is_in_udp ? 8 : 0), esp_size;

	memset(frame, 0, at);
	esp_size = reference_seal(reference, next_sequence++, data, size, next_header, frame + at);
	network_store16(frame + 12, 0x0800);
	frame[14] = 0x45;
	network_store16(frame + 16, (uint16_t)(at - 14 + esp_size));
	frame[22] = 64;
	frame[23] = is_in_udp ? IPPROTO_UDP : ESP_PROTOCOL;
	network_store32(frame + 26, CLIENT);
	network_store32(frame + 30, VIPA);
	if (is_in_udp) {
		network_store16(frame + 34, 40000);
		network_store16(frame + 36, 4500);
		network_store16(frame + 38, (uint16_t)(8 + esp_size));
	}
	return to_packet(frame, at + esp_size, false);
}

static void check_opened(enum lab_sink sink)
{
	for (uint16_t i = 0; i < lab.got_count[sink]; i++) {
		const struct rte_mbuf *packet = lab.got[sink][i];
		const struct packet_metadata *metadata = packet_metadata_const(packet);
		struct decoded decoded;

		decode_frame(rte_pktmbuf_mtod(packet, const uint8_t *), packet->pkt_len, &decoded);
		if (packet->nb_segs != 1 || decoded.malformed || decoded.l3_end != packet->pkt_len
			|| metadata->origin.kind != ORIGIN_DECRYPTED || decoded.ip_version != 4
			|| (decoded.protocol != IPPROTO_UDP && decoded.protocol != IPPROTO_TCP))
			abort();
	}
}

/* What was protected is longer, whole and addressed to the client's end. */
static void check_sealed(enum lab_sink sink)
{
	for (uint16_t i = 0; i < lab.got_count[sink]; i++) {
		const struct rte_mbuf *packet = lab.got[sink][i];
		struct decoded decoded;

		decode_frame(rte_pktmbuf_mtod(packet, const uint8_t *), packet->pkt_len, &decoded);
		if (packet->nb_segs != 1 || decoded.malformed || decoded.l3_end != packet->pkt_len
			|| (decoded.protocol != IPPROTO_UDP && decoded.protocol != ESP_PROTOCOL))
			abort();
	}
}

static void read_keys(const uint8_t *data, size_t size)
{
	struct ipsec_static_sa sas[1] = {{.name = "a"}};
	struct ipsec_config config = {.sas = sas, .sa_count = 1};

	config.keys = secret_create(SA_KEY_SIZE_MAX);
	(void)ipsec_config_read_keys(&config, (const char *)data, size, NULL);
	if (sas[0].parameters.cipher_key_size + sas[0].parameters.integrity_key_size
		> SA_KEY_SIZE_MAX)
		abort();
	secret_destroy(config.keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum lab_entry entry = LAB_INPUT;
	uint8_t what;

	if (!packet_pool)
		start();
	if (size < 2 + 14 || size > INPUT_MAX)
		return 0;
	what = data[0];
	flags = what & 0x20 ? PACKET_IS_OF_STATION : what & 0x40 ? PACKET_IS_OF_LINK : 0;
	switch (what % 5) {
	case 0:
		lab_offer(seal(&tunnel, data[1] % 64, data + 2, (uint32_t)size - 2));
		break;
	case 1:
		lab_offer(seal(&transport, data[1], data + 2, (uint32_t)size - 2));
		break;
	case 2:
		entry = LAB_OUTPUT;
		lab_offer(to_packet(data + 2, (uint32_t)size - 2, false));
		break;
	case 3:
		read_keys(data + 2, size - 2);
		break;
	default:
		lab_offer(to_packet(data + 2, (uint32_t)size - 2, what & 0x80 && size > 600));
	}
	lab_walk(entry);
	for (size_t i = 0; i < RTE_DIM(opened_sinks); i++) {
		/* What is told to a target's host comes from ipsec_output. */
		if (what % 5 == 4 && lab.got_count[opened_sinks[i]] > 0)
			abort(); /* nobody without the key gets in */
		if (entry == LAB_INPUT)
			check_opened(opened_sinks[i]);
		check_sealed(sealed_sinks[i]);
	}
	lab_forget();
	if (rte_mempool_in_use_count(packet_pool) != 0)
		abort();
	return 0;
}
