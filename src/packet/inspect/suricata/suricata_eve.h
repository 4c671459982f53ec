/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Suricata's EVE records made into our events: which it was, whose packet, from where. What only we
 * can know is ours alone: members of these names that the record brings are replaced. Control
 * thread.
 */
#pragma once

#include "packet/engine/metadata.h"

#include <jansson.h>
#include <stdbool.h>

#define SURICATA_REASONS_MAX 32

/* What a record says of its packet. */
struct suricata_key {
	uint16_t vlan;
	uint8_t macs[12]; /* destination, source */
	bool has_macs;
};

struct suricata_names {
	const char *in_interface, *partition; /* "": not known */
	const char *origin;                   /* NULL: not known */
};

/* Whether it is a record that is taken over; fills key. */
bool suricata_eve_read(const json_t *record, struct suricata_key *key);
/* Changes the record into the event. */
void suricata_eve_complete(json_t *record, const struct suricata_names *names);

/* Counts a drop record's reason in counts ({reason: number}), bounded. */
void suricata_eve_count_drop(const json_t *record, json_t *counts);
