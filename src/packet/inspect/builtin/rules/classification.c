/* SPDX-License-Identifier: BSD-3-Clause */
/* The classes that rules name by `classtype`, as in Suricata's and Snort's classification.config.
 */
#include "packet/inspect/builtin/rules/rule_lexer.h"
#include "packet/inspect/builtin/rules/rule_parse.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name, *text;
	uint8_t priority;
} classes[] = {
	{"not-suspicious", "Not Suspicious Traffic", 3},
	{"unknown", "Unknown Traffic", 3},
	{"bad-unknown", "Potentially Bad Traffic", 2},
	{"attempted-recon", "Attempted Information Leak", 2},
	{"successful-recon-limited", "Information Leak", 2},
	{"successful-recon-largescale", "Large Scale Information Leak", 2},
	{"attempted-dos", "Attempted Denial of Service", 2},
	{"successful-dos", "Denial of Service", 2},
	{"attempted-user", "Attempted User Privilege Gain", 1},
	{"unsuccessful-user", "Unsuccessful User Privilege Gain", 1},
	{"successful-user", "Successful User Privilege Gain", 1},
	{"attempted-admin", "Attempted Administrator Privilege Gain", 1},
	{"successful-admin", "Successful Administrator Privilege Gain", 1},
	{"rpc-portmap-decode", "Decode of an RPC Query", 2},
	{"shellcode-detect", "Executable code was detected", 1},
	{"string-detect", "A suspicious string was detected", 3},
	{"suspicious-filename-detect", "A suspicious filename was detected", 2},
	{"suspicious-login", "An attempted login using a suspicious username was detected", 2},
	{"system-call-detect", "A system call was detected", 2},
	{"tcp-connection", "A TCP connection was detected", 4},
	{"trojan-activity", "A Network Trojan was detected", 1},
	{"unusual-client-port-connection", "A client was using an unusual port", 2},
	{"network-scan", "Detection of a Network Scan", 3},
	{"denial-of-service", "Detection of a Denial of Service Attack", 2},
	{"non-standard-protocol", "Detection of a non-standard protocol or event", 2},
	{"protocol-command-decode", "Generic Protocol Command Decode", 3},
	{"web-application-activity", "access to a potentially vulnerable web application", 2},
	{"web-application-attack", "Web Application Attack", 1},
	{"misc-activity", "Misc activity", 3},
	{"misc-attack", "Misc Attack", 2},
	{"icmp-event", "Generic ICMP event", 3},
	{"inappropriate-content", "Inappropriate Content was Detected", 1},
	{"policy-violation", "Potential Corporate Privacy Violation", 1},
	{"default-login-attempt", "Attempt to login by a default username and password", 2},
	{"targeted-activity", "Targeted Malicious Activity was Detected", 1},
	{"exploit-kit", "Exploit Kit Activity Detected", 1},
	{"external-ip-check", "Device Retrieving External IP Address Detected", 2},
	{"domain-c2", "Domain Observed Used for C2 Detected", 1},
	{"pup-activity", "Possibly Unwanted Program Detected", 2},
	{"credential-theft", "Successful Credential Theft Detected", 1},
	{"social-engineering", "Possible Social Engineering Attempted", 2},
	{"coin-mining", "Crypto Currency Mining Activity Detected", 2},
	{"command-and-control", "Malware Command and Control Activity Detected", 1},
};

int rule_classification(
	const struct rule_parser *parser, const char *name, const char **text, uint8_t *priority)
{
	for (const struct rule_class *own = parser->classes; own; own = own->next) {
		if (strcasecmp(name, own->name) != 0)
			continue;
		*text = own->text;
		*priority = own->priority;
		return 0;
	}
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strcasecmp(name, classes[i].name) != 0)
			continue;
		*text = classes[i].text;
		*priority = classes[i].priority;
		return 0;
	}
	return -ENOENT;
}

int rule_classification_add(struct rule_parser *parser, char *value)
{
	char *name = rule_piece(&value, ','), *text = rule_piece(&value, ',');
	struct rule_class *own;
	int64_t priority;

	if (!text || !value || !*name || !rule_number(rule_trim(value), 1, 255, &priority))
		return RULE_INVALID(parser, "expected \"name,text,priority\"");
	if (!rule_is_utf8(name) || !rule_is_utf8(text))
		return RULE_UNSUPPORTED(parser, "the text is no UTF-8");
	own = rule_arena_take(parser->arena, sizeof(*own));
	if (!own)
		return -ENOMEM;
	own->name = rule_arena_copy(parser->arena, name, strlen(name));
	own->text = rule_arena_copy(parser->arena, text, strlen(text));
	own->priority = (uint8_t)priority;
	if (!own->name || !own->text)
		return -ENOMEM;
	own->next = parser->classes;
	parser->classes = own;
	return 0;
}
