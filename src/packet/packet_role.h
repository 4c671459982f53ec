/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet role: the modules of packet_modules[] under one roof. EAL and the workers start with
 * the first configuration that control sends. See packet_module.h for the transaction.
 */
#pragma once

#include "main/role.h"

extern const struct role_ops packet_role_ops;
