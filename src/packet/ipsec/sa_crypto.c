/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/sa_crypto.h"

#include "wire/esp.h"

#include <errno.h>
#include <rte_cryptodev.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <string.h>

#define DEVICE_ARGUMENTS "max_nb_queue_pairs=1" /* nothing is ever queued */
#define DESCRIPTORS      64                     /* the least that the drivers take */
/* Where an operation would hold its IV; synchronous calls give it by pointer. */
#define IV_OFFSET 0

static const struct cipher_row {
	const char *name;
	uint8_t kind;
	bool is_gcm_device; /* of the two drivers that which is made for GCM is twice as fast */
	uint8_t iv_size, icv_size, alignment;
	uint8_t salt_size;
	uint8_t key_sizes[3]; /* bytes, without the salt */
	int algorithm;
} ciphers[SA_CIPHER_COUNT] = {
	[SA_CIPHER_NULL] = {"null", SA_CRYPTO_HMAC, false, 0, 0, 4, 0, {0}, RTE_CRYPTO_CIPHER_NULL},
	[SA_CIPHER_AES_GCM_16] = {"aes-gcm-16", SA_CRYPTO_AEAD, true, 8, 16, 4, 4, {16, 24, 32},
		RTE_CRYPTO_AEAD_AES_GCM},
	[SA_CIPHER_CHACHA20_POLY1305] = {"chacha20-poly1305", SA_CRYPTO_AEAD, false, 8, 16, 4, 4,
		{32}, RTE_CRYPTO_AEAD_CHACHA20_POLY1305},
	[SA_CIPHER_AES_GMAC] = {"aes-gmac", SA_CRYPTO_GMAC, true, 8, 16, 4, 4, {16, 24, 32},
		RTE_CRYPTO_AUTH_AES_GMAC},
	[SA_CIPHER_AES_CBC] = {"aes-cbc", SA_CRYPTO_HMAC, false, 16, 0, 16, 0, {16, 24, 32},
		RTE_CRYPTO_CIPHER_AES_CBC},
	[SA_CIPHER_AES_CTR] = {"aes-ctr", SA_CRYPTO_HMAC, false, 8, 0, 4, 4, {16, 24, 32},
		RTE_CRYPTO_CIPHER_AES_CTR},
};

static const struct integrity_row {
	const char *name;
	uint8_t key_size, icv_size;
	enum rte_crypto_auth_algorithm algorithm;
} integrities[SA_INTEGRITY_COUNT] = {
	[SA_INTEGRITY_NONE] = {"none", 0, 0, RTE_CRYPTO_AUTH_NULL},
	[SA_INTEGRITY_HMAC_SHA1_96] = {"sha1-96", 20, 12, RTE_CRYPTO_AUTH_SHA1_HMAC},
	[SA_INTEGRITY_HMAC_SHA2_256_128] = {"sha2-256-128", 32, 16, RTE_CRYPTO_AUTH_SHA256_HMAC},
	[SA_INTEGRITY_HMAC_SHA2_384_192] = {"sha2-384-192", 48, 24, RTE_CRYPTO_AUTH_SHA384_HMAC},
	[SA_INTEGRITY_HMAC_SHA2_512_256] = {"sha2-512-256", 64, 32, RTE_CRYPTO_AUTH_SHA512_HMAC},
};

static struct {
	struct rte_mempool *sessions;
	uint8_t gcm, mb; /* devices */
} crypto;

const char *sa_cipher_name(enum sa_cipher cipher)
{
	return ciphers[cipher].name;
}

const char *sa_integrity_name(enum sa_integrity integrity)
{
	return integrities[integrity].name;
}

int sa_cipher_find(const char *name, uint8_t *cipher)
{
	for (uint8_t i = 0; i < SA_CIPHER_COUNT; i++)
		if (strcmp(ciphers[i].name, name) == 0) {
			*cipher = i;
			return 0;
		}
	return -EINVAL;
}

int sa_integrity_find(const char *name, uint8_t *integrity)
{
	for (uint8_t i = 0; i < SA_INTEGRITY_COUNT; i++)
		if (strcmp(integrities[i].name, name) == 0) {
			*integrity = i;
			return 0;
		}
	return -EINVAL;
}

/* ---- devices ---- */

