/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS between mechanisms: both prove who they are, and wrong certificates are refused (C3, C9). */
#include "channel/tls.h"

#include "tests/unit/channel/certificates.h"
#include "tests/unit/wait.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>

static struct {
	struct identity authority, one, two;
	struct tls *tls_one, *tls_two;
	struct tls_session *client, *server;
	int client_status, server_status;
	struct error client_error, server_error;
} world;

static int open_world(void **state)
{
	memset(&world, 0, sizeof(world));
	world.authority = identity_open("authority", NULL, CERTIFICATE_DAYS);
	world.one = identity_open("hv1", &world.authority, CERTIFICATE_DAYS);
	world.two = identity_open("hv2", &world.authority, CERTIFICATE_DAYS);
	world.tls_one = identity_tls(&world.one, &world.authority);
	world.tls_two = identity_tls(&world.two, &world.authority);
	return 0;
}

static int close_world(void **state)
{
	tls_session_close(world.client);
	tls_session_close(world.server);
	tls_destroy(world.tls_one);
	tls_destroy(world.tls_two);
	identity_close(&world.one);
	identity_close(&world.two);
	identity_close(&world.authority);
	return 0;
}

static void step(struct tls_session *session, int *status, struct error *error)
{
	bool wants_write;

	if (*status == -EAGAIN)
		*status = tls_session_handshake(session, &wants_write, error);
}

/* Until both are done, or one has refused. */
static void shake_hands(struct tls *client, struct tls *server)
{
	int ends[2];

	connect_pair(ends);
	assert_int_equal(tls_session_open(client, ends[0], true, &world.client), 0);
	assert_int_equal(tls_session_open(server, ends[1], false, &world.server), 0);
	world.client_status = world.server_status = -EAGAIN;
	assert_becomes((step(world.client, &world.client_status, &world.client_error),
		step(world.server, &world.server_status, &world.server_error),
		world.server_status != -EAGAIN && world.client_status != -EAGAIN));
}

static struct policy_peer peer_of(const char *identity)
{
	struct policy_peer peer = {0};

	snprintf(peer.identity, sizeof(peer.identity), "%s", identity);
	return peer;
}

static void both_of_one_authority_know_each_other(void **state)
{
	struct policy_peer one = peer_of("hv1"), two = peer_of("hv2");
	char text[64];

	shake_hands(world.tls_one, world.tls_two);
	assert_int_equal(world.client_status, 0);
	assert_int_equal(world.server_status, 0);
	assert_true(tls_session_is_of(world.client, &two));
	assert_true(tls_session_is_of(world.server, &one));
	assert_false(tls_session_is_of(world.client, &one));
	tls_session_name(world.client, text, sizeof(text));
	assert_string_equal(text, "/CN=hv2");
	assert_int_equal(tls_session_read(world.server, text, sizeof(text)), -EAGAIN);
	assert_int_equal(tls_session_write(world.client, "hello", 5), 5);
	assert_becomes(tls_session_read(world.server, text, sizeof(text)) == 5);
	assert_memory_equal(text, "hello", 5);
	/* That it is over is told, too. */
	tls_session_stream(world.client).close(world.client);
	world.client = NULL;
	assert_becomes(tls_session_read(world.server, text, sizeof(text)) == -EPIPE);
}

static void a_fingerprint_tells_two_of_the_same_name(void **state)
{
	struct identity other = identity_open("hv2", &world.authority, CERTIFICATE_DAYS);
	struct policy_peer peer = peer_of("hv2");

	shake_hands(world.tls_one, world.tls_two);
	peer.has_fingerprint = true;
	identity_fingerprint(&world.two, peer.fingerprint);
	assert_true(tls_session_is_of(world.client, &peer));
	identity_fingerprint(&other, peer.fingerprint);
	assert_false(tls_session_is_of(world.client, &peer));
	identity_close(&other);
}

/* Whether who has this certificate is taken for the peer of this identity. */
static bool is_taken_for(struct identity shown, const char *identity)
{
	struct tls *tls = identity_tls(&shown, &world.authority);
	struct policy_peer peer = peer_of(identity);
	bool is_taken;

	shake_hands(world.tls_one, tls);
	assert_int_equal(world.client_status, 0);
	is_taken = tls_session_is_of(world.client, &peer);
	tls_session_close(world.client);
	tls_session_close(world.server);
	world.client = world.server = NULL;
	tls_destroy(tls);
	identity_close(&shown);
	return is_taken;
}

static void a_name_is_no_pattern(void **state)
{
	assert_false(is_taken_for(
		identity_open("*.example", &world.authority, CERTIFICATE_DAYS), "hv2.example"));
	assert_false(is_taken_for(
		identity_open("hv2.example", &world.authority, CERTIFICATE_DAYS), ".example"));
	assert_true(is_taken_for(
		identity_open("hv2.example", &world.authority, CERTIFICATE_DAYS), "hv2.example"));
}

