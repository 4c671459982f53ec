/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writing side of traces runs on workers and costs what it costs, but only for traced packets;
 * the reading side on the control thread. Between them: one ring of fixed records a worker and
 * trace. A record that does not fit is counted as lost.
 *
 * Each node's entry is recorded by the walk, so that no node can be missing; a node adds what it
 * decided with trace_step(). An entry that a step of the same node follows is not shown.
 */
#include "packet/engine/trace_control.h"

#include "base/clock.h"
#include "packet/engine/drop.h"
#include "packet/engine/filter.h"
#include "packet/engine/names.h"
#include "packet/engine/publish.h"
#include "packet/engine/trace.h"
#include "packet/engine/worker.h"
#include "wire/decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <rte_errno.h>
#include <rte_graph_worker.h>
#include <rte_ring_elem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE        160
#define NODE_SIZE        RTE_NODE_NAMESIZE
#define RING_COUNT       2048
#define MESSAGE_COUNT    128U /* records a notification: below IPC_MESSAGE_SIZE */
#define DRAIN_COUNT      512  /* records a tick */
#define SLOT_SHIFT       28   /* metadata's trace_id: slot and number of the packet */
#define NUMBER_MASK      ((1U << SLOT_SHIFT) - 1)
#define POLL_MS          20
#define END_DELAY_NS     (300 * CLOCK_NS_PER_MS) /* held packets may still come back */
#define END_DELAY_MAX_NS (5 * CLOCK_NS_PER_S)

struct record {
	uint64_t at_ns;
	uint32_t number;
	uint16_t worker;
	uint16_t vlan;
	struct origin origin;
	bool is_entry;  /* into the node, by the walk; not a step of the node's own */
	bool is_packet; /* text describes the packet */
	char node[NODE_SIZE];
	char text[TEXT_SIZE];
} __rte_aligned(8);

struct trace {
	/* Constant while it is published. */
	uint32_t slot;
	uint32_t count;    /* packets wanted */
	uint32_t sampling; /* one of so many that match */
	struct filter filter;
	struct rte_ring *rings[WORKERS_MAX];
	/* Atomic, by workers. */
	uint32_t matched, selected;
	uint32_t lost;
	/* Control thread. */
	json_int_t id;
	uint64_t last_at_ns, full_at_ns;
};

static struct {
	uv_timer_t timer;
	struct trace *traces[WATCH_TRACES_MAX];
	json_int_t next_id;
	bool is_open;
} all = {.next_id = 1};

/* --- workers --- */

static void write_record(struct trace *trace, struct record *record)
{
	record->at_ns = clock_monotonic_ns();
	record->worker = worker_index;
	if (rte_ring_sp_enqueue_elem(trace->rings[worker_index], record, sizeof(*record)) != 0)
		__atomic_fetch_add(&trace->lost, 1, __ATOMIC_RELAXED);
}

static struct trace *trace_of(const struct watch *watch, const struct packet_metadata *metadata)
{
	uint32_t slot = metadata->trace_id >> SLOT_SHIFT;

	return watch && slot < WATCH_TRACES_MAX ? watch->traces[slot] : NULL;
}

static void fill_record(
	struct record *record, const struct packet_metadata *metadata, const char *node)
{
	*record = (struct record){.number = metadata->trace_id & NUMBER_MASK,
		.origin = metadata->origin,
		.vlan = metadata->vlan};
	snprintf(record->node, sizeof(record->node), "%s", node);
}

void trace_record(struct rte_mbuf *packet, const char *node, const char *format, ...)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	struct trace *trace = trace_of(publish_read(&watch_slot), metadata);
	struct record record;
	va_list arguments;

	if (!trace)
		return; /* it has ended */
	fill_record(&record, metadata, node);
	va_start(arguments, format);
	vsnprintf(record.text, sizeof(record.text), format, arguments);
	va_end(arguments);
	write_record(trace, &record);
}

