/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/vipa.h"

#include "packet/engine/metadata.h"
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

uint16_t vipa_find_any(const struct vipa_table *table, const struct ip_address *address)
{
	for (uint16_t i = 0; i < table->vipa_count; i++)
		if (table->vipas[i].name[0]
			&& ip_address_is_equal(&table->vipas[i].address, address))
			return i;
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

static bool read_source(const struct rte_mbuf *packet, struct ip_address *source)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_HEADER_SIZE);

	switch (network_load16(ip - 2)) {
	case ETH_TYPE_IPV4:
		*source = (struct ip_address){.version = 4};
		memcpy(source->bytes, ip + 12, 4);
		return packet->data_len >= ETH_HEADER_SIZE + 20;
	case ETH_TYPE_IPV6:
		*source = (struct ip_address){.version = 6};
		memcpy(source->bytes, ip + 8, 16);
		return packet->data_len >= ETH_HEADER_SIZE + IPV6_HEADER_SIZE;
	default:
		return false;
	}
}

static uint16_t find_local_target(const struct vipa_table *table, const struct origin *origin)
{
	for (uint16_t i = 0; i < table->target_count; i++) {
		const struct vipa_target *target = &table->targets[i];

		if (target->is_local && target->local_port == origin->ingress_port
			&& target->local_generation == origin->ingress_generation)
			return i;
	}
	return VIPA_NONE;
}

bool vipa_take_answer(const struct vipa_table *table, struct rte_mbuf *packet)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	uint16_t target = find_local_target(table, &metadata->origin), vipa;
	struct ip_address source;

	if (target == VIPA_NONE || !read_source(packet, &source))
		return false;
	vipa = vipa_find_any(table, &source);
	if (vipa == VIPA_NONE)
		return false;
	metadata->vlan = table->vipas[vipa].vlan;
	metadata->origin.kind = ORIGIN_TARGET;
	metadata->origin.vlan = metadata->vlan;
	metadata->service = (struct service_tag){.vipa = vipa, .target = target};
	return true;
}

bool vipa_is_source(const struct vipa_table *table, const struct rte_mbuf *packet)
{
	struct ip_address source;

	return read_source(packet, &source) && vipa_find_any(table, &source) != VIPA_NONE;
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
