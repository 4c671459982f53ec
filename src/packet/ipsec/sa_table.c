/* SPDX-License-Identifier: BSD-3-Clause */
/* SAs as who manages keys changes them (sa_control.h). Control thread. */
#include "packet/ipsec/sa.h"

#include "base/clock.h"
#include "base/id.h"
#include "packet/ipsec/outer.h"
#include "packet/ipsec/policy.h"
#include "wire/esp.h"

#include <errno.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>

#define RESERVED_MAX  4096 /* SPIs of negotiations under way */
#define RESERVED_NS   (165 * CLOCK_NS_PER_S)
#define SPI_TRIES     64
#define SELECTORS_MAX 64

struct sa **sa_buckets;

struct reserved {
	struct sa_name name;
	uint32_t owner;
	uint64_t until_ns;
};

static struct {
	struct sa **sas; /* [max] */
	uint32_t max, count, next_generation;
	struct secret *keys; /* [max][SA_KEY_SIZE_MAX] */
	struct reserved *reserved;
	uint32_t reserved_count;
	void (*changed)(void);
	uint16_t replay_window;
	uint64_t iv_edge;
	struct {
		uint64_t packets, bytes;
	} past[2]; /* of SAs that are gone, by direction */
} table;

bool sa_table_is_open(void)
{
	return table.sas != NULL;
}

uint32_t sa_table_count(void)
{
	return table.count;
}

uint32_t sa_table_max(void)
{
	return table.max;
}

void sa_set_changed(void (*changed)(void))
{
	table.changed = changed;
}

void sa_note_changed(void)
{
	if (table.changed)
		table.changed();
}

int sa_table_open(uint32_t sas_max, struct error *error)
{
	int status = sa_crypto_start(sas_max, error);

	if (status < 0)
		return status;
	table.sas = calloc(sas_max, sizeof(*table.sas));
	table.reserved = calloc(RESERVED_MAX, sizeof(*table.reserved));
	table.keys = secret_create((size_t)sas_max * SA_KEY_SIZE_MAX);
	sa_buckets = calloc(SA_BUCKETS, sizeof(*sa_buckets));
	table.max = sas_max;
	status = sa_records_open(error);
	if (status < 0) {
		sa_table_close();
		return status;
	}
	if (!table.sas || !table.reserved || !table.keys || !sa_buckets
		|| policy_table_open() < 0) {
		sa_table_close();
		return error_set(error, -ENOMEM, "ipsec.sas-max: no memory for %u", sas_max);
	}
	return 0;
}

static void destroy_sa(void *memory)
{
	struct sa *sa = memory;

	sa_crypto_close(&sa->crypto);
	if (sa->key)
		explicit_bzero(sa->key, SA_KEY_SIZE_MAX);
	/* Only now the slot of its key may be another's. */
	if (table.sas && sa->index < table.max && table.sas[sa->index] == sa)
		table.sas[sa->index] = NULL;
	sa_record_put(sa->record);
	rte_free(sa->outer);
	rte_free(sa->selectors);
	explicit_bzero(sa, sizeof(*sa));
	rte_free(sa);
}

void sa_table_close(void)
{
	policy_table_close();
	publish_wait();
	for (uint32_t i = 0; table.sas && i < table.max; i++)
		if (table.sas[i])
			destroy_sa(table.sas[i]);
	sa_records_close();
	secret_destroy(table.keys);
	free(table.sas);
	free(table.reserved);
	free(sa_buckets);
	sa_buckets = NULL;
	memset(&table, 0, sizeof(table));
	sa_crypto_stop();
}

/* ---- finding ---- */

/* A slot keeps its SA until no worker sees it any more. */
static bool is_gone(const struct sa *sa)
{
	return !sa || sa->generation == 0;
}

struct sa *sa_at(uint32_t index)
{
	return index < table.max && !is_gone(table.sas[index]) ? table.sas[index] : NULL;
}

struct sa *sa_next(uint32_t from)
{
	for (; table.sas && from < table.max; from++)
		if (!is_gone(table.sas[from]))
			return table.sas[from];
	return NULL;
}

struct sa *sa_find(const struct sa_name *name)
{
	struct sa *sa = table.sas ? sa_buckets[sa_bucket(rte_cpu_to_be_32(name->spi))] : NULL;

