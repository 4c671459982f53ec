/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads and stores of unaligned big-endian fields. The caller has checked the length: these are for
 * the inside of codecs, where struct bytes would cost a second check per field.
 */
#pragma once

#include <assert.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t network_load16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap16(value);
}

static inline uint32_t network_load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap32(value);
}

static inline void network_store16(uint8_t *at, uint16_t value)
{
	value = __builtin_bswap16(value);
	memcpy(at, &value, sizeof(value));
}

static inline void network_store32(uint8_t *at, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(at, &value, sizeof(value));
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads swap");
