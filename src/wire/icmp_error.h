/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors carry the head of the packet that they are about (RFC 792, RFC 4443). Pure. */
#pragma once

#include "wire/decode.h"

/* 0: *about has version, protocol, addresses, ports and TCP's sequence number of that packet, where
 * its ports are in the frame (ip_payload_offset), and nothing else; -ENOENT: it is no error;
 * -EINVAL: it is one, and its head does not parse. */
int icmp_error_read(const struct decoded *error, struct decoded *about);
