/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/metadata.h"

#include <rte_errno.h>

int packet_metadata_register(void)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "bulkhead_metadata",
		.size = sizeof(struct packet_metadata),
		.align = __alignof__(struct packet_metadata),
	};
	int offset = rte_mbuf_dynfield_register_offset(&field, PACKET_METADATA_OFFSET);

	return offset < 0 ? -rte_errno : 0;
}
