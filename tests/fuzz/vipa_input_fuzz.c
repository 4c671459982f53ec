/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * D1, D3: frames from outside for a virtual address: address resolution, IKE and ESP told from
 * plain, ICMP errors, fragments, connections. The first byte says what the VIPA demands, and
 * whether frames are addressed to it whatever they say; then come frames, each behind its size.
 * Nothing leaks, and nothing leaves that is not the distributor's own.
 */
#include "distributor_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES_MAX  8
#define IS_FOR_US   0x10
#define IS_FOR_US6  0x20
#define DEMANDS_MAX 3

static void choose_security(uint8_t choice)
{
	for (uint16_t i = 0; i < vipa_table->vipa_count; i++)
		vipa_table->vipas[i].security = choice;
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
	choose_security((choice & 0xf) % DEMANDS_MAX);
	for (int i = 0; i < FRAMES_MAX && fuzz_next_frame(&data, &size, &frame); i++) {
		if (frame.size < ETH_HEADER_SIZE)
			continue;
		if (choice & (IS_FOR_US | IS_FOR_US6))
			memcpy(frame.bytes, choice & IS_FOR_US ? lab_vipa_mac : lab_vipa6_mac, 6);
		lab_send("uplink", frame.bytes, frame.size);
	}
	/* What came from outside for others leaves by other ports than these. */
	fuzz_check_output();
	choose_security(VIPA_SECURITY_ALLOWED);
	return 0;
}
