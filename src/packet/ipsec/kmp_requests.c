/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session may ask for: each request read from its message, held against what is the
 * session's own, and done by sa_control.h. An SA of somebody else is "not found".
 */
#include "packet/ipsec/kmp_private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

typedef enum kmp_code (*request_fn)(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error);

static enum kmp_code code_of(int status)
{
	switch (status) {
	case 0:
		return KMP_OK;
	case -EINVAL:
		return KMP_BAD_VALUE;
	case -EEXIST:
		return KMP_EXISTS;
	case -ENOENT:
		return KMP_NOT_FOUND;
	case -ENOTSUP:
		return KMP_NOT_SUPPORTED;
	case -ENOMEM:
	case -ENOSPC:
		return KMP_NO_ROOM;
	default:
		return KMP_FAILED;
	}
}

/* ---- from the protocol's terms to ours ---- */

static struct ip_address address_from(const struct kmp_address *address)
{
	struct ip_address out = {.version = address->version};

	memcpy(out.bytes, address->bytes, sizeof(out.bytes));
	return out;
}

static struct sa_name name_from(const struct kmp_sa_name *name)
{
	return (struct sa_name){.spi = name->spi, .destination = address_from(&name->destination)};
}

static struct sa_selector selector_from(const struct kmp_selector *selector)
{
	return (struct sa_selector){
		.source_first = address_from(&selector->source_first),
		.source_last = address_from(&selector->source_last),
		.destination_first = address_from(&selector->destination_first),
		.destination_last = address_from(&selector->destination_last),
		.protocol = selector->protocol,
		.source_port_first = selector->source_port_first,
		.source_port_last = selector->source_port_last,
		.destination_port_first = selector->destination_port_first,
		.destination_port_last = selector->destination_port_last,
	};
}

static bool cipher_from(uint16_t cipher, uint8_t *out)
{
	static const struct {
		uint16_t theirs;
		uint8_t ours;
	} ciphers[] = {
		{KMP_CIPHER_NULL, SA_CIPHER_NULL},
		{KMP_CIPHER_AES_CBC, SA_CIPHER_AES_CBC},
		{KMP_CIPHER_AES_CTR, SA_CIPHER_AES_CTR},
		{KMP_CIPHER_AES_GCM_16, SA_CIPHER_AES_GCM_16},
		{KMP_CIPHER_AES_GMAC, SA_CIPHER_AES_GMAC},
		{KMP_CIPHER_CHACHA20_POLY1305, SA_CIPHER_CHACHA20_POLY1305},
	};

	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
		if (ciphers[i].theirs != cipher)
			continue;
		*out = ciphers[i].ours;
		return true;
	}
	return false;
}

static bool integrity_from(uint16_t integrity, uint8_t *out)
{
	switch (integrity) {
	case KMP_INTEGRITY_NONE:
		*out = SA_INTEGRITY_NONE;
		return true;
	case KMP_INTEGRITY_HMAC_SHA1_96:
		*out = SA_INTEGRITY_HMAC_SHA1_96;
		return true;
	case KMP_INTEGRITY_HMAC_SHA2_256_128:
		*out = SA_INTEGRITY_HMAC_SHA2_256_128;
		return true;
	case KMP_INTEGRITY_HMAC_SHA2_384_192:
		*out = SA_INTEGRITY_HMAC_SHA2_384_192;
		return true;
	case KMP_INTEGRITY_HMAC_SHA2_512_256:
		*out = SA_INTEGRITY_HMAC_SHA2_512_256;
		return true;
	default:
		return false;
	}
}

static_assert((int)SA_INBOUND == KMP_INBOUND && (int)SA_OUTBOUND == KMP_OUTBOUND, "as on the wire");
static_assert((int)SA_TUNNEL == KMP_TUNNEL && (int)SA_TRANSPORT == KMP_TRANSPORT, "as on the wire");
static_assert((int)POLICY_INBOUND == KMP_POLICY_INBOUND && (int)POLICY_FORWARD == KMP_POLICY_FORWARD
		&& (int)POLICY_OUTBOUND == KMP_POLICY_OUTBOUND,
	"as on the wire");
static_assert((int)POLICY_DISCARD == KMP_DISCARD && (int)POLICY_BYPASS == KMP_BYPASS
		&& (int)POLICY_PROTECT == KMP_PROTECT,
	"as on the wire");

