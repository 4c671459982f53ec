/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/metadata.h"

#include <rte_errno.h>

int packet_metadata_offset = -1;

int packet_metadata_register(void)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "bulkhead_metadata",
		.size = sizeof(struct packet_metadata),
		.align = __alignof__(struct packet_metadata),
	};

	packet_metadata_offset = rte_mbuf_dynfield_register(&field);
	return packet_metadata_offset < 0 ? -rte_errno : 0;
}
