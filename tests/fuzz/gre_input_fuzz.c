/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * D6, D7, D14: frames from the link to the targets. The first byte says whether each is taken as it
 * is, or as what a target that has its keys would send: an inner packet in GRE, or a heartbeat.
 * Nothing leaks, and to clients nothing leaves but what a VIPA sends.
 */
#include "distributor_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES_MAX 8
#define IS_WRAPPED 0x04
#define IS_IPV6    0x08

static void wrap(struct lab_frame *frame, uint8_t choice)
{
	const struct ip_address source = lab_address(TARGET),
				destination = lab_address(DISTRIBUTOR);
	uint32_t size = ETH_HEADER_SIZE + gre_overhead(4);
	enum gre_kind kind = (enum gre_kind)((choice & 3) % GRE_KIND_COUNT);
	const struct gre_headers headers = {.source_mac = lab_target_mac,
		.destination_mac = lab_link_mac,
		.source = &source,
		.destination = &destination,
		.key = lab_key(kind),
		.protocol = kind == GRE_CONTROL ? GRE_HEARTBEAT
			: choice & IS_IPV6      ? ETH_TYPE_IPV6
						: ETH_TYPE_IPV4};

	memmove(frame->bytes + size, frame->bytes, frame->size);
	gre_write(frame->bytes, &headers, (uint32_t)frame->size);
	frame->size += size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_frame frame;
	uint8_t choice;

	if (size < 1)
		return 0;
	fuzz_begin();
	choice = *data++;
	size--;
	for (int i = 0; i < FRAMES_MAX && fuzz_next_frame(&data, &size, &frame); i++) {
		if (choice & IS_WRAPPED)
			wrap(&frame, choice);
		if (frame.size >= ETH_HEADER_SIZE)
			lab_send("xcf0", frame.bytes, frame.size);
	}
	fuzz_check_output();
	return 0;
}
