/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/order.h"

#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/answer.h"
#include "packet/inspect/builtin/tcp.h"
#include "packet/inspect/builtin/translate.h"
#include "packet/inspect/inspect.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <string.h>

#define TCP_HEADER_SIZE    20
#define OPTIONS_SIZE_MAX   40
#define TIMESTAMPS_ALIGNED 0x0101080au /* RFC 7323 appendix A */
#define SACK_ALIGNED       0x01010500u /* the size is its last byte */

/* A segment waits at most for so many gap timeouts: gaps may follow each other. */
#define GAPS_MAX 4

static struct held_list *list_of(struct job *job)
{
	struct held_list *list = &job->own->held;

	/* The owner is known after creation only, and the limits may change. */
	list->holds = inspect_workers[job->worker]->holds;
	list->owner = job->builtin->base.owner;
	list->segments_max = hold_limit(list->holds) / 2; /* others hold packets as well */
	list->buffers_max = packet_pool->size / 4 / job->builtin->worker_count;
	return list;
}

static enum failure_policy policy_of(struct rte_mbuf *packet)
{
	return inspect_failure_policy(publish_read(&inspect_chain), packet);
}

/* ---- answers in the receiver's name ---- */

/* Adjoining held segments as blocks; the one that covers `recent` first (RFC 2018 section 4). */
static uint32_t put_blocks(
	const struct held_queue *queue, uint32_t recent, uint32_t max, uint8_t *out)
{
	uint32_t count = 0, size;

	for (uint16_t i = 0; i < queue->count;) {
		uint32_t from = queue->segments[i].from, to = queue->segments[i].to;
		bool is_recent;

		for (i++; i < queue->count && !stream_before(to, queue->segments[i].from); i++)
			if (stream_before(to, queue->segments[i].to))
				to = queue->segments[i].to;
		is_recent = !stream_before(recent, from) && stream_before(recent, to);
		if (count == max && !is_recent)
			continue;
		if (is_recent)
			memmove(out + 8, out, (count < max ? count : max - 1) * 8);
		size = is_recent ? 0 : count * 8;
		network_store32(out + size, from);
		network_store32(out + size + 4, to);
		count += count < max;
	}
	return count;
}

static uint32_t put_options(const struct decoded *decoded, const struct stream *stream,
	const struct stream *receiver, uint8_t *out)
{
	uint32_t size = 0, count;

	if (receiver->flags & STREAM_HAS_TIMESTAMPS) {
		network_store32(out, TIMESTAMPS_ALIGNED);
		network_store32(out + 4, receiver->timestamp);
		network_store32(out + 8, receiver->timestamp_echo);
		size = 12;
	}
	if (!stream->held || !(stream->flags & receiver->flags & STREAM_HAS_SACK))
		return size;
	count = put_blocks(stream->held, tcp_payload_sequence(decoded),
		(OPTIONS_SIZE_MAX - size - 4) / 8, out + size + 4);
	network_store32(out + size, SACK_ALIGNED | (2 + count * 8));
	return size + 4 + count * 8;
}

uint32_t order_build_acknowledgement(const struct decoded *decoded, const struct stream *stream,
	const struct stream *receiver, uint8_t *out)
{
	uint8_t options[OPTIONS_SIZE_MAX + 8];
	uint32_t size, at;
	uint8_t *tcp;

	if (!answer_is_allowed(decoded) || !(decoded->tcp_flags & TCP_ACK)
		|| !(stream->flags & STREAM_HAS_ACK) || !(receiver->flags & STREAM_HAS_WINDOW))
		return 0;
	size = put_options(decoded, stream, receiver, options);
	at = answer_put_headers(decoded, true, IPPROTO_TCP, TCP_HEADER_SIZE + size, out);
	tcp = out + at;
	memset(tcp, 0, TCP_HEADER_SIZE);
	network_store16(tcp, decoded->destination_port);
	network_store16(tcp + 2, decoded->source_port);
	network_store32(tcp + 4, decoded->tcp_acknowledgement);
	/* The receiver's own word again. That it has what was let through since, nobody knows. */
	network_store32(tcp + 8, stream->acked);
	tcp[12] = (uint8_t)((TCP_HEADER_SIZE + size) / 4 << 4);
	tcp[13] = TCP_ACK;
	network_store16(tcp + 14, receiver->offered);
	memcpy(tcp + TCP_HEADER_SIZE, options, size);
	answer_finish(out, at + TCP_HEADER_SIZE + size);
	return at + TCP_HEADER_SIZE + size;
}

