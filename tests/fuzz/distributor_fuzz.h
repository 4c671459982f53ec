/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two targets of the distributor have in common: the real nodes, and what may leave them.
 */
#pragma once

#include "../unit/packet/distributor/distributor_lab.h"

#include <stdlib.h>
#include <unistd.h>

/* What ports point to from EAL's memory is nobody's to a leak checker: it goes before that looks.
 */
static inline void fuzz_end(void)
{
	distributor_lab_close(NULL);
}

static inline void fuzz_open(void)
{
	if (distributor_lab_open(NULL) < 0)
		abort();
	atexit(fuzz_end);
}

/* Each run begins with the same tables: nothing is known, but one client's connection. */
static inline void fuzz_begin(void)
{
	struct connection_table *connections;
	struct distributor_worker *own;
	struct lab_frame frame;

	if (!distributor_workers[0])
		fuzz_open();
	own = distributor_workers[0];
	connections = own->connections;
	for (uint32_t i = 0; i < connections->fresh; i++)
		if (connections->entries[i].flags & CONNECTION_IS_USED)
			connection_remove(connections, &connections->entries[i]);
	while (own->waiting_count > 0)
		rte_pktmbuf_free(own->waiting[--own->waiting_count].packet);
	for (int i = 0; i < DATAGRAM_WAY_COUNT; i++)
		rte_ip_frag_table_del_expired_entries(
			own->fragments[i], &own->dead, UINT64_MAX / 2);
	rte_ip_frag_free_death_row(&own->dead, 0);
	neighbour_clear();
	neighbour_learn(10, &(struct ip_address){4, {192, 0, 2, 100}}, lab_client_mac,
		distribute_clock(), true);
	lab_make_tcp(&frame, true, CLIENT, VIPA, 4000, 80, 0x02, 0);
	lab_send("uplink", frame.bytes, frame.size);
	lab_clear();
}

/* On the link nothing but GRE with the target's keys, and questions; outside nothing but what a
 * VIPA sends. */
static inline void fuzz_check_output(void)
{
	const struct vipa_secret *secret = vipa_secret(vipa_table, 0);
	struct gre gre;

	for (size_t i = 0; i < lab_count("xcf0"); i++) {
		const struct lab_frame *frame = lab_frame_at("xcf0", i);

		if (memcmp(frame->bytes + 6, lab_link_mac, 6) != 0)
			abort();
		if (network_load16(frame->bytes + 12) == 0x0806)
			continue;
		if (gre_parse(frame->bytes, frame->size, frame->size, &gre) != GRE_FINE
			|| gre_kind_of(&secret->to_target, gre.key) < 0)
			abort();
	}
	for (size_t i = 0; i < lab_count("uplink"); i++) {
		const uint8_t *source = lab_frame_at("uplink", i)->bytes + 6;

		if (memcmp(source, lab_vipa_mac, 6) != 0 && memcmp(source, lab_vipa6_mac, 6) != 0)
			abort();
	}
	lab_clear();
}

/* The next frame of the input: 16 bits of size in front of each. False: there is none. */
static inline bool fuzz_next_frame(const uint8_t **data, size_t *size, struct lab_frame *frame)
{
	if (*size < 2)
		return false;
	frame->size = network_load16(*data) % (sizeof(frame->bytes) - 128);
	*data += 2;
	*size -= 2;
	if (frame->size > *size)
		frame->size = *size;
	memcpy(frame->bytes, *data, frame->size);
	*data += frame->size;
	*size -= frame->size;
	return true;
}
