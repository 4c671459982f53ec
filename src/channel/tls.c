/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/tls.h"

#include "base/secret.h"
#include "base/sha256.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TLS_FILE_MAX    (256 * 1024)
#define TLS_READ_BUFFER 65536
#define TLS_CHAIN_MAX   8

struct tls {
	SSL_CTX *context;
	uint8_t digests[TLS_FILES][POLICY_FINGERPRINT_SIZE];
};

struct tls_session {
	SSL *ssl;
	int fd;
};

/* --- Files --- */

static const char *const file_names[TLS_FILES] = {"certificate", "key", "authorities"};

static int fail(struct error *error, enum tls_file file, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return error_set(error, -EINVAL, "channels.link.%s: %s: %s", file_names[file], what,
		why ? why : "it is not PEM, or something else");
}

static int no_password(char *buffer, int size, int is_writing, void *context)
{
	return -1;
}

static int use_certificate(SSL_CTX *context, BIO *bio, struct error *error)
{
	X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	int is_taken = certificate && SSL_CTX_use_certificate(context, certificate) == 1;

	X509_free(certificate);
	if (!is_taken)
		return fail(error, TLS_CERTIFICATE, "no certificate can be read");
	while ((certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		if (SSL_CTX_add0_chain_cert(context, certificate) != 1) {
			X509_free(certificate);
			return fail(error, TLS_CERTIFICATE, "its chain cannot be taken");
		}
	ERR_clear_error();
	return 0;
}

static int use_key(SSL_CTX *context, BIO *bio, struct error *error)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	int is_taken = key && SSL_CTX_use_PrivateKey(context, key) == 1;

	EVP_PKEY_free(key);
	return is_taken ? 0 : fail(error, TLS_KEY, "is not the key of the certificate");
}

static int use_authorities(SSL_CTX *context, BIO *bio, struct error *error)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	X509 *authority;
	int count = 0;

	for (; (authority = PEM_read_bio_X509(bio, NULL, no_password, NULL)); count++) {
		int is_added = X509_STORE_add_cert(store, authority);

		X509_free(authority);
		if (is_added != 1)
			return fail(error, TLS_AUTHORITIES, "a certificate cannot be taken");
	}
	if (count == 0)
		return fail(error, TLS_AUTHORITIES, "no certificate can be read");
	ERR_clear_error();
	return 0;
}

static int use_file(struct tls *tls, enum tls_file file, int fd, struct error *error)
{
	static int (*const users[TLS_FILES])(SSL_CTX *, BIO *, struct error *) = {
		[TLS_CERTIFICATE] = use_certificate,
		[TLS_KEY] = use_key,
		[TLS_AUTHORITIES] = use_authorities,
	};
	struct secret *content;
	struct sha256 hash;
	struct error why;
	size_t size;
	BIO *bio;
	int status = secret_read(fd, TLS_FILE_MAX, &content, &size, &why);

	if (status < 0)
		return error_set(error, status, "channels.link.%s: %s", file_names[file], why.text);
	sha256_begin(&hash);
	sha256_add(&hash, secret_bytes(content), size);
	sha256_end(&hash, tls->digests[file]);
	bio = BIO_new_mem_buf(secret_bytes(content), (int)size);
	status = bio ? users[file](tls->context, bio, error)
		     : error_set(error, -ENOMEM, "channels.link: no memory left");
	BIO_free(bio);
	secret_destroy(content);
	return status;
}

/* --- The context --- */

static void set_options(SSL_CTX *context)
{
	SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(context, TLS_CHAIN_MAX);
	/* Keys of channels are in the plain text. */
	SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(
		context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A link is resumed by its own means. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	/* Several records with one system call. */
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, TLS_READ_BUFFER);
}

int tls_create(const int files[TLS_FILES], struct tls **out, struct error *error)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	int status = 0;

	/* There is no file to load a configuration from. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (tls)
		tls->context = SSL_CTX_new(TLS_method());
	if (!tls || !tls->context) {
		free(tls);
		return error_set(error, -ENOMEM, "channels.link: no memory left for TLS");
	}
	set_options(tls->context);
	for (int file = 0; file < TLS_FILES && status == 0; file++)
		status = use_file(tls, (enum tls_file)file, files[file], error);
	if (status < 0) {
		tls_destroy(tls);
		return status;
	}
	*out = tls;
	return 0;
}

void tls_destroy(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

bool tls_is_same(const struct tls *a, const struct tls *b)
{
	return a && b && memcmp(a->digests, b->digests, sizeof(a->digests)) == 0;
}

/* --- Sessions --- */

