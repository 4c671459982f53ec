/* SPDX-License-Identifier: BSD-3-Clause */
/* Keywords of Suricata that this engine refuses, with the reason; docs/rules.md has the table. */
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <string.h>

static const struct {
	const char *name, *reason;
} refused[] = {
	{"flowint", "counters of flows are not supported"},
	{"xbits", "bits of hosts and pairs of hosts are not supported"},
	{"hostbits", "bits of hosts are not supported"},
	{"tag", "packets that follow an alert are not recorded; use bulkhead capture"},
	{"geoip", "addresses are not looked up by country"},
	{"iprep", "lists of reputation are not supported"},
	{"dataset", "data sets are not supported"},
	{"datarep", "data sets are not supported"},
	{"lua", "scripts are not run"},
	{"luajit", "scripts are not run"},
	{"stream_size", "how much of a stream was sent is not asked for by rules"},
	{"stream-event",
		"events of Suricata's stream engine; this engine counts what it finds, see "
		"bulkhead inspect"},
	{"decode-event",
		"events of Suricata's decoder; this engine counts what it finds, see bulkhead "
		"drops"},
	{"engine-event", "events of the engine are not asked for by rules"},
	{"app-layer-event", "events of protocol parsers are not asked for by rules"},
	{"asn1", "ASN.1 is not parsed"},
	{"rpc", "Sun RPC is not parsed"},
	{"base64_decode", "base64 is not decoded"},
	{"base64_data", "base64 is not decoded"},
	{"filestore", "files are not put together"},
	{"filename", "files are not put together"},
	{"fileext", "files are not put together"},
	{"filemagic", "files are not put together"},
	{"filesize", "files are not put together"},
	{"filemd5", "files are not put together"},
	{"filesha1", "files are not put together"},
	{"filesha256", "files are not put together"},
	{"requires", "what a rule requires of Suricata is not known here"},
	{"bypass", "flows are bypassed by inspection.bypass-after, or by a rule with pass"},
	{"nfq_set_mark", "packets do not come from the kernel's queue"},
};

const char *rule_keyword_reason(const char *name)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcmp(name, refused[i].name) == 0)
			return refused[i].reason;
	return "the keyword is not supported by this engine";
}
