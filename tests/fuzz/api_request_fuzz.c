/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's message up to the point where it is passed on: parsed, admitted, and its parameters
 * used by the methods that read them here. Byte 0: what the client may do, and its descriptors. */
#include "control/api/api_access.h"
#include "control/config/config.h"
#include "control/events/event_bus.h"
#include "ipc/message.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_params(const struct api_method *method, const json_t *params)
{
	static struct event_bus *bus;
	char suggestion[128];

	if (!bus) {
		bus = event_bus_create();
		event_bus_publish(bus, json_pack("{s:s}", "event_type", "alert"));
		event_bus_publish(
			bus, json_pack("{s:s, s:s}", "event_type", "drop", "partition", "web"));
	}
	if (strcmp(method->name, "events.recent") == 0)
		json_decref(event_bus_recent(bus, params));
	if (strcmp(method->name, "config.explain") == 0 && json_object_get(params, "key"))
		json_decref(config_explain(json_string_value(json_object_get(params, "key")),
			suggestion, sizeof(suggestion)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_message message;
	struct ipc_refusal refusal;
	const struct api_method *method;
	struct error error;

	if (size < 1)
		return 0;
	if (ipc_message_parse((const char *)data + 1, size - 1, &message, &refusal) < 0) {
		ipc_refusal_clear(&refusal);
		return 0;
	}
	if (message.kind == IPC_MESSAGE_CALL
		&& api_admit((enum api_grant)(data[0] % 3), message.method, message.params,
			   data[0] / 3 % 3, &method, &error)
			== 0)
		use_params(method, message.params);
	ipc_message_clear(&message);
	return 0;
}
