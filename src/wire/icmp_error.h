/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors carry the head of the packet that they are about (RFC 792, RFC 4443). Pure. */
#pragma once

#include "wire/decode.h"

#include <stddef.h>

/* 0: *about has version, protocol, addresses, ports and TCP's sequence number of that packet, where
 * its ports are in the frame (ip_payload_offset), and nothing else; -ENOENT: it is no error;
 * -EINVAL: it is one, and its head does not parse. */
int icmp_error_read(const struct decoded *error, struct decoded *about);

/*
 * Writes a frame that tells the sender of a packet that it is larger than mtu (RFC 1191, RFC 8201),
 * as if its addressee told, whose address the sender's stack takes without asking whose router that
 * is. Returns its size; 0: nobody is to be told (RFC 1122 section 3.2.2, RFC 4443 section 2.4), or
 * room is short of ICMP_ERROR_SIZE_MAX. The Ethernet header is the packet's own.
 */
#define ICMP_ERROR_SIZE_MAX 1294
size_t icmp_error_write_too_big(
	uint8_t *out, size_t room, const struct decoded *packet, uint32_t mtu);
