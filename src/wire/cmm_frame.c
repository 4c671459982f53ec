/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/cmm_frame.h"

#include "base/bytes.h"
#include "wire/network.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* --- Reading --- */

static bool name_read(struct bytes *bytes, char out[CMM_NAME_SIZE])
{
	const uint8_t *at = bytes_take(bytes, CMM_NAME_SIZE);
	size_t length = at ? strnlen((const char *)at, CMM_NAME_SIZE) : 0;

	if (length == 0 || length == CMM_NAME_SIZE)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isascii(at[i]) || (!isalnum(at[i]) && at[i] != '-' && at[i] != '_'))
			return false;
	for (size_t i = length; i < CMM_NAME_SIZE; i++)
		if (at[i] != 0)
			return false;
	memcpy(out, at, CMM_NAME_SIZE);
	return true;
}

static bool endpoints_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->sender_endpoint = bytes_read_u32(bytes);
	out->receiver_endpoint = bytes_read_u32(bytes);
	return out->sender_endpoint != 0 && out->receiver_endpoint != 0;
}

static bool stamp_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->sender_partition = bytes_read_u32(bytes);
	out->receiver_partition = bytes_read_u32(bytes);
	if (!endpoints_read(bytes, out))
		return false;
	out->key = bytes_take(bytes, CMM_KEY_SIZE);
	return out->key != NULL;
}

static bool size_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->size = bytes_read_u32(bytes);
	return out->size <= CMM_MESSAGE_MAX;
}

static bool hello_read(struct bytes *bytes, struct cmm_frame *out)
{
	uint64_t magic = bytes_read_u64(bytes);
	uint32_t version = bytes_read_u32(bytes);

	out->incarnation = bytes_read_u64(bytes);
	return magic == CMM_MAGIC && version == CMM_VERSION;
}

static bool authorised_read(struct bytes *bytes, struct cmm_frame *out)
{
	return endpoints_read(bytes, out) && name_read(bytes, out->sender)
		&& name_read(bytes, out->receiver);
}

static bool connect_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->channel = bytes_read_u32(bytes);
	if (out->channel == 0 || !stamp_read(bytes, out))
		return false;
	out->limit = bytes_read_u64(bytes);
	return size_read(bytes, out) && name_read(bytes, out->sender)
		&& name_read(bytes, out->receiver);
}

static bool accept_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->channel = bytes_read_u32(bytes);
	return out->channel != 0 && size_read(bytes, out);
}

static bool refuse_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->channel = bytes_read_u32(bytes);
	out->reason = bytes_read_u32(bytes);
	return out->channel != 0;
}

static bool position_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->channel = bytes_read_u32(bytes);
	out->sequence = bytes_read_u64(bytes);
	out->limit = bytes_read_u64(bytes);
	return out->channel != 0 && out->limit >= out->sequence;
}

static bool synced_read(struct bytes *bytes, struct cmm_frame *out)
{
	return true;
}

static bool close_read(struct bytes *bytes, struct cmm_frame *out)
{
	uint32_t is_senders;

	out->channel = bytes_read_u32(bytes);
	is_senders = bytes_read_u32(bytes);
	out->reason = bytes_read_u32(bytes);
	out->is_senders = is_senders != 0;
	return out->channel != 0 && is_senders <= 1;
}

static bool data_read(struct bytes *bytes, struct cmm_frame *out)
{
	out->channel = bytes_read_u32(bytes);
	if (out->channel == 0 || !stamp_read(bytes, out))
		return false;
	out->sequence = bytes_read_u64(bytes);
	if (!size_read(bytes, out))
		return false;
	out->offset = bytes_read_u32(bytes);
	out->payload_size = (uint32_t)bytes_left(bytes);
	out->payload = bytes_take(bytes, out->payload_size);
	/* A piece has at least a byte; a message without any is one piece. */
	return bytes_is_ok(bytes) && out->offset <= out->size
		&& out->payload_size <= out->size - out->offset
		&& (out->payload_size > 0 || out->size == 0);
}

static bool (*const readers[CMM_FRAME_TYPE_COUNT])(struct bytes *, struct cmm_frame *) = {
	[CMM_HELLO] = hello_read,
	[CMM_AUTHORISED] = authorised_read,
	[CMM_CONNECT] = connect_read,
	[CMM_ACCEPT] = accept_read,
	[CMM_REFUSE] = refuse_read,
	[CMM_RESUME] = position_read,
	[CMM_SYNCED] = synced_read,
	[CMM_CLOSE] = close_read,
	[CMM_DATA] = data_read,
	[CMM_ACK] = position_read,
};

