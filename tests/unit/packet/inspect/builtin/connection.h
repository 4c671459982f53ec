/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's connection through the bench. */
#pragma once

#include "../bench.h"

#define CLIENT_START 1000
#define SERVER_START 5000

static inline enum outcome client_sends(uint32_t offset, const char *text)
{
	return send_tcp(FROM_CLIENT, TCP_ACK | TCP_PSH, CLIENT_START + offset, SERVER_START, text);
}

/* Behind each test: no buffer is lost. */
static inline int close_bench(void **state)
{
	(void)state;
	bench_close();
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
	return 0;
}
