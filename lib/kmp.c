/* SPDX-License-Identifier: BSD-3-Clause */
/* A client of KMP: one call at a time, and a queue of the events that come meanwhile. */
#include "bulkhead/kmp.h"

#include "lib/kmp_unix.h"
#include "lib/now.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS       5000
#define SECRET_FILE_SIZE 4096

struct bulkhead_kmp {
	const struct kmp_transport *transport;
	void *context;
	unsigned int timeout_ms;
	uint32_t sequence; /* of the last request */
	uint32_t grace_ms;
	bool has_resumed;
	uint32_t next_event; /* that is expected; others were seen before */
	struct kmp_event events[KMP_EVENT_WINDOW];
	size_t first, count;
	struct kmp_message answer; /* to the last request, in in[] */
	struct kmp_writer writer;
	uint8_t out[KMP_MESSAGE_MAX], in[KMP_MESSAGE_MAX];
};

__attribute__((format(printf, 3, 4))) static int fail(
	struct bulkhead_kmp_error *error, int code, const char *format, ...)
{
	va_list arguments;

	error->code = 0;
	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	return code;
}

static int fail_connection(struct bulkhead_kmp_error *error, int code)
{
	switch (code) {
	case -ECONNRESET:
		return fail(error, code,
			"the daemon closed the connection: it was stopped, or another session has "
			"taken the name over");
	case -ETIMEDOUT:
		return fail(error, code, "the daemon did not answer in time");
	case -EPROTO:
		return fail(error, code, "the daemon sent what is no KMP");
	case -EMSGSIZE:
		return fail(error, code, "a message is longer than it may be");
	default:
		return fail(
			error, code, "the connection to the daemon failed: %s", strerror(-code));
	}
}

/* ---- what comes ---- */

static bool read_event(const struct kmp_message *message, struct kmp_event *event)
{
	uint16_t count;

	*event = (struct kmp_event){.type = message->type, .sequence = message->sequence};
	event->is_hard = kmp_get_number(message, KMP_ATTRIBUTE_IS_HARD) != 0;
	event->request = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_REQUEST);
	event->source = kmp_get_address(message, KMP_ATTRIBUTE_SOURCE);
	event->source_port = (uint16_t)kmp_get_number(message, KMP_ATTRIBUTE_SOURCE_PORT);
	event->lost = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_LOST);
	if (message->type == KMP_SA_ACQUIRE)
		return kmp_get_selectors(message, &event->selector, 1, &count) == KMP_OK;
	return message->type == KMP_OVERRUN || kmp_get_name(message, &event->name) == KMP_OK;
}

/* One that was seen before, or that there is no room for, comes again. */
static int take_event(struct bulkhead_kmp *kmp, const struct kmp_message *message)
{
	struct kmp_event *event = &kmp->events[(kmp->first + kmp->count) % KMP_EVENT_WINDOW];

	if (message->sequence != kmp->next_event || kmp->count == KMP_EVENT_WINDOW)
		return 0;
	if (!read_event(message, event))
		return -EPROTO;
	kmp->count++;
	kmp->next_event++;
	return 0;
}

/* The next message, in answer; events go into their queue. */
static int receive(struct bulkhead_kmp *kmp, int timeout_ms)
{
	size_t size;
	int code =
		kmp->transport->receive(kmp->context, kmp->in, sizeof(kmp->in), timeout_ms, &size);

	if (code < 0)
		return code;
	if (kmp_decode(kmp->in, size, &kmp->answer) != KMP_OK
		|| kmp_is_from_client(kmp->answer.type))
		return -EPROTO;
	return kmp_is_event(kmp->answer.type) ? take_event(kmp, &kmp->answer) : 0;
}

static int receive_answer(struct bulkhead_kmp *kmp)
{
	int64_t deadline = now_ms() + kmp->timeout_ms;

	for (;;) {
		int64_t left = deadline - now_ms();
		int code = left > 0 ? receive(kmp, (int)left) : -ETIMEDOUT;

		if (code < 0 && code != -EINTR)
			return code;
		if (code == 0 && !kmp_is_event(kmp->answer.type)
			&& kmp->answer.acknowledgement == kmp->sequence)
			return 0;
	}
}

/* ---- calls ---- */

static struct kmp_writer *begin(struct bulkhead_kmp *kmp, enum kmp_type type)
{
	kmp_begin(&kmp->writer, kmp->out, sizeof(kmp->out), type, ++kmp->sequence, 0);
	return &kmp->writer;
}