static size_t append(char *out, size_t length, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static size_t append(char *out, size_t length, const char *format, ...)
{
	va_list arguments;
	int added;

	if (length >= TEXT_SIZE)
		return length;
	va_start(arguments, format);
	added = vsnprintf(out + length, TEXT_SIZE - length, format, arguments);
	va_end(arguments);
	return length + (size_t)added;
}

static size_t append_ip(const struct decoded *decoded, char *out, size_t length)
{
	int family = decoded->ip_version == 4 ? AF_INET : AF_INET6;
	char from[INET6_ADDRSTRLEN] = "?", to[INET6_ADDRSTRLEN] = "?";

	inet_ntop(family, decoded->source, from, sizeof(from));
	inet_ntop(family, decoded->destination, to, sizeof(to));
	if (!decoded->source_port && !decoded->destination_port)
		return append(out, length, " %s > %s protocol %u", from, to, decoded->protocol);
	return append(out, length, " %s.%u > %s.%u %s", from, decoded->source_port, to,
		decoded->destination_port,
		decoded->protocol == IPPROTO_TCP           ? "TCP"
			: decoded->protocol == IPPROTO_UDP ? "UDP"
							   : "SCTP");
}

static void describe_packet(const struct rte_mbuf *packet, char *out)
{
	uint8_t scratch[FILTER_SCRATCH_SIZE];
	struct decoded decoded;
	const uint8_t *frame;
	size_t length = 0;
	uint32_t size;

	frame = filter_view(packet, scratch, &size);
	decode_frame(frame, size, &decoded);
	if (size >= 14)
		length = append(out, length,
			"%02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x", frame[6],
			frame[7], frame[8], frame[9], frame[10], frame[11], frame[0], frame[1],
			frame[2], frame[3], frame[4], frame[5]);
	if (decoded.ip_version)
		length = append_ip(&decoded, out, length);
	else
		length = append(out, length, " ethertype 0x%04x", decoded.ethertype);
	append(out, length, ", %u bytes", packet->pkt_len);
}

/* Where a packet's fate with a filter is decided: at the source, or, where the VLAN is asked for,
 * behind the input node that finds it out. */
static bool is_decided_here(
	const struct trace *trace, const struct packet_metadata *metadata, bool is_entrance)
{
	return trace->filter.vlan ? !is_entrance && metadata->vlan : is_entrance;
}

static bool select_packet(struct trace *trace, struct rte_mbuf *packet, bool is_entrance)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	struct record record;
	uint32_t number;

	if (!is_decided_here(trace, metadata, is_entrance)
		|| __atomic_load_n(&trace->selected, __ATOMIC_RELAXED) >= trace->count
		|| !filter_matches(&trace->filter, packet))
		return false;
	if (__atomic_fetch_add(&trace->matched, 1, __ATOMIC_RELAXED) % trace->sampling != 0)
		return false;
	number = __atomic_add_fetch(&trace->selected, 1, __ATOMIC_RELAXED);
	if (number > trace->count)
		return false;
	metadata->flags |= PACKET_IS_TRACED;
	metadata->trace_id = trace->slot << SLOT_SHIFT | number;
	fill_record(&record, metadata, "rx");
	record.is_packet = true;
	describe_packet(packet, record.text);
	write_record(trace, &record);
	return true;
}

static void watch_packet(const struct watch *watch, const struct rte_node *node,
	struct rte_mbuf *packet, bool is_entrance)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	struct record record;
	struct trace *trace;

	for (uint32_t i = 0; i < WATCH_TRACES_MAX && !(metadata->flags & PACKET_IS_TRACED); i++)
		if (watch->traces[i])
			select_packet(watch->traces[i], packet, is_entrance);
	if (!(metadata->flags & PACKET_IS_TRACED) || is_entrance)
		return;
	trace = trace_of(watch, metadata);
	if (!trace)
		return;
	fill_record(&record, metadata, node->name);
	record.is_entry = true;
	if (metadata->drop_reason != DROP_none && strcmp(node->name, "drop") == 0)
		snprintf(record.text, sizeof(record.text), "%s: %s",
			drop_descriptions[metadata->drop_reason].name,
			drop_descriptions[metadata->drop_reason].text);
	write_record(trace, &record);
}

