/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/fragments.h"

#include "base/id.h"
#include "base/list.h"
#include "packet/inspect/siphash.h"
#include "wire/checksum.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <rte_common.h>
#include <string.h>
#include <sys/mman.h>

#define WAYS                 4
#define IPV6_HEADER_SIZE     40
#define FRAGMENT_HEADER_SIZE 8
#define PAYLOAD_MAX          65535u

/* One source, and one VLAN, may have this part of the table; and of the hold table's limit. Sources
 * are told apart by a hash. */
#define SOURCE_PART 16
#define VLAN_PART   2
#define USERS       256
#define LEAST_ROOM  16u /* fragments, however small the hold table is */

struct fragment_key {
	uint8_t source[16], destination[16];
	uint32_t id;
	uint16_t vlan;
	uint8_t protocol; /* IPv4 only: RFC 791; RFC 8200 leaves it out */
	uint8_t ip_version;
};

struct fragment {
	uint64_t handle;
	uint32_t from, to; /* bytes of the datagram's payload */
};

/* What one of them has. */
struct usage {
	uint32_t datagrams, fragments;
};

struct fragment_entry {
	struct list link; /* in fragment_table.queue */
	struct fragment_key key;
	uint64_t deadline_ns; /* 0: free */
	struct usage *source, *vlan;
	uint32_t total; /* payload bytes; 0: the last fragment has not come */
	uint32_t bytes;
	uint16_t count;
	bool is_spoiled; /* something was refused: none of it can become complete */
	struct fragment fragments[FRAGMENTS_MAX]; /* sorted */
};

struct fragment_table {
	uint32_t set_mask;
	size_t mapped;
	struct siphash_key key;
	struct list queue; /* entries, oldest first */
	struct usage sources[USERS], vlans[USERS];
	uint8_t frame[FRAGMENT_BUFFER_SIZE];
	struct fragment_entry entries[];
};

struct fragment_table *fragment_table_create(uint32_t capacity)
{
	struct fragment_table *table;
	uint32_t sets = 16;
	size_t size;

	while (sets * WAYS < capacity)
		sets *= 2;
	size = sizeof(*table) + (size_t)sets * WAYS * sizeof(table->entries[0]);
	table = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED)
		return NULL;
	table->mapped = size;
	table->set_mask = sets - 1;
	list_init(&table->queue);
	id_random_bytes(&table->key, sizeof(table->key));
	return table;
}

void fragment_table_destroy(struct fragment_table *table)
{
	if (table)
		munmap(table, table->mapped);
}

/* Where the IPv6 fragment header is; the decoder has checked all lengths on the way. */
static uint32_t fragment_header(const struct decoded *decoded)
{
	const uint8_t *frame = decoded->frame;
	uint32_t at = decoded->l3_offset + IPV6_HEADER_SIZE;
	uint8_t next = frame[decoded->l3_offset + 6];

	while (next != IPPROTO_FRAGMENT) {
		uint32_t size = ((uint32_t)frame[at + 1] + 1) * 8;

		if (next == IPPROTO_AH)
			size = ((uint32_t)frame[at + 1] + 2) * 4;
		if (at + size + FRAGMENT_HEADER_SIZE > decoded->l3_end)
			return 0;
		next = frame[at];
		at += size;
	}
	return at;
}

/* Where the fragment's piece of the payload begins in its frame; 0: not a fragment that we know. */
static uint32_t payload_start(const struct decoded *decoded)
{
	uint32_t header;

	if (decoded->ip_version == 4)
		return decoded->ip_payload_offset;
	header = fragment_header(decoded);
	return header ? header + FRAGMENT_HEADER_SIZE : 0;
}

static bool has_more(const struct decoded *decoded)
{
	if (decoded->ip_version == 4)
		return decoded->frame[decoded->l3_offset + 6] & 0x20;
	return decoded->frame[fragment_header(decoded) + 3] & 1;
}

static void make_key(const struct fragment_input *input, struct fragment_key *key)
{
	const struct decoded *decoded = input->decoded;

	*key = (struct fragment_key){.id = decoded->fragment_id,
		.vlan = input->vlan,
		.protocol = decoded->ip_version == 4 ? decoded->protocol : 0,
		.ip_version = decoded->ip_version};
	memcpy(key->source, decoded->source, 16);
	memcpy(key->destination, decoded->destination, 16);
}

/* NULL: there is none; *free_entry is where it could be, or NULL. */
static struct fragment_entry *find_entry(struct fragment_table *table,
	const struct fragment_key *key, struct fragment_entry **free_entry)
{
	struct fragment_entry *set;
	uint64_t words[sizeof(*key) / 8];

	static_assert(sizeof(*key) == 40, "hashed as words, no padding");
	memcpy(words, key, sizeof(words));
	set = &table->entries[(siphash_words(&table->key, words, 5) & table->set_mask) * WAYS];
	*free_entry = NULL;
	for (int i = 0; i < WAYS; i++) {
		if (!set[i].deadline_ns)
			*free_entry = &set[i];
		else if (memcmp(&set[i].key, key, sizeof(*key)) == 0)
			return &set[i];
	}
	return NULL;
}

