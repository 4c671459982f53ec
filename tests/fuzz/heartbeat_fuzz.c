/* SPDX-License-Identifier: BSD-3-Clause */
/* A heartbeat as it came, which nobody may forge, and the same bytes under a right code, as a peer
 * with defects would send them: what is read then has to be what would be written. */
#include "wire/heartbeat.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ip_address source = {4, {198, 51, 100, 2}};
static const struct ip_address destination = {4, {198, 51, 100, 1}};
static const uint8_t secret[SIPHASH_KEY_SIZE] = {0xa5, 0x5a, 1};

static void authenticate(uint8_t *body, size_t covered)
{
	struct siphash_state state;

	siphash_start(&state, secret);
	siphash_add(&state, "bulkhead heartbeat", sizeof("bulkhead heartbeat"));
	siphash_add(&state, &source, sizeof(source));
	siphash_add(&state, &destination, sizeof(destination));
	siphash_add(&state, body, covered);
	siphash_end(&state, body + covered);
}

static void open_authentic(const uint8_t *data, size_t size)
{
	uint8_t body[HEARTBEAT_SIZE_MAX], again[HEARTBEAT_SIZE_MAX];
	struct heartbeat message;
	size_t again_size;

	if (size < SIPHASH_MAC_SIZE || size > sizeof(body))
		return;
	memcpy(body, data, size);
	authenticate(body, size - SIPHASH_MAC_SIZE);
	switch (heartbeat_open(body, size, secret, &source, &destination, &message)) {
	case HEARTBEAT_FINE:
		again_size = heartbeat_seal(again, &message, secret, &source, &destination);
		/* Of an IPv4 address, the bytes behind it are not looked at. */
		if (again_size != size || memcmp(again, body, HEARTBEAT_HEAD_SIZE) != 0)
			abort();
		break;
	case HEARTBEAT_FORGED:
		abort();
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heartbeat message;

	if (heartbeat_open(data, size, secret, &source, &destination, &message) == HEARTBEAT_FINE)
		abort();
	open_authentic(data, size);
	return 0;
}
