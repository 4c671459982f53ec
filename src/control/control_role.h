/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control role: reads the configuration and gives it to the other roles, serves the API, fans
 * out events, serves metrics. Parses what people write, holds no privileges, touches no packet.
 */
#pragma once

#include "main/role.h"

extern const struct role_ops control_role_ops;