/* What was sent may have keys in it. */
static int send_begun(struct bulkhead_kmp *kmp)
{
	size_t size = kmp_end(&kmp->writer);
	int code = size > 0 ? kmp->transport->send(kmp->context, kmp->out, size) : -EMSGSIZE;

	explicit_bzero(kmp->out, kmp->writer.size);
	return code;
}

/* Sends what was begun; the answer is of the type, or a RESULT that says why not. */
static int call(struct bulkhead_kmp *kmp, enum kmp_type type, struct bulkhead_kmp_error *error)
{
	int code = send_begun(kmp);
	unsigned int result;
	char text[KMP_TEXT_MAX + 1];

	if (code == 0)
		code = receive_answer(kmp);
	if (code < 0)
		return fail_connection(error, code);
	result = (unsigned int)kmp_get_number(&kmp->answer, KMP_ATTRIBUTE_CODE);
	if (kmp->answer.type == type && result == KMP_OK)
		return 0;
	if (kmp->answer.type != KMP_RESULT || result == KMP_OK)
		return fail_connection(error, -EPROTO);
	kmp_get_text(&kmp->answer, KMP_ATTRIBUTE_TEXT, text, sizeof(text));
	fail(error, 0, "the daemon refused: %s", text[0] ? text : kmp_code_text(result));
	error->code = (int)result;
	return -EREMOTEIO;
}

/* ---- opening and closing ---- */

/* With the text in bytes: wiped by the caller. */
static int read_secret_file(const char *path, char text[SECRET_FILE_SIZE], size_t *size,
	struct bulkhead_kmp_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	struct stat info;
	ssize_t got;

	if (fd < 0 || fstat(fd, &info) < 0) {
		int code = errno;

		if (fd >= 0)
			close(fd);
		return fail(error, -code, "%s: %s", path, strerror(code));
	}
	if (!S_ISREG(info.st_mode) || info.st_mode & (S_IRWXO | S_IWGRP)) {
		close(fd);
		return fail(error, -EACCES,
			"%s: must be a file that others cannot read, and nobody but its owner "
			"write: chmod 0640",
			path);
	}
	got = read(fd, text, SECRET_FILE_SIZE);
	close(fd);
	if (got < 0)
		return fail(error, -EIO, "%s: cannot be read", path);
	*size = (size_t)got;
	return 0;
}

static int read_secret(const char *path, uint8_t secret[KMP_SECRET_MAX], size_t *size,
	struct bulkhead_kmp_error *error)
{
	char text[SECRET_FILE_SIZE];
	size_t text_size = 0;
	int code = read_secret_file(path, text, &text_size, error);

	if (code == 0 && kmp_secret_parse(text, text_size, secret, size) < 0)
		code = fail(error, -EINVAL,
			"%s: no secret; it is one line of hexadecimal digits, %d to %d of them",
			path, 2 * KMP_SECRET_MIN, 2 * KMP_SECRET_MAX);
	explicit_bzero(text, sizeof(text));
	return code;
}

static int welcome(struct bulkhead_kmp *kmp, const uint8_t expected[KMP_PROOF_SIZE],
	struct bulkhead_kmp_error *error)
{
	const uint8_t *proof = kmp->answer.attributes[KMP_ATTRIBUTE_PROOF].value;
	uint8_t difference = 0;

	for (size_t i = 0; i < KMP_PROOF_SIZE; i++)
		difference |= proof[i] ^ expected[i];
	if (difference)
		return fail(error, -EACCES, "who answers there does not have our secret");
	kmp->grace_ms = (uint32_t)kmp_get_number(&kmp->answer, KMP_ATTRIBUTE_GRACE);
	kmp->next_event = (uint32_t)kmp_get_number(&kmp->answer, KMP_ATTRIBUTE_EVENT);
	kmp->has_resumed = kmp_get_number(&kmp->answer, KMP_ATTRIBUTE_RESUMES) != 0;
	return 0;
}

