/* SPDX-License-Identifier: BSD-3-Clause */
/* The flags of a TCP header (RFC 9293 section 3.1), as decode.h gives them. */
#pragma once

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_CWR = 0x80, /* RFC 3168 section 6.1 */
};
