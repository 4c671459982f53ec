/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: the handshake, one answer for each request, and their end. See kmp_session.h. */
#include "packet/ipsec/kmp_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- the server ---- */

int kmp_server_create(const struct kmp_settings *settings, uint64_t now_ns, struct kmp_server **out)
{
	struct kmp_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->settings = *settings;
	list_init(&server->owners);
	list_init(&server->sessions);
	kmp_owners_adopt(server, now_ns);
	*out = server;
	return 0;
}

void kmp_server_destroy(struct kmp_server *server, bool is_final)
{
	if (!server)
		return;
	list_foreach_safe (node, &server->owners) {
		struct kmp_owner *owner = list_entry(node, struct kmp_owner, node);

		if (is_final)
			kmp_owner_flush(owner);
		kmp_owner_destroy(server, owner);
	}
	free(server);
}

void kmp_server_adopt(struct kmp_server *server, uint64_t now_ns)
{
	kmp_owners_adopt(server, now_ns);
}

void kmp_server_set(struct kmp_server *server, const struct kmp_settings *settings)
{
	server->settings = *settings;
}

struct kmp_stats kmp_server_stats(const struct kmp_server *server)
{
	struct kmp_stats stats = server->stats;

	stats.sessions = server->session_count - server->stranger_count;
	return stats;
}

uint64_t kmp_server_tick(struct kmp_server *server, uint64_t now_ns)
{
	uint64_t next_ns = kmp_owners_tick(server, now_ns);

	list_foreach (node, &server->sessions) {
		struct kmp_session *session = list_entry(node, struct kmp_session, node);

		if (session->state >= KMP_SESSION_READY)
			continue;
		if (session->handshake_until_ns <= now_ns)
			kmp_session_end(session, now_ns);
		else if (session->handshake_until_ns < next_ns)
			next_ns = session->handshake_until_ns;
	}
	return next_ns;
}

static uint64_t left_ms(uint64_t until_ns, uint64_t now_ns)
{
	return until_ns > now_ns ? (until_ns - now_ns) / CLOCK_NS_PER_MS : 0;
}

size_t kmp_server_list(
	const struct kmp_server *server, uint64_t now_ns, struct kmp_session_view *out, size_t max)
{
	size_t count = 0;

	list_foreach (node, &server->owners) {
		const struct kmp_owner *owner = list_entry(node, struct kmp_owner, node);

		if (count == max)
			break;
		out[count] = (struct kmp_session_view){.is_connected = owner->session != NULL,
			.owner = owner->number,
			.events_waiting = owner->events.count,
			.grace_left_ms =
				owner->session ? 0 : left_ms(owner->gone_until_ns, now_ns)};
		strcpy(out[count++].name, owner->name);
	}
	return count;
}

/* ---- who failed to prove too often ---- */

static struct kmp_failures *find_failures(struct kmp_server *server, uint64_t peer)
{
	for (int i = 0; i < KMP_PEERS_MAX; i++)
		if (server->failures[i].count > 0 && server->failures[i].peer == peer)
			return &server->failures[i];
	return NULL;
}

static bool is_over(const struct kmp_failures *failures, uint64_t now_ns)
{
	return now_ns - failures->since_ns >= KMP_FAILURE_WINDOW_MS * CLOCK_NS_PER_MS;
}

static bool is_refused_unheard(struct kmp_server *server, uint64_t peer, uint64_t now_ns)
{
	const struct kmp_failures *failures = find_failures(server, peer);

	return failures && failures->count >= KMP_FAILURES_MAX && !is_over(failures, now_ns);
}

