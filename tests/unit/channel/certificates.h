/* SPDX-License-Identifier: BSD-3-Clause */
/* Authorities and what they sign, as files that the mechanism reads; and connections to try them
 * on. */
#pragma once

#include "channel/tls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CERTIFICATE_DAYS 30

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
};

static inline void identity_close(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
}

static inline void identity_extend(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* Whether its name is a subject alternative name, too. */
enum identity_kind { IDENTITY_BY_DNS, IDENTITY_BY_SUBJECT };

static inline struct identity identity_open_as(
	enum identity_kind kind, const char *name, const struct identity *issuer, int days)
{
	struct identity identity = {EVP_EC_gen("P-256"), X509_new()};
	X509 *certificate = identity.certificate;
	X509_NAME *subject = X509_get_subject_name(certificate);
	char alternative[64];

	snprintf(alternative, sizeof(alternative), "DNS:%s", name);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), random());
	X509_gmtime_adj(X509_getm_notBefore(certificate), -2L * 86400);
	X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
	X509_set_pubkey(certificate, identity.key);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(
		certificate, issuer ? X509_get_subject_name(issuer->certificate) : subject);
	if (!issuer)
		identity_extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
	else if (kind == IDENTITY_BY_DNS)
		identity_extend(certificate, NID_subject_alt_name, alternative);
	assert_true(X509_sign(certificate, issuer ? issuer->key : identity.key, EVP_sha256()) > 0);
	return identity;
}

/* Valid for days from yesterday on, signed by issuer; NULL: an authority of its own. */
static inline struct identity identity_open(
	const char *name, const struct identity *issuer, int days)
{
	return identity_open_as(IDENTITY_BY_DNS, name, issuer, days);
}

static inline void identity_fingerprint(
	const struct identity *identity, uint8_t out[POLICY_FINGERPRINT_SIZE])
{
	unsigned int size;

	assert_int_equal(X509_digest(identity->certificate, EVP_sha256(), out, &size), 1);
	assert_int_equal(size, POLICY_FINGERPRINT_SIZE);
}

/* A file to read from its start; NULL for what it is not of. */
static inline int pem_file(X509 *certificate, EVP_PKEY *key)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);
	BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE);

	if (certificate)
		assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
	if (key)
		assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	BIO_free(bio);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static inline struct tls *identity_tls(
	const struct identity *identity, const struct identity *authority)
{
	const int files[TLS_FILES] = {[TLS_CERTIFICATE] = pem_file(identity->certificate, NULL),
		[TLS_KEY] = pem_file(NULL, identity->key),
		[TLS_AUTHORITIES] = pem_file(authority->certificate, NULL)};
	struct error error;
	struct tls *tls;

	assert_int_equal(tls_create(files, &tls, &error), 0);
	for (int i = 0; i < TLS_FILES; i++)
		close(files[i]);
	return tls;
}

/* Both ends of a connection over loopback, non-blocking: who has called is the first one. */
static inline void connect_pair(int ends[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&address, size), 0);
	ends[1] = accept(listener, NULL, NULL);
	assert_true(ends[1] >= 0);
	close(listener);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
}
