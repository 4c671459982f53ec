/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet's way through the builtin inspector: bytes in one run, headers, fragments, flow, stream,
 * rules, then what they decided: edits, answers, events, verdicts for packet and flow. Worker.
 */
#include "base/clock.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/builtin.h"
#include "packet/inspect/builtin/bypass.h"
#include "packet/inspect/builtin/flow_events.h"
#include "packet/inspect/builtin/order.h"
#include "packet/inspect/builtin/reject.h"
#include "packet/inspect/builtin/resize.h"
#include "packet/inspect/builtin/statistics.h"
#include "packet/inspect/builtin/tcp.h"
#include "packet/inspect/builtin/translate.h"
#include "packet/inspect/eve.h"
#include "packet/inspect/inspect.h"
#include "wire/checksum.h"
#include "wire/icmp_error.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static enum verdict fail(struct rte_mbuf *packet, enum drop_reason reason)
{
	drop_mark(packet, reason);
	return VERDICT_FAILED;
}

/* ---- rules ---- */

/* A message of the flow's application protocol, with this packet. */
static void on_message(void *opaque, const struct app_message *message)
{
	struct job *job = opaque;
	const struct app_summary *summary = app_summary(&job->flow->app);
	uint16_t before = job->result.alert_count;

	detect_message(job->ruleset, job->worker, &job->context, message, &job->result);
	if (job->result.alert_count == before || !summary || job->has_app_summary)
		return;
	job->app_summary = *summary;
	job->has_app_summary = true;
}

static bool has_app(const struct job *job)
{
	return job->flow && job->ruleset && job->flow->verdict == FLOW_INSPECT
		&& (job->decoded.protocol == IPPROTO_TCP || job->decoded.protocol == IPPROTO_UDP)
		&& ruleset_wants_app(job->ruleset);
}

static struct app_input app_input(struct job *job, const struct app_listener *listener)
{
	bool to_server = job->side == FLOW_CLIENT;
	const struct decoded *decoded = &job->decoded;

	return (struct app_input){.arena = flow_table_arena(job->own->flows),
		.counters = &job->own->app_counters,
		.listener = listener,
		.to_server = to_server,
		.wants_body = ruleset_wants_body(job->ruleset, to_server),
		.client_port = to_server ? decoded->source_port : decoded->destination_port,
		.server_port = to_server ? decoded->destination_port : decoded->source_port};
}

/* Where no rule asks for messages, the first bytes still tell the protocol: for events, and since
 * what is unknown is not bypassed. */
static void note_protocol(struct job *job, const struct stream_window *window)
{
	struct app_flow *app;
	struct app_input input;

	if (!job->flow || job->is_about_flow || job->flow->app.protocol != APP_UNKNOWN
		|| has_app(job))
		return;
	app = &job->flow->app;
	input = (struct app_input){.to_server = job->side == FLOW_CLIENT,
		.client_port = job->flow->key.ports[job->flow->client],
		.server_port = job->flow->key.ports[1 - job->flow->client]};
	if (window->data)
		app_note_stream(
			app, &input, window->data, window->size, window->fresh, window->position);
	else if (job->decoded.protocol == IPPROTO_UDP && job->decoded.payload_size > 0)
		app->protocol = (uint8_t)app_peek_datagram(app, &input,
			job->frame + job->decoded.payload_offset, job->decoded.payload_size);
}

/* What rules may know of the flow before its messages are read. */
static enum app_protocol peek_protocol(struct job *job, const struct stream_window *window)
{
	struct app_input input;

	if (!has_app(job))
		return APP_UNKNOWN;
	input = app_input(job, NULL);
	if (job->decoded.protocol == IPPROTO_UDP)
		return app_peek_datagram(&job->flow->app, &input,
			job->frame + job->decoded.payload_offset, job->decoded.payload_size);
	if (!window->data)
		return (enum app_protocol)job->flow->app.protocol;
	return app_peek(&job->flow->app, &input, window->data, window->size, window->fresh,
		window->position);
}

/* Reads the messages that the packet brings, and judges those it completes. Not when the packet is
 * stopped alone: its bytes will come again, and perhaps others in their place. */
