/* SPDX-License-Identifier: BSD-3-Clause */
/* What sa_control.h shows of the table: to sessions that come back, and to whoever looks. Control
 * thread. */
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"

#include <errno.h>

static void show(const struct sa *sa, struct sa_view *out)
{
	const struct sa_outer *outer = sa->outer;

	*out = (struct sa_view){.name = sa->name,
		.source = outer->source,
		.direction = sa->direction,
		.mode = sa->mode,
		.has_encapsulation = outer->has_encapsulation,
		.has_esn = sa->has_esn,
		.source_port = outer->source_port,
		.destination_port = outer->destination_port,
		.request = sa->request,
		.owner = sa->owner};
}

int sa_show(const struct sa_name *name, struct sa_view *out)
{
	const struct sa *sa = sa_find(name);

	if (!sa)
		return -ENOENT;
	show(sa, out);
	return 0;
}

size_t sa_list(uint32_t owner, uint32_t *after, struct sa_view *out, size_t max)
{
	const struct sa *sa = sa_next(*after);
	size_t count = 0;

	for (; sa && count < max; sa = sa_next(sa->index + 1))
		if (owner == SA_OWNER_ANY || sa->owner == owner)
			show(sa, &out[count++]);
	*after = sa ? sa->index : 0;
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

	for (const struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1))
		count = note(sa->owner, out, count, max);
	for (const struct policy *policy = policy_first(); policy; policy = policy->list_next)
		for (const struct policy_reference *reference = policy->references; reference;
			reference = reference->next)
			count = note(reference->owner, out, count, max);
	return count;
}
