/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/flow_table.h"

#include "base/clock.h"
#include "base/id.h"
#include "schema/json.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define NO_FLOW        UINT32_MAX
#define VLANS          4096
#define AGE_STEP       16 /* flows looked at in one step */
#define AGE_IDLE_NS    (10 * CLOCK_NS_PER_MS)
#define AGE_IDLE_STEPS 4
#define RECLAIM_STEP   64
#define HEAVIEST_STEP  64 /* evictions after which the VLAN with most flows is looked up again */
/* A VLAN that has this part of the table in flows that are closed or unanswered loses those first:
 * more handshakes than that at a time are a flood. */
#define TRANSIENT_PART 16

/* Suricata's defaults (suricata.yaml, flow-timeouts), in seconds; NEW, ESTABLISHED, CLOSED. */
static const uint16_t timeouts_s[][FLOW_STATE_COUNT] = {
	[0] = {30, 300, 10}, /* others */
	[IPPROTO_TCP] = {60, 600, 60},
	[IPPROTO_UDP] = {30, 300, 10},
};

struct flow_list {
	uint32_t oldest, youngest;
};

struct flow_table {
	uint32_t capacity, bucket_mask;
	uint32_t count;
	uint64_t evicted;
	uint32_t free; /* by chain */
	uint32_t ever_used;
	uint32_t age_at, reclaim_at;
	uint16_t heaviest, transient; /* VLANs with most flows, and with most that are passing */
	uint16_t heaviest_for;        /* evictions for which these still count */
	uint64_t next_id;
	uint64_t aged_at_ns;
	flow_end_fn end;
	void *end_context;
	size_t mapped;
	struct siphash_key key;
	struct arena *arena;
	struct flow *flows;
	uint32_t *buckets;
	struct flow_list lists[VLANS][FLOW_STATE_COUNT];
	uint32_t vlan_counts[VLANS], transient_counts[VLANS];
};

