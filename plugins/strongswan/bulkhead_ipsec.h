/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kernel_ipsec_t by KMP: charon's SAs and policies are bulkheadd's. */
#pragma once

#include <kernel/kernel_ipsec.h>

/* NULL: no memory or threads. */
kernel_ipsec_t *bulkhead_ipsec_create(void);
