/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The channel role: the connection management mechanism (cmm.h), the agents' sockets, its
 * configuration and its API. Its memory is locked and is not dumped; it sees no file and makes no
 * socket.
 */
#pragma once

#include "main/role.h"

extern const struct role_ops channel_role_ops;
