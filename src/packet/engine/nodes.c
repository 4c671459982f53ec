/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/nodes.h"

struct rte_node_register *const nodes[] = {
	&rx_node,
	&handoff_node,
	&handoff_rx_node,
	&tx_node,
	&drop_node,
	NULL,
};
