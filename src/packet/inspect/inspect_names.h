/* SPDX-License-Identifier: BSD-3-Clause */
/* What people call the ends of a packet, for events. Control thread. */
#pragma once

#include "packet/engine/metadata.h"
#include "packet/port/port.h"

struct inspect_names {
	char port[PORT_NAME_SIZE];      /* ingress; "" when it is gone */
	char partition[PORT_NAME_SIZE]; /* whose packet it is, or who it is for; "" for neither */
};

void inspect_find_names(const struct origin *origin, const uint8_t destination_mac[6],
	uint16_t vlan, struct inspect_names *out);
