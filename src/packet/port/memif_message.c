/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/memif_message.h"

#include <errno.h>
#include <string.h>

/* Where fields are; the type is in front of all of them. */
enum {
	AT_TYPE = 0,
	AT_HELLO_NAME = 2,
	AT_HELLO_VERSION_MIN = 34,
	AT_HELLO_VERSION_MAX = 36,
	AT_HELLO_REGION_MAX = 38,
	AT_HELLO_TO_CLIENT_MAX = 40,
	AT_HELLO_TO_SERVER_MAX = 42,
	AT_HELLO_RING_LOG2_MAX = 44,
	AT_INIT_VERSION = 2,
	AT_INIT_ID = 4,
	AT_INIT_MODE = 8,
	AT_INIT_NAME = 33, /* behind a secret of 24 bytes, which we have no use for */
	AT_REGION_INDEX = 2,
	AT_REGION_SIZE = 4,
	AT_RING_FLAGS = 2,
	AT_RING_INDEX = 4,
	AT_RING_REGION = 6,
	AT_RING_OFFSET = 8,
	AT_RING_LOG2_SIZE = 12,
	AT_RING_PRIVATE_SIZE = 13,
	AT_CONNECT_NAME = 2,
	AT_DISCONNECT_CODE = 2,
	AT_DISCONNECT_TEXT = 6,
};

#define LOAD(bytes, at, field)  memcpy(&(field), (bytes) + (at), sizeof(field))
#define STORE(bytes, at, field) memcpy((bytes) + (at), &(field), sizeof(field))

/* size is that of the string with its zero, one more than on the wire. */
static void load_text(const uint8_t *from, char *text, size_t size)
{
	memcpy(text, from, strnlen((const char *)from, size - 1)); /* the rest is zero before */
}

static void store_text(uint8_t *to, const char *text, size_t size)
{
	memcpy(to, text, strnlen(text, size - 1)); /* the wire's bytes are zero before */
}

static void decode_hello(const uint8_t *bytes, struct memif_message *out)
{
	load_text(bytes + AT_HELLO_NAME, out->hello.name, MEMIF_NAME_SIZE);
	LOAD(bytes, AT_HELLO_VERSION_MIN, out->hello.version_min);
	LOAD(bytes, AT_HELLO_VERSION_MAX, out->hello.version_max);
	LOAD(bytes, AT_HELLO_REGION_MAX, out->hello.region_max);
	LOAD(bytes, AT_HELLO_TO_CLIENT_MAX, out->hello.to_client_max);
	LOAD(bytes, AT_HELLO_TO_SERVER_MAX, out->hello.to_server_max);
	LOAD(bytes, AT_HELLO_RING_LOG2_MAX, out->hello.ring_log2_max);
}

static void decode_init(const uint8_t *bytes, struct memif_message *out)
{
	LOAD(bytes, AT_INIT_VERSION, out->init.version);
	LOAD(bytes, AT_INIT_ID, out->init.id);
	LOAD(bytes, AT_INIT_MODE, out->init.mode);
	load_text(bytes + AT_INIT_NAME, out->init.name, MEMIF_NAME_SIZE);
}

static void decode_add_ring(const uint8_t *bytes, struct memif_message *out)
{
	LOAD(bytes, AT_RING_FLAGS, out->add_ring.flags);
	LOAD(bytes, AT_RING_INDEX, out->add_ring.index);
	LOAD(bytes, AT_RING_REGION, out->add_ring.region);
	LOAD(bytes, AT_RING_OFFSET, out->add_ring.offset);
	LOAD(bytes, AT_RING_LOG2_SIZE, out->add_ring.log2_size);
	LOAD(bytes, AT_RING_PRIVATE_SIZE, out->add_ring.private_size);
}

