/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/gre.h"

#include "base/bytes.h"
#include "base/secret.h"
#include "wire/outer_ip.h"

/* The first 16 bits, RFC 2890 section 2. RFC 2784 says of bits 6 to 12 that a receiver ignores
 * them; both ends of our links are ours, and what they do not write is refused. */
#define ROUTING_BIT  0x4000 /* RFC 1701; RFC 2784 section 2.3: must be refused */
#define KEY_BIT      0x2000
#define VERSION_BITS 0x0007

static const char *const fault_names[GRE_FAULT_COUNT] = {
	[GRE_FINE] = "fine",
	[GRE_NOT_GRE] = "not_gre",
	[GRE_FRAGMENT] = "fragment",
	[GRE_SHORT] = "short",
	[GRE_CHECKSUM] = "checksum",
	[GRE_VERSION] = "version",
	[GRE_ROUTING] = "routing",
	[GRE_FLAGS] = "flags",
	[GRE_NO_KEY] = "no_key",
	[GRE_PROTOCOL] = "protocol",
};

const char *gre_fault_name(enum gre_fault fault)
{
	return fault_names[fault];
}

/* ---- reading ---- */

static enum gre_fault parse_ip(struct bytes *reader, size_t size, struct gre *out)
{
	struct outer_ip ip;
	enum outer_ip_fault fault = outer_ip_parse(reader, size, &ip);

	if (fault == OUTER_IP_SHORT)
		return GRE_SHORT;
	if (fault == OUTER_IP_CHECKSUM)
		return GRE_CHECKSUM;
	if (fault == OUTER_IP_NONE || ip.protocol != GRE_IP_PROTOCOL)
		return GRE_NOT_GRE;
	if (fault == OUTER_IP_FRAGMENT)
		return GRE_FRAGMENT;
	out->source = ip.source;
	out->destination = ip.destination;
	out->payload_end = ip.end;
	return GRE_FINE;
}

static enum gre_fault check_flags(uint16_t flags)
{
	if (flags & VERSION_BITS)
		return GRE_VERSION;
	if (flags & ROUTING_BIT)
		return GRE_ROUTING;
	if (flags & ~KEY_BIT)
		return GRE_FLAGS;
	return flags & KEY_BIT ? GRE_FINE : GRE_NO_KEY;
}

static bool is_known_payload(uint16_t protocol, uint8_t first)
{
	switch (protocol) {
	case ETH_TYPE_IPV4:
		return first >> 4 == 4;
	case ETH_TYPE_IPV6:
		return first >> 4 == 6;
	default:
		return protocol == GRE_HEARTBEAT;
	}
}

enum gre_fault gre_parse(const uint8_t *frame, size_t captured, size_t size, struct gre *out)
{
	struct bytes reader = bytes_from(frame, captured);
	enum gre_fault fault;
	uint16_t flags;
	uint8_t first;

	*out = (struct gre){.key = 0};
	fault = parse_ip(&reader, size, out);
	if (fault != GRE_FINE)
		return fault;
	flags = bytes_read_u16(&reader);
	out->protocol = bytes_read_u16(&reader);
	if (!bytes_is_ok(&reader) || reader.offset > out->payload_end)
		return GRE_SHORT;
	fault = check_flags(flags);
	if (fault != GRE_FINE)
		return fault;
	out->key = bytes_read_u32(&reader);
	out->payload_offset = (uint32_t)reader.offset;
	first = bytes_read_u8(&reader);
	if (!bytes_is_ok(&reader) || reader.offset > out->payload_end)
		return GRE_SHORT;
	return is_known_payload(out->protocol, first) ? GRE_FINE : GRE_PROTOCOL;
}

/* ---- writing ---- */

uint32_t gre_overhead(uint8_t ip_version)
{
	return outer_ip_size(ip_version) + GRE_HEADER_SIZE;
}

void gre_write(uint8_t *out, const struct gre_headers *headers, uint32_t payload_size)
{
	const struct outer_ip_headers ip = {headers->source_mac, headers->destination_mac,
		headers->source, headers->destination, GRE_IP_PROTOCOL};
	uint8_t *gre = outer_ip_write(out, &ip, GRE_HEADER_SIZE + payload_size);

	network_store16(gre, KEY_BIT);
	network_store16(gre + 2, headers->protocol);
	network_store32(gre + 4, headers->key);
}

/* ---- keys ---- */

uint32_t gre_key(const uint8_t secret[SIPHASH_KEY_SIZE], enum gre_kind kind,
	enum gre_direction direction, const struct ip_address *distributor,
	const struct ip_address *target)
{
	/* So that no code of authentication under the same secret gives a key away. */
	static const char purpose[] = "bulkhead gre key";
	const uint8_t what[2] = {(uint8_t)kind, (uint8_t)direction};
	uint8_t mac[SIPHASH_MAC_SIZE];
	struct siphash_state state;

	siphash_start(&state, secret);
	siphash_add(&state, purpose, sizeof(purpose));
	siphash_add(&state, what, sizeof(what));
	siphash_add(&state, distributor, sizeof(*distributor));
	siphash_add(&state, target, sizeof(*target));
	siphash_end(&state, mac);
	return network_load32(mac);
}

bool gre_keys_derive(const uint8_t secret[SIPHASH_KEY_SIZE], enum gre_direction direction,
	const struct ip_address *distributor, const struct ip_address *target, struct gre_keys *out)
{
	for (int kind = 0; kind < GRE_KIND_COUNT; kind++) {
		out->keys[kind] =
			gre_key(secret, (enum gre_kind)kind, direction, distributor, target);
		for (int other = 0; other < kind; other++)
			if (out->keys[other] == out->keys[kind])
				return false;
	}
	return true;
}

int gre_kind_of(const struct gre_keys *keys, uint32_t key)
{
	int found = -1;

	for (int kind = 0; kind < GRE_KIND_COUNT; kind++)
		if (secret_is_equal(&keys->keys[kind], &key, sizeof(key)))
			found = kind;
	return found;
}