/* The place of the one that failed the longest ago is taken when there is none. */
static void note_failure(struct kmp_server *server, uint64_t peer, uint64_t now_ns)
{
	struct kmp_failures *failures = find_failures(server, peer);

	if (!failures) {
		failures = &server->failures[0];
		for (int i = 1; i < KMP_PEERS_MAX; i++)
			if (server->failures[i].since_ns < failures->since_ns)
				failures = &server->failures[i];
		*failures = (struct kmp_failures){.peer = peer, .since_ns = now_ns};
	}
	if (is_over(failures, now_ns))
		*failures = (struct kmp_failures){.peer = peer, .since_ns = now_ns};
	failures->count++;
	server->stats.denied++;
}

/* ---- opening and ending ---- */

int kmp_session_open(struct kmp_server *server, uint64_t peer, const struct kmp_connection_ops *ops,
	void *context, uint64_t now_ns, struct kmp_session **out)
{
	static uint32_t number;
	struct kmp_session *session;

	if (server->session_count >= KMP_SESSIONS_MAX
		|| server->stranger_count >= KMP_STRANGERS_MAX)
		return -EUSERS;
	session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	session->server = server;
	session->peer = peer;
	session->ops = ops;
	session->context = context;
	session->number = ++number;
	session->handshake_until_ns = now_ns + KMP_HANDSHAKE_MS * CLOCK_NS_PER_MS;
	session->is_stranger = true;
	list_append(&server->sessions, &session->node);
	server->session_count++;
	server->stranger_count++;
	*out = session;
	return 0;
}

static void leave_owner(struct kmp_session *session, uint64_t now_ns)
{
	struct kmp_owner *owner = session->owner;

	session->owner = NULL;
	if (!owner)
		return;
	owner->session = NULL;
	owner->gone_until_ns = now_ns + session->server->settings.grace_ms * CLOCK_NS_PER_MS;
	log_info("kmp_session_ended", log_str("name", owner->name),
		log_uint("grace_ms", session->server->settings.grace_ms));
}

void kmp_session_end(struct kmp_session *session, uint64_t now_ns)
{
	if (session->state == KMP_SESSION_ENDED)
		return;
	leave_owner(session, now_ns);
	session->state = KMP_SESSION_ENDED;
	session->ops->end(session->context);
}

void kmp_session_close(struct kmp_session *session, uint64_t now_ns)
{
	leave_owner(session, now_ns);
	list_remove(&session->node);
	session->server->session_count--;
	if (session->is_stranger)
		session->server->stranger_count--;
	explicit_bzero(session, sizeof(*session));
	free(session);
}

/* ---- sending ---- */

bool kmp_session_send(struct kmp_session *session, const uint8_t *message, size_t size)
{
	if (session->is_blocked || session->answer_size > 0)
		return false;
	if (session->ops->send(session->context, message, size) == 0)
		return true;
	session->is_blocked = true;
	return false;
}

bool kmp_session_takes_input(const struct kmp_session *session)
{
	return session->answer_size == 0 && session->state != KMP_SESSION_ENDED;
}

bool kmp_session_wants_output(const struct kmp_session *session)
{
	return session->is_blocked;
}

void kmp_session_writable(struct kmp_session *session, uint64_t now_ns)
{
	size_t size = session->answer_size;

	session->is_blocked = false;
	session->answer_size = 0;
	if (size > 0 && !kmp_session_send(session, session->answer, size)) {
		session->answer_size = size;
		return;
	}
	if (session->owner)
		kmp_events_pump(session->owner, now_ns);
}

/* Now, or when the connection takes it; until then no other request is heard. */
static void send_answer(struct kmp_session *session, size_t size)
{
	if (!kmp_session_send(session, session->answer, size))
		session->answer_size = size;
}

static void answer_result(
	struct kmp_session *session, uint32_t acknowledgement, enum kmp_code code, const char *text)
{
	size_t size = strnlen(text, KMP_TEXT_MAX);
	struct kmp_writer writer;

	kmp_begin(
		&writer, session->answer, sizeof(session->answer), KMP_RESULT, 0, acknowledgement);
	kmp_put_number(&writer, KMP_ATTRIBUTE_CODE, 2, code);
	kmp_put(&writer, KMP_ATTRIBUTE_TEXT, text, size);
	send_answer(session, kmp_end(&writer));
}

