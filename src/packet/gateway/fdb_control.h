/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writer of the forwarding table: takes the workers' reports, ages entries, limits what a port
 * or VLAN may have, and holds addresses that move too often (G1, G8). Control thread.
 */
#pragma once

#include "packet/gateway/fdb_table.h"
#include "packet/gateway/vlan_table.h"

struct fdb_settings {
	uint32_t ageing_ms, entries_max;
	uint32_t move_max, move_window_ms; /* moves of one address within the window */
};

struct fdb_counters {
	uint64_t learned, moved, aged, flushed;
	uint64_t refused_port, refused_vlan, refused_full; /* not learned: a limit was reached */
	uint64_t moves_stopped;
};
extern struct fdb_counters fdb_counters;

/* Called with an address that moved; port indices. is_stopped: it moves too often and stays at from
 * for the rest of the window. */
typedef void (*fdb_moved_fn)(
	uint16_t vlan, const uint8_t mac[6], uint16_t from, uint16_t to, bool is_stopped);

/* One learner a worker, and an empty table. Needs EAL. */
int fdb_control_start(uint16_t worker_count, fdb_moved_fn moved, struct error *error);
void fdb_control_stop(void);

/* Makes room for settings->entries_max beside the table in force; nothing else fails later. */
int fdb_control_prepare(const struct fdb_settings *settings, struct error *error);
void fdb_control_abort(void);
/* old has just been replaced by vlan_table (published): entries that no longer fit go, static ones
 * come. */
void fdb_control_commit(const struct vlan_table *old, uint64_t now_ns);

/* The host's own address, static in its VLAN; it is known when the port is open. */
void fdb_control_set_host(const uint8_t mac[6]);

/* Takes all reports of all workers. */
void fdb_control_drain(uint64_t now_ns);
/* Ageing and the end of stops; each fdb_control_interval_ms(). */
void fdb_control_tick(uint64_t now_ns);
uint32_t fdb_control_interval_ms(void);

/* Forgets learned addresses; vlan 0: of all; port PORT_NONE: of all. Returns how many. */
uint32_t fdb_control_flush(uint16_t vlan, uint16_t port);

uint32_t fdb_control_vlan_count(uint16_t vlan); /* entries, static ones too */
uint64_t fdb_control_lost_reports(void);
