/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes: made when both rows have the key, put onto the lane with the fewest. */
#include "base/clock.h"
#include "channel/cmm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct lane *cmm_least_lane(const struct cmm *cmm)
{
	struct lane_counts counts, least_counts;
	struct lane *least = cmm->lanes[0];

	lane_count(least, &least_counts);
	for (uint32_t i = 1; i < cmm->lane_count; i++) {
		lane_count(cmm->lanes[i], &counts);
		if (counts.members < least_counts.members) {
			least = cmm->lanes[i];
			least_counts = counts;
		}
	}
	return least;
}

uint64_t cmm_interval_ns(const struct policy_rule *rule)
{
	if (!rule || rule->rate == 0)
		return 0;
	return rule->rate < CLOCK_NS_PER_S ? CLOCK_NS_PER_S / rule->rate : 1;
}

static struct route_end cmm_route_end(const struct state_row *row)
{
	return (struct route_end){.key_slot = row->key_slot, .wake = row->wake};
}

static uint32_t cmm_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

int cmm_route_open(struct state_row *sender, struct state_row *receiver)
{
	struct cmm *cmm = sender->partition->cmm;
	struct route *route = calloc(1, sizeof(*route));
	int status;

	if (!route)
		return -ENOMEM;
	route->member = (struct lane_member){
		.ops = &route_ops, .bells = {sender->bell, receiver->bell}, .bell_events = EPOLLIN};
	route->keys = &cmm->keys;
	route->sender = cmm_route_end(sender);
	route->receiver = cmm_route_end(receiver);
	route->message_max = cmm_least(sender->message_max, receiver->message_max);
	route->interval_ns = cmm_interval_ns(cmm_rule_of(sender));
	/* New memory: both positions are 0, whatever the processes have written there since. */
	route->from.view = sender->view;
	route->to.view = receiver->view;
	status = lane_add(cmm_least_lane(cmm), &route->member);
	if (status < 0) {
		free(route);
		return status;
	}
	sender->route = receiver->route = route;
	sender->other = receiver;
	receiver->other = sender;
	return 0;
}

uint32_t cmm_row_message_max(const struct state_row *row)
{
	if (row->far)
		return row->far->message_max;
	return row->route ? row->route->message_max : row->message_max;
}

static void cmm_far_add_counts(struct cmm_counts *counts, const struct link_end *end)
{
	counts->messages += __atomic_load_n(&end->counts.messages, __ATOMIC_RELAXED);
	counts->bytes += __atomic_load_n(&end->counts.bytes, __ATOMIC_RELAXED);
	counts->forged += __atomic_load_n(&end->counts.dropped, __ATOMIC_RELAXED);
	counts->wakes += __atomic_load_n(&end->counts.wakes, __ATOMIC_RELAXED);
}

void cmm_row_add_counts(struct cmm_counts *counts, const struct state_row *row)
{
	const struct route *route = row->route;

	if (row->far)
		cmm_far_add_counts(counts, row->far);
	if (!route)
		return;
	counts->messages += __atomic_load_n(&route->counts.messages, __ATOMIC_RELAXED);
	counts->bytes += __atomic_load_n(&route->counts.bytes, __ATOMIC_RELAXED);
	counts->forged += __atomic_load_n(&route->counts.forged, __ATOMIC_RELAXED);
	counts->wakes += __atomic_load_n(&route->counts.wakes, __ATOMIC_RELAXED);
}

void cmm_route_close(struct state_row *row, enum attach_reason reason, bool with_rest)
{
	struct cmm *cmm = row->partition->cmm;
	struct state_row *other = row->other;
	struct route *route = row->route;

	if (!route)
		return;
	lane_remove(&route->member, with_rest);
	cmm_row_add_counts(&cmm->counts, row);
	cmm->counts.down++;
	cmm->counts.ended[reason]++;
	row->route = other->route = NULL;
	row->other = other->other = NULL;
	free(route);
}
