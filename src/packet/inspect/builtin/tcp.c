/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/tcp.h"

#include "base/bytes.h"
#include "wire/network.h"

#define SCALE_MAX           14 /* RFC 7323 section 2.3 */
#define OPTION_END          0
#define OPTION_NOP          1
#define OPTION_MSS          2
#define OPTION_WINDOW_SCALE 3
#define OPTION_SACK_OK      4
#define OPTION_SACK         5
#define OPTION_TIMESTAMPS   8
#define HEADER_SIZE         20

/* As most senders write it: RFC 7323 appendix A. */
#define TIMESTAMPS_ALIGNED 0x0101080au

struct tcp_options {
	uint8_t scale; /* RFC 7323 section 2.2; 0 when there is none, which means the same */
	uint16_t mss;  /* 0: none */
	bool permits_sack, has_timestamps;
	uint32_t timestamp, timestamp_echo;
	uint32_t timestamp_at, sack_at; /* in the frame */
	uint32_t sack_size;
};

static void read_option(struct bytes *options, uint8_t kind, uint8_t size, struct tcp_options *out)
{
	struct bytes value = bytes_sub(options, size - 2u);

	if (kind == OPTION_MSS && size == 4)
		out->mss = bytes_read_u16(&value);
	if (kind == OPTION_WINDOW_SCALE && size == 3) {
		uint8_t scale = bytes_read_u8(&value);

		out->scale = scale < SCALE_MAX ? scale : SCALE_MAX;
	}
	if (kind == OPTION_SACK_OK && size == 2)
		out->permits_sack = true;
	if (kind == OPTION_TIMESTAMPS && size == 10) {
		out->timestamp = bytes_read_u32(&value);
		out->timestamp_echo = bytes_read_u32(&value);
		out->has_timestamps = true;
	}
}

static void read_options(const struct decoded *decoded, struct tcp_options *out)
{
	struct bytes options;

	*out = (struct tcp_options){0};
	if (decoded->payload_offset < decoded->l4_offset + HEADER_SIZE)
		return;
	options = bytes_from(decoded->frame + decoded->l4_offset + HEADER_SIZE,
		decoded->payload_offset - decoded->l4_offset - HEADER_SIZE);
	while (bytes_left(&options) > 0) {
		uint8_t kind = bytes_read_u8(&options), size;
		uint32_t value_at;

		if (kind == OPTION_END)
			break;
		if (kind == OPTION_NOP)
			continue;
		size = bytes_read_u8(&options);
		if (size < 2 || size - 2u > bytes_left(&options))
			break;
		value_at = decoded->payload_offset - (uint32_t)bytes_left(&options);
		if (kind == OPTION_TIMESTAMPS && size == 10)
			out->timestamp_at = value_at;
		if (kind == OPTION_SACK && out->sack_size <= 2) {
			out->sack_at = value_at - 2;
			out->sack_size = size;
		}
		read_option(&options, kind, size, out);
	}
}

uint32_t tcp_timestamp_at(const struct decoded *decoded)
{
	struct tcp_options options;

	read_options(decoded, &options);
	return options.timestamp_at;
}

uint32_t tcp_find_sack(const struct decoded *decoded, uint32_t *size)
{
	struct tcp_options options;

	read_options(decoded, &options);
	*size = options.sack_size;
	return options.sack_at;
}

/* A sender may forge its peer's segments to make us believe they were acknowledged; they come in
 * where its own do, while the peer's never do. */
static bool is_from_its_side(struct stream *own, const struct stream *peer, uint32_t ingress)
{
	if ((peer->flags & STREAM_HAS_INGRESS) && peer->ingress == ingress)
		return false;
	own->ingress = ingress;
	own->flags |= STREAM_HAS_INGRESS;
	return true;
}

