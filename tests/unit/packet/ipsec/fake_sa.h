/* SPDX-License-Identifier: BSD-3-Clause */
/* sa_control.h in memory, for whoever tests the sessions of key managers without an ESP engine. It
 * is as strict as its header says. */
#pragma once

#include "packet/ipsec/sa_control.h"

#define FAKE_SAS_MAX      512
#define FAKE_POLICIES_MAX 64

struct fake_sa {
	struct sa_view view;
	bool is_larval; /* an SPI that was allocated */
	struct sa_parameters parameters;
	uint8_t cipher_key[64];
};

struct fake_sa_state {
	struct fake_sa sas[FAKE_SAS_MAX];
	size_t sa_count;
	struct policy_parameters policies[FAKE_POLICIES_MAX];
	size_t policy_count;
	uint32_t next_spi;
	unsigned int changes; /* calls that changed anything */
	struct sa_events events;
};
extern struct fake_sa_state fake_sa;

void fake_sa_reset(void);
