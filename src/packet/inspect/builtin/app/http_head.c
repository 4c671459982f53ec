/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/app/http_head.h"

#include <ctype.h>
#include <string.h>

/* ---- reading ---- */

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static struct app_bytes trim(struct app_bytes text)
{
	while (text.size > 0 && isspace(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && isspace(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* The next line without its end; bytes is moved behind it. */
static struct app_bytes take_line(struct app_bytes *bytes)
{
	const uint8_t *end = bytes->size ? memchr(bytes->data, '\n', bytes->size) : NULL;
	size_t size = end ? (size_t)(end - bytes->data) + 1 : bytes->size;
	struct app_bytes line = {bytes->data, end ? size - 1 : size};

	bytes->data += size;
	bytes->size -= size;
	while (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	return line;
}

/* Cuts at runs of blanks; the last word is all that is left, as libhtp has it. */
static void read_words(struct http_head *head)
{
	struct app_bytes rest = head->line;

	for (int word = 0; word < 3; word++) {
		size_t size = 0;

		while (rest.size > 0 && is_blank(rest.data[0])) {
			rest.data++;
			rest.size--;
		}
		while (size < rest.size && (word == 2 || !is_blank(rest.data[size])))
			size++;
		head->words[word] = (struct app_bytes){rest.data, size};
		rest.data += size;
		rest.size -= size;
	}
	head->words[2] = trim(head->words[2]);
}

static void add_header(struct http_head *head, struct app_bytes line)
{
	const uint8_t *colon = memchr(line.data, ':', line.size);
	struct http_header *header = &head->headers[head->header_count];
	size_t name = colon ? (size_t)(colon - line.data) : 0;

	if (head->header_count == HTTP_HEADERS_MAX)
		return;
	head->header_count++;
	/* Without a colon: a value without name, as libhtp. */
	header->name = trim((struct app_bytes){line.data, name});
	header->value =
		colon ? trim((struct app_bytes){colon + 1, line.size - name - 1}) : trim(line);
}

void http_head_read(struct http_head *head, struct app_bytes bytes)
{
	struct app_bytes rest = bytes, line;

	head->header_count = 0;
	head->line = take_line(&rest);
	read_words(head);
	head->block = rest;
	while (rest.size > 0) {
		line = take_line(&rest);
		if (line.size == 0)
			break;
		/* RFC 9112 section 5.2: a line that begins with a blank goes on with the value. */
		if (is_blank(line.data[0]) && head->header_count > 0) {
			struct app_bytes *value = &head->headers[head->header_count - 1].value;

			value->size = (size_t)(line.data + line.size - value->data);
			*value = trim(*value);
		} else {
			add_header(head, line);
		}
	}
}

static bool has_name(const struct http_header *header, const char *name)
{
	return header->name.size == strlen(name)
		&& strncasecmp((const char *)header->name.data, name, header->name.size) == 0;
}

const struct http_header *http_head_find(const struct http_head *head, const char *name, size_t *at)
{
	while (*at < head->header_count) {
		const struct http_header *header = &head->headers[(*at)++];

		if (has_name(header, name))
			return header;
	}
	return NULL;
}

/* ---- targets ---- */

struct app_bytes http_authority(struct app_bytes target, struct app_bytes *path)
{
	const uint8_t *at = memmem(target.data, target.size, "://", 3), *slash, *user;
	struct app_bytes authority = {target.data, 0};

	*path = target;
	if (!at || (target.size > 0 && target.data[0] == '/'))
		return authority;
	for (const uint8_t *scheme = target.data; scheme < at; scheme++)
		if (!isalnum(*scheme) && *scheme != '+' && *scheme != '-' && *scheme != '.')
			return authority;
	authority.data = at + 3;
	authority.size = target.size - (size_t)(authority.data - target.data);
	for (slash = authority.data; slash < authority.data + authority.size; slash++)
		if (*slash == '/' || *slash == '?' || *slash == '#' || *slash == '\\')
			break;
	path->data = slash;
	path->size = target.size - (size_t)(slash - target.data);
	authority.size = (size_t)(slash - authority.data);
	user = memrchr(authority.data, '@', authority.size);
	if (user) {
		authority.size -= (size_t)(user + 1 - authority.data);
		authority.data = user + 1;
	}
	return authority;
}

static int digit_of(uint8_t byte)
{
	if (isdigit(byte))
		return byte - '0';
	byte = (uint8_t)tolower(byte);
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* count hex digits as a number; -1: they are none. */
static int read_hex(const uint8_t *at, size_t size, size_t count)
{
	int value = 0;

	if (size < count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int digit = digit_of(at[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* The byte that stands for a character, as servers that map to Latin 1 do; full-width forms
 * (U+FF01 …) are ASCII there. */
static uint8_t best_fit(unsigned int character)
{
	if (character < 0x100)
		return (uint8_t)character;
	if (character >= 0xff01 && character <= 0xff5e)
		return (uint8_t)(character - 0xff01 + 0x21);
	return character == 0x2215 || character == 0x2044 ? '/' : '?';
}

/* One byte of the text, decoded; *at is moved behind it. */
static uint8_t decode_byte(struct app_bytes text, size_t *at, bool has_u)
{
	const uint8_t *bytes = text.data + *at;
	size_t left = text.size - *at;
	int value;

	if (bytes[0] != '%') {
		(*at)++;
		return bytes[0];
	}
	if (has_u && left >= 6 && (bytes[1] == 'u' || bytes[1] == 'U')) {
		value = read_hex(bytes + 2, left - 2, 4);
		if (value >= 0) {
			*at += 6;
			return best_fit((unsigned int)value);
		}
	}
	value = read_hex(bytes + 1, left - 1, 2);
	*at += value >= 0 ? 3 : 1;
	return value >= 0 ? (uint8_t)value : '%';
}

/* UTF-8 into one byte a character, also in the overlong forms that hide slashes; in place. */
static size_t fold_utf8(uint8_t *text, size_t size)
{
	size_t out = 0, at = 0;

	while (at < size) {
		uint8_t byte = text[at];
		size_t more = byte >= 0xf0 && byte < 0xf8 ? 3
			: byte >= 0xe0 && byte < 0xf0     ? 2
			: byte >= 0xc0 && byte < 0xe0     ? 1
							  : 0;
		unsigned int character = more ? byte & (0x3fu >> more) : byte;
		size_t i = 1;

		for (; i <= more && at + i < size && (text[at + i] & 0xc0) == 0x80; i++)
			character = character << 6 | (text[at + i] & 0x3f);
		if (more == 0 || i <= more) {
			text[out++] = byte;
			at++;
			continue;
		}
		text[out++] = best_fit(character);
		at += more + 1;
	}
	return out;
}

/* Backslashes, and runs of slashes; in place. */
static size_t fold_slashes(uint8_t *path, size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = path[i] == '\\' ? '/' : path[i];

		if (byte != '/' || out == 0 || path[out - 1] != '/')
			path[out++] = byte;
	}
	return out;
}

/* "." and ".." (RFC 3986 section 5.2.4); in place. */
static size_t remove_dots(uint8_t *path, size_t size)
{
	size_t out = 0, at = 0;

	while (at < size) {
		size_t end = at + (path[at] == '/'), length;

		while (end < size && path[end] != '/')
			end++;
		length = end - at - (path[at] == '/');
		if (length == 1 && path[end - 1] == '.') {
			if (end == size && path[at] == '/')
				path[out++] = '/';
		} else if (length == 2 && path[end - 1] == '.' && path[end - 2] == '.') {
			while (out > 0 && path[--out] != '/')
				;
			if (end == size && path[at] == '/')
				path[out++] = '/';
		} else {
			memmove(path + out, path + at, end - at);
			out += end - at;
		}
		at = end;
	}
	return out;
}

size_t http_normalise_target(struct app_bytes target, uint8_t *out)
{
	struct app_bytes path;
	size_t at = 0, size = 0, query;

	(void)http_authority(target, &path);
	while (at < path.size && path.data[at] != '?' && path.data[at] != '#')
		out[size++] = decode_byte(path, &at, true);
	size = fold_utf8(out, size);
	size = fold_slashes(out, size);
	size = remove_dots(out, size);
	/* Unlike the path, the query is decoded and no more. */
	for (query = at; at < path.size && path.data[at] != '#';)
		out[size++] = at == query ? path.data[at++] : decode_byte(path, &at, false);
	/* A fragment is never sent by browsers; it is kept as it is. */
	if (at < path.size) {
		memcpy(out + size, path.data + at, path.size - at);
		size += path.size - at;
	}
	return size;
}

/* ---- headers ---- */

/* A value without line breaks; the blanks of its folds stay, as libhtp has it. */
static size_t put_unfolded(struct app_bytes value, uint8_t *out)
{
	size_t size = 0;

	for (size_t i = 0; i < value.size; i++)
		if (value.data[i] != '\r' && value.data[i] != '\n')
			out[size++] = value.data[i];
	return size;
}

static size_t put(uint8_t *out, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(out, bytes, size);
	return size;
}

size_t http_values(const struct http_head *head, const char *name, uint8_t *out)
{
	const struct http_header *header;
	size_t at = 0, size = 0;
	bool is_first = true;

	while ((header = http_head_find(head, name, &at))) {
		if (!is_first)
			size += put(out + size, ", ", 2);
		size += put_unfolded(header->value, out + size);
		is_first = false;
	}
	return size;
}

size_t http_host(const struct http_head *head, bool is_raw, uint8_t *out, size_t room)
{
	struct app_bytes path, host = http_authority(head->words[HTTP_TARGET], &path);
	bool has_port = is_raw && host.size == 0; /* libhtp has none of the target's */
	size_t at = 0, size = 0;

	if (host.size == 0) {
		const struct http_header *header = http_head_find(head, "host", &at);

		if (!header)
			return 0;
		host = header->value;
	}
	if (host.size > room)
		host.size = room;
	if (has_port)
		return put(out, host.data, host.size);
	for (; size < host.size; size++) {
		/* The port; colons within brackets belong to an IPv6 address. */
		if (host.data[size] == ':' && !memchr(host.data + size, ']', host.size - size))
			break;
		out[size] = is_raw ? host.data[size] : (uint8_t)tolower(host.data[size]);
	}
	return size;
}

static bool is_cookie(const struct http_header *header)
{
	return has_name(header, "cookie") || has_name(header, "set-cookie");
}

/* Whether the header is the first of its name: later ones are told with it. */
static bool is_first(const struct http_head *head, size_t index)
{
	const struct http_header *header = &head->headers[index];

	for (size_t i = 0; i < index; i++)
		if (head->headers[i].name.size == header->name.size
			&& strncasecmp((const char *)head->headers[i].name.data,
				   (const char *)header->name.data, header->name.size)
				== 0)
			return false;
	return true;
}

/* The values of all headers with the name of this one. */
static size_t put_same(const struct http_head *head, size_t index, uint8_t *out)
{
	const struct http_header *first = &head->headers[index];
	size_t size = put_unfolded(first->value, out);

	for (size_t i = index + 1; i < head->header_count; i++) {
		const struct http_header *header = &head->headers[i];

		if (header->name.size != first->name.size || first->name.size == 0
			|| strncasecmp((const char *)header->name.data,
				   (const char *)first->name.data, first->name.size)
				!= 0)
			continue;
		size += put(out + size, ", ", 2);
		size += put_unfolded(header->value, out + size);
	}
	return size;
}

size_t http_header_block(const struct http_head *head, bool has_cookies, uint8_t *out)
{
	size_t size = 0;

	for (size_t i = 0; i < head->header_count; i++) {
		const struct http_header *header = &head->headers[i];

		if ((!has_cookies && is_cookie(header))
			|| (header->name.size > 0 && !is_first(head, i)))
			continue;
		size += put(out + size, header->name.data, header->name.size);
		size += put(out + size, ": ", 2);
		size += put_same(head, i, out + size);
		size += put(out + size, "\r\n", 2);
	}
	return size;
}

size_t http_header_names(const struct http_head *head, uint8_t *out)
{
	size_t size = put(out, "\r\n", 2);

	for (size_t i = 0; i < head->header_count; i++) {
		if (head->headers[i].name.size > 0 && !is_first(head, i))
			continue;
		size += put(out + size, head->headers[i].name.data, head->headers[i].name.size);
		size += put(out + size, "\r\n", 2);
	}
	return size + put(out + size, "\r\n", 2);
}