	while (sa
		&& !(sa->name.spi == name->spi
			&& ip_address_is_equal(&sa->name.destination, &name->destination)))
		sa = sa->next;
	return sa;
}

struct sa *sa_find_outbound(uint32_t owner, uint32_t request, uint32_t spi)
{
	struct sa *newest = NULL;

	for (struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1))
		if (sa->direction == SA_OUTBOUND && sa->owner == owner && sa->request == request
			&& (spi == 0 || sa->name.spi == spi)
			&& (!newest || sa->generation > newest->generation))
			newest = sa;
	return newest;
}

/* ---- SPIs ---- */

static void forget_reserved(uint32_t at)
{
	table.reserved[at] = table.reserved[--table.reserved_count];
}

static struct reserved *find_reserved(const struct sa_name *name)
{
	uint64_t now_ns = clock_monotonic_ns();

	for (uint32_t i = 0; i < table.reserved_count;) {
		struct reserved *reserved = &table.reserved[i];

		if (reserved->until_ns < now_ns)
			forget_reserved(i);
		else if (reserved->name.spi == name->spi
			&& ip_address_is_equal(&reserved->name.destination, &name->destination))
			return reserved;
		else
			i++;
	}
	return NULL;
}

int sa_allocate_spi(
	uint32_t owner, const struct ip_address *destination, uint32_t *spi, struct error *error)
{
	struct sa_name name = {.destination = *destination};

	if (!table.sas)
		return error_set(error, -ENOTSUP, "ipsec is not configured");
	if (destination->version != 4 && destination->version != 6)
		return error_set(error, -EINVAL, "destination: no address");
	for (int i = 0; i < SPI_TRIES; i++) {
		name.spi = (uint32_t)id_random_u64();
		if (name.spi >= ESP_SPI_MIN && !sa_find(&name) && !find_reserved(&name))
			break;
		name.spi = 0;
	}
	if (!name.spi || table.reserved_count == RESERVED_MAX)
		return error_set(
			error, -ENOSPC, "more than %d negotiations at the same time", RESERVED_MAX);
	table.reserved[table.reserved_count++] = (struct reserved){
		.name = name, .owner = owner, .until_ns = clock_monotonic_ns() + RESERVED_NS};
	*spi = name.spi;
	return 0;
}

/* ---- adding ---- */

static int check_lifetime(const struct sa_lifetime *life, struct error *error)
{
	if ((life->hard_bytes && life->soft_bytes > life->hard_bytes)
		|| (life->hard_packets && life->soft_packets > life->hard_packets)
		|| (life->hard_s && life->soft_s > life->hard_s))
		return error_set(error, -EINVAL, "lifetime: a soft one above the hard one");
	return 0;
}

static int check_window(const struct sa_parameters *parameters, struct error *error)
{
	uint32_t window = parameters->replay_window;

	if (parameters->direction == SA_OUTBOUND)
		return 0;
	if (window == 0 && parameters->has_esn)
		return error_set(error, -EINVAL,
			"replay window: extended sequence numbers need one (RFC 4303 appendix A2)");
	if (window != 0 && window > SA_REPLAY_WINDOW_MAX)
		return error_set(
			error, -EINVAL, "replay window: %u packets at most", SA_REPLAY_WINDOW_MAX);
	return 0;
}

int sa_check(const struct sa_parameters *parameters, struct error *error)
{
	int status = 0;

	if (!table.sas)
		return error_set(error, -ENOTSUP, "ipsec is not configured");
	if (parameters->direction > SA_OUTBOUND || parameters->mode > SA_TRANSPORT)
		return error_set(error, -EINVAL, "direction or mode: no such");
	if (parameters->name.spi < ESP_SPI_MIN)
		return error_set(error, -EINVAL, "SPI: 256 at least (RFC 4303 section 2.1)");
	if ((parameters->source.version != 4 && parameters->source.version != 6)
		|| parameters->source.version != parameters->name.destination.version)
		return error_set(error, -EINVAL,
			"source and destination: addresses of one version are needed");
	if (parameters->has_encapsulation
		&& (!parameters->source_port || !parameters->destination_port))
		return error_set(error, -EINVAL, "encapsulation: both ports are needed");
	if (parameters->selector_count > SELECTORS_MAX)
		return error_set(error, -EINVAL, "selectors: %d at most", SELECTORS_MAX);
	for (uint16_t i = 0; status == 0 && i < parameters->selector_count; i++)
		status = selector_check(&parameters->selectors[i], error);
	if (status == 0)
		status = check_lifetime(&parameters->lifetime, error);
	if (status == 0)
		status = check_window(parameters, error);
	return status < 0 ? status : sa_crypto_check(parameters, error);
}