/* ---- the handshake ---- */

static enum kmp_code hear_hello(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, uint64_t now_ns)
{
	uint64_t resumes = kmp_get_number(message, KMP_ATTRIBUTE_RESUMES);

	if (is_refused_unheard(session->server, session->peer, now_ns))
		return KMP_BUSY;
	kmp_get_text(message, KMP_ATTRIBUTE_NAME, session->name, sizeof(session->name));
	/* A zero within would make another name of it. */
	if (strlen(session->name) != message->attributes[KMP_ATTRIBUTE_NAME].size
		|| !kmp_name_is_valid(session->name) || resumes > 1)
		return KMP_BAD_VALUE;
	memcpy(session->client_nonce, message->attributes[KMP_ATTRIBUTE_NONCE].value,
		KMP_NONCE_SIZE);
	session->resumes = resumes;
	if (getrandom(session->server_nonce, KMP_NONCE_SIZE, 0) != KMP_NONCE_SIZE)
		return KMP_FAILED;
	kmp_begin(answer, session->answer, sizeof(session->answer), KMP_CHALLENGE, 0,
		message->sequence);
	kmp_put(answer, KMP_ATTRIBUTE_NONCE, session->server_nonce, KMP_NONCE_SIZE);
	session->state = KMP_SESSION_CHALLENGED;
	return KMP_OK;
}

static int make_proof(
	const struct kmp_session *session, enum kmp_prover prover, uint8_t out[KMP_PROOF_SIZE])
{
	const struct kmp_settings *settings = &session->server->settings;

	return kmp_proof(settings->secret, settings->secret_size, prover, session->client_nonce,
		session->server_nonce, session->name, out);
}

/* The session before, and what it brought. */
static void take_over(struct kmp_session *session, struct kmp_owner *owner, uint64_t now_ns)
{
	if (owner->session) {
		session->server->stats.taken_over++;
		kmp_session_end(owner->session, now_ns);
	}
	if (!session->resumes)
		kmp_owner_retire(session->server, owner, now_ns);
	owner->session = session;
	session->owner = owner;
	session->state = KMP_SESSION_READY;
	session->is_stranger = false;
	session->server->stranger_count--;
	log_info("kmp_session", log_str("name", session->name), log_uint("number", session->number),
		log_bool("resumes", session->resumes));
}

static enum kmp_code hear_proof(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, uint64_t now_ns)
{
	uint8_t expected[KMP_PROOF_SIZE], ours[KMP_PROOF_SIZE];
	struct kmp_owner *owner;
	const struct kmp_events *events;
	bool is_new;

	if (make_proof(session, KMP_PROVER_CLIENT, expected) < 0
		|| make_proof(session, KMP_PROVER_SERVER, ours) < 0)
		return KMP_FAILED;
	if (!secret_is_equal(
		    expected, message->attributes[KMP_ATTRIBUTE_PROOF].value, KMP_PROOF_SIZE)) {
		note_failure(session->server, session->peer, now_ns);
		log_warning("kmp_denied", log_str("name", session->name),
			log_uint("peer", session->peer));
		return KMP_DENIED;
	}
	owner = kmp_owner_get(session->server, session->name, &is_new);
	if (!owner)
		return KMP_NO_ROOM;
	take_over(session, owner, now_ns);
	events = &owner->events;
	kmp_begin(answer, session->answer, sizeof(session->answer), KMP_WELCOME, 0,
		message->sequence);
	kmp_put(answer, KMP_ATTRIBUTE_PROOF, ours, sizeof(ours));
	kmp_put_number(answer, KMP_ATTRIBUTE_SESSION, 4, session->number);
	kmp_put_number(answer, KMP_ATTRIBUTE_GRACE, 4, session->server->settings.grace_ms);
	kmp_put_number(answer, KMP_ATTRIBUTE_EVENT, 4, events->next_sequence - events->count);
	kmp_put_number(answer, KMP_ATTRIBUTE_RESUMES, 1, session->resumes && !is_new);
	return KMP_OK;
}

