/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffers of one message, each made when a rule first asks for it. Of one worker; valid for one
 * message.
 */
#pragma once

#include "packet/inspect/builtin/rules/match_payload.h"
#include "packet/inspect/builtin/rules/rule_buffers.h"

struct message_view;

/* NULL: no memory. Control thread. */
struct message_view *message_view_create(void);
void message_view_destroy(struct message_view *view);

/* Forgets what it held. The message stays the caller's. */
void message_view_open(struct message_view *view, const struct rule_buffers *buffers,
	const struct app_message *message);

/* The buffer, and which of several (DNS: questions) from 0 on; false: the message has none, or no
 * more. Valid until the next message, or the next index of the same buffer. */
bool message_view_get(
	struct message_view *view, uint8_t use, unsigned int index, struct payload *out);
