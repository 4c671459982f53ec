/* SPDX-License-Identifier: BSD-3-Clause */
/* Changed bytes (I3): what rules replace, what was seen before with other content, urgent bytes. */
#include "packet/engine/pool.h"
#include "packet/inspect/builtin/job.h"
#include "packet/inspect/builtin/resize.h"
#include "packet/inspect/builtin/tcp.h"
#include "packet/inspect/builtin/translate.h"
#include "wire/checksum.h"
#include "wire/network.h"

#include <netinet/in.h>
#include <string.h>

/* Puts a copy in the place of a packet whose bytes others read too. */
static bool make_writable(struct job *job)
{
	struct rte_mbuf *copy;

	if (packet_is_writable(*job->packet))
		return true;
	copy = rte_pktmbuf_copy(*job->packet, packet_pool, 0, UINT32_MAX);
	if (!copy)
		return false;
	*packet_metadata(copy) = *packet_metadata(*job->packet);
	packet_metadata(copy)->flags &= (uint16_t)~PACKET_IS_COPY;
	if (!job->is_copied) {
		job->is_copied = copy->nb_segs > 1;
		job->frame = job->is_copied
			? memcpy(job->own->scratch, job->frame, job->decoded.frame_size)
			: rte_pktmbuf_mtod(copy, uint8_t *);
		job->decoded.frame = job->frame;
	}
	rte_pktmbuf_free(*job->packet); /* only now: the frame may have been in it */
	*job->packet = copy;
	return true;
}

/* Where a replacement lies in a datagram's pieces is not worked out: it is dropped instead. */
bool job_can_change(struct job *job)
{
	return !job->is_datagram && make_writable(job);
}

/* The changed frame's checksums, and its way back into pieces. A checksum that is left to the
 * device covers the pseudo header only, which stays as it was. */
void job_finish_change(struct job *job)
{
	if (!packet_has_open_checksum(*job->packet))
		checksum_repair(job->frame, &job->decoded);
	if (job->is_copied)
		packet_bytes_write(*job->packet, 0, job->frame, job->decoded.frame_size);
}

bool job_apply_rewrite(struct job *job)
{
	if (!job->stream || !job->step.must_rewrite)
		return true;
	if (!job_can_change(job))
		return false;
	stream_rewrite(job->stream, &job->step, job->frame + job->decoded.payload_offset);
	builtin_count(&job->own->counters.rewritten);
	job_emit_anomaly(job, "stream.reassembly_overlap_different_data");
	job->flow->is_suspicious = true;
	return true;
}

/* A receiver takes an urgent byte out of the stream, which was inspected with it: it is made an
 * ordinary one. Also without payload, since the pointer may be at a byte to come. */
bool job_clear_urgent(struct job *job)
{
	uint8_t *tcp;

	if (!job->flow || job->decoded.protocol != IPPROTO_TCP
		|| !(job->decoded.tcp_flags & TCP_URG))
		return true;
	if (!job_can_change(job))
		return false;
	tcp = job->frame + job->decoded.l4_offset;
	tcp[TCP_FLAGS_AT] &= (uint8_t)~TCP_URG;
	network_store16(tcp + TCP_URGENT_AT, 0);
	job->is_urgent = true;
	return true;
}

bool job_apply_edits(struct job *job)
{
	const struct detect_result *result = &job->result;

	if (resize_is_needed(result))
		return job->decoded.protocol == IPPROTO_TCP ? translate_edit(job)
							    : resize_datagram(job);
	if (result->replacement_count > 0 && !job_can_change(job))
		return false;
	for (uint16_t i = 0; i < result->replacement_count; i++) {
		const struct detect_replacement *edit = &result->replacements[i];

		if (edit->offset > job->decoded.payload_size
			|| edit->size > job->decoded.payload_size - edit->offset)
			continue;
		if (job->stream && job->step.to > job->step.from
			&& !stream_edit(
				job->stream, &job->step, edit->offset, edit->bytes, edit->size))
			return false;
		memcpy(job->frame + job->decoded.payload_offset + edit->offset, edit->bytes,
			edit->size);
		builtin_count(&job->own->counters.edited);
	}
	return true;
}
