/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/reject.h"

#include "packet/inspect/builtin/tcp.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <string.h>

#define TCP_HEADER_SIZE   20
#define ICMP_HEADER_SIZE  8
#define QUOTE_SIZE        512 /* of the rejected packet; RFC 1812 and RFC 4443 allow more */
#define ICMPV4_UNREACH    3
#define ICMPV4_PROHIBITED 13 /* communication administratively prohibited, RFC 1812 */
#define ICMPV6_UNREACH    1
#define ICMPV6_PROHIBITED 1 /* RFC 4443 section 3.1 */

/* RFC 9293 section 3.5.2, with the sequence numbers that each end expects. */
static void put_rst(const struct decoded *decoded, enum answer_target target, uint8_t *tcp)
{
	uint32_t size = decoded->payload_size;
	bool has_ack = decoded->tcp_flags & TCP_ACK;

	if (decoded->tcp_flags & TCP_SYN)
		size++;
	if (decoded->tcp_flags & TCP_FIN)
		size++;
	memset(tcp, 0, TCP_HEADER_SIZE);
	tcp[12] = (TCP_HEADER_SIZE / 4) << 4;
	if (target == ANSWER_TO_SOURCE) {
		network_store16(tcp, decoded->destination_port);
		network_store16(tcp + 2, decoded->source_port);
		network_store32(tcp + 4, has_ack ? decoded->tcp_acknowledgement : 0);
		network_store32(tcp + 8, decoded->tcp_sequence + size);
		tcp[13] = TCP_RST | TCP_ACK;
		return;
	}
	network_store16(tcp, decoded->source_port);
	network_store16(tcp + 2, decoded->destination_port);
	network_store32(tcp + 4, decoded->tcp_sequence);
	network_store32(tcp + 8, has_ack ? decoded->tcp_acknowledgement : 0);
	tcp[13] = has_ack ? TCP_RST | TCP_ACK : TCP_RST;
}

uint32_t reject_build_rst(const struct decoded *decoded, enum answer_target target, uint8_t *out)
{
	uint32_t at;

	if (!answer_is_allowed(decoded) || decoded->protocol != IPPROTO_TCP
		|| !decoded->payload_offset || (decoded->tcp_flags & TCP_RST))
		return 0;
	at = answer_put_headers(
		decoded, target == ANSWER_TO_SOURCE, IPPROTO_TCP, TCP_HEADER_SIZE, out);
	put_rst(decoded, target, out + at);
	answer_finish(out, at + TCP_HEADER_SIZE);
	return at + TCP_HEADER_SIZE;
}

static bool is_icmp_error(const struct decoded *decoded)
{
	if (decoded->protocol == IPPROTO_ICMP)
		return decoded->icmp_type != 8 && decoded->icmp_type != 13;
	return decoded->protocol == IPPROTO_ICMPV6 && decoded->icmp_type < 128;
}

uint32_t reject_build_icmp(const struct decoded *decoded, uint8_t *out)
{
	bool is_ipv4 = decoded->ip_version == 4;
	uint32_t quote = decoded->l3_end - decoded->l3_offset, at;

	if (!answer_is_allowed(decoded) || is_icmp_error(decoded)
		|| (decoded->is_fragment && !decoded->is_first_fragment))
		return 0;
	quote = RTE_MIN(quote, (uint32_t)QUOTE_SIZE);
	at = answer_put_headers(decoded, true, is_ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		ICMP_HEADER_SIZE + quote, out);
	memset(out + at, 0, ICMP_HEADER_SIZE);
	out[at] = is_ipv4 ? ICMPV4_UNREACH : ICMPV6_UNREACH;
	out[at + 1] = is_ipv4 ? ICMPV4_PROHIBITED : ICMPV6_PROHIBITED;
	memcpy(out + at + ICMP_HEADER_SIZE, decoded->frame + decoded->l3_offset, quote);
	answer_finish(out, at + ICMP_HEADER_SIZE + quote);
	return at + ICMP_HEADER_SIZE + quote;
}

void reject_packet(uint16_t worker, struct rte_mbuf *packet, const struct decoded *decoded,
	unsigned int targets)
{
	uint8_t frame[REJECT_FRAME_SIZE];

	static_assert(ANSWER_HEADERS_MAX + ANSWER_IPV6_HEADER + ICMP_HEADER_SIZE + QUOTE_SIZE
			<= REJECT_FRAME_SIZE,
		"the largest answer fits");
	if (decoded->protocol != IPPROTO_TCP || !decoded->payload_offset) {
		answer_send(
			worker, packet, frame, reject_build_icmp(decoded, frame), ANSWER_TO_SOURCE);
		return;
	}
	if (targets & ANSWER_TO_SOURCE)
		answer_send(worker, packet, frame,
			reject_build_rst(decoded, ANSWER_TO_SOURCE, frame), ANSWER_TO_SOURCE);
	if (targets & ANSWER_TO_DESTINATION)
		answer_send(worker, packet, frame,
			reject_build_rst(decoded, ANSWER_TO_DESTINATION, frame),
			ANSWER_TO_DESTINATION);
}
