/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/vlan_table.h"

#include <errno.h>
#include <stdlib.h>

struct vlan_table *vlan_table;

struct vlan_table *vlan_table_create_empty(void)
{
	struct vlan_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->physical_port = table->host_port = PORT_NONE;
	for (int i = 0; i < ETH_VLAN_ID_COUNT; i++) {
		table->vlans[i].trunk = TRUNK_NONE;
		table->vlans[i].flags = VLAN_FLOOD;
	}
	/* By all possible indices, so that a port needs no second look-up. Pages that are not used
	 * are not backed. */
	table->ports = calloc(PORTS_MAX, sizeof(*table->ports));
	table->details = calloc(ETH_VLAN_ID_COUNT, sizeof(*table->details));
	table->trunk_names = calloc(TRUNKS_MAX, sizeof(*table->trunk_names));
	if (table->ports && table->details && table->trunk_names)
		return table;
	vlan_table_destroy(table);
	return NULL;
}

static void destroy_guard(struct guard *guard)
{
	if (!guard)
		return;
	free(guard->macs);
	free(guard->ipv4);
	free(guard->ipv6);
	free(guard);
}

void vlan_table_destroy(struct vlan_table *table)
{
	if (!table)
		return;
	for (uint16_t i = 0; table->ports && i < table->port_count; i++) {
		struct switch_port *port = &table->ports[i];

		destroy_guard((struct guard *)port->guard);
		free((uint64_t *)port->tagged);
		if (port->state && --port->state->references == 0)
			free(port->state);
	}
	free(table->ports);
	free(table->members);
	free(table->details);
	free(table->plans);
	free(table->statics);
	free(table->trunk_names);
	free(table);
}
