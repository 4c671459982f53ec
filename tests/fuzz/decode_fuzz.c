/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/checksum.h"
#include "wire/decode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decoded decoded;

	decode_frame(data, size, &decoded);
	if (decoded.l3_end > size || decoded.l4_offset > size
		|| (decoded.payload_offset && decoded.payload_offset + decoded.payload_size > size))
		abort();
	checksum_is_right(&decoded);
	if (size > 64) {
		decode_headers(data, size - 64, size, &decoded);
		checksum_is_right(&decoded);
	}
	return (int)(decode_pair_hash(&decoded, 10) & 0);
}
