/* SPDX-License-Identifier: BSD-3-Clause */
/* The two attributes that only hand-overs have. Pure. */
#include "base/bytes.h"
#include "base/clock.h"
#include "packet/distributor/connection_table.h"
#include "packet/handover/handover.h"
#include "packet/ipsec/sa.h"
#include "wire/network.h"

#define PAST_IS_SOFT_TOLD 1

static void store64(uint8_t *at, uint64_t value)
{
	network_store32(at, (uint32_t)(value >> 32));
	network_store32(at + 4, (uint32_t)value);
}

/* The giver is silent: what its workers count stands still. Outbound it has promised to go no
 * further than sequence_max, inbound nothing came above the highest. */
void handover_put_past(struct kmp_writer *writer, const struct sa *sa)
{
	bool is_out = sa->direction == SA_OUTBOUND;
	uint64_t now_ns = clock_monotonic_ns();
	uint8_t bytes[KMP_PAST_SIZE];

	store64(bytes, is_out ? sa->sequence_max : 0);
	store64(bytes + 8, is_out ? 0 : sa->window.highest);
	store64(bytes + 16, sa->iv_base);
	store64(bytes + 24, sa->counters.packets);
	store64(bytes + 32, sa->counters.bytes);
	store64(bytes + 40, clock_elapsed_ns(now_ns, sa->added_ns) / CLOCK_NS_PER_MS);
	bytes[48] = sa->is_soft_told ? PAST_IS_SOFT_TOLD : 0;
	kmp_put(writer, KMP_ATTRIBUTE_PAST, bytes, sizeof(bytes));
}

enum kmp_code handover_get_past(const struct kmp_message *message, struct sa_past *out)
{
	struct bytes reader =
		bytes_from(message->attributes[KMP_ATTRIBUTE_PAST].value, KMP_PAST_SIZE);
	uint64_t now_ns = clock_monotonic_ns(), age_ms;
	uint8_t flags;

	*out = (struct sa_past){
		.sequence = bytes_read_u64(&reader), .floor = bytes_read_u64(&reader)};
	out->iv_base = bytes_read_u64(&reader);
	out->packets = bytes_read_u64(&reader);
	out->bytes = bytes_read_u64(&reader);
	age_ms = bytes_read_u64(&reader);
	flags = bytes_read_u8(&reader);
	/* Older than this machine runs: times of before its start are its start's. */
	out->added_ns = now_ns - RTE_MIN(age_ms, now_ns / CLOCK_NS_PER_MS) * CLOCK_NS_PER_MS;
	out->is_soft_told = flags & PAST_IS_SOFT_TOLD;
	return flags & ~PAST_IS_SOFT_TOLD ? KMP_BAD_VALUE : KMP_OK;
}

/* What else there is the client's next packet tells anew. */
#define SAID_FLAGS                                                                                 \
	(CONNECTION_IS_USED | CONNECTION_IS_SECURE | CONNECTION_CLIENT_DONE                        \
		| CONNECTION_TARGET_DONE)

void handover_write_connection(uint8_t row[KMP_CONNECTION_SIZE],
	const struct connection *connection, uint16_t vipa, uint16_t target)
{
	memcpy(row, connection->key.client, 16);
	network_store16(row + 16, connection->key.client_port);
	network_store16(row + 18, connection->key.port);
	network_store16(row + 20, vipa);
	network_store16(row + 22, target);
	row[24] = connection->key.protocol;
	row[25] = connection->state;
	row[26] = connection->flags & SAID_FLAGS;
	row[27] = 0;
	network_store32(row + 28, connection->acknowledged);
	network_store32(row + 32, connection->packets);
}

enum kmp_code handover_read_connection(
	const uint8_t row[KMP_CONNECTION_SIZE], struct connection *out)
{
	*out = (struct connection){.acknowledged = network_load32(row + 28),
		.packets = network_load32(row + 32),
		.target = network_load16(row + 22),
		.state = row[25],
		.flags = row[26],
		.key = {.client_port = network_load16(row + 16),
			.port = network_load16(row + 18),
			.vipa = network_load16(row + 20),
			.protocol = row[24]}};
	memcpy(out->key.client, row, 16);
	return out->state < CONNECTION_STATE_COUNT && !(out->flags & ~SAID_FLAGS) && row[27] == 0
		? KMP_OK
		: KMP_BAD_VALUE;
}