static void run_app(struct job *job, const struct stream_window *window)
{
	const struct app_listener listener = {.message = on_message, .context = job};
	struct app_input input;

	if (!has_app(job) || detect_result_stops_packet(&job->result))
		return;
	input = app_input(job, &listener);
	if (window->data)
		job->app_outcome = app_stream(&job->flow->app, &input, window->data, window->size,
			window->fresh, window->position);
	else if (job->decoded.protocol == IPPROTO_UDP && job->decoded.payload_size > 0)
		job->app_outcome = app_datagram(&job->flow->app, &input,
			job->frame + job->decoded.payload_offset, job->decoded.payload_size);
}

static void run_rules(struct job *job)
{
	struct stream_window window = {0}; /* without data: no new bytes of a stream */

	detect_result_init(&job->result);
	job->app_outcome = APP_OK;
	job->has_app_summary = false;
	if (job->stream && job->step.result == STREAM_NEW)
		stream_window(job->stream, &job->step, &window);
	note_protocol(job, &window);
	if (!job->ruleset)
		return;
	job->context = (struct detect_context){.packet = &job->decoded,
		.flow = job->flow ? &job->flow->detect : NULL,
		.to_server = !job->flow || job->side == FLOW_CLIENT,
		.is_established = job->flow && job->flow->state != FLOW_NEW,
		.is_in_stream = job->stream && job->decoded.payload_size > 0,
		.app_protocol = (uint8_t)peek_protocol(job, &window),
		.now_ns = job->now_ns};
	if (window.data)
		detect_stream(job->ruleset, job->worker, &job->context,
			&job->flow->detect_streams[job->side], window.data, window.size,
			window.fresh, window.position, window.payload_at, &job->result);
	detect_packet(job->ruleset, job->worker, &job->context, &job->result);
	run_app(job, &window);
	if (job->flow && job->result.alert_count > 0)
		job->flow->is_suspicious = true;
	detect_result_finish(&job->result);
}

static void answer(struct job *job)
{
	unsigned int targets = 0;

	switch (job->result.action) {
	case RULE_REJECT:
		targets = ANSWER_TO_SOURCE;
		break;
	case RULE_REJECT_DST:
		targets = ANSWER_TO_DESTINATION;
		break;
	case RULE_REJECT_BOTH:
		targets = ANSWER_TO_SOURCE | ANSWER_TO_DESTINATION;
		break;
	default:
		return;
	}
	/* A connection whose other end is not told hangs until it times out. */
	if (job->decoded.protocol == IPPROTO_TCP)
		targets = ANSWER_TO_SOURCE | ANSWER_TO_DESTINATION;
	builtin_count(&job->own->counters.rejected);
	for (unsigned int target = 1; target <= targets; target <<= 1) {
		struct decoded decoded = job->decoded;

		if (!(targets & target))
			continue;
		if (job->flow)
			translate_answer(job->flow, job->side, target, &decoded);
		reject_packet(job->worker, *job->packet, &decoded, target);
	}
}

static void settle_flow(struct job *job, enum flow_verdict verdict)
{
	if (!job->flow || !job->result.applies_to_flow || job->is_about_flow)
		return;
	job->flow->verdict = (uint8_t)verdict;
	job->flow->reason = FLOW_REASON_RULE;
	job->flow->reason_sid = job->result.decided_by ? job->result.decided_by->sid : 0;
	flow_table_stop_reading(job->own->flows, job->flow);
}

static enum verdict block(struct job *job)
{
	drop_mark(*job->packet, DROP_inspect_rule);
	job_emit_alerts(job);
	answer(job);
	settle_flow(job, FLOW_DROP);
	return VERDICT_DROP;
}

static void commit(struct job *job)
{
	struct stream *stream = job->stream;

	if (!job->flow || job->decoded.protocol != IPPROTO_TCP)
		return;
	if (stream && job->decoded.payload_size > 0) {
		stream_commit(stream, &job->step);
		if (job->settings->stream_depth && stream->position >= job->settings->stream_depth)
			stream->flags |= STREAM_IS_BEYOND;
	}
	if (stream)
		tcp_settle(job->own->flows, job->flow, job->side, &job->decoded);
}

