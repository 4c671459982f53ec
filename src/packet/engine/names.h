/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of what the engine knows by index only. It does not know ports and trunks; the role fills
 * this in at its start. Control thread.
 */
#pragma once

#include "packet/engine/metadata.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct engine_names {
	/* Borrowed; NULL: there is none. */
	const char *(*port)(uint16_t index);
	const char *(*trunk)(uint8_t adapter);
	/* -ENOENT, or 0 and the port's identity. */
	int (*find_port)(const char *name, uint16_t *index, uint16_t *generation);
	/* [{name, kind, rx_packets, tx_packets}], new reference. */
	json_t *(*list_ports)(void);
};
extern struct engine_names engine_names;

#define NAMES_ORIGIN_SIZE 192
/* The origin tag for people: "trunk trunk-a vlan 10 web.eth0"; without a tag the port alone. */
void names_format_origin(const struct origin *origin, uint16_t vlan, char out[NAMES_ORIGIN_SIZE]);

/* "web.eth0", or "port 7" when it is gone. */
void names_format_port(uint16_t index, char *out, size_t size);
