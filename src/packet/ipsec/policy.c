/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/policy.h"

#include "base/clock.h"
#include "packet/engine/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_hash_crc.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS    16384 /* a power of two */
#define TUPLES_MAX 256   /* of one direction */
#define ACQUIRE_NS CLOCK_NS_PER_S

struct tuple {
	uint8_t version, source_length, destination_length;
	uint32_t least_priority; /* of its policies, or less */
};

/* Sorted by the least priority. */
struct tuples {
	uint32_t count;
	struct tuple rows[TUPLES_MAX];
};

static struct policy **buckets;
static struct tuples *tuples[POLICY_DIRECTION_COUNT];
/* Control thread. */
static struct policy *first_policy;
static uint32_t count;
static uint64_t next_order;

/* ---- addresses as numbers ---- */

struct wide {
	uint64_t high, low;
};

static inline struct wide wide_of(const struct ip_address *address)
{
	struct wide wide;

	memcpy(&wide, address->bytes, sizeof(wide));
	wide.high = __builtin_bswap64(wide.high);
	wide.low = __builtin_bswap64(wide.low);
	return wide;
}

static inline bool is_less(struct wide a, struct wide b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

static inline struct wide masked(const struct ip_address *address, uint8_t length)
{
	struct wide wide = wide_of(address);

	if (length <= 64) {
		wide.high = length ? wide.high & ~0ULL << (64 - length) : 0;
		wide.low = 0;
	} else {
		wide.low &= ~0ULL << (128 - length);
	}
	return wide;
}

/* Leading bits that all addresses of a range have in common. */
static uint8_t common_length(const struct ip_address *first, const struct ip_address *last)
{
	struct wide a = wide_of(first), b = wide_of(last);
	int length = a.high != b.high ? __builtin_clzll(a.high ^ b.high)
		: a.low != b.low      ? 64 + __builtin_clzll(a.low ^ b.low)
				      : 128;

	return (uint8_t)RTE_MIN(length, first->version == 4 ? 32 : 128);
}

static inline bool is_within(const struct ip_address *address, const struct ip_address *first,
	const struct ip_address *last)
{
	struct wide wide = wide_of(address);

	return address->version == first->version && !is_less(wide, wide_of(first))
		&& !is_less(wide_of(last), wide);
}

/* ---- selectors ---- */

static bool takes_any_port(const struct sa_selector *selector)
{
	return selector->source_port_first == 0 && selector->source_port_last == UINT16_MAX
		&& selector->destination_port_first == 0
		&& selector->destination_port_last == UINT16_MAX;
}

static bool matches_but_for_ports(
	const struct sa_selector *selector, const struct policy_packet *packet)
{
	return is_within(&packet->source, &selector->source_first, &selector->source_last)
		&& is_within(&packet->destination, &selector->destination_first,
			&selector->destination_last)
		&& (!selector->protocol || selector->protocol == packet->protocol);
}

bool selector_matches(const struct sa_selector *selector, const struct policy_packet *packet)
{
	if (!matches_but_for_ports(selector, packet))
		return false;
	if (!packet->has_ports)
		return takes_any_port(selector);
	return packet->source_port >= selector->source_port_first
		&& packet->source_port <= selector->source_port_last
		&& packet->destination_port >= selector->destination_port_first
		&& packet->destination_port <= selector->destination_port_last;
}

static bool is_range(const struct ip_address *first, const struct ip_address *last)
{
	return (first->version == 4 || first->version == 6) && first->version == last->version
		&& !is_less(wide_of(last), wide_of(first));
}

int selector_check(const struct sa_selector *selector, struct error *error)
{
	if (!is_range(&selector->source_first, &selector->source_last)
		|| !is_range(&selector->destination_first, &selector->destination_last)
		|| selector->source_first.version != selector->destination_first.version)
		return error_set(error, -EINVAL,
			"selector: source and destination have to be ranges of addresses of one "
			"version");
	if (selector->source_port_first > selector->source_port_last
		|| selector->destination_port_first > selector->destination_port_last)
		return error_set(
			error, -EINVAL, "selector: a range of ports ends before it begins");
	return 0;
}

bool selector_is_equal(const struct sa_selector *a, const struct sa_selector *b)
{
	return ip_address_is_equal(&a->source_first, &b->source_first)
		&& ip_address_is_equal(&a->source_last, &b->source_last)
		&& ip_address_is_equal(&a->destination_first, &b->destination_first)
		&& ip_address_is_equal(&a->destination_last, &b->destination_last)
		&& a->protocol == b->protocol && a->source_port_first == b->source_port_first
		&& a->source_port_last == b->source_port_last
		&& a->destination_port_first == b->destination_port_first
		&& a->destination_port_last == b->destination_port_last;
}

void policy_packet_of(const struct decoded *decoded, struct policy_packet *out)
{
	bool is_icmp = decoded->protocol == IPPROTO_ICMP || decoded->protocol == IPPROTO_ICMPV6;
	uint16_t icmp = (uint16_t)(decoded->icmp_type << 8 | decoded->icmp_code);

	*out = (struct policy_packet){
		.source.version = decoded->ip_version,
		.destination.version = decoded->ip_version,
		.protocol = decoded->protocol,
		/* Protocols without ports count as if they had port 0. */
		.has_ports = !decoded->is_fragment || decoded->is_first_fragment,
		.source_port = is_icmp ? icmp : decoded->source_port,
		.destination_port = is_icmp ? icmp : decoded->destination_port,
	};
	memcpy(out->source.bytes, decoded->source, sizeof(out->source.bytes));
	memcpy(out->destination.bytes, decoded->destination, sizeof(out->destination.bytes));
}

/* ---- look-up ---- */

static inline uint32_t bucket_of(uint8_t direction, const struct tuple *tuple,
	const struct ip_address *source, const struct ip_address *destination)
{
	struct wide from = masked(source, tuple->source_length);
	struct wide to = masked(destination, tuple->destination_length);
	uint32_t hash = rte_hash_crc_8byte(from.high,
		(uint32_t)direction << 24 | (uint32_t)tuple->version << 16
			| (uint32_t)tuple->source_length << 8 | tuple->destination_length);

	if (tuple->version == 6) {
		hash = rte_hash_crc_8byte(from.low, hash);
		hash = rte_hash_crc_8byte(to.low, hash);
	}
	return rte_hash_crc_8byte(to.high, hash) & (BUCKETS - 1);
}

static inline bool is_of_tuple(
	const struct policy *policy, uint8_t direction, const struct tuple *tuple)
{
	return policy->direction == direction && policy->version == tuple->version
		&& policy->source_length == tuple->source_length
		&& policy->destination_length == tuple->destination_length;
}

static inline bool is_before(const struct policy *a, const struct policy *b)
{
	return !b || a->priority < b->priority
		|| (a->priority == b->priority && a->order < b->order);
}

static __rte_always_inline struct policy *find(enum policy_direction direction,
	const struct policy_packet *packet,
	bool (*matches)(const struct sa_selector *, const struct policy_packet *))
{
	const struct tuples *set = publish_read(&tuples[direction]);
	struct policy *best = NULL;

	for (uint32_t i = 0; set && i < set->count; i++) {
		const struct tuple *tuple = &set->rows[i];
		struct policy *policy;

		if (best && tuple->least_priority > best->priority)
			break;
		if (tuple->version != packet->source.version)
			continue;
		policy = publish_read(&buckets[bucket_of(
			(uint8_t)direction, tuple, &packet->source, &packet->destination)]);
		/* A chain is in order: its first match is its best. */
		while (policy
			&& !(is_of_tuple(policy, (uint8_t)direction, tuple)
				&& matches(&policy->selector, packet)))
			policy = publish_read(&policy->next);
		if (policy && is_before(policy, best))
			best = policy;
	}
	return best;
}

struct policy *policy_find(enum policy_direction direction, const struct policy_packet *packet)
{
	return find(direction, packet, selector_matches);
}

bool policy_may_protect(enum policy_direction direction, const struct policy_packet *packet)
{
	const struct policy *policy = find(direction, packet, matches_but_for_ports);

	return policy && policy->action != POLICY_BYPASS;
}

void policy_ask(struct policy *policy, const struct policy_packet *packet)
{
	uint8_t idle = ACQUIRE_IDLE;

	/* Acquire and release; the partner is policy_take_news(). */
	if (__atomic_load_n(&policy->acquire, __ATOMIC_RELAXED) != ACQUIRE_IDLE
		|| !__atomic_compare_exchange_n(&policy->acquire, &idle, ACQUIRE_WRITING, false,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	policy->acquire_packet = *packet;
	__atomic_store_n(&policy->acquire, ACQUIRE_READY, __ATOMIC_RELEASE);
	worker_notify_control();
}

/* ---- changes ---- */

int policy_table_open(void)
{
	if (!buckets)
		buckets = calloc(BUCKETS, sizeof(*buckets));
	return buckets ? 0 : -ENOMEM;
}

static void destroy_policy(void *memory)
{
	struct policy *policy = memory;

	while (policy->references) {
		struct policy_reference *reference = policy->references;

		policy->references = reference->next;
		free(reference);
	}
	free(policy);
}

void policy_table_close(void)
{
	while (first_policy) {
		struct policy *policy = first_policy;

		first_policy = policy->list_next;
		destroy_policy(policy);
	}
	for (int i = 0; i < POLICY_DIRECTION_COUNT; i++) {
		free(tuples[i]);
		tuples[i] = NULL;
	}
	free(buckets);
	buckets = NULL;
	count = 0;
}

static struct tuple tuple_of(const struct policy *policy)
{
	return (struct tuple){.version = policy->version,
		.source_length = policy->source_length,
		.destination_length = policy->destination_length,
		.least_priority = policy->priority};
}

static struct tuple *find_tuple(struct tuples *set, const struct policy *policy)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (is_of_tuple(policy, policy->direction, &set->rows[i]))
			return &set->rows[i];
	return NULL;
}

static int compare_tuples(const void *a, const void *b)
{
	const struct tuple *left = a, *right = b;

	return left->least_priority < right->least_priority
		? -1
		: left->least_priority > right->least_priority;
}

/* What is there of a direction, counted anew. -ENOSPC: too many kinds of selectors. */
static int publish_tuples(uint8_t direction)
{
	struct tuples *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	for (const struct policy *policy = first_policy; policy; policy = policy->list_next) {
		struct tuple *tuple = find_tuple(set, policy);

		if (policy->direction != direction)
			continue;
		if (tuple) {
			tuple->least_priority = RTE_MIN(tuple->least_priority, policy->priority);
			continue;
		}
		if (set->count == TUPLES_MAX) {
			free(set);
			return -ENOSPC;
		}
		set->rows[set->count++] = tuple_of(policy);
	}
	qsort(set->rows, set->count, sizeof(set->rows[0]), compare_tuples);
	publish_swap(&tuples[direction], set, free);
	return 0;
}

/* Whether the set in force lets policy be found. */
static bool has_tuple(const struct policy *policy)
{
	struct tuples *set = tuples[policy->direction];
	const struct tuple *tuple = set ? find_tuple(set, policy) : NULL;

	return tuple && tuple->least_priority <= policy->priority;
}

static struct policy **bucket_for(const struct policy *policy)
{
	struct tuple tuple = tuple_of(policy);

	return &buckets[bucket_of(policy->direction, &tuple, &policy->selector.source_first,
		&policy->selector.destination_first)];
}

static void link_policy(struct policy *policy)
{
	struct policy **at = bucket_for(policy);

	while (*at && is_before(*at, policy))
		at = &(*at)->next;
	policy->next = *at;
	/* Release: the policy is whole; pairs with publish_read(). */
	__atomic_store_n(at, policy, __ATOMIC_RELEASE);
}

static void remove_policy(struct policy *policy)
{
	struct policy **at = bucket_for(policy), **listed = &first_policy;

	while (*at != policy)
		at = &(*at)->next;
	__atomic_store_n(at, policy->next, __ATOMIC_RELEASE);
	while (*listed != policy)
		listed = &(*listed)->list_next;
	*listed = policy->list_next;
	count--;
	/* The tuple may be without policies now; it costs a look until the next change. */
	publish_retire(policy, destroy_policy);
}

static struct policy *find_same(const struct policy_parameters *parameters)
{
	for (struct policy *policy = first_policy; policy; policy = policy->list_next)
		if (policy->direction == parameters->direction
			&& policy->action == parameters->action && policy->mode == parameters->mode
			&& policy->priority == parameters->priority
			&& selector_is_equal(&policy->selector, &parameters->selector))
			return policy;
	return NULL;
}

static struct policy *create_policy(const struct policy_parameters *parameters)
{
	const struct sa_selector *selector = &parameters->selector;
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return NULL;
	policy->selector = *selector;
	policy->priority = parameters->priority;
	policy->order = next_order++;
	policy->direction = parameters->direction;
	policy->action = parameters->action;
	policy->mode = parameters->mode;
	policy->version = selector->source_first.version;
	policy->source_length = common_length(&selector->source_first, &selector->source_last);
	policy->destination_length =
		common_length(&selector->destination_first, &selector->destination_last);
	policy->list_next = first_policy;
	first_policy = policy;
	count++;
	return policy;
}

/* Points a policy at what its newest reference means. */
static void bind_policy(struct policy *policy, const struct sa *gone)
{
	const struct policy_reference *newest = policy->references;
	struct sa *sa = NULL;

	__atomic_store_n(
		&policy->request, policy_request(newest->owner, newest->request), __ATOMIC_RELAXED);
	if (policy->action == POLICY_PROTECT && policy->direction == POLICY_OUTBOUND)
		sa = sa_find_outbound(newest->owner, newest->request, newest->spi);
	/* Relaxed: what changes it is of another peer, who has not asked for anything yet. */
	__atomic_store_n(&policy->has_many_peers,
		sa && sa->mode == SA_TRANSPORT && sa_has_many_peers(newest->owner, newest->request),
		__ATOMIC_RELAXED);
	/* Release: pairs with publish_read(). */
	__atomic_store_n(&policy->sa, sa == gone ? NULL : sa, __ATOMIC_RELEASE);
}

void policy_rebind(const struct sa *changed, bool is_gone)
{
	for (struct policy *policy = first_policy; policy; policy = policy->list_next)
		if (policy->references->request == changed->request
			&& policy->references->owner == changed->owner)
			bind_policy(policy, is_gone ? changed : NULL);
}

static int add_reference(struct policy *policy, const struct policy_parameters *parameters)
{
	struct policy_reference *reference = calloc(1, sizeof(*reference));

	if (!reference)
		return -ENOMEM;
	*reference = (struct policy_reference){.next = policy->references,
		.request = parameters->request,
		.spi = parameters->spi,
		.owner = parameters->owner,
		.source = parameters->source,
		.destination = parameters->destination};
	policy->references = reference;
	bind_policy(policy, NULL);
	return 0;
}

static int check(const struct policy_parameters *parameters, struct error *error)
{
	if (!buckets)
		return error_set(error, -ENOTSUP, "ipsec is not configured");
	if (parameters->direction >= POLICY_DIRECTION_COUNT || parameters->action > POLICY_PROTECT
		|| parameters->mode > SA_TRANSPORT)
		return error_set(error, -EINVAL, "policy: no such direction, action or mode");
	return selector_check(&parameters->selector, error);
}

int policy_add(const struct policy_parameters *parameters, struct error *error)
{
	struct policy *policy;
	int status = check(parameters, error);

	if (status < 0)
		return status;
	policy = find_same(parameters);
	if (policy) {
		status = add_reference(policy, parameters);
		sa_note_changed();
		return status < 0 ? error_set(error, status, "policy: no memory") : 0;
	}
	policy = create_policy(parameters);
	if (!policy)
		return error_set(error, -ENOMEM, "policy: no memory");
	status = add_reference(policy, parameters);
	if (status == 0 && !has_tuple(policy))
		status = publish_tuples(policy->direction);
	if (status < 0) {
		first_policy = policy->list_next;
		count--;
		destroy_policy(policy);
		return error_set(error, status,
			status == -ENOSPC
				? "policy: selectors of more than %d kinds of prefix lengths"
				: "policy: no memory for %d kinds of prefix lengths",
			TUPLES_MAX);
	}
	link_policy(policy);
	sa_note_changed();
	return 0;
}

static void remove_reference(struct policy *policy, struct policy_reference **at)
{
	struct policy_reference *reference = *at;

	*at = reference->next;
	free(reference);
	if (policy->references)
		bind_policy(policy, NULL);
	else
		remove_policy(policy);
	sa_note_changed();
}

int policy_delete(const struct policy_parameters *parameters, struct error *error)
{
	struct policy *policy;
	int status = check(parameters, error);

	if (status < 0)
		return status;
	policy = find_same(parameters);
	for (struct policy_reference **at = policy ? &policy->references : NULL; at && *at;
		at = &(*at)->next)
		if ((*at)->spi == parameters->spi && (*at)->request == parameters->request
			&& (*at)->owner == parameters->owner) {
			remove_reference(policy, at);
			return 0;
		}
	return error_set(error, -ENOENT, "policy: there is none like it");
}

static void flush_policy(struct policy *policy, uint32_t owner)
{
	struct policy_reference **at = &policy->references;

	while (*at) {
		bool is_only = !policy->references->next;

		if ((*at)->owner != owner) {
			at = &(*at)->next;
			continue;
		}
		remove_reference(policy, at);
		if (is_only)
			return; /* the policy is gone with it */
	}
}

void policy_flush_owner(uint32_t owner)
{
	struct policy *next;

	for (struct policy *policy = first_policy; policy; policy = next) {
		next = policy->list_next;
		flush_policy(policy, owner);
	}
}

void policy_change_owner(uint32_t from, uint32_t to)
{
	for (struct policy *policy = first_policy; policy; policy = policy->list_next) {
		for (struct policy_reference *reference = policy->references; reference;
			reference = reference->next)
			if (reference->owner == from)
				reference->owner = to;
		bind_policy(policy, NULL);
	}
}

/* ---- for the control thread's others ---- */

static void take_acquire(struct policy *policy, uint64_t now_ns)
{
	const struct sa_events *events = sa_events();
	struct policy_packet *packet = &policy->acquire_packet;
	struct sa_selector selector = {
		.source_first = packet->source,
		.source_last = packet->source,
		.destination_first = packet->destination,
		.destination_last = packet->destination,
		.protocol = packet->protocol,
		.source_port_first = packet->source_port,
		.source_port_last = packet->has_ports ? packet->source_port : UINT16_MAX,
		.destination_port_first = packet->destination_port,
		.destination_port_last = packet->has_ports ? packet->destination_port : UINT16_MAX,
	};

	policy->acquired_ns = now_ns;
	/* Release: pairs with policy_ask(). */
	__atomic_store_n(&policy->acquire, ACQUIRE_IDLE, __ATOMIC_RELEASE);
	if (events && events->acquire)
		events->acquire(policy->references->owner, policy->references->request, &selector);
}

void policy_take_news(uint64_t now_ns)
{
	struct policy *policy = first_policy;

	while (policy) {
		/* Acquire: pairs with policy_ask(). */
		if (__atomic_load_n(&policy->acquire, __ATOMIC_ACQUIRE) != ACQUIRE_READY
			|| (policy->acquired_ns && now_ns - policy->acquired_ns < ACQUIRE_NS)) {
			policy = policy->list_next;
			continue;
		}
		take_acquire(policy, now_ns);
		/* Who was told may have deleted policies. */
		policy = first_policy;
	}
}

struct policy *policy_first(void)
{
	return first_policy;
}

uint32_t policy_count(void)
{
	return count;
}

void policy_describe(const struct policy *policy, const struct policy_reference *reference,
	struct policy_parameters *out)
{
	*out = (struct policy_parameters){.direction = policy->direction,
		.action = policy->action,
		.selector = policy->selector,
		.priority = policy->priority,
		.mode = policy->mode,
		.request = reference->request,
		.spi = reference->spi,
		.source = reference->source,
		.destination = reference->destination,
		.owner = reference->owner};
}

size_t policy_copy_owner(uint32_t owner, struct policy_parameters **out)
{
	size_t room = 0, copied = 0;

	for (const struct policy *policy = first_policy; policy; policy = policy->list_next)
		for (const struct policy_reference *reference = policy->references; reference;
			reference = reference->next)
			room += reference->owner == owner;
	*out = room ? calloc(room, sizeof(**out)) : NULL;
	if (!*out)
		return 0;
	for (const struct policy *policy = first_policy; policy; policy = policy->list_next)
		for (const struct policy_reference *reference = policy->references; reference;
			reference = reference->next)
			if (reference->owner == owner)
				policy_describe(policy, reference, &(*out)[copied++]);
	return copied;
}

const char *policy_action_name(enum policy_action action)
{
	static const char *const names[] = {[POLICY_DISCARD] = "discard",
		[POLICY_BYPASS] = "bypass",
		[POLICY_PROTECT] = "protect"};

	return names[action];
}

const char *policy_direction_name(enum policy_direction direction)
{
	static const char *const names[POLICY_DIRECTION_COUNT] = {
		[POLICY_INBOUND] = "in", [POLICY_FORWARD] = "forward", [POLICY_OUTBOUND] = "out"};

	return names[direction];
}