/* ---- who has how much ---- */

static struct usage *source_of(struct fragment_table *table, const struct fragment_key *key)
{
	uint64_t words[3] = {0, 0, key->vlan};

	memcpy(words, key->source, sizeof(key->source));
	return &table->sources[siphash_words(&table->key, words, 3) % USERS];
}

static struct usage *vlan_of(struct fragment_table *table, const struct fragment_key *key)
{
	return &table->vlans[key->vlan % USERS];
}

static bool has_fragment_room(
	const struct hold_table *holds, const struct usage *usage, uint32_t part)
{
	return usage->fragments < RTE_MAX(hold_limit(holds) / part, LEAST_ROOM);
}

/* For one more datagram. */
static bool has_room(const struct fragment_table *table, const struct hold_table *holds,
	const struct usage *usage, uint32_t part)
{
	return usage->datagrams < (table->set_mask + 1) * WAYS / part
		&& has_fragment_room(holds, usage, part);
}

static void count_fragments(struct fragment_entry *entry, int change)
{
	entry->source->fragments += (uint32_t)change;
	entry->vlan->fragments += (uint32_t)change;
}

static void begin_entry(struct fragment_table *table, const struct fragment_input *input,
	const struct fragment_key *key, struct fragment_entry *entry)
{
	memset(entry, 0, offsetof(struct fragment_entry, fragments));
	entry->key = *key;
	entry->deadline_ns = input->deadline_ns;
	entry->source = source_of(table, key);
	entry->vlan = vlan_of(table, key);
	entry->source->datagrams++;
	entry->vlan->datagrams++;
	list_append(&table->queue, &entry->link);
}

static void end_entry(struct fragment_entry *entry)
{
	count_fragments(entry, -entry->count);
	entry->source->datagrams--;
	entry->vlan->datagrams--;
	entry->deadline_ns = 0;
	list_remove(&entry->link);
}

/* ---- fragments of one ---- */

/* Where [from, to) goes among the others; false when it overlaps one. */
static bool find_place(
	const struct fragment_entry *entry, uint32_t from, uint32_t to, uint16_t *place)
{
	uint16_t at = 0;

	while (at < entry->count && entry->fragments[at].to <= from)
		at++;
	*place = at;
	return at == entry->count || entry->fragments[at].from >= to;
}

static bool fits(const struct fragment_entry *entry, uint32_t from, uint32_t to, bool more)
{
	if (from >= to || to > PAYLOAD_MAX || (more && (to - from) % 8 != 0))
		return false;
	if (entry->total)
		return more && to <= entry->total;
	return more || entry->count == 0 || entry->fragments[entry->count - 1].to <= to;
}

/* Puts the payload of all behind the headers of the first. */
static bool build(struct fragment_table *table, const struct fragment_entry *entry,
	struct fragment_datagram *out)
{
	uint8_t *frame = table->frame;
	uint32_t start = 0;

	for (uint16_t i = 0; i < out->count; i++) {
		struct rte_mbuf *packet = out->packets[i];
		struct decoded decoded;
		uint32_t size = entry->fragments[i].to - entry->fragments[i].from;
		uint8_t buffer[512];
		const uint8_t *head;

		head = rte_pktmbuf_read(
			packet, 0, RTE_MIN(packet->pkt_len, (uint32_t)sizeof(buffer)), buffer);
		decode_headers(head, RTE_MIN(packet->pkt_len, (uint32_t)sizeof(buffer)),
			packet->pkt_len, &decoded);
		if (!decoded.ip_version || !decoded.is_fragment)
			return false;
		start = i == 0 ? payload_start(&decoded) : start;
		if (i == 0
			&& (start == 0 || start > sizeof(buffer)
				|| start + entry->total > sizeof(table->frame)))
			return false;
		if (i == 0)
			memcpy(frame, head, start);
		head = rte_pktmbuf_read(packet, payload_start(&decoded), size,
			frame + start + entry->fragments[i].from);
		if (!head)
			return false;
		if (head != frame + start + entry->fragments[i].from)
			memcpy(frame + start + entry->fragments[i].from, head, size);
	}
	out->frame = frame;
	out->frame_size = start + entry->total;
	return true;
}

static void finish_header(struct fragment_datagram *out)
{
	struct decoded decoded;
	uint8_t *ip;

	decode_frame(out->frame, out->frame_size, &decoded);
	ip = out->frame + decoded.l3_offset;
	if (decoded.ip_version == 4) {
		network_store16(ip + 2, (uint16_t)(out->frame_size - decoded.l3_offset));
		network_store16(ip + 6, network_load16(ip + 6) & 0x4000);
		checksum_write_ipv4(ip);
		return;
	}
	/* An atomic fragment (RFC 6946) decodes as a whole packet. */
	network_store16(ip + 4, (uint16_t)(out->frame_size - decoded.l3_offset - IPV6_HEADER_SIZE));
	decode_frame(out->frame, out->frame_size, &decoded);
	network_store16(out->frame + fragment_header(&decoded) + 2, 0);
}

