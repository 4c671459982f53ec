/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/resize.h"

#include "packet/engine/metadata.h"
#include "packet/engine/pool.h"
#include "wire/checksum.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <string.h>

#define IP_SIZE_MAX      65535
#define IPV6_HEADER_SIZE 40
#define UDP_LENGTH_AT    4

bool resize_is_needed(const struct detect_result *result)
{
	for (uint16_t i = 0; i < result->replacement_count; i++)
		if (result->replacements[i].new_size != result->replacements[i].size)
			return true;
	return false;
}

void resize_sort(struct detect_replacement *edits, uint16_t count)
{
	for (uint16_t i = 1; i < count; i++) {
		struct detect_replacement edit = edits[i];
		uint16_t at = i;

		for (; at > 0 && edits[at - 1].offset > edit.offset; at--)
			edits[at] = edits[at - 1];
		edits[at] = edit;
	}
}

/* Headers and the changed payload as one run; 0: not possible. */
static uint32_t build(
	const struct job *job, const struct detect_replacement *edits, uint16_t count, uint8_t *out)
{
	const struct decoded *decoded = &job->decoded;
	const uint8_t *payload = job->frame + decoded->payload_offset;
	uint32_t size = decoded->payload_offset, at = 0;
	uint32_t limit = decoded->l3_offset + IP_SIZE_MAX;

	memcpy(out, job->frame, size);
	for (uint16_t i = 0; i <= count; i++) {
		uint32_t end = i < count ? edits[i].offset : decoded->payload_size;

		if (end < at || end > decoded->payload_size || size + (end - at) > limit)
			return 0;
		memcpy(out + size, payload + at, end - at);
		size += end - at;
		if (i == count)
			break;
		at = end + edits[i].size;
		if (size + edits[i].new_size > limit)
			return 0;
		memcpy(out + size, edits[i].bytes, edits[i].new_size);
		size += edits[i].new_size;
	}
	return size;
}

static void finish_headers(
	const struct job *job, uint8_t *frame, uint32_t size, struct decoded *decoded)
{
	const struct decoded *old = &job->decoded;
	uint8_t *ip = frame + old->l3_offset;

	if (old->ip_version == 4)
		network_store16(ip + 2, (uint16_t)(size - old->l3_offset));
	else
		network_store16(ip + 4, (uint16_t)(size - old->l3_offset - IPV6_HEADER_SIZE));
	network_store16(frame + old->l4_offset + UDP_LENGTH_AT, (uint16_t)(size - old->l4_offset));
	decode_frame(frame, size, decoded);
	checksum_repair(frame, decoded);
}

struct rte_mbuf *resize_make_packet(struct rte_mbuf *old, const uint8_t *frame, uint32_t size)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool), *last = packet;

	if (!packet || pool_append(packet, &last, frame, size) < 0) {
		rte_pktmbuf_free(packet);
		return NULL;
	}
	*packet_metadata(packet) = *packet_metadata(old);
	packet_metadata(packet)->flags &= (uint16_t)~PACKET_IS_COPY;
	return packet;
}

bool resize_datagram(struct job *job)
{
	struct detect_result *result = &job->result;
	uint8_t *frame = job->own->resized;
	struct rte_mbuf *packet;
	uint32_t size;

	/* Several datagrams in one buffer (GSO), or one in several packets. */
	if (job->is_datagram || ((*job->packet)->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		|| job->decoded.protocol != IPPROTO_UDP || job->decoded.payload_offset == 0)
		return false;
	resize_sort(result->replacements, result->replacement_count);
	size = build(job, result->replacements, result->replacement_count, frame);
	if (size == 0)
		return false;
	finish_headers(job, frame, size, &job->decoded);
	packet = resize_make_packet(*job->packet, frame, size);
	if (!packet)
		return false;
	rte_pktmbuf_free(*job->packet);
	builtin_count(&job->own->counters.edited);
	*job->packet = packet;
	job->frame = frame;
	job->is_copied = true;
	return true;
}