int memif_message_decode(const uint8_t *bytes, size_t size, struct memif_message *out)
{
	uint16_t type;

	memset(out, 0, sizeof(*out));
	if (size != MEMIF_MESSAGE_SIZE)
		return -EBADMSG;
	LOAD(bytes, AT_TYPE, type);
	if (type < MEMIF_ACK || type > MEMIF_DISCONNECT)
		return -EBADMSG;
	out->type = (enum memif_message_type)type;
	switch (out->type) {
	case MEMIF_ACK:
		break;
	case MEMIF_HELLO:
		decode_hello(bytes, out);
		break;
	case MEMIF_INIT:
		decode_init(bytes, out);
		break;
	case MEMIF_ADD_REGION:
		LOAD(bytes, AT_REGION_INDEX, out->add_region.index);
		LOAD(bytes, AT_REGION_SIZE, out->add_region.size);
		break;
	case MEMIF_ADD_RING:
		decode_add_ring(bytes, out);
		break;
	case MEMIF_CONNECT:
	case MEMIF_CONNECTED:
		load_text(bytes + AT_CONNECT_NAME, out->interface, MEMIF_NAME_SIZE);
		break;
	case MEMIF_DISCONNECT:
		LOAD(bytes, AT_DISCONNECT_CODE, out->disconnect.code);
		load_text(bytes + AT_DISCONNECT_TEXT, out->disconnect.text, MEMIF_TEXT_SIZE);
		break;
	}
	return 0;
}

static void encode_hello(const struct memif_message *message, uint8_t *out)
{
	store_text(out + AT_HELLO_NAME, message->hello.name, MEMIF_NAME_SIZE);
	STORE(out, AT_HELLO_VERSION_MIN, message->hello.version_min);
	STORE(out, AT_HELLO_VERSION_MAX, message->hello.version_max);
	STORE(out, AT_HELLO_REGION_MAX, message->hello.region_max);
	STORE(out, AT_HELLO_TO_CLIENT_MAX, message->hello.to_client_max);
	STORE(out, AT_HELLO_TO_SERVER_MAX, message->hello.to_server_max);
	STORE(out, AT_HELLO_RING_LOG2_MAX, message->hello.ring_log2_max);
}

static void encode_init(const struct memif_message *message, uint8_t *out)
{
	STORE(out, AT_INIT_VERSION, message->init.version);
	STORE(out, AT_INIT_ID, message->init.id);
	STORE(out, AT_INIT_MODE, message->init.mode);
	store_text(out + AT_INIT_NAME, message->init.name, MEMIF_NAME_SIZE);
}

static void encode_add_ring(const struct memif_message *message, uint8_t *out)
{
	STORE(out, AT_RING_FLAGS, message->add_ring.flags);
	STORE(out, AT_RING_INDEX, message->add_ring.index);
	STORE(out, AT_RING_REGION, message->add_ring.region);
	STORE(out, AT_RING_OFFSET, message->add_ring.offset);
	STORE(out, AT_RING_LOG2_SIZE, message->add_ring.log2_size);
	STORE(out, AT_RING_PRIVATE_SIZE, message->add_ring.private_size);
}

void memif_message_encode(const struct memif_message *message, uint8_t out[MEMIF_MESSAGE_SIZE])
{
	uint16_t type = (uint16_t)message->type;

	memset(out, 0, MEMIF_MESSAGE_SIZE);
	STORE(out, AT_TYPE, type);
	switch (message->type) {
	case MEMIF_ACK:
		break;
	case MEMIF_HELLO:
		encode_hello(message, out);
		break;
	case MEMIF_INIT:
		encode_init(message, out);
		break;
	case MEMIF_ADD_REGION:
		STORE(out, AT_REGION_INDEX, message->add_region.index);
		STORE(out, AT_REGION_SIZE, message->add_region.size);
		break;
	case MEMIF_ADD_RING:
		encode_add_ring(message, out);
		break;
	case MEMIF_CONNECT:
	case MEMIF_CONNECTED:
		store_text(out + AT_CONNECT_NAME, message->interface, MEMIF_NAME_SIZE);
		break;
	case MEMIF_DISCONNECT:
		STORE(out, AT_DISCONNECT_CODE, message->disconnect.code);
		store_text(out + AT_DISCONNECT_TEXT, message->disconnect.text, MEMIF_TEXT_SIZE);
		break;
	}
}
