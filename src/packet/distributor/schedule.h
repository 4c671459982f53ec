/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which target gets a new connection (D2), by the weights in force of its service:
 *  - weighted least connections: the one whose connections are the fewest for its weight, over all
 *    workers. Those that are closing count until they are forgotten;
 *  - weighted round robin, smoothly: each worker by itself;
 *  - Maglev (Eisenbud et al., NSDI 2016, section 3.4): by a hash of the client, so that a restarted
 *    distributor, or another one, chooses the same. A target that comes or goes moves few others'.
 */
#pragma once

#include "packet/distributor/vipa.h"

struct connection_key;

/* One worker's: where its round is, by service and place among the service's targets. */
struct schedule_round {
	int64_t current[VIPA_SERVICES_MAX][VIPA_TARGETS_MAX];
};

/* The target; VIPA_NONE: none takes new connections. Worker. */
uint16_t schedule_pick(const struct vipa_service *service, uint16_t service_index,
	const struct connection_key *key, struct schedule_round *round);

/* Sum over all workers of the connections of a target. Any thread. */
uint32_t schedule_connections(uint16_t target);

/* The look-up table for the weights: MAGLEV_SIZE targets, to be freed; NULL: no memory, or no
 * weight. Any thread. */
uint8_t *maglev_create(const struct vipa_table *table, const struct vipa_service *service);