void trace_watch(const struct watch *watch, const struct rte_node *node, struct rte_mbuf **packets,
	uint16_t count, bool is_source)
{
	/* What comes from other sources (held, handed over) came in through rx before. */
	bool is_entrance = is_source && strcmp(node->name, "rx") == 0;

	for (uint16_t i = 0; i < count; i++)
		watch_packet(watch, node, packets[i], is_entrance);
}

/* --- control thread --- */

static json_t *record_json(const struct record *record)
{
	char origin[NAMES_ORIGIN_SIZE];
	json_t *json;

	json = json_pack("{s:I, s:I, s:i, s:s, s:s}", "packet", (json_int_t)record->number, "at_ns",
		(json_int_t)record->at_ns, "worker", record->worker, "node", record->node, "text",
		record->is_packet ? "" : record->text);
	names_format_origin(&record->origin, record->vlan, origin);
	json_object_set_new(json, "origin", json_string(origin));
	if (record->is_packet)
		json_object_set_new(json, "packet_text", json_string(record->text));
	return json;
}

/* An entry says nothing that the node's own step, or the packet's first record, does not say. */
static bool is_covered(const struct record *records, uint32_t count, uint32_t index)
{
	const struct record *entry = &records[index];

	if (!entry->is_entry || entry->text[0])
		return false;
	for (uint32_t i = index + 1; i < count; i++)
		if (records[i].number == entry->number && !records[i].is_entry
			&& strcmp(records[i].node, entry->node) == 0)
			return true;
	return false;
}

static void send_records(struct trace *trace, const struct record *records, uint32_t count)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < count; i++)
		if (!is_covered(records, count, i))
			json_array_append_new(rows, record_json(&records[i]));
	if (packet_notify(
		    "trace.records", json_pack("{s:I, s:o}", "trace", trace->id, "records", rows))
		< 0)
		__atomic_fetch_add(&trace->lost, count, __ATOMIC_RELAXED);
}

static int compare_times(const void *left, const void *right)
{
	const struct record *a = left, *b = right;

	return a->at_ns < b->at_ns ? -1 : a->at_ns > b->at_ns;
}

/* A bounded part of what waits, so that a trace of everything leaves the control thread time for
 * its other work; the rest is lost in the rings, and counted there. Sorted by time, since a packet
 * may walk on two workers. */
static bool drain(struct trace *trace)
{
	static struct record records[DRAIN_COUNT];
	uint32_t share = DRAIN_COUNT / RTE_MAX(worker_count(), 1), count = 0;

	for (uint16_t worker = 0; worker < worker_count(); worker++)
		count += rte_ring_sc_dequeue_burst_elem(
			trace->rings[worker], records + count, sizeof(*records), share, NULL);
	qsort(records, count, sizeof(*records), compare_times);
	for (uint32_t sent = 0; sent < count; sent += MESSAGE_COUNT)
		send_records(trace, records + sent, RTE_MIN(MESSAGE_COUNT, count - sent));
	return count > 0;
}

static void destroy(struct trace *trace)
{
	if (!trace)
		return;
	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		rte_ring_free(trace->rings[i]);
	filter_close(&trace->filter);
	free(trace);
}

/* Removes it from the workers' sight, sends what is left. */
static void end(struct trace *trace, const char *reason)
{
	uint32_t selected;

	if (watch_set_trace(trace->slot, NULL) < 0)
		return; /* no memory: the next tick tries again */
	drain(trace);
	selected = __atomic_load_n(&trace->selected, __ATOMIC_RELAXED);
	packet_notify("trace.end",
		json_pack("{s:I, s:I, s:I, s:s}", "trace", trace->id, "packets",
			(json_int_t)(selected < trace->count ? selected : trace->count),
			"lost_records", (json_int_t)__atomic_load_n(&trace->lost, __ATOMIC_RELAXED),
			"reason", reason));
	all.traces[trace->slot] = NULL;
	destroy(trace);
}

