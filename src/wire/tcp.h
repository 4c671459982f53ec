/* SPDX-License-Identifier: BSD-3-Clause */
/* A TCP header (RFC 9293 section 3.1): where some of its fields are, and its flags as decode.h
 * gives them. */
#pragma once

#define TCP_FLAGS_AT  13
#define TCP_URGENT_AT 18

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_CWR = 0x80, /* RFC 3168 section 6.1 */
};
