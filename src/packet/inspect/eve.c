/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/eve.h"

#include "base/clock.h"
#include "packet/inspect/builtin/detect.h"
#include "schema/json.h"
#include "wire/network.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static_assert(JSON_HAVE_ATOMIC_BUILTINS || JSON_HAVE_SYNC_BUILTINS,
	"workers and the control thread count references of the same metadata");

static const char *const origin_names[ORIGIN_KIND_COUNT] = {
	[ORIGIN_NONE] = "none",
	[ORIGIN_PHYSICAL] = "physical",
	[ORIGIN_TRUNK] = "trunk",
	[ORIGIN_HOST] = "host",
	[ORIGIN_DECRYPTED] = "decrypted",
	[ORIGIN_REMOTE] = "remote",
	[ORIGIN_TARGET] = "target",
};

static const char *const type_names[EVE_TYPE_COUNT] = {
	[EVE_ALERT] = "alert",
	[EVE_DROP] = "drop",
	[EVE_FLOW] = "flow",
	[EVE_ANOMALY] = "anomaly",
	[EVE_STATS] = "stats",
};

enum eve_type eve_find_type(const char *name)
{
	enum eve_type type = EVE_ALERT;

	while (type < EVE_TYPE_COUNT && strcmp(type_names[type], name) != 0)
		type++;
	return type;
}

const char *eve_origin_name(const struct origin *origin)
{
	return origin_names[origin->kind % ORIGIN_KIND_COUNT];
}

void eve_copy_text(char out[EVE_TEXT_SIZE], const char *text)
{
	snprintf(out, EVE_TEXT_SIZE, "%s", text ? text : "");
}

/* What struct decoded has no field for. ip_version says that the IP header is whole. */
static void fill_headers(struct eve_record *record, const struct decoded *decoded)
{
	const uint8_t *ip = decoded->frame + decoded->l3_offset;

	if (decoded->ip_version == 4) {
		record->ip_length = network_load16(ip + 2);
		record->ip_id = network_load16(ip + 4);
	} else if (decoded->ip_version == 6) {
		record->ip_length = network_load16(ip + 4);
		record->flow_label = network_load32(ip) & 0xfffff;
	}
	/* Of this one the start may be all that there is. */
	if (decoded->protocol == IPPROTO_UDP && decoded->l4_offset
		&& decoded->l4_offset + 6 <= decoded->captured_size)
		record->udp_length = network_load16(decoded->frame + decoded->l4_offset + 4);
}

void eve_fill(struct eve_record *record, enum eve_type type, const struct decoded *decoded,
	const struct packet_metadata *metadata)
{
	memset(record, 0, offsetof(struct eve_record, message));
	record->message[0] = record->category[0] = '\0';
	record->type = (uint8_t)type;
	record->wall_ns = clock_wall_ns();
	record->ip_version = decoded->ip_version;
	record->protocol = decoded->protocol;
	memcpy(record->source, decoded->source, sizeof(record->source));
	memcpy(record->destination, decoded->destination, sizeof(record->destination));
	record->source_port = decoded->source_port;
	record->destination_port = decoded->destination_port;
	record->tcp_sequence = decoded->tcp_sequence;
	record->tcp_acknowledgement = decoded->tcp_acknowledgement;
	record->tcp_window = decoded->tcp_window;
	record->tcp_flags = decoded->tcp_flags;
	record->icmp_type = decoded->icmp_type;
	record->icmp_code = decoded->icmp_code;
	record->ttl = decoded->ttl;
	record->dscp_ecn = decoded->dscp_ecn;
	record->frame_size = decoded->frame_size;
	fill_headers(record, decoded);
	record->vlan = metadata->vlan;
	record->origin = metadata->origin;
	record->remote = metadata->remote;
	if (decoded->frame_size >= sizeof(record->destination_mac))
		memcpy(record->destination_mac, decoded->frame, sizeof(record->destination_mac));
	if (decoded->payload_offset) {
		record->payload_size = decoded->payload_size < EVE_PAYLOAD_SIZE
			? (uint16_t)decoded->payload_size
			: EVE_PAYLOAD_SIZE;
		memcpy(record->payload, decoded->frame + decoded->payload_offset,
			record->payload_size);
	}
}

void eve_hold_metadata(struct eve_record *record, const json_t *metadata)
{
	record->rule_metadata = json_incref((json_t *)(uintptr_t)metadata);
}

void eve_release(const struct eve_record *record)
{
	json_decref(record->rule_metadata);
}

