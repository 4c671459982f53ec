/* SPDX-License-Identifier: BSD-3-Clause */
/* The MSS of connections that go through tunnels (D13). Workers. */
#include "packet/distributor/distributor.h"
#include "packet/port/offload.h"
#include "wire/network.h"
#include "wire/tcp.h"

#include <netinet/in.h>

#define TCP_HEADER_SIZE 20
#define OPTION_END      0
#define OPTION_NOP      1
#define OPTION_MSS      2

/* RFC 1624: the sum with a 16-bit word, which begins at an even offset, replaced. */
static void replace_word(uint8_t *checksum, uint16_t old, uint16_t new)
{
	uint32_t sum = (uint16_t)~network_load16(checksum) + (uint16_t)~old + (uint32_t) new;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	network_store16(checksum, (uint16_t)~sum);
}

/* The option may begin at an odd offset: then the sum's bytes are swapped. */
static void store_mss(
	struct rte_mbuf *packet, uint8_t *tcp, uint32_t at, uint16_t old, uint16_t mss)
{
	network_store16(tcp + at, mss);
	if (packet->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM)
		return; /* its checksum is of the pseudo header alone, as yet */
	if (at % 2) {
		old = __builtin_bswap16(old);
		mss = __builtin_bswap16(mss);
	}
	replace_word(tcp + 16, old, mss);
}

void clamp_mss(struct rte_mbuf *packet, const struct decoded *decoded, uint32_t mtu)
{
	uint32_t headers = (decoded->ip_version == 4 ? 20U : 40U) + TCP_HEADER_SIZE;
	uint8_t *tcp = rte_pktmbuf_mtod_offset(packet, uint8_t *, decoded->l4_offset);
	uint32_t end = decoded->payload_offset - decoded->l4_offset;

	if (decoded->protocol != IPPROTO_TCP || !(decoded->tcp_flags & TCP_SYN)
		|| !decoded->payload_offset || mtu <= headers)
		return;
	for (uint32_t at = TCP_HEADER_SIZE; at + 1 < end && tcp[at] != OPTION_END;) {
		if (tcp[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (tcp[at + 1] < 2 || at + tcp[at + 1] > end)
			return;
		if (tcp[at] == OPTION_MSS && tcp[at + 1] == 4) {
			uint16_t old = network_load16(tcp + at + 2);

			if (old > mtu - headers)
				store_mss(packet, tcp, at + 2, old, (uint16_t)(mtu - headers));
			return;
		}
		at += tcp[at + 1];
	}
}