/* The reservation, if there is one, has to be the owner's. */
static int take_name(const struct sa_parameters *parameters, struct error *error)
{
	struct reserved *reserved = find_reserved(&parameters->name);

	if (sa_find(&parameters->name))
		return error_set(error, -EEXIST, "there is an SA with this SPI and destination");
	if (reserved && reserved->owner != parameters->owner)
		return error_set(error, -EEXIST, "the SPI is reserved for somebody else");
	return 0;
}

static void copy_keys(struct sa *sa, const struct sa_parameters *parameters)
{
	sa->key = (uint8_t *)secret_bytes(table.keys) + (size_t)sa->index * SA_KEY_SIZE_MAX;
	sa->cipher_key_size = parameters->cipher_key_size;
	sa->integrity_key_size = parameters->integrity_key_size;
	if (sa->cipher_key_size)
		memcpy(sa->key, parameters->cipher_key, sa->cipher_key_size);
	if (sa->integrity_key_size)
		memcpy(sa->key + sa->cipher_key_size, parameters->integrity_key,
			sa->integrity_key_size);
}

static uint32_t window_size(const struct sa_parameters *parameters)
{
	uint32_t least = RTE_MAX((uint32_t)table.replay_window, (uint32_t)SA_REPLAY_WINDOW_MIN);

	if (parameters->direction == SA_OUTBOUND || parameters->replay_window == 0)
		return 0;
	return RTE_ALIGN_CEIL(RTE_MAX((uint32_t)parameters->replay_window, least), 64U);
}

void sa_set_replay_window(uint16_t packets)
{
	table.replay_window = packets;
}

uint64_t sa_iv_edge(void)
{
	return table.iv_edge;
}

void sa_raise_iv_edge(uint64_t edge)
{
	table.iv_edge = RTE_MAX(table.iv_edge, edge);
}

static void apply_past(struct sa *sa, const struct sa_past *past)
{
	/* A counter that no other life of this key has used: nanoseconds since the epoch grow
	 * faster than a counter of packets. With it a key that is used again after a start of the
	 * daemon, as those of the configuration are, still has new IVs. A clock that is set back
	 * while the daemon lives changes nothing, for the edge; one that is set back between two
	 * lives of it is ipsec_config_check_clock()'s business, as far as it can be seen. */
	sa->iv_base = past ? past->iv_base : RTE_MAX(clock_wall_ns(), table.iv_edge);
	sa->added_ns = past ? past->added_ns : clock_monotonic_ns();
	sa->sequence_max = past ? past->sequence : sa_first_sequence_max(sa);
	if (!past)
		return;
	sa->sequence = past->sequence;
	sa->window.highest = sa->window.floor = past->floor;
	sa->counters.packets = past->packets;
	sa->counters.bytes = past->bytes;
	sa->is_soft_told = past->is_soft_told;
}

/* What the life before stored until its last moment goes beyond what it kept. */
static void read_record(struct sa *sa)
{
	const struct sa_record *record = sa->record;

	if (sa->direction == SA_INBOUND && record->highest > sa->window.highest
		&& (sa->has_esn || record->highest <= UINT32_MAX))
		sa->window.highest = sa->window.floor = record->highest;
	sa->counters.packets = RTE_MAX(sa->counters.packets, record->packets);
	sa->counters.bytes = RTE_MAX(sa->counters.bytes, record->bytes);
}

static bool take_record(struct sa *sa, const struct sa_past *past)
{
	sa->record = past ? sa_record_resume(&past->record) : NULL;
	if (sa->record) {
		sa->record_name = past->record;
		read_record(sa);
	} else {
		sa->record = sa_record_create(&sa->record_name);
	}
	if (!sa->record)
		return false;
	sa->record->highest = sa->window.highest;
	sa->record->packets = sa->counters.packets;
	sa->record->bytes = sa->counters.bytes;
	return true;
}

