/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/nodes.h"

struct rte_node_register *const nodes[] = {
	&rx_node,
	&physical_input_node,
	&switch_input_node,
	&host_input_node,
	&link_input_node,
	&geneve_input_node,
	&ipsec_input_node,
	&switch_forward_node,
	&origin_tag_node,
	&handoff_node,
	&handoff_rx_node,
	&inspect_node,
	&inspect_return_node,
	&origin_forward_node,
	&geneve_output_node,
	&ipsec_output_node,
	&tx_node,
	&drop_node,
	NULL,
};
