/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients of KMP's sessions, with connections of memory, and SAs of fake_sa.c. */
#pragma once

#include "base/clock.h"
#include "fake_sa.h"
#include "packet/ipsec/kmp_session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GRACE_MS  5000
#define INBOX_MAX 600

static const uint8_t secret[32] = {0x5e, 0xc4};
static const struct kmp_address here = {4, {192, 0, 2, 1}}, there = {4, {198, 51, 100, 7}};
static const struct ip_address our_here = {4, {192, 0, 2, 1}}, our_there = {4, {198, 51, 100, 7}};

/* A client's end. */
struct client {
	struct kmp_session *session;
	bool is_ended;
	unsigned int room; /* messages that may still be sent to it */
	uint32_t sequence;
	uint8_t nonce[KMP_NONCE_SIZE];
	size_t count, read;
	struct {
		size_t size;
		uint8_t bytes[KMP_MESSAGE_MAX];
	} * inbox;
};

static struct kmp_server *server;
static uint64_t now_ns;
static struct client clients[20];
static uint8_t out[KMP_MESSAGE_MAX];
static struct kmp_message message; /* the last one that came */

static inline int take(void *context, const uint8_t *bytes, size_t size)
{
	struct client *client = context;

	if (client->room == 0)
		return -EAGAIN;
	client->room--;
	assert_true(client->count < INBOX_MAX);
	assert_false(client->is_ended && size == 0);
	client->inbox[client->count].size = size;
	memcpy(client->inbox[client->count++].bytes, bytes, size);
	return 0;
}

static inline void take_end(void *context)
{
	((struct client *)context)->is_ended = true;
}

static const struct kmp_connection_ops ops = {.send = take, .end = take_end};

static inline void advance(uint64_t ms)
{
	now_ns += ms * CLOCK_NS_PER_MS;
	kmp_server_tick(server, now_ns);
}

static inline struct client *connect_as(int i, uint64_t peer)
{
	struct client *client = &clients[i];

	free(client->inbox);
	*client = (struct client){.room = UINT32_MAX};
	client->inbox = calloc(INBOX_MAX, sizeof(*client->inbox));
	assert_int_equal(kmp_session_open(server, peer, &ops, client, now_ns, &client->session), 0);
	return client;
}

static inline void disconnect(struct client *client)
{
	kmp_session_close(client->session, now_ns);
	client->session = NULL;
}

/* The next message that the client has; false: none. */
static inline bool next(struct client *client)
{
	if (client->read == client->count)
		return false;
	assert_int_equal(kmp_decode(client->inbox[client->read].bytes,
				 client->inbox[client->read].size, &message),
		KMP_OK);
	assert_false(kmp_is_from_client(message.type));
	client->read++;
	return true;
}

static inline void send_bytes(struct client *client, size_t size)
{
	assert_true(kmp_session_takes_input(client->session));
	kmp_session_receive(client->session, out, size, now_ns);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(out[i], 0); /* wiped */
}

static inline void begin(struct client *client, struct kmp_writer *writer, enum kmp_type type)
{
	kmp_begin(writer, out, sizeof(out), type, ++client->sequence, 0);
}

/* Sends what was begun; the answer is in message, and of the type. */
static inline void ask(struct client *client, struct kmp_writer *writer, enum kmp_type type)
{
	size_t size = kmp_end(writer);

	assert_true(size > 0);
	send_bytes(client, size);
	assert_true(next(client));
	assert_int_equal(message.type, type);
	assert_int_equal(message.sequence, 0);
	assert_int_equal(message.acknowledgement, client->sequence);
}

/* The code of the RESULT to what was begun. */
static inline unsigned int result(struct client *client, struct kmp_writer *writer)
{
	ask(client, writer, KMP_RESULT);
	return (unsigned int)kmp_get_number(&message, KMP_ATTRIBUTE_CODE);
}

