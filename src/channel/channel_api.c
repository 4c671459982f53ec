/* SPDX-License-Identifier: BSD-3-Clause */
/* API methods channel.*, as schema/api_methods.c has them, and metrics. Ids and states only: no
 * answer has a key in it (C7). */
#include "base/clock.h"
#include "channel/channel_private.h"
#include "schema/api_schema.h"
#include "schema/metrics_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- channel.list, channel.show --- */

static const char *state_of(const struct state_row *row)
{
	if (cmm_row_is_up(row))
		return "up";
	return row->wants_connect ? "waiting" : "authorised";
}

static json_t *row_json(const struct state_row *row)
{
	const struct key_table *keys = &row->partition->cmm->keys;
	struct cmm_counts counts = {0};

	cmm_row_add_counts(&counts, row);
	return json_pack("{s:I, s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}",
		"channel", (json_int_t)row->id, "partition", row->partition->name, "endpoint",
		(json_int_t)row->endpoint, "direction",
		row->direction == ATTACH_SEND ? "send" : "receive", "remote", row->remote->name,
		"remote_endpoint", (json_int_t)row->remote_endpoint, "state", state_of(row), "key",
		key_setter_name(key_table_setter(keys, row->key_slot)), "pid",
		(int)row->session->pid, "uid", (json_int_t)row->session->uid, "message_max",
		(json_int_t)cmm_row_message_max(row), "ring_bytes", (json_int_t)row->view.capacity,
		"messages", (json_int_t)counts.messages, "bytes", (json_int_t)counts.bytes);
}

/* The row with the least id beyond after, of partition (NULL: of any). */
static const struct state_row *next_row(
	const struct cmm *cmm, const char *partition, uint32_t after)
{
	const struct state_row *next = NULL;

	list_foreach (node, &cmm->partitions) {
		const struct partition *each = list_entry(node, struct partition, node);

		if (partition && strcmp(partition, each->name) != 0)
			continue;
		list_foreach (row_node, &each->rows.rows) {
			const struct state_row *row = list_entry(row_node, struct state_row, node);

			if (row->id > after && (!next || row->id < next->id))
				next = row;
		}
	}
	return next;
}

static void set_next(json_t *result, uint32_t last)
{
	char text[24];

	snprintf(text, sizeof(text), "%u", last);
	json_object_set_new(result, "next", json_string(text));
}

static uint32_t cursor_of(const json_t *params)
{
	const char *after = api_page_after(params);

	return after ? (uint32_t)strtoul(after, NULL, 10) : 0;
}

static void handle_list(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *partition = json_string_value(json_object_get(params, "partition"));
	const struct channel_role *role = context;
	size_t limit = api_page_limit(params);
	json_t *rows = json_array(), *result = json_pack("{s:o}", "channels", rows);
	const struct state_row *row = next_row(&role->cmm, partition, cursor_of(params));
	uint32_t last = 0;

	for (; row && json_array_size(rows) < limit; row = next_row(&role->cmm, partition, last)) {
		json_array_append_new(rows, row_json(row));
		last = row->id;
	}
	if (row)
		set_next(result, last);
	ipc_reply(request, result);
}

static uint32_t channel_param(const struct ipc_request *request)
{
	return (uint32_t)json_integer_value(
		json_object_get(ipc_request_params(request), "channel"));
}

static void reply_unknown(struct ipc_request *request)
{
	ipc_reply_failed(request, -ENOENT,
		"there is no channel of this number: it may have ended; see channel.list");
}

static void handle_show(struct ipc_request *request, void *context)
{
	const struct channel_role *role = context;
	const struct state_row *row = cmm_find_row(&role->cmm, channel_param(request));
	struct cmm_counts counts = {0};
	json_t *shown;

	if (!row) {
		reply_unknown(request);
		return;
	}
	shown = row_json(row);
	if (cmm_row_is_up(row)) {
		cmm_row_add_counts(&counts, row);
		if (row->other)
			json_object_set_new(shown, "other", json_integer(row->other->id));
		json_object_set_new(shown, "forged", json_integer((json_int_t)counts.forged));
		json_object_set_new(shown, "wakes", json_integer((json_int_t)counts.wakes));
	}
	ipc_reply(request, json_pack("{s:o}", "channel", shown));
}

