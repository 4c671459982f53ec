/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control side of IPsec shares. Control thread. */
#pragma once

#include "ipc/ipc.h"

#include <jansson.h>

struct ipsec_config;

/* In force; NULL: IPsec is off. */
const struct ipsec_config *ipsec_running(void);

/* ---- for a hand-over ---- */

/* Calls done when a state is kept that was written after this call, or could not be. One at a
 * time. */
void ipsec_when_kept(void (*done)(void *context, bool is_kept), void *context);
/* done is not called any more. */
void ipsec_forget_waiter(void);
/* Of the running configuration: adds the static SAs that are not there. */
void ipsec_apply_statics(void);
/* All SAs and the policies of key managers go; static SAs begin anew, with other IVs. */
void ipsec_forget_all(void);
/* kmp_control.c: key managers that have brought something meanwhile get their time of grace. */
void kmp_adopt(void);

struct secret;
struct error;
/* A secret as KMP's, from a file that the broker has opened; key names the option, for the
 * message. */
int kmp_secret_read(int fd, const char *key, const char *path, struct secret **out, size_t *size,
	struct error *error);

/* ipsec_api.c */
extern const struct ipc_method ipsec_methods[];
void ipsec_metrics(json_t *samples);