/* The flow's messages are beyond what can be read: whether the policy lets them go on, and the
 * packets behind this one, without. */
static bool may_go_unread(struct job *job)
{
	const struct inspect_chain *chain = publish_read(&inspect_chain);
	bool may = inspect_failure_policy(chain, *job->packet) == FAILURE_PASS;

	app_release(&job->flow->app, flow_table_arena(job->own->flows), true);
	if (!may)
		job->flow->verdict = FLOW_DROP;
	return may;
}

/* Rules, and what they decide, for a packet whose flow and stream are known. */
static enum verdict decide(struct job *job)
{
	bool is_rewritten, is_edited;

	if (!job_apply_rewrite(job) || !job_clear_urgent(job))
		return job_drop(job, DROP_stream_memory);
	is_rewritten = job->is_urgent || (job->stream && job->step.must_rewrite);
	run_rules(job);
	if (rule_action_blocks(job->result.action))
		return block(job);
	if (job->app_outcome != APP_OK && !may_go_unread(job))
		return fail(*job->packet, DROP_app_limit);
	if (!job_apply_edits(job)) {
		job->result.action = RULE_DROP;
		/* What was read of a message cannot be unread. */
		job->result.applies_to_flow |= job->context.app_protocol != APP_UNKNOWN
			|| (job->stream && resize_is_needed(&job->result));
		return block(job);
	}
	is_edited = job->result.replacement_count > 0;
	if (is_rewritten
		|| (is_edited
			&& (job->decoded.protocol == IPPROTO_TCP
				|| !resize_is_needed(&job->result))))
		job_finish_change(job);
	commit(job);
	job_emit_alerts(job);
	if (job->result.action == RULE_PASS) {
		settle_flow(job, FLOW_PASS);
		return VERDICT_PASS;
	}
	bypass_flow(job);
	return is_rewritten || is_edited ? VERDICT_REPLACE : VERDICT_DEEPER;
}

/* ---- TCP ---- */

uint32_t job_ingress(struct rte_mbuf *packet)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	const struct origin *origin = &metadata->origin;

	/* All of another host's come through one link: what counts is where they entered there. */
	if (origin->kind == ORIGIN_REMOTE)
		return (uint32_t)origin->kind << 16 | (uint32_t)metadata->remote.client << 20
			| metadata->remote.port;
	return (uint32_t)origin->kind << 16 | origin->ingress_port;
}

/* No room to follow the stream: the failure policy decides. Where it lets the bytes go, what comes
 * after them is a new beginning. */
static enum verdict give_up(struct job *job)
{
	const struct inspect_chain *chain = publish_read(&inspect_chain);
	uint32_t end = tcp_payload_sequence(&job->decoded) + job->decoded.payload_size;

	builtin_count(&job->own->counters.stream_no_memory);
	job_emit_anomaly(job, "stream.reassembly_insert_memcap");
	if (inspect_failure_policy(chain, *job->packet) == FAILURE_PASS
		&& !stream_before(end, job->stream->next))
		stream_sync(job->stream, flow_table_arena(job->own->flows), end, false);
	return fail(*job->packet, DROP_stream_memory);
}

enum verdict job_inspect_segment(struct job *job)
{
	const struct decoded *decoded = &job->decoded;
	struct arena *arena = flow_table_arena(job->own->flows);
	const uint8_t *payload = job->frame + decoded->payload_offset;
	uint32_t sequence = tcp_payload_sequence(decoded);

	job->stream = &job->flow->streams[job->side];
	/* Data of a reset is text for people (RFC 9293 section 3.5.2); no receiver delivers it. */
	if (!(job->stream->flags & STREAM_IS_SYNCED) || (decoded->tcp_flags & TCP_RST))
		job->stream = NULL;
	if (job->stream && order_must_wait(job))
		return order_hold(job);
	if (!job->stream || decoded->payload_size == 0)
		return decide(job);
	stream_prepare(job->stream, arena, sequence, payload, decoded->payload_size, &job->step);
	if (job->step.result == STREAM_NO_MEMORY && flow_table_reclaim(job->own->flows))
		stream_prepare(
			job->stream, arena, sequence, payload, decoded->payload_size, &job->step);
	if (job->step.result == STREAM_OUTSIDE) {
		builtin_count(&job->own->counters.stream_outside);
		job_emit_anomaly(job, "stream.est_packet_out_of_window");
		return job_drop(job, DROP_stream_window);
	}
	if (job->step.result == STREAM_NO_MEMORY)
		return give_up(job);
	if (job->step.result == STREAM_NEW && !translate_has_room(job))
		return job_drop(job, DROP_stream_replaced);
	return decide(job);
}