static void acknowledge(uint16_t worker, struct flow *flow, enum flow_side side,
	const struct decoded *decoded, struct rte_mbuf *held)
{
	struct stream *stream = &flow->streams[side];
	const struct stream *receiver = &flow->streams[flow_other_side(side)];
	struct decoded own = *decoded;
	uint8_t frame[ORDER_FRAME_SIZE];
	uint32_t size;

	translate_answer(flow, side, ANSWER_TO_SOURCE, &own);
	static_assert(ANSWER_HEADERS_MAX + ANSWER_IPV6_HEADER + TCP_HEADER_SIZE + OPTIONS_SIZE_MAX
			<= ORDER_FRAME_SIZE,
		"the largest answer fits");
	size = order_build_acknowledgement(&own, stream, receiver, frame);
	answer_send(worker, held, frame, size, ANSWER_TO_SOURCE);
	if (size > 0 && (stream->flags & receiver->flags & STREAM_HAS_SACK))
		stream->held->is_told = true;
}

/* Whether a cumulative acknowledgement up to there would say that something is missing which its
 * addressee was told of selectively. */
static bool is_in_told(const struct stream *stream, uint32_t acknowledged)
{
	return (stream->flags & STREAM_HAS_TOLD) && !stream_before(acknowledged, stream->told_from)
		&& stream_before(acknowledged, stream->told_to);
}

/*
 * What lies between the receiver's last acknowledgement and the gap is on its way to it. A sender
 * that is told of bytes behind it takes it for lost, too, and repeats all of that. So from the
 * second held segment on it is told when the receiver has acknowledged up to the gap; and also of
 * the first, while the receiver's acknowledgement is among what the sender was told of before.
 */
static void answer_or_wait(struct job *job, struct rte_mbuf *held)
{
	struct stream *stream = job->stream;

	if ((stream->held->count > 1 && stream_before(stream->acked, stream->next))
		|| is_in_told(stream, stream->acked)) {
		stream->held->is_answer_due = true;
		return;
	}
	acknowledge(job->worker, job->flow, job->side, &job->decoded, held);
}

/* By the latest segment that waits: its block is the first. */
static void answer_late(struct job *job, struct flow *flow, enum flow_side side)
{
	struct held_queue *queue = flow->streams[side].held;
	struct decoded decoded;
	struct rte_mbuf *held;

	if (stream_before(flow->streams[side].acked, flow->streams[side].next))
		return;
	queue->is_answer_due = false;
	held = hold_find(job->own->held.holds, queue->segments[queue->count - 1].handle,
		job->own->held.owner);
	if (!held)
		return;
	decode_headers(rte_pktmbuf_mtod(held, const uint8_t *), rte_pktmbuf_data_len(held),
		rte_pktmbuf_pkt_len(held), &decoded);
	acknowledge(job->worker, flow, side, &decoded, held);
}

/* ---- holding ---- */

bool order_must_wait(const struct job *job)
{
	const struct decoded *decoded = &job->decoded;

	return stream_before(job->stream->next, tcp_payload_sequence(decoded))
		&& (decoded->payload_size > 0 || (decoded->tcp_flags & TCP_FIN))
		&& !(decoded->tcp_flags & TCP_RST) && !job->settings->forwards_early
		&& !(job->stream->flags & STREAM_IS_BEYOND) && job->flow->verdict == FLOW_INSPECT;
}

