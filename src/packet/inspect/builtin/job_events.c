/* SPDX-License-Identifier: BSD-3-Clause */
/* What rules found in a packet, as records for the control thread (I9). Worker. */
#include "base/clock.h"
#include "packet/inspect/builtin/job.h"
#include "packet/inspect/eve.h"

static void fill_flow(struct eve_record *record, const struct job *job)
{
	const struct flow *flow = job->flow;

	record->has_flow = flow;
	if (!flow)
		return;
	record->flow_id = flow->id;
	record->flow_started_wall_ns = flow->started_wall_ns;
	record->to_server = job->side == FLOW_CLIENT;
	for (int side = 0; side < FLOW_SIDES; side++) {
		record->flow_packets[side] = flow->packets[side];
		record->flow_bytes[side] = flow->bytes[side];
	}
}

/* The message that rules matched, or else the one that the flow is at. */
static void fill_app(struct eve_record *record, const struct job *job)
{
	const struct app_summary *summary = job->flow ? app_summary(&job->flow->app) : NULL;

	record->app_protocol = job->flow ? job->flow->app.protocol : APP_UNKNOWN;
	if (job->has_app_summary)
		summary = &job->app_summary;
	record->has_app = summary;
	if (summary)
		record->app = *summary;
}

/* NULL: nobody wants it, or there is no room. */
static struct eve_record *open_event(struct job *job, enum eve_type type, enum event_lane_kind lane)
{
	struct eve_record *record;

	if (!(job->settings->event_types & 1u << type))
		return NULL;
	record = event_lane_reserve(&job->own->lanes[lane], job->now_ns);
	if (!record)
		return NULL;
	eve_fill(record, type, &job->decoded, packet_metadata(*job->packet));
	fill_flow(record, job);
	return record;
}

static void emit_event(
	struct job *job, enum eve_type type, const struct rule_info *rule, bool is_blocked)
{
	struct eve_record *record = open_event(job, type, EVENT_LANE_ALERTS);

	if (!record)
		return;
	record->is_blocked = is_blocked;
	record->drop_reason = packet_metadata(*job->packet)->drop_reason;
	fill_app(record, job);
	if (rule) {
		record->has_signature = true;
		record->gid = rule->gid;
		record->sid = rule->sid;
		record->rev = rule->rev;
		record->severity = rule->priority;
		eve_copy_text(record->message, rule->msg);
		eve_copy_text(record->category, rule->category);
		record->target = rule->target;
		eve_hold_metadata(record, rule->metadata);
	}
	event_ring_commit(job->own->lanes[EVENT_LANE_ALERTS].ring);
	worker_notify_control();
}

void job_emit_alerts(struct job *job)
{
	for (uint16_t i = 0; i < job->result.alert_count; i++) {
		const struct detect_alert *alert = &job->result.alerts[i];

		if (alert->is_noalert || alert->action == RULE_PASS)
			continue;
		job->builtin->base.counters[job->worker].alerts++;
		if (job->flow)
			job->flow->is_alerted = true;
		/* By its own action, as Suricata: what another rule did is in the drop event. */
		emit_event(job, EVE_ALERT, alert->rule, rule_action_blocks(alert->action));
	}
	if (rule_action_blocks(job->result.action))
		emit_event(job, EVE_DROP, job->result.decided_by, true);
}

/* Names of Suricata's decoder events, where it has the same (decode-events.c there). */
static const char *const decode_events[DECODE_MALFORMED_COUNT] = {
	[DECODE_ETHERNET_SHORT] = "decoder.ethernet.pkt_too_small",
	[DECODE_VLAN_SHORT] = "decoder.vlan.header_too_small",
	[DECODE_VLAN_DEEP] = "decoder.vlan.too_many_layers",
	[DECODE_ARP_SHORT] = "decoder.arp.pkt_too_small",
	[DECODE_IPV4_SHORT] = "decoder.ipv4.pkt_too_small",
	[DECODE_IPV4_VERSION] = "decoder.ipv4.wrong_ip_version",
	[DECODE_IPV4_HEADER_LENGTH] = "decoder.ipv4.hlen_too_small",
	[DECODE_IPV4_TOTAL_LENGTH] = "decoder.ipv4.trunc_pkt",
	[DECODE_IPV4_OPTIONS] = "decoder.ipv4.opt_invalid",
	[DECODE_IPV6_SHORT] = "decoder.ipv6.pkt_too_small",
	[DECODE_IPV6_VERSION] = "decoder.ipv6.wrong_ip_version",
	[DECODE_IPV6_PAYLOAD_LENGTH] = "decoder.ipv6.trunc_pkt",
	[DECODE_IPV6_EXTENSION] = "decoder.ipv6.trunc_exthdr",
	[DECODE_TCP_SHORT] = "decoder.tcp.pkt_too_small",
	[DECODE_TCP_HEADER_LENGTH] = "decoder.tcp.hlen_too_small",
	[DECODE_TCP_OPTIONS] = "decoder.tcp.opt_invalid_len",
	[DECODE_UDP_SHORT] = "decoder.udp.pkt_too_small",
	[DECODE_UDP_LENGTH] = "decoder.udp.len_invalid",
	[DECODE_ICMP_SHORT] = "decoder.icmpv4.pkt_too_small",
	[DECODE_SCTP_SHORT] = "decoder.sctp.pkt_too_small",
};

void job_emit_anomaly(struct job *job, const char *event)
{
	struct eve_record *record = open_event(job, EVE_ANOMALY, EVENT_LANE_ANOMALIES);

	if (!record)
		return;
	record->anomaly = event;
	event_ring_commit(job->own->lanes[EVENT_LANE_ANOMALIES].ring);
	worker_notify_control();
}

void job_emit_malformed(struct job *job)
{
	enum decode_malformed malformed = job->decoded.malformed;

	if (malformed == DECODE_ICMP_SHORT && job->decoded.ip_version == 6)
		job_emit_anomaly(job, "decoder.icmpv6.pkt_too_small");
	else
		job_emit_anomaly(job, decode_events[malformed]);
}
