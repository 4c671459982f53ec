/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_message message;
	struct ipc_refusal refusal;

	if (ipc_message_parse((const char *)data, size, &message, &refusal) == 0)
		ipc_message_clear(&message);
	ipc_refusal_clear(&refusal);
	return 0;
}
