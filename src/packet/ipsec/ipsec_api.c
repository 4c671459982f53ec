/* SPDX-License-Identifier: BSD-3-Clause */
/* `ipsec.*` of the API, and metrics: what is there of SAs, but for their keys. Control thread. */
#include "packet/ipsec/ipsec_control.h"

#include "base/clock.h"
#include "packet/engine/drop_count.h"
#include "packet/ipsec/ipsec_config.h"
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"
#include "packet/packet_module.h"
#include "schema/api_schema.h"
#include "schema/json.h"

#include <stdlib.h>
#include <string.h>

#define END_TEXT_SIZE 160 /* a range of addresses and one of ports */

static uint64_t load(const uint64_t *counter)
{
	/* Relaxed: a statistic of workers. */
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* ---- status ---- */

static json_t *errors_json(void)
{
	json_t *errors = json_array();

	for (int i = DROP_none + 1; i < DROP_REASON_COUNT; i++)
		if (strcmp(drop_descriptions[i].owner, "ipsec") == 0)
			json_array_append_new(errors,
				json_pack("{s:s, s:s, s:I}", "reason", drop_descriptions[i].name,
					"text", drop_descriptions[i].text, "packets",
					(json_int_t)drop_count((enum drop_reason)i)));
	return errors;
}

static json_t *direction_json(enum sa_direction direction)
{
	uint64_t packets, bytes;

	sa_totals(direction, &packets, &bytes);
	return json_pack("{s:I, s:I}", "packets", (json_int_t)packets, "bytes", (json_int_t)bytes);
}

static void handle_status(struct ipc_request *request, void *context)
{
	const struct ipsec_config *config = ipsec_running();

	ipc_reply(request,
		json_pack("{s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "is_on", config != NULL,
			"unmatched", !config || config->bypasses ? "bypass" : "discard", "sas",
			(json_int_t)sa_table_count(), "sas_max", (json_int_t)sa_table_max(),
			"policies", (json_int_t)policy_count(), "in", direction_json(SA_INBOUND),
			"out", direction_json(SA_OUTBOUND), "errors", errors_json()));
}

/* ---- SAs ---- */

static const char *state_name(const struct sa *sa)
{
	return sa->is_over ? "over" : sa->is_soft_told ? "expiring" : "alive";
}

static void add_ends(json_t *out, const struct sa *sa)
{
	const struct sa_outer *outer = sa->outer;
	char source[IP_ADDRESS_TEXT_SIZE], destination[IP_ADDRESS_TEXT_SIZE];

	ip_address_text(&outer->source, source);
	ip_address_text(&outer->destination, destination);
	json_object_set_new(out, "source", json_string(source));
	json_object_set_new(out, "destination", json_string(destination));
	if (!outer->has_encapsulation)
		return;
	set_number(out, "source_port", outer->source_port);
	set_number(out, "destination_port", outer->destination_port);
}

static void add_counters(json_t *out, const struct sa *sa, uint64_t now_ns)
{
	uint64_t last_s = load(&sa->counters.last_used_s), now_s = now_ns / CLOCK_NS_PER_S;
	bool is_out = sa->direction == SA_OUTBOUND;

	set_number(out, "packets", load(&sa->counters.packets));
	set_number(out, "bytes", load(&sa->counters.bytes));
	set_number(out, "sequence", is_out ? load(&sa->sequence) : load(&sa->window.highest));
	if (is_out)
		set_number(out, "sequence_kept", load(&sa->sequence_max));
	set_number(out, "replays", load(&sa->counters.replays));
	set_number(out, "forged", load(&sa->counters.forged));
	set_number(out, "refused", load(&sa->counters.refused));
	set_number(out, "age_s", clock_elapsed_ns(now_ns, sa->added_ns) / CLOCK_NS_PER_S);
	if (last_s)
		set_number(out, "idle_s", now_s - RTE_MIN(now_s, last_s));
}

static void add_lifetime(json_t *out, const struct sa_lifetime *life)
{
	json_t *json = json_object();

	set_number(json, "soft_packets", life->soft_packets);
	set_number(json, "hard_packets", life->hard_packets);
	set_number(json, "soft_bytes", life->soft_bytes);
	set_number(json, "hard_bytes", life->hard_bytes);
	set_number(json, "soft_s", life->soft_s);
	set_number(json, "hard_s", life->hard_s);
	json_object_set_new(out, "lifetime", json);
}

static json_t *sa_json(const struct sa *sa, uint64_t now_ns)
{
	json_t *out = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "spi",
		(json_int_t)sa->name.spi, "direction", sa->direction == SA_OUTBOUND ? "out" : "in",
		"mode", sa->mode == SA_TUNNEL ? "tunnel" : "transport", "cipher",
		sa_cipher_name((enum sa_cipher)sa->crypto.cipher), "integrity",
		sa_integrity_name((enum sa_integrity)sa->integrity), "state", state_name(sa), "esn",
		sa->has_esn, "replay_window", (json_int_t)sa->window.size, "request",
		(json_int_t)sa->request, "owner", (json_int_t)sa->owner);

	add_ends(out, sa);
	add_counters(out, sa, now_ns);
	add_lifetime(out, &sa->lifetime);
	if (sa->path_mtu)
		set_number(out, "path_mtu", sa->path_mtu);
	return out;
}

