/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter of a trace or capture: text up to a zero byte, then the frame it is matched with. What
 * must never happen is a question to the resolver. */
#include "packet/engine/filter.h"

#include "packet/engine/metadata.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In the place of libc's: a name ends the run. */
int getaddrinfo(const char *restrict node, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
	uint8_t address[16];

	(void)service;
	(void)hints;
	(void)result;
	if (node && inet_pton(AF_INET, node, address) != 1
		&& inet_pton(AF_INET6, node, address) != 1
		&& strspn(node, "0123456789.") < strlen(node))
		abort();
	return EAI_NONAME;
}

static void match(const struct filter *filter, const uint8_t *frame, size_t size)
{
	static struct rte_mbuf packet; /* its metadata says: tagged */
	uint8_t *copy = malloc(size + 1);

	if (!copy)
		return;
	memcpy(copy, frame, size);
	packet.buf_addr = copy;
	packet.data_off = 0;
	packet.nb_segs = 1;
	packet.data_len = (uint16_t)size;
	packet.pkt_len = (uint32_t)size;
	packet_metadata(&packet)->flags = PACKET_WAS_TAGGED;
	packet_metadata(&packet)->vlan = 10;
	(void)filter_matches(filter, &packet);
	packet_metadata(&packet)->flags = 0;
	(void)filter_matches(filter, &packet);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t text_size = strnlen((const char *)data, size);
	json_t *params = json_object();
	struct filter filter;
	struct error error;

	json_object_set_new(params, "filter", json_stringn((const char *)data, text_size));
	if (filter_open(&filter, params, &error) == 0 && text_size < size
		&& size - text_size < 2048)
		match(&filter, data + text_size + 1, size - text_size - 1);
	filter_close(&filter);
	json_decref(params);
	return 0;
}
