/* SPDX-License-Identifier: BSD-3-Clause */
/* The giver: ipsec.handover. Each answer leads to the next request; whatever goes wrong before
 * COMMIT is answered leads back to how it was. */
#include "base/clock.h"
#include "base/log.h"
#include "packet/distributor/connection_table.h"
#include "packet/distributor/distributor_control.h"
#include "packet/distributor/health.h"
#include "packet/distributor/standby.h"
#include "packet/handover/handover.h"
#include "packet/ipsec/ipsec_control.h"
#include "packet/ipsec/kmp_terms.h"
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum phase {
	GIVE_CONNECT,
	GIVE_HELLO,
	GIVE_PROOF,
	GIVE_BEGIN,
	GIVE_VIPAS,
	GIVE_TARGETS,
	GIVE_SAS,
	GIVE_POLICIES,
	GIVE_CONNECTIONS,
	GIVE_KEEP,
	GIVE_COMMIT,
};

/* One policy of a key manager's, as it was when they were listed. */
struct list {
	struct policy_parameters *rows;
	size_t count;
};

static struct {
	struct ipc_request *request; /* NULL: no hand-over is under way */
	struct handover_link *link;
	enum phase phase;
	uint32_t sequence;
	uint8_t client_nonce[KMP_NONCE_SIZE], server_nonce[KMP_NONCE_SIZE];
	uint32_t next; /* VIPA, target, SA or policy */
	/* By our indices, their order in the hand-over. */
	uint16_t vipas[VIPAS_MAX], targets[VIPA_TARGETS_MAX];
	uint16_t vipa_count, target_count;
	struct list policies;
	struct distributor_cursor cursor;
	size_t sa_count, connection_count;
	uint64_t silent_since_ns;
} give;

bool handover_is_giving(void)
{
	return give.request != NULL;
}

static void forget(void)
{
	ipsec_forget_waiter();
	handover_link_close(give.link);
	free(give.policies.rows);
	explicit_bzero(&give, sizeof(give));
}

/* ---- its end ---- */

/* As it was before. */
static void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(int code, const char *format, ...)
{
	struct ipc_request *request = give.request;
	struct error error;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error.text, sizeof(error.text), format, arguments);
	va_end(arguments);
	log_warning("handover_failed", log_str("reason", error.text));
	if (give.silent_since_ns)
		standby_set(STANDBY_OFF);
	forget();
	ipc_reply_failed(request, code, error.text);
}

static void succeed(void)
{
	struct ipc_request *request = give.request;
	uint64_t silence_ms = (clock_monotonic_ns() - give.silent_since_ns) / CLOCK_NS_PER_MS;
	json_t *result = json_pack("{s:i, s:I, s:I, s:I, s:I}", "vipas", give.vipa_count, "sas",
		(json_int_t)give.sa_count, "policies", (json_int_t)give.policies.count,
		"connections", (json_int_t)give.connection_count, "silence_ms",
		(json_int_t)silence_ms);

	log_info("handover_given", log_uint("sas", give.sa_count),
		log_uint("connections", give.connection_count), log_uint("silence_ms", silence_ms));
	forget();
	ipsec_forget_all();
	distributor_forget_connections();
	ipc_reply(request, result);
}

/* ---- requests ---- */

static struct kmp_writer *begin(enum kmp_type type)
{
	return handover_link_begin(give.link, type, ++give.sequence, 0);
}

static void send_request(void)
{
	int status = handover_link_send(give.link);

	/* EPIPE: why is in an answer that is on its way, or there is none and the link ends. */
	if (status < 0 && status != -EPIPE)
		fail(status, "the other daemon does not read what is handed over");
	else
		handover_link_wait(give.link, HANDOVER_ANSWER_MS);
}

