/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a giver says, taken: checked against what this daemon is configured for, and put into the
 * tables. This daemon is in standby, so nothing of it is used before COMMIT. All that was put in is
 * remembered, to be taken back.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "packet/distributor/connection_table.h"
#include "packet/distributor/distributor_control.h"
#include "packet/distributor/health.h"
#include "packet/distributor/standby.h"
#include "packet/handover/handover.h"
#include "packet/ipsec/ipsec_control.h"
#include "packet/ipsec/kmp_terms.h"
#include "packet/ipsec/sa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct handover_taking {
	bool has_begun;
	/* By their order in the hand-over, our indices. */
	uint16_t vipa_count, target_count;
	uint16_t vipas[VIPAS_MAX], targets[VIPA_TARGETS_MAX];
	size_t sa_count, sa_room, policy_count, policy_room, connection_count;
	struct sa_name *sas;
	struct policy_parameters *policies;
};

struct handover_taking *handover_taking_create(void)
{
	return calloc(1, sizeof(struct handover_taking));
}

void handover_taking_destroy(struct handover_taking *taking)
{
	if (!taking)
		return;
	free(taking->sas);
	free(taking->policies);
	free(taking);
}

/* Room for one element more. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room ? 2 * *room : 64;
	void *grown;

	if (count < *room)
		return array;
	grown = reallocarray(array, wanted, size);
	if (grown)
		*room = wanted;
	return grown;
}

/* ---- what has to be the same on both ---- */

static enum kmp_code take_begin(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error)
{
	uint64_t format = kmp_get_number(message, KMP_ATTRIBUTE_FORMAT);

	if (format != HANDOVER_FORMAT) {
		error_set(error, 0,
			"it speaks format %d of hand-overs, and format %u came: both daemons have "
			"to "
			"be of one version",
			HANDOVER_FORMAT, (unsigned int)format);
		return KMP_WRONG_VERSION;
	}
	if (!sa_table_is_open() || !vipa_table) {
		error_set(error, 0, "it has no distributor with IPsec configured");
		return KMP_NOT_SUPPORTED;
	}
	if (standby_state != STANDBY_ON) {
		error_set(error, 0,
			"it has the virtual addresses already: distributor.standby is not set");
		return KMP_EXISTS;
	}
	if (taking->has_begun)
		return KMP_WRONG_STATE;
	taking->has_begun = true;
	distributor_forget_connections();
	return KMP_OK;
}

static enum kmp_code take_vipa(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error)
{
	struct kmp_address theirs = kmp_get_address(message, KMP_ATTRIBUTE_DESTINATION);
	struct ip_address address = kmp_terms_address(&theirs);
	char name[KMP_NAME_MAX + 1];

	kmp_get_text(message, KMP_ATTRIBUTE_NAME, name, sizeof(name));
	for (uint16_t i = 0; i < vipa_table->vipa_count; i++) {
		const struct vipa *vipa = &vipa_table->vipas[i];

		if (strcmp(vipa->name, name) != 0 || taking->vipa_count == VIPAS_MAX
			|| vipa->vlan != kmp_get_number(message, KMP_ATTRIBUTE_VLAN)
			|| !ip_address_is_equal(&vipa->address, &address))
			continue;
		taking->vipas[taking->vipa_count++] = i;
		return KMP_OK;
	}
	error_set(error, 0, "it has no VIPA %s with this address in this VLAN", name);
	return KMP_NOT_FOUND;
}

static enum kmp_code take_target(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error)
{
	struct kmp_address theirs = kmp_get_address(message, KMP_ATTRIBUTE_DESTINATION);
	struct ip_address address = kmp_terms_address(&theirs);
	bool is_up = kmp_get_number(message, KMP_ATTRIBUTE_IS_UP) != 0;
	char name[KMP_NAME_MAX + 1];

	kmp_get_text(message, KMP_ATTRIBUTE_NAME, name, sizeof(name));
	for (uint16_t i = 0; i < vipa_table->target_count; i++) {
		const struct vipa_target *target = &vipa_table->targets[i];

		if (strcmp(target->name, name) != 0 || taking->target_count == VIPA_TARGETS_MAX
			|| target->is_local != (address.version == 0)
			|| (!target->is_local && !ip_address_is_equal(&target->address, &address)))
			continue;
		if (is_up && !health_is_up(i)) {
			error_set(error, 0, "its target %s is down", name);
			return KMP_NOT_FOUND;
		}
		taking->targets[taking->target_count++] = i;
		return KMP_OK;
	}
	error_set(error, 0, "it has no target %s with this address", name);
	return KMP_NOT_FOUND;
}

/* ---- associations ---- */

/* A static one is there, and makes room for itself with its past. */
static int make_room(const struct sa_parameters *parameters, struct error *error)
{
	const struct sa *own = sa_find(&parameters->name);
	struct sa_parameters is;

	if (parameters->owner != SA_OWNER_CONFIGURATION)
		return 0;
	if (own)
		sa_describe(own, &is);
	if (!own || own->owner != SA_OWNER_CONFIGURATION
		|| !sa_parameters_are_equal(&is, parameters))
		return error_set(error, -ENOENT,
			"its ipsec.sas has no association of SPI 0x%x that is the same, key "
			"included",
			parameters->name.spi);
	return sa_delete(&parameters->name, error);
}

