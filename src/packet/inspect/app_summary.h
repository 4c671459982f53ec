/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of an application protocol's message: by a worker, to whoever writes events. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APP_TEXT_SIZE 128 /* longer ones are cut */

enum app_protocol {
	APP_UNKNOWN,
	APP_HTTP,
	APP_TLS,
	APP_DNS,
	APP_OTHER, /* none of these */
	APP_PROTOCOL_COUNT,
};

/* What events tell of the message: EVE's http, tls and dns. */
struct app_summary {
	uint8_t protocol; /* enum app_protocol */
	bool has_status;
	uint16_t status, port;
	uint16_t dns_id, dns_type;
	char host[APP_TEXT_SIZE]; /* HTTP: host, TLS: server name, DNS: name that is asked for */
	char url[APP_TEXT_SIZE], agent[APP_TEXT_SIZE];
	char method[24], version[16], ja3[33];
};

/* "http"; NULL: it has no name. */
static inline const char *app_protocol_name(enum app_protocol protocol)
{
	return protocol == APP_HTTP   ? "http"
		: protocol == APP_TLS ? "tls"
		: protocol == APP_DNS ? "dns"
				      : NULL;
}
