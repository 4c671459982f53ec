/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts the settings in force that lie outside of the published snapshot. Control thread. */
#include "packet/gateway/vlan_table.h"

#include <rte_cycles.h>

/* What a rate may send at once: a TCP sender that lost the end of its window is silent for 200 ms,
 * then for 400 ms, and finds afterwards what it could not send meanwhile (docs/decisions/0004). At
 * least four TSO frames: the debt of a low priority's one is no more than is left for the others.
 */
#define RATE_BURST_MS        500
#define RATE_BURST_BYTES_MIN (256 * 1024)
#define STORM_BURST_MIN      16

static void set_rate(struct rate *rate, uint64_t bits_per_s)
{
	uint64_t bytes_per_s = bits_per_s / 8;
	uint64_t burst = bytes_per_s * RATE_BURST_MS / 1000;

	rate_set(rate, bytes_per_s, RTE_MAX(burst, (uint64_t)RATE_BURST_BYTES_MIN),
		rte_get_tsc_hz());
}

static void set_storm(struct rate *rate, uint64_t packets_per_s)
{
	uint64_t burst = RTE_MAX(packets_per_s / 10, (uint64_t)STORM_BURST_MIN);

	rate_set(rate, packets_per_s * RATE_PACKET, burst * RATE_PACKET, rte_get_tsc_hz());
}

void vlan_table_apply(const struct vlan_table *table)
{
	for (uint32_t i = 0; i < table->plan_count; i++) {
		const struct switch_port_plan *plan = &table->plans[i];
		const struct switch_port *entry = &table->ports[plan->index];
		struct port *port = port_find(entry->state->name);

		entry->state->addresses_max = plan->addresses_max;
		set_rate(&entry->state->rate_in, plan->rate_in);
		set_rate(&entry->state->rate_out, plan->rate_out);
		for (int kind = 0; kind < STORM_KIND_COUNT; kind++)
			set_storm(&entry->state->storm[kind], plan->storm[kind]);
		for (uint16_t vlan = ETH_VLAN_ID_MIN; port && vlan <= ETH_VLAN_ID_MAX; vlan++) {
			bool is_tagged = switch_port_is_tagged(entry, vlan);

			if (port_vlan_is_tagged(port, vlan) != is_tagged)
				port_set_vlan_tagged(port, vlan, is_tagged);
		}
	}
}
