/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/translate.h"

#include "packet/engine/drop.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/order.h"
#include "packet/inspect/builtin/reject.h"
#include "packet/inspect/builtin/resize.h"
#include "packet/inspect/builtin/tcp.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"
#include "wire/checksum.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <string.h>

#define TCP_HEADER_SIZE  20
#define TCP_CHECKSUM_AT  16
#define IPV4_HEADER_SIZE 20
#define IPV6_HEADER_SIZE 40
#define IP_SIZE_MAX      65535
#define MSS_DEFAULT      536   /* RFC 9293 section 3.7.1 */
#define PIECES_MAX       256   /* that one segment may become */
#define PATH_MTU_MIN_V4  552u  /* as Linux (ip_rt_min_pmtu) */
#define PATH_MTU_MIN_V6  1280u /* RFC 8200 section 5 */

static_assert(BUILTIN_RESIZED_MAX >= PACKET_BYTES_MAX + TRANSLATE_STEP_MAX,
	"the largest segment with the most that it may add; what a repetition of several makes may "
	"be "
	"larger, and is refused");

/* ---- headers in place ---- */

static bool may_write(struct job *job)
{
	/* A datagram's pieces stay as they are: what goes on is made from the frame. */
	return job->is_datagram || job_can_change(job);
}

static void write_back(struct job *job, uint32_t offset, uint32_t size)
{
	if (job->is_copied && !job->is_datagram)
		packet_bytes_write(*job->packet, offset, job->frame + offset, size);
}

static void finish(struct job *job)
{
	if (job->is_datagram)
		checksum_repair(job->frame, &job->decoded);
	else
		job_finish_change(job);
}