/* What came first counts; what comes now is made the same where they overlap. */
static bool unify(struct job *job, const struct held_segment *segment)
{
	uint32_t end = segment->from + job->decoded.payload_size;

	if (!job->stream->held || !held_overlaps(job->stream->held, segment->from, end))
		return true;
	if (!job_can_change(job))
		return false;
	if (held_overlay(&job->own->held, job->stream->held, segment->from, end,
		    job->frame + job->decoded.payload_offset)) {
		job_finish_change(job);
		builtin_count(&job->own->counters.rewritten);
		job_emit_anomaly(job, "stream.reassembly_overlap_different_data");
	}
	return true;
}

static enum held_outcome add(struct job *job, const struct held_segment *segment)
{
	bool is_first = !job->stream->held;
	struct rte_mbuf *packet = *job->packet;
	enum held_outcome outcome =
		held_add(&job->own->held, &job->stream->held, packet, segment, job->now_ns);

	if (outcome == HELD_TAKEN)
		packet_metadata(packet)->flags |= PACKET_IS_IN_STREAM;
	if (outcome == HELD_TAKEN && is_first) {
		job->stream->held->flow = job->flow;
		job->stream->held->side = (uint8_t)job->side;
		job->stream->held->gap = job->stream->next;
		job->stream->held->since_ns = job->now_ns;
	}
	return outcome;
}

enum verdict order_hold(struct job *job)
{
	const struct decoded *decoded = &job->decoded;
	bool has_fin = decoded->tcp_flags & TCP_FIN;
	struct held_segment segment = {.from = tcp_payload_sequence(decoded),
		.payload_offset = (uint16_t)decoded->payload_offset,
		.has_fin = has_fin};
	struct rte_mbuf *packet;

	segment.to = segment.from + decoded->payload_size + has_fin;
	list_of(job);
	if (stream_is_outside(job->stream, segment.from, decoded->payload_size)) {
		builtin_count(&job->own->counters.stream_outside);
		job_emit_anomaly(job, "stream.est_packet_out_of_window");
		return job_drop(job, DROP_stream_window);
	}
	/* A datagram in fragments is not one packet: its sender has to repeat it. */
	if (job->is_datagram || !unify(job, &segment))
		return job_drop(job, DROP_stream_gap);
	packet = *job->packet;
	switch (add(job, &segment)) {
	case HELD_TAKEN:
		builtin_count(&job->own->counters.held);
		answer_or_wait(job, packet);
		return VERDICT_HELD;
	case HELD_REPEATED:
		return job_drop(job, DROP_stream_repeated);
	case HELD_FULL:
		break;
	}
	builtin_count(&job->own->counters.stream_no_memory);
	return job_drop(job, DROP_stream_gap);
}

/* ---- going on ---- */

static struct rte_mbuf *take_next(struct job *job, const struct flow *flow, struct stream *stream)
{
	if (flow->verdict != FLOW_INSPECT || (stream->flags & STREAM_IS_BEYOND))
		return held_take_any(&job->own->held, &stream->held);
	return held_take_due(&job->own->held, &stream->held, stream->next);
}

/* What the receiver keeps as the stream's timestamp (RFC 7323 section 4.3) when it gets this. */
static void note_timestamp(struct job *job)
{
	struct stream *stream = &job->flow->streams[job->side];
	uint32_t at, timestamp;

	if (!(stream->flags & STREAM_HAS_TIMESTAMPS)
		|| stream_before(stream->next, job->decoded.tcp_sequence))
		return;
	at = tcp_timestamp_at(&job->decoded);
	if (at == 0)
		return;
	timestamp = network_load32(job->frame + at);
	if ((stream->flags & STREAM_HAS_NEWEST) && stream_before(timestamp, stream->newest))
		return;
	stream->newest = timestamp;
	stream->flags |= STREAM_HAS_NEWEST;
}

/*
 * The segment that closed the gap was sent later than those that waited behind it, so its receiver
 * would take these for duplicates of an earlier time, and discard them (PAWS: RFC 7323 section 5).
 * They get its timestamp, which the receiver would echo for all of them, too, had it had them
 * first.
 */
