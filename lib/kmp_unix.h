/* SPDX-License-Identifier: BSD-3-Clause */
/* KMP over a Unix socket, for lib/kmp.c. */
#pragma once

#include "bulkhead/kmp.h"

extern const struct kmp_transport kmp_unix_transport;

/* path NULL: BULKHEAD_KMP_SOCKET. The context of kmp_unix_transport, or a negative errno. */
int kmp_unix_connect(const char *path, void **context, struct bulkhead_kmp_error *error);
