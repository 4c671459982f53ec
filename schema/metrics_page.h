/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples for OpenMetrics, as roles give them to control: `packet.metrics`, `channel.metrics`. */
#pragma once

#include <jansson.h>

/* Appends one sample. name without the "bulkhead_" prefix; type is "counter" or "gauge"; labels
 * is a JSON object (consumed) or NULL. help has to be the same for each sample of a name. */
void metrics_sample(json_t *samples, const char *name, const char *type, const char *help,
	json_t *labels, double value);
/* The page that the (checked) params of the call ask for; those of one name are side by side, in
 * the order of their first. samples is consumed. */
json_t *metrics_page(json_t *samples, const json_t *params);