static int shake_hands(struct bulkhead_kmp *kmp, const struct bulkhead_kmp_options *options,
	const uint8_t *secret, size_t secret_size, struct bulkhead_kmp_error *error)
{
	uint8_t ours[KMP_NONCE_SIZE], theirs[KMP_NONCE_SIZE], proof[KMP_PROOF_SIZE];
	struct kmp_writer *writer = begin(kmp, KMP_HELLO);
	int code;

	if (getrandom(ours, sizeof(ours), 0) != sizeof(ours))
		return fail(error, -EIO, "no random numbers");
	kmp_put(writer, KMP_ATTRIBUTE_NAME, options->name, strlen(options->name));
	kmp_put(writer, KMP_ATTRIBUTE_NONCE, ours, sizeof(ours));
	kmp_put_number(writer, KMP_ATTRIBUTE_RESUMES, 1, options->resumes);
	code = call(kmp, KMP_CHALLENGE, error);
	if (code < 0)
		return code;
	memcpy(theirs, kmp->answer.attributes[KMP_ATTRIBUTE_NONCE].value, sizeof(theirs));
	if (kmp_proof(secret, secret_size, KMP_PROVER_CLIENT, ours, theirs, options->name, proof)
		< 0)
		return fail(error, -EIO, "no HMAC-SHA-256");
	writer = begin(kmp, KMP_PROOF);
	kmp_put(writer, KMP_ATTRIBUTE_PROOF, proof, sizeof(proof));
	code = call(kmp, KMP_WELCOME, error);
	if (code < 0)
		return code == -EREMOTEIO && error->code == KMP_DENIED ? -EACCES : code;
	if (kmp_proof(secret, secret_size, KMP_PROVER_SERVER, ours, theirs, options->name, proof)
		< 0)
		return fail(error, -EIO, "no HMAC-SHA-256");
	return welcome(kmp, proof, error);
}

static int connect_transport(struct bulkhead_kmp *kmp, const struct bulkhead_kmp_options *options,
	struct bulkhead_kmp_error *error)
{
	kmp->transport = options->transport ? options->transport : &kmp_unix_transport;
	kmp->context = options->transport_context;
	return options->transport ? 0 : kmp_unix_connect(options->socket, &kmp->context, error);
}

int bulkhead_kmp_open(const struct bulkhead_kmp_options *options, struct bulkhead_kmp **out,
	struct bulkhead_kmp_error *error)
{
	struct bulkhead_kmp *kmp = calloc(1, sizeof(*kmp));
	uint8_t secret[KMP_SECRET_MAX];
	size_t size = 0;
	int code;

	if (!kmp)
		return fail(error, -ENOMEM, "no memory left");
	kmp->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
	code = connect_transport(kmp, options, error);
	if (code < 0) {
		free(kmp);
		return code;
	}
	code = kmp_name_is_valid(options->name)
		? read_secret(options->secret_file, secret, &size, error)
		: fail(error, -EINVAL, "a name is of 1 to %d letters, digits, . _ and -",
			KMP_NAME_MAX);
	if (code == 0)
		code = shake_hands(kmp, options, secret, size, error);
	explicit_bzero(secret, sizeof(secret));
	if (code < 0) {
		bulkhead_kmp_close(kmp);
		return code;
	}
	*out = kmp;
	return 0;
}

void bulkhead_kmp_close(struct bulkhead_kmp *kmp)
{
	if (!kmp)
		return;
	kmp->transport->close(kmp->context);
	free(kmp);
}

uint32_t bulkhead_kmp_grace_ms(const struct bulkhead_kmp *kmp)
{
	return kmp->grace_ms;
}

bool bulkhead_kmp_has_resumed(const struct bulkhead_kmp *kmp)
{
	return kmp->has_resumed;
}

int bulkhead_kmp_descriptor(const struct bulkhead_kmp *kmp)
{
	return kmp->transport->descriptor(kmp->context);
}

/* ---- requests ---- */

int bulkhead_kmp_bye(struct bulkhead_kmp *kmp, struct bulkhead_kmp_error *error)
{
	begin(kmp, KMP_BYE);
	return call(kmp, KMP_RESULT, error);
}

int bulkhead_kmp_ping(struct bulkhead_kmp *kmp, struct bulkhead_kmp_error *error)
{
	begin(kmp, KMP_PING);
	return call(kmp, KMP_RESULT, error);
}

int bulkhead_kmp_get_spi(struct bulkhead_kmp *kmp, const struct kmp_address *destination,
	uint32_t *spi, struct bulkhead_kmp_error *error)
{
	int code;

	kmp_put_address(begin(kmp, KMP_GET_SPI), KMP_ATTRIBUTE_DESTINATION, destination);
	code = call(kmp, KMP_SPI, error);
	if (code == 0)
		*spi = (uint32_t)kmp_get_number(&kmp->answer, KMP_ATTRIBUTE_SPI);
	return code;
}