static enum verdict inspect_tcp(struct job *job)
{
	const struct tcp_settings settings = {
		.picks_up_midstream = job->settings->picks_up_midstream};
	bool is_withheld = order_withholds(job);
	enum tcp_outcome outcome;
	const char *anomaly;

	outcome = tcp_track(job->own->flows, job->flow, &job->side, &job->decoded,
		job_ingress(*job->packet), &settings, &anomaly);
	if (anomaly)
		job_emit_anomaly(job, anomaly);
	switch (outcome) {
	case TCP_FORBIDDEN:
		builtin_count(&job->own->counters.stream_outside);
		return job_drop(job, DROP_stream_window);
	case TCP_IGNORED:
		return decide(job);
	case TCP_TRACKED:
		break;
	}
	/* Started over, by this packet: a new connection. */
	if (job->flow->verdict == FLOW_DROP)
		return job_drop(job, DROP_inspect_flow);
	return order_settle(job, job_inspect_segment(job), is_withheld);
}

/* ---- flows ---- */

/* The handshake of a new connection is let through on the ports of one that was dropped; whether it
 * is one, the answer tells (tcp.c). */
static bool may_restart(const struct decoded *decoded)
{
	return decoded->protocol == IPPROTO_TCP && (decoded->tcp_flags & TCP_SYN)
		&& !(decoded->tcp_flags & TCP_RST) && decoded->payload_size == 0;
}

static void look_for_flow(struct job *job)
{
	flow_table_look(
		job->own->flows, &job->decoded, packet_metadata(*job->packet)->vlan, &job->lookup);
}

static enum verdict inspect_own_flow(struct job *job)
{
	const struct packet_metadata *metadata = packet_metadata(*job->packet);
	struct flow *flow = flow_table_get(
		job->own->flows, &job->decoded, &job->lookup, job->now_ns, &job->side);

	job->flow = flow;
	if (!flow)
		return decide(job);
	if (flow->packets[FLOW_CLIENT] + flow->packets[FLOW_SERVER] == 1)
		statistics_count_flow(&job->own->statistics, &job->decoded);
	flow_events_note(flow, job->side, &job->decoded, metadata);
	if (flow->verdict == FLOW_DROP && !may_restart(&job->decoded))
		return job_drop(job,
			flow->reason == FLOW_REASON_TRANSLATION ? DROP_stream_translation
								: DROP_inspect_flow);
	if (!translate_in(job))
		return job_drop(job, DROP_no_memory);
	if (flow->verdict == FLOW_PASS && !may_restart(&job->decoded))
		return VERDICT_PASS;
	if (job->decoded.protocol == IPPROTO_TCP)
		return inspect_tcp(job);
	if (job->side == FLOW_SERVER && flow->state == FLOW_NEW)
		flow_table_set_state(job->own->flows, flow, FLOW_ESTABLISHED);
	return decide(job);
}

/* RFC 5927 section 4.1: what the sender has on its way. A forger has to guess. */
static bool is_on_its_way(const struct stream *stream, uint32_t sequence)
{
	if (!(stream->flags & STREAM_HAS_ACK) || (stream->flags & STREAM_IS_BEYOND))
		return true;
	return !stream_before(sequence, stream->acked) && !stream_before(stream->next, sequence);
}

/* The flow that an ICMP error tells of, made out by the head of the packet in it. */
static struct flow *find_related(struct job *job, const struct decoded *about)
{
	enum flow_side sender;
	struct flow *flow = flow_table_find(
		job->own->flows, about, packet_metadata(*job->packet)->vlan, &sender);