static void renew_timestamp(struct job *job)
{
	const struct stream *stream = &job->flow->streams[job->side];
	uint32_t at = tcp_timestamp_at(&job->decoded);

	if (at == 0 || !(stream->flags & STREAM_HAS_NEWEST)
		|| !stream_before(network_load32(job->frame + at), stream->newest)
		|| !job_can_change(job))
		return;
	network_store32(job->frame + at, stream->newest);
	job_finish_change(job);
}

static enum verdict inspect_again(struct job *job, struct rte_mbuf **packet)
{
	job_open(job, packet);
	packet_metadata(*packet)->flags &= (uint16_t)~PACKET_IS_IN_STREAM;
	if (job->flow->verdict == FLOW_DROP)
		return job_drop(job, DROP_inspect_flow);
	renew_timestamp(job);
	if (job->flow->verdict == FLOW_PASS)
		return VERDICT_PASS;
	return order_settle(job, job_inspect_segment(job), false);
}

/* The next gap gets its time, as far as those that have waited long already have it. */
static void begin_gap(struct job *job, struct stream *stream)
{
	uint64_t timeout_ns = publish_read(&inspect_chain)->gap_timeout_ns;
	uint64_t age_ns = held_age_ns(stream->held, job->now_ns);
	uint64_t spent_ns = 0;

	if (age_ns > (GAPS_MAX - 1) * timeout_ns)
		spent_ns = RTE_MIN(age_ns - (GAPS_MAX - 1) * timeout_ns, timeout_ns);
	stream->held->gap = stream->next;
	stream->held->since_ns = job->now_ns - spent_ns;
	list_remove(&stream->held->link);
	list_append(&job->own->held.queues, &stream->held->link);
}

/* What was told of and is acknowledged in pieces now: see order_withholds(). */
static void note_told(struct stream *stream, uint32_t from)
{
	if (!stream_before(from, stream->next))
		return;
	if (!(stream->flags & STREAM_HAS_TOLD))
		stream->told_from = from;
	stream->told_to = stream->next;
	stream->flags |= STREAM_HAS_TOLD;
}

static void release(struct job *job, struct flow *flow, enum flow_side side)
{
	struct stream *stream = &flow->streams[side];
	bool is_told = stream->held->is_told;
	uint32_t from = stream->held->segments[0].from;
	struct rte_mbuf *packet;

	while (stream->held && job_ready_room(job->own) > 0
		&& (packet = take_next(job, flow, stream))) {
		enum verdict verdict;

		job->flow = flow;
		job->side = side;
		verdict = translate_out(job, inspect_again(job, &packet));
		if (verdict == VERDICT_HELD)
			continue;
		job_make_ready(job->own, packet, verdict);
		flow->ready_until = job->own->ready_head;
	}
	if (is_told)
		note_told(stream, from);
	if (stream->held && stream->held->gap != stream->next)
		begin_gap(job, stream);
}

/* The sender repeats some of it: it does not rely on what it was told. */
static bool is_repetition_of_told(const struct stream *stream, const struct decoded *decoded)
{
	return decoded->payload_size > 0 && is_in_told(stream, tcp_payload_sequence(decoded));
}

bool order_withholds(struct job *job)
{
	const struct decoded *decoded = &job->decoded;
	struct stream *own = &job->flow->streams[job->side];
	struct stream *peer = &job->flow->streams[flow_other_side(job->side)];
	uint32_t sack_size;

	if (is_repetition_of_told(own, decoded))
		own->flags &= (uint16_t)~STREAM_HAS_TOLD;
	if (!(decoded->tcp_flags & TCP_ACK) || !is_in_told(peer, decoded->tcp_acknowledgement))
		return false;
	if (decoded->tcp_flags == TCP_ACK && decoded->payload_size == 0
		&& stream_before(peer->acked, decoded->tcp_acknowledgement)
		&& !tcp_find_sack(decoded, &sack_size))
		return true;
	peer->flags &= (uint16_t)~STREAM_HAS_TOLD;
	return false;
}

enum verdict order_settle(struct job *job, enum verdict verdict, bool is_withheld)
{
	if (verdict == VERDICT_HELD || verdict == VERDICT_DROP || verdict == VERDICT_FAILED)
		return verdict;
	if (is_withheld)
		return job_drop(job, DROP_stream_acknowledged);
	note_timestamp(job);
	return verdict;
}