/* All wanted packets were seen, and nothing more of them came for a while. */
static bool is_complete(struct trace *trace, uint64_t now_ns)
{
	if (__atomic_load_n(&trace->selected, __ATOMIC_RELAXED) < trace->count)
		return false;
	if (trace->full_at_ns == 0)
		trace->full_at_ns = now_ns;
	return now_ns - trace->last_at_ns > END_DELAY_NS
		|| now_ns - trace->full_at_ns > END_DELAY_MAX_NS;
}

static void on_poll(uv_timer_t *timer)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool is_idle = true;

	for (uint32_t i = 0; i < WATCH_TRACES_MAX; i++) {
		struct trace *trace = all.traces[i];

		if (!trace)
			continue;
		is_idle = false;
		if (drain(trace))
			trace->last_at_ns = now_ns;
		if (is_complete(trace, now_ns))
			end(trace, "count");
	}
	if (is_idle)
		uv_timer_stop(timer);
}

void trace_open(uv_loop_t *loop)
{
	uv_timer_init(loop, &all.timer);
	all.is_open = true;
}

void trace_stop_all(void)
{
	for (uint32_t i = 0; i < WATCH_TRACES_MAX; i++)
		if (all.traces[i])
			end(all.traces[i], "stopped");
}

void trace_close(void)
{
	if (!all.is_open)
		return;
	trace_stop_all();
	uv_close((uv_handle_t *)&all.timer, NULL);
	all.is_open = false;
}

static int create(uint32_t slot, const json_t *params, struct trace **out, struct error *error)
{
	json_int_t count = json_integer_value(json_object_get(params, "count"));
	json_int_t sampling = json_integer_value(json_object_get(params, "sampling"));
	struct trace *trace = calloc(1, sizeof(*trace));
	int status;

	if (!trace)
		return error_set(error, -ENOMEM, "no memory for a trace");
	trace->slot = slot;
	trace->count = count > 0 && count < (json_int_t)NUMBER_MASK ? (uint32_t)count : NUMBER_MASK;
	trace->sampling = sampling > 0 ? (uint32_t)sampling : 1;
	status = filter_open(&trace->filter, params, error);
	for (uint16_t i = 0; status == 0 && i < worker_count(); i++) {
		char name[32];

		snprintf(name, sizeof(name), "trace-%u-%u", slot, i);
		trace->rings[i] = rte_ring_create_elem(name, sizeof(struct record), RING_COUNT,
			SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!trace->rings[i])
			status = error_set(error, -rte_errno, "no memory for the trace's ring: %s",
				rte_strerror(rte_errno));
	}
	if (status < 0) {
		destroy(trace);
		return status;
	}
	*out = trace;
	return 0;
}

void trace_handle_start(struct ipc_request *request, void *context)
{
	struct trace *trace = NULL;
	struct error error;
	uint32_t slot = 0;
	int status;

	while (slot < WATCH_TRACES_MAX && all.traces[slot])
		slot++;
	if (slot == WATCH_TRACES_MAX) {
		ipc_reply_failed(request, -EBUSY, "four traces run already; stop one of them");
		return;
	}
	status = create(slot, ipc_request_params(request), &trace, &error);
	if (status == 0) {
		trace->id = all.next_id++;
		status = watch_set_trace(slot, trace);
		if (status < 0) {
			destroy(trace);
			error_set(&error, status, "no memory for a trace");
		}
	}
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	all.traces[slot] = trace;
	uv_timer_start(&all.timer, on_poll, POLL_MS, POLL_MS);
	ipc_reply(request, json_pack("{s:I}", "trace", trace->id));
}

void trace_handle_stop(struct ipc_request *request, void *context)
{
	json_int_t id = json_integer_value(json_object_get(ipc_request_params(request), "trace"));

	for (uint32_t i = 0; i < WATCH_TRACES_MAX; i++)
		if (all.traces[i] && all.traces[i]->id == id) {
			end(all.traces[i], "stopped");
			ipc_reply(request, json_object());
			return;
		}
	ipc_reply_failed(request, -ENOENT, "there is no such trace; it may have ended");
}
