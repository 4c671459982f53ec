/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which packets a trace or a capture wants: by ingress port, VLAN, and pcap-filter(7). Made by the
 * control thread; then constant, and matched by workers.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <pcap/pcap.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

struct filter {
	bool has_port;
	uint16_t port, port_generation;
	uint16_t vlan; /* 0: any */
	bool has_program;
	struct bpf_program program;
};

/* From params "port", "vlan" and "filter" of an API call. */
int filter_open(struct filter *filter, const json_t *params, struct error *error);
void filter_close(struct filter *filter);

bool filter_matches(const struct filter *filter, const struct rte_mbuf *packet);

/* The frame with its outer 802.1Q tag put back where the engine keeps it in the metadata: borrowed
 * from the packet's first segment, or copied to scratch. *size: how much of it there is. */
#define FILTER_SCRATCH_SIZE 512
const uint8_t *filter_view(
	const struct rte_mbuf *packet, uint8_t scratch[FILTER_SCRATCH_SIZE], uint32_t *size);
