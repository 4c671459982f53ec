/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/statistics.h"

#include "base/clock.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/tcp.h"
#include "packet/port/port.h"
#include "schema/json.h"
#include "wire/eth.h"

#include <netinet/in.h>

/* ---- workers ---- */

static void count_tcp(struct builtin_statistics *statistics, uint8_t flags)
{
	builtin_count(&statistics->tcp);
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		builtin_count(&statistics->tcp_syn);
	if ((flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		builtin_count(&statistics->tcp_syn_ack);
	if (flags & TCP_RST)
		builtin_count(&statistics->tcp_rst);
	if (flags & TCP_URG)
		builtin_count(&statistics->tcp_urgent);
}

static void count_ip(struct builtin_statistics *statistics, const struct decoded *decoded)
{
	bool is_ipv4 = decoded->ip_version == 4;

	builtin_count(is_ipv4 ? &statistics->ipv4 : &statistics->ipv6);
	if (decoded->is_fragment)
		builtin_count(is_ipv4 ? &statistics->fragments_ipv4 : &statistics->fragments_ipv6);
	if (!decoded->l4_offset)
		return;
	switch (decoded->protocol) {
	case IPPROTO_TCP:
		count_tcp(statistics, decoded->tcp_flags);
		break;
	case IPPROTO_UDP:
		builtin_count(&statistics->udp);
		break;
	case IPPROTO_SCTP:
		builtin_count(&statistics->sctp);
		break;
	case IPPROTO_ICMP:
		builtin_count(&statistics->icmpv4);
		break;
	case IPPROTO_ICMPV6:
		builtin_count(&statistics->icmpv6);
		break;
	}
}

void statistics_count_packet(struct builtin_statistics *statistics, const struct decoded *decoded)
{
	builtin_count(&statistics->packets);
	__atomic_store_n(
		&statistics->bytes, statistics->bytes + decoded->frame_size, __ATOMIC_RELAXED);
	if (decoded->frame_size > statistics->largest)
		__atomic_store_n(&statistics->largest, decoded->frame_size, __ATOMIC_RELAXED);
	if (decoded->vlan_count > 0)
		builtin_count(&statistics->vlan);
	if (decoded->vlan_count > 1)
		builtin_count(&statistics->vlan_in_vlan);
	if (decoded->ip_version)
		count_ip(statistics, decoded);
	else if (decoded->ethertype == ETH_TYPE_ARP)
		builtin_count(&statistics->arp);
}

void statistics_count_flow(struct builtin_statistics *statistics, const struct decoded *decoded)
{
	builtin_count(&statistics->flows);
	switch (decoded->protocol) {
	case IPPROTO_TCP:
		builtin_count(&statistics->flows_tcp);
		break;
	case IPPROTO_UDP:
		builtin_count(&statistics->flows_udp);
		break;
	case IPPROTO_ICMP:
		builtin_count(&statistics->flows_icmpv4);
		break;
	case IPPROTO_ICMPV6:
		builtin_count(&statistics->flows_icmpv6);
		break;
	}
}

/* ---- control thread ---- */

#define FIELD(name, key, field)                                                                    \
	{                                                                                          \
		name, key, offsetof(struct builtin_worker, field)                                  \
	}

/* Sums over workers, by Suricata's group and name. */
static const struct {
	const char *group, *name;
	size_t offset;
} rows[] = {
	FIELD("decoder", "pkts", statistics.packets),
	FIELD("decoder", "bytes", statistics.bytes),
	FIELD("decoder", "ethernet", statistics.packets),
	FIELD("decoder", "arp", statistics.arp),
	FIELD("decoder", "ipv4", statistics.ipv4),
	FIELD("decoder", "ipv6", statistics.ipv6),
	FIELD("decoder", "tcp", statistics.tcp),
	FIELD("decoder", "udp", statistics.udp),
	FIELD("decoder", "sctp", statistics.sctp),
	FIELD("decoder", "icmpv4", statistics.icmpv4),
	FIELD("decoder", "icmpv6", statistics.icmpv6),
	FIELD("decoder", "vlan", statistics.vlan),
	FIELD("decoder", "vlan_qinq", statistics.vlan_in_vlan),
	FIELD("tcp", "syn", statistics.tcp_syn),
	FIELD("tcp", "synack", statistics.tcp_syn_ack),
	FIELD("tcp", "rst", statistics.tcp_rst),
	FIELD("tcp", "urg", statistics.tcp_urgent),
	FIELD("tcp", "sessions", statistics.flows_tcp),
	FIELD("tcp", "invalid_checksum", counters.bad_checksums),
	FIELD("tcp", "overlap_diff_data", counters.rewritten),
	FIELD("tcp", "reassembly_gap", counters.gaps_given_up),
	FIELD("tcp", "segment_memcap_drop", counters.stream_no_memory),
	FIELD("flow", "total", statistics.flows),
	FIELD("flow", "tcp", statistics.flows_tcp),
	FIELD("flow", "udp", statistics.flows_udp),
	FIELD("flow", "icmpv4", statistics.flows_icmpv4),
	FIELD("flow", "icmpv6", statistics.flows_icmpv6),
	FIELD("flow", "tcp_reuse", statistics.flows_reused),
	FIELD("flow.end.state", "new", statistics.ended[FLOW_NEW]),
	FIELD("flow.end.state", "established", statistics.ended[FLOW_ESTABLISHED]),
	FIELD("flow.end.state", "closed", statistics.ended[FLOW_CLOSED]),
	FIELD("flow.end.state", "local_bypassed", statistics.ended_bypassed),
	FIELD("defrag.ipv4", "fragments", statistics.fragments_ipv4),
	FIELD("defrag.ipv4", "reassembled", statistics.reassembled_ipv4),
	FIELD("defrag.ipv6", "fragments", statistics.fragments_ipv6),
	FIELD("defrag.ipv6", "reassembled", statistics.reassembled_ipv6),
	FIELD("ips", "rejected", counters.rejected),
};

static uint64_t read_field(const struct builtin_worker *own, size_t offset)
{
	/* Relaxed; pairs with builtin_count(). */
	return __atomic_load_n(
		(const uint64_t *)(const void *)((const char *)own + offset), __ATOMIC_RELAXED);
}

uint64_t statistics_sum(const struct builtin *builtin, size_t offset)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < builtin->worker_count; i++)
		total += read_field(builtin->workers[i], offset);
	return total;
}