	if (!flow
		|| (about->protocol == IPPROTO_TCP
			&& !is_on_its_way(&flow->streams[sender],
				translate_quoted(flow, sender, about->tcp_sequence))))
		return NULL;
	/* The error goes to the one that sent the packet. */
	job->side = flow_other_side(sender);
	return flow;
}

/* A receiver has nothing to do with it; rules see it all the same. */
static enum verdict inspect_unrelated(struct job *job)
{
	enum verdict verdict = decide(job);

	if (verdict == VERDICT_DROP || !job->settings->drops_unrelated)
		return verdict;
	return job_drop(job, DROP_inspect_unrelated);
}

/* An error gets the verdict of the flow that it is about; one about no flow makes none, and rules
 * and the policy for such errors judge it alone. */
static enum verdict inspect_icmp_error(struct job *job, const struct decoded *about)
{
	struct flow *flow = about->ip_version ? find_related(job, about) : NULL;

	if (!flow) {
		builtin_count(&job->own->counters.icmp_unrelated);
		return inspect_unrelated(job);
	}
	builtin_count(&job->own->counters.icmp_related);
	if (flow->verdict == FLOW_DROP)
		return job_drop(job, DROP_inspect_flow);
	job->flow = flow;
	job->is_about_flow = true;
	if (!translate_quotation(job, about, flow_other_side(job->side)))
		return job_drop(job, DROP_no_memory);
	if (flow->verdict == FLOW_PASS)
		return VERDICT_PASS;
	return decide(job);
}

static enum verdict inspect_flow(struct job *job)
{
	struct decoded about;
	int error = icmp_error_read(&job->decoded, &about);

	if (error == -EINVAL)
		memset(&about, 0, sizeof(about));
	return error == -ENOENT ? inspect_own_flow(job) : inspect_icmp_error(job, &about);
}

/* A receiver discards it, so it is no part of any stream; rules see it all the same. */
static enum verdict inspect_apart(struct job *job, enum drop_reason reason)
{
	enum verdict verdict = decide(job);

	if (verdict == VERDICT_DROP || !job->settings->drops_malformed)
		return verdict;
	return job_drop(job, reason);
}

static bool has_bad_checksum(struct job *job)
{
	return job->decoded.protocol == IPPROTO_TCP && job->decoded.l4_offset
		&& !job->settings->ignores_checksums
		&& (job->is_datagram || !packet_has_checked_checksum(*job->packet))
		&& !checksum_is_right(&job->decoded);
}

/* Some receivers find their way through these, to what nobody has inspected then. */
static bool hides_rest(const struct decoded *decoded)
{
	return decoded->malformed == DECODE_IPV6_EXTENSION
		|| decoded->malformed == DECODE_IPV4_OPTIONS
		|| decoded->malformed == DECODE_VLAN_DEEP;
}

static enum verdict inspect_malformed(struct job *job)
{
	enum verdict verdict = inspect_apart(job, DROP_inspect_malformed);

	if (verdict == VERDICT_DEEPER && hides_rest(&job->decoded))
		return fail(*job->packet, DROP_inspect_malformed);
	return verdict;
}

static enum verdict inspect_whole(struct job *job)
{
	enum decode_malformed malformed = job->decoded.malformed;

	if (malformed != DECODE_OK) {
		builtin_count(&job->own->counters.malformed_by[malformed]);
		job_emit_malformed(job);
	}
	/* Hosts ignore options that they cannot read, and take the data. */
	if (malformed != DECODE_OK
		&& (malformed != DECODE_TCP_OPTIONS || job->settings->drops_malformed))
		return inspect_malformed(job);
	if (has_bad_checksum(job)) {
		builtin_count(&job->own->counters.bad_checksums);
		job_emit_anomaly(job, "stream.pkt_invalid_checksum"); /* no name of Suricata's */
		return inspect_apart(job, DROP_inspect_malformed);
	}
	return inspect_flow(job);
}

/* ---- fragments ---- */

void job_make_ready(struct builtin_worker *own, struct rte_mbuf *packet, enum verdict verdict)
{
	uint32_t at = own->ready_head++ % BUILTIN_READY_MAX;

	own->ready[at].packet = packet;
	own->ready[at].verdict = verdict;
}

