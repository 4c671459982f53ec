/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream of frames as another mechanism may send it: what is read stays within its bytes, and is
 * written as the same bytes. */
#include "wire/cmm_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t again[CMM_FRAME_MAX];

static size_t write_again(const struct cmm_frame *frame)
{
	if (frame->type != CMM_DATA)
		return cmm_frame_write(again, frame);
	cmm_frame_write_data(again, frame);
	if (frame->payload_size > 0)
		memcpy(again + CMM_DATA_HEAD_SIZE, frame->payload, frame->payload_size);
	return CMM_DATA_HEAD_SIZE + frame->payload_size;
}

static void check(const struct cmm_frame *frame, const uint8_t *bytes, size_t size)
{
	if (write_again(frame) != size || memcmp(again, bytes, size) != 0)
		abort();
	if (strnlen(frame->sender, CMM_NAME_SIZE) == CMM_NAME_SIZE
		|| strnlen(frame->receiver, CMM_NAME_SIZE) == CMM_NAME_SIZE)
		abort();
	if (frame->type == CMM_DATA && frame->payload_size > frame->size - frame->offset)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cmm_frame frame;

	while (size > 0) {
		int taken = cmm_frame_read(data, size, &frame);

		if (taken <= 0) {
			if (taken != 0 && taken != -EPROTO)
				abort();
			return 0;
		}
		if ((size_t)taken > size)
			abort();
		check(&frame, data, (size_t)taken);
		data += taken;
		size -= (size_t)taken;
	}
	return 0;
}
