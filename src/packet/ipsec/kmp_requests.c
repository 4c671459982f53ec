/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session may ask for: each request read from its message, held against what is the
 * session's own, and done by sa_control.h. An SA of somebody else is "not found".
 */
#include "packet/ipsec/kmp_private.h"
#include "packet/ipsec/kmp_terms.h"

#include <errno.h>

typedef enum kmp_code (*request_fn)(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error);

/* ---- requests ---- */

/* -ENOENT also when it is somebody else's. */
static int find_own(
	const struct kmp_session *session, const struct kmp_sa_name *name, struct sa_name *out)
{
	struct sa_view view;

	*out = kmp_terms_name(name);
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
	struct ip_address destination = kmp_terms_address(&theirs);
	uint32_t spi;
	int status = sa_allocate_spi(session->owner->number, &destination, &spi, error);

	if (status < 0)
		return kmp_terms_code(status);
	kmp_begin(answer, session->answer, sizeof(session->answer), KMP_SPI, 0, message->sequence);
	kmp_put_number(answer, KMP_ATTRIBUTE_SPI, 4, spi);
	return KMP_OK;
}

static enum kmp_code add_sa(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error)
{
	struct sa_selector selectors[KMP_SELECTORS_MAX];
	struct sa_parameters parameters;
	enum kmp_code code = kmp_terms_get_sa(message, &parameters, selectors, error);

	if (code != KMP_OK)
		return code;
	parameters.owner = session->owner->number;
	return kmp_terms_code(sa_add(&parameters, error));
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
	ours = (struct sa_move){.source = kmp_terms_address(&move.new_source),
		.destination = kmp_terms_address(&move.new_destination),
		.has_encapsulation = move.has_encapsulation,
		.source_port = move.source_port,
		.destination_port = move.destination_port};
	return kmp_terms_code(sa_move(&name, &ours, error));
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
	return kmp_terms_code(sa_delete(&name, error));
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
		return kmp_terms_code(status);
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
	struct policy_parameters ours;
	enum kmp_code code = kmp_terms_get_policy(message, &ours);

	if (code != KMP_OK)
		return code;
	ours.owner = session->owner->number;
	return kmp_terms_code(message->type == KMP_POLICY_ADD ? policy_add(&ours, error)
							      : policy_delete(&ours, error));
}

static struct kmp_sa_entry entry_of(const struct sa_view *view)
{
	return (struct kmp_sa_entry){
		.name = {.spi = view->name.spi,
			.destination = kmp_terms_put_address(&view->name.destination)},
		.source = kmp_terms_put_address(&view->source),
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
