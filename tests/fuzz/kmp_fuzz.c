/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KMP, three times: as a message, of which what the codec understands is said again by its
 * encoding; as the text of a secret file; and as steps of a session that has proven itself, beside
 * a stranger who gets the same. A step is a byte that chooses, a byte of length, and so many bytes:
 * a message as it is, attributes behind a right header, an event, or time and a connection that
 * takes no more.
 *
 * Each message is answered once, in KMP, and wiped; what was malformed has changed nothing.
 */
#include "base/clock.h"
#include "fake_sa.h"
#include "packet/ipsec/kmp_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[KMP_SECRET_MIN];
static struct kmp_server *server;
static uint64_t now_ns;

static struct peer {
	struct kmp_session *session;
	uint32_t sequence;
	bool is_ended, is_full;
	unsigned int answers;
	uint8_t last[KMP_MESSAGE_MAX];
	size_t last_size;
} peers[2]; /* the first has proven itself */

static int take(void *context, const uint8_t *message, size_t size)
{
	struct peer *peer = context;
	struct kmp_message decoded;

	if (peer->is_full)
		return -EAGAIN;
	if (kmp_decode(message, size, &decoded) != KMP_OK || kmp_is_from_client(decoded.type))
		abort();
	memcpy(peer->last, message, size);
	peer->last_size = size;
	peer->answers += !kmp_is_event(decoded.type);
	return 0;
}

static void take_end(void *context)
{
	((struct peer *)context)->is_ended = true;
}

static void give(struct peer *peer, const uint8_t *message, size_t size)
{
	uint8_t copy[KMP_MESSAGE_MAX + 1];
	unsigned int changes = fake_sa.changes, answers = peer->answers;
	struct kmp_message decoded;
	bool is_right, owes;

	if (peer->is_ended || !kmp_session_takes_input(peer->session))
		return;
	is_right = kmp_decode(message, size, &decoded) == KMP_OK;
	memcpy(copy, message, size);
	kmp_session_receive(peer->session, copy, size, now_ns);
	for (size_t i = 0; i < size; i++)
		if (copy[i])
			abort();
	if (!is_right && fake_sa.changes != changes)
		abort();
	owes = !kmp_session_takes_input(peer->session) && !peer->is_ended;
	if (peer->answers - answers + owes > 1
		|| (peer->answers == answers && !owes && !peer->is_full
			&& !(is_right && decoded.type == KMP_EVENT_ACK)))
		abort();
}

static void begin(struct peer *peer)
{
	static const struct kmp_connection_ops ops = {.send = take, .end = take_end};

	memset(peer, 0, sizeof(*peer));
	if (kmp_session_open(server, 0, &ops, peer, now_ns, &peer->session) < 0)
		abort();
}

static void prove(struct peer *peer)
{
	uint8_t message[256], nonce[KMP_NONCE_SIZE] = {1}, proof[KMP_PROOF_SIZE];
	struct kmp_message challenge;
	struct kmp_writer writer;

	kmp_begin(&writer, message, sizeof(message), KMP_HELLO, ++peer->sequence, 0);
	kmp_put(&writer, KMP_ATTRIBUTE_NAME, "fuzz", 4);
	kmp_put(&writer, KMP_ATTRIBUTE_NONCE, nonce, sizeof(nonce));
	kmp_put_number(&writer, KMP_ATTRIBUTE_RESUMES, 1, 1);
	give(peer, message, kmp_end(&writer));
	if (kmp_decode(peer->last, peer->last_size, &challenge) != KMP_OK
		|| challenge.type != KMP_CHALLENGE)
		abort();
	kmp_proof(secret, sizeof(secret), KMP_PROVER_CLIENT, nonce,
		challenge.attributes[KMP_ATTRIBUTE_NONCE].value, "fuzz", proof);
	kmp_begin(&writer, message, sizeof(message), KMP_PROOF, ++peer->sequence, 0);
	kmp_put(&writer, KMP_ATTRIBUTE_PROOF, proof, sizeof(proof));
	give(peer, message, kmp_end(&writer));
}

/* Attributes as they are, behind a header that is right; the first byte is the type. */
static void give_attributes(struct peer *peer, const uint8_t *data, size_t size)
{
	uint8_t message[512];
	struct kmp_writer writer;

	kmp_begin(&writer, message, sizeof(message), (enum kmp_type)data[0], ++peer->sequence,
		size > 1 ? data[1] : 0);
	memcpy(message + KMP_HEADER_SIZE, data + 1, size - 1);
	writer.size += size - 1;
	give(peer, message, kmp_end(&writer));
}

