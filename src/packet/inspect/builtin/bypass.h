/* SPDX-License-Identifier: BSD-3-Clause */
/* Which flows need no further look: the policy bypass-after (I2). */
#pragma once

#include "packet/inspect/builtin/job.h"

/* Ends inspection of a clean flow that is larger than the policy wants to look at: the packet that
 * was inspected just now was the last one. Worker. */
void bypass_flow(struct job *job);
