/* SPDX-License-Identifier: BSD-3-Clause */
/* A frame from a trusted link as GRE, of which all, or only a part, is in the first buffer. What
 * the parser points to has to be within the frame. */
#include "wire/gre.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const uint8_t *frame, size_t captured, size_t size)
{
	struct gre gre;

	if (gre_parse(frame, captured, size, &gre) != GRE_FINE)
		return;
	if (gre.payload_offset >= captured || gre.payload_offset >= gre.payload_end
		|| gre.payload_end > size || gre.source.version != gre.destination.version)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(data, size, size);
	parse(data, size, size + 1400);
	return 0;
}
