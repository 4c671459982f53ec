/* SPDX-License-Identifier: BSD-3-Clause */
/* Who answers for which address on links, and what is learned from answers. Workers. */
#include "packet/link/link.h"
#include "packet/link/resolve.h"
#include "packet/port/port.h"

int link_find_peer(const struct link_end *end, const struct ip_address *address)
{
	for (uint16_t i = 0; i < end->peer_count; i++)
		if (ip_address_is_equal(&end->peers[i].address, address))
			return i;
	return -1;
}

void link_learn_mac(struct link_peer *peer, const uint8_t mac[6])
{
	uint64_t value = LINK_MAC_KNOWN;

	if (peer->is_static || eth_address_is_group(mac) || eth_address_is_zero(mac))
		return;
	for (int i = 0; i < 6; i++)
		value |= (uint64_t)mac[i] << (40 - 8 * i);
	/* Written when it is news only, so that workers do not take the line from one another. */
	if (__atomic_load_n(&peer->mac, __ATOMIC_RELAXED) != value)
		__atomic_store_n(&peer->mac, value, __ATOMIC_RELAXED);
}

bool link_write_question(struct rte_mbuf *packet, const struct link_end *end,
	const struct link_peer *peer, const uint8_t mac[6])
{
	return resolve_write_question(packet, &end->local, &peer->hop, mac);
}

static bool is_ours(const struct link_table *table, uint16_t port, const struct ip_address *local)
{
	for (int role = 0; role < LINK_ROLE_COUNT; role++) {
		const struct link_end *end = &table->ends[role];

		if (end->is_used && end->port == port && ip_address_is_equal(&end->local, local))
			return true;
	}
	return false;
}

/* Of hops that we ask for alone; an appliance's clients are learned from what they authenticate. */
static void learn_answer(
	struct link_table *table, uint16_t port, const struct resolve_message *answer)
{
	for (int role = 0; role < LINK_ROLE_COUNT; role++) {
		struct link_end *end = &table->ends[role];

		if (role == LINK_APPLIANCE || !end->is_used || end->port != port)
			continue;
		for (uint16_t i = 0; i < end->peer_count; i++)
			if (ip_address_is_equal(&end->peers[i].hop, &answer->sender))
				link_learn_mac(&end->peers[i], answer->sender_mac);
	}
}

bool link_resolve(struct link_table *table, const struct port *port, struct rte_mbuf *packet)
{
	struct resolve_message message;
	bool is_for_us;

	if (!table || !resolve_read(packet, &message))
		return false;
	is_for_us = is_ours(table, port->index, &message.target);
	/* An advertisement's target is its sender's address. */
	if (!message.is_question && (is_for_us || message.target.version == 6))
		learn_answer(table, port->index, &message);
	return message.is_question && is_for_us && resolve_answer(packet, &message, port->mac);
}
