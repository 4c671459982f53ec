/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/transmit.h"

#include "packet/engine/pool.h"
#include "packet/port/offload.h"

#include <rte_ether.h>
#include <string.h>

#define TAG_SIZE        4
#define INNER_TAGS_SIZE 8 /* tags inside of a frame that do not count against the MTU: two */
#define ADDRESSES_SIZE  (2 * RTE_ETHER_ADDR_LEN)
#define TCI_DEI         1 /* of metadata's tci_bits */

bool transmit_takes_super_frame(const struct port *port, const struct rte_mbuf *packet)
{
	uint32_t offloads = __atomic_load_n(&port->offloads, __ATOMIC_RELAXED);

	if (!(packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
		return false;
	return offloads
		& (packet->ol_flags & RTE_MBUF_F_TX_IPV6 ? PORT_OFFLOAD_TSO6 : PORT_OFFLOAD_TSO4);
}

/* Prepends the tag. The addresses are moved, and so have to be this packet's own: the headers of a
 * clone are copied first. */
static int insert_tag(struct rte_mbuf **packet, struct rte_mempool *pool)
{
	const struct packet_metadata *metadata = packet_metadata(*packet);
	uint16_t tci = (uint16_t)((metadata->priority & 7) << 13
		| (metadata->tci_bits & TCI_DEI) << 12 | metadata->vlan);
	uint8_t *frame;
	int result;

	result = offload_make_writable(packet, ADDRESSES_SIZE, pool);
	if (result < 0)
		return result;
	frame = (uint8_t *)rte_pktmbuf_prepend(*packet, TAG_SIZE);
	if (!frame)
		return -ENOMEM;
	memmove(frame, frame + TAG_SIZE, ADDRESSES_SIZE);
	frame[12] = RTE_ETHER_TYPE_VLAN >> 8;
	frame[13] = RTE_ETHER_TYPE_VLAN & 0xff;
	frame[14] = (uint8_t)(tci >> 8);
	frame[15] = (uint8_t)tci;
	if ((*packet)->l2_len)
		(*packet)->l2_len += TAG_SIZE;
	return 0;
}

/* Before the tag is put in, so that it does not count. */
static bool fits(const struct port *port, const struct rte_mbuf *packet)
{
	uint32_t mtu_bytes = __atomic_load_n(&port->mtu_bytes, __ATOMIC_RELAXED);

	if (likely(packet->pkt_len <= mtu_bytes + RTE_ETHER_HDR_LEN))
		return true;
	if (packet->pkt_len > mtu_bytes + RTE_ETHER_HDR_LEN + INNER_TAGS_SIZE
		&& !offload_is_super_frame(packet))
		return false;
	return offload_layer3_size(packet) <= mtu_bytes;
}

static int pad(struct rte_mbuf **packet, struct rte_mempool *pool)
{
	uint16_t missing = (uint16_t)(TRANSMIT_WIRE_SIZE_MIN - (*packet)->pkt_len);
	char *padding;
	int result;

	result = offload_make_writable(packet, (*packet)->pkt_len, pool);
	if (result < 0)
		return result;
	padding = rte_pktmbuf_append(*packet, missing);
	if (!padding)
		return -ENOMEM;
	memset(padding, 0, missing);
	return 0;
}

static int treat_offloads(
	const struct port *port, struct rte_mbuf **packet, struct rte_mempool *pool)
{
	uint32_t offloads = __atomic_load_n(&port->offloads, __ATOMIC_RELAXED);

	if (offload_is_super_frame(*packet))
		return transmit_takes_super_frame(port, *packet) ? offload_prepare(packet, pool)
								 : 0;
	return offloads & PORT_OFFLOAD_CHECKSUM ? offload_prepare(packet, pool)
						: offload_finish_checksum(packet, pool);
}

enum drop_reason transmit_prepare(
	const struct port *port, struct rte_mbuf **packet, struct rte_mempool *pool)
{
	int result = 0;

	if (unlikely(!fits(port, *packet)))
		return DROP_tx_too_big;
	if (port_vlan_is_tagged(port, packet_metadata(*packet)->vlan))
		result = insert_tag(packet, pool);
	if (result == 0 && unlikely(offload_is_needed(*packet)))
		result = treat_offloads(port, packet, pool);
	if (result == 0 && port->is_wire && unlikely((*packet)->pkt_len < TRANSMIT_WIRE_SIZE_MIN))
		result = pad(packet, pool);
	if (result == 0 && port->is_linear && unlikely((*packet)->nb_segs > 1)
		&& (*packet)->pkt_len <= POOL_DATA_SIZE)
		result = offload_make_writable(packet, (*packet)->pkt_len, pool);
	if (likely(result == 0))
		return DROP_none;
	return result == -ENOMEM ? DROP_no_memory : DROP_rx_malformed;
}