static struct sa *create_sa(
	const struct sa_parameters *parameters, const struct sa_past *past, uint32_t index)
{
	uint32_t window = window_size(parameters), words = window ? replay_word_count(window) : 0;
	struct sa *sa =
		rte_zmalloc("sa", sizeof(*sa) + words * sizeof(sa->bits[0]), RTE_CACHE_LINE_SIZE);
	size_t selectors_size = parameters->selector_count * sizeof(*sa->selectors);

	if (!sa)
		return NULL;
	sa->index = index;
	sa->generation = ++table.next_generation;
	sa->spi_wire = rte_cpu_to_be_32(parameters->name.spi);
	sa->name = parameters->name;
	sa->owner = parameters->owner;
	sa->direction = parameters->direction;
	sa->mode = parameters->mode;
	sa->has_esn = parameters->has_esn;
	sa->copies_df = parameters->copies_df;
	sa->copies_ecn = parameters->copies_ecn;
	sa->copies_dscp = parameters->copies_dscp;
	sa->integrity = parameters->integrity;
	sa->lifetime = parameters->lifetime;
	sa->request = parameters->request;
	sa->peer = sa_peer_of(parameters);
	sa->window = (struct replay_window){
		.size = window, .mask = words ? words - 1 : 0, .bits = sa->bits};
	id_random_bytes(sa->iv_key, sizeof(sa->iv_key));
	apply_past(sa, past);
	sa->outer = outer_create(parameters);
	sa->selectors = selectors_size ? rte_malloc("sa-selectors", selectors_size, 0) : NULL;
	if (!sa->outer || (selectors_size && !sa->selectors) || !take_record(sa, past)) {
		rte_free(sa->outer);
		rte_free(sa->selectors);
		rte_free(sa);
		return NULL;
	}
	if (selectors_size)
		memcpy(sa->selectors, parameters->selectors, selectors_size);
	sa->selector_count = parameters->selector_count;
	return sa;
}

static void link_sa(struct sa *sa)
{
	struct sa **bucket = &sa_buckets[sa_bucket(sa->spi_wire)];

	sa->next = *bucket;
	/* Release: the SA is whole; pairs with sa_look_up(). */
	__atomic_store_n(bucket, sa, __ATOMIC_RELEASE);
}

static void unlink_sa(struct sa *sa)
{
	struct sa **at = &sa_buckets[sa_bucket(sa->spi_wire)];

	while (*at && *at != sa)
		at = &(*at)->next;
	if (*at)
		__atomic_store_n(at, sa->next, __ATOMIC_RELEASE);
}

static uint32_t free_index(void)
{
	for (uint32_t i = 0; i < table.max; i++)
		if (!table.sas[i])
			return i;
	return SA_INDEX_NONE;
}

/* A slot that is only waiting for a grace period is worth waiting for. */
static uint32_t take_index(void)
{
	uint32_t index = free_index();

	if (index != SA_INDEX_NONE || table.count == table.max)
		return index;
	publish_wait();
	return free_index();
}

static int finish_sa(struct sa *sa, const struct sa_parameters *parameters, struct error *error)
{
	int status = sa_crypto_open(parameters, &sa->crypto, error);

	if (status < 0) {
		sa->index = SA_INDEX_NONE;
		destroy_sa(sa);
		return status;
	}
	copy_keys(sa, parameters);
	table.sas[sa->index] = sa;
	table.count++;
	return 0;
}

int sa_add_with_past(
	const struct sa_parameters *parameters, const struct sa_past *past, struct error *error)
{
	int status = sa_check(parameters, error);
	struct reserved *reserved;
	uint32_t index;
	struct sa *sa;

	if (status == 0)
		status = take_name(parameters, error);
	if (status < 0)
		return status;
	index = take_index();
	if (index == SA_INDEX_NONE)
		return error_set(
			error, -ENOSPC, "there are %u SAs already (ipsec.sas-max)", table.count);
	sa = create_sa(parameters, past, index);
	if (!sa)
		return error_set(error, -ENOMEM, "no memory for an SA");
	status = finish_sa(sa, parameters, error);
	if (status < 0)
		return status;
	reserved = find_reserved(&parameters->name);
	if (reserved)
		forget_reserved((uint32_t)(reserved - table.reserved));
	link_sa(sa);
	sa_peer_link(sa);
	if (sa->direction == SA_OUTBOUND)
		policy_rebind(sa, false);
	sa_note_changed();
	return 0;
}