static void say_hello(void)
{
	struct kmp_writer *writer;

	if (getrandom(give.client_nonce, KMP_NONCE_SIZE, 0) != KMP_NONCE_SIZE) {
		fail(-EIO, "no random numbers");
		return;
	}
	writer = begin(KMP_HELLO);
	kmp_put(writer, KMP_ATTRIBUTE_NAME, HANDOVER_NAME, strlen(HANDOVER_NAME));
	kmp_put(writer, KMP_ATTRIBUTE_NONCE, give.client_nonce, KMP_NONCE_SIZE);
	kmp_put_number(writer, KMP_ATTRIBUTE_RESUMES, 1, 0);
	send_request();
}

static int make_proof(enum kmp_prover prover, uint8_t out[KMP_PROOF_SIZE])
{
	const struct handover_secret *secret = handover_secret();

	if (!secret)
		return -ENOENT;
	return kmp_proof(secret_bytes(secret->secret), secret->size, prover, give.client_nonce,
		give.server_nonce, HANDOVER_NAME, out);
}

static void say_proof(const struct kmp_message *challenge)
{
	uint8_t proof[KMP_PROOF_SIZE];

	memcpy(give.server_nonce, challenge->attributes[KMP_ATTRIBUTE_NONCE].value, KMP_NONCE_SIZE);
	if (make_proof(KMP_PROVER_CLIENT, proof) < 0) {
		fail(-EIO, "no proof can be made");
		return;
	}
	kmp_put(begin(KMP_PROOF), KMP_ATTRIBUTE_PROOF, proof, sizeof(proof));
	send_request();
}

static bool is_proved(const struct kmp_message *welcome)
{
	uint8_t expected[KMP_PROOF_SIZE];

	return make_proof(KMP_PROVER_SERVER, expected) == 0
		&& secret_is_equal(
			expected, welcome->attributes[KMP_ATTRIBUTE_PROOF].value, KMP_PROOF_SIZE);
}

static void put_address(struct kmp_writer *writer, const struct ip_address *address)
{
	struct kmp_address theirs = kmp_terms_put_address(address);

	kmp_put_address(writer, KMP_ATTRIBUTE_DESTINATION, &theirs);
}

/* False: that was the last one; likewise below. */
static bool say_vipa(void)
{
	for (; give.next < vipa_table->vipa_count; give.next++) {
		const struct vipa *vipa = &vipa_table->vipas[give.next];
		struct kmp_writer *writer;

		if (!vipa->name[0])
			continue;
		give.vipas[give.next++] = give.vipa_count++;
		writer = begin(KMP_HANDOVER_VIPA);
		kmp_put(writer, KMP_ATTRIBUTE_NAME, vipa->name, strlen(vipa->name));
		put_address(writer, &vipa->address);
		kmp_put_number(writer, KMP_ATTRIBUTE_VLAN, 2, vipa->vlan);
		return true;
	}
	return false;
}

static bool say_target(void)
{
	for (; give.next < vipa_table->target_count; give.next++) {
		const struct vipa_target *target = &vipa_table->targets[give.next];
		struct kmp_writer *writer;

		if (!target->name[0])
			continue;
		writer = begin(KMP_HANDOVER_TARGET);
		kmp_put(writer, KMP_ATTRIBUTE_NAME, target->name, strlen(target->name));
		kmp_put_number(writer, KMP_ATTRIBUTE_IS_UP, 1, health_is_up((uint16_t)give.next));
		if (!target->is_local)
			put_address(writer, &target->address);
		give.targets[give.next++] = give.target_count++;
		return true;
	}
	return false;
}

static bool say_sa(void)
{
	const struct sa *sa = sa_next(give.next);
	struct sa_parameters parameters;
	struct kmp_writer *writer;

	if (!sa)
		return false;
	give.next = sa->index + 1;
	give.sa_count++;
	sa_describe(sa, &parameters);
	writer = begin(KMP_HANDOVER_SA);
	/* Both checks of it were passed when it was added. */
	writer->has_failed |= !kmp_terms_put_sa(writer, &parameters);
	kmp_put_number(writer, KMP_ATTRIBUTE_OWNER, 4, parameters.owner);
	handover_put_past(writer, sa);
	return true;
}

