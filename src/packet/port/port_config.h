/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ports the configuration asks for. Control thread. */
#pragma once

#include "packet/port/port.h"

struct port_configs {
	size_t count;
	struct port_config *items; /* owned */
};

/* From the normalised document: the physical adapter, links, the host's interfaces, partitions'
 * adapters, in this order. -EINVAL with a message for people. */
int port_configs_read(const json_t *config, struct port_configs *out, struct error *error);
void port_configs_release(struct port_configs *configs);

void port_config_copy(struct port_config *to, const struct port_config *from);
void port_config_release(struct port_config *config);
/* Whether both are the same interface, socket or PCI device, however it is written. */
bool port_config_shares_device(const char *device, const char *other);
/* Whether a port opened with one serves as well for the other. */
bool port_config_is_same(const struct port_config *a, const struct port_config *b);
