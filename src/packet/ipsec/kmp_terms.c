/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/kmp_terms.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum kmp_code kmp_terms_code(int status)
{
	switch (status) {
	case 0:
		return KMP_OK;
	case -EINVAL:
		return KMP_BAD_VALUE;
	case -EEXIST:
		return KMP_EXISTS;
	case -ENOENT:
		return KMP_NOT_FOUND;
	case -ENOTSUP:
		return KMP_NOT_SUPPORTED;
	case -ENOMEM:
	case -ENOSPC:
		return KMP_NO_ROOM;
	default:
		return KMP_FAILED;
	}
}

struct ip_address kmp_terms_address(const struct kmp_address *address)
{
	struct ip_address out = {.version = address->version};

	memcpy(out.bytes, address->bytes, sizeof(out.bytes));
	return out;
}

struct kmp_address kmp_terms_put_address(const struct ip_address *address)
{
	struct kmp_address out = {.version = address->version};

	memcpy(out.bytes, address->bytes, sizeof(out.bytes));
	return out;
}

struct sa_name kmp_terms_name(const struct kmp_sa_name *name)
{
	return (struct sa_name){
		.spi = name->spi, .destination = kmp_terms_address(&name->destination)};
}

static struct sa_selector get_selector(const struct kmp_selector *selector)
{
	return (struct sa_selector){
		.source_first = kmp_terms_address(&selector->source_first),
		.source_last = kmp_terms_address(&selector->source_last),
		.destination_first = kmp_terms_address(&selector->destination_first),
		.destination_last = kmp_terms_address(&selector->destination_last),
		.protocol = selector->protocol,
		.source_port_first = selector->source_port_first,
		.source_port_last = selector->source_port_last,
		.destination_port_first = selector->destination_port_first,
		.destination_port_last = selector->destination_port_last,
	};
}

static struct kmp_selector put_selector(const struct sa_selector *selector)
{
	return (struct kmp_selector){
		.source_first = kmp_terms_put_address(&selector->source_first),
		.source_last = kmp_terms_put_address(&selector->source_last),
		.destination_first = kmp_terms_put_address(&selector->destination_first),
		.destination_last = kmp_terms_put_address(&selector->destination_last),
		.protocol = selector->protocol,
		.source_port_first = selector->source_port_first,
		.source_port_last = selector->source_port_last,
		.destination_port_first = selector->destination_port_first,
		.destination_port_last = selector->destination_port_last,
	};
}

/* ---- algorithms ---- */

struct pair {
	uint16_t theirs;
	uint8_t ours;
};

static const struct pair ciphers[] = {
	{KMP_CIPHER_NULL, SA_CIPHER_NULL},
	{KMP_CIPHER_AES_CBC, SA_CIPHER_AES_CBC},
	{KMP_CIPHER_AES_CTR, SA_CIPHER_AES_CTR},
	{KMP_CIPHER_AES_GCM_16, SA_CIPHER_AES_GCM_16},
	{KMP_CIPHER_AES_GMAC, SA_CIPHER_AES_GMAC},
	{KMP_CIPHER_CHACHA20_POLY1305, SA_CIPHER_CHACHA20_POLY1305},
};
static const struct pair integrities[] = {
	{KMP_INTEGRITY_NONE, SA_INTEGRITY_NONE},
	{KMP_INTEGRITY_HMAC_SHA1_96, SA_INTEGRITY_HMAC_SHA1_96},
	{KMP_INTEGRITY_HMAC_SHA2_256_128, SA_INTEGRITY_HMAC_SHA2_256_128},
	{KMP_INTEGRITY_HMAC_SHA2_384_192, SA_INTEGRITY_HMAC_SHA2_384_192},
	{KMP_INTEGRITY_HMAC_SHA2_512_256, SA_INTEGRITY_HMAC_SHA2_512_256},
};

#define CIPHER_COUNT    (sizeof(ciphers) / sizeof(ciphers[0]))
#define INTEGRITY_COUNT (sizeof(integrities) / sizeof(integrities[0]))

