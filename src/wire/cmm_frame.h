/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What two connection management mechanisms say to each other on their link (decision 0022), a TLS
 * stream of frames. In network order: length of the whole frame (32 bits), type (8), 24 zero bits;
 * then, by type (the letters R and S are the receiver's and the sender's host of a channel):
 *
 *	HELLO       both   magic, version, incarnation: a number drawn at each start
 *	AUTHORISED  S → R  names, endpoints: the sender's row is there; a request may be made again
 *	CONNECT     R → S  channel, stamp, limit, size of a message at most, names: the request
 *	                   with the key (the seed's steps 508, 510)
 *	ACCEPT      S → R  channel, size of a message at most: verified and stored (512, 514)
 *	REFUSE      S → R  channel, reason; or, while it stands, that a key was set again
 *	RESUME      R → S  channel, sequence, limit: what was delivered before the link was lost
 *	SYNCED      both   all channels of before were named
 *	CLOSE       both   channel, whether it is the sender's host that says so, reason
 *	DATA        S → R  channel, stamp, sequence, size and offset in the message, bytes
 *	                   (516 to 524)
 *	ACK         R → S  channel, sequence, limit
 *
 * `channel` is the receiver's host's number. A stamp is the ids of both ends, in the numbers of the
 * receiver's host, and the key. Sequences are positions in the sender's ring, which are those in
 * the receiver's: of a DATA where its record begins, of an ACK where the next one does; limit is
 * how far the sender may come. A message of more than CMM_PIECE_MAX bytes comes in pieces, in
 * order. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMM_MAGIC          0x42484c4b434d4d31ULL /* "BHLKCMM1" */
#define CMM_VERSION        1
#define CMM_KEY_SIZE       32
#define CMM_NAME_SIZE      32 /* of a partition, padded with zeros, one at least */
#define CMM_HEADER_SIZE    8
#define CMM_STAMP_SIZE     (16 + CMM_KEY_SIZE)
#define CMM_DATA_HEAD_SIZE (CMM_HEADER_SIZE + 4 + CMM_STAMP_SIZE + 8 + 4 + 4)
#define CMM_PIECE_MAX      32768
#define CMM_HELLO_SIZE     (CMM_HEADER_SIZE + 8 + 4 + 8)
#define CMM_CONTROL_MAX    (CMM_HEADER_SIZE + 4 + CMM_STAMP_SIZE + 8 + 4 + 2 * CMM_NAME_SIZE)
#define CMM_FRAME_MAX      (CMM_DATA_HEAD_SIZE + CMM_PIECE_MAX)
#define CMM_MESSAGE_MAX    (16 * 1024 * 1024)

enum cmm_frame_type {
	CMM_HELLO = 1,
	CMM_AUTHORISED,
	CMM_CONNECT,
	CMM_ACCEPT,
	CMM_REFUSE,
	CMM_RESUME,
	CMM_SYNCED,
	CMM_CLOSE,
	CMM_DATA,
	CMM_ACK,
	CMM_FRAME_TYPE_COUNT,
};

/* Fields that a type does not have are zero. Pointers are borrowed from the bytes that were read.
 */
struct cmm_frame {
	uint8_t type;     /* enum cmm_frame_type */
	uint32_t channel; /* never 0 */
	uint32_t sender_partition, sender_endpoint, receiver_partition, receiver_endpoint;
	const uint8_t *key; /* CMM_KEY_SIZE bytes */
	char sender[CMM_NAME_SIZE], receiver[CMM_NAME_SIZE];
	uint64_t sequence, limit;
	uint32_t size, offset;
	uint32_t reason;
	bool is_senders; /* of CLOSE */
	uint64_t incarnation;
	const uint8_t *payload;
	uint32_t payload_size;
};

/* Size of the frame at the start of bytes; 0: not all of it is there yet; -EPROTO: it is none, and
 * nothing behind it can be read. */
int cmm_frame_read(const uint8_t *bytes, size_t size, struct cmm_frame *out);

/* Writes a frame other than DATA; returns its size. Names are shorter than CMM_NAME_SIZE. */
size_t cmm_frame_write(uint8_t out[CMM_CONTROL_MAX], const struct cmm_frame *frame);
/* Writes what is in front of a DATA's payload; the caller puts payload_size bytes behind it. */
void cmm_frame_write_data(uint8_t out[CMM_DATA_HEAD_SIZE], const struct cmm_frame *frame);
