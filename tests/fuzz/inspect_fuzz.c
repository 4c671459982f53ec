/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sequence of frames through the builtin inspector: raw ones, fragments, and whatever segments an
 * attacker may send into one TCP connection. What the inspector lets through goes to a receiver
 * that reassembles by itself. It must never get two versions of a byte
 * that it has not acknowledged, whichever it prefers; it must never be able to read the word that
 * the rules forbid; and no buffer may be lost.
 */
#include "base/clock.h"

#include "../unit/packet/inspect/bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES                                                                                      \
	"drop tcp any any -> any any (msg:\"evil\"; content:\"EVIL\"; sid:1;)\n"                   \
	"drop udp any any -> any any (msg:\"evil\"; content:\"EVIL\"; sid:2;)\n"                   \
	"alert udp any any -> any any (content:\"aa\"; replace:\"bbbbbb\"; sid:4;)\n"              \
	"alert udp any any -> any any (content:\"xyz\"; replace:\"-\"; sid:5;)\n"                  \
	"alert ip any any -> any any (msg:\"size\"; dsize:>60; sid:3;)\n"
#define EVENTS      "{\"events\": [\"alert\", \"drop\", \"anomaly\", \"flow\"]}"
#define START       1000u
#define SERVER      9000u
#define STREAM_SIZE 65536u

/* What the server would read: the first version of each byte, since it keeps what it has. */
static struct {
	uint8_t bytes[STREAM_SIZE];
	bool has[STREAM_SIZE];
	uint32_t next, acknowledged;
} receiver;

static uint8_t take(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++;
}

static void receive(void)
{
	static struct frame frame;
	struct decoded decoded;

	for (uint16_t i = 0; i < bench_out.pass_count; i++) {
		frame_from_mbuf(&frame, bench_out.pass[i]);
		if (decode_frame(frame.bytes, frame.size, &decoded) != DECODE_OK
			|| decoded.protocol != IPPROTO_TCP || decoded.destination_port != 80
			|| decoded.is_fragment || !checksum_is_right(&decoded))
			continue;
		if (!(decoded.tcp_flags & TCP_ACK) || (decoded.tcp_flags & (TCP_RST | TCP_SYN)))
			continue;
		for (uint32_t j = 0; j < decoded.payload_size; j++) {
			uint32_t at = decoded.tcp_sequence + j - START;
			uint8_t byte = frame.bytes[decoded.payload_offset + j];

			if (at >= STREAM_SIZE)
				continue;
			if (receiver.has[at] && at >= receiver.acknowledged
				&& receiver.bytes[at] != byte)
				abort(); /* another version */
			if (receiver.has[at])
				continue;
			receiver.has[at] = true;
			receiver.bytes[at] = byte;
		}
		while (receiver.next < STREAM_SIZE && receiver.has[receiver.next])
			receiver.next++;
	}
	if (memmem(receiver.bytes, receiver.next, "EVIL", 4))
		abort();
}

static void client_segment(const uint8_t **data, size_t *size)
{
	static const char letters[] = "EVIL.EVILx";
	static char payload[256];
	struct segment segment = {.from_client = true, .acknowledgement = SERVER};
	uint8_t control = take(data, size);

	segment.flags = control & 1 ? take(data, size) & 0x3f : TCP_ACK;
	segment.sequence = START + (control & 2 ? receiver.next : 0);
	segment.sequence += (uint32_t)(int8_t)take(data, size);
	if (control & 4)
		segment.sequence += (uint32_t)take(data, size) << 8;
	segment.has_bad_checksum = (control & 24) == 24;
	segment.split = control & 32 ? 60 : 0;
	segment.size = take(data, size) % 64;
	for (uint32_t i = 0; i < segment.size; i++)
		payload[i] = letters[take(data, size) % (sizeof(letters) - 1)];
	segment.payload = payload;
	send_segment(segment);
}

