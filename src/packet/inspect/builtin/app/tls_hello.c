/* SPDX-License-Identifier: BSD-3-Clause */
/* The digests are called by their old names: they take no memory, which the new ones do. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "packet/inspect/builtin/app/tls_hello.h"

#include "base/bytes.h"

#include <openssl/md5.h>
#include <stdio.h>

enum tls_extension {
	TLS_SERVER_NAME = 0,
	TLS_GROUPS = 10,
	TLS_POINT_FORMATS = 11,
};

static struct app_bytes take(struct bytes *bytes, size_t size)
{
	const uint8_t *at = bytes_take(bytes, size);

	return (struct app_bytes){at, at ? size : 0};
}

/* RFC 6066 section 3: the first name that is a host's. */
static struct app_bytes read_server_name(struct app_bytes body)
{
	struct bytes list = bytes_from(body.data, body.size);

	(void)bytes_read_u16(&list);
	while (bytes_left(&list) >= 3 && bytes_is_ok(&list)) {
		uint8_t type = bytes_read_u8(&list);
		uint16_t size = bytes_read_u16(&list);
		struct app_bytes name = take(&list, size);

		if (type == 0 && bytes_is_ok(&list))
			return name;
	}
	return (struct app_bytes){0};
}

static struct app_bytes without(struct app_bytes body, size_t prefix)
{
	if (body.size < prefix)
		return (struct app_bytes){0};
	return (struct app_bytes){body.data + prefix, body.size - prefix};
}

static void read_extensions(struct tls_hello *hello)
{
	struct bytes bytes = bytes_from(hello->extensions.data, hello->extensions.size);

	while (bytes_left(&bytes) >= 4 && bytes_is_ok(&bytes)) {
		uint16_t type = bytes_read_u16(&bytes), size = bytes_read_u16(&bytes);
		struct app_bytes body = take(&bytes, size);

		if (!bytes_is_ok(&bytes))
			return;
		if (type == TLS_SERVER_NAME && hello->server_name.size == 0)
			hello->server_name = read_server_name(body);
		else if (type == TLS_GROUPS)
			hello->groups = without(body, 2);
		else if (type == TLS_POINT_FORMATS)
			hello->formats = without(body, 1);
	}
}

bool tls_hello_read(struct tls_hello *hello, struct app_bytes message)
{
	struct bytes bytes = bytes_from(message.data, message.size);

	*hello = (struct tls_hello){0};
	bytes_skip(&bytes, 4); /* type and length */
	hello->version = bytes_read_u16(&bytes);
	bytes_skip(&bytes, 32);
	bytes_skip(&bytes, bytes_read_u8(&bytes));
	hello->ciphers = take(&bytes, bytes_read_u16(&bytes));
	bytes_skip(&bytes, bytes_read_u8(&bytes));
	if (!bytes_is_ok(&bytes))
		return false;
	if (bytes_left(&bytes) < 2)
		return true; /* without extensions, before TLS 1.2 */
	hello->extensions = take(&bytes, bytes_read_u16(&bytes));
	if (!bytes_is_ok(&bytes))
		return false;
	read_extensions(hello);
	return true;
}

/* ---- JA3 ---- */

struct text {
	char *out;
	size_t size, capacity;
};

static void put_number(struct text *text, unsigned int number, bool is_first)
{
	char digits[8];
	int size = snprintf(digits, sizeof(digits), "%s%u", is_first ? "" : "-", number);

	if (text->size + (size_t)size > text->capacity)
		return;
	memcpy(text->out + text->size, digits, (size_t)size);
	text->size += (size_t)size;
}

static void put_comma(struct text *text)
{
	if (text->size < text->capacity)
		text->out[text->size++] = ',';
}

/* RFC 8701: values that clients send to keep servers tolerant; they change each time. */
static bool is_grease(unsigned int value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void put_list(struct text *text, struct app_bytes list)
{
	bool is_first = true;

	put_comma(text);
	for (size_t i = 0; i + 1 < list.size; i += 2) {
		unsigned int value = (unsigned int)(list.data[i] << 8 | list.data[i + 1]);

		if (is_grease(value))
			continue;
		put_number(text, value, is_first);
		is_first = false;
	}
}

static void put_extensions(struct text *text, struct app_bytes extensions)
{
	struct bytes bytes = bytes_from(extensions.data, extensions.size);
	bool is_first = true;

	put_comma(text);
	while (bytes_left(&bytes) >= 4 && bytes_is_ok(&bytes)) {
		uint16_t type = bytes_read_u16(&bytes);

		bytes_skip(&bytes, bytes_read_u16(&bytes));
		if (is_grease(type) || !bytes_is_ok(&bytes))
			continue;
		put_number(text, type, is_first);
		is_first = false;
	}
}

size_t tls_ja3(const struct tls_hello *hello, char *out, size_t out_size)
{
	struct text text = {.out = out, .capacity = out_size};

	put_number(&text, hello->version, true);
	put_list(&text, hello->ciphers);
	put_extensions(&text, hello->extensions);
	put_list(&text, hello->groups);
	put_comma(&text);
	for (size_t i = 0; i < hello->formats.size; i++)
		put_number(&text, hello->formats.data[i], i == 0);
	return text.size;
}

void tls_ja3_hash(const char *ja3, size_t size, uint8_t out[JA3_HASH_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[MD5_DIGEST_LENGTH];

	MD5((const uint8_t *)ja3, size, digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		out[2 * i] = (uint8_t)digits[digest[i] >> 4];
		out[2 * i + 1] = (uint8_t)digits[digest[i] & 15];
	}
}
