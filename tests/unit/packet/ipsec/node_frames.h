/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames, SAs and policies for the tests of both nodes. */
#pragma once

#include "wire/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node_lab.h"

#define FRAME_SIZE_MAX 9400

static struct error error;

static inline int forget(void **state)
{
	(void)state;
	lab_forget();
	sa_flush_owner(7);
	lab_configure(false);
	return rte_mempool_in_use_count(packet_pool) == 0 ? 0 : -1;
}

/* ---- frames ---- */

struct datagram {
	uint8_t version;
	struct ip_address source, destination;
	uint8_t protocol, traffic_class;
	bool has_df;
	const uint8_t *payload;
	uint32_t size;
};

struct bytes_of {
	uint8_t bytes[FRAME_SIZE_MAX];
	uint32_t size;
};

/* Ethernet and IP around a payload. */
static inline struct bytes_of *make_frame(const struct datagram *datagram)
{
	static struct bytes_of frame;
	uint8_t *ip = frame.bytes + 14;
	uint32_t header = datagram->version == 4 ? 20 : 40;

	memset(frame.bytes, 0, 14 + header);
	memcpy(frame.bytes, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	network_store16(frame.bytes + 12, datagram->version == 4 ? 0x0800 : 0x86dd);
	if (datagram->version == 4) {
		ip[0] = 0x45;
		ip[1] = datagram->traffic_class;
		network_store16(ip + 2, (uint16_t)(20 + datagram->size));
		ip[6] = datagram->has_df ? 0x40 : 0;
		ip[8] = 64;
		ip[9] = datagram->protocol;
		memcpy(ip + 12, datagram->source.bytes, 4);
		memcpy(ip + 16, datagram->destination.bytes, 4);
	} else {
		ip[0] = (uint8_t)(0x60 | datagram->traffic_class >> 4);
		ip[1] = (uint8_t)(datagram->traffic_class << 4);
		network_store16(ip + 4, (uint16_t)datagram->size);
		ip[6] = datagram->protocol;
		ip[7] = 64;
		memcpy(ip + 8, datagram->source.bytes, 16);
		memcpy(ip + 24, datagram->destination.bytes, 16);
	}
	memcpy(ip + header, datagram->payload, datagram->size);
	frame.size = 14 + header + datagram->size;
	if (datagram->version == 4)
		network_store16(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
	return &frame;
}

static inline struct rte_mbuf *to_packet(const struct bytes_of *frame)
{
	static struct frame copy;
	struct rte_mbuf *packet;

	memcpy(copy.bytes, frame->bytes, frame->size);
	copy.size = frame->size;
	packet = frame_to_mbuf(&copy, packet_pool, 0);
	*packet_metadata(packet) = (struct packet_metadata){.vlan = 10, .service = {.target = 5}};
	return packet;
}

/* UDP with right checksums, without its Ethernet header: what is inside of a tunnel. */
static inline struct bytes_of *make_inner(uint8_t version, uint32_t from, uint32_t to,
	uint32_t size, uint8_t traffic_class, bool has_df)
{
	static struct bytes_of inner;
	static uint8_t udp[FRAME_SIZE_MAX];
	struct datagram datagram = {.version = version,
		.source = version == 4 ? ipv4(from) : ipv6((uint16_t)from),
		.destination = version == 4 ? ipv4(to) : ipv6((uint16_t)to),
		.protocol = IPPROTO_UDP,
		.traffic_class = traffic_class,
		.has_df = has_df,
		.payload = udp,
		.size = 8 + size};
	struct decoded decoded;
	struct bytes_of *frame;

	memset(udp, 0, 8);
	network_store16(udp, 40000);
	network_store16(udp + 2, 443);
	network_store16(udp + 4, (uint16_t)(8 + size));
	for (uint32_t i = 0; i < size; i++)
		udp[8 + i] = (uint8_t)(i * 3 + 1);
	udp[6] = 1; /* not without a checksum */
	frame = make_frame(&datagram);
	decode_frame(frame->bytes, frame->size, &decoded);
	checksum_repair(frame->bytes, &decoded);
	inner = *frame;
	return &inner;
}

/* ---- SAs and policies ---- */

static inline struct reference suite_reference(
	const struct suite *suite, uint32_t spi, bool has_esn)
{
	struct reference reference = make_reference(suite, has_esn);

	reference.spi = spi;
	return reference;
}

static inline struct sa *add_sa(const struct sa_parameters *parameters)
{
	if (sa_add(parameters, &error) < 0)
		fail_msg("%s", error.text);
	return sa_find(&parameters->name);
}

static inline void add_policy_of_port(enum policy_direction direction, enum policy_action action,
	enum sa_mode mode, uint8_t version, uint16_t source_port)
{
	struct policy_parameters policy = {.direction = (uint8_t)direction,
		.action = (uint8_t)action,
		.priority = 10,
		.mode = (uint8_t)mode,
		.request = 1,
		.owner = 7,
		.selector = {.source_first = {.version = version},
			.source_last = {.version = version},
			.destination_first = {.version = version},
			.destination_last = {.version = version},
			.source_port_first = source_port,
			.source_port_last = source_port ? source_port : UINT16_MAX,
			.destination_port_last = UINT16_MAX}};

	memset(policy.selector.source_last.bytes, 0xff, version == 4 ? 4 : 16);
	memset(policy.selector.destination_last.bytes, 0xff, version == 4 ? 4 : 16);
	if (policy_add(&policy, &error) < 0)
		fail_msg("%s", error.text);
}

static inline void add_policy(enum policy_direction direction, enum policy_action action,
	enum sa_mode mode, uint8_t version)
{
	add_policy_of_port(direction, action, mode, version, 0);
}

/* ESP of the client's to the VIPA, outer header and all. */
struct sealing {
	const struct reference *reference;
	uint64_t sequence;
	const uint8_t *payload;
	uint32_t size;
	uint8_t next_header, outer_version, outer_class;
	uint16_t source_port; /* in UDP from there; 0: bare */
	uint32_t source;      /* other than CLIENT */
};

static inline struct rte_mbuf *make_esp(const struct sealing *sealing)
{
	static uint8_t payload[FRAME_SIZE_MAX];
	uint32_t udp_size = sealing->source_port ? 8 : 0;
	uint32_t size = udp_size
		+ reference_seal(sealing->reference, sealing->sequence, sealing->payload,
			sealing->size, sealing->next_header, payload + udp_size);
	struct datagram datagram = {.version = sealing->outer_version,
		.protocol = udp_size ? IPPROTO_UDP : 50,
		.traffic_class = sealing->outer_class,
		.payload = payload,
		.size = size};

	datagram.source = datagram.version == 4 ? ipv4(sealing->source ? sealing->source : CLIENT)
						: ipv6(100);
	datagram.destination = datagram.version == 4 ? ipv4(VIPA) : ipv6(1);
	if (udp_size) {
		network_store16(payload, sealing->source_port);
		network_store16(payload + 2, 4500);
		network_store16(payload + 4, (uint16_t)size);
		network_store16(payload + 6, 0);
	}
	return to_packet(make_frame(&datagram));
}

static inline const uint8_t *packet_bytes(enum lab_sink sink, uint16_t i, uint32_t *size)
{
	struct rte_mbuf *packet = lab.got[sink][i];

	assert_true(i < lab.got_count[sink]);
	assert_int_equal(packet->nb_segs, 1);
	*size = packet->pkt_len;
	return rte_pktmbuf_mtod(packet, const uint8_t *);
}

static inline void assert_is_inner(enum lab_sink sink, uint16_t at, const struct bytes_of *inner)
{
	uint32_t size;
	const uint8_t *bytes = packet_bytes(sink, at, &size);

	assert_int_equal(size, inner->size);
	assert_memory_equal(bytes, inner->bytes, size);
}

static inline struct sa_parameters tunnel_parameters(
	const struct reference *reference, enum sa_direction direction, uint8_t outer_version)
{
	struct sa_parameters parameters = make_parameters(reference, direction);

	parameters.mode = SA_TUNNEL;
	if (outer_version == 6) {
		parameters.source = ipv6(direction == SA_OUTBOUND ? 1 : 100);
		parameters.name.destination = ipv6(direction == SA_OUTBOUND ? 100 : 1);
	}
	return parameters;
}
