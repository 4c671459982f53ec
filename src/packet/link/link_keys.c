/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/error.h"
#include "base/hex.h"
#include "packet/link/link.h"

#include <errno.h>
#include <string.h>

#define ID_MAX        255
#define FILE_SIZE_MAX 4096

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* "ID HEX": nothing of the text gets into an error, it may be a key in the wrong place. */
static int parse_line(const char *at, const char *end, struct link_key *out)
{
	unsigned int id = 0, digits = 0;

	for (; at < end && *at >= '0' && *at <= '9' && id <= ID_MAX; at++, digits++)
		id = id * 10 + (unsigned int)(*at - '0');
	if (digits == 0 || id > ID_MAX || at == end || !is_blank(*at))
		return -EINVAL;
	while (at < end && is_blank(*at))
		at++;
	for (int i = 0; i < SIPHASH_KEY_SIZE; i++, at += 2) {
		int high = end - at >= 2 ? hex_value(at[0]) : -1;
		int low = high >= 0 ? hex_value(at[1]) : -1;

		if (low < 0)
			return -EINVAL;
		out->bytes[i] = (uint8_t)(high << 4 | low);
	}
	out->id = (uint8_t)id;
	return at == end ? 0 : -EINVAL;
}

static int add_key(
	struct link_keys *keys, const struct link_key *key, int line, struct error *error)
{
	if (keys->count == LINK_KEYS_MAX)
		return error_set(error, -EINVAL,
			"line %d: more than %d keys; one is in use, the other is the next or the "
			"last one",
			line, LINK_KEYS_MAX);
	if (keys->count > 0 && keys->keys[0].id == key->id)
		return error_set(
			error, -EINVAL, "line %d: both keys have the id %d", line, key->id);
	keys->keys[keys->count++] = *key;
	return 0;
}

int link_keys_parse(const char *text, size_t size, struct link_keys *out, struct error *error)
{
	const char *at = text, *text_end = text + size;
	struct link_key key;
	int status = 0;

	memset(out, 0, sizeof(*out));
	for (int line = 1; at < text_end && status == 0; line++) {
		const char *next = memchr(at, '\n', (size_t)(text_end - at));
		const char *end = next ? next : text_end, *comment;

		comment = memchr(at, '#', (size_t)(end - at));
		if (comment)
			end = comment;
		while (at < end && is_blank(*at))
			at++;
		while (end > at && is_blank(end[-1]))
			end--;
		if (at < end)
			status = parse_line(at, end, &key) < 0 ? error_set(error, -EINVAL,
					 "line %d: no key; a line is an id (0 to 255), a blank and "
					 "32 hexadecimal digits",
					 line)
							       : add_key(out, &key, line, error);
		at = next ? next + 1 : text_end;
	}
	explicit_bzero(&key, sizeof(key));
	if (status == 0 && out->count == 0)
		status = error_set(error, -EINVAL, "it has no key");
	if (status < 0)
		explicit_bzero(out, sizeof(*out));
	return status;
}

int link_keys_read(int fd, struct link_keys *out, struct error *error)
{
	struct secret *text;
	size_t size;
	int status = secret_read(fd, FILE_SIZE_MAX, &text, &size, error);

	if (status < 0)
		return status;
	status = link_keys_parse(secret_bytes(text), size, out, error);
	secret_destroy(text);
	return status;
}
