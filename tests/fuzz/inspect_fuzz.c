/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sequence of frames through the builtin inspector: raw ones, fragments, and whatever segments an
 * attacker may send into TCP connections. What the inspector lets through goes to a receiver
 * that reassembles by itself. It must never get two versions of a byte
 * that it has not acknowledged, whichever it prefers; it must never be able to read the word that
 * the rules forbid; nothing is let through beyond a gap; and no buffer may be lost.
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
#define CONNECTIONS 2 /* client ports from 40000 on; the second one is picked up midway */
#define START       1000u
#define SERVER      9000u
#define STREAM_SIZE 65536u

/* What the server would read: the first version of each byte, since it keeps what it has. */
static struct {
	uint8_t bytes[STREAM_SIZE];
	bool has[STREAM_SIZE];
	uint32_t next, acknowledged;
} receiver;

/* Of the first byte of an input. */
enum mode {
	MODE_PASS = 1 << 0,    /* on-failure */
	MODE_FORWARD = 1 << 1, /* stream-order */
	MODE_BYPASS = 1 << 2,  /* after some bytes */
};
static uint8_t mode;

/* Where what was let through ends, of each side of each connection. Nothing may begin behind. */
static struct direction {
	bool is_known, has_start;
	uint32_t next;
} directions[CONNECTIONS][FLOW_SIDES];
static uint64_t excuses, new_excuses;

/* What the receiver has of a datagram in fragments; they are let through in their order. */
static struct frame datagram;

static uint8_t take(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++;
}

/* ---- the order of what is let through ---- */

/* A stream begins, or begins anew: where, the engine says. */
static void note_beginning(const struct stream *stream, struct direction *direction)
{
	if (stream->flags & STREAM_IS_SYNCED)
		*direction = (struct direction){.is_known = true,
			.has_start = stream->flags & STREAM_HAS_START,
			.next = stream->next};
}

/* What somebody decided to let go on all the same makes a new beginning. */
static void heed_excuses(void)
{
	const struct builtin_counters *counters = &bench_builtin()->workers[0]->counters;
	uint64_t now =
		counters->gaps_given_up + counters->bypassed + inspect_workers[0]->failures_passed;

	new_excuses = now - excuses;
	if (new_excuses > 0)
		memset(directions, 0, sizeof(directions));
	excuses = now;
}

static void check_order(const struct decoded *decoded)
{
	bool from_client = decoded->destination_port == 80;
	uint32_t port = from_client ? decoded->source_port : decoded->destination_port;
	struct direction *sides = directions[(port - 40000) % CONNECTIONS];
	struct direction *own = &sides[from_client ? FLOW_CLIENT : FLOW_SERVER];
	struct direction *peer = &sides[from_client ? FLOW_SERVER : FLOW_CLIENT];
	uint32_t end = tcp_payload_sequence(decoded) + decoded->payload_size;
	enum flow_side sender; /* for the engine, who spoke first is the client */
	const struct flow *flow =
		flow_table_find(bench_builtin()->workers[0]->flows, decoded, BENCH_VLAN, &sender);

	if (port - 40000 >= CONNECTIONS || (mode & MODE_FORWARD)
		|| (!from_client && decoded->source_port != 80))
		return;
	if (flow && (decoded->tcp_flags & TCP_SYN)) {
		note_beginning(&flow->streams[sender], own);
		note_beginning(&flow->streams[flow_other_side(sender)], peer);
	}
	if ((decoded->tcp_flags & (TCP_ACK | TCP_RST | TCP_SYN)) != TCP_ACK)
		return;
	if (peer->is_known && !peer->has_start
		&& stream_before(peer->next, decoded->tcp_acknowledgement))
		peer->next = decoded->tcp_acknowledgement;
	if ((decoded->payload_size == 0 && !(decoded->tcp_flags & TCP_FIN)) || !flow
		|| flow->verdict == FLOW_PASS)
		return;
	/* Of one stream, several gaps may have been given up at once. */
	if (own->is_known && stream_before(own->next, tcp_payload_sequence(decoded))
		&& new_excuses-- == 0)
		abort(); /* beyond a gap */
	/* The first one behind an excuse may be old. */
	if (!own->is_known)
		own->next = flow->streams[sender].next;
	if (stream_before(own->next, end) || !(flow->streams[sender].flags & STREAM_IS_SYNCED))
		own->next = end;
	own->is_known = true;
}

/* ---- the receiver ---- */

