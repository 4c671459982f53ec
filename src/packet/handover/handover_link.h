/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection of a hand-over, either end of it: whole messages, and the time they may take.
 * What is sent and received lies in locked memory, wiped after each message. Control thread. */
#pragma once

#include "bulkhead/kmp.h"

#include <uv.h>

struct handover_link;

struct handover_link_ops {
	/* A message that is KMP; valid for the call. */
	void (*message)(void *context, const struct kmp_message *message);
	/* It is over, and everything that had come was told before: the other end is gone, has
	 * said what is no KMP, or nothing in time. The other end can send nothing more. To be
	 * closed by whoever is told. */
	void (*end)(void *context, const char *why);
};

/* Takes the connected socket. -ENOMEM, or what libuv says. */
int handover_link_open(uv_loop_t *loop, int fd, const struct handover_link_ops *ops, void *context,
	struct handover_link **out);
/* From inside of ops, too. NULL is allowed. */
void handover_link_close(struct handover_link *link);
/* From now on nothing may come for so long. */
void handover_link_wait(struct handover_link *link, uint32_t timeout_ms);

/* A message is begun and sent, one at a time. */
struct kmp_writer *handover_link_begin(struct handover_link *link, enum kmp_type type,
	uint32_t sequence, uint32_t acknowledgement);
/* 0: the other end will read it, or is gone before it could. -EPIPE: it will not. -EMSGSIZE,
 * -EAGAIN: the other end does not read. */
int handover_link_send(struct handover_link *link);
