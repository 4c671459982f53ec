/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/port_table.h"

#include "packet/engine/drop_count.h"
#include "packet/engine/publish.h"

#include <errno.h>
#include <stdlib.h>

static struct port_table no_ports; /* until the first is published, and after the last */
struct port_table *port_table = &no_ports;
struct rx_plan *rx_plans[WORKERS_MAX];

static struct port *ports[PORTS_MAX];
static uint16_t generations[PORTS_MAX];
static uint16_t ports_end; /* highest used index + 1 */

int port_table_reserve(struct port *port)
{
	for (uint16_t i = 0; i < PORTS_MAX; i++) {
		if (ports[i])
			continue;
		ports[i] = port;
		port->index = i;
		port->generation = ++generations[i];
		drop_forget_port(i); /* those of the index's last user */
		if (i >= ports_end)
			ports_end = (uint16_t)(i + 1);
		return 0;
	}
	return -ENOSPC;
}

void port_table_release(struct port *port)
{
	ports[port->index] = NULL;
	while (ports_end > 0 && !ports[ports_end - 1])
		ports_end--;
}

struct port *port_table_get(uint16_t index)
{
	return index < PORTS_MAX ? ports[index] : NULL;
}

uint16_t port_queue_worker(const struct port *port, uint16_t queue)
{
	uint16_t workers = worker_count();

	return (uint16_t)((port->index + queue) % (workers ? workers : 1));
}

static void free_table(void *table)
{
	if (table != &no_ports)
		free(table);
}

static struct rx_poll make_poll(struct port *port, uint16_t queue)
{
	return (struct rx_poll){
		.port = port,
		.queue = queue,
		.fd = port->is_watched ? port->ops->descriptor(port, queue) : -1,
	};
}

static struct rx_plan *make_plan(uint16_t worker, bool (*is_polled)(const struct port *port))
{
	struct rx_plan *plan;
	size_t most = 0;

	for (uint16_t i = 0; i < ports_end; i++)
		most += ports[i] ? PORT_QUEUES_MAX : 0;
	plan = calloc(1, sizeof(*plan) + most * sizeof(plan->polls[0]));
	if (!plan)
		return NULL;
	for (uint16_t i = 0; i < ports_end; i++) {
		if (!ports[i] || !is_polled(ports[i]))
			continue;
		for (uint16_t queue = 0; queue < ports[i]->queue_count; queue++)
			if (port_queue_worker(ports[i], queue) == worker)
				plan->polls[plan->count++] = make_poll(ports[i], queue);
	}
	return plan;
}

static struct port_table *make_table(bool (*is_visible)(const struct port *port))
{
	struct port_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->count = ports_end;
	for (uint16_t i = 0; i < ports_end; i++)
		table->ports[i] = ports[i] && is_visible(ports[i]) ? ports[i] : NULL;
	return table;
}

int port_table_publish(
	bool (*is_visible)(const struct port *port), bool (*is_polled)(const struct port *port))
{
	struct rx_plan *plans[WORKERS_MAX] = {NULL};
	struct port_table *table = make_table(is_visible);
	bool is_complete = table;

	for (uint16_t i = 0; i < worker_count(); i++) {
		plans[i] = make_plan(i, is_polled);
		is_complete = is_complete && plans[i];
	}
	if (!is_complete) {
		for (uint16_t i = 0; i < WORKERS_MAX; i++)
			free(plans[i]);
		free(table);
		return -ENOMEM;
	}
	publish_swap(&port_table, table, free_table);
	for (uint16_t i = 0; i < worker_count(); i++)
		publish_swap(&rx_plans[i], plans[i], free);
	return 0;
}

void port_table_clear(void)
{
	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		publish_swap(&rx_plans[i], NULL, free);
	publish_swap(&port_table, &no_ports, free_table);
	publish_wait();
}
