/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a burst through the chain of inspectors, and of held packets back from it (I1, I4).
 * Free of the graph, so that it is tested without one.
 */
#include "packet/engine/trace.h"
#include "packet/inspect/inspect.h"

#include <errno.h>
#include <rte_ether.h>

/* Hold tables count by the low byte. */
#define OWNER_MAX UINT8_MAX

struct inspect_chain *inspect_chain;
struct inspect_worker *inspect_workers[WORKERS_MAX];

static const char *const verdict_names[VERDICT_COUNT] = {
	[VERDICT_PASS] = "pass",
	[VERDICT_DROP] = "drop",
	[VERDICT_REPLACE] = "replace",
	[VERDICT_HELD] = "held",
	[VERDICT_DEEPER] = "clean, to the next engine",
	[VERDICT_FAILED] = "failed",
};

/* The chain's position behind an owner; its end for those that are retiring or gone. */
static uint16_t position_behind(const struct inspect_chain *chain, uint16_t owner)
{
	for (uint16_t at = 0; at < chain->count; at++)
		if (chain->engines[at]->owner == owner)
			return at + 1;
	return chain->count;
}

static bool is_owner_used(const struct inspect_chain *chain, uint16_t owner)
{
	for (uint16_t i = 0; chain && i < chain->count; i++)
		if (chain->engines[i]->owner == owner)
			return true;
	for (uint16_t i = 0; chain && i < chain->retiring_count; i++)
		if (chain->retiring[i]->owner == owner)
			return true;
	return false;
}

uint16_t inspect_chain_next_owner(const struct inspect_chain *chain, uint16_t last)
{
	static_assert(INSPECT_CHAIN_MAX + INSPECT_RETIRING_MAX < OWNER_MAX, "one is always free");
	do
		last = last == OWNER_MAX ? 1 : last + 1;
	while (is_owner_used(chain, last));
	return last;
}

/* For traces. What the last engine has nothing against passes. */
static const char *verdict_name(
	const struct inspect_chain *chain, const struct inspector *engine, enum verdict verdict)
{
	if (verdict == VERDICT_DEEPER && position_behind(chain, engine->owner) == chain->count)
		verdict = VERDICT_PASS;
	return verdict_names[verdict];
}

void inspect_inject(uint16_t worker, struct rte_mbuf *packet, enum inspect_injection where)
{
	struct inspect_worker *state = inspect_workers[worker];

	if (state->injection_count == INSPECT_INJECT_MAX) {
		state->injections_lost++;
		rte_pktmbuf_free(packet);
		return;
	}
	state->injections[state->injection_count].packet = packet;
	state->injections[state->injection_count++].where = where;
}

int inspect_hold(uint16_t worker, struct inspector *owner, struct rte_mbuf *packet, uint64_t now_ns,
	uint64_t *handle)
{
	/* Relaxed: only the deadline is read, and this walk holds the chain anyway. */
	const struct inspect_chain *chain = __atomic_load_n(&inspect_chain, __ATOMIC_RELAXED);

	return hold_insert(inspect_workers[worker]->holds, packet, owner->owner,
		now_ns + chain->deadline_ns, handle);
}

/* The addressee, when it is an adapter with a configured address; NULL. */
static const struct inspect_party *find_party(
	const struct inspect_chain *chain, struct rte_mbuf *packet)
{
	const uint8_t *mac = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint16_t vlan = packet_metadata(packet)->vlan;
	size_t low = 0, high = chain->party_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(chain->parties[middle].mac, mac, RTE_ETHER_ADDR_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < chain->party_count; low++) {
		const struct inspect_party *party = &chain->parties[low];

		if (memcmp(party->mac, mac, RTE_ETHER_ADDR_LEN) != 0)
			break;
		if (party->vlan == vlan || party->vlan == 0)
			return party;
	}
	return NULL;
}

uint64_t inspect_bypass_after(const struct inspect_chain *chain, struct rte_mbuf *packet)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	uint64_t bytes = 0;

	if (metadata->origin.kind == ORIGIN_TRUNK) {
		bytes = chain->port_bypass[metadata->origin.ingress_port % PORTS_MAX];
	} else {
		const struct inspect_party *party = find_party(chain, packet);

		bytes = party ? party->bypass_after : 0;
	}
	if (bytes == 0)
		bytes = chain->vlan_bypass[metadata->vlan % INSPECT_VLANS];
	return bytes ? bytes : chain->bypass_after;
}

enum failure_policy inspect_failure_policy(
	const struct inspect_chain *chain, struct rte_mbuf *packet)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	enum failure_policy policy = FAILURE_UNSET;

	if (metadata->origin.kind == ORIGIN_TRUNK) {
		policy = chain->port_policy[metadata->origin.ingress_port % PORTS_MAX];
	} else {
		const struct inspect_party *party = find_party(chain, packet);

		policy = party ? party->on_failure : FAILURE_UNSET;
	}
	if (policy == FAILURE_UNSET)
		policy = chain->vlan_policy[metadata->vlan % INSPECT_VLANS];
	if (policy == FAILURE_UNSET)
		policy = chain->kind_policy[metadata->origin.kind % ORIGIN_KIND_COUNT];
	return policy == FAILURE_PASS ? FAILURE_PASS : FAILURE_DROP;
}

static void output_pass(struct inspect_output *output, struct rte_mbuf *packet)
{
	packet_metadata(packet)->flags |= PACKET_IS_INSPECTED;
	output->pass[output->pass_count++] = packet;
}