static void set_string(json_t *object, const char *key, const char *value)
{
	if (value)
		json_object_set_new(object, key, json_string(value));
}

static void set_address(
	json_t *object, const char *key, const struct eve_record *record, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(record->ip_version == 4 ? AF_INET : AF_INET6, address, text, sizeof(text)))
		set_string(object, key, text);
}

/* Names as Suricata writes them: those of /etc/protocols; others as a number of three digits. */
static void set_protocol(json_t *event, const struct eve_record *record)
{
	static const char *const names[UINT8_MAX + 1] = {
		[IPPROTO_ICMP] = "ICMP",
		[IPPROTO_IGMP] = "IGMP",
		[IPPROTO_IPIP] = "IP-ENCAP",
		[IPPROTO_TCP] = "TCP",
		[IPPROTO_UDP] = "UDP",
		[IPPROTO_DCCP] = "DCCP",
		[IPPROTO_IPV6] = "IPv6",
		[IPPROTO_RSVP] = "RSVP",
		[IPPROTO_GRE] = "GRE",
		[IPPROTO_ESP] = "ESP",
		[IPPROTO_AH] = "AH",
		[IPPROTO_ICMPV6] = "IPv6-ICMP",
		[IPPROTO_PIM] = "PIM",
		[IPPROTO_SCTP] = "SCTP",
		[IPPROTO_UDPLITE] = "UDPLite",
	};
	char number[8];

	if (names[record->protocol]) {
		set_string(event, "proto", names[record->protocol]);
		return;
	}
	snprintf(number, sizeof(number), "%03u", record->protocol);
	set_string(event, "proto", number);
}

static bool has_ports(const struct eve_record *record)
{
	return record->protocol == IPPROTO_TCP || record->protocol == IPPROTO_UDP
		|| record->protocol == IPPROTO_SCTP;
}

static void set_tuple(json_t *event, const struct eve_record *record)
{
	if (!record->ip_version)
		return;
	set_address(event, "src_ip", record, record->source);
	set_address(event, "dest_ip", record, record->destination);
	if (has_ports(record)) {
		set_number(event, "src_port", record->source_port);
		set_number(event, "dest_port", record->destination_port);
	}
	set_protocol(event, record);
	if (record->protocol == IPPROTO_ICMP || record->protocol == IPPROTO_ICMPV6) {
		set_number(event, "icmp_type", record->icmp_type);
		set_number(event, "icmp_code", record->icmp_code);
	}
	if (record->type == EVE_FLOW && record->end.has_response) {
		set_number(event, "response_icmp_type", record->end.response_icmp_type);
		set_number(event, "response_icmp_code", record->end.response_icmp_code);
	}
}

static void set_end(json_t *alert, const char *key, const struct eve_record *record, bool is_source)
{
	json_t *end = json_object();

	set_address(end, "ip", record, is_source ? record->source : record->destination);
	if (has_ports(record))
		set_number(end, "port", is_source ? record->source_port : record->destination_port);
	json_object_set_new(alert, key, end);
}

static json_t *alert_to_json(const struct eve_record *record)
{
	json_t *alert = json_object();

	set_string(alert, "action", record->is_blocked ? "blocked" : "allowed");
	set_number(alert, "gid", record->gid);
	set_number(alert, "signature_id", record->sid);
	set_number(alert, "rev", record->rev);
	set_string(alert, "signature", record->message);
	set_string(alert, "category", record->category);
	set_number(alert, "severity", record->severity);
	/* Not in the `alert` of a drop event, as Suricata. */
	if (record->type == EVE_ALERT && record->rule_metadata)
		json_object_set(alert, "metadata", record->rule_metadata);
	if (record->target != RULE_TARGET_NONE) {
		set_end(alert, "source", record, record->target == RULE_TARGET_DESTINATION);
		set_end(alert, "target", record, record->target == RULE_TARGET_SOURCE);
	}
	return alert;
}

