/* SPDX-License-Identifier: BSD-3-Clause */
/* What rules found in a packet, as records for the control thread (I9). Worker. */
#include "base/clock.h"
#include "packet/inspect/builtin/job.h"
#include "packet/inspect/eve.h"

static struct eve_record *reserve_event(struct job *job)
{
	struct builtin_worker *own = job->own;
	uint64_t earned =
		(job->now_ns - own->event_tokens_at_ns) * BUILTIN_EVENTS_RATE / CLOCK_NS_PER_S;

	if (earned > 0) {
		own->event_tokens =
			RTE_MIN(own->event_tokens + earned, (uint64_t)BUILTIN_EVENTS_RATE);
		own->event_tokens_at_ns = job->now_ns;
	}
	if (own->event_tokens == 0) {
		job_count(&own->counters.events_suppressed);
		return NULL;
	}
	own->event_tokens--;
	return event_ring_reserve(own->events);
}

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

static void emit_event(
	struct job *job, enum eve_type type, const struct rule_info *rule, bool is_blocked)
{
	struct eve_record *record = reserve_event(job);

	if (!record)
		return;
	eve_fill(record, type, &job->decoded, packet_metadata(*job->packet));
	record->is_blocked = is_blocked;
	record->drop_reason = packet_metadata(*job->packet)->drop_reason;
	fill_flow(record, job);
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
	event_ring_commit(job->own->events);
	worker_notify_control();
}

void job_emit_alerts(struct job *job)
{
	for (uint16_t i = 0; i < job->result.alert_count; i++) {
		const struct detect_alert *alert = &job->result.alerts[i];

		if (alert->is_noalert || alert->action == RULE_PASS)
			continue;
		job->builtin->base.counters[job->worker].alerts++;
		/* By its own action, as Suricata: what another rule did is in the drop event. */
		emit_event(job, EVE_ALERT, alert->rule, rule_action_blocks(alert->action));
	}
	if (rule_action_blocks(job->result.action))
		emit_event(job, EVE_DROP, job->result.decided_by, true);
}
