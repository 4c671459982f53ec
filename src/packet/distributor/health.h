/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the targets are (D14): up or down, what they report of their load and services, and what of
 * their weight is in force. A report is a message of wire/heartbeat.h; it is believed when it
 * answers a challenge that is still young, and is newer than the one before.
 *
 * Writers: workers put reports down, under the lock; the control thread judges (health_tick()).
 * Readers: workers of is_up and deaths, relaxed.
 */
#pragma once

#include "packet/distributor/vipa.h"
#include "wire/heartbeat.h"

#include <rte_spinlock.h>

#define HEALTH_MISSED_MAX 3 /* heartbeats; with the third it is down */

struct health {
	/* Control thread writes, workers read, relaxed. */
	bool is_up;
	/* Under the lock. */
	rte_spinlock_t lock;
	uint64_t session, sequence; /* of the last report that was believed */
	uint64_t challenges[2];     /* the young one, and the one before */
	uint64_t reported_ns;       /* 0: never */
	struct heartbeat report;
	/* Control thread only. */
	uint64_t challenged_ns, since_ns;
	bool is_drained;
	int64_t weight; /* by API; -1: as configured */
	uint8_t generation;
};
extern struct health healths[VIPA_TARGETS_MAX];

/* Grows with each death: workers look for connections of dead targets then. */
extern uint32_t health_deaths;

static inline bool health_is_up(uint16_t target)
{
	return __atomic_load_n(&healths[target].is_up, __ATOMIC_RELAXED);
}

/* A report of the target; fills in what has to be answered. False: it says nothing that is new.
 * Worker. */
bool health_take_report(
	uint16_t target, const struct heartbeat *report, uint64_t now_ns, struct heartbeat *answer);

/* Control thread, from here on. Of a new table: targets that are new in it start, those that
 * heartbeats tell of as down. */
void health_start(const struct vipa_table *table, uint64_t now_ns);
/* Judges all targets, and puts weights in force; calls changed for those that came or went. */
void health_tick(struct vipa_table *table, uint64_t now_ns, uint64_t interval_ns,
	void (*changed)(const struct vipa_target *target, bool is_up));
/* What of the configuration and the API is asked for: 0 when it is drained. */
uint32_t health_weight(const struct vipa_table *table, uint16_t target);