/* A number of the TCP header, with what follows for the checksum (RFC 1624). */
static void put_number(struct job *job, uint32_t field_at, uint32_t value)
{
	uint32_t tcp_at = job->decoded.l4_offset;
	uint8_t *field = job->frame + tcp_at + field_at;
	uint8_t *checksum = job->frame + tcp_at + TCP_CHECKSUM_AT;
	uint32_t old = network_load32(field), sum;

	network_store32(field, value);
	write_back(job, tcp_at + field_at, 4);
	if (!job->is_datagram && packet_has_open_checksum(*job->packet))
		return;
	sum = (uint16_t)~network_load16(checksum);
	sum += (uint16_t) ~(old >> 16) + (uint32_t)(uint16_t)~old + (value >> 16)
		+ (value & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	network_store16(checksum, (uint16_t)~sum);
	write_back(job, tcp_at + TCP_CHECKSUM_AT, 2);
}

/* ---- in ---- */

/* The option's blocks as the sender of the data counts; those of which nothing is left go. */
static void map_blocks(const struct translate_map *map, uint8_t *option, uint32_t size)
{
	uint32_t kept = 2;

	for (uint32_t at = 2; at + 8 <= size; at += 8) {
		uint32_t from = network_load32(option + at), to = network_load32(option + at + 4);

		if (!translate_map_back_block(map, &from, &to))
			continue;
		network_store32(option + kept, from);
		network_store32(option + kept + 4, to);
		kept += 8;
	}
	option[1] = (uint8_t)kept;
	memset(option + (kept > 2 ? kept : 0), 1, size - (kept > 2 ? kept : 0));
}

/* Not by what only claims to be the receiver's word (tcp.c). */
static bool is_from_its_side(const struct job *job)
{
	const struct stream *peer = &job->flow->streams[flow_other_side(job->side)];

	return !(peer->flags & STREAM_HAS_INGRESS) || peer->ingress != job_ingress(*job->packet);
}

bool translate_in(struct job *job)
{
	struct translation *translation = job->flow->translation;
	uint32_t acknowledgement, blocks_at, size;
	struct translate_map *map;

	if (likely(!translation) || (job->decoded.tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_ACK)
		return true;
	map = &translation->maps[flow_other_side(job->side)];
	acknowledgement = translate_map_back(map, job->decoded.tcp_acknowledgement);
	blocks_at = tcp_find_sack(&job->decoded, &size);
	if (size <= 2)
		blocks_at = 0;
	if (acknowledgement != job->decoded.tcp_acknowledgement || blocks_at) {
		if (!may_write(job))
			return false;
		put_number(job, 8, acknowledgement);
		job->decoded.tcp_acknowledgement = acknowledgement;
	}
	if (blocks_at) {
		map_blocks(map, job->frame + blocks_at, size);
		finish(job);
	}
	if (is_from_its_side(job))
		translate_map_acknowledge(map, acknowledgement);
	return true;
}

/* ---- out ---- */

/* Payload that one packet may have: the path's MSS as both ends announced it, less this packet's
 * options (RFC 6691). What the sender itself sends fits anyway. */
static uint32_t payload_limit(const struct job *job, uint32_t size)
{
	const struct decoded *decoded = &job->decoded;
	const struct translation *translation = job->flow->translation;
	const struct stream *streams = job->flow->streams;
	uint32_t headers = decoded->payload_offset - decoded->l3_offset;
	uint32_t plain = decoded->ip_version == 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
	uint32_t mtu = RTE_MIN(translation->mtu_bytes - 1u, job->flow->path_mtu - 1u) + 1u;
	uint32_t limit = RTE_MIN(streams[0].mss - 1u, streams[1].mss - 1u) + 1u;

	if ((*job->packet)->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		uint32_t segment = (*job->packet)->tso_segsz; /* not 0: offload_validate() */

		limit = RTE_MIN((IP_SIZE_MAX - headers) / segment, (uint32_t)OFFLOAD_SEGMENTS_MAX)
			* segment;
		return RTE_MAX(limit, size / PIECES_MAX + 1);
	}
	limit = limit ? limit : MSS_DEFAULT;
	limit = limit + plain + TCP_HEADER_SIZE > headers
		? limit + plain + TCP_HEADER_SIZE - headers
		: 1;
	if (mtu > headers)
		limit = RTE_MIN(limit, mtu - headers);
	if (!job->is_datagram)
		limit = RTE_MAX(limit, decoded->payload_size);
	return RTE_MAX(limit, size / PIECES_MAX + 1);
}

/* Which piece of a segment is made. */
struct piece {
	uint32_t index, sequence, size;
	bool is_last;
};

/* The pointer is relative to the piece; where it lies before or far behind, there is none. */
static void put_urgent(const struct job *job, const struct piece *piece, uint8_t *tcp)
{
	const struct translate_map *map = &job->flow->translation->maps[job->side];
	uint32_t pointer;

	if (!(tcp[TCP_FLAGS_AT] & TCP_URG))
		return;
	pointer = translate_map_forward(
			  map, job->decoded.tcp_sequence + network_load16(tcp + TCP_URGENT_AT))
		- piece->sequence;
	if (pointer == 0 || pointer > UINT16_MAX) {
		tcp[TCP_FLAGS_AT] &= (uint8_t)~TCP_URG;
		pointer = 0;
	}
	network_store16(tcp + TCP_URGENT_AT, (uint16_t)pointer);
}

/* The payload is at frame + payload_offset already. */
static struct rte_mbuf *make_piece(
	const struct job *job, const struct piece *piece, uint8_t *frame, struct decoded *decoded)
{
	uint32_t size = job->decoded.payload_offset + piece->size;
	uint8_t *ip = frame + job->decoded.l3_offset, *tcp = frame + job->decoded.l4_offset;
	struct rte_mbuf *packet;

	memcpy(frame, job->frame, job->decoded.payload_offset);
	if (job->decoded.ip_version == 4) {
		network_store16(ip + 2, (uint16_t)(size - job->decoded.l3_offset));
		network_store16(ip + 4, (uint16_t)(network_load16(ip + 4) + piece->index));
	} else {
		network_store16(
			ip + 4, (uint16_t)(size - job->decoded.l3_offset - IPV6_HEADER_SIZE));
	}
	network_store32(tcp + 4, piece->sequence);
	put_urgent(job, piece, tcp);
	if (!piece->is_last)
		tcp[TCP_FLAGS_AT] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (piece->index > 0)
		tcp[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
	decode_frame(frame, size, decoded);
	checksum_repair(frame, decoded);
	packet = resize_make_packet(*job->packet, frame, size);
	if (packet && ((*job->packet)->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		&& piece->size > (*job->packet)->tso_segsz) {
		packet->ol_flags |= (*job->packet)->ol_flags & OFFLOAD_FLAGS;
		packet->tx_offload = (*job->packet)->tx_offload;
	}
	return packet;
}

/* Returns how many; 0: none, for *reason. */
static uint32_t make_pieces(struct job *job, struct rte_mbuf **pieces, enum drop_reason *reason)
{
	const struct translate_map *map = &job->flow->translation->maps[job->side];
	uint32_t offset = job->decoded.payload_offset, done = 0, count = 0, size, limit;
	uint32_t sequence = translate_map_forward(map, job->decoded.tcp_sequence);
	uint8_t *bytes = job->own->resized;
	struct decoded decoded;

	size = translate_map_apply(map, job->decoded.tcp_sequence,
		job->frame + job->decoded.payload_offset, job->decoded.payload_size, bytes + offset,
		BUILTIN_RESIZED_MAX - offset);
	*reason = DROP_stream_replaced;
	if (size == TRANSLATE_NO_ROOM)
		return 0;
	*reason = DROP_no_memory;
	limit = payload_limit(job, size);
	do {
		struct piece piece = {.index = count, .sequence = sequence + done};

		piece.size = RTE_MIN(limit, size - done);
		piece.is_last = done + piece.size == size;
		pieces[count] = make_piece(job, &piece, bytes + done, &decoded);
		if (!pieces[count]) {
			rte_pktmbuf_free_bulk(pieces, count);
			return 0;
		}
		count++;
		done += piece.size;
	} while (done < size);
	return count;
}

/* As packets of their own in the place of the one that came, or of a datagram's pieces. */
static enum verdict send_anew(struct job *job, enum verdict verdict)
{
	struct rte_mbuf *pieces[PIECES_MAX + 1];
	enum drop_reason reason;
	uint32_t count = make_pieces(job, pieces, &reason);

	if (count == 0)
		return job_drop(job, reason);
	builtin_count(&job->own->counters.resized);
	if (count == 1 && !job->is_datagram) {
		rte_pktmbuf_free(*job->packet);
		*job->packet = pieces[0];
		return verdict;
	}
	if (job_ready_room(job->own) < count) {
		rte_pktmbuf_free_bulk(pieces, count);
		return job_drop(job, DROP_inspect_overload);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (verdict == VERDICT_FAILED)
			drop_mark(pieces[i], packet_metadata(*job->packet)->drop_reason);
		job_make_ready(job->own, pieces[i], verdict);
	}
	job->flow->ready_until = job->own->ready_head;
	if (job->is_datagram)
		return job_drop(job, DROP_stream_fragment);
	rte_pktmbuf_free(*job->packet);
	return VERDICT_HELD;
}

static void note_sent(struct job *job)
{
	const struct decoded *decoded = &job->decoded;
	struct translation *translation = job->flow->translation;
	struct translate_map *map = &translation->maps[job->side];
	bool has_fin = decoded->tcp_flags & TCP_FIN;
	uint32_t end = decoded->tcp_sequence + decoded->payload_size + has_fin;

	if ((decoded->payload_size > 0 || has_fin) && stream_before(map->sent, end))
		map->sent = end;
	/* Where nobody else follows the connection. */
	if (job->flow->verdict != FLOW_PASS)
		return;
	translation->has_fin[job->side] |= has_fin;
	if ((translation->has_fin[FLOW_CLIENT] && translation->has_fin[FLOW_SERVER])
		|| ((decoded->tcp_flags & TCP_RST) && decoded->tcp_sequence == map->sent
			&& is_from_its_side(job)))
		flow_table_set_state(job->own->flows, job->flow, FLOW_CLOSED);
}

enum verdict translate_out(struct job *job, enum verdict verdict)
{
	const struct decoded *decoded = &job->decoded;
	const struct translate_map *map;
	uint32_t sequence;

	if (!job->flow || likely(!job->flow->translation) || job->is_about_flow
		|| verdict == VERDICT_HELD || verdict == VERDICT_DROP
		|| (decoded->tcp_flags & TCP_SYN))
		return verdict;
	/* An engine behind would see two ends that count differently. */
	if (verdict != VERDICT_FAILED)
		verdict = VERDICT_REPLACE;
	map = &job->flow->translation->maps[job->side];
	note_sent(job);
	if (job->is_datagram
		|| translate_map_touches(map, decoded->tcp_sequence, decoded->payload_size))
		return send_anew(job, verdict);
	sequence = translate_map_forward(map, decoded->tcp_sequence);
	if (sequence == decoded->tcp_sequence)
		return verdict;
	if (!may_write(job))
		return job_drop(job, DROP_no_memory);
	put_number(job, 4, sequence);
	return verdict;
}

/* ---- replacements ---- */

bool translate_has_room(const struct job *job)
{
	const struct translation *translation = job->flow->translation;

	return !translation
		|| translate_map_has_room(&translation->maps[job->side], DETECT_REPLACEMENTS_MAX);
}

/* The edges of our ports: no frame may leave that is larger. */
static uint32_t least_mtu(void)
{
	const struct port_table *table = publish_read(&port_table);
	uint32_t least = 0;

	for (uint16_t i = 0; table && i < table->count; i++) {
		uint32_t mtu = table->ports[i]
			? __atomic_load_n(&table->ports[i]->mtu_bytes, __ATOMIC_RELAXED)
			: 0;

		if (mtu && (!least || mtu < least))
			least = mtu;
	}
	return least;
}

static struct translation *begin(struct job *job)
{
	struct arena *arena = flow_table_arena(job->own->flows);
	struct translation *translation;
	size_t actual;

	translation = arena_take(arena, sizeof(*translation), &actual);
	if (!translation && flow_table_reclaim(job->own->flows))
		translation = arena_take(arena, sizeof(*translation), &actual);
	if (!translation)
		return NULL;
	memset(translation, 0, sizeof(*translation));
	translation->flow = job->flow;
	translation->mtu_bytes = least_mtu();
	for (int side = 0; side < FLOW_SIDES; side++) {
		const struct stream *stream = &job->flow->streams[side];

		translate_map_init(&translation->maps[side], stream->next,
			stream->flags & STREAM_HAS_ACK ? stream->acked : stream->next);
	}
	list_append(&job->own->translated, &translation->link);
	job->flow->translation = translation;
	return translation;
}

static void note_packet(struct translation *translation, const struct job *job)
{
	translation->side = job->side;
	translation->decoded = job->decoded;
	translation->metadata = *packet_metadata(*job->packet);
	memcpy(translation->headers, job->frame,
		RTE_MIN(job->decoded.l3_offset, (uint32_t)ANSWER_HEADERS_MAX));
}

/* Both ends have to be heard, and nothing of the stream may have gone ahead with other numbers. */
static bool is_possible(const struct job *job)
{
	const struct detect_result *result = &job->result;
	uint32_t size = 0, end = 0;

	if (job->is_datagram || !job->stream || job->step.result != STREAM_NEW
		|| (job->decoded.tcp_flags & TCP_SYN)
		|| (job->stream->flags & (STREAM_HAS_ACK | STREAM_HAS_FIN)) != STREAM_HAS_ACK
		|| stream_has_early(job->stream)
		|| packet_metadata(*job->packet)->origin.kind == ORIGIN_REMOTE)
		return false;
	for (uint16_t i = 0; i < result->replacement_count; i++) {
		const struct detect_replacement *edit = &result->replacements[i];

		if (edit->offset < end || edit->offset > job->decoded.payload_size
			|| edit->size > job->decoded.payload_size - edit->offset)
			return false;
		end = edit->offset + edit->size;
		size += edit->new_size;
		if (size > TRANSLATE_STEP_MAX)
			return false;
	}
	return true;
}

/* What the rules look back upon, and what a repetition is compared with: what fits of the new
 * bytes. A segment with any of it goes out with all of them (translate_map_apply()). */
static bool fill_in(struct job *job, const struct detect_replacement *edit)
{
	uint8_t *bytes = job->own->resized;

	memset(bytes, 0, edit->size);
	memcpy(bytes, edit->bytes, RTE_MIN(edit->size, edit->new_size));
	if (!stream_edit(job->stream, &job->step, edit->offset, bytes, edit->size))
		return false;
	memcpy(job->frame + job->decoded.payload_offset + edit->offset, bytes, edit->size);
	return true;
}

bool translate_edit(struct job *job)
{
	struct arena *arena = flow_table_arena(job->own->flows);
	struct detect_result *result = &job->result;
	struct translation *translation = job->flow ? job->flow->translation : NULL;

	resize_sort(result->replacements, result->replacement_count);
	if (!is_possible(job) || !job_can_change(job))
		return false;
	if (!translation)
		translation = begin(job);
	if (!translation)
		return false;
	note_packet(translation, job);
	for (uint16_t i = 0; i < result->replacement_count; i++) {
		const struct detect_replacement *edit = &result->replacements[i];

		if (!fill_in(job, edit))
			return false;
		if (edit->size != edit->new_size
			&& !translate_map_add(&translation->maps[job->side], arena,
				job->decoded.tcp_sequence + edit->offset, edit->size, edit->bytes,
				edit->new_size))
			return false;
		builtin_count(&job->own->counters.edited);
	}
	return true;
}

/* ---- what is said of the flow ---- */

void translate_answer(const struct flow *flow, enum flow_side side, enum answer_target target,
	struct decoded *decoded)
{
	const struct translation *translation = flow->translation;

	if (!translation || (decoded->tcp_flags & TCP_SYN))
		return;
	/* The answer's sequence number, in the name of the other end. */
	if (target == ANSWER_TO_SOURCE)
		decoded->tcp_acknowledgement = translate_map_forward(
			&translation->maps[flow_other_side(side)], decoded->tcp_acknowledgement);
	else
		decoded->tcp_sequence =
			translate_map_forward(&translation->maps[side], decoded->tcp_sequence);
}

uint32_t translate_quoted(const struct flow *flow, enum flow_side sender, uint32_t sequence)
{
	return flow->translation ? translate_map_back(&flow->translation->maps[sender], sequence)
				 : sequence;
}

/* 0: it tells of none. */
static uint32_t reported_mtu(const struct decoded *error)
{
	const uint8_t *icmp = error->frame + error->l4_offset;

	if (error->protocol == IPPROTO_ICMP)
		return error->icmp_type == 3 && error->icmp_code == 4 ? network_load16(icmp + 6)
								      : 0;
	return error->icmp_type == 2 ? network_load32(icmp + 4) : 0;
}

bool translate_quotation(struct job *job, const struct decoded *about, enum flow_side sender)
{
	struct flow *flow = job->flow;
	uint32_t mtu = reported_mtu(&job->decoded), at = about->ip_payload_offset;

	if (about->protocol != IPPROTO_TCP)
		return true;
	/* A forged one must not make hundreds of packets of one. */
	if (mtu)
		mtu = RTE_MAX(mtu, about->ip_version == 4 ? PATH_MTU_MIN_V4 : PATH_MTU_MIN_V6);
	if (mtu && (!flow->path_mtu || mtu < flow->path_mtu))
		flow->path_mtu = mtu;
	if (!flow->translation)
		return true;
	if (!job_can_change(job))
		return false;
	network_store32(job->frame + at + 4,
		translate_quoted(flow, sender, network_load32(job->frame + at + 4)));
	/* More than eight bytes of it need not be there (RFC 792). */
	if (at + 12 <= job->decoded.l3_end)
		network_store32(job->frame + at + 8,
			translate_map_forward(&flow->translation->maps[flow_other_side(sender)],
				network_load32(job->frame + at + 8)));
	job_finish_change(job);
	return true;
}

/* ---- the end ---- */

static void send_reset(const struct translation *translation, enum answer_target target,
	uint32_t sequence, uint32_t acknowledgement)
{
	struct decoded decoded = translation->decoded;
	uint8_t frame[REJECT_FRAME_SIZE];

	decoded.frame = translation->headers;
	decoded.tcp_flags = TCP_ACK;
	decoded.payload_size = 0;
	decoded.tcp_sequence = target == ANSWER_TO_DESTINATION ? sequence : acknowledgement;
	decoded.tcp_acknowledgement = target == ANSWER_TO_DESTINATION ? acknowledgement : sequence;
	answer_send_as(worker_index, &translation->metadata, frame,
		reject_build_rst(&decoded, target, frame), target);
}

/* A receiver takes a reset only with the number that it expects (RFC 5961 section 3): what it has
 * of what is on its way, nobody knows. So that of all, and that of none. */
static void reset_end(const struct translation *translation, enum answer_target target)
{
	enum flow_side sender = target == ANSWER_TO_DESTINATION
		? translation->side
		: flow_other_side(translation->side);
	const struct translate_map *map = &translation->maps[sender];
	uint32_t acknowledgement = translation->maps[flow_other_side(sender)].sent;

	send_reset(translation, target, translate_map_forward(map, map->sent), acknowledgement);
	if (map->acked != map->sent)
		send_reset(translation, target, translate_map_forward(map, map->acked),
			acknowledgement);
}

static bool is_alive(const struct flow *flow)
{
	return flow->state != FLOW_CLOSED && flow->verdict != FLOW_DROP;
}

void translate_forget(struct builtin_worker *own, struct flow *flow)
{
	struct translation *translation = flow->translation;

	if (!translation)
		return;
	if (is_alive(flow)) {
		reset_end(translation, ANSWER_TO_DESTINATION);
		reset_end(translation, ANSWER_TO_SOURCE);
		builtin_count(&own->counters.translations_lost);
	}
	for (int side = 0; side < FLOW_SIDES; side++)
		translate_map_release(&translation->maps[side], flow_table_arena(own->flows));
	list_remove(&translation->link);
	arena_put(flow_table_arena(own->flows), translation);
	flow->translation = NULL;
}

void translate_lose_all(struct builtin_worker *own)
{
	while (!list_is_empty(&own->translated)) {
		struct translation *last =
			list_entry(own->translated.next, struct translation, link);
		struct flow *flow = last->flow;

		translate_forget(own, flow);
		flow->verdict = FLOW_DROP;
		flow->reason = FLOW_REASON_TRANSLATION;
		order_forget(own, flow);
		flow_table_stop_reading(own->flows, flow);
	}
}
