/* SPDX-License-Identifier: BSD-3-Clause */
/* packaging/bulkhead.yaml in the binary: what runs where there is no file. */
#include "control/config/config.h"

static const char default_text[] =
#include "default_text.inc"
	;

const char *config_default_text(void)
{
	return default_text;
}
