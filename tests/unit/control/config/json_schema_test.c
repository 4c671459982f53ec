/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints the JSON Schema; json_schema_test.py checks it with an independent validator. */
#include "control/config/config.h"

int main(void)
{
	json_t *schema = config_json_schema();
	int r = schema ? json_dumpf(schema, stdout, JSON_INDENT(2)) : -1;

	json_decref(schema);
	return r < 0;
}