/* Of a SYN. */
static void note_options(struct stream *own, const struct decoded *decoded)
{
	struct tcp_options options;

	read_options(decoded, &options);
	own->scale = options.scale;
	own->mss = options.mss;
	own->flags |= STREAM_HAS_SCALE;
	if (options.permits_sack)
		own->flags |= STREAM_HAS_SACK;
}

/* What an answer in its name has to say as well. */
static void note_offer(struct stream *own, const struct decoded *decoded)
{
	const uint8_t *at = decoded->frame + decoded->l4_offset + HEADER_SIZE;
	struct tcp_options options = {0};

	/* Not scaled yet on a SYN: RFC 7323 section 2.2. */
	own->offered = (decoded->tcp_flags & TCP_SYN) ? decoded->tcp_window >> own->scale
						      : decoded->tcp_window;
	own->flags |= STREAM_HAS_WINDOW;
	if (decoded->payload_offset < decoded->l4_offset + HEADER_SIZE + 12)
		return;
	if (network_load32(at) == TIMESTAMPS_ALIGNED)
		options = (struct tcp_options){.has_timestamps = true,
			.timestamp = network_load32(at + 4),
			.timestamp_echo = network_load32(at + 8)};
	else
		read_options(decoded, &options);
	if (!options.has_timestamps)
		return;
	own->timestamp = options.timestamp;
	own->timestamp_echo = options.timestamp_echo;
	own->flags |= STREAM_HAS_TIMESTAMPS;
}

/*
 * A SYN begins a stream only where none is known. For a flow that goes on its receiver answers with
 * a challenge ACK and ignores it (RFC 5961 section 4); if it takes it after all, the SYN-ACK tells.
 */
static enum tcp_outcome track_syn(struct flow_table *table, struct flow *flow, enum flow_side side,
	const struct decoded *decoded, bool is_trusted)
{
	struct stream *own = &flow->streams[side];

	if (is_trusted) {
		own->syn = decoded->tcp_sequence;
		own->flags |= STREAM_HAS_SYN;
	}
	if ((own->flags & STREAM_SAW_SYN)
		&& decoded->tcp_sequence + 1 == own->next - (uint32_t)own->position)
		return TCP_TRACKED; /* the same again */
	/* Data on a SYN (RFC 7413) that may be taken for another connection's would be unseen. */
	if (flow->state != FLOW_NEW || (own->flags & STREAM_IS_SYNCED))
		return decoded->payload_size > 0 ? TCP_FORBIDDEN : TCP_IGNORED;
	note_options(own, decoded);
	stream_sync(own, flow_table_arena(table), decoded->tcp_sequence + 1, true);
	own->flags |= STREAM_SAW_SYN;
	return TCP_TRACKED;
}

/* The answer to a SYN that was not taken for the beginning of a stream: it was one. */
static void begin_anew(struct flow_table *table, struct flow *flow, enum flow_side *side,
	const struct decoded *decoded)
{
	struct arena *arena = flow_table_arena(table);

	flow_table_restart(table, flow, flow_other_side(*side));
	*side = FLOW_SERVER;
	stream_sync(&flow->streams[FLOW_SERVER], arena, decoded->tcp_sequence + 1, true);
	stream_sync(&flow->streams[FLOW_CLIENT], arena, decoded->tcp_acknowledgement, true);
	note_options(&flow->streams[FLOW_SERVER], decoded);
	for (int i = 0; i < FLOW_SIDES; i++)
		flow->streams[i].flags |= STREAM_SAW_SYN;
	flow->tcp_flags[FLOW_CLIENT] = TCP_SYN;
	flow->tcp_flags[FLOW_SERVER] = decoded->tcp_flags;
	flow->packets[FLOW_SERVER] = 1;
	flow->bytes[FLOW_SERVER] = decoded->frame_size;
}

/* A SYN-ACK from where the peer is. */
static enum tcp_outcome track_syn_ack(struct flow_table *table, struct flow *flow,
	enum flow_side *side, const struct decoded *decoded)
{
	struct stream *own = &flow->streams[*side], *peer = &flow->streams[flow_other_side(*side)];
	uint32_t start = peer->next - (uint32_t)peer->position;

