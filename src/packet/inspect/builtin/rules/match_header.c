/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/match_header.h"

#include "base/bytes.h"
#include "packet/inspect/builtin/rules/networks.h"

#include <netinet/in.h>
#include <string.h>

static enum rule_protocol_class class_of(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return RULE_CLASS_TCP;
	case IPPROTO_UDP:
		return RULE_CLASS_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return RULE_CLASS_ICMP;
	default:
		return RULE_CLASS_OTHER;
	}
}

bool packet_view_fill(const struct detect_context *context, struct packet_view *view)
{
	const struct decoded *packet = context->packet;

	if (packet->ip_version == 0)
		return false;
	*view = (struct packet_view){
		.context = context,
		.packet = packet,
		.source = networks_address_number(packet->source, packet->ip_version),
		.destination = networks_address_number(packet->destination, packet->ip_version),
		.class = class_of(packet->protocol),
		.has_ports = packet->l4_offset != 0
			&& (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP
				|| packet->protocol == IPPROTO_SCTP),
	};
	return true;
}

static bool protocol_matches(const struct packet_view *view, const struct rule *rule)
{
	if (rule->app_protocol != APP_UNKNOWN && rule->app_protocol != view->context->app_protocol)
		return false;
	if (rule->ip_version != 0 && rule->ip_version != view->packet->ip_version)
		return false;
	if (rule->protocol == RULE_PROTOCOL_ANY)
		return true;
	if (rule->protocol == RULE_PROTOCOL_ICMP)
		return view->class == RULE_CLASS_ICMP;
	return rule->protocol == view->packet->protocol;
}

static bool side_matches(const struct packet_view *view, const struct interval_set *addresses,
	const struct interval_set *ports, interval_number address, uint16_t port)
{
	if (ports && (!view->has_ports || !interval_set_has(ports, port)))
		return false;
	return !addresses || interval_set_has(addresses, address);
}

static bool ends_match(const struct packet_view *view, const struct rule *rule)
{
	const struct decoded *packet = view->packet;

	if (side_matches(view, rule->source, rule->source_ports, view->source, packet->source_port)
		&& side_matches(view, rule->destination, rule->destination_ports, view->destination,
			packet->destination_port))
		return true;
	return rule->is_bidirectional
		&& side_matches(view, rule->source, rule->source_ports, view->destination,
			packet->destination_port)
		&& side_matches(view, rule->destination, rule->destination_ports, view->source,
			packet->source_port);
}

static bool flow_matches(const struct packet_view *view, uint16_t flow)
{
	const struct detect_context *context = view->context;

	if ((flow & RULE_FLOW_ONLY_FRAGMENT) && !view->packet->is_fragment)
		return false;
	if ((flow & RULE_FLOW_NO_FRAGMENT) && view->packet->is_fragment)
		return false;
	if (!context->flow)
		return !(flow
			& (RULE_FLOW_TO_SERVER | RULE_FLOW_TO_CLIENT | RULE_FLOW_ESTABLISHED
				| RULE_FLOW_NOT_ESTABLISHED));
	if ((flow & RULE_FLOW_TO_SERVER) && !context->to_server)
		return false;
	if ((flow & RULE_FLOW_TO_CLIENT) && context->to_server)
		return false;
	if ((flow & RULE_FLOW_ESTABLISHED) && !context->is_established)
		return false;
	return !(flow & RULE_FLOW_NOT_ESTABLISHED) || !context->is_established;
}

/* ---- fields ---- */

static uint32_t read_u16(const uint8_t *bytes)
{
	return (uint32_t)(bytes[0] << 8 | bytes[1]);
}

/* The kinds of IPv4's options (IANA, "IP Option Numbers") as rules name them. */
static uint32_t ip_option_bit(uint8_t kind)
{
	switch (kind) {
	case 0:
		return RULE_IP_OPTION_EOL;
	case 1:
		return RULE_IP_OPTION_NOP;
	case 7:
		return RULE_IP_OPTION_RR;
	case 68:
		return RULE_IP_OPTION_TS;
	case 130:
		return RULE_IP_OPTION_SEC;
	case 131:
		return RULE_IP_OPTION_LSRR;
	case 133:
		return RULE_IP_OPTION_ESEC;
	case 136:
		return RULE_IP_OPTION_SATID;
	case 137:
		return RULE_IP_OPTION_SSRR;
	default:
		return RULE_IP_OPTION_OTHER;
	}
}

#define IPV4_HEADER_SIZE 20
#define TCP_HEADER_SIZE  20

/* Options of IPv4 and TCP have the same form: 0 ends, 1 stands alone, others have a length. */
struct option_walk {
	struct bytes bytes;
	uint8_t kind;
	struct bytes value;
};

static bool next_option(struct option_walk *walk)
{
	uint8_t size;

	if (bytes_left(&walk->bytes) == 0 || walk->kind == 0)
		return false;
	walk->kind = bytes_read_u8(&walk->bytes);
	walk->value = bytes_from(NULL, 0);
	if (walk->kind <= 1)
		return true;
	size = bytes_read_u8(&walk->bytes);
	if (size < 2 || size - 2u > bytes_left(&walk->bytes))
		return false;
	walk->value = bytes_sub(&walk->bytes, size - 2u);
	return true;
}

static struct option_walk walk_options(const struct decoded *packet, size_t from, size_t to)
{
	struct option_walk walk = {.kind = 1};

	walk.bytes = to > from && to <= packet->captured_size
		? bytes_from(packet->frame + from, to - from)
		: bytes_from(NULL, 0);
	return walk;
}

