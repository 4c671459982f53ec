/* SPDX-License-Identifier: BSD-3-Clause */
/* The inspector that passes everything: the interface's smallest implementation. */
#include "packet/inspect/inspector.h"

#include <errno.h>
#include <stdlib.h>

static int none_create(const json_t *config, uint16_t worker_count, void *compiled,
	struct inspector **out, struct error *error)
{
	struct inspector *inspector = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*inspector));

	if (!inspector)
		return error_set(error, -ENOMEM, "inspection.engines: no memory for none");
	*inspector = (struct inspector){.ops = &none_inspector};
	*out = inspector;
	return 0;
}

static void none_destroy(struct inspector *inspector)
{
	free(inspector);
}

static void none_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts)
{
	for (uint16_t i = 0; i < count; i++)
		verdicts[i] = VERDICT_DEEPER;
}

const struct inspector_ops none_inspector = {
	.name = "none",
	.create = none_create,
	.destroy = none_destroy,
	.submit = none_submit,
};
