/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is kept for a next life of the packet role: SAs with their keys and how far their numbers
 * may go, and policies; whether the addresses are another distributor's, and then nothing else; in
 * sealed memory that the broker holds (docs/decisions/0017). What changes with each packet is in
 * sa_record.h; the records of a life before are taken first. Written by this program for this
 * program; what does not look like that is not taken. Control thread.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct sa_state; /* what one state promises */

/* All there is now, as sealed memory; the caller closes *fd, and destroys *out. */
int sa_state_write(int *fd, struct sa_state **out, struct error *error);
/* It is kept, and none that was written later: workers may go as far as it promises. */
void sa_state_kept(const struct sa_state *state);
/* NULL is allowed. */
void sa_state_destroy(struct sa_state *state);

/* Adds the SAs and policies of a state; what cannot be added is left out and logged. Returns how
 * many SAs came back, or -EINVAL: not a state of this program, and nothing was added. */
int sa_state_restore(const void *bytes, size_t size);
/* As that, from the memory that was kept. */
int sa_state_restore_from(int fd, struct error *error);