static void handle_revoke(struct ipc_request *request, void *context)
{
	struct channel_role *role = context;

	if (cmm_revoke(&role->cmm, channel_param(request)) < 0)
		reply_unknown(request);
	else
		ipc_reply(request, json_object());
}

/* --- channel.policy, channel.partitions --- */

/* A page of the rows with these numbers. */
static void reply_page(struct ipc_request *request, const struct cmm *cmm, const char *name,
	uint32_t count, json_t *(*make)(const struct cmm *cmm, uint32_t index))
{
	const json_t *params = ipc_request_params(request);
	uint32_t index = cursor_of(params), end = index + (uint32_t)api_page_limit(params);
	json_t *rows = json_array(), *result = json_pack("{s:o}", name, rows);

	for (; index < end && index < count; index++)
		json_array_append_new(rows, make(cmm, index));
	if (end < count)
		set_next(result, end);
	ipc_reply(request, result);
}

static json_t *rule_json(const struct cmm *cmm, uint32_t index)
{
	const struct policy_rule *rule = &cmm->policy->rules[index];

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "rule", rule->name, "from",
		rule->from, "to", rule->to, "channels_max", (json_int_t)rule->channel_max,
		"senders", (json_int_t)cmm_count_rule(cmm, rule, ATTACH_SEND), "receivers",
		(json_int_t)cmm_count_rule(cmm, rule, ATTACH_RECEIVE), "message_max",
		(json_int_t)rule->message_max, "rate", (json_int_t)rule->rate);
}

static void handle_policy(struct ipc_request *request, void *context)
{
	const struct cmm *cmm = &((const struct channel_role *)context)->cmm;

	reply_page(request, cmm, "rules", cmm->policy->rule_count, rule_json);
}

static json_t *partition_json(const struct cmm *cmm, uint32_t index)
{
	const struct policy_partition *settings = &cmm->policy->partitions[index];
	const struct partition *partition = cmm_find_partition(cmm, settings->name);

	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "partition",
		partition->name, "socket",
		settings->socket[0] ? settings->socket : settings->guest_socket, "processes",
		(json_int_t)partition->session_count, "processes_max",
		(json_int_t)settings->process_max, "endpoints",
		(json_int_t)partition->endpoints.count, "endpoints_max",
		(json_int_t)settings->endpoint_max, "channels", (json_int_t)partition->rows.count,
		"channels_max", (json_int_t)settings->row_max, "memory_bytes",
		(json_int_t)partition->rows.memory, "memory_max", (json_int_t)settings->memory_max);
}

static void handle_partitions(struct ipc_request *request, void *context)
{
	const struct cmm *cmm = &((const struct channel_role *)context)->cmm;

	reply_page(request, cmm, "partitions", cmm->policy->partition_count, partition_json);
}

/* --- channel.peers --- */

