/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL without hugepages, an open SA table, and parameters for it. */
#pragma once

#include "packet/engine/pool.h"
#include "packet/engine/worker.h"
#include "packet/ipsec/esp.h"
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"

#include "../port/frames.h"
#include "reference.h"

#include <stdio.h>

#define BENCH_SPI 0x12345678u

static inline int ipsec_bench_start(const char *name, uint32_t sas_max)
{
	struct error error;

	worker_index = 0;
	packet_pool = frames_start(name);
	if (!packet_pool)
		return -1;
	if (sa_table_open(sas_max, &error) == 0)
		return 0;
	fprintf(stderr, "%s\n", error.text);
	return -1;
}

static inline struct ip_address ipv4(uint32_t address)
{
	struct ip_address out = {.version = 4};

	network_store32(out.bytes, address);
	return out;
}

static inline struct ip_address ipv6(uint16_t last)
{
	struct ip_address out = {.version = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8}};

	network_store16(out.bytes + 14, last);
	return out;
}

#define CLIENT 0xc0000264u /* 192.0.2.100 */
#define VIPA   0xc6336401u /* 198.51.100.1 */

/* One cipher with one key size, or one cipher with one way of integrity. */
struct suite {
	uint8_t cipher, integrity;
	uint16_t key_size; /* with its salt */
};

static const struct suite suites[] = {
	{SA_CIPHER_AES_GCM_16, SA_INTEGRITY_NONE, 20},
	{SA_CIPHER_AES_GCM_16, SA_INTEGRITY_NONE, 28},
	{SA_CIPHER_AES_GCM_16, SA_INTEGRITY_NONE, 36},
	{SA_CIPHER_CHACHA20_POLY1305, SA_INTEGRITY_NONE, 36},
	{SA_CIPHER_AES_GMAC, SA_INTEGRITY_NONE, 20},
	{SA_CIPHER_AES_GMAC, SA_INTEGRITY_NONE, 36},
	{SA_CIPHER_AES_CBC, SA_INTEGRITY_HMAC_SHA1_96, 16},
	{SA_CIPHER_AES_CBC, SA_INTEGRITY_HMAC_SHA2_256_128, 32},
	{SA_CIPHER_AES_CBC, SA_INTEGRITY_HMAC_SHA2_512_256, 24},
	{SA_CIPHER_AES_CTR, SA_INTEGRITY_HMAC_SHA2_256_128, 20},
	{SA_CIPHER_AES_CTR, SA_INTEGRITY_HMAC_SHA2_384_192, 36},
	{SA_CIPHER_NULL, SA_INTEGRITY_HMAC_SHA1_96, 0},
	{SA_CIPHER_NULL, SA_INTEGRITY_HMAC_SHA2_256_128, 0},
};

static inline struct reference make_reference(const struct suite *suite, bool has_esn)
{
	static const uint8_t sizes[SA_INTEGRITY_COUNT] = {0, 20, 32, 48, 64};
	struct reference reference = {.cipher = suite->cipher,
		.integrity = suite->integrity,
		.key_size = suite->key_size,
		.integrity_key_size = sizes[suite->integrity],
		.has_esn = has_esn,
		.spi = BENCH_SPI};

	for (uint32_t i = 0; i < sizeof(reference.key); i++)
		reference.key[i] = (uint8_t)(i * 11 + suite->cipher);
	for (uint32_t i = 0; i < sizeof(reference.integrity_key); i++)
		reference.integrity_key[i] = (uint8_t)(i * 3 + 0x80);
	return reference;
}

/* Of the client to the VIPA inbound, the other way round outbound; transport mode. */
static inline struct sa_parameters make_parameters(
	const struct reference *reference, enum sa_direction direction)
{
	bool is_out = direction == SA_OUTBOUND;

	return (struct sa_parameters){
		.name = {.spi = reference->spi, .destination = ipv4(is_out ? CLIENT : VIPA)},
		.source = ipv4(is_out ? VIPA : CLIENT),
		.direction = (uint8_t)direction,
		.mode = SA_TRANSPORT,
		.cipher = reference->cipher,
		.integrity = reference->integrity,
		.cipher_key = reference->key,
		.cipher_key_size = reference->key_size,
		.integrity_key = reference->integrity_key,
		.integrity_key_size = reference->integrity_key_size,
		.has_esn = reference->has_esn,
		.replay_window = is_out ? 0 : 64,
		.owner = 7,
		.request = 1,
	};
}