static void *map_zeroed(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

struct flow_table *flow_table_create(uint32_t capacity, size_t stream_memory)
{
	struct flow_table *table = map_zeroed(sizeof(*table));
	uint32_t buckets = 1024;

	if (!table)
		return NULL;
	while (buckets < capacity && buckets < 1u << 30)
		buckets *= 2;
	table->capacity = capacity;
	table->bucket_mask = buckets - 1;
	table->flows = map_zeroed((size_t)capacity * sizeof(table->flows[0]));
	table->buckets = map_zeroed((size_t)buckets * sizeof(table->buckets[0]));
	table->arena = arena_create(stream_memory);
	if (!table->flows || !table->buckets || !table->arena) {
		flow_table_destroy(table);
		return NULL;
	}
	memset(table->buckets, 0xff, (size_t)buckets * sizeof(table->buckets[0]));
	memset(table->lists, 0xff, sizeof(table->lists));
	table->free = NO_FLOW;
	id_random_bytes(&table->key, sizeof(table->key));
	table->next_id = id_random_u64() >> 12; /* JSON's integers are exact up to 2^53 */
	return table;
}

void flow_table_destroy(struct flow_table *table)
{
	if (!table)
		return;
	arena_destroy(table->arena);
	if (table->flows)
		munmap(table->flows, (size_t)table->capacity * sizeof(table->flows[0]));
	if (table->buckets)
		munmap(table->buckets,
			((size_t)table->bucket_mask + 1) * sizeof(table->buckets[0]));
	munmap(table, sizeof(*table));
}

void flow_table_watch(struct flow_table *table, flow_end_fn end, void *context)
{
	table->end = end;
	table->end_context = context;
}

/* ---- lists by VLAN and state, oldest first ---- */

static uint32_t index_of(const struct flow_table *table, const struct flow *flow)
{
	return (uint32_t)(flow - table->flows);
}

static bool is_transient(const struct flow *flow)
{
	return flow->state != FLOW_ESTABLISHED;
}

static void list_out(struct flow_table *table, struct flow *flow)
{
	struct flow_list *list = &table->lists[flow->key.vlan % VLANS][flow->state];

	table->transient_counts[flow->key.vlan % VLANS] -= is_transient(flow);
	if (flow->older == NO_FLOW)
		list->oldest = flow->younger;
	else
		table->flows[flow->older].younger = flow->younger;
	if (flow->younger == NO_FLOW)
		list->youngest = flow->older;
	else
		table->flows[flow->younger].older = flow->older;
}

static void list_in(struct flow_table *table, struct flow *flow)
{
	struct flow_list *list = &table->lists[flow->key.vlan % VLANS][flow->state];
	uint32_t index = index_of(table, flow);

	table->transient_counts[flow->key.vlan % VLANS] += is_transient(flow);
	flow->younger = NO_FLOW;
	flow->older = list->youngest;
	if (list->youngest == NO_FLOW)
		list->oldest = index;
	else
		table->flows[list->youngest].younger = index;
	list->youngest = index;
}

static void touch(struct flow_table *table, struct flow *flow, uint64_t now_ns)
{
	flow->seen_ns = now_ns;
	if (flow->younger == NO_FLOW)
		return;
	list_out(table, flow);
	list_in(table, flow);
}

void flow_table_set_state(struct flow_table *table, struct flow *flow, enum flow_state state)
{
	if (flow->state == state)
		return;
	list_out(table, flow);
	flow->state = (uint8_t)state;
	list_in(table, flow);
}

/* ---- removal ---- */

static void set_count(struct flow_table *table, uint32_t count)
{
	/* Relaxed: shown by the control thread. */
	__atomic_store_n(&table->count, count, __ATOMIC_RELAXED);
}

static void begin(struct flow_table *table, struct flow *flow, uint64_t now_ns)
{
	flow->id = table->next_id++;
	flow->started_wall_ns = clock_wall_ns();
	flow->started_ns = flow->seen_ns = now_ns;
}

static void end(struct flow_table *table, struct flow *flow, enum flow_end reason)
{
	if (table->end)
		table->end(table->end_context, flow, reason);
	for (int side = 0; side < FLOW_SIDES; side++)
		stream_release(&flow->streams[side], table->arena);
	app_release(&flow->app, table->arena, false);
}

static void remove_flow(struct flow_table *table, struct flow *flow, enum flow_end reason)
{
	uint32_t index = index_of(table, flow);
	uint32_t *at = &table->buckets[flow->hash & table->bucket_mask];

	end(table, flow, reason);
	while (*at != index)
		at = &table->flows[*at].chain;
	*at = flow->chain;
	list_out(table, flow);
	flow->is_used = false;
	flow->chain = table->free;
	table->free = index;
	table->vlan_counts[flow->key.vlan % VLANS]--;
	set_count(table, table->count - 1);
}

static void find_heaviest(struct flow_table *table)
{
	if (table->heaviest_for > 0 && table->vlan_counts[table->heaviest] > 0) {
		table->heaviest_for--;
		return;
	}
	table->heaviest = table->transient = 0;
	for (uint16_t vlan = 1; vlan < VLANS; vlan++) {
		if (table->vlan_counts[vlan] > table->vlan_counts[table->heaviest])
			table->heaviest = vlan;
		if (table->transient_counts[vlan] > table->transient_counts[table->transient])
			table->transient = vlan;
	}
	table->heaviest_for = HEAVIEST_STEP;
}

static void evict(struct flow_table *table)
{
	static const enum flow_state order[] = {FLOW_CLOSED, FLOW_NEW, FLOW_ESTABLISHED};
	uint16_t vlan;

	static_assert(sizeof(order) / sizeof(order[0]) == FLOW_STATE_COUNT, "each state once");
	find_heaviest(table);
	vlan = table->transient_counts[table->transient] > table->capacity / TRANSIENT_PART
		? table->transient
		: table->heaviest;
	for (int i = 0; i < FLOW_STATE_COUNT; i++) {
		uint32_t oldest = table->lists[vlan][order[i]].oldest;

		if (oldest != NO_FLOW) {
			remove_flow(table, &table->flows[oldest], FLOW_END_EVICTED);
			__atomic_store_n(&table->evicted, table->evicted + 1, __ATOMIC_RELAXED);
			return;
		}
	}
}

/* As of a NAT's (RFC 5382 section 5): a connection does not survive its end. */
#define TRANSLATED_ESTABLISHED_S 7440
#define TRANSLATED_TRANSITORY_S  240

static uint64_t timeout_ns(const struct flow *flow)
{
	uint8_t row = flow->key.protocol == IPPROTO_TCP || flow->key.protocol == IPPROTO_UDP
		? flow->key.protocol
		: 0;

	if (unlikely(flow->translation))
		return (flow->state == FLOW_ESTABLISHED ? TRANSLATED_ESTABLISHED_S
							: TRANSLATED_TRANSITORY_S)
			* CLOCK_NS_PER_S;
	return timeouts_s[row][flow->state] * CLOCK_NS_PER_S;
}

static bool is_over(const struct flow *flow, uint64_t now_ns)
{
	return now_ns > flow->seen_ns + timeout_ns(flow);
}

/* Its ends were reset, since they would take each other's numbers for other bytes. In case that the
 * resets were lost it stays a while, and nothing of it passes. */
static bool lapse(struct flow_table *table, struct flow *flow, uint64_t now_ns)
{
	if (!flow->translation || flow->state == FLOW_CLOSED || flow->verdict == FLOW_DROP)
		return false;
	end(table, flow, FLOW_END_TIMEOUT);
	begin(table, flow, now_ns);
	flow->verdict = FLOW_DROP;
	flow->reason = FLOW_REASON_TRANSLATION;
	flow_table_set_state(table, flow, FLOW_CLOSED);
	touch(table, flow, now_ns);
	return true;
}

void flow_table_age(struct flow_table *table, uint64_t now_ns)
{
	for (int i = 0; i < AGE_STEP && table->ever_used > 0; i++) {
		struct flow *flow;

		table->age_at = table->age_at + 1 < table->ever_used ? table->age_at + 1 : 0;
		flow = &table->flows[table->age_at];
		if (flow->is_used && is_over(flow, now_ns) && !lapse(table, flow, now_ns))
			remove_flow(table, flow, FLOW_END_TIMEOUT);
	}
	table->aged_at_ns = now_ns;
}

void flow_table_age_idle(struct flow_table *table, uint64_t now_ns)
{
	if (now_ns < table->aged_at_ns + AGE_IDLE_NS)
		return;
	for (int i = 0; i < AGE_IDLE_STEPS; i++)
		flow_table_age(table, now_ns);
}

const struct flow *flow_table_next(const struct flow_table *table, uint32_t *index)
{
	while (*index < table->ever_used) {
		const struct flow *flow = &table->flows[(*index)++];

		if (flow->is_used)
			return flow;
	}
	return NULL;
}

void flow_table_stop_reading(struct flow_table *table, struct flow *flow)
{
	for (int side = 0; side < FLOW_SIDES; side++)
		stream_release(&flow->streams[side], table->arena);
	app_release(&flow->app, table->arena, true);
}

bool flow_table_reclaim(struct flow_table *table)
{
	bool has_freed = false;

	for (int i = 0; i < RECLAIM_STEP && table->ever_used > 0; i++) {
		struct flow *flow;

		table->reclaim_at =
			table->reclaim_at + 1 < table->ever_used ? table->reclaim_at + 1 : 0;
		flow = &table->flows[table->reclaim_at];
		for (int side = 0; flow->is_used && side < FLOW_SIDES; side++) {
			struct stream *stream = &flow->streams[side];

			if (!stream->buffer || !stream_is_settled(stream))
				continue;
			stream_release(stream, table->arena);
			has_freed = true;
		}
	}
	return has_freed;
}

/* ---- finding and making ---- */

static bool make_key(
	const struct decoded *decoded, uint16_t vlan, struct flow_key *key, uint8_t *sender)
{
	uint16_t ports[2] = {decoded->source_port, decoded->destination_port};
	int order;

	if (!decoded->ip_version || !decoded->l4_offset)
		return false;
	switch (decoded->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		ports[0] = ports[1] = 0;
		break;
	default:
		return false;
	}
	order = memcmp(decoded->source, decoded->destination, 16);
	if (order == 0)
		order = ports[0] < ports[1] ? -1 : 1;
	*sender = order <= 0 ? 0 : 1;
	memcpy(key->addresses[*sender], decoded->source, 16);
	memcpy(key->addresses[1 - *sender], decoded->destination, 16);
	key->ports[*sender] = ports[0];
	key->ports[1 - *sender] = ports[1];
	key->vlan = vlan;
	key->protocol = decoded->protocol;
	key->ip_version = decoded->ip_version;
	return true;
}

static uint64_t hash_key(const struct flow_table *table, const struct flow_key *key)
{
	uint64_t words[sizeof(*key) / 8];

	static_assert(sizeof(*key) % 8 == 0 && sizeof(*key) == 40, "hashed as words, no padding");
	memcpy(words, key, sizeof(words));
	return siphash_words(&table->key, words, sizeof(words) / sizeof(words[0]));
}

static struct flow *find(struct flow_table *table, const struct flow_key *key, uint64_t hash)
{
	uint32_t index = table->buckets[hash & table->bucket_mask];

	while (index != NO_FLOW) {
		struct flow *flow = &table->flows[index];

		if (flow->hash == hash && memcmp(&flow->key, key, sizeof(*key)) == 0)
			return flow;
		index = flow->chain;
	}
	return NULL;
}

static struct flow *make(
	struct flow_table *table, const struct flow_key *key, uint64_t hash, uint8_t sender)
{
	struct flow *flow;
	uint32_t index, *bucket = &table->buckets[hash & table->bucket_mask];

	if (table->count == table->capacity)
		evict(table);
	if (table->free != NO_FLOW) {
		index = table->free;
		table->free = table->flows[index].chain;
	} else {
		index = table->ever_used;
		__atomic_store_n(&table->ever_used, index + 1, __ATOMIC_RELAXED);
	}
	flow = &table->flows[index];
	memset(flow, 0, sizeof(*flow));
	flow->key = *key;
	flow->hash = hash;
	flow->client = sender;
	flow->chain = *bucket;
	*bucket = index;
	list_in(table, flow);
	table->vlan_counts[key->vlan % VLANS]++;
	flow->is_used = true;
	set_count(table, table->count + 1);
	return flow;
}

static void restart(
	struct flow_table *table, struct flow *flow, enum flow_side sender, enum flow_end reason)
{
	unsigned int address = sender == FLOW_CLIENT ? flow->client : 1u - flow->client;

	end(table, flow, reason);
	memset(flow->streams, 0, sizeof(flow->streams));
	memset(&flow->detect, 0, sizeof(flow->detect));
	memset(flow->detect_streams, 0, sizeof(flow->detect_streams));
	memset(flow->packets, 0, sizeof(flow->packets));
	memset(flow->bytes, 0, sizeof(flow->bytes));
	memset(flow->tcp_flags, 0, sizeof(flow->tcp_flags));
	flow->client = (uint8_t)address;
	flow->verdict = FLOW_INSPECT;
	flow->reason = FLOW_REASON_NONE;
	flow->is_suspicious = flow->is_alerted = flow->has_opener = false;
	flow->first_fin = 0;
	flow->path_mtu = 0;
	flow_table_set_state(table, flow, FLOW_NEW);
	begin(table, flow, flow->seen_ns);
}

void flow_table_restart(struct flow_table *table, struct flow *flow, enum flow_side sender)
{
	restart(table, flow, sender, FLOW_END_REUSED);
}

/* For the event at the end of the flow. */
static void note_headers(struct flow *flow, enum flow_side side, const struct decoded *decoded)
{
	flow->tcp_flags[side] |= decoded->tcp_flags;
	if (flow->packets[side] > 1)
		return;
	flow->icmp_types[side][0] = decoded->icmp_type;
	flow->icmp_types[side][1] = decoded->icmp_code;
}

void flow_table_look(const struct flow_table *table, const struct decoded *decoded, uint16_t vlan,
	struct flow_lookup *out)
{
	out->is_followed = make_key(decoded, vlan, &out->key, &out->sender);
	if (!out->is_followed)
		return;
	out->hash = hash_key(table, &out->key);
	rte_prefetch0(&table->buckets[out->hash & table->bucket_mask]);
}

void flow_table_fetch(const struct flow_table *table, const struct flow_lookup *lookup)
{
	uint32_t index =
		lookup->is_followed ? table->buckets[lookup->hash & table->bucket_mask] : NO_FLOW;

	if (index == NO_FLOW)
		return;
	for (size_t at = 0; at < offsetof(struct flow, streams); at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0((const uint8_t *)&table->flows[index] + at);
}

static enum flow_side side_of(const struct flow *flow, uint8_t sender)
{
	return sender == flow->client ? FLOW_CLIENT : FLOW_SERVER;
}

struct flow *flow_table_get(struct flow_table *table, const struct decoded *decoded,
	const struct flow_lookup *lookup, uint64_t now_ns, enum flow_side *side)
{
	struct flow *flow;

	if (!lookup->is_followed)
		return NULL;
	flow = find(table, &lookup->key, lookup->hash);
	if (!flow) {
		flow = make(table, &lookup->key, lookup->hash, lookup->sender);
		begin(table, flow, now_ns);
	} else if (is_over(flow, now_ns) && !lapse(table, flow, now_ns)) {
		restart(table, flow, side_of(flow, lookup->sender), FLOW_END_TIMEOUT);
	}
	touch(table, flow, now_ns);
	*side = side_of(flow, lookup->sender);
	flow->packets[*side]++;
	flow->bytes[*side] += decoded->frame_size;
	note_headers(flow, *side, decoded);
	return flow;
}

struct flow *flow_table_find(struct flow_table *table, const struct decoded *decoded, uint16_t vlan,
	enum flow_side *side)
{
	struct flow_lookup lookup;
	struct flow *flow;

	flow_table_look(table, decoded, vlan, &lookup);
	flow = lookup.is_followed ? find(table, &lookup.key, lookup.hash) : NULL;
	if (flow)
		*side = side_of(flow, lookup.sender);
	return flow;
}

struct arena *flow_table_arena(struct flow_table *table)
{
	return table->arena;
}

uint32_t flow_table_count(const struct flow_table *table)
{
	return __atomic_load_n(&table->count, __ATOMIC_RELAXED);
}

uint64_t flow_table_evicted(const struct flow_table *table)
{
	return __atomic_load_n(&table->evicted, __ATOMIC_RELAXED);
}

uint32_t flow_table_capacity(const struct flow_table *table)
{
	return table->capacity;
}

uint32_t flow_table_used(const struct flow_table *table)
{
	return __atomic_load_n(&table->ever_used, __ATOMIC_RELAXED);
}

/* ---- for people ---- */

static const char *const state_names[FLOW_STATE_COUNT] = {
	[FLOW_NEW] = "new",
	[FLOW_ESTABLISHED] = "established",
	[FLOW_CLOSED] = "closed",
};

static const char *const verdict_names[] = {
	[FLOW_INSPECT] = "inspect",
	[FLOW_PASS] = "pass",
	[FLOW_DROP] = "drop",
};

static bool is_shown(const struct flow *flow, const struct flow_filter *filter)
{
	const struct flow_key *key = &flow->key;

	if (filter->verdict && strcmp(filter->verdict, verdict_names[flow->verdict]) != 0)
		return false;
	if (filter->vlan && filter->vlan != key->vlan)
		return false;
	if (!filter->ip_version)
		return true;
	return filter->ip_version == key->ip_version
		&& (memcmp(filter->address, key->addresses[0], 16) == 0
			|| memcmp(filter->address, key->addresses[1], 16) == 0);
}

static void set_end(json_t *object, const char *key, const char *port_key,
	const struct flow_key *flow, unsigned int index)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(flow->ip_version == 4 ? AF_INET : AF_INET6, flow->addresses[index], text,
		sizeof(text));
	json_object_set_new(object, key, json_string(text));
	set_number(object, port_key, flow->ports[index]);
}

static json_t *protocol_name(uint8_t protocol)
{
	char number[8];

	switch (protocol) {
	case IPPROTO_TCP:
		return json_string("tcp");
	case IPPROTO_UDP:
		return json_string("udp");
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return json_string("icmp");
	default:
		snprintf(number, sizeof(number), "%u", protocol);
		return json_string(number);
	}
}

json_t *flow_table_show(const struct flow_table *table, uint32_t index,
	const struct flow_filter *filter, uint64_t now_ns)
{
	struct flow flow;
	const char *app;
	json_t *shown;

	/* The worker may be writing it: a view for people, in which what does not fit together is
	 * left out. */
	memcpy(&flow, &table->flows[index], sizeof(flow));
	if (!flow.is_used || flow.state >= FLOW_STATE_COUNT || flow.verdict > FLOW_DROP
		|| flow.client > 1 || !is_shown(&flow, filter))
		return NULL;
	shown = json_object();
	set_number(shown, "vlan", flow.key.vlan);
	json_object_set_new(shown, "protocol", protocol_name(flow.key.protocol));
	set_end(shown, "client", "client_port", &flow.key, flow.client);
	set_end(shown, "server", "server_port", &flow.key, 1u - flow.client);
	app = app_protocol_name((enum app_protocol)flow.app.protocol);
	if (app)
		json_object_set_new(shown, "app_protocol", json_string(app));
	json_object_set_new(shown, "state", json_string(state_names[flow.state]));
	json_object_set_new(shown, "alerted", json_boolean(flow.is_alerted));
	json_object_set_new(shown, "verdict", json_string(verdict_names[flow.verdict]));
	if (flow.reason == FLOW_REASON_RULE) {
		json_object_set_new(shown, "why", json_string("rule"));
		set_number(shown, "sid", flow.reason_sid);
	} else if (flow.reason == FLOW_REASON_BYPASS) {
		json_object_set_new(shown, "why", json_string("bypass"));
	} else if (flow.reason == FLOW_REASON_TRANSLATION) {
		json_object_set_new(shown, "why", json_string("translation lost"));
	}
	set_number(shown, "packets_to_server", flow.packets[FLOW_CLIENT]);
	set_number(shown, "packets_to_client", flow.packets[FLOW_SERVER]);
	set_number(shown, "bytes_to_server", flow.bytes[FLOW_CLIENT]);
	set_number(shown, "bytes_to_client", flow.bytes[FLOW_SERVER]);
	set_number(shown, "idle_ms", clock_elapsed_ns(now_ns, flow.seen_ns) / CLOCK_NS_PER_MS);
	return shown;
}