static void lifetime_from(const struct kmp_lifetime *in, struct sa_lifetime *out)
{
	*out = (struct sa_lifetime){.soft_bytes = in->soft_bytes,
		.hard_bytes = in->hard_bytes,
		.soft_packets = in->soft_packets,
		.hard_packets = in->hard_packets,
		.soft_s = in->soft_s,
		.hard_s = in->hard_s};
}

/* ---- requests ---- */

/* -ENOENT also when it is somebody else's. */
static int find_own(
	const struct kmp_session *session, const struct kmp_sa_name *name, struct sa_name *out)
{
	struct sa_view view;

	*out = name_from(name);
	if (sa_show(out, &view) < 0 || view.owner != session->owner->number)
		return -ENOENT;
	return 0;
}

static enum kmp_code do_nothing(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	return KMP_OK;
}

static enum kmp_code get_spi(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct kmp_address theirs = kmp_get_address(message, KMP_ATTRIBUTE_DESTINATION);
	struct ip_address destination = address_from(&theirs);
	uint32_t spi;
	int status = sa_allocate_spi(session->owner->number, &destination, &spi, error);

	if (status < 0)
		return code_of(status);
	kmp_begin(answer, session->answer, sizeof(session->answer), KMP_SPI, 0, message->sequence);
	kmp_put_number(answer, KMP_ATTRIBUTE_SPI, 4, spi);
	return KMP_OK;
}

static bool algorithms_from(const struct kmp_sa *sa, struct sa_parameters *out, struct error *error)
{
	out->cipher_key = sa->cipher_key;
	out->cipher_key_size = sa->cipher_key_size;
	out->integrity_key = sa->integrity_key;
	out->integrity_key_size = sa->integrity_key_size;
	if (cipher_from(sa->cipher, &out->cipher) && integrity_from(sa->integrity, &out->integrity))
		return true;
	error_set(error, 0, "cipher %u with integrity %u is not known here", sa->cipher,
		sa->integrity);
	return false;
}

static enum kmp_code add_sa(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct sa_selector selectors[KMP_SELECTORS_MAX];
	struct sa_parameters parameters = {.owner = session->owner->number};
	struct kmp_sa sa;
	enum kmp_code code = kmp_get_sa(message, &sa);

	if (code != KMP_OK)
		return code;
	if (!algorithms_from(&sa, &parameters, error))
		return KMP_NOT_SUPPORTED;
	parameters.name = name_from(&sa.name);
	parameters.source = address_from(&sa.source);
	parameters.direction = (uint8_t)sa.direction;
	parameters.mode = (uint8_t)sa.mode;
	parameters.has_esn = sa.flags & KMP_SA_ESN;
	parameters.replay_window = sa.replay_window;
	parameters.has_encapsulation = sa.flags & KMP_SA_ENCAPSULATION;
	parameters.source_port = sa.source_port;
	parameters.destination_port = sa.destination_port;
	parameters.copies_df = sa.flags & KMP_SA_COPY_DF;
	parameters.copies_ecn = sa.flags & KMP_SA_COPY_ECN;
	parameters.copies_dscp = sa.flags & KMP_SA_COPY_DSCP;
	parameters.request = sa.request;
	lifetime_from(&sa.lifetime, &parameters.lifetime);
	parameters.selector_count = sa.selector_count;
	parameters.selectors = selectors;
	for (uint16_t i = 0; i < sa.selector_count; i++)
		selectors[i] = selector_from(&sa.selectors[i]);
	return code_of(sa_add(&parameters, error));
}

static enum kmp_code update_sa(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct kmp_move move;
	struct sa_move ours;
	struct sa_name name;
	enum kmp_code code = kmp_get_move(message, &move);

	if (code != KMP_OK)
		return code;
	if (find_own(session, &move.name, &name) < 0)
		return KMP_NOT_FOUND;
	ours = (struct sa_move){.source = address_from(&move.new_source),
		.destination = address_from(&move.new_destination),
		.has_encapsulation = move.has_encapsulation,
		.source_port = move.source_port,
		.destination_port = move.destination_port};
	return code_of(sa_move(&name, &ours, error));
}

static enum kmp_code delete_sa(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct kmp_sa_name theirs;
	struct sa_name name;
	enum kmp_code code = kmp_get_name(message, &theirs);

	if (code != KMP_OK)
		return code;
	if (find_own(session, &theirs, &name) < 0)
		return KMP_NOT_FOUND;
	return code_of(sa_delete(&name, error));
}