static json_t *drop_to_json(const struct eve_record *record, const struct eve_names *names)
{
	json_t *drop = json_object();

	if (record->ip_version == 4) {
		set_number(drop, "len", record->ip_length);
		set_number(drop, "tos", record->dscp_ecn);
		set_number(drop, "ttl", record->ttl);
		set_number(drop, "ipid", record->ip_id);
	} else if (record->ip_version == 6) {
		set_number(drop, "len", record->ip_length);
		set_number(drop, "tc", record->dscp_ecn);
		set_number(drop, "hoplimit", record->ttl);
		set_number(drop, "flowlbl", record->flow_label);
	} else {
		set_number(drop, "len", record->frame_size); /* Suricata has no such events */
	}
	if (record->udp_length)
		set_number(drop, "udplen", record->udp_length);
	if (record->protocol == IPPROTO_TCP) {
		set_number(drop, "tcpseq", record->tcp_sequence);
		set_number(drop, "tcpack", record->tcp_acknowledgement);
		set_number(drop, "tcpwin", record->tcp_window);
		json_object_set_new(drop, "syn", json_boolean(record->tcp_flags & 0x02));
		json_object_set_new(drop, "ack", json_boolean(record->tcp_flags & 0x10));
		json_object_set_new(drop, "psh", json_boolean(record->tcp_flags & 0x08));
		json_object_set_new(drop, "rst", json_boolean(record->tcp_flags & 0x04));
		json_object_set_new(drop, "urg", json_boolean(record->tcp_flags & 0x20));
		json_object_set_new(drop, "fin", json_boolean(record->tcp_flags & 0x01));
	}
	set_string(drop, "reason", names->drop_reason);
	return drop;
}

/* Those of a packet, or of all packets. */
static void set_tcp_flags(json_t *object, uint8_t flags)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} rows[] = {{"syn", 0x02}, {"fin", 0x01}, {"rst", 0x04}, {"psh", 0x08}, {"ack", 0x10},
		{"urg", 0x20}, {"ecn", 0x40}, {"cwr", 0x80}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (flags & rows[i].bit)
			json_object_set_new(object, rows[i].name, json_true());
}

static json_t *tcp_to_json(const struct eve_flow_end *end)
{
	json_t *tcp = json_object();
	uint8_t all = end->tcp_flags[0] | end->tcp_flags[1];

	json_object_set_new(tcp, "tcp_flags", json_sprintf("%02x", all));
	json_object_set_new(tcp, "tcp_flags_ts", json_sprintf("%02x", end->tcp_flags[0]));
	json_object_set_new(tcp, "tcp_flags_tc", json_sprintf("%02x", end->tcp_flags[1]));
	set_tcp_flags(tcp, all);
	set_string(tcp, "state", end->tcp_state);
	return tcp;
}

/* The rest of `flow`, which alerts do not have. */
static void set_flow_end(json_t *flow, const struct eve_record *record)
{
	const struct eve_flow_end *end = &record->end;
	char text[CLOCK_TEXT_SIZE];

	clock_format(end->ended_wall_ns, text);
	set_string(flow, "end", text);
	set_number(flow, "age",
		end->ended_wall_ns / CLOCK_NS_PER_S
			- record->flow_started_wall_ns / CLOCK_NS_PER_S);
	set_string(flow, "state", end->state);
	if (end->is_bypassed)
		set_string(flow, "bypass", "local");
	set_string(flow, "reason", end->reason);
	json_object_set_new(flow, "alerted", json_boolean(end->is_alerted));
	set_string(flow, "action", end->action);
}

static json_t *anomaly_to_json(const struct eve_record *record)
{
	json_t *anomaly = json_object();

	set_string(anomaly, "type",
		strncmp(record->anomaly, "decoder.", 8) == 0 ? "decode" : "stream");
	set_string(anomaly, "event", record->anomaly);
	return anomaly;
}

static json_t *flow_to_json(const struct eve_record *record)
{
	char text[CLOCK_TEXT_SIZE];
	json_t *flow = json_object();

	set_number(flow, "pkts_toserver", record->flow_packets[0]);
	set_number(flow, "pkts_toclient", record->flow_packets[1]);
	set_number(flow, "bytes_toserver", record->flow_bytes[0]);
	set_number(flow, "bytes_toclient", record->flow_bytes[1]);
	clock_format(record->flow_started_wall_ns, text);
	set_string(flow, "start", text);
	if (record->type == EVE_FLOW)
		set_flow_end(flow, record);
	return flow;
}

