/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ringing a peer's eventfd. A write to it may block for ever: the peer shares its flags and its
 * count. The kernel's own signal never does, so a bell is a finished read of one byte (Linux AIO)
 * whose completion signals the descriptor (IOCB_FLAG_RESFD); what is no eventfd is refused there.
 */
#pragma once

struct signal_bell;

/* NULL: the kernel has no AIO for us; peers have to poll. */
struct signal_bell *signal_bell_create(void);
void signal_bell_destroy(struct signal_bell *bell);
/* One thread at a time. bell may be NULL. */
void signal_bell_ring(struct signal_bell *bell, int eventfd);