static void handle_sas(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *after = api_page_after(params);
	size_t limit = api_page_limit(params);
	uint64_t now_ns = clock_monotonic_ns();
	json_t *sas = json_array(), *answer = json_pack("{s:o}", "sas", sas);
	struct sa *sa = sa_next(after ? (uint32_t)strtoul(after, NULL, 10) : 0);
	char next[16];

	for (; sa && json_array_size(sas) < limit; sa = sa_next(sa->index + 1))
		json_array_append_new(sas, sa_json(sa, now_ns));
	if (sa) {
		snprintf(next, sizeof(next), "%u", sa->index);
		json_object_set_new(answer, "next", json_string(next));
	}
	ipc_reply(request, answer);
}

/* ---- policies ---- */

/* "192.0.2.0-192.0.2.255:443", "any". */
static void format_end(const struct ip_address *first, const struct ip_address *last,
	uint16_t port_first, uint16_t port_last, char text[END_TEXT_SIZE])
{
	char from[IP_ADDRESS_TEXT_SIZE], to[IP_ADDRESS_TEXT_SIZE];
	int used;

	ip_address_text(first, from);
	ip_address_text(last, to);
	used = snprintf(text, END_TEXT_SIZE, "%s%s%s", from,
		ip_address_is_equal(first, last) ? "" : "-",
		ip_address_is_equal(first, last) ? "" : to);
	if (port_first == 0 && port_last == UINT16_MAX)
		return;
	snprintf(text + used, END_TEXT_SIZE - (size_t)used,
		port_first == port_last ? " port %u" : " port %u-%u", port_first, port_last);
}

static json_t *policy_json(const struct policy *policy)
{
	const struct sa_selector *selector = &policy->selector;
	const struct policy_reference *newest = policy->references;
	char source[END_TEXT_SIZE], destination[END_TEXT_SIZE];
	json_t *out;

	format_end(&selector->source_first, &selector->source_last, selector->source_port_first,
		selector->source_port_last, source);
	format_end(&selector->destination_first, &selector->destination_last,
		selector->destination_port_first, selector->destination_port_last, destination);
	out = json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I}", "direction",
		policy_direction_name((enum policy_direction)policy->direction), "action",
		policy_action_name((enum policy_action)policy->action), "priority",
		(json_int_t)policy->priority, "source", source, "destination", destination,
		"protocol", (json_int_t)selector->protocol, "request", (json_int_t)newest->request,
		"owner", (json_int_t)newest->owner, "packets", (json_int_t)load(&policy->packets));
	if (policy->action == POLICY_PROTECT)
		json_object_set_new(out, "mode",
			json_string(policy->mode == SA_TUNNEL ? "tunnel" : "transport"));
	if (policy->sa)
		set_number(out, "spi", policy->sa->name.spi);
	return out;
}

/* In the order in which they are asked. */
static int compare_policies(const void *a, const void *b)
{
	const struct policy *left = *(const struct policy *const *)a;
	const struct policy *right = *(const struct policy *const *)b;

	if (left->direction != right->direction)
		return left->direction < right->direction ? -1 : 1;
	if (left->priority != right->priority)
		return left->priority < right->priority ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

static void handle_policies(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *after = api_page_after(params);
	size_t start = after ? strtoul(after, NULL, 10) : 0, count = 0;
	size_t end = start + api_page_limit(params);
	json_t *rows = json_array(), *answer = json_pack("{s:o}", "policies", rows);
	const struct policy **sorted = calloc(policy_count() + 1, sizeof(*sorted));
	char next[24];

	for (const struct policy *policy = policy_first(); sorted && policy;
		policy = policy->list_next)
		sorted[count++] = policy;
	if (sorted)
		qsort(sorted, count, sizeof(*sorted), compare_policies);
	for (size_t i = start; i < end && i < count; i++)
		json_array_append_new(rows, policy_json(sorted[i]));
	free(sorted);
	if (end < count) {
		snprintf(next, sizeof(next), "%zu", end);
		json_object_set_new(answer, "next", json_string(next));
	}
	ipc_reply(request, answer);
}

const struct ipc_method ipsec_methods[] = {
	{"ipsec.status", handle_status},
	{"ipsec.sas", handle_sas},
	{"ipsec.policies", handle_policies},
	{NULL, NULL},
};

/* ---- metrics ---- */

static void direction_metrics(json_t *samples, enum sa_direction direction, const char *name)
{
	uint64_t packets, bytes;

	sa_totals(direction, &packets, &bytes);
	packet_metric(samples, "ipsec_packets", "counter", "Packets that were protected or opened.",
		json_pack("{s:s}", "direction", name), (double)packets);
	packet_metric(samples, "ipsec_bytes", "counter", "Bytes inside of ESP.",
		json_pack("{s:s}", "direction", name), (double)bytes);
}

void ipsec_metrics(json_t *samples)
{
	if (!sa_table_is_open())
		return;
	packet_metric(samples, "ipsec_sas", "gauge", "Security associations.", NULL,
		(double)sa_table_count());
	packet_metric(samples, "ipsec_policies", "gauge", "Security policies.", NULL,
		(double)policy_count());
	direction_metrics(samples, SA_INBOUND, "in");
	direction_metrics(samples, SA_OUTBOUND, "out");
}
