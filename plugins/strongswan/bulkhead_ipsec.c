/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bulkhead_ipsec.h"

#include "bulkhead_convert.h"
#include "bulkhead_session.h"

#include <utils/debug.h>

typedef struct {
	kernel_ipsec_t public;
	bulkhead_session_t *session;
} private_bulkhead_ipsec_t;

static struct kmp_sa_name name_of(const kernel_ipsec_sa_id_t *id)
{
	return (struct kmp_sa_name){
		.spi = ntohl(id->spi), .destination = bulkhead_address(id->dst)};
}

static bool is_esp(uint8_t protocol)
{
	if (protocol == IPPROTO_ESP)
		return TRUE;
	DBG1(DBG_KNL, "bulkhead: protocol %u: there is ESP only", protocol);
	return FALSE;
}

METHOD(kernel_ipsec_t, get_features, kernel_feature_t, private_bulkhead_ipsec_t *this)
{
	return KERNEL_ESP_V3_TFC | KERNEL_NO_POLICY_UPDATES | KERNEL_POLICY_SPI;
}

METHOD(kernel_ipsec_t, get_spi, status_t, private_bulkhead_ipsec_t *this, host_t *src, host_t *dst,
	uint8_t protocol, uint32_t *spi)
{
	struct kmp_address destination = bulkhead_address(dst);
	uint32_t allocated;
	status_t status;

	if (!is_esp(protocol))
		return NOT_SUPPORTED;
	status = bulkhead_session_get_spi(this->session, &destination, &allocated);
	if (status == SUCCESS)
		*spi = htonl(allocated);
	return status;
}

METHOD(kernel_ipsec_t, get_cpi, status_t, private_bulkhead_ipsec_t *this, host_t *src, host_t *dst,
	uint16_t *cpi)
{
	return NOT_SUPPORTED;
}

/* Each source with each destination; more than KMP takes: the policies decide. */
static void selectors_of(const kernel_ipsec_add_sa_t *data, struct kmp_sa *sa)
{
	enumerator_t *sources = data->src_ts->create_enumerator(data->src_ts), *destinations;
	traffic_selector_t *source, *destination;
	bool fits = TRUE;

	while (fits && sources->enumerate(sources, &source)) {
		destinations = data->dst_ts->create_enumerator(data->dst_ts);
		while (fits && destinations->enumerate(destinations, &destination)) {
			if (source->get_type(source) != destination->get_type(destination))
				continue;
			fits = sa->selector_count < KMP_SELECTORS_MAX
				&& bulkhead_selector(
					source, destination, &sa->selectors[sa->selector_count]);
			sa->selector_count++;
		}
		destinations->destroy(destinations);
	}
	sources->destroy(sources);
	if (!fits)
		sa->selector_count = 0;
}

/* charon's default is `out`: what comes in keeps the class that was protected. */
static bool copies_dscp(const kernel_ipsec_add_sa_t *data)
{
	return data->copy_dscp == DSCP_COPY_YES
		|| data->copy_dscp == (data->inbound ? DSCP_COPY_IN_ONLY : DSCP_COPY_OUT_ONLY);
}

static uint32_t flags_of(const kernel_ipsec_add_sa_t *data)
{
	return (data->esn ? KMP_SA_ESN : 0) | (data->encap ? KMP_SA_ENCAPSULATION : 0)
		| (data->copy_df ? KMP_SA_COPY_DF : 0) | (data->copy_ecn ? KMP_SA_COPY_ECN : 0)
		| (copies_dscp(data) ? KMP_SA_COPY_DSCP : 0);
}

METHOD(kernel_ipsec_t, add_sa, status_t, private_bulkhead_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data)
{
	struct kmp_sa sa = {.name = name_of(id)};

	if (!is_esp(id->proto))
		return NOT_SUPPORTED;
	if (!bulkhead_mode(data->mode, &sa.mode) || !bulkhead_algorithms(data, &sa)
		|| data->ipcomp != IPCOMP_NONE) {
		DBG1(DBG_KNL, "bulkhead: %N, %N with %N: not supported", ipsec_mode_names,
			data->mode, encryption_algorithm_names, data->enc_alg,
			integrity_algorithm_names, data->int_alg);
		return NOT_SUPPORTED;
	}
	sa.source = bulkhead_address(id->src);
	sa.direction = data->inbound ? KMP_INBOUND : KMP_OUTBOUND;
	sa.flags = flags_of(data);
	sa.replay_window = data->inbound ? min(data->replay_window, UINT16_MAX) : 0;
	if (data->encap) {
		sa.source_port = id->src->get_port(id->src);
		sa.destination_port = id->dst->get_port(id->dst);
	}
	sa.request = data->reqid;
	bulkhead_lifetime(data->lifetime, &sa.lifetime);
	if (data->inbound)
		selectors_of(data, &sa);
	return bulkhead_session_add_sa(this->session, &sa);
}

