/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP as the builtin inspector reads it. */
#include "app_pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_pieces(80, data, size);
}
