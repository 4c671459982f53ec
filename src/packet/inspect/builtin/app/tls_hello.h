/* SPDX-License-Identifier: BSD-3-Clause */
/* A TLS client hello (RFC 8446 section 4.1.2) and what identifies its sender. Pure. */
#pragma once

#include "packet/inspect/builtin/app/app.h"

#define JA3_HASH_SIZE 32 /* MD5 in hex */

struct tls_hello {
	uint16_t version;
	struct app_bytes ciphers, extensions, groups, formats; /* formats: one byte each */
	struct app_bytes server_name;                          /* RFC 6066; empty: none */
};

/* message: with its type and length. false: it is no whole hello. */
bool tls_hello_read(struct tls_hello *hello, struct app_bytes message);

/* "version,ciphers,extensions,groups,formats" in decimal, without the values of RFC 8701; returns
 * its size, at most out_size: what does not fit is cut. */
size_t tls_ja3(const struct tls_hello *hello, char *out, size_t out_size);
void tls_ja3_hash(const char *ja3, size_t size, uint8_t out[JA3_HASH_SIZE]);