static enum kmp_code query_sa(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct kmp_sa_name theirs;
	struct kmp_usage told;
	struct sa_usage usage;
	struct sa_name name;
	enum kmp_code code = kmp_get_name(message, &theirs);
	int status;

	if (code != KMP_OK)
		return code;
	status = find_own(session, &theirs, &name);
	if (status == 0)
		status = sa_query(&name, &usage, error);
	if (status < 0)
		return code_of(status);
	told = (struct kmp_usage){
		.bytes = usage.bytes, .packets = usage.packets, .idle_s = usage.last_used_s};
	kmp_begin(
		answer, session->answer, sizeof(session->answer), KMP_USAGE, 0, message->sequence);
	kmp_put_usage(answer, &told);
	return KMP_OK;
}

static enum kmp_code change_policy(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct kmp_policy policy;
	struct policy_parameters ours;
	enum kmp_code code = kmp_get_policy(message, &policy);

	if (code != KMP_OK)
		return code;
	ours = (struct policy_parameters){.direction = (uint8_t)policy.direction,
		.action = (uint8_t)policy.action,
		.selector = selector_from(&policy.selector),
		.priority = policy.priority,
		.mode = (uint8_t)policy.mode,
		.request = policy.request,
		.spi = policy.spi,
		.source = address_from(&policy.source),
		.destination = address_from(&policy.destination),
		.owner = session->owner->number};
	return code_of(message->type == KMP_POLICY_ADD ? policy_add(&ours, error)
						       : policy_delete(&ours, error));
}

static struct kmp_address address_to(const struct ip_address *address)
{
	struct kmp_address out = {.version = address->version};

	memcpy(out.bytes, address->bytes, sizeof(out.bytes));
	return out;
}

static struct kmp_sa_entry entry_of(const struct sa_view *view)
{
	return (struct kmp_sa_entry){
		.name = {.spi = view->name.spi, .destination = address_to(&view->name.destination)},
		.source = address_to(&view->source),
		.direction = (enum kmp_direction)view->direction,
		.mode = (enum kmp_mode)view->mode,
		.flags = (uint16_t)((view->has_encapsulation ? KMP_SA_ENCAPSULATION : 0)
			| (view->has_esn ? KMP_SA_ESN : 0)),
		.source_port = view->source_port,
		.destination_port = view->destination_port,
		.request = view->request,
		.owner = view->owner,
	};
}

static enum kmp_code list_sas(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct kmp_sa_entry entries[KMP_SAS_MAX];
	struct sa_view views[KMP_SAS_MAX];
	uint64_t is_all = kmp_get_number(message, KMP_ATTRIBUTE_IS_ALL);
	uint32_t after = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_AFTER);
	size_t count;

	if (is_all > 1)
		return KMP_BAD_VALUE;
	count = sa_list(is_all ? SA_OWNER_ANY : session->owner->number, &after, views, KMP_SAS_MAX);
	for (size_t i = 0; i < count; i++)
		entries[i] = entry_of(&views[i]);
	kmp_begin(answer, session->answer, sizeof(session->answer), KMP_SAS, 0, message->sequence);
	kmp_put_entries(answer, entries, count);
	kmp_put_number(answer, KMP_ATTRIBUTE_NEXT, 4, after);
	return KMP_OK;
}

static enum kmp_code get_stats(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct kmp_stats stats = kmp_server_stats(session->server);

	kmp_begin(
		answer, session->answer, sizeof(session->answer), KMP_STATS, 0, message->sequence);
	kmp_put_stats(answer, &stats);
	return KMP_OK;
}

/* The host has sockets for IKE itself; a transport without a network may carry it one day. */
static enum kmp_code refuse_ike(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	error_set(error, 0, "IKE messages do not travel over this transport");
	return KMP_NOT_SUPPORTED;
}

static const struct {
	uint16_t type;
	request_fn handle;
} requests[] = {
	{KMP_PING, do_nothing},
	{KMP_GET_SPI, get_spi},
	{KMP_SA_ADD, add_sa},
	{KMP_SA_UPDATE, update_sa},
	{KMP_SA_DELETE, delete_sa},
	{KMP_SA_QUERY, query_sa},
	{KMP_POLICY_ADD, change_policy},
	{KMP_POLICY_DELETE, change_policy},
	{KMP_LIST, list_sas},
	{KMP_GET_STATS, get_stats},
	{KMP_IKE_SEND, refuse_ike},
};

enum kmp_code kmp_request(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == message->type)
			return requests[i].handle(session, message, answer, error);
	return KMP_WRONG_STATE;
}
