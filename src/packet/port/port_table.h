/* SPDX-License-Identifier: BSD-3-Clause */
/* The ports by index, and what of them is published to the workers. Control thread. */
#pragma once

#include "packet/port/port.h"

/* Gives port a free index. -ENOSPC. */
int port_table_reserve(struct port *port);
/* The reverse, when no worker knows the port any more; the index's next user has another
 * generation. */
void port_table_release(struct port *port);
/* All ports with an index, published or not; NULL elements are free. */
struct port *port_table_get(uint16_t index);

/* Publishes those ports for which is_visible() says so, and the receive plans over those of them
 * for which is_polled() says so. -ENOMEM: all is as before. */
int port_table_publish(
	bool (*is_visible)(const struct port *port), bool (*is_polled)(const struct port *port));
/* Publishes empty plans and no table, and waits for the workers. */
void port_table_clear(void);

/* The worker that polls a port's queue. */
uint16_t port_queue_worker(const struct port *port, uint16_t queue);