static enum fragment_outcome complete(struct fragment_table *table, struct hold_table *holds,
	const struct fragment_input *input, struct fragment_entry *entry, uint16_t place,
	struct fragment_datagram *out)
{
	uint16_t left = 0;

	end_entry(entry);
	for (uint16_t i = 0; i < entry->count; i++) {
		struct rte_mbuf *packet = i == place
			? input->packet
			: hold_take(holds, entry->fragments[i].handle, input->owner);

		if (packet)
			out->packets[out->count++] = packet;
	}
	if (out->count == entry->count && build(table, entry, out)) {
		finish_header(out);
		return FRAGMENT_COMPLETE;
	}
	for (uint16_t i = 0; i < out->count; i++)
		if (out->packets[i] != input->packet)
			out->packets[left++] = out->packets[i];
	out->count = left;
	return FRAGMENT_FULL;
}

static bool is_repeated(const struct fragment_entry *entry, uint32_t from, uint32_t to)
{
	for (uint16_t i = 0; i < entry->count; i++)
		if (entry->fragments[i].from == from && entry->fragments[i].to == to)
			return true;
	return false;
}

/* Gives back what is held of a datagram that is not to become whole; what still comes of it is
 * refused. */
static void spoil(struct hold_table *holds, uint16_t owner, struct fragment_entry *entry,
	struct fragment_datagram *out)
{
	entry->is_spoiled = true;
	for (uint16_t i = 0; i < entry->count; i++) {
		struct rte_mbuf *packet = hold_take(holds, entry->fragments[i].handle, owner);

		if (packet)
			out->packets[out->count++] = packet;
	}
	count_fragments(entry, -(int32_t)entry->count);
	entry->count = 0;
}

bool fragment_expire(struct fragment_table *table, struct hold_table *holds, uint16_t owner,
	uint64_t now_ns, struct fragment_datagram *out)
{
	struct fragment_entry *oldest;

	out->count = 0;
	if (list_is_empty(&table->queue))
		return false;
	oldest = list_entry(table->queue.next, struct fragment_entry, link);
	if (now_ns < oldest->deadline_ns)
		return false;
	spoil(holds, owner, oldest, out);
	end_entry(oldest);
	return true;
}

/* Whether it can be one of the entry's, at *place. */
static bool can_put(const struct hold_table *holds, const struct fragment_entry *entry,
	uint32_t from, uint32_t to, bool more, uint16_t *place)
{
	return fits(entry, from, to, more) && find_place(entry, from, to, place)
		&& entry->count < FRAGMENTS_MAX
		&& has_fragment_room(holds, entry->source, SOURCE_PART)
		&& has_fragment_room(holds, entry->vlan, VLAN_PART);
}

static enum fragment_outcome put(struct fragment_table *table, struct hold_table *holds,
	const struct fragment_input *input, struct fragment_entry *entry,
	struct fragment_datagram *out)
{
	const struct decoded *decoded = input->decoded;
	uint32_t from = decoded->fragment_offset;
	uint32_t to = from + (decoded->l3_end - payload_start(decoded));
	bool more = has_more(decoded);
	uint16_t place;

	if (entry->is_spoiled || is_repeated(entry, from, to))
		return FRAGMENT_REFUSED;
	if (!can_put(holds, entry, from, to, more, &place)) {
		spoil(holds, input->owner, entry, out);
		return FRAGMENT_REFUSED;
	}
	memmove(&entry->fragments[place + 1], &entry->fragments[place],
		(size_t)(entry->count - place) * sizeof(entry->fragments[0]));
	entry->fragments[place] = (struct fragment){.from = from, .to = to};
	entry->count++;
	count_fragments(entry, 1);
	entry->bytes += to - from;
	if (!more)
		entry->total = to;
	if (entry->total && entry->bytes == entry->total)
		return complete(table, holds, input, entry, place, out);
	/* Their time is kept here: the hold table's would let them go on unread. */
	if (hold_insert(
		    holds, input->packet, input->owner, UINT64_MAX, &entry->fragments[place].handle)
		< 0) {
		spoil(holds, input->owner, entry, out);
		return FRAGMENT_FULL;
	}
	return FRAGMENT_HELD;
}

enum fragment_outcome fragment_add(struct fragment_table *table, struct hold_table *holds,
	const struct fragment_input *input, struct fragment_datagram *out)
{
	uint32_t start = payload_start(input->decoded);
	struct fragment_entry *entry, *free_entry;
	struct fragment_key key;

	out->count = 0;
	if (start == 0 || input->decoded->l3_end <= start)
		return FRAGMENT_REFUSED;
	make_key(input, &key);
	entry = find_entry(table, &key, &free_entry);
	if (!entry
		&& (!has_room(table, holds, source_of(table, &key), SOURCE_PART)
			|| !has_room(table, holds, vlan_of(table, &key), VLAN_PART)))
		return FRAGMENT_REFUSED;
	if (!entry && !free_entry)
		return FRAGMENT_FULL;
	if (!entry)
		begin_entry(table, input, &key, entry = free_entry);
	return put(table, holds, input, entry, out);
}