static_assert(CIPHER_COUNT == SA_CIPHER_COUNT, "all of ours have a number");
static_assert(INTEGRITY_COUNT == SA_INTEGRITY_COUNT, "all of ours have a number");

static bool find_ours(const struct pair *pairs, size_t count, uint16_t theirs, uint8_t *out)
{
	for (size_t i = 0; i < count; i++) {
		if (pairs[i].theirs != theirs)
			continue;
		*out = pairs[i].ours;
		return true;
	}
	return false;
}

static uint16_t find_theirs(const struct pair *pairs, size_t count, uint8_t ours)
{
	for (size_t i = 0; i < count; i++)
		if (pairs[i].ours == ours)
			return pairs[i].theirs;
	return UINT16_MAX;
}

static_assert((int)SA_INBOUND == KMP_INBOUND && (int)SA_OUTBOUND == KMP_OUTBOUND, "as on the wire");
static_assert((int)SA_TUNNEL == KMP_TUNNEL && (int)SA_TRANSPORT == KMP_TRANSPORT, "as on the wire");
static_assert((int)POLICY_INBOUND == KMP_POLICY_INBOUND && (int)POLICY_FORWARD == KMP_POLICY_FORWARD
		&& (int)POLICY_OUTBOUND == KMP_POLICY_OUTBOUND,
	"as on the wire");
static_assert((int)POLICY_DISCARD == KMP_DISCARD && (int)POLICY_BYPASS == KMP_BYPASS
		&& (int)POLICY_PROTECT == KMP_PROTECT,
	"as on the wire");

/* ---- associations ---- */

static void get_lifetime(const struct kmp_lifetime *in, struct sa_lifetime *out)
{
	*out = (struct sa_lifetime){.soft_bytes = in->soft_bytes,
		.hard_bytes = in->hard_bytes,
		.soft_packets = in->soft_packets,
		.hard_packets = in->hard_packets,
		.soft_s = in->soft_s,
		.hard_s = in->hard_s};
}

static struct kmp_lifetime put_lifetime(const struct sa_lifetime *in)
{
	return (struct kmp_lifetime){.soft_bytes = in->soft_bytes,
		.hard_bytes = in->hard_bytes,
		.soft_packets = in->soft_packets,
		.hard_packets = in->hard_packets,
		.soft_s = in->soft_s,
		.hard_s = in->hard_s};
}

static void get_parts(const struct kmp_sa *sa, struct sa_parameters *out)
{
	out->name = kmp_terms_name(&sa->name);
	out->source = kmp_terms_address(&sa->source);
	out->direction = (uint8_t)sa->direction;
	out->mode = (uint8_t)sa->mode;
	out->cipher_key = sa->cipher_key;
	out->cipher_key_size = sa->cipher_key_size;
	out->integrity_key = sa->integrity_key;
	out->integrity_key_size = sa->integrity_key_size;
	out->has_esn = sa->flags & KMP_SA_ESN;
	out->replay_window = sa->replay_window;
	out->has_encapsulation = sa->flags & KMP_SA_ENCAPSULATION;
	out->source_port = sa->source_port;
	out->destination_port = sa->destination_port;
	out->copies_df = sa->flags & KMP_SA_COPY_DF;
	out->copies_ecn = sa->flags & KMP_SA_COPY_ECN;
	out->copies_dscp = sa->flags & KMP_SA_COPY_DSCP;
	out->request = sa->request;
	get_lifetime(&sa->lifetime, &out->lifetime);
}

enum kmp_code kmp_terms_get_sa(const struct kmp_message *message, struct sa_parameters *out,
	struct sa_selector selectors[KMP_SELECTORS_MAX], struct error *error)
{
	struct kmp_sa sa;
	enum kmp_code code = kmp_get_sa(message, &sa);