static void tell(uint8_t choice)
{
	const struct fake_sa *sa = &fake_sa.sas[choice % (fake_sa.sa_count ? fake_sa.sa_count : 1)];
	const struct sa_selector packet = {.source_first = {.version = 4}};

	if (choice & 1)
		kmp_server_expire(server, sa->view.owner, &sa->view.name, choice & 2, now_ns);
	else if (fake_sa.policy_count > 0)
		kmp_server_acquire(server, fake_sa.policies[0].owner, choice, &packet, now_ns);
}

static void step(uint8_t choice, const uint8_t *data, size_t size)
{
	struct peer *peer = &peers[choice >> 7];

	switch (choice & 3) {
	case 0:
		give(peer, data, size);
		break;
	case 1:
		if (size > 0)
			give_attributes(peer, data, size);
		break;
	case 2:
		tell(size > 0 ? data[0] : 0);
		break;
	default:
		now_ns += (size > 0 ? data[0] : 0) * 100 * CLOCK_NS_PER_MS;
		kmp_server_tick(server, now_ns);
		peer->is_full = choice & 4;
		if (!peer->is_full)
			kmp_session_writable(peer->session, now_ns);
	}
}

static void run_session(const uint8_t *data, size_t size)
{
	const struct kmp_settings settings = {
		.secret = secret, .secret_size = sizeof(secret), .grace_ms = 1000};

	fake_sa_reset();
	now_ns = CLOCK_NS_PER_S;
	if (kmp_server_create(&settings, now_ns, &server) < 0)
		abort();
	begin(&peers[0]);
	begin(&peers[1]);
	prove(&peers[0]);
	while (size >= 2) {
		size_t part = data[1] < size - 2 ? data[1] : size - 2;

		step(data[0], data + 2, part);
		data += 2 + part;
		size -= 2 + part;
	}
	kmp_session_close(peers[0].session, now_ns);
	kmp_session_close(peers[1].session, now_ns);
	kmp_server_destroy(server, true);
	if (fake_sa.sa_count > 0 || fake_sa.policy_count > 0)
		abort();
}

/* What was understood, said again, is understood as the same. */
static void say_again(const struct kmp_message *message)
{
	static struct kmp_sa sa, again;
	uint8_t out[KMP_MESSAGE_MAX];
	struct kmp_message decoded;
	struct kmp_writer writer;

	memset(&sa, 0, sizeof(sa));
	memset(&again, 0, sizeof(again));
	if (message->type != KMP_SA_ADD || kmp_get_sa(message, &sa) != KMP_OK)
		return;
	kmp_begin(&writer, out, sizeof(out), KMP_SA_ADD, 1, 0);
	kmp_put_sa(&writer, &sa);
	if (kmp_decode(out, kmp_end(&writer), &decoded) != KMP_OK
		|| kmp_get_sa(&decoded, &again) != KMP_OK)
		abort();
	again.cipher_key = sa.cipher_key;
	again.integrity_key = sa.integrity_key;
	if (memcmp(&sa, &again, sizeof(sa)) != 0)
		abort();
}

/* All that a reader of a message may call, as the client's end does. */
static void read_parts(const struct kmp_message *message)
{
	static struct kmp_sa_entry entries[KMP_SAS_MAX];
	struct kmp_policy policy;
	struct kmp_move move;
	struct kmp_usage usage;
	struct kmp_stats stats;
	char text[KMP_TEXT_MAX + 1];
	size_t count;

	(void)kmp_get_policy(message, &policy);
	(void)kmp_get_move(message, &move);
	(void)kmp_get_usage(message, &usage);
	(void)kmp_get_stats(message, &stats);
	(void)kmp_get_entries(message, entries, &count);
	kmp_get_text(message, KMP_ATTRIBUTE_TEXT, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t key[KMP_SECRET_MAX];
	struct kmp_message message;
	size_t key_size;

	if (kmp_decode(data, size, &message) == KMP_OK) {
		read_parts(&message);
		say_again(&message);
	}
	(void)kmp_secret_parse((const char *)data, size, key, &key_size);
	run_session(data, size);
	return 0;
}
