/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ESP written a second time, plainly and on OpenSSL, straight from RFC 4303, 4106, 4543, 3602,
 * 3686, 7634 and 4868: what the engine seals has to open here, and the other way round.
 */
#pragma once

#include "packet/ipsec/sa_crypto.h"
#include "wire/esp.h"
#include "wire/network.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

struct reference {
	uint8_t cipher, integrity;
	uint8_t key[36]; /* with its salt */
	uint16_t key_size;
	uint8_t integrity_key[64];
	uint16_t integrity_key_size;
	bool has_esn;
	uint32_t spi;
};

static inline uint32_t reference_iv_size(const struct reference *of)
{
	return of->cipher == SA_CIPHER_NULL ? 0 : of->cipher == SA_CIPHER_AES_CBC ? 16 : 8;
}

static inline uint32_t reference_icv_size(const struct reference *of)
{
	static const uint8_t sizes[SA_INTEGRITY_COUNT] = {16, 12, 16, 24, 32};

	return sizes[of->integrity];
}

static inline const EVP_CIPHER *reference_cipher(const struct reference *of)
{
	int bits = of->key_size * 8;

	switch (of->cipher) {
	case SA_CIPHER_AES_GCM_16:
	case SA_CIPHER_AES_GMAC:
		return bits == 160    ? EVP_aes_128_gcm()
			: bits == 224 ? EVP_aes_192_gcm()
				      : EVP_aes_256_gcm();
	case SA_CIPHER_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case SA_CIPHER_AES_CBC:
		return bits == 128    ? EVP_aes_128_cbc()
			: bits == 192 ? EVP_aes_192_cbc()
				      : EVP_aes_256_cbc();
	default:
		return bits == 160    ? EVP_aes_128_ctr()
			: bits == 224 ? EVP_aes_192_ctr()
				      : EVP_aes_256_ctr();
	}
}

static inline uint32_t reference_aad(const struct reference *of, uint64_t sequence, uint8_t out[12])
{
	network_store32(out, of->spi);
	if (!of->has_esn) {
		network_store32(out + 4, (uint32_t)sequence);
		return 8;
	}
	network_store32(out + 4, (uint32_t)(sequence >> 32));
	network_store32(out + 8, (uint32_t)sequence);
	return 12;
}

/* AEAD and GMAC: text is worked on in place; tag is written, or set to be compared. */
static inline bool reference_aead(const struct reference *of, bool is_sealing, uint64_t sequence,
	const uint8_t *iv, uint8_t *text, uint32_t size, uint8_t *tag)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	bool is_gmac = of->cipher == SA_CIPHER_AES_GMAC;
	uint8_t nonce[12], aad[12], rest[16];
	uint32_t aad_size = reference_aad(of, sequence, aad);
	int done, ok;

	memcpy(nonce, of->key + of->key_size - 4, 4);
	memcpy(nonce + 4, iv, 8);
	ok = EVP_CipherInit_ex(context, reference_cipher(of), NULL, of->key, nonce, is_sealing);
	ok &= EVP_CipherUpdate(context, NULL, &done, aad, (int)aad_size);
	if (is_gmac)
		ok &= EVP_CipherUpdate(context, NULL, &done, iv, 8)
			&& EVP_CipherUpdate(context, NULL, &done, text, (int)size);
	else
		ok &= EVP_CipherUpdate(context, text, &done, text, (int)size);
	if (!is_sealing)
		ok &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag);
	ok &= EVP_CipherFinal_ex(context, rest, &done) > 0;
	if (is_sealing)
		ok &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag);
	EVP_CIPHER_CTX_free(context);
	return ok == 1;
}

static inline void reference_hmac(const struct reference *of, uint64_t sequence, const uint8_t *esp,
	uint32_t size, uint8_t out[64])
{
	static const EVP_MD *(*const digests[])(void) = {
		NULL, EVP_sha1, EVP_sha256, EVP_sha384, EVP_sha512};
	uint8_t *bytes = malloc(size + 4);
	unsigned int done;

	memcpy(bytes, esp, size);
	network_store32(bytes + size, (uint32_t)(sequence >> 32));
	HMAC(digests[of->integrity](), of->integrity_key, of->integrity_key_size, bytes,
		size + (of->has_esn ? 4 : 0), out, &done);
	free(bytes);
}

static inline void reference_plain_cipher(const struct reference *of, bool is_sealing,
	const uint8_t *iv, uint8_t *text, uint32_t size)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t counter[16];
	int done;

	if (of->cipher == SA_CIPHER_NULL) {
		EVP_CIPHER_CTX_free(context);
		return;
	}
	memcpy(counter, of->key + of->key_size - 4, 4);
	memcpy(counter + 4, iv, 8);
	network_store32(counter + 12, 1);
	EVP_CipherInit_ex(context, reference_cipher(of), NULL, of->key,
		of->cipher == SA_CIPHER_AES_CBC ? iv : counter, is_sealing);
	EVP_CIPHER_CTX_set_padding(context, 0);
	EVP_CipherUpdate(context, text, &done, text, (int)size);
	EVP_CIPHER_CTX_free(context);
}

/* Seals payload into out; returns the size of ESP. extra_padding: in units of the alignment. */
static inline uint32_t reference_seal(const struct reference *of, uint64_t sequence,
	const uint8_t *payload, uint32_t size, uint8_t next_header, uint8_t *out)
{
	uint32_t iv_size = reference_iv_size(of), alignment = iv_size == 16 ? 16 : 4, at = 8;
	uint8_t *iv = out + 8, *text, mac[64];
	uint32_t text_size;

	network_store32(out, of->spi);
	network_store32(out + 4, (uint32_t)sequence);
	for (uint32_t i = 0; i < iv_size; i++)
		iv[i] = (uint8_t)(sequence * 7 + i * 13 + 1);
	at += iv_size;
	text = out + at;
	memcpy(text, payload, size);
	text_size = size;
	while ((text_size + 2) % alignment)
		text[text_size] = (uint8_t)(text_size - size + 1), text_size++;
	text[text_size] = (uint8_t)(text_size - size);
	text[text_size + 1] = next_header;
	text_size += 2;
	at += text_size;
	if (of->integrity == SA_INTEGRITY_NONE) {
		reference_aead(of, true, sequence, iv, text, text_size, out + at);
	} else {
		reference_plain_cipher(of, true, iv, text, text_size);
		reference_hmac(of, sequence, out, at, mac);
		memcpy(out + at, mac, reference_icv_size(of));
	}
	return at + reference_icv_size(of);
}

/* Opens in place. False: not authentic. *payload and *size are without padding. */
static inline bool reference_open(const struct reference *of, uint64_t sequence, uint8_t *esp,
	uint32_t esp_size, uint8_t **payload, uint32_t *size, uint8_t *next_header)
{
	uint32_t iv_size = reference_iv_size(of), icv_size = reference_icv_size(of);
	uint8_t *iv = esp + 8, *text = iv + iv_size, *icv = esp + esp_size - icv_size, mac[64];
	uint32_t text_size = esp_size - 8 - iv_size - icv_size;

	if (of->integrity == SA_INTEGRITY_NONE) {
		if (!reference_aead(of, false, sequence, iv, text, text_size, icv))
			return false;
	} else {
		reference_hmac(of, sequence, esp, esp_size - icv_size, mac);
		if (memcmp(mac, icv, icv_size) != 0)
			return false;
		reference_plain_cipher(of, false, iv, text, text_size);
	}
	*next_header = text[text_size - 1];
	*payload = text;
	*size = text_size - 2 - text[text_size - 2];
	return true;
}
