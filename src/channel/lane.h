/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane: one thread of the connection management mechanism, which gives its members turns. Those
 * with traffic are looked at in turn; one that was idle for poll_ns is put to sleep and woken by
 * its bells; a lane without others sleeps in the kernel. Functions here are the control thread's,
 * but for lane_activate(); each stops the lane between two rounds, which is a bounded time.
 */
#pragma once

#include "base/error.h"
#include "channel/lane_member.h"

#include <stdint.h>

struct lane;

struct lane_counts {
	uint64_t rounds; /* over all its members */
	uint64_t sleeps; /* in the kernel */
	uint32_t members;
};

/* core -1: not pinned; one that is not there is an error. notify runs on the lane's thread when
 * the control thread has something to do, as when a member has failed; it may do no more than wake
 * that. */
int lane_start(int core, uint64_t poll_ns, void (*notify)(void *context), void *context,
	struct lane **out, struct error *error);
/* Its members stay as they are, without a lane. NULL is allowed. */
void lane_stop(struct lane *lane);
/* The member is the lane's from then on. */
int lane_add(struct lane *lane, struct lane_member *member);
/* The member is the caller's again, and nothing of it moves any more. with_rest: what is there goes
 * before, as far as there is room for it. */
void lane_remove(struct lane_member *member, bool with_rest);
/* Between the two the lane rests, and its members are the caller's. Not nested; no other function
 * here in between, but lane_activate(). */
void lane_pause(struct lane *lane);
void lane_resume(struct lane *lane);
/* Gives a member of the lane turns. On the lane's thread, or while it rests. */
void lane_activate(struct lane_member *member);
/* On the lane's thread: notify(). */
void lane_notify(const struct lane *lane);
void lane_count(const struct lane *lane, struct lane_counts *out);
