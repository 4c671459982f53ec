/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/flow_events.h"

#include "base/clock.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/tcp.h"

#include <netinet/in.h>
#include <string.h>

/* Suricata's words (output-json-flow.c there). */
static const char *const state_names[FLOW_STATE_COUNT] = {
	[FLOW_NEW] = "new",
	[FLOW_ESTABLISHED] = "established",
	[FLOW_CLOSED] = "closed",
};
static const char *const reason_names[] = {
	[FLOW_END_TIMEOUT] = "timeout",
	[FLOW_END_EVICTED] = "forced",
	[FLOW_END_REUSED] = "tcp_reuse",
};

void flow_events_note(struct flow *flow, enum flow_side side, const struct decoded *decoded,
	const struct packet_metadata *metadata)
{
	if (flow->has_opener || side != FLOW_CLIENT)
		return;
	flow->has_opener = true;
	flow->opener.origin = metadata->origin;
	flow->opener.remote = metadata->remote;
	memcpy(flow->opener.destination_mac, decoded->frame, sizeof(flow->opener.destination_mac));
}

static bool is_fin_acknowledged(const struct stream *stream)
{
	return (stream->flags & STREAM_HAS_ACK) && stream_before(stream->fin, stream->acked);
}

/* RFC 9293 section 3.3.2, from where Suricata stands: the server that closes first waits for the
 * client's FIN, the client that does so leaves it to the server. */
static const char *closing_state(const struct flow *flow)
{
	bool is_server_first = flow->first_fin == FLOW_SERVER + 1;
	const struct stream *first = &flow->streams[is_server_first ? FLOW_SERVER : FLOW_CLIENT];
	const struct stream *second = &flow->streams[is_server_first ? FLOW_CLIENT : FLOW_SERVER];

	if (second->flags & STREAM_HAS_FIN) {
		if (is_fin_acknowledged(second))
			return "closed";
		return is_server_first ? "time_wait" : "last_ack";
	}
	if (!is_server_first)
		return "close_wait";
	return is_fin_acknowledged(first) ? "fin_wait2" : "fin_wait1";
}

static const char *tcp_state(const struct flow *flow)
{
	const struct stream *client = &flow->streams[FLOW_CLIENT];
	const struct stream *server = &flow->streams[FLOW_SERVER];

	if (flow->key.protocol != IPPROTO_TCP)
		return NULL;
	if (flow->first_fin)
		return closing_state(flow);
	if (flow->state == FLOW_CLOSED)
		return "closed";
	if (flow->state == FLOW_ESTABLISHED)
		return "established";
	if (server->flags & STREAM_SAW_SYN)
		return "syn_recv";
	return client->flags & STREAM_SAW_SYN ? "syn_sent" : "none";
}

static void fill_end(struct eve_flow_end *end, const struct flow *flow, const char *reason)
{
	bool is_bypassed = flow->verdict == FLOW_PASS && flow->reason == FLOW_REASON_BYPASS;

	*end = (struct eve_flow_end){
		.state = is_bypassed ? "bypassed" : state_names[flow->state],
		.reason = reason,
		.action = flow->verdict == FLOW_DROP                 ? "drop"
			: flow->verdict == FLOW_PASS && !is_bypassed ? "pass"
								     : NULL,
		.tcp_state = tcp_state(flow),
		.ended_wall_ns = flow->started_wall_ns + flow->seen_ns - flow->started_ns,
		.is_alerted = flow->is_alerted,
		.is_bypassed = is_bypassed,
		.has_response = flow->packets[FLOW_SERVER] > 0
			&& (flow->key.protocol == IPPROTO_ICMP
				|| flow->key.protocol == IPPROTO_ICMPV6),
		.response_icmp_type = flow->icmp_types[FLOW_SERVER][0],
		.response_icmp_code = flow->icmp_types[FLOW_SERVER][1],
	};
	memcpy(end->tcp_flags, flow->tcp_flags, sizeof(end->tcp_flags));
}

void flow_events_fill(struct eve_record *record, const struct flow *flow, const char *reason)
{
	const struct flow_key *key = &flow->key;
	unsigned int client = flow->client, server = 1u - client;

	memset(record, 0, offsetof(struct eve_record, message));
	record->type = EVE_FLOW;
	record->wall_ns = clock_wall_ns();
	record->has_flow = true;
	record->flow_id = flow->id;
	record->flow_started_wall_ns = flow->started_wall_ns;
	record->ip_version = key->ip_version;
	record->protocol = key->protocol;
	record->vlan = key->vlan;
	memcpy(record->source, key->addresses[client], sizeof(record->source));
	memcpy(record->destination, key->addresses[server], sizeof(record->destination));
	record->source_port = key->ports[client];
	record->destination_port = key->ports[server];
	record->icmp_type = flow->icmp_types[FLOW_CLIENT][0];
	record->icmp_code = flow->icmp_types[FLOW_CLIENT][1];
	record->app_protocol = flow->app.protocol;
	for (int side = 0; side < FLOW_SIDES; side++) {
		record->flow_packets[side] = flow->packets[side];
		record->flow_bytes[side] = flow->bytes[side];
	}
	record->origin = flow->opener.origin;
	record->remote = flow->opener.remote;
	memcpy(record->destination_mac, flow->opener.destination_mac,
		sizeof(record->destination_mac));
	fill_end(&record->end, flow, reason);
}

static void count_end(
	struct builtin_statistics *statistics, const struct flow *flow, enum flow_end reason)
{
	bool is_bypassed = flow->verdict == FLOW_PASS && flow->reason == FLOW_REASON_BYPASS;

	builtin_count(is_bypassed ? &statistics->ended_bypassed : &statistics->ended[flow->state]);
	if (reason == FLOW_END_REUSED)
		builtin_count(&statistics->flows_reused);
}

void flow_events_end(void *context, struct flow *flow, enum flow_end reason)
{
	struct builtin_worker *own = context;
	struct event_lane *lane = &own->lanes[EVENT_LANE_FLOWS];
	struct eve_record *record;

	count_end(&own->statistics, flow, reason);
	if (!(publish_read(&own->builtin->settings)->event_types & 1u << EVE_FLOW))
		return;
	record = event_lane_reserve(lane, clock_monotonic_ns());
	if (!record)
		return;
	flow_events_fill(record, flow, reason_names[reason]);
	event_ring_commit(lane->ring);
	/* The others wait for the control thread to come by, each second. */
	if (event_ring_is_half_full(lane->ring))
		worker_notify_control();
}