static inline void hello(
	struct client *client, struct kmp_writer *writer, const char *name, bool resumes)
{
	memset(client->nonce, 7, sizeof(client->nonce));
	begin(client, writer, KMP_HELLO);
	kmp_put(writer, KMP_ATTRIBUTE_NAME, name, strlen(name));
	kmp_put(writer, KMP_ATTRIBUTE_NONCE, client->nonce, KMP_NONCE_SIZE);
	kmp_put_number(writer, KMP_ATTRIBUTE_RESUMES, 1, resumes);
}

/* After CHALLENGE, in message. */
static inline void prove(struct client *client, struct kmp_writer *writer, const char *name,
	const uint8_t *key, uint8_t nonce[KMP_NONCE_SIZE])
{
	uint8_t proof[KMP_PROOF_SIZE];

	memcpy(nonce, message.attributes[KMP_ATTRIBUTE_NONCE].value, KMP_NONCE_SIZE);
	kmp_proof(key, sizeof(secret), KMP_PROVER_CLIENT, client->nonce, nonce, name, proof);
	begin(client, writer, KMP_PROOF);
	kmp_put(writer, KMP_ATTRIBUTE_PROOF, proof, sizeof(proof));
}

static inline void log_in(struct client *client, const char *name, bool resumes)
{
	uint8_t nonce[KMP_NONCE_SIZE], theirs[KMP_PROOF_SIZE];
	struct kmp_writer writer;

	hello(client, &writer, name, resumes);
	ask(client, &writer, KMP_CHALLENGE);
	prove(client, &writer, name, secret, nonce);
	ask(client, &writer, KMP_WELCOME);
	kmp_proof(secret, sizeof(secret), KMP_PROVER_SERVER, client->nonce, nonce, name, theirs);
	assert_memory_equal(message.attributes[KMP_ATTRIBUTE_PROOF].value, theirs, KMP_PROOF_SIZE);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_GRACE), GRACE_MS);
}

static inline struct client *connected(int i, const char *name)
{
	struct client *client = connect_as(i, 0);

	log_in(client, name, false);
	return client;
}

static inline unsigned int add_sa(struct client *client, uint32_t spi)
{
	static const uint8_t key[20] = {9, 8, 7};
	const struct kmp_sa sa = {.name = {.spi = spi, .destination = here},
		.source = there,
		.cipher = KMP_CIPHER_AES_GCM_16,
		.cipher_key = key,
		.cipher_key_size = sizeof(key),
		.flags = KMP_SA_ESN,
		.replay_window = 64,
		.request = 5,
		.lifetime = {.hard_s = 60}};
	struct kmp_writer writer;

	begin(client, &writer, KMP_SA_ADD);
	kmp_put_sa(&writer, &sa);
	return result(client, &writer);
}

static inline unsigned int about_sa(struct client *client, enum kmp_type type, uint32_t spi)
{
	const struct kmp_sa_name name = {.spi = spi, .destination = here};
	struct kmp_writer writer;

	begin(client, &writer, type);
	kmp_put_name(&writer, &name);
	return result(client, &writer);
}

static inline unsigned int ping(struct client *client)
{
	struct kmp_writer writer;

	begin(client, &writer, KMP_PING);
	return result(client, &writer);
}

static inline void acknowledge(struct client *client, uint32_t event)
{
	struct kmp_writer writer;

	kmp_begin(&writer, out, sizeof(out), KMP_EVENT_ACK, ++client->sequence, event);
	send_bytes(client, kmp_end(&writer));
}

static inline void expire(struct client *client, uint32_t spi)
{
	const struct sa_name name = {.spi = spi, .destination = our_here};
	struct sa_view view;

	assert_int_equal(sa_show(&name, &view), 0);
	kmp_server_expire(server, view.owner, &name, true, now_ns);
	(void)client;
}

static inline int set_up(void **state)
{
	const struct kmp_settings settings = {
		.secret = secret, .secret_size = sizeof(secret), .grace_ms = GRACE_MS};

	fake_sa_reset();
	now_ns = 1000 * CLOCK_NS_PER_S;
	return kmp_server_create(&settings, now_ns, &server);
}

static inline int tear_down(void **state)
{
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		if (clients[i].session)
			disconnect(&clients[i]);
		free(clients[i].inbox);
		clients[i].inbox = NULL;
	}
	kmp_server_destroy(server, true);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
