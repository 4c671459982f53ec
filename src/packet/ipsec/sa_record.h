/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of SAs outlives the packet role as it changes (D16): a record for each, in memory (memfd)
 * that the broker holds beside the kept state (sa_state.h), and that each life of the role maps. A
 * process that is killed leaves there all that it had stored, so the next one knows to the packet
 * how far a replay window had moved (docs/decisions/0017).
 *
 * A record belongs to the SA whose id is in it. What the kept state names is given to no other SA,
 * even when its own is gone: if the role dies now, that one comes back. Of another life's memory
 * nothing is believed but numbers, and those only where they can be.
 *
 * Control thread, but for `highest`: workers store it, under the lock of the SA.
 */
#pragma once

#include "base/error.h"

#include <rte_common.h>
#include <stdbool.h>
#include <stdint.h>

/* As many SAs as there may be (ipsec.sas-max), twice: all of them gone and not yet out of the kept
 * state, and as many new ones. Always so many, since ipsec.sas-max may change between two lives;
 * pages that no record is in take no memory. */
#define SA_RECORD_COUNT (2 * 65536)

struct sa_record {
	uint64_t id;             /* of the SA; 0: there was none yet */
	uint64_t highest;        /* inbound: of the window; relaxed, and it only grows */
	uint64_t packets, bytes; /* at the last tick */
} __rte_cache_aligned;

/* What the kept state has of it. */
struct sa_record_name {
	uint32_t at;
	uint64_t id; /* 0: no record */
};

int sa_records_open(struct error *error);
/* No worker runs. */
void sa_records_close(void);
/* For the broker; borrowed. */
int sa_records_descriptor(void);
/* Goes on with the memory of a life before. Consumes fd, whatever becomes of it. -EINVAL: it is no
 * such memory, -EBUSY: SAs have records already; then all stays as it was. */
int sa_records_take(int fd, struct error *error);

/* A record of zeros. NULL: there is none that the kept state does not name. */
struct sa_record *sa_record_create(struct sa_record_name *name);
/* The record of a life before. NULL: it is not of this name any more. */
struct sa_record *sa_record_resume(const struct sa_record_name *name);
/* No worker sees its SA any more. It keeps what is in it. NULL is allowed. */
void sa_record_put(const struct sa_record *record);

/* A state that may be kept names it. */
void sa_record_hold(const struct sa_record_name *name);
/* No state does; those that one does are to be held anew. */
void sa_records_forget_held(void);