static int start_device(const char *name, uint8_t *out, struct error *error)
{
	struct rte_cryptodev_config config = {.nb_queue_pairs = 1, .socket_id = SOCKET_ID_ANY};
	struct rte_cryptodev_qp_conf queue = {.nb_descriptors = DESCRIPTORS};
	int device = rte_cryptodev_get_dev_id(name), status;

	if (device < 0 && rte_eal_hotplug_add("vdev", name, DEVICE_ARGUMENTS) == 0)
		device = rte_cryptodev_get_dev_id(name);
	if (device < 0)
		return error_set(error, -ENOTSUP,
			"ipsec: DPDK has no driver for %s; is the package librte-crypto-ipsec-mb23 "
			"installed?",
			name);
	config.socket_id = rte_cryptodev_socket_id((uint8_t)device);
	status = rte_cryptodev_configure((uint8_t)device, &config);
	if (status == 0)
		status = rte_cryptodev_queue_pair_setup(
			(uint8_t)device, 0, &queue, config.socket_id);
	if (status == 0)
		status = rte_cryptodev_start((uint8_t)device);
	if (status < 0)
		return error_set(
			error, status, "ipsec: cannot start %s: %s", name, rte_strerror(-status));
	*out = (uint8_t)device;
	return 0;
}

int sa_crypto_start(uint32_t session_count, struct error *error)
{
	int status = start_device("crypto_aesni_gcm", &crypto.gcm, error);
	uint32_t size;

	if (status == 0)
		status = start_device("crypto_aesni_mb", &crypto.mb, error);
	if (status < 0)
		return status;
	size = RTE_MAX(rte_cryptodev_sym_get_private_session_size(crypto.gcm),
		rte_cryptodev_sym_get_private_session_size(crypto.mb));
	crypto.sessions = rte_cryptodev_sym_session_pool_create(
		"ipsec-sessions", session_count, size, 0, 0, SOCKET_ID_ANY);
	if (!crypto.sessions)
		return error_set(error, -ENOMEM,
			"ipsec.sas-max: no memory for %u sessions of %u bytes each; give "
			"packet.memory more or take fewer",
			session_count, size);
	return 0;
}

void sa_crypto_stop(void)
{
	if (!crypto.sessions)
		return;
	rte_cryptodev_stop(crypto.gcm);
	rte_cryptodev_stop(crypto.mb);
	rte_mempool_free(crypto.sessions);
	crypto.sessions = NULL;
}

/* ---- sessions ---- */

static bool takes_key_size(const struct cipher_row *row, uint32_t size)
{
	for (size_t i = 0; i < RTE_DIM(row->key_sizes); i++)
		if (size == (uint32_t)row->key_sizes[i] + row->salt_size
			&& (row->key_sizes[i] || i == 0))
			return true;
	return false;
}

int sa_crypto_check(const struct sa_parameters *parameters, struct error *error)
{
	const struct cipher_row *cipher;
	const struct integrity_row *integrity;

	if (parameters->cipher >= SA_CIPHER_COUNT || parameters->integrity >= SA_INTEGRITY_COUNT)
		return error_set(error, -ENOTSUP, "cipher or integrity: no such algorithm");
	cipher = &ciphers[parameters->cipher];
	integrity = &integrities[parameters->integrity];
	if (!takes_key_size(cipher, parameters->cipher_key_size))
		return error_set(error, -EINVAL,
			"cipher key: %s does not take %u bytes (with %u of salt)", cipher->name,
			parameters->cipher_key_size, cipher->salt_size);
	if (cipher->kind != SA_CRYPTO_HMAC && parameters->integrity != SA_INTEGRITY_NONE)
		return error_set(error, -EINVAL, "integrity: %s brings its own", cipher->name);
	if (cipher->kind == SA_CRYPTO_HMAC && parameters->integrity == SA_INTEGRITY_NONE)
		return error_set(error, -EINVAL,
			"integrity: %s without one would let everybody change what it carries",
			cipher->name);
	if (parameters->integrity_key_size != integrity->key_size)
		return error_set(error, -EINVAL, "integrity key: %s takes %u bytes, not %u",
			integrity->name, integrity->key_size, parameters->integrity_key_size);
	return 0;
}

static void fill_aead(struct rte_crypto_sym_xform *xform, const struct cipher_row *row,
	const struct sa_parameters *parameters)
{
	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead =
			{
				.op = parameters->direction == SA_OUTBOUND
					? RTE_CRYPTO_AEAD_OP_ENCRYPT
					: RTE_CRYPTO_AEAD_OP_DECRYPT,
				.algo = (enum rte_crypto_aead_algorithm)row->algorithm,
				.key = {parameters->cipher_key,
					(uint16_t)(parameters->cipher_key_size - row->salt_size)},
				.iv = {IV_OFFSET, 12},
				.digest_length = row->icv_size,
				.aad_length = parameters->has_esn ? 12 : 8,
			},
	};
}

