/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/packet_names.h"

#include "packet/engine/names.h"
#include "packet/port/port.h"
#include "packet/port/port_control.h"
#include "packet/port/port_table.h"

#include <errno.h>

/* graph.show has no pages: so many rows fit into a message beside the rest. */
#define PORT_ROWS_MAX 400

static const char *port_name(uint16_t index)
{
	const struct port *port = index < PORTS_MAX ? port_table_get(index) : NULL;

	return port ? port->config.name : NULL;
}

static int find_port(const char *name, uint16_t *index, uint16_t *generation)
{
	const struct port *port = port_find(name);

	if (!port)
		return -ENOENT;
	*index = port->index;
	*generation = port->generation;
	return 0;
}

static json_t *list_ports(void)
{
	json_t *rows = json_array();

	for (struct port *port = port_next(-1); port && json_array_size(rows) < PORT_ROWS_MAX;
		port = port_next(port->index)) {
		struct port_counters sum = port_sum_counters(port);

		json_array_append_new(rows,
			json_pack("{s:s, s:s, s:I, s:I}", "name", port->config.name, "kind",
				port_kind_name(port->kind), "rx_packets",
				(json_int_t)sum.rx_packets, "tx_packets",
				(json_int_t)sum.tx_packets));
	}
	return rows;
}

void packet_names_open(void)
{
	engine_names = (struct engine_names){
		.port = port_name, .find_port = find_port, .list_ports = list_ports};
}
