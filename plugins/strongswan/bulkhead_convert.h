/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between strongSwan's terms and KMP's. Pure; what is returned to strongSwan is the caller's. */
#pragma once

#include <kernel/kernel_ipsec.h>

#include <bulkhead/kmp.h>

/* Of version 0 for NULL. */
struct kmp_address bulkhead_address(host_t *host);
/* NULL: no address that strongSwan could use, which must not reach it. */
host_t *bulkhead_host(const struct kmp_address *address, uint16_t port);

/* FALSE: it cannot be said in KMP (an "opaque" range of ports). */
bool bulkhead_selector(traffic_selector_t *src, traffic_selector_t *dst, struct kmp_selector *out);
/* One side of a packet; NULL as above. */
traffic_selector_t *bulkhead_ts(const struct kmp_selector *selector, bool is_source);

/* FALSE: KMP has no such thing. */
bool bulkhead_mode(ipsec_mode_t mode, enum kmp_mode *out);
bool bulkhead_algorithms(const kernel_ipsec_add_sa_t *data, struct kmp_sa *out);
void bulkhead_lifetime(const lifetime_cfg_t *lifetime, struct kmp_lifetime *out);
bool bulkhead_policy(
	kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data, struct kmp_policy *out);