/* A stranger has one try, one request at a time in the only order. */
static void hear_stranger(
	struct kmp_session *session, const struct kmp_message *message, uint64_t now_ns)
{
	struct kmp_writer answer = {.size = 0};
	enum kmp_code code = KMP_WRONG_STATE;

	if (session->state == KMP_SESSION_NEW && message->type == KMP_HELLO)
		code = hear_hello(session, message, &answer, now_ns);
	else if (session->state == KMP_SESSION_CHALLENGED && message->type == KMP_PROOF)
		code = hear_proof(session, message, &answer, now_ns);
	if (code == KMP_OK) {
		send_answer(session, kmp_end(&answer));
		if (session->owner)
			kmp_events_restart(session->owner, now_ns);
		return;
	}
	session->server->stats.refused++;
	answer_result(session, message->sequence, code, kmp_code_text(code));
	if (code != KMP_WRONG_STATE && code != KMP_BAD_VALUE)
		kmp_session_end(session, now_ns);
}

/* ---- requests ---- */

static void say_bye(struct kmp_session *session, uint32_t sequence, uint64_t now_ns)
{
	struct kmp_owner *owner = session->owner;

	answer_result(session, sequence, KMP_OK, "");
	kmp_session_end(session, now_ns);
	kmp_owner_flush(owner);
	kmp_owner_destroy(session->server, owner);
}

static void hear_request(
	struct kmp_session *session, const struct kmp_message *message, uint64_t now_ns)
{
	struct kmp_writer answer = {.size = 0};
	struct error error = {.text = ""};
	enum kmp_code code;

	session->server->stats.requests++;
	if (message->type == KMP_BYE) {
		say_bye(session, message->sequence, now_ns);
		return;
	}
	if (message->type == KMP_EVENT_ACK) {
		code = kmp_events_acknowledge(session->owner, message->acknowledgement, now_ns);
		if (code == KMP_OK)
			return;
	} else {
		code = kmp_request(session, message, &answer, &error);
	}
	if (code == KMP_OK && answer.size > 0) {
		send_answer(session, kmp_end(&answer));
		return;
	}
	session->server->stats.refused += code != KMP_OK;
	answer_result(session, message->sequence, code,
		error.text[0] || code == KMP_OK ? error.text : kmp_code_text(code));
}

/* Serial numbers (RFC 1982). */
static bool is_newer(uint32_t sequence, uint32_t last)
{
	return (int32_t)(sequence - last) > 0;
}

static enum kmp_code check(
	struct kmp_session *session, const uint8_t *bytes, size_t size, struct kmp_message *message)
{
	enum kmp_code code = kmp_decode(bytes, size, message);

	if (code == KMP_OK && !kmp_is_from_client(message->type))
		code = KMP_UNKNOWN_TYPE;
	if (code == KMP_OK && message->target != 0)
		code = KMP_NOT_FOUND;
	if (!is_newer(message->sequence, session->last_sequence))
		return code == KMP_OK ? KMP_WRONG_SEQUENCE : code;
	session->last_sequence = message->sequence;
	return code;
}

void kmp_session_receive(struct kmp_session *session, uint8_t *bytes, size_t size, uint64_t now_ns)
{
	struct kmp_message message;
	enum kmp_code code = check(session, bytes, size, &message);

	if (code != KMP_OK) {
		session->server->stats.malformed++;
		answer_result(session, message.sequence, code, kmp_code_text(code));
	} else if (session->state == KMP_SESSION_READY) {
		hear_request(session, &message, now_ns);
	} else {
		hear_stranger(session, &message, now_ns);
	}
	explicit_bzero(bytes, size);
}
