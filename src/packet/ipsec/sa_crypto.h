/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Algorithms of SAs (D16), and their sessions on the crypto devices of this process: ipsec-mb's
 * (crypto_aesni_gcm, crypto_aesni_mb), called synchronously on the worker that has the packets
 * (rte_cryptodev_sym_cpu_crypto_process()), so that any worker may work for any SA.
 *
 * Control thread; what it fills in is constant while the SA is in a table.
 */
#pragma once

#include "base/error.h"
#include "packet/ipsec/sa_control.h"

#include <rte_crypto_sym.h>

#define SA_ICV_MAX      32
#define SA_IV_MAX       16
#define SA_SALT_SIZE    4
#define SA_KEY_SIZE_MAX 104 /* 32 and a salt of 4, and 64 for HMAC-SHA-512 */

/* How the algorithm is fed. */
enum sa_crypto_kind {
	SA_CRYPTO_AEAD, /* SPI and sequence number as additional data */
	SA_CRYPTO_GMAC, /* all of it authenticated, nothing encrypted (RFC 4543) */
	SA_CRYPTO_HMAC, /* cipher, or none, and HMAC */
};

struct sa_crypto {
	void *session;
	uint8_t device;
	uint8_t kind;   /* enum sa_crypto_kind */
	uint8_t cipher; /* enum sa_cipher */
	uint8_t iv_size, icv_size, alignment;
	uint8_t salt[SA_SALT_SIZE];
};

/* Devices and a pool for so many sessions. Once a process; -ENOTSUP where the drivers are not
 * installed. */
int sa_crypto_start(uint32_t session_count, struct error *error);
void sa_crypto_stop(void);

/* -EINVAL, -ENOTSUP with the parameter that is wrong. */
int sa_crypto_check(const struct sa_parameters *parameters, struct error *error);
/* As that, and -ENOSPC. */
int sa_crypto_open(
	const struct sa_parameters *parameters, struct sa_crypto *out, struct error *error);
/* No worker uses it any more. */
void sa_crypto_close(struct sa_crypto *crypto);

const char *sa_cipher_name(enum sa_cipher cipher);          /* "aes-gcm-16" */
const char *sa_integrity_name(enum sa_integrity integrity); /* "sha2-256-128" */
/* -EINVAL: no such name. */
int sa_cipher_find(const char *name, uint8_t *cipher);
int sa_integrity_find(const char *name, uint8_t *integrity);