/* Authorities check names of hosts; what a subject is called they may not. */
static void the_name_of_a_subject_is_no_identity(void **state)
{
	assert_false(is_taken_for(
		identity_open_as(IDENTITY_BY_SUBJECT, "hv2", &world.authority, CERTIFICATE_DAYS),
		"hv2"));
}

/* As client, it believes to be done before it is refused; so it is told by its first read. */
static void expect_server_refuses(struct tls *client, const char *why)
{
	char byte;

	shake_hands(client, world.tls_two);
	assert_int_equal(world.server_status, -EACCES);
	assert_non_null(strstr(world.server_error.text, why));
	tls_session_close(world.server);
	world.server = NULL;
	if (world.client_status == 0)
		assert_becomes(tls_session_read(world.client, &byte, 1) == -EBADMSG);
}

static void a_stranger_s_certificate_is_refused(void **state)
{
	struct identity authority = identity_open("authority", NULL, CERTIFICATE_DAYS);
	struct identity stranger = identity_open("hv1", &authority, CERTIFICATE_DAYS);
	struct tls *tls = identity_tls(&stranger, &world.authority);

	expect_server_refuses(tls, "its certificate: ");
	tls_session_close(world.client);
	world.client = NULL;
	/* And the other way: the client refuses the server's. */
	shake_hands(world.tls_one, tls);
	assert_int_equal(world.client_status, -EACCES);
	assert_non_null(strstr(world.client_error.text, "its certificate: "));
	tls_destroy(tls);
	identity_close(&stranger);
	identity_close(&authority);
}

static void a_certificate_that_has_run_out_is_refused(void **state)
{
	struct identity old = identity_open("hv1", &world.authority, -1);
	struct tls *tls = identity_tls(&old, &world.authority);

	expect_server_refuses(tls, "expired");
	tls_destroy(tls);
	identity_close(&old);
}

/* A client of OpenSSL's own. */
static void expect_refused_client(SSL_CTX *context)
{
	int ends[2], status = -EAGAIN;
	struct error error;
	SSL *ssl = SSL_new(context);

	connect_pair(ends);
	assert_int_equal(tls_session_open(world.tls_two, ends[1], false, &world.server), 0);
	SSL_set_fd(ssl, ends[0]);
	assert_becomes((SSL_connect(ssl), step(world.server, &status, &error), status != -EAGAIN));
	assert_int_equal(status, -EACCES);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(ends[0]);
}

static void who_has_no_certificate_is_refused(void **state)
{
	expect_refused_client(SSL_CTX_new(TLS_client_method()));
}

static void an_older_version_is_refused(void **state)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_use_certificate(context, world.one.certificate);
	SSL_CTX_use_PrivateKey(context, world.one.key);
	expect_refused_client(context);
}

/* wrong is the file that is; the others are right. */
static void expect_file_refused(enum tls_file wrong, int fd, const char *name)
{
	int files[TLS_FILES] = {[TLS_CERTIFICATE] = pem_file(world.one.certificate, NULL),
		[TLS_KEY] = pem_file(NULL, world.one.key),
		[TLS_AUTHORITIES] = pem_file(world.authority.certificate, NULL)};
	struct error error;
	struct tls *tls;

	close(files[wrong]);
	files[wrong] = fd;
	assert_int_equal(tls_create(files, &tls, &error), -EINVAL);
	assert_non_null(strstr(error.text, name));
	for (int i = 0; i < TLS_FILES; i++)
		close(files[i]);
}

static void files_that_are_none_are_refused_by_their_name(void **state)
{
	expect_file_refused(TLS_CERTIFICATE, pem_file(NULL, world.one.key), "link.certificate: ");
	expect_file_refused(TLS_KEY, pem_file(world.one.certificate, NULL), "link.key: ");
	expect_file_refused(TLS_KEY, pem_file(NULL, world.two.key), "link.key: ");
	expect_file_refused(TLS_AUTHORITIES, pem_file(NULL, NULL), "link.authorities: ");
}

static void other_files_are_another_context(void **state)
{
	struct tls *again = identity_tls(&world.one, &world.authority);

	assert_true(tls_is_same(world.tls_one, again));
	assert_false(tls_is_same(world.tls_one, world.tls_two));
	assert_false(tls_is_same(world.tls_one, NULL));
	tls_destroy(again);
	tls_destroy(NULL);
}

int main(void)
{
#define TLS_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		TLS_TEST(both_of_one_authority_know_each_other),
		TLS_TEST(a_fingerprint_tells_two_of_the_same_name),
		TLS_TEST(a_name_is_no_pattern),
		TLS_TEST(the_name_of_a_subject_is_no_identity),
		TLS_TEST(a_stranger_s_certificate_is_refused),
		TLS_TEST(a_certificate_that_has_run_out_is_refused),
		TLS_TEST(who_has_no_certificate_is_refused),
		TLS_TEST(an_older_version_is_refused),
		TLS_TEST(files_that_are_none_are_refused_by_their_name),
		TLS_TEST(other_files_are_another_context),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
