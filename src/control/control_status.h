/* SPDX-License-Identifier: BSD-3-Clause */
/* The answer of status.get: from the broker, from the packet role, and from control itself. */
#pragma once

#include "control/control.h"

/* Answers request, later. */
void control_status_reply(struct control *control, struct ipc_request *request);