int bulkhead_kmp_sa_add(
	struct bulkhead_kmp *kmp, const struct kmp_sa *sa, struct bulkhead_kmp_error *error)
{
	kmp_put_sa(begin(kmp, KMP_SA_ADD), sa);
	return call(kmp, KMP_RESULT, error);
}

int bulkhead_kmp_sa_update(
	struct bulkhead_kmp *kmp, const struct kmp_move *move, struct bulkhead_kmp_error *error)
{
	kmp_put_move(begin(kmp, KMP_SA_UPDATE), move);
	return call(kmp, KMP_RESULT, error);
}

int bulkhead_kmp_sa_delete(
	struct bulkhead_kmp *kmp, const struct kmp_sa_name *name, struct bulkhead_kmp_error *error)
{
	kmp_put_name(begin(kmp, KMP_SA_DELETE), name);
	return call(kmp, KMP_RESULT, error);
}

int bulkhead_kmp_sa_query(struct bulkhead_kmp *kmp, const struct kmp_sa_name *name,
	struct kmp_usage *usage, struct bulkhead_kmp_error *error)
{
	int code;

	kmp_put_name(begin(kmp, KMP_SA_QUERY), name);
	code = call(kmp, KMP_USAGE, error);
	if (code == 0)
		kmp_get_usage(&kmp->answer, usage);
	return code;
}

int bulkhead_kmp_policy_add(
	struct bulkhead_kmp *kmp, const struct kmp_policy *policy, struct bulkhead_kmp_error *error)
{
	kmp_put_policy(begin(kmp, KMP_POLICY_ADD), policy);
	return call(kmp, KMP_RESULT, error);
}

int bulkhead_kmp_policy_delete(
	struct bulkhead_kmp *kmp, const struct kmp_policy *policy, struct bulkhead_kmp_error *error)
{
	kmp_put_policy(begin(kmp, KMP_POLICY_DELETE), policy);
	return call(kmp, KMP_RESULT, error);
}

int bulkhead_kmp_list(struct bulkhead_kmp *kmp, bool is_all, uint32_t *after,
	struct kmp_sa_entry entries[KMP_SAS_MAX], size_t *count, struct bulkhead_kmp_error *error)
{
	struct kmp_writer *writer = begin(kmp, KMP_LIST);
	int code;

	kmp_put_number(writer, KMP_ATTRIBUTE_IS_ALL, 1, is_all);
	kmp_put_number(writer, KMP_ATTRIBUTE_AFTER, 4, *after);
	code = call(kmp, KMP_SAS, error);
	if (code < 0)
		return code;
	if (kmp_get_entries(&kmp->answer, entries, count) != KMP_OK)
		return fail_connection(error, -EPROTO);
	*after = (uint32_t)kmp_get_number(&kmp->answer, KMP_ATTRIBUTE_NEXT);
	return 0;
}

int bulkhead_kmp_stats(
	struct bulkhead_kmp *kmp, struct kmp_stats *stats, struct bulkhead_kmp_error *error)
{
	int code;

	begin(kmp, KMP_GET_STATS);
	code = call(kmp, KMP_STATS, error);
	if (code == 0)
		kmp_get_stats(&kmp->answer, stats);
	return code;
}

/* ---- events ---- */

bool bulkhead_kmp_has_event(const struct bulkhead_kmp *kmp)
{
	return kmp->count > 0;
}

int bulkhead_kmp_next_event(struct bulkhead_kmp *kmp, int timeout_ms, struct kmp_event *event,
	struct bulkhead_kmp_error *error)
{
	int64_t deadline = now_ms() + timeout_ms;

	while (kmp->count == 0) {
		int64_t left = timeout_ms < 0 ? -1 : deadline - now_ms();
		int code = receive(kmp, left < 0 && timeout_ms >= 0 ? 0 : (int)left);

		if (code == -ETIMEDOUT || code == -EINTR)
			return fail(error, code, "no event came");
		if (code < 0)
			return fail_connection(error, code);
	}
	*event = kmp->events[kmp->first];
	kmp->first = (kmp->first + 1) % KMP_EVENT_WINDOW;
	kmp->count--;
	return 0;
}

int bulkhead_kmp_acknowledge(
	struct bulkhead_kmp *kmp, const struct kmp_event *event, struct bulkhead_kmp_error *error)
{
	int code;

	kmp_begin(&kmp->writer, kmp->out, sizeof(kmp->out), KMP_EVENT_ACK, ++kmp->sequence,
		event->sequence);
	code = send_begun(kmp);
	return code < 0 ? fail_connection(error, code) : 0;
}