int sa_add(const struct sa_parameters *parameters, struct error *error)
{
	return sa_add_with_past(parameters, NULL, error);
}

void sa_describe(const struct sa *sa, struct sa_parameters *out)
{
	const struct sa_outer *outer = sa->outer;

	*out = (struct sa_parameters){.name = sa->name,
		.source = outer->source,
		.direction = sa->direction,
		.mode = sa->mode,
		.cipher = sa->crypto.cipher,
		.integrity = sa->integrity,
		.cipher_key = sa->key,
		.cipher_key_size = sa->cipher_key_size,
		.integrity_key = sa->key + sa->cipher_key_size,
		.integrity_key_size = sa->integrity_key_size,
		.has_esn = sa->has_esn,
		.replay_window = (uint16_t)sa->window.size,
		.has_encapsulation = outer->has_encapsulation,
		.source_port = outer->source_port,
		.destination_port = outer->destination_port,
		.copies_df = sa->copies_df,
		.copies_ecn = sa->copies_ecn,
		.copies_dscp = sa->copies_dscp,
		.request = sa->request,
		.lifetime = sa->lifetime,
		.owner = sa->owner,
		.selector_count = sa->selector_count,
		.selectors = sa->selectors};
}

static bool is_same_ends(const struct sa_parameters *a, const struct sa_parameters *b)
{
	return a->name.spi == b->name.spi
		&& ip_address_is_equal(&a->name.destination, &b->name.destination)
		&& ip_address_is_equal(&a->source, &b->source)
		&& a->has_encapsulation == b->has_encapsulation && a->source_port == b->source_port
		&& a->destination_port == b->destination_port;
}

static bool is_same_crypto(const struct sa_parameters *a, const struct sa_parameters *b)
{
	return a->cipher == b->cipher && a->integrity == b->integrity
		&& a->cipher_key_size == b->cipher_key_size
		&& a->integrity_key_size == b->integrity_key_size
		&& secret_is_equal(a->cipher_key, b->cipher_key, a->cipher_key_size)
		&& secret_is_equal(a->integrity_key, b->integrity_key, a->integrity_key_size);
}

static bool is_same_lifetime(const struct sa_lifetime *a, const struct sa_lifetime *b)
{
	return a->soft_bytes == b->soft_bytes && a->hard_bytes == b->hard_bytes
		&& a->soft_packets == b->soft_packets && a->hard_packets == b->hard_packets
		&& a->soft_s == b->soft_s && a->hard_s == b->hard_s;
}

bool sa_parameters_are_equal(const struct sa_parameters *a, const struct sa_parameters *b)
{
	if (!is_same_ends(a, b) || !is_same_crypto(a, b)
		|| !is_same_lifetime(&a->lifetime, &b->lifetime)
		|| a->selector_count != b->selector_count)
		return false;
	for (uint16_t i = 0; i < a->selector_count; i++)
		if (!selector_is_equal(&a->selectors[i], &b->selectors[i]))
			return false;
	return a->direction == b->direction && a->mode == b->mode && a->has_esn == b->has_esn
		&& window_size(a) == window_size(b) && a->copies_df == b->copies_df
		&& a->copies_ecn == b->copies_ecn && a->copies_dscp == b->copies_dscp
		&& a->request == b->request;
}

struct sa_past sa_past_of(const struct sa *sa)
{
	return (struct sa_past){.sequence = sa->sequence_max,
		.floor = __atomic_load_n(&sa->window.highest, __ATOMIC_RELAXED),
		.iv_base = sa->iv_base,
		.packets = __atomic_load_n(&sa->counters.packets, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&sa->counters.bytes, __ATOMIC_RELAXED),
		.added_ns = sa->added_ns,
		.is_soft_told = sa->is_soft_told};
}

int sa_put(const struct sa_parameters *parameters, struct error *error)
{
	const struct sa *sa = sa_find(&parameters->name);
	struct sa_parameters is;
	struct sa_past past;
	bool goes_on;

	if (!sa || sa->owner != parameters->owner)
		return sa_add(parameters, error);
	sa_describe(sa, &is);
	if (sa_parameters_are_equal(&is, parameters))
		return 0;
	goes_on = is.direction == parameters->direction && is_same_crypto(&is, parameters)
		&& is.has_esn == parameters->has_esn;
	past = sa_past_of(sa);
	sa_delete(&parameters->name, error);
	return sa_add_with_past(parameters, goes_on ? &past : NULL, error);
}