/* The receiver acknowledges what was picked up midway, and never seen here: it has it. */
static void skip_acknowledged(struct job *job, struct flow *flow, enum flow_side side)
{
	struct stream *stream = &flow->streams[side];

	if (!(stream->flags & STREAM_HAS_START) && (stream->flags & STREAM_HAS_ACK)
		&& stream_before(stream->next, stream->acked))
		stream_sync(stream, flow_table_arena(job->own->flows), stream->acked, false);
}

/* Others of the flow are ready and not collected: this packet goes behind them. Where there is no
 * room its sender has to repeat it, as what must not overtake. */
static enum verdict queue_up(struct job *job, enum verdict verdict)
{
	if (job_ready_room(job->own) == 0)
		return job_drop(job, DROP_stream_gap);
	job_make_ready(job->own, *job->packet, verdict);
	job->flow->ready_until = job->own->ready_head;
	return VERDICT_HELD;
}

enum verdict order_follow(struct job *job, enum verdict verdict)
{
	struct flow *flow = job->flow;

	if (likely(!flow->streams[0].held && !flow->streams[1].held
		    && (int32_t)(flow->ready_until - job->own->ready_tail) <= 0))
		return verdict;
	if ((int32_t)(flow->ready_until - job->own->ready_tail) > 0 && verdict != VERDICT_HELD)
		verdict = queue_up(job, verdict);
	list_of(job);
	for (int side = 0; side < FLOW_SIDES; side++) {
		if (!flow->streams[side].held)
			continue;
		skip_acknowledged(job, flow, (enum flow_side)side);
		release(job, flow, (enum flow_side)side);
		if (flow->streams[side].held && flow->streams[side].held->is_answer_due)
			answer_late(job, flow, (enum flow_side)side);
	}
	return verdict;
}

static void discard(struct builtin_worker *own, struct stream *stream, enum verdict verdict,
	enum drop_reason reason)
{
	struct rte_mbuf *packet;

	while ((packet = held_take_any(&own->held, &stream->held))) {
		if (job_ready_room(own) == 0) {
			rte_pktmbuf_free(packet);
			continue;
		}
		drop_mark(packet, reason);
		job_make_ready(own, packet, verdict);
	}
}

void order_forget(void *context, struct flow *flow)
{
	for (int side = 0; side < FLOW_SIDES; side++)
		if (flow->streams[side].held)
			discard(context, &flow->streams[side], VERDICT_DROP, DROP_stream_gap);
}

static void give_up(struct job *job, struct held_queue *queue)
{
	struct flow *flow = queue->flow;
	enum flow_side side = queue->side;
	struct stream *stream = &flow->streams[side];
	struct held_segment *first = &queue->segments[0];
	struct rte_mbuf *packet =
		hold_find(job->own->held.holds, first->handle, job->own->held.owner);

	builtin_count(&job->own->counters.gaps_given_up);
	/* What a stream that was picked up midway had before nobody can tell. */
	if (!packet || ((stream->flags & STREAM_HAS_START) && policy_of(packet) != FAILURE_PASS)) {
		discard(job->own, stream, packet ? VERDICT_FAILED : VERDICT_DROP, DROP_stream_gap);
		return;
	}
	stream_sync(stream, flow_table_arena(job->own->flows), first->from, false);
	memset(&flow->detect_streams[side], 0, sizeof(flow->detect_streams[side]));
	release(job, flow, side);
}

void order_expire(struct job *job)
{
	const struct inspect_chain *chain = publish_read(&inspect_chain);
	struct held_list *list = list_of(job);

	while (!list_is_empty(&list->queues) && job_ready_room(job->own) > HELD_SEGMENTS_MAX) {
		struct held_queue *oldest = list_entry(list->queues.next, struct held_queue, link);

		if (job->now_ns < oldest->since_ns + chain->gap_timeout_ns)
			return;
		give_up(job, oldest);
	}
}
