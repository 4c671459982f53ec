/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/heartbeat.h"

#include "base/bytes.h"
#include "base/secret.h"
#include "wire/network.h"

#include <assert.h>
#include <netinet/in.h>

/* In the frame of a link with the least MTU of IPv6, behind an IPv6 header and GRE. */
static_assert(HEARTBEAT_SIZE_MAX <= 1280 - 40 - 8, "a heartbeat is never fragmented");

static const char *const fault_names[HEARTBEAT_FAULT_COUNT] = {
	[HEARTBEAT_FINE] = "fine",
	[HEARTBEAT_SHORT] = "short",
	[HEARTBEAT_OTHER_VERSION] = "other_version",
	[HEARTBEAT_MALFORMED] = "malformed",
	[HEARTBEAT_FORGED] = "forged",
};

const char *heartbeat_fault_name(enum heartbeat_fault fault)
{
	return fault_names[fault];
}

static void authenticate(const uint8_t *body, size_t size, const uint8_t secret[SIPHASH_KEY_SIZE],
	const struct ip_address *source, const struct ip_address *destination,
	uint8_t mac[SIPHASH_MAC_SIZE])
{
	static const char purpose[] = "bulkhead heartbeat";
	struct siphash_state state;

	siphash_start(&state, secret);
	siphash_add(&state, purpose, sizeof(purpose));
	siphash_add(&state, source, sizeof(*source));
	siphash_add(&state, destination, sizeof(*destination));
	siphash_add(&state, body, size);
	siphash_end(&state, mac);
}

/* ---- reading ---- */

static bool is_service_protocol(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

static bool read_service(struct bytes *reader, struct heartbeat_service *out)
{
	uint8_t version = bytes_read_u8(reader), ready, zero;
	const uint8_t *address;

	out->protocol = bytes_read_u8(reader);
	ready = bytes_read_u8(reader);
	zero = bytes_read_u8(reader);
	out->port = bytes_read_u16(reader);
	if (zero || bytes_read_u16(reader) || ready > 1 || (version != 4 && version != 6)
		|| !is_service_protocol(out->protocol))
		return false;
	address = bytes_take(reader, sizeof(out->vipa.bytes));
	if (!address)
		return false;
	out->is_ready = ready;
	out->vipa = (struct ip_address){.version = version};
	memcpy(out->vipa.bytes, address, version == 4 ? 4 : 16);
	return true;
}

static bool read_body(struct bytes *reader, struct heartbeat *out)
{
	uint8_t zero;

	bytes_skip(reader, 1); /* the version */
	out->kind = bytes_read_u8(reader);
	out->service_count = bytes_read_u8(reader);
	zero = bytes_read_u8(reader);
	out->session = bytes_read_u64(reader);
	out->sequence = bytes_read_u64(reader);
	out->challenge = bytes_read_u64(reader);
	out->load = bytes_read_u16(reader);
	out->mtu_bytes = bytes_read_u16(reader);
	if (zero || out->kind == HEARTBEAT_NONE || out->kind >= HEARTBEAT_KIND_COUNT
		|| (out->kind == HEARTBEAT_ANSWER && out->service_count > 0))
		return false;
	for (uint8_t i = 0; i < out->service_count; i++)
		if (!read_service(reader, &out->services[i]))
			return false;
	return bytes_is_ok(reader);
}

enum heartbeat_fault heartbeat_open(const uint8_t *body, size_t size,
	const uint8_t secret[SIPHASH_KEY_SIZE], const struct ip_address *source,
	const struct ip_address *destination, struct heartbeat *out)
{
	struct heartbeat message = {.kind = HEARTBEAT_NONE};
	uint8_t mac[SIPHASH_MAC_SIZE];
	struct bytes reader;
	size_t covered;

	if (size < HEARTBEAT_HEAD_SIZE + SIPHASH_MAC_SIZE)
		return HEARTBEAT_SHORT;
	if (body[0] != HEARTBEAT_VERSION)
		return HEARTBEAT_OTHER_VERSION;
	covered = HEARTBEAT_HEAD_SIZE + (size_t)body[2] * HEARTBEAT_SERVICE_SIZE;
	if (body[2] > HEARTBEAT_SERVICES_MAX)
		return HEARTBEAT_MALFORMED;
	if (size != covered + SIPHASH_MAC_SIZE)
		return HEARTBEAT_SHORT;
	authenticate(body, covered, secret, source, destination, mac);
	if (!secret_is_equal(mac, body + covered, sizeof(mac)))
		return HEARTBEAT_FORGED;
	reader = bytes_from(body, covered);
	if (!read_body(&reader, &message))
		return HEARTBEAT_MALFORMED;
	*out = message;
	return HEARTBEAT_FINE;
}

/* ---- writing ---- */

static void store64(uint8_t *out, uint64_t value)
{
	network_store32(out, (uint32_t)(value >> 32));
	network_store32(out + 4, (uint32_t)value);
}

static void write_service(uint8_t *out, const struct heartbeat_service *service)
{
	memset(out, 0, HEARTBEAT_SERVICE_SIZE);
	out[0] = service->vipa.version;
	out[1] = service->protocol;
	out[2] = service->is_ready;
	network_store16(out + 4, service->port);
	memcpy(out + 8, service->vipa.bytes, sizeof(service->vipa.bytes));
}

size_t heartbeat_seal(uint8_t out[HEARTBEAT_SIZE_MAX], const struct heartbeat *message,
	const uint8_t secret[SIPHASH_KEY_SIZE], const struct ip_address *source,
	const struct ip_address *destination)
{
	size_t size = HEARTBEAT_HEAD_SIZE;

	out[0] = HEARTBEAT_VERSION;
	out[1] = message->kind;
	out[2] = message->service_count;
	out[3] = 0;
	store64(out + 4, message->session);
	store64(out + 12, message->sequence);
	store64(out + 20, message->challenge);
	network_store16(out + 28, message->load);
	network_store16(out + 30, message->mtu_bytes);
	for (uint8_t i = 0; i < message->service_count; i++, size += HEARTBEAT_SERVICE_SIZE)
		write_service(out + size, &message->services[i]);
	authenticate(out, size, secret, source, destination, out + size);
	return size + SIPHASH_MAC_SIZE;
}