/* ---- changing ---- */

static void apply_move(struct sa_parameters *parameters, const struct sa_move *move)
{
	parameters->source = move->source;
	parameters->name.destination = move->destination;
	parameters->has_encapsulation = move->has_encapsulation;
	parameters->source_port = move->source_port;
	parameters->destination_port = move->destination_port;
}

int sa_move(const struct sa_name *name, const struct sa_move *move, struct error *error)
{
	struct sa *sa = sa_find(name), *other;
	struct sa_parameters parameters;
	struct sa_outer *outer;
	int status;

	if (!sa)
		return error_set(error, -ENOENT, "there is no such SA");
	sa_describe(sa, &parameters);
	apply_move(&parameters, move);
	status = sa_check(&parameters, error);
	if (status < 0)
		return status;
	other = sa_find(&parameters.name);
	if (other && other != sa)
		return error_set(
			error, -EEXIST, "there is an SA with this SPI and the new destination");
	outer = outer_create(&parameters);
	if (!outer)
		return error_set(error, -ENOMEM, "no memory for an SA's new ends");
	sa->name = parameters.name;
	publish_swap(&sa->outer, outer, rte_free);
	sa_note_changed();
	return 0;
}

static void remove_sa(struct sa *sa)
{
	sa->generation = 0;
	table.count--;
	/* Other keys never come again. */
	if (sa->owner == SA_OWNER_CONFIGURATION)
		sa_raise_iv_edge(sa->iv_base + sa->sequence_max + 1);
	table.past[sa->direction].packets += sa->counters.packets;
	table.past[sa->direction].bytes += sa->counters.bytes;
	unlink_sa(sa);
	sa_peer_unlink(sa);
	if (sa->direction == SA_OUTBOUND)
		policy_rebind(sa, true);
	publish_retire(sa, destroy_sa);
}

int sa_delete(const struct sa_name *name, struct error *error)
{
	struct sa *sa = sa_find(name);

	if (!sa)
		return error_set(error, -ENOENT, "there is no such SA");
	remove_sa(sa);
	sa_note_changed();
	return 0;
}

int sa_query(const struct sa_name *name, struct sa_usage *usage, struct error *error)
{
	const struct sa *sa = sa_find(name);
	uint64_t last_s, now_s = clock_monotonic_ns() / CLOCK_NS_PER_S;

	if (!sa)
		return error_set(error, -ENOENT, "there is no such SA");
	/* Relaxed: statistics of workers. */
	usage->packets = __atomic_load_n(&sa->counters.packets, __ATOMIC_RELAXED);
	usage->bytes = __atomic_load_n(&sa->counters.bytes, __ATOMIC_RELAXED);
	last_s = __atomic_load_n(&sa->counters.last_used_s, __ATOMIC_RELAXED);
	usage->last_used_s = last_s ? now_s - RTE_MIN(last_s, now_s) : UINT64_MAX;
	return 0;
}

void sa_flush_owner(uint32_t owner)
{
	struct sa *next;

	policy_flush_owner(owner);
	for (struct sa *sa = sa_next(0); sa; sa = next) {
		next = sa_next(sa->index + 1);
		if (sa->owner == owner)
			remove_sa(sa);
	}
	for (uint32_t i = 0; i < table.reserved_count;)
		if (table.reserved[i].owner == owner)
			forget_reserved(i);
		else
			i++;
	sa_note_changed();
}

void sa_change_owner(uint32_t from, uint32_t to)
{
	for (struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1))
		if (sa->owner == from)
			/* Relaxed: workers compare it with a policy's, which is changed next. */
			__atomic_store_n(&sa->owner, to, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < table.reserved_count; i++)
		if (table.reserved[i].owner == from)
			table.reserved[i].owner = to;
	policy_change_owner(from, to);
	sa_note_changed();
}

void sa_totals(enum sa_direction direction, uint64_t *packets, uint64_t *bytes)
{
	*packets = table.past[direction].packets;
	*bytes = table.past[direction].bytes;
	for (const struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1)) {
		if (sa->direction != direction)
			continue;
		*packets += __atomic_load_n(&sa->counters.packets, __ATOMIC_RELAXED);
		*bytes += __atomic_load_n(&sa->counters.bytes, __ATOMIC_RELAXED);
	}
}
