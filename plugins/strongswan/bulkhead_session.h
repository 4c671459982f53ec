/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The session with bulkheadd: one connection under one mutex, opened again by a thread of its own,
 * which also hands events to charon. It remembers which SAs and policies charon wants (not their
 * keys), and sets right what differs when the connection is back. Any thread.
 */
#pragma once

#include <library.h>

#include <bulkhead/kmp.h>

typedef struct bulkhead_session_t bulkhead_session_t;

/* bulkheadd need not be there yet. NULL: no memory or threads. */
bulkhead_session_t *bulkhead_session_create(void);
/* In order: bulkheadd forgets what charon brought. */
void bulkhead_session_destroy(bulkhead_session_t *this);

/* FAILED also when bulkheadd is not there; NOT_FOUND, NOT_SUPPORTED as it says. */
status_t bulkhead_session_get_spi(
	bulkhead_session_t *this, const struct kmp_address *destination, uint32_t *spi);
status_t bulkhead_session_add_sa(bulkhead_session_t *this, const struct kmp_sa *sa);
status_t bulkhead_session_move_sa(bulkhead_session_t *this, const struct kmp_move *move);
status_t bulkhead_session_query_sa(
	bulkhead_session_t *this, const struct kmp_sa_name *name, struct kmp_usage *usage);
status_t bulkhead_session_delete_sa(bulkhead_session_t *this, const struct kmp_sa_name *name);
status_t bulkhead_session_add_policy(bulkhead_session_t *this, const struct kmp_policy *policy);
status_t bulkhead_session_delete_policy(bulkhead_session_t *this, const struct kmp_policy *policy);
/* All that charon brought. */
status_t bulkhead_session_flush_sas(bulkhead_session_t *this);
status_t bulkhead_session_flush_policies(bulkhead_session_t *this);