int tls_session_open(struct tls *tls, int fd, bool is_client, struct tls_session **out)
{
	struct tls_session *session = calloc(1, sizeof(*session));

	if (session)
		session->ssl = SSL_new(tls->context);
	if (!session || !session->ssl || SSL_set_fd(session->ssl, fd) != 1) {
		if (session)
			SSL_free(session->ssl);
		free(session);
		close(fd);
		return -ENOMEM;
	}
	session->fd = fd;
	if (is_client)
		SSL_set_connect_state(session->ssl);
	else
		SSL_set_accept_state(session->ssl);
	*out = session;
	return 0;
}

void tls_session_close(struct tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	close(session->fd);
	free(session);
}

static int say_why(const struct tls_session *session, struct error *error)
{
	long verified = SSL_get_verify_result(session->ssl);
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (verified != X509_V_OK)
		error_set(error, -EACCES, "its certificate: %s",
			X509_verify_cert_error_string(verified));
	else if (reason)
		error_set(error, -EACCES, "TLS: %s", reason);
	else
		error_set(error, -EACCES, "it has closed the connection");
	ERR_clear_error();
	return -EACCES;
}

int tls_session_handshake(struct tls_session *session, bool *wants_write, struct error *error)
{
	int result, code;

	ERR_clear_error();
	result = SSL_do_handshake(session->ssl);
	if (result == 1)
		return 0;
	code = SSL_get_error(session->ssl, result);
	*wants_write = code == SSL_ERROR_WANT_WRITE;
	if (code == SSL_ERROR_WANT_WRITE || code == SSL_ERROR_WANT_READ)
		return -EAGAIN;
	return say_why(session, error);
}

/* A subject alternative name, as it is written: no pattern, of neither, and no name of a subject,
 * which an authority need not have checked. */
static bool has_name(X509 *certificate, const char *identity)
{
	const unsigned int flags =
		X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

	/* To OpenSSL a dot in front is any name below. */
	return identity[0] != '.' && X509_check_host(certificate, identity, 0, flags, NULL) == 1;
}

bool tls_session_is_of(const struct tls_session *session, const struct policy_peer *peer)
{
	X509 *certificate = SSL_get0_peer_certificate(session->ssl);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	if (!certificate || !has_name(certificate, peer->identity))
		return false;
	if (!peer->has_fingerprint)
		return true;
	return X509_digest(certificate, EVP_sha256(), digest, &size) == 1
		&& size == POLICY_FINGERPRINT_SIZE
		&& memcmp(digest, peer->fingerprint, POLICY_FINGERPRINT_SIZE) == 0;
}

void tls_session_name(const struct tls_session *session, char *out, size_t size)
{
	const X509 *certificate = SSL_get0_peer_certificate(session->ssl);
	char line[128] = "";

	if (certificate)
		X509_NAME_oneline(X509_get_subject_name(certificate), line, sizeof(line));
	snprintf(out, size, "%s", line);
	/* What somebody has written there may be no text. */
	for (char *at = out; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

/* -EAGAIN, or why it is over. */
static ssize_t why_not(struct tls_session *session, int result)
{
	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : -EPIPE;
	default:
		return -EBADMSG;
	}
}

ssize_t tls_session_read(void *context, void *out, size_t size)
{
	struct tls_session *session = context;
	size_t got = 0;
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_read_ex(session->ssl, out, size, &got);
	return result == 1 ? (ssize_t)got : why_not(session, result);
}

ssize_t tls_session_write(void *context, const void *bytes, size_t size)
{
	struct tls_session *session = context;
	size_t written = 0;
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_write_ex(session->ssl, bytes, size, &written);
	return result == 1 ? (ssize_t)written : why_not(session, result);
}

static void stream_close(void *context)
{
	struct tls_session *session = context;

	SSL_shutdown(session->ssl);
	tls_session_close(session);
}

struct link_stream tls_session_stream(struct tls_session *session)
{
	return (struct link_stream){.read = tls_session_read,
		.write = tls_session_write,
		.close = stream_close,
		.context = session,
		.fd = session->fd};
}
