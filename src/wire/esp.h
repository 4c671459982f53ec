/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Encapsulating Security Payload (RFC 4303), raw or in UDP (RFC 3948): sizes and fixed numbers.
 *
 *	SPI, sequence number (8 bytes) | IV | payload | padding, its length, next header | ICV
 */
#pragma once

#define ESP_PROTOCOL    50
#define ESP_HEADER_SIZE 8 /* SPI and sequence number */
#define ESP_TAIL_SIZE   2 /* length of the padding and next header */
#define ESP_PAD_MAX     255
#define ESP_SPI_MIN     256 /* RFC 4303 section 2.1: 1 to 255 are reserved, 0 is never sent */
#define ESP_UDP_PORT    4500
#define ESP_UDP_SIZE    8
#define ESP_ALIGNMENT   4 /* of what ends with the next header */

/* Next headers of what ESP carries. */
#define ESP_NEXT_IPV4  4
#define ESP_NEXT_IPV6  41
#define ESP_NEXT_DUMMY 59 /* RFC 4303 section 2.6: to be discarded without a word */
