/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Security events in Suricata's EVE JSON (I9). A worker writes a compact record, the control thread
 * makes JSON of it, with our additions `partition` and `origin`.
 */
#pragma once

#include "packet/engine/metadata.h"
#include "packet/inspect/app_summary.h"
#include "wire/decode.h"

#include <jansson.h>
#include <stdbool.h>

#define EVE_PAYLOAD_SIZE 256
#define EVE_TEXT_SIZE    128

enum eve_type {
	EVE_ALERT,
	EVE_DROP,
	EVE_FLOW,
	EVE_ANOMALY,
	EVE_STATS, /* no record of a worker */
	EVE_TYPE_COUNT,
};

/* How a flow was when it ended; strings are constants, NULL: there is no such thing. */
struct eve_flow_end {
	const char *state, *reason, *action, *tcp_state;
	uint64_t ended_wall_ns;
	bool is_alerted, is_bypassed, has_response;
	uint8_t tcp_flags[2];                           /* of all packets; to server, to client */
	uint8_t response_icmp_type, response_icmp_code; /* with has_response */
};

struct eve_record {
	uint8_t type; /* enum eve_type */
	bool is_blocked, has_flow, has_signature, to_server;
	uint8_t ip_version, protocol, severity, drop_reason;
	uint8_t tcp_flags, icmp_type, icmp_code, ttl, dscp_ecn;
	uint8_t target;                      /* enum rule_target */
	uint8_t source[16], destination[16]; /* of the packet */
	uint16_t source_port, destination_port;
	uint8_t app_protocol; /* enum app_protocol of the flow */
	bool has_app;         /* app is filled */
	uint32_t tcp_sequence, tcp_acknowledgement;
	uint16_t tcp_window;
	uint32_t gid, sid, rev;
	/* As in its header: IPv4's total length, IPv6's payload length; 0: no IP. */
	uint16_t ip_length, ip_id, udp_length;
	uint32_t flow_label;
	uint32_t frame_size;
	uint16_t payload_size; /* of payload */
	uint16_t vlan;
	struct origin origin;
	struct remote_tag remote; /* of ORIGIN_REMOTE */
	uint8_t destination_mac[6];
	uint64_t wall_ns, flow_id, flow_started_wall_ns;
	uint64_t flow_packets[2], flow_bytes[2]; /* to server, to client */
	const char *anomaly;                     /* of EVE_ANOMALY: its name, a constant */
	struct eve_flow_end end;                 /* of EVE_FLOW */
	json_t *rule_metadata;                   /* NULL, or a reference: eve_release() */
	char message[EVE_TEXT_SIZE], category[EVE_TEXT_SIZE];
	uint8_t payload[EVE_PAYLOAD_SIZE];
	struct app_summary app;
};

/* Fills what comes from the packet. Worker. */
void eve_fill(struct eve_record *record, enum eve_type type, const struct decoded *decoded,
	const struct packet_metadata *metadata);
void eve_copy_text(char out[EVE_TEXT_SIZE], const char *text);

/* Worker: a reference of the record's own, since it may outlive the ruleset; jansson counts them
 * atomically. The last one is always given back by the control thread. */
void eve_hold_metadata(struct eve_record *record, const json_t *metadata);
/* What the record holds; before it leaves the ring. Control thread. */
void eve_release(const struct eve_record *record);

/* Names that a record does not carry; NULL: unknown. */
struct eve_names {
	const char *in_interface; /* the ingress port */
	const char *partition;
	const char *drop_reason;
	const char *remote_host; /* that asked, with ORIGIN_REMOTE */
};
/* enum eve_type of "alert"; EVE_TYPE_COUNT: there is none. */
enum eve_type eve_find_type(const char *name);
const char *eve_origin_name(const struct origin *origin);
/* New reference. Control thread. */
json_t *eve_to_json(const struct eve_record *record, const struct eve_names *names);
