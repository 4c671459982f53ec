/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_sa.h"

#include <errno.h>
#include <string.h>

struct fake_sa_state fake_sa;

void fake_sa_reset(void)
{
	memset(&fake_sa, 0, sizeof(fake_sa));
	fake_sa.next_spi = 0x1000;
}

static struct fake_sa *find(const struct sa_name *name)
{
	for (size_t i = 0; i < fake_sa.sa_count; i++)
		if (fake_sa.sas[i].view.name.spi == name->spi
			&& ip_address_is_equal(
				&fake_sa.sas[i].view.name.destination, &name->destination))
			return &fake_sa.sas[i];
	return NULL;
}

static void take_out(struct fake_sa *sa)
{
	*sa = fake_sa.sas[--fake_sa.sa_count];
}

int sa_allocate_spi(
	uint32_t owner, const struct ip_address *destination, uint32_t *spi, struct error *error)
{
	if (fake_sa.sa_count == FAKE_SAS_MAX)
		return error_set(error, -ENOSPC, "no room for an SPI");
	*spi = fake_sa.next_spi++;
	fake_sa.sas[fake_sa.sa_count++] = (struct fake_sa){.is_larval = true,
		.view = {.name = {.spi = *spi, .destination = *destination}, .owner = owner}};
	fake_sa.changes++;
	return 0;
}

int sa_add(const struct sa_parameters *parameters, struct error *error)
{
	struct fake_sa *sa = find(&parameters->name);

	if (sa && (!sa->is_larval || sa->view.owner != parameters->owner))
		return error_set(error, -EEXIST, "this SA is there");
	if (parameters->cipher == SA_CIPHER_AES_GCM_16 && parameters->cipher_key_size != 20)
		return error_set(error, -EINVAL, "the key has %u bytes, and needs 20",
			parameters->cipher_key_size);
	if (!sa) {
		if (fake_sa.sa_count == FAKE_SAS_MAX)
			return -ENOSPC;
		sa = &fake_sa.sas[fake_sa.sa_count++];
	}
	*sa = (struct fake_sa){.parameters = *parameters,
		.view = {.name = parameters->name,
			.source = parameters->source,
			.direction = parameters->direction,
			.mode = parameters->mode,
			.has_encapsulation = parameters->has_encapsulation,
			.has_esn = parameters->has_esn,
			.source_port = parameters->source_port,
			.destination_port = parameters->destination_port,
			.request = parameters->request,
			.owner = parameters->owner}};
	if (parameters->cipher_key_size > 0)
		memcpy(sa->cipher_key, parameters->cipher_key, parameters->cipher_key_size);
	fake_sa.changes++;
	return 0;
}

int sa_move(const struct sa_name *name, const struct sa_move *move, struct error *error)
{
	struct fake_sa *sa = find(name);

	if (!sa)
		return error_set(error, -ENOENT, "no such SA");
	sa->view.source = move->source;
	sa->view.name.destination = move->destination;
	sa->view.has_encapsulation = move->has_encapsulation;
	sa->view.source_port = move->source_port;
	sa->view.destination_port = move->destination_port;
	fake_sa.changes++;
	return 0;
}

int sa_delete(const struct sa_name *name, struct error *error)
{
	struct fake_sa *sa = find(name);

	if (!sa)
		return error_set(error, -ENOENT, "no such SA");
	take_out(sa);
	fake_sa.changes++;
	return 0;
}

int sa_query(const struct sa_name *name, struct sa_usage *usage, struct error *error)
{
	if (!find(name))
		return error_set(error, -ENOENT, "no such SA");
	*usage = (struct sa_usage){.bytes = 4711, .packets = 42, .last_used_s = 3};
	return 0;
}

static bool is_same(const struct policy_parameters *a, const struct policy_parameters *b)
{
	return a->direction == b->direction && a->priority == b->priority && a->spi == b->spi
		&& a->owner == b->owner
		&& ip_address_is_equal(&a->selector.source_first, &b->selector.source_first)
		&& ip_address_is_equal(
			&a->selector.destination_first, &b->selector.destination_first);
}

int policy_add(const struct policy_parameters *parameters, struct error *error)
{
	if (fake_sa.policy_count == FAKE_POLICIES_MAX)
		return error_set(error, -ENOSPC, "no room for a policy");
	fake_sa.policies[fake_sa.policy_count++] = *parameters;
	fake_sa.changes++;
	return 0;
}

int policy_delete(const struct policy_parameters *parameters, struct error *error)
{
	for (size_t i = 0; i < fake_sa.policy_count; i++) {
		if (!is_same(&fake_sa.policies[i], parameters))
			continue;
		fake_sa.policies[i] = fake_sa.policies[--fake_sa.policy_count];
		fake_sa.changes++;
		return 0;
	}
	return error_set(error, -ENOENT, "no such policy");
}

void sa_flush_owner(uint32_t owner)
{
	for (size_t i = fake_sa.sa_count; i-- > 0;)
		if (fake_sa.sas[i].view.owner == owner)
			take_out(&fake_sa.sas[i]);
	for (size_t i = fake_sa.policy_count; i-- > 0;)
		if (fake_sa.policies[i].owner == owner)
			fake_sa.policies[i] = fake_sa.policies[--fake_sa.policy_count];
}

void sa_change_owner(uint32_t from, uint32_t to)
{
	for (size_t i = 0; i < fake_sa.sa_count; i++)
		if (fake_sa.sas[i].view.owner == from)
			fake_sa.sas[i].view.owner = to;
	for (size_t i = 0; i < fake_sa.policy_count; i++)
		if (fake_sa.policies[i].owner == from)
			fake_sa.policies[i].owner = to;
}

void sa_set_events(const struct sa_events *events)
{
	fake_sa.events = *events;
}

int sa_show(const struct sa_name *name, struct sa_view *out)
{
	const struct fake_sa *sa = find(name);

	if (!sa)
		return -ENOENT;
	*out = sa->view;
	return 0;
}

size_t sa_list(uint32_t owner, uint32_t *after, struct sa_view *out, size_t max)
{
	size_t count = 0, i;

	for (i = *after; i < fake_sa.sa_count && count < max; i++) {
		const struct fake_sa *sa = &fake_sa.sas[i];

		if (!sa->is_larval && (owner == SA_OWNER_ANY || owner == sa->view.owner))
			out[count++] = sa->view;
	}
	*after = i < fake_sa.sa_count ? (uint32_t)i : 0;
	return count;
}

static size_t note(uint32_t owner, uint32_t *out, size_t count, size_t max)
{
	for (size_t i = 0; i < count; i++)
		if (out[i] == owner)
			return count;
	if (owner == SA_OWNER_CONFIGURATION || count == max)
		return count;
	out[count] = owner;
	return count + 1;
}

size_t sa_owners(uint32_t *out, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < fake_sa.sa_count; i++)
		count = note(fake_sa.sas[i].view.owner, out, count, max);
	for (size_t i = 0; i < fake_sa.policy_count; i++)
		count = note(fake_sa.policies[i].owner, out, count, max);
	return count;
}
