/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/app/app_parsers.h"
#include "packet/inspect/builtin/app/dns_message.h"

#define MESSAGE_MAX 65535
#define OPCODE_MAX  6 /* RFC 8490: the highest that is assigned */

bool dns_is_plausible(const uint8_t *bytes, size_t size)
{
	struct app_bytes message = {bytes, size};
	uint8_t name[DNS_NAME_MAX];
	struct dns_header header;
	uint16_t type;
	size_t name_size;

	if (!dns_header_read(&header, message) || header.opcode > OPCODE_MAX)
		return false;
	if (header.questions == 0)
		return header.is_response;
	return dns_question(message, 0, name, &name_size, &type);
}

static void tell(struct app_summary *summary, const struct app_input *input, struct app_bytes bytes)
{
	struct app_message message = {.protocol = APP_DNS,
		.to_server = input->to_server,
		.stage = APP_STAGE_HEADERS,
		.head = bytes};
	uint8_t name[DNS_NAME_MAX];
	struct dns_header header;
	size_t size = 0;

	if (!dns_header_read(&header, bytes)) {
		app_count(&input->counters->dns_malformed);
		return;
	}
	app_count(&input->counters->dns_messages);
	*summary = (struct app_summary){.protocol = APP_DNS, .dns_id = header.id};
	if (dns_question(bytes, 0, name, &size, &summary->dns_type))
		app_text(summary->host, sizeof(summary->host), name, size);
	else if (header.questions > 0)
		app_count(&input->counters->dns_malformed);
	input->listener->message(input->listener->context, &message);
}

enum app_outcome dns_datagram(struct app_summary *summary, const struct app_input *input,
	const uint8_t *bytes, size_t size)
{
	tell(summary, input, (struct app_bytes){bytes, size});
	return APP_OK;
}

static void begin(struct dns_side *side)
{
	side->prefix_size = 0;
	side->message.size = 0;
}

enum app_outcome dns_feed(struct dns *dns, struct app_summary *summary,
	const struct app_input *input, const uint8_t *bytes, size_t size)
{
	struct dns_side *side = &dns->sides[input->to_server ? 0 : 1];

	while (size > 0) {
		enum app_outcome outcome;
		size_t part;

		if (side->prefix_size < 2) {
			side->prefix[side->prefix_size++] = *bytes++;
			size--;
			if (side->prefix_size == 2)
				side->left = (uint16_t)(side->prefix[0] << 8 | side->prefix[1]);
			if (side->prefix_size == 2 && side->left == 0)
				begin(side);
			continue;
		}
		part = size < side->left ? size : side->left;
		outcome = app_store_add(&side->message, input->arena, bytes, part, MESSAGE_MAX);
		if (outcome != APP_OK)
			return outcome;
		bytes += part;
		size -= part;
		side->left -= (uint16_t)part;
		if (side->left > 0)
			continue;
		tell(summary, input, (struct app_bytes){side->message.data, side->message.size});
		begin(side);
	}
	return APP_OK;
}

void dns_close(struct dns *dns, struct arena *arena)
{
	app_store_free(&dns->sides[0].message, arena);
	app_store_free(&dns->sides[1].message, arena);
}
