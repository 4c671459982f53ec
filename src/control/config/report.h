/* SPDX-License-Identifier: BSD-3-Clause */
/* Filling a struct config_report; for the files of this folder. */
#pragma once

#include "control/config/config.h"

struct config_place {
	unsigned int line, column; /* from 1; 0: the file as a whole */
	const char *key;
	const char *found; /* NULL: nothing */
};

/* Adds a problem; beyond CONFIG_PROBLEMS_MAX, or without memory, it is counted only. valid may be
 * NULL. */
void config_report_add(struct config_report *report, enum config_severity severity,
	const struct config_place *place, const char *valid, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* Sorts by line and column. */
void config_report_sort(struct config_report *report);
