/* SPDX-License-Identifier: BSD-3-Clause */
/* A message of DNS (RFC 1035): its header and its questions. Pure. */
#pragma once

#include "packet/inspect/builtin/app/app.h"

#define DNS_NAME_MAX 1024 /* 255 bytes, as text without escapes fewer */

struct dns_header {
	uint16_t id, questions;
	uint8_t opcode;
	bool is_response;
};

bool dns_header_read(struct dns_header *header, struct app_bytes message);

/* The question with that index, as "www.example.org"; false: there is none, or it is broken. */
bool dns_question(struct app_bytes message, size_t index, uint8_t out[DNS_NAME_MAX], size_t *size,
	uint16_t *type);
