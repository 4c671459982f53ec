/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes of guests: each is a stream of the guest's vsock device (vsock/vsock_device.h), on
 * which its agent says what the process says, and a session of the mechanism as any other (cmm.h).
 * Its rings are mirrored in the guest (ring_stream.h). Which partition it is of follows from the
 * device; who it is there, from the agent, which alone can use the guest's privileged ports. No key
 * goes this way. The loop's thread.
 */
#pragma once

#include "channel/cmm.h"
#include "channel/vsock/vsock_device.h"

struct guest;

struct guest_owner {
	struct cmm *cmm;
	char partition[ATTACH_NAME_SIZE];
	/* There is something to be sent to the guest. Not within ops of the device. */
	void (*wake)(void *context);
	/* A descriptor that becomes readable when a ring has something for the guest: to be watched
	 * until it is closed, edge-triggered, and emptied. A negative errno ends the process. */
	int (*watch)(void *context, int fd);
	void *context;
};

/* A device whose context is a struct guest_owner. */
extern const struct vsock_ops guest_vsock_ops;

/* cmm_ops.send, of sessions that are a guest's (session->is_guest). */
void guest_send(struct session *session, const struct attach_notice *notice, const int *descriptors,
	size_t count);
/* cmm_ops.guest_row_gone. */
void guest_row_gone(struct session *session, uint32_t row);
/* As agent_forget(). */
void guest_forget(struct session *session);
/* No ring has anything more for the guest, and each will wake its watched descriptor. */
bool guest_arm(const struct vsock_device *device);
