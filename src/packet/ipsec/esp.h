/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ESP of one SA for a burst of packets (RFC 4303): opens and checks, or seals. Works on the ESP
 * part alone; what is around it is the nodes' business. Any worker, any SA (D18): sequence numbers
 * are taken by an atomic addition, the replay window is held under the SA's lock, after the work of
 * decrypting.
 *
 * On rte_cryptodev's synchronous calls, not on librte_ipsec: docs/decisions/0017 says why.
 */
#pragma once

#include "packet/engine/drop.h"
#include "packet/ipsec/sa.h"
#include "wire/esp.h"

#define ESP_BURST 32 /* packets of one call */

/* One packet's work. All pointers are into contiguous memory of the packet alone. */
struct esp_work {
	/* Of the caller. */
	struct rte_mbuf *packet;
	uint8_t *at;         /* opening: the ESP header; sealing: the payload */
	uint32_t size;       /* opening: of all of ESP; sealing: of the payload */
	uint8_t next_header; /* sealing: what the payload is; opening: what it turned out to be */
	/* Of the result. */
	uint8_t reason; /* enum drop_reason; DROP_none: at and size are, opening, those of the
			 * payload, sealing, those of ESP */
	uint64_t sequence;
};

/* Room that sealing needs in front of the payload, and behind it. */
static inline uint32_t esp_room_before(const struct sa *sa)
{
	return ESP_HEADER_SIZE + sa->crypto.iv_size;
}

static inline uint32_t esp_size_of(const struct sa *sa, uint32_t payload_size)
{
	return ESP_HEADER_SIZE + sa->crypto.iv_size
		+ RTE_ALIGN_CEIL(payload_size + ESP_TAIL_SIZE, (uint32_t)sa->crypto.alignment)
		+ sa->crypto.icv_size;
}

#define ESP_ROOM_BEHIND (16 + ESP_TAIL_SIZE + SA_ICV_MAX) /* padding, its tail and ICV */
/* GMAC with extended numbers borrows so much in front of ESP, and gives it back as it was. */
#define ESP_ROOM_BORROWED 4

/* At most ESP_BURST. Counts into the SA. now_s: monotonic seconds. */
void esp_open(struct sa *sa, struct esp_work *const *works, uint16_t count, uint64_t now_s);
void esp_seal(struct sa *sa, struct esp_work *const *works, uint16_t count, uint64_t now_s);
