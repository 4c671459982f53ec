/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/fragments.h"

#include "base/id.h"
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

struct fragment_entry {
	struct fragment_key key;
	uint64_t deadline_ns; /* 0: free */
	uint32_t total;       /* payload bytes; 0: the last fragment has not come */
	uint32_t bytes;
	uint16_t count;
	bool is_spoiled; /* something was refused: none of it can become complete */
	struct fragment fragments[FRAGMENTS_MAX]; /* sorted */
};

struct fragment_table {
	uint32_t set_mask;
	size_t mapped;
	struct siphash_key key;
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

static struct fragment_entry *find_entry(
	struct fragment_table *table, const struct fragment_input *input)
{
	const struct decoded *decoded = input->decoded;
	struct fragment_key key = {.id = decoded->fragment_id,
		.vlan = input->vlan,
		.protocol = decoded->ip_version == 4 ? decoded->protocol : 0,
		.ip_version = decoded->ip_version};
	struct fragment_entry *set, *free_entry = NULL;
	uint64_t words[sizeof(key) / 8];

	static_assert(sizeof(key) == 40, "hashed as words, no padding");
	memcpy(key.source, decoded->source, 16);
	memcpy(key.destination, decoded->destination, 16);
	memcpy(words, &key, sizeof(words));
	set = &table->entries[(siphash_words(&table->key, words, 5) & table->set_mask) * WAYS];
	for (int i = 0; i < WAYS; i++) {
		if (set[i].deadline_ns && set[i].deadline_ns < input->now_ns)
			set[i].deadline_ns = 0;
		if (set[i].deadline_ns && memcmp(&set[i].key, &key, sizeof(key)) == 0)
			return &set[i];
		if (!set[i].deadline_ns)
			free_entry = &set[i];
	}
	if (!free_entry)
		return NULL;
	memset(free_entry, 0, offsetof(struct fragment_entry, fragments));
	free_entry->key = key;
	free_entry->deadline_ns = input->deadline_ns;
	return free_entry;
}

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
		uint32_t header = (uint32_t)(ip[0] & 0xf) * 4;

		network_store16(ip + 2, (uint16_t)(out->frame_size - decoded.l3_offset));
		network_store16(ip + 6, network_load16(ip + 6) & 0x4000);
		network_store16(ip + 10, 0);
		network_store16(ip + 10, checksum_finish(checksum_add(0, ip, header)));
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

	entry->deadline_ns = 0;
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
	entry->count = 0;
}

enum fragment_outcome fragment_add(struct fragment_table *table, struct hold_table *holds,
	const struct fragment_input *input, struct fragment_datagram *out)
{
	const struct decoded *decoded = input->decoded;
	uint32_t start = payload_start(decoded), from = decoded->fragment_offset, to;
	struct fragment_entry *entry;
	uint16_t place;
	bool more;

	out->count = 0;
	if (start == 0 || decoded->l3_end <= start)
		return FRAGMENT_REFUSED;
	to = from + (decoded->l3_end - start);
	more = has_more(decoded);
	entry = find_entry(table, input);
	if (!entry || entry->count == FRAGMENTS_MAX)
		return FRAGMENT_FULL;
	if (entry->is_spoiled || is_repeated(entry, from, to))
		return FRAGMENT_REFUSED;
	if (!fits(entry, from, to, more) || !find_place(entry, from, to, &place)) {
		spoil(holds, input->owner, entry, out);
		return FRAGMENT_REFUSED;
	}
	memmove(&entry->fragments[place + 1], &entry->fragments[place],
		(size_t)(entry->count - place) * sizeof(entry->fragments[0]));
	entry->fragments[place] = (struct fragment){.from = from, .to = to};
	entry->count++;
	entry->bytes += to - from;
	if (!more)
		entry->total = to;
	if (entry->total && entry->bytes == entry->total)
		return complete(table, holds, input, entry, place, out);
	if (hold_insert(holds, input->packet, input->owner, input->deadline_ns,
		    &entry->fragments[place].handle)
		< 0) {
		spoil(holds, input->owner, entry, out);
		return FRAGMENT_FULL;
	}
	return FRAGMENT_HELD;
}
