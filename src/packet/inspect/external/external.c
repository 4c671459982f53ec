/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine external: somebody's own inline IPS, behind a memif. Control thread. */
#include "packet/inspect/external/external.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void external_destroy(struct inspector *inspector)
{
	external_close((struct external *)inspector);
	free(inspector);
}

static void external_configure(struct inspector *inspector, const json_t *config)
{
	external_set_in_flight((struct external *)inspector,
		json_integer_value(
			json_object_get(json_object_get(config, "external"), "in-flight")));
}

static int external_create(const json_t *config, uint16_t worker_count, void *compiled,
	struct inspector **out, struct error *error)
{
	const struct external_setup setup = {.ops = &external_inspector,
		.worker_count = worker_count,
		.kind = EXTERNAL_MEMIF,
		.option = "inspection.external.socket",
		.path = json_string_value(
			json_object_get(json_object_get(config, "external"), "socket"))};
	size_t size = RTE_ALIGN_CEIL(sizeof(struct external), RTE_CACHE_LINE_SIZE);
	struct external *external;
	int status;

	if (!setup.path)
		return error_set(error, -EINVAL,
			"inspection.external.socket: the engine external needs a path for its "
			"memif");
	external = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (!external)
		return error_set(error, -ENOMEM, "inspection: no memory for the engine external");
	memset(external, 0, size);
	external->frame_max = UINT16_MAX;
	external_configure(&external->base, config);
	status = external_open(external, &setup, error);
	if (status < 0) {
		free(external);
		return status;
	}
	*out = &external->base;
	return 0;
}

static json_t *external_status(struct inspector *inspector)
{
	const struct external *external = (const struct external *)inspector;
	uint16_t unconnected = external_find_unconnected(external);
	json_t *details = external_details(external);
	json_t *status = json_pack("{s:o}", "details", details);

	/* Both: somebody who has just come is noticed a little later. */
	if (__atomic_load_n(&inspector->is_down, __ATOMIC_RELAXED)
		&& unconnected < external->worker_count)
		json_object_set_new(status, "problem",
			json_sprintf("no inspector is connected to %s with id %u; each worker has "
				     "an id of its own",
				json_string_value(json_object_get(details, "socket")),
				unconnected));
	return status;
}

const struct inspector_ops external_inspector = {
	.name = "external",
	.create = external_create,
	.destroy = external_destroy,
	.submit = external_submit,
	.collect = external_collect,
	.configure = external_configure,
	.status = external_status,
};