	if ((own->flags & STREAM_SAW_SYN)
		&& own->next - (uint32_t)own->position == decoded->tcp_sequence + 1)
		return TCP_TRACKED; /* the same again */
	/* Also again with another number, as a server with SYN cookies may, until it is answered.
	 */
	if ((peer->flags & STREAM_SAW_SYN)
		&& (!(own->flags & STREAM_IS_SYNCED) || flow->state == FLOW_NEW)
		&& !stream_before(decoded->tcp_acknowledgement, start)
		&& !stream_before(peer->next, decoded->tcp_acknowledgement)) {
		note_options(own, decoded);
		stream_sync(own, flow_table_arena(table), decoded->tcp_sequence + 1, true);
		own->flags |= STREAM_SAW_SYN;
		return TCP_TRACKED;
	}
	if ((peer->flags & STREAM_HAS_SYN) && peer->syn + 1 == decoded->tcp_acknowledgement
		&& peer->syn + 1 != start) {
		begin_anew(table, flow, side, decoded);
		return TCP_TRACKED;
	}
	/* Nobody asked for it. */
	return decoded->payload_size > 0 ? TCP_FORBIDDEN : TCP_IGNORED;
}

/* RFC 5961 section 3: only the exact sequence number closes; one far off is nobody's. */
static enum tcp_outcome track_rst(struct flow_table *table, struct flow *flow, enum flow_side side,
	const struct decoded *decoded, bool is_trusted)
{
	struct stream *own = &flow->streams[side], *peer = &flow->streams[flow_other_side(side)];
	uint32_t sequence = decoded->tcp_sequence;

	if (!(own->flags & STREAM_IS_SYNCED)) {
		/* The answer to a SYN to a closed port. */
		if (is_trusted && (peer->flags & STREAM_IS_SYNCED)
			&& decoded->tcp_acknowledgement == peer->next)
			flow_table_set_state(table, flow, FLOW_CLOSED);
		return TCP_TRACKED;
	}
	if ((own->flags & STREAM_HAS_ACK) && !(own->flags & STREAM_IS_BEYOND)
		&& (stream_before(sequence, own->acked)
			|| (int32_t)(sequence - own->acked) > (int32_t)(own->window + 65536)))
		return TCP_FORBIDDEN;
	if (is_trusted && (sequence == own->next || sequence == own->acked))
		flow_table_set_state(table, flow, FLOW_CLOSED);
	return TCP_TRACKED;
}

/* Whether it acknowledges what there may be. */
static bool track_acknowledgement(struct flow_table *table, struct stream *own, struct stream *peer,
	const struct decoded *decoded)
{
	uint32_t window = decoded->tcp_window;
	bool is_valid;

	if (!(decoded->tcp_flags & TCP_SYN))
		window <<= (own->flags & STREAM_HAS_SCALE) ? own->scale : SCALE_MAX;
	is_valid = stream_acknowledge(peer, decoded->tcp_acknowledgement, window);
	if ((peer->flags & STREAM_IS_BEYOND) && stream_is_settled(peer))
		stream_release(peer, flow_table_arena(table));
	return is_valid;
}

static enum tcp_outcome track_plain(struct flow_table *table, struct flow *flow,
	enum flow_side side, const struct decoded *decoded, const struct tcp_settings *settings)
{
	struct stream *own = &flow->streams[side], *peer = &flow->streams[flow_other_side(side)];

