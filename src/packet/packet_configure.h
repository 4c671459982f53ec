/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of the configuration, one at a time, through all modules. Control thread. */
#pragma once

#include "ipc/ipc.h"

/* Handles packet.configure. */
void packet_configure(struct ipc_request *request, void *context);

/* Handles packet.config: what is in force, for a control role that was started again. */
void packet_configure_report(struct ipc_request *request, void *context);

/* Control is gone: what it prepared and did not commit is thrown away. */
void packet_configure_peer_gone(void);

/* Ends workers and modules, in the reverse of their starting. */
void packet_configure_stop(void);
