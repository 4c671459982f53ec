/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the control thread and the helper thread that compiles rules. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Each field has one writer and one reader; relaxed, since nothing else is published by them. */
struct compile_progress {
	uint32_t permille;   /* written by the helper */
	bool is_stopped;     /* written by the control thread: the helper ends soon, -ECANCELED */
	bool has_used_cache; /* all patterns came from the cache; written by the helper */
};

static inline void compile_progress_set(struct compile_progress *progress, uint32_t permille)
{
	if (progress)
		__atomic_store_n(&progress->permille, permille, __ATOMIC_RELAXED);
}

static inline bool compile_progress_is_stopped(const struct compile_progress *progress)
{
	return progress && __atomic_load_n(&progress->is_stopped, __ATOMIC_RELAXED);
}