int cmm_frame_read(const uint8_t *bytes, size_t size, struct cmm_frame *out)
{
	struct bytes body;
	uint32_t length;

	if (size < CMM_HEADER_SIZE)
		return 0;
	length = network_load32(bytes);
	*out = (struct cmm_frame){.type = bytes[4]};
	if (length < CMM_HEADER_SIZE || length > CMM_FRAME_MAX || bytes[5] || bytes[6] || bytes[7]
		|| out->type == 0 || out->type >= CMM_FRAME_TYPE_COUNT)
		return -EPROTO;
	if (size < length)
		return 0;
	body = bytes_from(bytes + CMM_HEADER_SIZE, length - CMM_HEADER_SIZE);
	if (!readers[out->type](&body, out) || !bytes_is_ok(&body) || bytes_left(&body) != 0)
		return -EPROTO;
	return (int)length;
}

/* --- Writing --- */

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	network_store32(at, value);
	return at + sizeof(value);
}

static uint8_t *put64(uint8_t *at, uint64_t value)
{
	return put32(put32(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

static uint8_t *put_names(uint8_t *at, const struct cmm_frame *frame)
{
	at = put_bytes(at, frame->sender, CMM_NAME_SIZE);
	return put_bytes(at, frame->receiver, CMM_NAME_SIZE);
}

static uint8_t *put_endpoints(uint8_t *at, const struct cmm_frame *frame)
{
	return put32(put32(at, frame->sender_endpoint), frame->receiver_endpoint);
}

static uint8_t *put_stamp(uint8_t *at, const struct cmm_frame *frame)
{
	at = put32(put32(at, frame->sender_partition), frame->receiver_partition);
	return put_bytes(put_endpoints(at, frame), frame->key, CMM_KEY_SIZE);
}

static uint8_t *put_hello(uint8_t *at, const struct cmm_frame *frame)
{
	return put64(put32(put64(at, CMM_MAGIC), CMM_VERSION), frame->incarnation);
}

static uint8_t *put_authorised(uint8_t *at, const struct cmm_frame *frame)
{
	return put_names(put_endpoints(at, frame), frame);
}

static uint8_t *put_connect(uint8_t *at, const struct cmm_frame *frame)
{
	at = put_stamp(put32(at, frame->channel), frame);
	return put_names(put32(put64(at, frame->limit), frame->size), frame);
}

static uint8_t *put_accept(uint8_t *at, const struct cmm_frame *frame)
{
	return put32(put32(at, frame->channel), frame->size);
}

static uint8_t *put_refuse(uint8_t *at, const struct cmm_frame *frame)
{
	return put32(put32(at, frame->channel), frame->reason);
}

static uint8_t *put_position(uint8_t *at, const struct cmm_frame *frame)
{
	return put64(put64(put32(at, frame->channel), frame->sequence), frame->limit);
}

static uint8_t *put_nothing(uint8_t *at, const struct cmm_frame *frame)
{
	return at;
}

static uint8_t *put_close(uint8_t *at, const struct cmm_frame *frame)
{
	return put32(put32(put32(at, frame->channel), frame->is_senders), frame->reason);
}

static void put_header(uint8_t *out, uint8_t type, size_t size)
{
	network_store32(out, (uint32_t)size);
	out[4] = type;
	out[5] = out[6] = out[7] = 0;
}

size_t cmm_frame_write(uint8_t out[CMM_CONTROL_MAX], const struct cmm_frame *frame)
{
	static uint8_t *(*const writers[CMM_FRAME_TYPE_COUNT])(
		uint8_t *, const struct cmm_frame *) = {
		[CMM_HELLO] = put_hello,
		[CMM_AUTHORISED] = put_authorised,
		[CMM_CONNECT] = put_connect,
		[CMM_ACCEPT] = put_accept,
		[CMM_REFUSE] = put_refuse,
		[CMM_RESUME] = put_position,
		[CMM_SYNCED] = put_nothing,
		[CMM_CLOSE] = put_close,
		[CMM_ACK] = put_position,
	};
	size_t size = (size_t)(writers[frame->type](out + CMM_HEADER_SIZE, frame) - out);

	put_header(out, frame->type, size);
	return size;
}

void cmm_frame_write_data(uint8_t out[CMM_DATA_HEAD_SIZE], const struct cmm_frame *frame)
{
	uint8_t *at;

	put_header(out, CMM_DATA, CMM_DATA_HEAD_SIZE + frame->payload_size);
	at = put_stamp(put32(out + CMM_HEADER_SIZE, frame->channel), frame);
	put32(put32(put64(at, frame->sequence), frame->size), frame->offset);
}