static bool is_possible(const struct sa_parameters *parameters, const struct sa_past *past)
{
	return parameters->has_esn || (past->sequence <= UINT32_MAX && past->floor <= UINT32_MAX);
}

static enum kmp_code take_sa(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error)
{
	struct sa_name *grown =
		grow(taking->sas, taking->sa_count, &taking->sa_room, sizeof(*taking->sas));
	struct sa_selector selectors[KMP_SELECTORS_MAX];
	struct sa_parameters parameters;
	struct sa_past past;
	enum kmp_code code = kmp_terms_get_sa(message, &parameters, selectors, error);
	int status;

	/* First: what it was before may be gone. */
	if (!grown)
		return KMP_NO_ROOM;
	taking->sas = grown;
	if (code == KMP_OK)
		code = handover_get_past(message, &past);
	if (code != KMP_OK)
		return code;
	if (!is_possible(&parameters, &past))
		return KMP_BAD_VALUE;
	parameters.owner = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_OWNER);
	status = make_room(&parameters, error);
	if (status == 0)
		status = sa_add_with_past(&parameters, &past, error);
	if (status == 0)
		taking->sas[taking->sa_count++] = parameters.name;
	return kmp_terms_code(status);
}

static enum kmp_code take_policy(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error)
{
	struct policy_parameters *grown = grow(taking->policies, taking->policy_count,
		&taking->policy_room, sizeof(*taking->policies));
	struct policy_parameters parameters;
	enum kmp_code code = kmp_terms_get_policy(message, &parameters);
	int status;

	if (!grown)
		return KMP_NO_ROOM;
	taking->policies = grown;
	if (code != KMP_OK)
		return code;
	parameters.owner = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_OWNER);
	/* Static ones are each daemon's own. */
	if (parameters.owner == SA_OWNER_CONFIGURATION)
		return KMP_BAD_VALUE;
	status = policy_add(&parameters, error);
	if (status == 0)
		taking->policies[taking->policy_count++] = parameters;
	return kmp_terms_code(status);
}

/* ---- connections ---- */

static enum kmp_code take_connection(
	struct handover_taking *taking, const uint8_t *row, struct error *error)
{
	struct connection connection;
	enum kmp_code code = handover_read_connection(row, &connection);
	int status;

	if (code != KMP_OK || connection.key.vipa >= taking->vipa_count
		|| connection.target >= taking->target_count)
		return KMP_BAD_VALUE;
	connection.key.vipa = taking->vipas[connection.key.vipa];
	connection.target = taking->targets[connection.target];
	status = distributor_add_connection(&connection);
	if (status == -ENOSPC)
		error_set(error, status, "its distributor.connections-max is too small");
	taking->connection_count += status == 0;
	return kmp_terms_code(status);
}

static enum kmp_code take_connections(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error)
{
	struct bytes rows = bytes_from(message->attributes[KMP_ATTRIBUTE_CONNECTIONS].value,
		message->attributes[KMP_ATTRIBUTE_CONNECTIONS].size);
	enum kmp_code code = KMP_OK;

	while (code == KMP_OK && bytes_left(&rows) >= KMP_CONNECTION_SIZE)
		code = take_connection(taking, bytes_take(&rows, KMP_CONNECTION_SIZE), error);
	return code;
}

/* ---- all of it ---- */

enum kmp_code handover_take(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error)
{
	/* A configuration may have come meanwhile that wants something else. */
	bool is_ready = taking->has_begun && standby_state == STANDBY_ON;

	if (message->type == KMP_HANDOVER_BEGIN)
		return take_begin(taking, message, error);
	if (!is_ready)
		return KMP_WRONG_STATE;
	switch (message->type) {
	case KMP_HANDOVER_VIPA:
		return take_vipa(taking, message, error);
	case KMP_HANDOVER_TARGET:
		return take_target(taking, message, error);
	case KMP_HANDOVER_SA:
		return take_sa(taking, message, error);
	case KMP_HANDOVER_POLICY:
		return take_policy(taking, message, error);
	case KMP_HANDOVER_CONNECTIONS:
		return take_connections(taking, message, error);
	default:
		return KMP_WRONG_STATE;
	}
}

bool handover_can_commit(const struct handover_taking *taking)
{
	return taking->has_begun && standby_state == STANDBY_ON;
}

void handover_commit(const struct handover_taking *taking)
{
	log_info("handover_taken", log_uint("vipas", taking->vipa_count),
		log_uint("sas", taking->sa_count), log_uint("policies", taking->policy_count),
		log_uint("connections", taking->connection_count));
	standby_set(STANDBY_OFF);
	distributor_announce();
	kmp_adopt();
}

void handover_undo(struct handover_taking *taking)
{
	struct error error;

	if (!taking->has_begun)
		return;
	while (taking->policy_count > 0)
		policy_delete(&taking->policies[--taking->policy_count], &error);
	while (taking->sa_count > 0)
		sa_delete(&taking->sas[--taking->sa_count], &error);
	distributor_forget_connections();
	ipsec_apply_statics();
	taking->has_begun = false;
}