uint64_t statistics_malformed(const struct builtin *builtin)
{
	uint64_t total = 0;

	for (int reason = DECODE_OK + 1; reason < DECODE_MALFORMED_COUNT; reason++)
		total += statistics_malformed_by(builtin, (enum decode_malformed)reason);
	return total;
}

uint64_t statistics_malformed_by(const struct builtin *builtin, enum decode_malformed reason)
{
	return statistics_sum(builtin,
		offsetof(struct builtin_worker, counters.malformed_by) + reason * sizeof(uint64_t));
}

/* The object at "flow.end.state", made where it is missing. */
static json_t *group_of(json_t *stats, const char *path)
{
	char name[32];
	size_t length = strcspn(path, ".");
	json_t *group;

	snprintf(name, sizeof(name), "%.*s", (int)length, path);
	group = json_object_get(stats, name);
	if (!group) {
		group = json_object();
		json_object_set_new(stats, name, group);
	}
	return path[length] ? group_of(group, path + length + 1) : group;
}

static void set_sizes(const struct builtin *builtin, json_t *stats)
{
	json_t *decoder = group_of(stats, "decoder");
	uint64_t packets =
		statistics_sum(builtin, offsetof(struct builtin_worker, statistics.packets));
	uint64_t bytes = statistics_sum(builtin, offsetof(struct builtin_worker, statistics.bytes));
	uint64_t largest = 0, active = 0, evicted = 0, memory = 0;

	for (uint16_t i = 0; i < builtin->worker_count; i++) {
		const struct builtin_worker *own = builtin->workers[i];

		largest = RTE_MAX(largest,
			read_field(own, offsetof(struct builtin_worker, statistics.largest)));
		active += flow_table_count(own->flows);
		evicted += flow_table_evicted(own->flows);
		memory += arena_used(flow_table_arena(own->flows));
	}
	set_number(decoder, "invalid", statistics_malformed(builtin));
	set_number(decoder, "avg_pkt_size", packets ? bytes / packets : 0);
	set_number(decoder, "max_pkt_size", largest);
	set_number(group_of(stats, "flow"), "active", active);
	set_number(group_of(stats, "flow"), "get_used", evicted);
	set_number(group_of(stats, "tcp"), "reassembly_memuse", memory);
}

