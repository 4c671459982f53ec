/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a giver may say that has proved itself (D15): a byte that chooses the type, two of length,
 * and attributes as they are, behind a right header. Whatever came, all of it is taken back, and
 * nothing was sent.
 */
#include "../unit/packet/handover/handover_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void end(void)
{
	handover_lab_close(NULL);
}

static void start(void)
{
	if (handover_lab_open(NULL) < 0)
		abort();
	atexit(end);
}

static void check_nothing_is_left(void)
{
	if (sa_table_count() > 0 || policy_count() > 0
		|| distributor_workers[0]->connections->count > 0)
		abort();
	if (lab_count("xcf0") > 0 || lab_count("uplink") > 0)
		abort();
}

static void say(struct handover_taking *taking, uint8_t choice, const uint8_t *data, size_t size)
{
	static struct handover_message message;
	struct kmp_writer *writer = handover_say(&message,
		(enum kmp_type)(
			KMP_HANDOVER_BEGIN + choice % (KMP_HANDOVER_COMMIT - KMP_HANDOVER_BEGIN)));
	struct error error;

	memcpy(writer->out + writer->size, data, size);
	writer->size += size;
	if (handover_hear(taking, &message, &error) == KMP_OK && standby_state != STANDBY_ON)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handover_taking *taking;

	if (!distributor_workers[0])
		start();
	taking = handover_begin();
	if (!taking)
		abort();
	while (size >= 3) {
		size_t part = network_load16(data + 1) % (KMP_MESSAGE_MAX - KMP_HEADER_SIZE);

		part = part < size - 3 ? part : size - 3;
		say(taking, data[0], data + 3, part);
		data += 3 + part;
		size -= 3 + part;
	}
	handover_undo(taking);
	handover_taking_destroy(taking);
	check_nothing_is_left();
	return 0;
}
