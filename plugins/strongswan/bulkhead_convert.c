/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bulkhead_convert.h"

/* As kernel-netlink's: a class of policies is apart from the next by more than their selectors
 * make. */
#define PRIORITY_BASE 200000

struct kmp_address bulkhead_address(host_t *host)
{
	struct kmp_address out = {.version = 0};
	chunk_t bytes;

	if (!host)
		return out;
	bytes = host->get_address(host);
	if (bytes.len != 4 && bytes.len != 16)
		return out;
	out.version = bytes.len == 4 ? 4 : 6;
	memcpy(out.bytes, bytes.ptr, bytes.len);
	return out;
}

host_t *bulkhead_host(const struct kmp_address *address, uint16_t port)
{
	if (address->version != 4 && address->version != 6)
		return NULL;
	return host_create_from_chunk(address->version == 4 ? AF_INET : AF_INET6,
		chunk_create((u_char *)address->bytes, address->version == 4 ? 4 : 16), port);
}

static struct kmp_address address_of_chunk(chunk_t bytes)
{
	struct kmp_address out = {.version = bytes.len == 4 ? 4 : 6};

	memcpy(out.bytes, bytes.ptr, min(bytes.len, sizeof(out.bytes)));
	return out;
}

bool bulkhead_selector(traffic_selector_t *src, traffic_selector_t *dst, struct kmp_selector *out)
{
	memset(out, 0, sizeof(*out));
	out->source_first = address_of_chunk(src->get_from_address(src));
	out->source_last = address_of_chunk(src->get_to_address(src));
	out->destination_first = address_of_chunk(dst->get_from_address(dst));
	out->destination_last = address_of_chunk(dst->get_to_address(dst));
	out->protocol = src->get_protocol(src) ?: dst->get_protocol(dst);
	out->source_port_first = src->get_from_port(src);
	out->source_port_last = src->get_to_port(src);
	out->destination_port_first = dst->get_from_port(dst);
	out->destination_port_last = dst->get_to_port(dst);
	return out->source_port_first <= out->source_port_last
		&& out->destination_port_first <= out->destination_port_last
		&& src->get_type(src) == dst->get_type(dst);
}

traffic_selector_t *bulkhead_ts(const struct kmp_selector *selector, bool is_source)
{
	const struct kmp_address *first =
		is_source ? &selector->source_first : &selector->destination_first;
	const struct kmp_address *last =
		is_source ? &selector->source_last : &selector->destination_last;
	size_t size = first->version == 4 ? 4 : 16;

	if (first->version != 4 && first->version != 6)
		return NULL;
	return traffic_selector_create_from_bytes(selector->protocol,
		first->version == 4 ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE,
		chunk_create((u_char *)first->bytes, size),
		is_source ? selector->source_port_first : selector->destination_port_first,
		chunk_create((u_char *)last->bytes, size),
		is_source ? selector->source_port_last : selector->destination_port_last);
}

bool bulkhead_mode(ipsec_mode_t mode, enum kmp_mode *out)
{
	*out = mode == MODE_TRANSPORT ? KMP_TRANSPORT : KMP_TUNNEL;
	return mode == MODE_TRANSPORT || mode == MODE_TUNNEL;
}

/* Both use the numbers of IANA's registry; an algorithm with integrity of its own has none apart.
 */
