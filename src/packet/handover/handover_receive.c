/* SPDX-License-Identifier: BSD-3-Clause */
/* The taker's socket: one giver at a time; others wait until it is gone. Whoever does not prove
 * that it has the secret, in time, is nobody. */
#include "base/accept.h"
#include "base/log.h"
#include "base/secret.h"
#include "packet/handover/handover.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum giver_state { GIVER_STRANGER, GIVER_CHALLENGED, GIVER_PROVED };

static struct {
	uv_poll_t *poll; /* NULL: not open */
	int fd;
} listener;

static struct {
	struct handover_link *link; /* NULL: nobody is there */
	enum giver_state state;
	uint8_t client_nonce[KMP_NONCE_SIZE], server_nonce[KMP_NONCE_SIZE];
	struct handover_taking *taking; /* NULL: nothing came */
} giver;

static void on_connect(uv_poll_t *poll, int status, int events);

bool handover_is_taking(void)
{
	return giver.taking != NULL;
}

static void await_next(void)
{
	if (listener.poll)
		uv_poll_start(listener.poll, UV_READABLE, on_connect);
}

/* What came stays when it was committed. */
static void leave(bool is_committed)
{
	if (giver.taking && !is_committed)
		handover_undo(giver.taking);
	handover_taking_destroy(giver.taking);
	handover_link_close(giver.link);
	explicit_bzero(&giver, sizeof(giver));
	await_next();
}

/* ---- answers ---- */

static int answer_result(const struct kmp_message *request, enum kmp_code code, const char *text)
{
	struct kmp_writer *writer =
		handover_link_begin(giver.link, KMP_RESULT, 0, request->sequence);

	kmp_put_number(writer, KMP_ATTRIBUTE_CODE, 2, code);
	kmp_put(writer, KMP_ATTRIBUTE_TEXT, text, strnlen(text, KMP_TEXT_MAX));
	return handover_link_send(giver.link);
}

static void refuse(const struct kmp_message *request, enum kmp_code code, const char *text)
{
	log_warning("handover_refused", log_str("request", kmp_type_name(request->type)),
		log_str("reason", text));
	(void)answer_result(request, code, text);
	leave(false);
}

/* ---- the handshake ---- */

static int make_proof(enum kmp_prover prover, uint8_t out[KMP_PROOF_SIZE])
{
	const struct handover_secret *secret = handover_secret();

	if (!secret)
		return -ENOENT;
	return kmp_proof(secret_bytes(secret->secret), secret->size, prover, giver.client_nonce,
		giver.server_nonce, HANDOVER_NAME, out);
}

static void hear_hello(const struct kmp_message *message)
{
	struct kmp_writer *writer;
	char name[KMP_NAME_MAX + 1];

	kmp_get_text(message, KMP_ATTRIBUTE_NAME, name, sizeof(name));
	if (strcmp(name, HANDOVER_NAME) != 0
		|| getrandom(giver.server_nonce, KMP_NONCE_SIZE, 0) != KMP_NONCE_SIZE) {
		refuse(message, KMP_BAD_VALUE, "this socket is for hand-overs alone");
		return;
	}
	memcpy(giver.client_nonce, message->attributes[KMP_ATTRIBUTE_NONCE].value, KMP_NONCE_SIZE);
	writer = handover_link_begin(giver.link, KMP_CHALLENGE, 0, message->sequence);
	kmp_put(writer, KMP_ATTRIBUTE_NONCE, giver.server_nonce, KMP_NONCE_SIZE);
	(void)handover_link_send(giver.link);
	giver.state = GIVER_CHALLENGED;
}