METHOD(kernel_ipsec_t, update_sa, status_t, private_bulkhead_ipsec_t *this,
	kernel_ipsec_sa_id_t *id, kernel_ipsec_update_sa_t *data)
{
	struct kmp_move move = {.name = name_of(id),
		.new_source = bulkhead_address(data->new_src),
		.new_destination = bulkhead_address(data->new_dst),
		.has_encapsulation = data->new_encap};

	if (data->new_encap) {
		move.source_port = data->new_src->get_port(data->new_src);
		move.destination_port = data->new_dst->get_port(data->new_dst);
	}
	return bulkhead_session_move_sa(this->session, &move);
}

METHOD(kernel_ipsec_t, query_sa, status_t, private_bulkhead_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_query_sa_t *data, uint64_t *bytes, uint64_t *packets, time_t *time)
{
	struct kmp_sa_name name = name_of(id);
	struct kmp_usage usage;
	status_t status = bulkhead_session_query_sa(this->session, &name, &usage);

	if (status != SUCCESS)
		return status;
	*bytes = usage.bytes;
	if (packets)
		*packets = usage.packets;
	/* 0: not used yet. */
	if (time)
		*time = usage.idle_s == UINT64_MAX ? 0
						   : time_monotonic(NULL) - (time_t)usage.idle_s;
	return SUCCESS;
}

METHOD(kernel_ipsec_t, del_sa, status_t, private_bulkhead_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_del_sa_t *data)
{
	struct kmp_sa_name name = name_of(id);

	return bulkhead_session_delete_sa(this->session, &name);
}

METHOD(kernel_ipsec_t, flush_sas, status_t, private_bulkhead_ipsec_t *this)
{
	return bulkhead_session_flush_sas(this->session);
}

METHOD(kernel_ipsec_t, add_policy, status_t, private_bulkhead_ipsec_t *this,
	kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data)
{
	struct kmp_policy policy;

	if (!bulkhead_policy(id, data, &policy)) {
		DBG1(DBG_KNL, "bulkhead: policy %R === %R: not supported", id->src_ts, id->dst_ts);
		return NOT_SUPPORTED;
	}
	return bulkhead_session_add_policy(this->session, &policy);
}

/* The use of its SA is asked for instead. */
METHOD(kernel_ipsec_t, query_policy, status_t, private_bulkhead_ipsec_t *this,
	kernel_ipsec_policy_id_t *id, kernel_ipsec_query_policy_t *data, time_t *use_time)
{
	return NOT_SUPPORTED;
}

METHOD(kernel_ipsec_t, del_policy, status_t, private_bulkhead_ipsec_t *this,
	kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data)
{
	struct kmp_policy policy;

	if (!bulkhead_policy(id, data, &policy))
		return NOT_FOUND;
	return bulkhead_session_delete_policy(this->session, &policy);
}

METHOD(kernel_ipsec_t, flush_policies, status_t, private_bulkhead_ipsec_t *this)
{
	return bulkhead_session_flush_policies(this->session);
}

/* IKE for a virtual address goes to the host's sockets before policies are asked, and ESP in UDP
 * does not come that far. */
METHOD(kernel_ipsec_t, bypass_socket, bool, private_bulkhead_ipsec_t *this, int fd, int family)
{
	return TRUE;
}

METHOD(kernel_ipsec_t, enable_udp_decap, bool, private_bulkhead_ipsec_t *this, int fd, int family,
	uint16_t port)
{
	return TRUE;
}

METHOD(kernel_ipsec_t, destroy, void, private_bulkhead_ipsec_t *this)
{
	bulkhead_session_destroy(this->session);
	free(this);
}

kernel_ipsec_t *bulkhead_ipsec_create(void)
{
	private_bulkhead_ipsec_t *this;
	bulkhead_session_t *session = bulkhead_session_create();

	if (!session)
		return NULL;
	/* charon calls each of them without a look: none may be missing. */
	INIT(this,
		.public =
			{
				.get_features = _get_features,
				.get_spi = _get_spi,
				.get_cpi = _get_cpi,
				.add_sa = _add_sa,
				.update_sa = _update_sa,
				.query_sa = _query_sa,
				.del_sa = _del_sa,
				.flush_sas = _flush_sas,
				.add_policy = _add_policy,
				.query_policy = _query_policy,
				.del_policy = _del_policy,
				.flush_policies = _flush_policies,
				.bypass_socket = _bypass_socket,
				.enable_udp_decap = _enable_udp_decap,
				.destroy = _destroy,
			},
		.session = session, );
	return &this->public;
}
