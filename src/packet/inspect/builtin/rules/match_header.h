/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a packet's headers and flow satisfy a rule. Worker thread; pure. */
#pragma once

#include "packet/inspect/builtin/rules/rule.h"

/* Of a packet, computed once for all rules. */
struct packet_view {
	const struct detect_context *context;
	const struct decoded *packet;
	interval_number source, destination;
	enum rule_protocol_class class;
	bool has_ports;
};

/* false: no IP, so no rule speaks of it. */
bool packet_view_fill(const struct detect_context *context, struct packet_view *view);

/* Protocol, addresses, ports, flow and fields; flowbits and payload are not looked at. */
bool header_matches(const struct packet_view *view, const struct rule *rule);