bool bulkhead_algorithms(const kernel_ipsec_add_sa_t *data, struct kmp_sa *out)
{
	switch (data->enc_alg) {
	case ENCR_NULL:
	case ENCR_AES_CBC:
	case ENCR_AES_CTR:
	case ENCR_AES_GCM_ICV16:
	case ENCR_NULL_AUTH_AES_GMAC:
	case ENCR_CHACHA20_POLY1305:
		break;
	default:
		return FALSE;
	}
	switch (data->int_alg) {
	case AUTH_UNDEFINED:
		out->integrity = KMP_INTEGRITY_NONE;
		break;
	case AUTH_HMAC_SHA1_96:
	case AUTH_HMAC_SHA2_256_128:
	case AUTH_HMAC_SHA2_384_192:
	case AUTH_HMAC_SHA2_512_256:
		out->integrity = data->int_alg;
		break;
	default:
		return FALSE;
	}
	out->cipher = data->enc_alg;
	out->cipher_key = data->enc_key.ptr;
	out->cipher_key_size = data->enc_key.len;
	out->integrity_key = data->int_key.ptr;
	out->integrity_key_size = data->int_key.len;
	return data->enc_key.len <= KMP_KEY_MAX && data->int_key.len <= KMP_KEY_MAX;
}

void bulkhead_lifetime(const lifetime_cfg_t *lifetime, struct kmp_lifetime *out)
{
	out->soft_bytes = lifetime->bytes.rekey;
	out->hard_bytes = lifetime->bytes.life;
	out->soft_packets = lifetime->packets.rekey;
	out->hard_packets = lifetime->packets.life;
	out->soft_s = min(lifetime->time.rekey, UINT32_MAX);
	out->hard_s = min(lifetime->time.life, UINT32_MAX);
}

static uint8_t prefix_of(traffic_selector_t *ts)
{
	host_t *network = NULL;
	uint8_t bits = 0;

	ts->to_subnet(ts, &network, &bits);
	DESTROY_IF(network);
	return bits;
}

static uint32_t port_bits(traffic_selector_t *ts)
{
	uint32_t count = (uint32_t)ts->get_to_port(ts) - ts->get_from_port(ts), bits = 16;

	for (; count > 0; count >>= 1)
		bits--;
	return bits;
}

/* The narrower, the sooner asked; as kernel-netlink orders them. */
static uint32_t priority_of(kernel_ipsec_policy_id_t *id, policy_priority_t class)
{
	uint32_t priority = PRIORITY_BASE;

	if (class == POLICY_PRIORITY_FALLBACK)
		priority += 2 * PRIORITY_BASE;
	else if (class != POLICY_PRIORITY_PASS)
		priority += PRIORITY_BASE;
	priority -= (prefix_of(id->src_ts) + prefix_of(id->dst_ts)) * 512;
	priority -= id->src_ts->get_protocol(id->src_ts) ? 256 : 0;
	priority -= (port_bits(id->src_ts) + port_bits(id->dst_ts)) * 4;
	priority -= class != POLICY_PRIORITY_ROUTED;
	return priority;
}

static bool protection_of(kernel_ipsec_manage_policy_t *data, struct kmp_policy *out)
{
	out->request = data->sa->reqid;
	out->spi = ntohl(data->sa->esp.spi);
	if (data->sa->mode == MODE_TUNNEL) {
		out->source = bulkhead_address(data->src);
		out->destination = bulkhead_address(data->dst);
	}
	return bulkhead_mode(data->sa->mode, &out->mode);
}

bool bulkhead_policy(
	kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data, struct kmp_policy *out)
{
	static const enum kmp_policy_direction directions[] = {
		[POLICY_IN] = KMP_POLICY_INBOUND,
		[POLICY_OUT] = KMP_POLICY_OUTBOUND,
		[POLICY_FWD] = KMP_POLICY_FORWARD,
	};

	/* It is compared as memory, too. */
	memset(out, 0, sizeof(*out));
	out->direction = directions[id->dir];
	out->priority = data->manual_prio ?: priority_of(id, data->prio);
	if (!bulkhead_selector(id->src_ts, id->dst_ts, &out->selector))
		return FALSE;
	switch (data->type) {
	case POLICY_PASS:
		out->action = KMP_BYPASS;
		return TRUE;
	case POLICY_DROP:
		out->action = KMP_DISCARD;
		return TRUE;
	default:
		out->action = KMP_PROTECT;
		return protection_of(data, out);
	}
}