/* Whether the packet goes on without a verdict; counts it. */
static bool fail_open(struct inspect_chain *chain, uint16_t worker, struct rte_mbuf *packet)
{
	bool is_open = inspect_failure_policy(chain, packet) == FAILURE_PASS;

	if (is_open)
		inspect_workers[worker]->failures_passed++;
	else
		inspect_workers[worker]->failures_dropped++;
	trace_step(packet, "inspect", "no verdict: on-failure is %s", is_open ? "pass" : "drop");
	return is_open;
}

/* Sorts one verdict; true when the next engine has to see the packet. */
static bool settle(struct inspect_chain *chain, uint16_t worker, struct rte_mbuf *packet,
	enum verdict verdict, struct inspect_output *output)
{
	switch (verdict) {
	case VERDICT_HELD:
		return false;
	case VERDICT_PASS:
	case VERDICT_REPLACE:
		output_pass(output, packet);
		return false;
	case VERDICT_DEEPER:
		return true;
	case VERDICT_FAILED:
		if (fail_open(chain, worker, packet))
			return true;
		break;
	case VERDICT_DROP:
	case VERDICT_COUNT:
		break;
	}
	output->drop[output->drop_count++] = packet;
	return false;
}

static void submit(const struct inspect_chain *chain, struct inspector *engine, uint16_t worker,
	struct rte_mbuf **packets, uint16_t count, enum verdict *verdicts)
{
	struct inspector_counters *counters = &engine->counters[worker];

	if (__atomic_load_n(&engine->is_down, __ATOMIC_RELAXED)) {
		for (uint16_t i = 0; i < count; i++) {
			drop_mark(packets[i], DROP_inspect_down);
			verdicts[i] = VERDICT_FAILED;
		}
	} else {
		engine->ops->submit(engine, worker, packets, count, verdicts);
	}
	for (uint16_t i = 0; i < count; i++) {
		counters->verdicts[verdicts[i]]++;
		if (verdicts[i] != VERDICT_HELD)
			trace_step(packets[i], "inspect", "%s: %s", engine->ops->name,
				verdict_name(chain, engine, verdicts[i]));
	}
}

void inspect_chain_run(struct inspect_chain *chain, uint16_t worker, uint16_t first,
	struct rte_mbuf **packets, uint16_t count, struct inspect_output *output)
{
	enum verdict verdicts[INSPECT_BURST];

	for (uint16_t at = first; at < chain->count && count > 0; at++) {
		uint16_t left = 0;

		submit(chain, chain->engines[at], worker, packets, count, verdicts);
		for (uint16_t i = 0; i < count; i++)
			if (settle(chain, worker, packets[i], verdicts[i], output))
				packets[left++] = packets[i];
		count = left;
	}
	for (uint16_t i = 0; i < count; i++)
		output_pass(output, packets[i]);
}

static void go_on(struct inspect_chain *chain, uint16_t worker, uint16_t owner,
	struct rte_mbuf *packet, struct inspect_output *output)
{
	inspect_chain_run(chain, worker, position_behind(chain, owner), &packet, 1, output);
}

static void collect(struct inspect_chain *chain, uint16_t worker, struct inspector *engine,
	struct inspect_output *output)
{
	struct rte_mbuf *packets[INSPECT_BURST];
	enum verdict verdicts[INSPECT_BURST];
	uint16_t room = INSPECT_BURST - output->pass_count - output->drop_count;
	uint16_t count;

	if (!engine->ops->collect || room == 0)
		return;
	count = engine->ops->collect(engine, worker, packets, verdicts, room);
	for (uint16_t i = 0; i < count; i++) {
		engine->counters[worker].late_verdicts[verdicts[i]]++;
		trace_step(packets[i], "inspect_return", "%s: %s", engine->ops->name,
			verdict_name(chain, engine, verdicts[i]));
		if (settle(chain, worker, packets[i], verdicts[i], output))
			go_on(chain, worker, engine->owner, packets[i], output);
	}
}

static void count_expired(struct inspect_chain *chain, uint16_t worker, uint16_t owner)
{
	for (uint16_t i = 0; i < chain->count; i++)
		if (chain->engines[i]->owner == owner)
			chain->engines[i]->counters[worker].expired++;
}

static void expire(struct inspect_chain *chain, uint16_t worker, uint64_t now_ns,
	struct inspect_output *output)
{
	struct hold_expired expired[INSPECT_BURST];
	uint16_t room = INSPECT_BURST - output->pass_count - output->drop_count;
	uint16_t count =
		room ? hold_expire(inspect_workers[worker]->holds, now_ns, expired, room) : 0;

	for (uint16_t i = 0; i < count; i++) {
		/* Its sender repeats what belongs to a stream; alone it might be misread. */
		bool is_in_stream = packet_metadata(expired[i].packet)->flags & PACKET_IS_IN_STREAM;

		drop_mark(expired[i].packet, DROP_inspect_deadline);
		count_expired(chain, worker, expired[i].owner);
		if (settle(chain, worker, expired[i].packet,
			    is_in_stream ? VERDICT_DROP : VERDICT_FAILED, output))
			go_on(chain, worker, expired[i].owner, expired[i].packet, output);
	}
}

void inspect_chain_retire(struct inspect_chain *chain, uint16_t worker)
{
	for (uint16_t i = 0; i < chain->retiring_count; i++)
		if (chain->retiring[i]->ops->retire)
			chain->retiring[i]->ops->retire(chain->retiring[i], worker);
}

uint16_t inspect_chain_collect(struct inspect_chain *chain, uint16_t worker, uint64_t now_ns,
	struct inspect_output *output)
{
	for (uint16_t i = 0; i < chain->count; i++)
		collect(chain, worker, chain->engines[i], output);
	for (uint16_t i = 0; i < chain->retiring_count; i++)
		collect(chain, worker, chain->retiring[i], output);
	expire(chain, worker, now_ns, output);
	return output->pass_count + output->drop_count;
}
