/* SPDX-License-Identifier: BSD-3-Clause */
/* A chain with real inspectors, fed with frames made here: EAL without hugepages, no graph. */
#pragma once

#include "packet/engine/pool.h"
#include "packet/inspect/builtin/builtin.h"
#include "packet/inspect/builtin/tcp.h"
#include "packet/inspect/eve.h"
#include "packet/inspect/inspect.h"
#include "wire/checksum.h"
#include "wire/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../port/frames.h"

#define BENCH_VLAN     10
#define BENCH_PHYSICAL 1 /* ingress ports */
#define BENCH_WEB      2
#define FROM_CLIENT    true
#define FROM_SERVER    false

static struct inspect_output bench_out;

/* ---- frames ---- */

struct segment {
	bool from_client;
	uint8_t flags;
	uint32_t sequence, acknowledgement;
	const char *payload;
	uint32_t size; /* of payload; 0: up to its NUL */
	uint16_t client_port;
	bool has_bad_checksum;
	bool has_broken_options;
	bool from_wrong_side; /* comes in where the other side's packets do */
	uint32_t split;       /* bytes a segment of the buffer; 0: one */
	const char *options;  /* options_size bytes, a multiple of 4 */
	uint32_t options_size;
};

static inline uint32_t put_ipv4(
	struct frame *frame, bool from_client, uint8_t protocol, uint32_t size)
{
	static const uint8_t macs[2][6] = {
		{0x52, 0x54, 0, 0, 0x10, 1}, {0x52, 0x54, 0, 0, 0xff, 1}};
	uint8_t *ip = frame->bytes + 14;

	memset(frame->bytes, 0, 34);
	memcpy(frame->bytes, macs[from_client ? 0 : 1], 6);
	memcpy(frame->bytes + 6, macs[from_client ? 1 : 0], 6);
	put16(frame->bytes + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 20 + size);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + (from_client ? 12 : 16), "\xc0\x00\x02\x64", 4);
	memcpy(ip + (from_client ? 16 : 12), "\xc0\x00\x02\x0a", 4);
	frame->size = 34 + size;
	return 34;
}

static inline void finish_frame(struct frame *frame)
{
	struct decoded decoded;

	decode_frame(frame->bytes, frame->size, &decoded);
	checksum_repair(frame->bytes, &decoded);
}

static inline struct rte_mbuf *to_packet(struct frame *frame, bool from_client, uint32_t split)
{
	struct rte_mbuf *packet = frame_to_mbuf(frame, packet_pool, split);

	*packet_metadata(packet) = (struct packet_metadata){.vlan = BENCH_VLAN,
		.origin = {.kind = from_client ? ORIGIN_PHYSICAL : ORIGIN_TRUNK,
			.vlan = BENCH_VLAN,
			.ingress_port = from_client ? BENCH_PHYSICAL : BENCH_WEB}};
	return packet;
}

static inline struct rte_mbuf *make_segment(const struct segment *segment)
{
	static struct frame frame;
	uint32_t size = segment->size;
	uint16_t port = segment->client_port ? segment->client_port : 40000;
	uint32_t header = segment->has_broken_options ? 24 : 20 + segment->options_size;
	uint8_t *tcp;

	if (!size && segment->payload)
		size = (uint32_t)strlen(segment->payload);
	tcp = frame.bytes + put_ipv4(&frame, segment->from_client, IPPROTO_TCP, header + size);
	memset(tcp, 0, header);
	put16(tcp, segment->from_client ? port : 80);
	put16(tcp + 2, segment->from_client ? 80 : port);
	network_store32(tcp + 4, segment->sequence);
	network_store32(tcp + 8, segment->acknowledgement);
	tcp[12] = (uint8_t)(header / 4 << 4);
	if (segment->has_broken_options)
		tcp[20] = 8; /* timestamps, of no size */
	else if (segment->options_size)
		memcpy(tcp + 20, segment->options, segment->options_size);
	if (segment->flags & TCP_URG)
		put16(tcp + 18, 9);
	tcp[13] = segment->flags;
	put16(tcp + 14, 65535);
	if (size)
		memcpy(tcp + header, segment->payload, size);
	finish_frame(&frame);
	if (segment->has_bad_checksum)
		tcp[16] ^= 0x55;
	return to_packet(&frame, segment->from_client != segment->from_wrong_side, segment->split);
}

/* Two IP fragments of it, cut behind `at` bytes of TCP, a multiple of 8. */
static inline void cut_segment(const struct segment *segment, uint32_t at, struct frame pieces[2])
{
	struct rte_mbuf *packet = make_segment(segment);

	frame_from_mbuf(&pieces[0], packet);
	rte_pktmbuf_free(packet);
	pieces[1] = pieces[0];
	memmove(pieces[1].bytes + 34, pieces[1].bytes + 34 + at, pieces[0].size - 34 - at);
	pieces[1].size -= at;
	pieces[0].size = 34 + at;
	for (int i = 0; i < 2; i++) {
		put16(pieces[i].bytes + 16, pieces[i].size - 14);
		put16(pieces[i].bytes + 20, i ? at / 8 : 0x2000);
		finish_frame(&pieces[i]);
	}
}

static inline struct rte_mbuf *make_udp(bool from_client, uint16_t client_port, const char *payload)
{
	static struct frame frame;
	uint32_t size = (uint32_t)strlen(payload);
	uint8_t *udp = frame.bytes + put_ipv4(&frame, from_client, IPPROTO_UDP, 8 + size);

	memset(udp, 0, 8);
	put16(udp, from_client ? client_port : 53);
	put16(udp + 2, from_client ? 53 : client_port);
	put16(udp + 4, 8 + size);
	put16(udp + 6, 1);
	memcpy(udp + 8, payload, size);
	finish_frame(&frame);
	return to_packet(&frame, from_client, 0);
}