static uint64_t counter(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static json_t *drops_json(const struct link_counts *counts)
{
	json_t *list = json_array();

	for (int drop = 0; drop < LINK_DROP_COUNT; drop++)
		if (counter(&counts->drops[drop]))
			json_array_append_new(list,
				json_pack("{s:s, s:I}", "reason",
					link_drop_word((enum link_drop)drop), "count",
					(json_int_t)counter(&counts->drops[drop])));
	return list;
}

static json_t *peer_json(const struct cmm *cmm, uint32_t index)
{
	const struct policy_peer *settings = &cmm->policy->peers[index];
	const struct peer *peer = cmm_find_peer(cmm, settings->name);
	const struct link_counts *counts = &peer->link->counts;
	bool is_up = link_is_attached(peer->link);
	uint64_t since_ns = clock_monotonic_ns() - peer->changed_ns;
	char address[INET6_ADDRSTRLEN + 16];
	json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "peer",
		peer->name, "identity", settings->identity, "state", is_up ? "up" : "down",
		"since_ms", (json_int_t)(since_ns / CLOCK_NS_PER_MS), "connections",
		(json_int_t)peer->connections, "channels", (json_int_t)cmm_peer_channels(peer),
		"sent_messages", (json_int_t)counter(&counts->sent_frames), "received_messages",
		(json_int_t)counter(&counts->received_frames), "sent_bytes",
		(json_int_t)counter(&counts->sent_bytes), "received_bytes",
		(json_int_t)counter(&counts->received_bytes), "drops", drops_json(counts));

	snprintf(address, sizeof(address),
		strchr(settings->address.address, ':') ? "[%s]:%u" : "%s:%u",
		settings->address.address, settings->address.port);
	if (settings->address.port)
		json_object_set_new(row, "address", json_string(address));
	if (is_up)
		json_object_set_new(row, "dialled", json_boolean(peer->is_dialled));
	else if (peer->failure.text[0])
		json_object_set_new(row, "reason", json_string(peer->failure.text));
	return row;
}

static void handle_peers(struct ipc_request *request, void *context)
{
	const struct cmm *cmm = &((const struct channel_role *)context)->cmm;

	reply_page(request, cmm, "peers", cmm->policy->peer_count, peer_json);
}

/* --- channel.stats --- */

static json_t *reasons_json(const uint64_t counts[ATTACH_REASON_COUNT])
{
	json_t *list = json_array();

	for (int reason = 1; reason < ATTACH_REASON_COUNT; reason++)
		if (counts[reason])
			json_array_append_new(list,
				json_pack("{s:s, s:I}", "reason",
					attach_reason_word((enum attach_reason)reason), "count",
					(json_int_t)counts[reason]));
	return list;
}

static json_t *threads_json(const struct cmm *cmm)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < cmm->lane_count; i++) {
		struct lane_counts counts;

		lane_count(cmm->lanes[i], &counts);
		json_array_append_new(list,
			json_pack("{s:i, s:i, s:I, s:I, s:I}", "thread", (int)i, "core",
				cmm->policy->cores[i], "channels", (json_int_t)counts.members,
				"rounds", (json_int_t)counts.rounds, "sleeps",
				(json_int_t)counts.sleeps));
	}
	return list;
}

static void handle_stats(struct ipc_request *request, void *context)
{
	const struct channel_role *role = context;
	const struct cmm *cmm = &role->cmm;
	struct cmm_counts counts;

	cmm_count(cmm, &counts);
	ipc_reply(request,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, "
			  "s:o}",
			"attached", (json_int_t)counts.attached, "up", (json_int_t)counts.up,
			"down", (json_int_t)counts.down, "denied", (json_int_t)counts.denied,
			"exceptions", (json_int_t)counts.exceptions, "messages",
			(json_int_t)counts.messages, "bytes", (json_int_t)counts.bytes, "forged",
			(json_int_t)counts.forged, "wakes", (json_int_t)counts.wakes, "keys",
			(json_int_t)cmm->keys.used, "keys_max", (json_int_t)cmm->keys.capacity,
			"events_suppressed", (json_int_t)counts.events_suppressed, "refused",
			reasons_json(counts.refused), "ended", reasons_json(counts.ended),
			"threads", threads_json(cmm)));
}

/* --- Metrics --- */

static void reason_samples(json_t *samples, const char *name, const char *help,
	const uint64_t counts[ATTACH_REASON_COUNT])
{
	for (int reason = 1; reason < ATTACH_REASON_COUNT; reason++)
		if (counts[reason])
			metrics_sample(samples, name, "counter", help,
				json_pack("{s:s}", "reason",
					attach_reason_word((enum attach_reason)reason)),
				(double)counts[reason]);
}

