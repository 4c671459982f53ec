/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control side of IPsec shares. Control thread. */
#pragma once

#include "ipc/ipc.h"

#include <jansson.h>

struct ipsec_config;

/* In force; NULL: IPsec is off. */
const struct ipsec_config *ipsec_running(void);

/* ipsec_api.c */
extern const struct ipc_method ipsec_methods[];
void ipsec_metrics(json_t *samples);