	*out = (struct sa_parameters){.selectors = selectors};
	if (code != KMP_OK)
		return code;
	if (!find_ours(ciphers, CIPHER_COUNT, sa.cipher, &out->cipher)
		|| !find_ours(integrities, INTEGRITY_COUNT, sa.integrity, &out->integrity)) {
		error_set(error, 0, "cipher %u with integrity %u is not known here", sa.cipher,
			sa.integrity);
		return KMP_NOT_SUPPORTED;
	}
	get_parts(&sa, out);
	out->selector_count = sa.selector_count;
	for (uint16_t i = 0; i < sa.selector_count; i++)
		selectors[i] = get_selector(&sa.selectors[i]);
	return KMP_OK;
}

static uint32_t flags_of(const struct sa_parameters *parameters)
{
	return (parameters->has_esn ? KMP_SA_ESN : 0U)
		| (parameters->has_encapsulation ? KMP_SA_ENCAPSULATION : 0U)
		| (parameters->copies_df ? KMP_SA_COPY_DF : 0U)
		| (parameters->copies_ecn ? KMP_SA_COPY_ECN : 0U)
		| (parameters->copies_dscp ? KMP_SA_COPY_DSCP : 0U);
}

bool kmp_terms_put_sa(struct kmp_writer *writer, const struct sa_parameters *parameters)
{
	struct kmp_sa sa = {
		.name = {.spi = parameters->name.spi,
			.destination = kmp_terms_put_address(&parameters->name.destination)},
		.source = kmp_terms_put_address(&parameters->source),
		.direction = (enum kmp_direction)parameters->direction,
		.mode = (enum kmp_mode)parameters->mode,
		.cipher = find_theirs(ciphers, CIPHER_COUNT, parameters->cipher),
		.integrity = find_theirs(integrities, INTEGRITY_COUNT, parameters->integrity),
		.cipher_key = parameters->cipher_key,
		.cipher_key_size = parameters->cipher_key_size,
		.integrity_key = parameters->integrity_key,
		.integrity_key_size = parameters->integrity_key_size,
		.flags = flags_of(parameters),
		.replay_window = parameters->replay_window,
		.source_port = parameters->source_port,
		.destination_port = parameters->destination_port,
		.request = parameters->request,
		.lifetime = put_lifetime(&parameters->lifetime),
		.selector_count = parameters->selector_count,
	};

	if (sa.selector_count > KMP_SELECTORS_MAX)
		return false;
	for (uint16_t i = 0; i < sa.selector_count; i++)
		sa.selectors[i] = put_selector(&parameters->selectors[i]);
	kmp_put_sa(writer, &sa);
	return true;
}

/* ---- policies ---- */

enum kmp_code kmp_terms_get_policy(const struct kmp_message *message, struct policy_parameters *out)
{
	struct kmp_policy policy;
	enum kmp_code code = kmp_get_policy(message, &policy);

	if (code != KMP_OK)
		return code;
	*out = (struct policy_parameters){.direction = (uint8_t)policy.direction,
		.action = (uint8_t)policy.action,
		.selector = get_selector(&policy.selector),
		.priority = policy.priority,
		.mode = (uint8_t)policy.mode,
		.request = policy.request,
		.spi = policy.spi,
		.source = kmp_terms_address(&policy.source),
		.destination = kmp_terms_address(&policy.destination)};
	return KMP_OK;
}

void kmp_terms_put_policy(struct kmp_writer *writer, const struct policy_parameters *parameters)
{
	const struct kmp_policy policy = {
		.direction = (enum kmp_policy_direction)parameters->direction,
		.action = (enum kmp_action)parameters->action,
		.selector = put_selector(&parameters->selector),
		.priority = parameters->priority,
		.mode = (enum kmp_mode)parameters->mode,
		.request = parameters->request,
		.spi = parameters->spi,
		.source = kmp_terms_put_address(&parameters->source),
		.destination = kmp_terms_put_address(&parameters->destination)};

	kmp_put_policy(writer, &policy);
}