static void release_datagram(struct builtin_worker *own, const struct fragment_datagram *datagram,
	enum verdict verdict, enum drop_reason reason)
{
	for (uint16_t i = 0; i < datagram->count; i++) {
		if (verdict == VERDICT_DROP || verdict == VERDICT_FAILED)
			drop_mark(datagram->packets[i], reason);
		job_make_ready(own, datagram->packets[i], verdict);
	}
}

static enum verdict inspect_datagram(struct job *job)
{
	struct fragment_datagram *datagram = &job->own->datagram;
	struct rte_mbuf *first = datagram->packets[0];
	enum verdict verdict;

	job->is_datagram = true;
	job->is_copied = true;
	job->frame = datagram->frame;
	job->packet = &first;
	decode_frame(datagram->frame, datagram->frame_size, &job->decoded);
	look_for_flow(job);
	builtin_count(job->decoded.ip_version == 4 ? &job->own->statistics.reassembled_ipv4
						   : &job->own->statistics.reassembled_ipv6);
	verdict = translate_out(job, inspect_whole(job));
	release_datagram(job->own, datagram, verdict, packet_metadata(first)->drop_reason);
	if (job->flow && !job->is_about_flow && job->decoded.protocol == IPPROTO_TCP)
		job->flow->ready_until = job->own->ready_head;
	return VERDICT_HELD;
}

/* Rules that speak of fragments, before it is one of a datagram; false: it is dropped. */
static bool judge_fragment(struct job *job)
{
	const struct detect_context context = {
		.packet = &job->decoded, .to_server = true, .now_ns = job->now_ns};

	detect_result_init(&job->result);
	if (!job->ruleset)
		return true;
	detect_fragment(job->ruleset, job->worker, &context, &job->result);
	detect_result_finish(&job->result);
	if (rule_action_blocks(job->result.action))
		return false;
	job_emit_alerts(job);
	return true;
}

static enum verdict inspect_fragment(struct job *job)
{
	const struct inspect_chain *chain = publish_read(&inspect_chain);
	struct fragment_datagram *datagram = &job->own->datagram;
	struct rte_mbuf *packet = *job->packet;
	struct fragment_input input = {.packet = packet,
		.decoded = &job->decoded,
		.vlan = packet_metadata(packet)->vlan,
		.owner = job->builtin->base.owner,
		.now_ns = job->now_ns,
		.deadline_ns = job->now_ns + chain->gap_timeout_ns};

	if (job->own->ready_head - job->own->ready_tail > BUILTIN_READY_MAX - FRAGMENTS_MAX)
		return fail(packet, DROP_inspect_overload);
	if (!judge_fragment(job))
		return block(job);
	switch (fragment_add(
		job->own->fragments, inspect_workers[job->worker]->holds, &input, datagram)) {
	case FRAGMENT_HELD:
		return VERDICT_HELD;
	case FRAGMENT_COMPLETE:
		return inspect_datagram(job);
	case FRAGMENT_REFUSED:
		builtin_count(&job->own->counters.fragments_refused);
		job_emit_anomaly(job,
			job->decoded.ip_version == 4 ? "decoder.ipv4.frag_overlap"
						     : "decoder.ipv6.frag_overlap");
		release_datagram(job->own, datagram, VERDICT_DROP, DROP_inspect_fragment);
		return job_drop(job, DROP_inspect_fragment);
	case FRAGMENT_FULL:
		break;
	}
	release_datagram(job->own, datagram, VERDICT_FAILED, DROP_inspect_overload);
	return fail(packet, DROP_inspect_overload);
}

/* What is missing of them did not come in time. */
static void expire_fragments(struct builtin *builtin, uint16_t worker)
{
	struct builtin_worker *own = builtin->workers[worker];

	while (job_ready_room(own) >= FRAGMENTS_MAX
		&& fragment_expire(own->fragments, inspect_workers[worker]->holds,
			builtin->base.owner, clock_monotonic_ns(), &own->datagram)) {
		builtin_count(&own->counters.fragments_incomplete);
		release_datagram(own, &own->datagram, VERDICT_DROP, DROP_inspect_incomplete);
	}
}

