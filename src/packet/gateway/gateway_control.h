/* SPDX-License-Identifier: BSD-3-Clause */
/* What gateway_control.c and gateway_api.c share. Control thread. */
#pragma once

#include "packet/packet_module.h"
#include "packet/port/port.h"

/* gateway_api.c */
extern const struct ipc_method gateway_methods[];
void gateway_metrics(json_t *samples);
/* The switch's view of a port, for port.list and port.show. */
void gateway_describe_port(const struct port *port, json_t *out, bool is_detailed);
