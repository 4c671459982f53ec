/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/vipa.h"

#include "wire/arp.h"
#include "wire/nd.h"

#include <netinet/in.h>
#include <stdlib.h>

#define IPV6_HEADER_SIZE 40
#define ND_TARGET_OFFSET (ETH_HEADER_SIZE + IPV6_HEADER_SIZE + 8)

struct vipa_table *vipa_table;

static uint32_t address_hash(uint16_t vlan, const struct ip_address *address)
{
	uint64_t words[2];

	memcpy(words, address->bytes, sizeof(words));
	return vipa_station_hash(
		(words[0] * 0xff51afd7ed558ccdULL ^ words[1]) + ((uint64_t)vlan << 32));
}

uint16_t vipa_find(const struct vipa_table *table, uint16_t vlan, const struct ip_address *address)
{
	uint32_t at = address_hash(vlan, address);

	for (; table->addresses[at] != VIPA_NONE; at = (at + 1) % VIPA_HASH_SIZE) {
		const struct vipa *vipa = &table->vipas[table->addresses[at]];

		if (vipa->vlan == vlan && ip_address_is_equal(&vipa->address, address))
			return table->addresses[at];
	}
	return VIPA_NONE;
}

static bool is_arp_question(const struct vipa_table *table, uint16_t vlan, const uint8_t *frame)
{
	struct ip_address target = {.version = 4};
	struct arp arp;

	if (!arp_parse(frame + ETH_HEADER_SIZE, ARP_SIZE, &arp))
		return false;
	memcpy(target.bytes, arp.target_ip, sizeof(arp.target_ip));
	return vipa_find(table, vlan, &target) != VIPA_NONE;
}

static bool is_nd_question(const struct vipa_table *table, uint16_t vlan, const uint8_t *frame)
{
	const uint8_t *ip = frame + ETH_HEADER_SIZE;
	struct ip_address target = {.version = 6};

	if (ip[6] != IPPROTO_ICMPV6 || ip[IPV6_HEADER_SIZE] != ND_NEIGHBOUR_SOLICITATION)
		return false;
	memcpy(target.bytes, frame + ND_TARGET_OFFSET, sizeof(target.bytes));
	return vipa_find(table, vlan, &target) != VIPA_NONE;
}

bool vipa_is_asked(const struct vipa_table *table, uint16_t vlan, const struct rte_mbuf *packet)
{
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);

	switch (network_load16(frame + ETH_TYPE_OFFSET)) {
	case ETH_TYPE_ARP:
		return packet->data_len >= ETH_HEADER_SIZE + ARP_SIZE
			&& is_arp_question(table, vlan, frame);
	case ETH_TYPE_IPV6:
		return packet->data_len >= ND_TARGET_OFFSET + 16
			&& is_nd_question(table, vlan, frame);
	default:
		return false;
	}
}

/* ---- control thread ---- */

static void add_station(struct vipa_table *table, uint64_t station)
{
	uint32_t at = vipa_station_hash(station);

	while (table->stations[at] && table->stations[at] != station)
		at = (at + 1) % VIPA_HASH_SIZE;
	table->stations[at] = station;
}

static void index_vipas(struct vipa_table *table)
{
	memset(table->stations, 0, sizeof(table->stations));
	memset(table->addresses, 0xff, sizeof(table->addresses));
	for (uint16_t i = 0; i < table->vipa_count; i++) {
		const struct vipa *vipa = &table->vipas[i];
		uint32_t at = address_hash(vipa->vlan, &vipa->address);

		if (!vipa->name[0])
			continue;
		add_station(table, vipa_station(vipa->vlan, vipa->mac));
		while (table->addresses[at] != VIPA_NONE)
			at = (at + 1) % VIPA_HASH_SIZE;
		table->addresses[at] = i;
	}
}

static uint16_t port_index(const char *name, enum port_kind kind, uint16_t *generation)
{
	const struct port *port = name[0] ? port_find(name) : NULL;

	if (!port || port->kind != kind)
		return PORT_NONE;
	if (generation)
		*generation = port->generation;
	return port->index;
}

void vipa_table_bind(struct vipa_table *table)
{
	const struct link_end *end = link_end_of(link_table, LINK_DISTRIBUTOR);

	index_vipas(table);
	table->physical_port = port_index(table->physical_name, PORT_PHYSICAL, NULL);
	table->host_port = port_index(table->host_name, PORT_HOST, NULL);
	for (uint16_t i = 0; i < table->target_count; i++) {
		struct vipa_target *target = &table->targets[i];

		target->peer = -1;
		target->local_port = PORT_NONE;
		if (target->is_local)
			target->local_port = port_index(
				target->local_name, PORT_PARTITION, &target->local_generation);
		else if (target->name[0] && end)
			target->peer = link_find_peer(end, &target->address);
	}
}

void vipa_table_destroy(struct vipa_table *table)
{
	if (!table)
		return;
	for (uint16_t i = 0; i < table->service_count; i++)
		free(table->services[i].maglev);
	secret_destroy(table->secrets);
	free(table);
}
