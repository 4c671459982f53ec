/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *params = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct address_param addresses[PARAMS_ADDRESSES_MAX];
	char path[PARAMS_PATH_SIZE], interface[IFNAMSIZ];
	struct mac_param mac = {0};
	struct error error;
	int64_t queues;
	size_t count;

	params_path(params, "path", sizeof(path), path, &error);
	params_interface(params, "interface", interface, &error);
	params_mac(params, "mac", &mac, &error);
	params_integer(params, "queues", true, 1, 16, &queues, &error);
	params_addresses(params, "addresses", addresses, &count, &error);
	json_decref(params);
	return 0;
}
