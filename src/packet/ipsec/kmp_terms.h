/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between KMP's terms and those of sa_control.h, both ways: for sessions of key managers, and for
 * hand-overs between daemons. What comes out of a message is checked as far as its form goes;
 * sa_control.h checks the rest. Pure.
 */
#pragma once

#include "bulkhead/kmp.h"
#include "packet/ipsec/sa_control.h"

/* A negative errno of sa_control.h as an answer's code. */
enum kmp_code kmp_terms_code(int status);
struct ip_address kmp_terms_address(const struct kmp_address *address);
struct kmp_address kmp_terms_put_address(const struct ip_address *address);
struct sa_name kmp_terms_name(const struct kmp_sa_name *name);

/* Of the attributes of an SA; keys are borrowed from the message, selectors lie in the array. The
 * owner is left to the caller, 0. */
enum kmp_code kmp_terms_get_sa(const struct kmp_message *message, struct sa_parameters *out,
	struct sa_selector selectors[KMP_SELECTORS_MAX], struct error *error);
/* False: a cipher, or a count of selectors, that KMP cannot say. */
bool kmp_terms_put_sa(struct kmp_writer *writer, const struct sa_parameters *parameters);

/* Likewise of a policy. */
enum kmp_code kmp_terms_get_policy(
	const struct kmp_message *message, struct policy_parameters *out);
void kmp_terms_put_policy(struct kmp_writer *writer, const struct policy_parameters *parameters);
