/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration's loader. What it takes must be the same again after it was shown as YAML. */
#include "control/config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *load(const char *text, size_t size)
{
	struct config_report report;
	json_t *document;

	config_report_init(&report);
	config_load_text(text, size, "fuzz", &document, &report);
	if ((document != NULL) != (report.error_count == 0))
		abort();
	config_report_destroy(&report);
	return document;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *document = load((const char *)data, size), *again;
	char *text;

	if (!document)
		return 0;
	text = config_show(document);
	again = load(text, strlen(text));
	if (!again || !json_equal(document, again))
		abort();
	json_decref(config_diff(document, again));
	json_decref(again);
	json_decref(document);
	free(text);
	return 0;
}