/* The oldest reference of a policy first: added in this order, the newest one wins again. */
static int list_policies(struct list *list)
{
	size_t room = 0, at;

	for (const struct policy *policy = policy_first(); policy; policy = policy->list_next)
		for (const struct policy_reference *each = policy->references; each;
			each = each->next)
			room += each->owner != SA_OWNER_CONFIGURATION;
	list->rows = room ? calloc(room, sizeof(*list->rows)) : NULL;
	if (room && !list->rows)
		return -ENOMEM;
	list->count = at = room;
	for (const struct policy *policy = policy_first(); policy; policy = policy->list_next)
		for (const struct policy_reference *each = policy->references; each;
			each = each->next)
			if (each->owner != SA_OWNER_CONFIGURATION)
				policy_describe(policy, each, &list->rows[--at]);
	return 0;
}

static bool say_policy(void)
{
	const struct policy_parameters *parameters;
	struct kmp_writer *writer;

	if (give.next == give.policies.count)
		return false;
	parameters = &give.policies.rows[give.next++];
	writer = begin(KMP_HANDOVER_POLICY);
	kmp_terms_put_policy(writer, parameters);
	kmp_put_number(writer, KMP_ATTRIBUTE_OWNER, 4, parameters->owner);
	return true;
}

/* Of a VIPA or target that is not there any more: to be forgotten here, too. */
static bool is_current(const struct connection *connection)
{
	const struct vipa *vipa = &vipa_table->vipas[connection->key.vipa];
	const struct vipa_target *target = &vipa_table->targets[connection->target];

	return vipa->name[0] && vipa->generation == connection->key.vipa_generation
		&& target->name[0] && target->generation == connection->target_generation;
}

static bool say_connections(void)
{
	uint8_t rows[KMP_CONNECTIONS_MAX * KMP_CONNECTION_SIZE];
	const struct connection *connection;
	size_t count = 0;

	while (count < KMP_CONNECTIONS_MAX
		&& (connection = distributor_next_connection(&give.cursor)))
		if (is_current(connection))
			handover_write_connection(&rows[count++ * KMP_CONNECTION_SIZE], connection,
				give.vipas[connection->key.vipa], give.targets[connection->target]);
	give.connection_count += count;
	if (count > 0)
		kmp_put(begin(KMP_HANDOVER_CONNECTIONS), KMP_ATTRIBUTE_CONNECTIONS, rows,
			count * KMP_CONNECTION_SIZE);
	return count > 0;
}

/* ---- from one to the next ---- */

/* From here on no number is taken, and no packet accepted. */
static int fall_silent(void)
{
	give.silent_since_ns = clock_monotonic_ns();
	standby_set(STANDBY_FROZEN);
	return list_policies(&give.policies);
}

static void on_kept(void *context, bool is_kept)
{
	if (!is_kept) {
		fail(-EIO, "that the addresses are given up could not be kept for a restart");
		return;
	}
	give.phase = GIVE_COMMIT;
	begin(KMP_HANDOVER_COMMIT);
	send_request();
}

/* Whatever becomes of this process: the next one does not have the addresses. */
static void keep(void)
{
	standby_set(STANDBY_ON);
	ipsec_when_kept(on_kept, NULL);
}

static bool say(enum phase phase)
{
	switch (phase) {
	case GIVE_BEGIN:
		kmp_put_number(begin(KMP_HANDOVER_BEGIN), KMP_ATTRIBUTE_FORMAT, 4, HANDOVER_FORMAT);
		give.phase = GIVE_VIPAS;
		return true;
	case GIVE_VIPAS:
		return say_vipa();
	case GIVE_TARGETS:
		return say_target();
	case GIVE_SAS:
		return say_sa();
	case GIVE_POLICIES:
		return say_policy();
	case GIVE_CONNECTIONS:
		return say_connections();
	default:
		return false;
	}
}