static uint32_t ip_options(const struct decoded *packet)
{
	struct option_walk walk = walk_options(packet, packet->l3_offset + IPV4_HEADER_SIZE,
		packet->l3_offset + (packet->frame[packet->l3_offset] & 0x0f) * 4u);
	uint32_t options = 0;

	while (next_option(&walk))
		options |= ip_option_bit(walk.kind);
	return options;
}

static bool tcp_mss(const struct decoded *packet, uint32_t *out)
{
	struct option_walk walk =
		walk_options(packet, packet->l4_offset + TCP_HEADER_SIZE, packet->payload_offset);

	while (next_option(&walk)) {
		if (walk.kind != 2 || bytes_left(&walk.value) != 2)
			continue;
		*out = bytes_read_u16(&walk.value);
		return true;
	}
	return false;
}

/* Identifier and sequence number, of the messages that have them (RFC 792, RFC 4443). */
static bool icmp_query_field(const struct decoded *packet, size_t offset, uint32_t *out)
{
	bool is_query = packet->protocol == IPPROTO_ICMP
		? packet->icmp_type == 0 || packet->icmp_type == 8
			|| (packet->icmp_type >= 13 && packet->icmp_type <= 18)
		: packet->icmp_type == 128 || packet->icmp_type == 129;

	if (!is_query || packet->l4_offset + 8 > packet->captured_size)
		return false;
	*out = read_u16(packet->frame + packet->l4_offset + offset);
	return true;
}

/* The value of a field; false: the packet has none. */
static bool field_value(const struct packet_view *view, enum rule_field field, uint32_t *out)
{
	const struct decoded *packet = view->packet;
	bool is_tcp = view->class == RULE_CLASS_TCP && packet->l4_offset != 0;
	bool is_icmp = view->class == RULE_CLASS_ICMP && packet->l4_offset != 0;

	switch (field) {
	case RULE_FIELD_TTL:
		*out = packet->ttl;
		return true;
	case RULE_FIELD_ITYPE:
		*out = packet->icmp_type;
		return is_icmp;
	case RULE_FIELD_ICODE:
		*out = packet->icmp_code;
		return is_icmp;
	case RULE_FIELD_DSIZE:
		*out = packet->payload_offset != 0 ? packet->payload_size : 0;
		return true;
	case RULE_FIELD_IP_PROTO:
		*out = packet->protocol;
		return true;
	case RULE_FIELD_IP_ID: /* RFC 791: bytes 4 and 5; the decoder has checked 20 */
		if (packet->ip_version == 4)
			*out = read_u16(packet->frame + packet->l3_offset + 4);
		return packet->ip_version == 4;
	case RULE_FIELD_TOS:
		*out = packet->dscp_ecn;
		return packet->ip_version == 4;
	case RULE_FIELD_SEQ:
		*out = packet->tcp_sequence;
		return is_tcp;
	case RULE_FIELD_ACK:
		*out = packet->tcp_acknowledgement;
		return is_tcp;
	case RULE_FIELD_WINDOW:
		*out = packet->tcp_window;
		return is_tcp;
	case RULE_FIELD_TCP_FLAGS:
		*out = packet->tcp_flags;
		return is_tcp;
	case RULE_FIELD_SAME_ADDRESS:
		*out = view->source == view->destination;
		return true;
	case RULE_FIELD_FRAGMENT_BITS:
		if (packet->ip_version == 4)
			*out = read_u16(packet->frame + packet->l3_offset + 6) >> 13;
		return packet->ip_version == 4;
	case RULE_FIELD_FRAGMENT_OFFSET:
		*out = packet->fragment_offset / 8;
		return packet->ip_version == 4 || packet->has_fragment_header;
	case RULE_FIELD_IP_OPTIONS:
		*out = packet->ip_version == 4 ? ip_options(packet) : 0;
		return packet->ip_version == 4;
	case RULE_FIELD_ICMP_ID:
		return is_icmp && icmp_query_field(packet, 4, out);
	case RULE_FIELD_ICMP_SEQUENCE:
		return is_icmp && icmp_query_field(packet, 6, out);
	case RULE_FIELD_TCP_MSS:
		return is_tcp && tcp_mss(packet, out);
	}
	return false;
}

static bool test_matches(const struct packet_view *view, const struct rule_test *test)
{
	uint32_t value = 0;

	if (!field_value(view, test->field, &value))
		return false;
	switch (test->comparison) {
	case RULE_EQUAL:
		return value == test->low;
	case RULE_NOT_EQUAL:
		return value != test->low;
	case RULE_BELOW:
		return value < test->low;
	case RULE_BELOW_OR_EQUAL:
		return value <= test->low;
	case RULE_ABOVE:
		return value > test->low;
	case RULE_ABOVE_OR_EQUAL:
		return value >= test->low;
	case RULE_BETWEEN:
		return value > test->low && value < test->high;
	case RULE_ALL_BITS:
		return (value & test->high & test->low) == test->low;
	case RULE_ANY_BITS:
		return (value & test->high & test->low) != 0;
	case RULE_NOT_ALL_BITS:
		return (value & test->high & test->low) != test->low;
	case RULE_EXACT_BITS:
		return (value & test->high) == test->low;
	}
	return false;
}

bool header_matches(const struct packet_view *view, const struct rule *rule)
{
	if (!protocol_matches(view, rule) || !flow_matches(view, rule->flow)
		|| !ends_match(view, rule))
		return false;
	for (size_t i = 0; i < rule->test_count; i++)
		if (!test_matches(view, &rule->tests[i]))
			return false;
	return true;
}
