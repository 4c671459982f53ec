/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the virtual addresses are another distributor's for now (D15): then this one neither
 * answers nor announces, takes nothing for them and sends nothing from them. The configuration says
 * how a daemon begins (distributor.standby); a hand-over changes it while the daemon runs, and a
 * change of the configured value does, too. Shared with ipsec, which keeps it for a next life of
 * the role, and sends no number while it is silent.
 *
 * Writer: control thread. Readers: workers.
 */
#pragma once

#include <rte_branch_prediction.h>
#include <stdbool.h>
#include <stdint.h>

enum standby_state {
	STANDBY_OFF,    /* the addresses are ours */
	STANDBY_FROZEN, /* they are, and are being handed over: nothing moves */
	STANDBY_ON,     /* they are another one's */
};
extern uint8_t standby_state;

/* Worker, and control thread. Acquire: what was imported while it was silent is there when it is
 * not any more; pairs with standby_set(). */
static inline bool standby_is_silent(void)
{
	return unlikely(__atomic_load_n(&standby_state, __ATOMIC_ACQUIRE) != STANDBY_OFF);
}

/* ---- control thread ---- */

/* Tells who keeps it (standby_keep()). To be silent takes effect before it returns: no worker is in
 * a walk that began before. */
void standby_set(enum standby_state state);
/* The configuration's wish: followed when it is the first of this process, or another one than
 * before. */
void standby_configure(bool is_wanted);

/* For a next life of the role: what was configured, and what came of it. */
struct standby_kept {
	bool is_known, is_configured, is_on;
};
struct standby_kept standby_keep(void);
/* Before the first standby_configure(). */
void standby_restore(const struct standby_kept *kept);
/* NULL: nobody wants to know that there is something else to keep. */
void standby_set_changed(void (*changed)(void));