/* Puts the frame behind the others of its datagram; whether that is whole, in *frame then. */
static bool reassemble(struct frame *frame, const struct decoded *decoded)
{
	bool more = frame->bytes[decoded->l3_offset + 6] & 0x20;

	if (decoded->fragment_offset == 0)
		datagram = *frame;
	else if (datagram.size != 34u + decoded->fragment_offset
		|| memcmp(datagram.bytes + 18, frame->bytes + 18, 2) != 0)
		return false;
	else
		memcpy(datagram.bytes + datagram.size, frame->bytes + 34, frame->size - 34);
	if (decoded->fragment_offset)
		datagram.size += frame->size - 34;
	if (more)
		return false;
	*frame = datagram;
	put16(frame->bytes + 16, frame->size - 14);
	put16(frame->bytes + 20, 0);
	put16(frame->bytes + 24, 0);
	put16(frame->bytes + 24, ~plain_sum(frame->bytes + 14, 20, 0) & 0xffff);
	return true;
}

static void read_payload(const struct frame *frame, const struct decoded *decoded)
{
	for (uint32_t j = 0; j < decoded->payload_size; j++) {
		uint32_t at = decoded->tcp_sequence + j - START;
		uint8_t byte = frame->bytes[decoded->payload_offset + j];

		if (at >= STREAM_SIZE)
			continue;
		if (receiver.has[at] && at >= receiver.acknowledged && receiver.bytes[at] != byte
			&& !(mode & (MODE_PASS | MODE_BYPASS)))
			abort(); /* another version */
		if (receiver.has[at])
			continue;
		receiver.has[at] = true;
		receiver.bytes[at] = byte;
	}
	while (receiver.next < STREAM_SIZE && receiver.has[receiver.next])
		receiver.next++;
}

static void receive(void)
{
	static struct frame frame;
	struct decoded decoded;

	heed_excuses();
	for (uint16_t i = 0; i < bench_out.pass_count; i++) {
		frame_from_mbuf(&frame, bench_out.pass[i]);
		decode_frame(frame.bytes, frame.size, &decoded);
		if (decoded.is_fragment && decoded.ip_version == 4 && decoded.l3_offset == 14
			&& decoded.ip_payload_offset == 34 && reassemble(&frame, &decoded))
			decode_frame(frame.bytes, frame.size, &decoded);
		if (decoded.malformed != DECODE_OK || decoded.protocol != IPPROTO_TCP
			|| decoded.is_fragment || !checksum_is_right(&decoded))
			continue;
		check_order(&decoded);
		if (decoded.destination_port == 80 && decoded.source_port == 40000
			&& (decoded.tcp_flags & (TCP_ACK | TCP_RST | TCP_SYN)) == TCP_ACK)
			read_payload(&frame, &decoded);
	}
	if (!(mode & (MODE_PASS | MODE_BYPASS)) && memmem(receiver.bytes, receiver.next, "EVIL", 4))
		abort();
}

/* ---- what is sent ---- */

/* In two fragments, in either order. */
static void send_cut(const struct segment *segment, uint8_t how)
{
	static struct frame pieces[2];

	cut_segment(segment, how & 2 ? 8 : 16, pieces);
	for (int i = 0; i < 2; i++) {
		struct frame *piece = &pieces[(i + how) % 2];

		put16(piece->bytes + 18, how >> 2);
		finish_frame(piece);
		submit(to_packet(piece, segment->from_client, 0));
		receive();
	}
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
	segment.payload = segment.size ? payload : NULL;
	segment.client_port = control & 128 ? 40001 : 40000;
	if (control & 64)
		send_cut(&segment, take(data, size));
	else
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

	segment.client_port = control & 2 ? 40001 : 40000;
	if (!(control & 3))
		receiver.acknowledged = receiver.next;
	if (control & 4) {
		segment.sequence += take(data, size) % 32;
		segment.payload = &"a page of some size"[take(data, size) % 16];
	}
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
		&& decoded.source_port == 80 && decoded.destination_port == 40000
		&& !(mode & MODE_PASS)
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
	memset(directions, 0, sizeof(directions));
	datagram.size = 0;
	excuses = new_excuses = 0;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] =
		mode & MODE_PASS ? FAILURE_PASS : FAILURE_DROP;
	inspect_chain->bypass_after = inspect_chain->bypass_least = mode & MODE_BYPASS ? 512 : 0;
	bench_builtin()->settings->forwards_early = mode & MODE_FORWARD;
	send_tcp(FROM_CLIENT, TCP_SYN, START - 1, 0, NULL);
	receive();
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER - 1, START, NULL);
	receive();
	send_tcp(FROM_CLIENT, TCP_ACK, START, SERVER, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ruleset *ruleset;
	uint64_t ahead_ns;

	if (!packet_pool && bench_start("inspect_fuzz") < 0)
		abort();
	if (bench_open_keeping(&ruleset, RULES, EVENTS) < 0)
		abort();
	mode = take(&data, &size);
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
	bench_close_keeping();
	if (rte_mempool_in_use_count(packet_pool) != 0)
		abort();
	return 0;
}
