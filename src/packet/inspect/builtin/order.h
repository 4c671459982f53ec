/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of a TCP stream (I6): a segment ahead of a gap is held until all that precedes it was
 * inspected. Meanwhile its sender is answered in the receiver's name, which sees nothing of it:
 * the receiver's last acknowledgement again, with what is held as selective acknowledgements (RFC
 * 2018), so that the sender repeats what was lost at once (docs/decisions, "held segments").
 * Worker.
 */
#pragma once

#include "packet/inspect/builtin/job.h"

/* Whether the segment is ahead of a gap of its stream. */
bool order_must_wait(const struct job *job);
enum verdict order_hold(struct job *job);

/* After a packet of the flow got its verdict: what was held and is due is inspected and made ready
 * for collect; and as long as there is such, what comes behind goes the same way. */
enum verdict order_follow(struct job *job, enum verdict verdict);

/*
 * A sender that is told selectively of what is held takes a cumulative acknowledgement of a part of
 * it for a sign that the rest was given up, waits for a timer, and repeats all. But that is how the
 * receiver acknowledges what is released. So those on the way to the last byte of it are kept back,
 * until one repeats its number or names what the receiver has: then some of it was lost behind us,
 * and the suspicion is right. Likewise when the sender repeats some. To be asked for each segment,
 * before tcp_track().
 */
bool order_withholds(struct job *job);
/* After a segment of the flow got its verdict: what follows from that for those that wait. */
enum verdict order_settle(struct job *job, enum verdict verdict, bool is_withheld);

/* Gaps whose time is over: the failure policy of the first that waits decides. */
void order_expire(struct job *job);

/* The flow is over, or begins anew; context is the worker's struct builtin_worker. */
void order_forget(void *context, struct flow *flow);

/* The answer as a frame, for the tests too; returns its size, 0: none is possible. out has
 * ORDER_FRAME_SIZE bytes. */
#define ORDER_FRAME_SIZE 192
uint32_t order_build_acknowledgement(const struct decoded *decoded, const struct stream *stream,
	const struct stream *receiver, uint8_t *out);