static void hear_proof(const struct kmp_message *message)
{
	uint8_t expected[KMP_PROOF_SIZE], ours[KMP_PROOF_SIZE];
	struct kmp_writer *writer;

	if (make_proof(KMP_PROVER_CLIENT, expected) < 0 || make_proof(KMP_PROVER_SERVER, ours) < 0
		|| !secret_is_equal(
			expected, message->attributes[KMP_ATTRIBUTE_PROOF].value, KMP_PROOF_SIZE)) {
		refuse(message, KMP_DENIED, "the two daemons have different secrets");
		return;
	}
	giver.taking = handover_taking_create();
	if (!giver.taking) {
		refuse(message, KMP_NO_ROOM, "it has no memory");
		return;
	}
	giver.state = GIVER_PROVED;
	writer = handover_link_begin(giver.link, KMP_WELCOME, 0, message->sequence);
	kmp_put(writer, KMP_ATTRIBUTE_PROOF, ours, sizeof(ours));
	kmp_put_number(writer, KMP_ATTRIBUTE_SESSION, 4, 0);
	kmp_put_number(writer, KMP_ATTRIBUTE_GRACE, 4, 0);
	kmp_put_number(writer, KMP_ATTRIBUTE_EVENT, 4, 0);
	kmp_put_number(writer, KMP_ATTRIBUTE_RESUMES, 1, 0);
	(void)handover_link_send(giver.link);
	handover_link_wait(giver.link, HANDOVER_QUIET_MS);
}

/* ---- requests ---- */

/* The answer comes first: a giver that will not read it any more has gone on by itself. */
static void hear_commit(const struct kmp_message *message)
{
	if (!handover_can_commit(giver.taking)) {
		refuse(message, KMP_WRONG_STATE, "there is nothing that could be committed");
		return;
	}
	if (answer_result(message, KMP_OK, "") < 0) {
		log_warning("handover_refused", log_str("reason", "the giver is gone"));
		leave(false);
		return;
	}
	handover_commit(giver.taking);
	leave(true);
}

static void hear_request(const struct kmp_message *message)
{
	struct error error = {.text = ""};
	enum kmp_code code;

	if (message->type == KMP_HANDOVER_COMMIT) {
		hear_commit(message);
		return;
	}
	code = handover_take(giver.taking, message, &error);
	if (code != KMP_OK) {
		refuse(message, code, error.text[0] ? error.text : kmp_code_text(code));
		return;
	}
	handover_link_wait(giver.link, HANDOVER_QUIET_MS);
	(void)answer_result(message, KMP_OK, "");
}

static void on_message(void *context, const struct kmp_message *message)
{
	if (giver.state == GIVER_STRANGER && message->type == KMP_HELLO)
		hear_hello(message);
	else if (giver.state == GIVER_CHALLENGED && message->type == KMP_PROOF)
		hear_proof(message);
	else if (giver.state == GIVER_PROVED)
		hear_request(message);
	else
		refuse(message, KMP_WRONG_STATE, kmp_code_text(KMP_WRONG_STATE));
}

static void on_end(void *context, const char *why)
{
	if (giver.taking)
		log_warning("handover_broken_off", log_str("reason", why));
	leave(false);
}

/* ---- the socket ---- */

static void on_connect(uv_poll_t *poll, int status, int events)
{
	static const struct handover_link_ops ops = {.message = on_message, .end = on_end};
	int fd = accept_connection(listener.fd, NULL, NULL);

	if (fd < 0)
		return;
	status = handover_link_open(packet_loop(), fd, &ops, NULL, &giver.link);
	if (status < 0) {
		log_warning("handover_turned_away", log_errno(status));
		return;
	}
	handover_link_wait(giver.link, HANDOVER_STRANGER_MS);
	uv_poll_stop(listener.poll);
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

int handover_receive_open(int fd)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	int status = poll ? uv_poll_init(packet_loop(), poll, fd) : -ENOMEM;

	if (status < 0) {
		free(poll);
		close(fd);
		return status;
	}
	listener.poll = poll;
	listener.fd = fd;
	await_next();
	return 0;
}

void handover_receive_close(void)
{
	uv_poll_t *poll = listener.poll;

	listener.poll = NULL;
	leave(false);
	if (!poll)
		return;
	uv_close((uv_handle_t *)poll, on_poll_closed);
	close(listener.fd);
}