/* What the server answers truly, or what somebody on the client's side says in its name. */
static void server_segment(const uint8_t **data, size_t *size)
{
	uint8_t control = take(data, size);
	struct segment segment = {.from_client = false,
		.flags = TCP_ACK,
		.sequence = SERVER,
		.acknowledgement = START + receiver.next,
		.from_wrong_side = control & 1};

	if (!(control & 1))
		receiver.acknowledged = receiver.next;
	if (control & 1) {
		segment.flags = take(data, size) & 0x3f;
		segment.sequence += (uint32_t)(int8_t)take(data, size);
		segment.acknowledgement += (uint32_t)(int8_t)take(data, size);
	}
	send_segment(segment);
}

static void fragment(const uint8_t **data, size_t *size)
{
	static struct frame frame;
	uint8_t control = take(data, size), offset = take(data, size) % 16;
	uint32_t part = take(data, size) % 64;
	uint32_t at = put_ipv4(&frame, FROM_CLIENT, IPPROTO_UDP, part);

	put16(frame.bytes + 18, control >> 6);
	put16(frame.bytes + 20, offset | (control & 1 ? 0x2000 : 0));
	for (uint32_t i = 0; i < part; i++)
		frame.bytes[at + i] = take(data, size);
	finish_frame(&frame);
	submit(to_packet(&frame, FROM_CLIENT, 0));
}

/* What is said in the receiver's name must not claim more than it has. */
static void check_answer(struct rte_mbuf *packet)
{
	static struct frame frame;
	struct decoded decoded;

	frame_from_mbuf(&frame, packet);
	if (decode_frame(frame.bytes, frame.size, &decoded) != DECODE_OK
		|| !checksum_is_right(&decoded))
		abort();
	if (decoded.protocol == IPPROTO_TCP && decoded.tcp_flags == TCP_ACK
		&& decoded.source_port == 80
		&& stream_before(START + receiver.next + 1, decoded.tcp_acknowledgement))
		abort();
}

static void raw(const uint8_t **data, size_t *size)
{
	static struct frame frame;

	frame.size = 14 + take(data, size);
	for (uint32_t i = 0; i < frame.size; i++)
		frame.bytes[i] = take(data, size);
	submit(to_packet(&frame, frame.bytes[0] & 2, frame.bytes[0] & 1 ? 61 : 0));
}

static void begin(void)
{
	memset(receiver.has, 0, sizeof(receiver.has));
	receiver.next = receiver.acknowledged = 0;
	send_tcp(FROM_CLIENT, TCP_SYN, START - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER - 1, START, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, START, SERVER, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ruleset *ruleset;
	uint64_t ahead_ns;

	if (!packet_pool && bench_start("inspect_fuzz") < 0)
		abort();
	/* Compiled once: it takes longer than all the rest. */
	if (bench_open(ruleset ? NULL : RULES, EVENTS) < 0)
		abort();
	if (ruleset)
		bench_builtin()->ruleset = ruleset;
	ruleset = bench_builtin()->ruleset;
	begin();
	while (size > 0) {
		switch (take(&data, &size) % 6) {
		case 0:
		case 1:
			client_segment(&data, &size);
			break;
		case 2:
			server_segment(&data, &size);
			break;
		case 3:
			fragment(&data, &size);
			break;
		case 4:
			raw(&data, &size);
			break;
		default:
			bench_forget_output();
			ahead_ns = (uint64_t)take(&data, &size) * CLOCK_NS_PER_MS;
			/* Some gaps' time is over. */
			inspect_chain->gap_timeout_ns =
				ahead_ns > 200 * CLOCK_NS_PER_MS ? 1 : CLOCK_NS_PER_S;
			inspect_chain_collect(
				inspect_chain, 0, clock_monotonic_ns() + ahead_ns, &bench_out);
		}
		receive();
	}
	for (uint16_t i = 0; i < inspect_workers[0]->injection_count; i++)
		check_answer(inspect_workers[0]->injections[i].packet);
	bench_builtin()->ruleset = NULL;
	bench_close();
	if (rte_mempool_in_use_count(packet_pool) != 0)
		abort();
	return 0;
}
