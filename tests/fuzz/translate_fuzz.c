/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection whose bytes are replaced by more and by fewer in both directions, while segments
 * are lost before and behind the inspector, late, and repeated with other borders (I3). Each end
 * reassembles by itself. What it reads must be the other's stream with all replacements, its
 * segments must never contradict each other, and no end may hear acknowledged what the other has
 * not.
 */
#include "base/clock.h"

#include "../unit/packet/inspect/bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES                                                                                      \
	"alert tcp any any -> any any (content:\"ab\"; replace:\"longer\"; sid:1;)\n"              \
	"alert tcp any any -> any any (content:\"cde\"; replace:\"-\"; sid:2;)\n"
#define STREAM_MAX 2048

static struct end {
	uint32_t start; /* of the sequence numbers that it sends */
	char stream[STREAM_MAX];
	uint32_t sent;      /* of stream, once at least */
	uint32_t acked;     /* what it heard */
	uint32_t peer_next; /* the sequence number that it expects */
	uint32_t peer_start;
	char received[STREAM_MAX * 8];
	bool has[STREAM_MAX * 8];
} ends[2]; /* client, server */

static uint8_t take(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++;
}

/* Of the first count bytes, what the other end should read. */
static uint32_t replaced(const struct end *end, uint32_t count, char *out)
{
	uint32_t size = 0;

	for (uint32_t i = 0; i < count;) {
		const char *at = end->stream + i;

		if (i + 2 <= end->sent && memcmp(at, "ab", 2) == 0) {
			if (i + 2 > count)
				break;
			memcpy(out + size, "longer", 6);
			size += 6;
			i += 2;
		} else if (i + 3 <= end->sent && memcmp(at, "cde", 3) == 0) {
			if (i + 3 > count)
				break;
			out[size++] = '-';
			i += 3;
		} else {
			out[size++] = *at;
			i++;
		}
	}
	return size;
}

static void check_received(const struct end *receiver, const struct end *sender)
{
	static char expected[STREAM_MAX * 8];
	uint32_t size = replaced(sender, sender->sent, expected);
	uint32_t next = receiver->peer_next - receiver->peer_start;

	if (next > size || memcmp(receiver->received, expected, next) != 0)
		abort();
}

static void check_acknowledged(const struct end *sender, const struct end *receiver)
{
	static char expected[STREAM_MAX * 8];

	if (sender->acked > sender->sent
		|| replaced(sender, sender->acked, expected)
			> receiver->peer_next - receiver->peer_start)
		abort();
}

static void receive(struct end *end, struct end *peer, const struct decoded *decoded)
{
	uint32_t acked = decoded->tcp_acknowledgement - end->start;

	if (acked > end->sent)
		abort();
	if (acked > end->acked)
		end->acked = acked;
	check_acknowledged(end, peer);
	for (uint32_t i = 0; i < decoded->payload_size; i++) {
		uint32_t at = decoded->tcp_sequence + i - end->peer_start;
		char byte = (char)decoded->frame[decoded->payload_offset + i];

		/* What it has acknowledged it does not read again. */
		if (stream_before(decoded->tcp_sequence + i, end->peer_next))
			continue;
		if (at >= sizeof(end->received) || (end->has[at] && end->received[at] != byte))
			abort();
		end->has[at] = true;
		end->received[at] = byte;
	}
	while (end->has[end->peer_next - end->peer_start])
		end->peer_next++;
	check_received(end, peer);
}

static void deliver(bool is_lost)
{
	static struct frame frame;
	struct decoded decoded;

	for (uint16_t i = 0; i < bench_out.pass_count && !is_lost; i++) {
		bool to_server;

		frame_from_mbuf(&frame, bench_out.pass[i]);
		if (decode_frame(frame.bytes, frame.size, &decoded) != DECODE_OK
			|| !checksum_is_right(&decoded))
			abort();
		to_server = decoded.destination_port == 80;
		receive(&ends[to_server], &ends[!to_server], &decoded);
	}
	bench_forget_output();
	while (inspect_workers[0]->injection_count > 0)
		rte_pktmbuf_free(inspect_workers[0]
					 ->injections[--inspect_workers[0]->injection_count]
					 .packet);
}

static void collect(bool is_lost)
{
	bench_forget_output();
	inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &bench_out);
	deliver(is_lost);
}

/* A segment may not cut what is to be replaced where it ends: that drops the connection. */
static uint32_t whole(const struct end *end, uint32_t to)
{
	for (uint32_t back = 1; back < 3 && back <= to; back++) {
		const char *at = end->stream + to - back;

		if (memcmp(at, "cde", 3) == 0)
			return to - back + 3;
		if (back == 1 && memcmp(at, "ab", 2) == 0)
			return to + 1;
	}
	return to;
}

static void send_from(unsigned int who, uint32_t from, uint32_t to, uint8_t control)
{
	struct end *end = &ends[who];
	/* Now and then an acknowledgement of the past. */
	uint32_t next = control & 4 && end->peer_next != end->peer_start ? end->peer_next - 1
									 : end->peer_next;

	send_segment((struct segment){.from_client = who == 0,
		.flags = TCP_ACK,
		.sequence = end->start + from,
		.acknowledgement = next,
		.payload = end->stream + from,
		.size = to - from,
		.split = control & 8 ? 60 : 0});
	deliver(control & 1);
}

static void send_new(const uint8_t **data, size_t *size, unsigned int who, uint8_t control)
{
	static const char letters[] = "abcde.ab";
	struct end *end = &ends[who];
	uint32_t from = end->sent, count = 1 + take(data, size) % 48;

	if (from + count + 4 > STREAM_MAX)
		return;
	for (uint32_t i = 0; i < count; i++)
		end->stream[from + i] = letters[take(data, size) % 8];
	/* Nor may it end with what could become one. */
	end->stream[from + count - 1] = '.';
	end->sent += count;
	if (!(control & 2)) /* else lost on its way to us */
		send_from(who, from, end->sent, control);
}

static void send_again(const uint8_t **data, size_t *size, unsigned int who, uint8_t control)
{
	struct end *end = &ends[who];
	uint32_t from = end->acked + take(data, size), to = from + 1 + take(data, size) % 100;

	if (control & 2)
		from = end->acked;
	if (from >= end->sent)
		return;
	to = whole(end, RTE_MIN(to, end->sent));
	if (from < to)
		send_from(who, from, to, control);
}

static void begin(uint8_t control)
{
	memset(ends, 0, sizeof(ends));
	ends[0].start = ends[1].peer_start = ends[1].peer_next = control & 1 ? 0u - 100 : 1000;
	ends[1].start = ends[0].peer_start = ends[0].peer_next = control & 2 ? 0u - 300 : 9000;
	send_tcp(FROM_CLIENT, TCP_SYN, ends[0].start - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, ends[1].start - 1, ends[0].start, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, ends[0].start, ends[1].start, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ruleset *ruleset;

	if (!packet_pool && bench_start("translate_fuzz") < 0)
		abort();
	if (bench_open_keeping(&ruleset, RULES, NULL) < 0)
		abort();
	begin(take(&data, &size));
	while (size > 0) {
		uint8_t control = take(&data, &size);
		unsigned int who = control >> 7;

		if ((control >> 5 & 3) < 2)
			send_new(&data, &size, who, control);
		else if ((control >> 5 & 3) == 2)
			send_again(&data, &size, who, control);
		else
			collect(control & 1);
	}
	bench_close_keeping();
	if (rte_mempool_in_use_count(packet_pool) != 0)
		abort();
	return 0;
}
