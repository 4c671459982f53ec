/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/guard.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the guard's rules; the rest is the frame, two bytes of which may lie in a
 * later segment. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t macs[1][6] = {{2, 0, 0, 0, 0, 1}};
	struct guard_prefix ipv4 = {.address = {192, 0, 2, 10}, .mask = {255, 255, 255, 255}};
	struct guard_prefix ipv6 = {.address = {0x20, 1, 0xd, 0xb8}, .mask = {255, 255, 255, 255}};
	struct guard guard = {.macs = macs,
		.ipv4 = &ipv4,
		.ipv6 = &ipv6,
		.mac_count = 1,
		.ipv4_count = 1,
		.ipv6_count = 1};

	if (size < 1 + ETH_HEADER_SIZE + 2)
		return 0;
	guard.flags = data[0];
	guard_check(&guard, data + 1, (uint32_t)size - 1, (uint32_t)size - 1);
	if (guard_check(&guard, data + 1, (uint32_t)size - 3, (uint32_t)size - 1)
		>= DROP_REASON_COUNT)
		abort();
	return 0;
}
