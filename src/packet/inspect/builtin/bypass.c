/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/bypass.h"

#include "packet/engine/publish.h"
#include "packet/inspect/inspect.h"

#include <netinet/in.h>

/* Nothing of it was found, remembered or changed, its start was seen, and nothing of it waits. */
static bool is_clean(const struct flow *flow)
{
	if (flow->is_suspicious || flow->state != FLOW_ESTABLISHED)
		return false;
	for (size_t i = 0; i < RTE_DIM(flow->detect.bits); i++)
		if (flow->detect.bits[i])
			return false;
	for (int side = 0; side < FLOW_SIDES; side++)
		if (flow->key.protocol == IPPROTO_TCP
			&& (!(flow->streams[side].flags & STREAM_HAS_START)
				|| flow->streams[side].held))
			return false;
	return true;
}

/* Whether its bytes are what somebody would have known how to read. */
static bool is_known(const struct flow *flow)
{
	return flow->app.protocol != APP_UNKNOWN && flow->app.protocol != APP_OTHER;
}

void bypass_flow(struct job *job)
{
	const struct inspect_chain *chain = publish_read(&inspect_chain);
	struct flow *flow = job->flow;
	uint64_t bytes;

	if (!flow || job->is_about_flow || chain->bypass_least == 0)
		return;
	bytes = flow->bytes[FLOW_CLIENT] + flow->bytes[FLOW_SERVER];
	if (bytes < chain->bypass_least || flow->verdict != FLOW_INSPECT
		|| bytes < inspect_bypass_after(chain, *job->packet) || !is_clean(flow)
		|| (!is_known(flow) && !job->settings->bypasses_unknown))
		return;
	flow->verdict = FLOW_PASS;
	flow->reason = FLOW_REASON_BYPASS;
	builtin_count(&job->own->counters.bypassed);
	flow_table_stop_reading(job->own->flows, flow);
}