/* The next request of this phase, or of one behind it. */
static void go_on(void)
{
	while (give.phase < GIVE_KEEP) {
		if (say(give.phase)) {
			send_request();
			return;
		}
		give.next = 0;
		give.phase++;
		if (give.phase == GIVE_SAS && fall_silent() < 0) {
			fail(-ENOMEM, "no memory for a list of the policies");
			return;
		}
	}
	handover_link_wait(give.link, HANDOVER_ANSWER_MS);
	keep();
}

static void hear_result(const struct kmp_message *message)
{
	uint64_t code = kmp_get_number(message, KMP_ATTRIBUTE_CODE);
	char text[KMP_TEXT_MAX + 1];

	if (code != KMP_OK) {
		kmp_get_text(message, KMP_ATTRIBUTE_TEXT, text, sizeof(text));
		fail(-EREMOTEIO, "the other daemon refuses: %s",
			text[0] ? text : kmp_code_text((unsigned int)code));
	} else if (give.phase == GIVE_COMMIT) {
		succeed();
	} else {
		go_on();
	}
}

static void on_message(void *context, const struct kmp_message *message)
{
	bool is_answer = message->acknowledgement == give.sequence && give.phase != GIVE_KEEP;

	if (is_answer && message->type == KMP_RESULT && give.phase != GIVE_HELLO) {
		hear_result(message);
	} else if (is_answer && message->type == KMP_CHALLENGE && give.phase == GIVE_HELLO) {
		give.phase = GIVE_PROOF;
		say_proof(message);
	} else if (is_answer && message->type == KMP_WELCOME && give.phase == GIVE_PROOF) {
		if (!is_proved(message)) {
			fail(-EACCES, "the other daemon does not have our secret");
			return;
		}
		give.phase = GIVE_BEGIN;
		go_on();
	} else {
		fail(-EPROTO, "the other daemon says what has no place in a hand-over");
	}
}

static void on_end(void *context, const char *why)
{
	fail(-ECONNRESET, "%s", why);
}

static void on_connected(void *context, const json_t *result, const json_t *failure,
	int *descriptors, size_t descriptor_count)
{
	static const struct handover_link_ops ops = {.message = on_message, .end = on_end};
	const char *message = json_string_value(json_object_get(failure, "message"));
	int fd, status;

	if (!give.request || give.phase != GIVE_CONNECT)
		return; /* the role is stopping */
	if (failure || descriptor_count == 0) {
		fail(-ENOTCONN, "%s", message ? message : "not connected");
		return;
	}
	fd = descriptors[0];
	descriptors[0] = -1;
	status = handover_link_open(packet_loop(), fd, &ops, NULL, &give.link);
	if (status < 0) {
		fail(status, "%s", strerror(-status));
		return;
	}
	give.phase = GIVE_HELLO;
	say_hello();
}

void handover_give(struct ipc_request *request, void *context)
{
	const char *to = json_string_value(json_object_get(ipc_request_params(request), "to"));
	const char *why = NULL;

	if (give.request || handover_is_taking())
		why = "a hand-over is under way; wait for its end";
	else if (!handover_secret())
		why = "ipsec.handover is not configured: the secret of both daemons";
	else if (!vipa_table || !ipsec_running())
		why = "this daemon has no distributor with IPsec";
	else if (standby_is_silent())
		why = "this daemon does not have the virtual addresses: it is in standby";
	if (why) {
		ipc_reply_failed(request, -EINVAL, why);
		return;
	}
	give.request = request;
	give.phase = GIVE_CONNECT;
	packet_broker_call("broker.connect_unix",
		json_pack("{s:s, s:s}", "path", to, "type", "seqpacket"), NULL, 0, on_connected,
		NULL);
}

void handover_give_stop(void)
{
	if (give.request)
		fail(-ECANCELED, "the role is stopping");
}