	/* Receivers discard what acknowledges nothing (RFC 9293 section 3.10.7.4). */
	if (!(decoded->tcp_flags & TCP_ACK))
		return decoded->payload_size > 0 ? TCP_FORBIDDEN : TCP_IGNORED;
	/* A SYN was not answered yet. What follows it without waiting might belong to another
	 * connection of the same ports, which the receiver still has. */
	if ((own->flags & STREAM_SAW_SYN) && !(peer->flags & STREAM_SAW_SYN))
		return decoded->payload_size > 0 ? TCP_FORBIDDEN : TCP_IGNORED;
	if (!(own->flags & STREAM_IS_SYNCED)) {
		if (peer->flags & STREAM_SAW_SYN)
			return decoded->payload_size > 0 ? TCP_FORBIDDEN : TCP_IGNORED;
		if (!settings->picks_up_midstream)
			return TCP_FORBIDDEN;
		stream_sync(own, flow_table_arena(table), decoded->tcp_sequence, false);
	}
	if (flow->state == FLOW_NEW)
		flow_table_set_state(table, flow, FLOW_ESTABLISHED);
	return TCP_TRACKED;
}

/* Suricata's name (decode-events.c there) for a segment that does not belong to the connection. */
static const char *anomaly_of(const struct flow *flow, uint8_t flags, bool is_trusted)
{
	bool is_new = flow->state == FLOW_NEW;

	if (flags & TCP_RST)
		return "stream.suspected_rst_inject";
	if ((flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		if (!is_trusted)
			return "stream.3whs_synack_in_wrong_direction";
		return is_new ? "stream.3whs_synack_with_wrong_ack"
			      : "stream.est_synack_resend_with_diff_seq";
	}
	if (flags & TCP_SYN)
		return is_new ? "stream.3whs_syn_resend_diff_seq_on_syn_recv"
			      : "stream.est_syn_resend_diff_seq";
	return is_new ? "stream.3whs_ack_data_inject" : NULL;
}

enum tcp_outcome tcp_track(struct flow_table *table, struct flow *flow, enum flow_side *side,
	const struct decoded *decoded, uint32_t ingress, const struct tcp_settings *settings,
	const char **anomaly)
{
	uint8_t flags = decoded->tcp_flags;
	bool is_trusted = is_from_its_side(
		&flow->streams[*side], &flow->streams[flow_other_side(*side)], ingress);
	enum tcp_outcome outcome;

	if (flags & TCP_RST)
		outcome = track_rst(table, flow, *side, decoded, is_trusted);
	else if ((flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		outcome = is_trusted ? track_syn_ack(table, flow, side, decoded) : TCP_FORBIDDEN;
	else if (flags & TCP_SYN)
		outcome = track_syn(table, flow, *side, decoded, is_trusted);
	else
		outcome = track_plain(table, flow, *side, decoded, settings);
	*anomaly = outcome == TCP_TRACKED ? NULL : anomaly_of(flow, flags, is_trusted);
	if (outcome == TCP_TRACKED && is_trusted && (flags & TCP_ACK)) {
		note_offer(&flow->streams[*side], decoded);
		if (!track_acknowledgement(table, &flow->streams[*side],
			    &flow->streams[flow_other_side(*side)], decoded))
			*anomaly = "stream.pkt_invalid_ack";
	}
	return outcome;
}

void tcp_settle(struct flow_table *table, struct flow *flow, enum flow_side side,
	const struct decoded *decoded)
{
	struct stream *own = &flow->streams[side], *peer = &flow->streams[flow_other_side(side)];

	if (!(decoded->tcp_flags & TCP_FIN) || !(own->flags & STREAM_IS_SYNCED))
		return;
	if (!(own->flags & STREAM_HAS_FIN)) {
		uint32_t fin = tcp_payload_sequence(decoded) + decoded->payload_size;

		if (stream_before(fin, own->next) || stream_is_outside(own, fin, 0))
			return;
		own->fin = fin;
		own->flags |= STREAM_HAS_FIN;
		if (!flow->first_fin)
			flow->first_fin = (uint8_t)(side + 1);
	}
	if (peer->flags & STREAM_HAS_FIN)
		flow_table_set_state(table, flow, FLOW_CLOSED);
}