/* ---- the chain ---- */

static inline void bench_forget_output(void)
{
	rte_pktmbuf_free_bulk(bench_out.pass, bench_out.pass_count);
	rte_pktmbuf_free_bulk(bench_out.drop, bench_out.drop_count);
	bench_out.pass_count = bench_out.drop_count = 0;
}

/* Those in somebody's name that nobody transmits here. */
static inline void bench_forget_answers(void)
{
	struct inspect_worker *own = inspect_workers[0];

	while (own->injection_count > 0)
		rte_pktmbuf_free(own->injections[--own->injection_count].packet);
}

enum outcome { PASSED, DROPPED, HELD };

/* Runs one packet through; it stays in bench_out until the next one. */
static inline enum outcome submit(struct rte_mbuf *packet)
{
	bench_forget_output();
	inspect_chain_run(inspect_chain, 0, 0, &packet, 1, &bench_out);
	if (bench_out.pass_count)
		return PASSED;
	return bench_out.drop_count ? DROPPED : HELD;
}

static inline enum outcome send_segment(struct segment segment)
{
	return submit(make_segment(&segment));
}

static inline enum outcome send_tcp(bool from_client, uint8_t flags, uint32_t sequence,
	uint32_t acknowledgement, const char *payload)
{
	return send_segment((struct segment){.from_client = from_client,
		.flags = flags,
		.sequence = sequence,
		.acknowledgement = acknowledgement,
		.payload = payload});
}

static inline enum drop_reason dropped_for(void)
{
	return bench_out.drop_count ? packet_metadata(bench_out.drop[0])->drop_reason : DROP_none;
}

static inline const char *payload_of(struct rte_mbuf *packet)
{
	static struct frame frame;
	struct decoded decoded;

	memset(&frame, 0, sizeof(frame));
	frame_from_mbuf(&frame, packet);
	decode_frame(frame.bytes, frame.size, &decoded);
	if (!checksum_is_right(&decoded))
		return "(wrong checksum)";
	return (const char *)frame.bytes + decoded.payload_offset;
}

static inline const char *passed_payload(void)
{
	return payload_of(bench_out.pass[0]);
}

static inline struct builtin *bench_builtin(void)
{
	return (struct builtin *)inspect_chain->engines[0];
}

/* Events recorded since the last call. */
static inline int count_events(enum eve_type type, uint32_t sid)
{
	struct event_ring *ring = bench_builtin()->workers[0]->lanes[EVENT_LANE_ALERTS].ring;
	const struct eve_record *record;
	int count = 0;

	while ((record = event_ring_peek(ring))) {
		count += record->type == type && (!sid || record->sid == sid);
		eve_release(record);
		event_ring_release(ring);
	}
	return count;
}

static inline void *bench_compile(const char *text, const struct inspector *running)
{
	const struct inspector_file file = {
		.name = "test.rules", .text = text, .size = strlen(text)};
	const struct inspector_rules rules = {
		.files = &file, .file_count = 1, .worker_count = 1, .running = running};
	struct error error = {""};
	json_t *report = NULL;
	void *compiled = NULL;

	if (builtin_inspector.compile(&rules, &compiled, &report, &error) < 0)
		fprintf(stderr, "%s\n", error.text);
	json_decref(report);
	return compiled;
}

static inline int bench_open(const char *rules, const char *settings)
{
	struct error error = {""};
	json_t *config = json_loads(settings ? settings : "{}", 0, NULL);

	json_object_set_new(config, "flows-max", json_integer(4096));
	json_object_set_new(config, "stream-memory", json_integer(8 << 20));
	inspect_chain = calloc(1, sizeof(*inspect_chain));
	inspect_chain->deadline_ns = 50000000;
	inspect_chain->gap_timeout_ns = 10000000000;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] = FAILURE_DROP;
	inspect_workers[0] = calloc(1, sizeof(*inspect_workers[0]));
	inspect_workers[0]->holds = hold_table_create(1024);
	if (builtin_inspector.create(config, 1, rules ? bench_compile(rules, NULL) : NULL,
		    &inspect_chain->engines[0], &error)
		< 0) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	json_decref(config);
	inspect_chain->engines[0]->owner = 1;
	inspect_chain->count = 1;
	return 0;
}

static inline void bench_close(void)
{
	struct inspect_worker *own = inspect_workers[0];

	bench_forget_output();
	bench_forget_answers();
	hold_table_destroy(own->holds);
	free(own);
	inspect_workers[0] = NULL;
	builtin_inspector.destroy(inspect_chain->engines[0]);
	free(inspect_chain);
	inspect_chain = NULL;
}

/* For who opens it often: *ruleset is compiled the first time, which takes longer than all the
 * rest, and stays. */
static inline int bench_open_keeping(
	struct ruleset **ruleset, const char *rules, const char *settings)
{
	if (bench_open(*ruleset ? NULL : rules, settings) < 0)
		return -1;
	if (*ruleset)
		bench_builtin()->ruleset = *ruleset;
	*ruleset = bench_builtin()->ruleset;
	return 0;
}

static inline void bench_close_keeping(void)
{
	bench_builtin()->ruleset = NULL;
	bench_close();
}

static inline int bench_start(const char *name)
{
	worker_index = 0;
	packet_pool = frames_start(name);
	return packet_pool ? 0 : -1;
}
