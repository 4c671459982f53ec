/* SPDX-License-Identifier: BSD-3-Clause */
/* Unguessable numbers from the kernel's CSPRNG (getrandom). Any thread; control threads only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills out; aborts where the kernel cannot give randomness, since nothing may go on without. */
void id_random_bytes(void *out, size_t size);
uint64_t id_random_u64(void);