static void partition_samples(json_t *samples, const struct partition *partition)
{
	metrics_sample(samples, "channel_rows", "gauge", "channels that a partition has authorised",
		json_pack("{s:s}", "partition", partition->name), partition->rows.count);
	metrics_sample(samples, "channel_processes", "gauge", "processes that are attached",
		json_pack("{s:s}", "partition", partition->name), partition->session_count);
	metrics_sample(samples, "channel_ring_bytes", "gauge", "memory of a partition's rings",
		json_pack("{s:s}", "partition", partition->name), (double)partition->rows.memory);
}

/* Samples of one name are adjacent. */
static void peer_samples(json_t *samples, const struct cmm *cmm)
{
	list_foreach (node, &cmm->peers) {
		const struct peer *peer = list_entry(node, struct peer, node);

		metrics_sample(samples, "channel_link_up", "gauge", "links to other hosts",
			json_pack("{s:s}", "peer", peer->name), link_is_attached(peer->link));
	}
	list_foreach (node, &cmm->peers) {
		const struct peer *peer = list_entry(node, struct peer, node);

		metrics_sample(samples, "channel_link_connections", "counter",
			"connections of a link", json_pack("{s:s}", "peer", peer->name),
			(double)peer->connections);
	}
	list_foreach (node, &cmm->peers) {
		const struct peer *peer = list_entry(node, struct peer, node);

		for (int drop = 0; drop < LINK_DROP_COUNT; drop++)
			metrics_sample(samples, "channel_link_drops", "counter",
				"messages and acknowledgements of a peer that were dropped",
				json_pack("{s:s, s:s}", "peer", peer->name, "reason",
					link_drop_word((enum link_drop)drop)),
				(double)counter(&peer->link->counts.drops[drop]));
	}
}

static void handle_metrics(struct ipc_request *request, void *context)
{
	const struct channel_role *role = context;
	json_t *samples = json_array();
	struct cmm_counts counts;

	cmm_count(&role->cmm, &counts);
	metrics_sample(samples, "channel_messages", "counter", "messages delivered", NULL,
		(double)counts.messages);
	metrics_sample(samples, "channel_bytes", "counter", "bytes of messages delivered", NULL,
		(double)counts.bytes);
	metrics_sample(samples, "channel_forged", "counter",
		"messages dropped because ids or key were not the receiver's", NULL,
		(double)counts.forged);
	metrics_sample(samples, "channel_up", "counter", "channels that came to stand", NULL,
		(double)counts.up);
	metrics_sample(samples, "channel_denied", "counter", "channels that no rule allows", NULL,
		(double)counts.denied);
	metrics_sample(samples, "channel_exceptions", "counter",
		"attempts to set a key that the other side had set", NULL,
		(double)counts.exceptions);
	metrics_sample(samples, "channel_events_lost", "counter",
		"events that control did not take in time, or that one partition caused too fast",
		NULL, (double)(role->events_lost + counts.events_suppressed));
	reason_samples(samples, "channel_refused", "requests that matched no row", counts.refused);
	reason_samples(samples, "channel_ended", "channels that ended", counts.ended);
	list_foreach (node, &role->cmm.partitions)
		partition_samples(samples, list_entry(node, struct partition, node));
	peer_samples(samples, &role->cmm);
	ipc_reply(request, metrics_page(samples, ipc_request_params(request)));
}

const struct ipc_method channel_methods[] = {
	{"channel.list", handle_list},
	{"channel.show", handle_show},
	{"channel.revoke", handle_revoke},
	{"channel.policy", handle_policy},
	{"channel.partitions", handle_partitions},
	{"channel.peers", handle_peers},
	{"channel.stats", handle_stats},
	{"channel.metrics", handle_metrics},
	{NULL, NULL},
};