static void set_verdicts(const struct builtin *builtin, json_t *stats)
{
	uint64_t counts[VERDICT_COUNT] = {0}, alerts = 0;
	json_t *ips = group_of(stats, "ips");

	for (uint16_t i = 0; i < builtin->worker_count; i++) {
		const struct inspector_counters *counters = &builtin->base.counters[i];

		alerts += __atomic_load_n(&counters->alerts, __ATOMIC_RELAXED);
		for (int j = 0; j < VERDICT_COUNT; j++)
			counts[j] += __atomic_load_n(&counters->verdicts[j], __ATOMIC_RELAXED)
				+ __atomic_load_n(&counters->late_verdicts[j], __ATOMIC_RELAXED);
	}
	set_number(ips, "accepted",
		counts[VERDICT_PASS] + counts[VERDICT_DEEPER] + counts[VERDICT_REPLACE]);
	set_number(ips, "blocked", counts[VERDICT_DROP]);
	set_number(ips, "replaced", counts[VERDICT_REPLACE]);
	set_number(group_of(stats, "detect"), "alert", alerts);
}

static void set_ruleset(const struct builtin *builtin, json_t *stats)
{
	json_t *refused = json_object_get(builtin->report, "refused");

	json_object_set_new(group_of(stats, "detect"), "engines",
		json_pack("[{s:i, s:I, s:I}]", "id", 0, "rules_loaded",
			(json_int_t)(builtin->ruleset ? ruleset_rule_count(builtin->ruleset) : 0),
			"rules_failed", json_integer_value(refused)));
}

/* What the ports took in, whether or not it was for us. */
static void set_capture(json_t *stats)
{
	const struct port_table *table = publish_read(&port_table);
	json_t *capture = group_of(stats, "capture");
	uint64_t packets = 0, missed = 0, errors = 0;

	for (uint16_t i = 0; table && i < table->count; i++) {
		const struct port *port = table->ports[i];

		for (uint16_t j = 0; port && j < WORKERS_MAX; j++) {
			packets += __atomic_load_n(&port->counters[j].rx_packets, __ATOMIC_RELAXED);
			errors += __atomic_load_n(&port->counters[j].rx_errors, __ATOMIC_RELAXED);
		}
		missed += port ? port->rx_missed : 0;
	}
	set_number(capture, "kernel_packets", packets);
	set_number(capture, "kernel_drops", missed);
	set_number(capture, "errors", errors);
}

json_t *statistics_event(const struct builtin *builtin)
{
	json_t *stats = json_object();
	char text[CLOCK_TEXT_SIZE];

	clock_format(clock_wall_ns(), text);
	set_number(stats, "uptime", (clock_monotonic_ns() - builtin->started_ns) / CLOCK_NS_PER_S);
	set_capture(stats);
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		set_number(group_of(stats, rows[i].group), rows[i].name,
			statistics_sum(builtin, rows[i].offset));
	set_sizes(builtin, stats);
	set_verdicts(builtin, stats);
	set_ruleset(builtin, stats);
	return json_pack(
		"{s:s, s:s, s:o}", "timestamp", text, "event_type", "stats", "stats", stats);
}