static void fill_auth(struct rte_crypto_sym_xform *xform, enum rte_crypto_auth_algorithm algorithm,
	const uint8_t *key, uint32_t key_size, uint16_t icv_size, enum sa_direction direction)
{
	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth =
			{
				.op = direction == SA_OUTBOUND ? RTE_CRYPTO_AUTH_OP_GENERATE
							       : RTE_CRYPTO_AUTH_OP_VERIFY,
				.algo = algorithm,
				.key = {key, (uint16_t)key_size},
				.digest_length = icv_size,
			},
	};
	if (algorithm == RTE_CRYPTO_AUTH_AES_GMAC)
		xform->auth.iv.length = 12;
}

static void fill_cipher(struct rte_crypto_sym_xform *xform, const struct cipher_row *row,
	const struct sa_parameters *parameters)
{
	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher =
			{
				.op = parameters->direction == SA_OUTBOUND
					? RTE_CRYPTO_CIPHER_OP_ENCRYPT
					: RTE_CRYPTO_CIPHER_OP_DECRYPT,
				.algo = (enum rte_crypto_cipher_algorithm)row->algorithm,
				.key = {parameters->cipher_key,
					(uint16_t)(parameters->cipher_key_size - row->salt_size)},
				.iv = {IV_OFFSET, SA_IV_MAX},
			},
	};
}

/* Encrypt, then authenticate; the other way round inbound. */
static struct rte_crypto_sym_xform *fill_chain(struct rte_crypto_sym_xform xforms[2],
	const struct cipher_row *cipher, const struct integrity_row *integrity,
	const struct sa_parameters *parameters)
{
	struct rte_crypto_sym_xform *first = &xforms[0], *second = &xforms[1];

	fill_cipher(first, cipher, parameters);
	fill_auth(second, integrity->algorithm, parameters->integrity_key,
		parameters->integrity_key_size, integrity->icv_size, parameters->direction);
	if (parameters->cipher == SA_CIPHER_NULL)
		return second; /* the drivers know no other way to say so */
	if (parameters->direction == SA_INBOUND) {
		second->next = first;
		return second;
	}
	first->next = second;
	return first;
}

int sa_crypto_open(
	const struct sa_parameters *parameters, struct sa_crypto *out, struct error *error)
{
	struct rte_crypto_sym_xform xforms[2] = {0}, *first = &xforms[0];
	const struct integrity_row *integrity;
	const struct cipher_row *cipher;
	int status = sa_crypto_check(parameters, error);

	if (status < 0)
		return status;
	if (!crypto.sessions)
		return error_set(error, -ENOTSUP, "ipsec is not configured");
	cipher = &ciphers[parameters->cipher];
	integrity = &integrities[parameters->integrity];
	*out = (struct sa_crypto){.device = cipher->is_gcm_device ? crypto.gcm : crypto.mb,
		.kind = cipher->kind,
		.cipher = parameters->cipher,
		.iv_size = cipher->iv_size,
		.icv_size = cipher->kind == SA_CRYPTO_HMAC ? integrity->icv_size : cipher->icv_size,
		.alignment = cipher->alignment};
	if (cipher->kind == SA_CRYPTO_AEAD)
		fill_aead(first, cipher, parameters);
	else if (cipher->kind == SA_CRYPTO_GMAC)
		fill_auth(first, RTE_CRYPTO_AUTH_AES_GMAC, parameters->cipher_key,
			parameters->cipher_key_size - SA_SALT_SIZE, cipher->icv_size,
			parameters->direction);
	else
		first = fill_chain(xforms, cipher, integrity, parameters);
	if (cipher->salt_size)
		memcpy(out->salt,
			parameters->cipher_key + parameters->cipher_key_size - SA_SALT_SIZE,
			SA_SALT_SIZE);
	out->session = rte_cryptodev_sym_session_create(out->device, first, crypto.sessions);
	if (!out->session)
		return error_set(error, -ENOSPC, "%s: no session: %s", cipher->name,
			rte_strerror(rte_errno));
	return 0;
}

void sa_crypto_close(struct sa_crypto *crypto_of)
{
	if (crypto_of->session)
		rte_cryptodev_sym_session_free(crypto_of->device, crypto_of->session);
	explicit_bzero(crypto_of, sizeof(*crypto_of));
}