uint16_t builtin_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max)
{
	struct builtin_worker *own = ((struct builtin *)inspector)->workers[worker];
	uint16_t collected = 0;

	expire_fragments((struct builtin *)inspector, worker);
	if (!list_is_empty(&own->held.queues)) {
		struct job job;

		job_init(&job, (struct builtin *)inspector, worker);
		order_expire(&job);
	}
	while (collected < max && own->ready_tail != own->ready_head) {
		uint32_t at = own->ready_tail++ % BUILTIN_READY_MAX;

		packets[collected] = own->ready[at].packet;
		verdicts[collected++] = own->ready[at].verdict;
	}
	flow_table_age_idle(own->flows, clock_monotonic_ns());
	return collected;
}

void builtin_retire(struct inspector *inspector, uint16_t worker)
{
	translate_lose_all(((struct builtin *)inspector)->workers[worker]);
}

/* ---- bursts ---- */

static void begin(struct job *job, struct rte_mbuf **packet)
{
	job->packet = packet;
	job->stream = NULL;
	job->is_datagram = job->is_urgent = job->is_about_flow = false;
	job->is_copied = (*packet)->nb_segs > 1;
	memset(&job->step, 0, sizeof(job->step));
	job->frame = rte_pktmbuf_mtod(*packet, uint8_t *);
}

void job_open(struct job *job, struct rte_mbuf **packet)
{
	begin(job, packet);
	if (job->is_copied) {
		rte_pktmbuf_read(*packet, 0, (*packet)->pkt_len, job->own->scratch);
		job->frame = job->own->scratch;
	}
	decode_frame(job->frame, (*packet)->pkt_len, &job->decoded);
}

/* Headers, and where the flow is looked for: all that packets need of memory is on its way to the
 * cache when the first one is judged. Those in pieces have to wait for the one scratch buffer. */
static void prepare(const struct job *job, struct rte_mbuf **packets, uint16_t count)
{
	struct builtin_prepared *prepared = job->own->prepared;

	for (uint16_t i = 0; i < count; i++) {
		if (packets[i]->nb_segs > 1)
			continue;
		decode_frame(rte_pktmbuf_mtod(packets[i], uint8_t *), packets[i]->pkt_len,
			&prepared[i].decoded);
		flow_table_look(job->own->flows, &prepared[i].decoded,
			packet_metadata(packets[i])->vlan, &prepared[i].lookup);
	}
	for (uint16_t i = 0; i < count; i++)
		if (packets[i]->nb_segs == 1)
			flow_table_fetch(job->own->flows, &prepared[i].lookup);
}

static enum verdict inspect_packet(
	struct job *job, struct rte_mbuf **packet, const struct builtin_prepared *prepared)
{
	job->flow = NULL;
	if ((*packet)->pkt_len > PACKET_BYTES_MAX)
		return fail(*packet, DROP_inspect_overload);
	if ((*packet)->nb_segs == 1) {
		begin(job, packet);
		job->decoded = prepared->decoded;
		job->lookup = prepared->lookup;
	} else {
		job_open(job, packet);
		look_for_flow(job);
	}
	statistics_count_packet(&job->own->statistics, &job->decoded);
	if (job->decoded.is_fragment && job->decoded.ip_payload_offset)
		return inspect_fragment(job);
	return inspect_whole(job);
}

void job_init(struct job *job, struct builtin *builtin, uint16_t worker)
{
	job->builtin = builtin;
	job->own = builtin->workers[worker];
	job->settings = publish_read(&builtin->settings);
	job->ruleset = publish_read(&builtin->ruleset);
	job->worker = worker;
	job->now_ns = clock_monotonic_ns();
}

void builtin_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count_in, enum verdict *verdicts)
{
	struct job job;

	job_init(&job, (struct builtin *)inspector, worker);
	prepare(&job, packets, count_in);
	for (uint16_t i = 0; i < count_in; i++) {
		verdicts[i] = inspect_packet(&job, &packets[i], &job.own->prepared[i]);
		job.packet = &packets[i];
		verdicts[i] = translate_out(&job, verdicts[i]);
		if (job.flow && !job.is_about_flow)
			verdicts[i] = order_follow(&job, verdicts[i]);
	}
	flow_table_age(job.own->flows, job.now_ns);
}
