/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where frames with these two addresses entered a VLAN lately: Suricata's records name VLAN and
 * addresses of the packet, and this tells its origin. A cache that forgets: one place for a key.
 * One writer (the worker), one reader (the control thread); a reader that meets the writer finds
 * nothing.
 */
#pragma once

#include "packet/engine/metadata.h"

#include <stdbool.h>

#define ORIGINS_SIZE 4096

struct origins {
	struct {
		uint64_t sequence; /* odd: being written */
		uint64_t words[3]; /* addresses and VLAN; origin */
	} entries[ORIGINS_SIZE];
};

/* macs: destination and source, as a frame begins. */
void origins_note(struct origins *origins, const uint8_t macs[12], uint16_t vlan,
	const struct origin *origin);
bool origins_find(
	struct origins *origins, const uint8_t macs[12], uint16_t vlan, struct origin *out);
