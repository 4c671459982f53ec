/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/nodes.h"

struct rte_node_register *const nodes[] = {
	&drop_node,
	NULL,
};
