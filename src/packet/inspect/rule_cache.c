/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/rule_cache.h"

#include "base/log.h"
#include "packet/packet_module.h"

#include <stdlib.h>
#include <string.h>

struct opening {
	rule_cache_fn done;
	void *context;
};

static void on_opened(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	struct opening opening = *(struct opening *)context;
	const char *message = json_string_value(json_object_get(failure, "message"));
	int fd = -1;

	free(context);
	if (failure)
		log_warning("rules_cache_unavailable", log_str("reason", message ? message : "?"),
			log_str("effect", "rules are compiled anew at each start"));
	if (!failure && descriptor_count > 0) {
		fd = descriptors[0];
		descriptors[0] = -1; /* taken */
	}
	opening.done(opening.context, fd);
}

void rule_cache_open(const char *folder, rule_cache_fn done, void *context)
{
	struct opening *opening;

	if (!folder || strcmp(folder, "none") == 0 || !(opening = malloc(sizeof(*opening)))) {
		done(context, -1);
		return;
	}
	*opening = (struct opening){done, context};
	packet_broker_call("broker.open_cache", json_pack("{s:s}", "folder", folder), NULL, 0,
		on_opened, opening);
}