static void set_payload(json_t *event, const struct eve_record *record)
{
	char text[EVE_PAYLOAD_SIZE + 1];

	for (uint16_t i = 0; i < record->payload_size; i++) {
		uint8_t byte = record->payload[i];

		text[i] = (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\r' ? (char)byte
											: '.';
	}
	text[record->payload_size] = '\0';
	set_string(event, "payload_printable", text);
}

/* Names and objects of Suricata. */
static void set_text(json_t *object, const char *key, const char *text)
{
	if (*text)
		set_string(object, key, text);
}

static json_t *http_to_json(const struct app_summary *app)
{
	json_t *http = json_object();

	set_text(http, "hostname", app->host);
	set_text(http, "url", app->url);
	set_text(http, "http_user_agent", app->agent);
	set_text(http, "http_method", app->method);
	set_text(http, "protocol", app->version);
	if (app->has_status)
		set_number(http, "status", app->status);
	return http;
}

static json_t *tls_to_json(const struct app_summary *app)
{
	json_t *tls = json_object(), *ja3 = json_object();

	set_text(tls, "sni", app->host);
	set_string(ja3, "hash", app->ja3);
	json_object_set_new(tls, "ja3", ja3);
	return tls;
}

/* RFC 1035 section 3.2.2 and later: those that queries are made for. */
static const char *dns_type_name(uint16_t type)
{
	static const struct {
		uint16_t type;
		const char *name;
	} types[] = {{1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {12, "PTR"}, {15, "MX"},
		{16, "TXT"}, {28, "AAAA"}, {33, "SRV"}, {64, "SVCB"}, {65, "HTTPS"}, {255, "ANY"}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return types[i].name;
	return NULL;
}

static json_t *dns_to_json(const struct app_summary *app)
{
	json_t *dns = json_object(), *queries = json_array(), *query = json_object();
	char number[16];

	set_string(query, "type", "query");
	set_number(query, "id", app->dns_id);
	set_string(query, "rrname", app->host);
	snprintf(number, sizeof(number), "TYPE%u", app->dns_type);
	set_string(query, "rrtype",
		dns_type_name(app->dns_type) ? dns_type_name(app->dns_type) : number);
	json_array_append_new(queries, query);
	json_object_set_new(dns, "query", queries);
	return dns;
}

static void set_app(json_t *event, const struct eve_record *record)
{
	const struct app_summary *app = &record->app;

	if (record->type == EVE_FLOW && record->app_protocol == APP_OTHER)
		set_string(event, "app_proto", "failed");
	else
		set_string(event, "app_proto", app_protocol_name(record->app_protocol));
	if (!record->has_app)
		return;
	if (app->protocol == APP_HTTP)
		json_object_set_new(event, "http", http_to_json(app));
	else if (app->protocol == APP_TLS)
		json_object_set_new(event, "tls", tls_to_json(app));
	else if (app->protocol == APP_DNS)
		json_object_set_new(event, "dns", dns_to_json(app));
}

json_t *eve_to_json(const struct eve_record *record, const struct eve_names *names)
{
	char text[CLOCK_TEXT_SIZE];
	json_t *event = json_object(), *vlans = json_array();

	clock_format(record->wall_ns, text);
	set_string(event, "timestamp", text);
	if (record->has_flow)
		set_number(event, "flow_id", record->flow_id);
	set_string(event, "in_iface", names->in_interface);
	set_string(event, "event_type", type_names[record->type]);
	json_array_append_new(vlans, json_integer(record->vlan));
	json_object_set_new(event, "vlan", vlans);
	set_tuple(event, record);
	if (record->type != EVE_FLOW)
		set_string(event, "pkt_src", "wire/pcap");
	if (record->has_flow && record->type != EVE_FLOW)
		set_string(event, "direction", record->to_server ? "to_server" : "to_client");
	set_string(event, "partition", names->partition);
	set_string(event, "origin", eve_origin_name(&record->origin));
	if (record->origin.kind == ORIGIN_REMOTE) {
		set_string(event, "remote_host", names->remote_host);
		set_string(event, "remote_origin",
			origin_names[record->origin.adapter % ORIGIN_KIND_COUNT]);
		set_number(event, "remote_port", record->remote.port);
	}
	if (record->type == EVE_DROP)
		json_object_set_new(event, "drop", drop_to_json(record, names));
	if (record->has_signature)
		json_object_set_new(event, "alert", alert_to_json(record));
	if (record->type == EVE_ALERT || record->type == EVE_FLOW)
		set_app(event, record);
	if (record->type == EVE_ANOMALY)
		json_object_set_new(event, "anomaly", anomaly_to_json(record));
	else if (record->has_flow)
		json_object_set_new(event, "flow", flow_to_json(record));
	if (record->type == EVE_FLOW && record->protocol == IPPROTO_TCP)
		json_object_set_new(event, "tcp", tcp_to_json(&record->end));
	if (record->type == EVE_ALERT && record->payload_size > 0)
		set_payload(event, record);
	return event;
}
