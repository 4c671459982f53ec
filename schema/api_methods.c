/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of the API. See api_schema.h for what the columns mean. */
#include "schema/api_schema.h"

#define PARAMS(...)        ((const struct api_param[]){__VA_ARGS__, {.name = NULL}})
#define FIELDS(...)        ((const struct api_field[]){__VA_ARGS__, {.path = NULL}})
#define NOTIFICATIONS(...) ((const struct api_notification[]){__VA_ARGS__, {.name = NULL}})
#define PARAM(name_, type_, help_, ...)                                                            \
	{                                                                                          \
		.name = (name_), .type = (type_), .help = (help_), __VA_ARGS__                     \
	}
#define FIELD(path_, type_, help_)                                                                 \
	{                                                                                          \
		.path = (path_), .type = (type_), .help = (help_)                                  \
	}
#define OPTIONAL(path_, type_, help_)                                                              \
	{                                                                                          \
		.path = (path_), .type = (type_), .is_optional = true, .help = (help_)             \
	}

/* Rows are read as a table. */
/* clang-format off */

#define CONFIG_MESSAGE_FIELDS(p) \
	FIELD(p ".file", API_STRING, "name of the file as it was given"), \
	FIELD(p ".line", API_INTEGER, "line, from 1; 0: of the whole file"), \
	FIELD(p ".column", API_INTEGER, "column, from 1; 0: of the whole line"), \
	FIELD(p ".key", API_STRING, "the option, as gateway.trunks.trunk-a.vlans; empty for syntax"), \
	OPTIONAL(p ".found", API_STRING, "what stands there"), \
	OPTIONAL(p ".valid", API_STRING, "what would be valid"), \
	FIELD(p ".message", API_STRING, "all of it in one line, for people")

#define CONFIG_ERROR_FIELDS \
	FIELD("errors", API_LIST, "what is wrong, all of it at once"), \
	CONFIG_MESSAGE_FIELDS("errors[]"), \
	OPTIONAL("errors_left_out", API_INTEGER, "so many more that do not fit into a message"), \
	FIELD("warnings", API_LIST, "what is valid but hardly meant"), \
	CONFIG_MESSAGE_FIELDS("warnings[]"), \
	OPTIONAL("warnings_left_out", API_INTEGER, "so many more")

#define CHANGE_FIELDS \
	FIELD("changes", API_LIST, "what differs, in the order of the schema"), \
	FIELD("changes[].key", API_STRING, "the option"), \
	FIELD("changes[].op", API_STRING, "add, remove or change"), \
	OPTIONAL("changes[].old", API_ANY, "the running value"), \
	OPTIONAL("changes[].new", API_ANY, "the new value"), \
	FIELD("changes[].effect", API_STRING, "what it needs: live, reopen, restart or daemon"), \
	OPTIONAL("changes_left_out", API_INTEGER, "so many more")

#define PORT_FIELDS(p) \
	FIELD(p "name", API_STRING, "partition.adapter, or the adapter's or interface's name"), \
	FIELD(p "index", API_INTEGER, "of the port table"), \
	FIELD(p "kind", API_STRING, "physical, partition, host, xcf or vipa"), \
	FIELD(p "device", API_STRING, "what is behind it, as configured"), \
	FIELD(p "is_up", API_BOOLEAN, "the link: the peer is there and its side is up"), \
	OPTIONAL(p "problem", API_STRING, "why the device could not be opened"), \
	FIELD(p "mtu_bytes", API_INTEGER, "layer 3 MTU"), \
	FIELD(p "mac", API_MAC, "address of the port's own end, or the one its guard binds"), \
	FIELD(p "queues", API_INTEGER, "queue pairs"), \
	FIELD(p "offloads", API_STRINGS, "what the peer takes unfinished: checksum, tso4, tso6"), \
	FIELD(p "mode", API_STRING, "access, trunk, or none (no member of a VLAN)"), \
	OPTIONAL(p "vlan", API_INTEGER, "of an access port; native VLAN of a trunk port"), \
	OPTIONAL(p "vlans", API_STRING, "tagged VLANs as \"10,20-29\""), \
	FIELD(p "rx_packets", API_INTEGER, "packets received from the peer"), \
	FIELD(p "rx_bytes", API_INTEGER, "bytes received from the peer"), \
	FIELD(p "tx_packets", API_INTEGER, "packets sent to the peer"), \
	FIELD(p "tx_bytes", API_INTEGER, "bytes sent to the peer"), \
	FIELD(p "rx_errors", API_INTEGER, "frames that the device refused or could not deliver"), \
	FIELD(p "tx_drops", API_INTEGER, "packets that could not be sent")

#define CHANNEL_PARAM \
	PARAM("channel", API_INTEGER, "number of one of its ends", .is_required = true, \
		.minimum = 1, .maximum = UINT32_MAX)

#define CHANNEL_FIELDS(p) \
	FIELD(p "channel", API_INTEGER, "number of this end; never used twice"), \
	FIELD(p "partition", API_STRING, "whose it is"), \
	FIELD(p "endpoint", API_INTEGER, "its endpoint"), \
	FIELD(p "direction", API_STRING, "send or receive"), \
	FIELD(p "remote", API_STRING, "partition at the other end; PEER/PARTITION of another host"), \
	FIELD(p "remote_endpoint", API_INTEGER, "endpoint there"), \
	FIELD(p "state", API_STRING, "authorised; waiting: for the other end; up"), \
	FIELD(p "key", API_STRING, "who set it: none, local or remote"), \
	FIELD(p "pid", API_INTEGER, "process that owns the endpoint"), \
	FIELD(p "uid", API_INTEGER, "its user"), \
	FIELD(p "message_max", API_INTEGER, "bytes of a message at most"), \
	FIELD(p "ring_bytes", API_INTEGER, "of its ring"), \
	FIELD(p "messages", API_INTEGER, "delivered while it is up"), \
	FIELD(p "bytes", API_INTEGER, "delivered while it is up")

#define EVENT_FILTER_PARAMS \
	PARAM("types", API_STRINGS, "only these event types, as alert, drop, port_up; a trailing * matches the rest"), \
	PARAM("partition", API_NAME, "only events of this partition")

#define CAPTURE_FILTER_PARAMS \
	PARAM("port", API_NAME, "only packets that came in through this port"), \
	PARAM("vlan", API_VLAN, "only packets of this VLAN"), \
	PARAM("filter", API_STRING, "only packets that match, in the language of pcap-filter(7)"), \
	PARAM("count", API_INTEGER, "end after so many packets", .minimum = 1, .maximum = 100000000)

const struct api_method api_methods[] = {
{
	.name = "status.get", .owner = "control", .access = API_READER,
	.help = "Says what runs: version, roles, configuration, events.",
	.result = FIELDS(
		FIELD("host", API_STRING, "name of this host, from the configuration"),
		FIELD("version", API_STRING, "of bulkheadd"),
		FIELD("state", API_STRING, "running; degraded: a role or an inspector is down; starting"),
		FIELD("problems", API_STRINGS, "what is degraded, one line each, for people"),
		FIELD("started_at", API_STRING, "when the control role started, RFC 3339"),
		FIELD("uptime_s", API_INTEGER, "seconds since then"),
		FIELD("config", API_OBJECT, "the running configuration"),
		FIELD("config.file", API_STRING, "path"),
		FIELD("config.generation", API_INTEGER, "counts configurations applied; 0: none yet"),
		FIELD("config.applied_at", API_STRING, "RFC 3339; empty: not yet"),
		OPTIONAL("config.confirm_left_ms", API_INTEGER, "time until rollback unless confirmed"),
		FIELD("roles", API_LIST, "the processes"),
		FIELD("roles[].name", API_STRING, "broker, packet, control"),
		FIELD("roles[].state", API_STRING, "running, starting, down or stopping"),
		FIELD("roles[].pid", API_INTEGER, "process id; 0: none"),
		FIELD("roles[].restarts", API_INTEGER, "how often it was restarted"),
		FIELD("roles[].uptime_s", API_INTEGER, "seconds since its last start"),
		OPTIONAL("ports", API_OBJECT, "of the packet role; missing while it is down"),
		FIELD("ports.total", API_INTEGER, "ports there are"),
		FIELD("ports.up", API_INTEGER, "ports whose link is up"),
		FIELD("events", API_OBJECT, "the event bus"),
		FIELD("events.total", API_INTEGER, "events since the start"),
		FIELD("events.lost", API_INTEGER, "events that the packet role had to drop under load"),
		FIELD("events.subscribers", API_INTEGER, "subscriptions"),
		FIELD("events.eve_written", API_INTEGER, "lines written to the EVE file"),
		FIELD("events.eve_errors", API_INTEGER, "lines that could not be written"),
		FIELD("clients", API_INTEGER, "connections to the API's socket")),
},
{
	.name = "api.list", .owner = "control", .access = API_READER, .is_paged = true,
	.help = "Lists the methods with their parameters and results.",
	.params = PARAMS(PARAM("method", API_NAME, "only this one")),
	.result = FIELDS(
		FIELD("methods", API_LIST, "the rows"),
		FIELD("methods[].name", API_STRING, "to be called"),
		FIELD("methods[].owner", API_STRING, "role that answers"),
		FIELD("methods[].access", API_STRING, "reader, operator or internal"),
		FIELD("methods[].help", API_STRING, "one line"),
		FIELD("methods[].is_paged", API_BOOLEAN, "takes after and limit"),
		FIELD("methods[].takes_descriptor", API_BOOLEAN, "a descriptor comes with the call"),
		FIELD("methods[].params", API_ANY, "list of name, type, is_required, help"),
		FIELD("methods[].result", API_ANY, "list of path, type, is_optional, help"),
		FIELD("methods[].notifications", API_ANY, "list of name, help, fields")),
},
/* A configuration's text comes as a descriptor of sealed memory (memfd_create(2) with the seals
 * F_SEAL_SHRINK and F_SEAL_WRITE): of any size, and nothing that control could have to wait for. */
{
	.name = "config.check", .owner = "control", .access = API_READER, .takes_descriptor = true,
	.help = "Checks the configuration in the descriptor, without applying it.",
	.params = PARAMS(PARAM("file", API_STRING, "its name, for messages", .is_required = true)),
	.result = FIELDS(FIELD("is_valid", API_BOOLEAN, "errors is empty"), CONFIG_ERROR_FIELDS),
},
{
	.name = "config.show", .owner = "control", .access = API_READER,
	.help = "Shows the running configuration, defaults filled in; large ones as a descriptor.",
	.params = PARAMS(
		PARAM("key", API_STRING, "only what is below this key"),
		PARAM("format", API_STRING, "json: normalised; yaml: for people", .choices = "json|yaml")),
	.result = FIELDS(
		FIELD("generation", API_INTEGER, "counts configurations applied"),
		FIELD("file", API_STRING, "where it was read from"),
		OPTIONAL("config", API_ANY, "format json"),
		OPTIONAL("text", API_STRING, "format yaml"),
		OPTIONAL("in_descriptor", API_BOOLEAN, "true: the text or JSON is in the attached descriptor")),
},
{
	.name = "config.diff", .owner = "control", .access = API_READER, .takes_descriptor = true,
	.help = "Compares the configuration in the descriptor with the running one.",
	.params = PARAMS(PARAM("file", API_STRING, "its name, for messages", .is_required = true)),
	.result = FIELDS(FIELD("is_valid", API_BOOLEAN, "errors is empty"), CONFIG_ERROR_FIELDS, CHANGE_FIELDS),
},
{
	.name = "config.apply", .owner = "control", .access = API_OPERATOR, .takes_descriptor = true,
	.help = "Applies the configuration in the descriptor: all of it or nothing.",
	.params = PARAMS(
		PARAM("file", API_STRING, "its name, for messages", .is_required = true),
		PARAM("confirm_ms", API_INTEGER, "roll back after this time unless confirmed",
			.minimum = 1000, .maximum = 86400000)),
	.result = FIELDS(
		FIELD("is_applied", API_BOOLEAN, "false: nothing has changed, see errors"),
		FIELD("generation", API_INTEGER, "of what runs now"),
		CONFIG_ERROR_FIELDS, CHANGE_FIELDS),
},
{
	.name = "config.confirm", .owner = "control", .access = API_OPERATOR,
	.help = "Keeps what was applied with confirm_ms.",
	.result = FIELDS(FIELD("generation", API_INTEGER, "of what runs")),
},
{
	.name = "config.rollback", .owner = "control", .access = API_OPERATOR,
	.help = "Goes back to the configuration before the last one that was applied.",
	.result = FIELDS(FIELD("generation", API_INTEGER, "of what runs now"), CHANGE_FIELDS),
},
{
	.name = "config.explain", .owner = "control", .access = API_READER,
	.help = "Explains an option: type, range, default, unit, meaning.",
	.params = PARAMS(PARAM("key", API_STRING, "the option; the whole without")),
	.result = FIELDS(FIELD("option", API_ANY, "row of the schema; a section with its children")),
},
{
	.name = "config.reload", .owner = "control", .access = API_OPERATOR,
	.help = "Reads the configuration file again and applies it, as SIGHUP does.",
	.result = FIELDS(
		FIELD("is_applied", API_BOOLEAN, "false: nothing has changed, see errors"),
		FIELD("generation", API_INTEGER, "of what runs now"),
		CONFIG_ERROR_FIELDS, CHANGE_FIELDS),
},
/*
 * Events. The packet role notifies control with method "event" and the event itself as params:
 * event_type, and EVE's own fields for security events (src_ip, proto, alert{}, ...), with "port"
 * (ingress) and "origin" where there is a packet. Control adds timestamp, host, partition and seq.
 * What the packet role had to drop under load it tells with {"event_type": "events_lost", "count"}.
 */
{
	.name = "events.subscribe", .owner = "control", .access = API_READER,
	.help = "Sends events as they happen, until unsubscribed or disconnected.",
	.params = PARAMS(EVENT_FILTER_PARAMS),
	.result = FIELDS(FIELD("subscription", API_INTEGER, "to be unsubscribed with")),
	.notifications = NOTIFICATIONS({
		.name = "event", .help = "One event.",
		.fields = FIELDS(
			FIELD("subscription", API_INTEGER, "whose filter it passed"),
			FIELD("event", API_ANY, "the event, in the shape of EVE JSON")),
	}),
},
{
	.name = "events.unsubscribe", .owner = "control", .access = API_READER,
	.help = "Ends a subscription of this connection.",
	.params = PARAMS(PARAM("subscription", API_INTEGER, "from events.subscribe", .is_required = true,
		.minimum = 1, .maximum = INT64_MAX)),
},
{
	.name = "events.recent", .owner = "control", .access = API_READER, .is_paged = true,
	.help = "Lists the last events, the oldest first.",
	.params = PARAMS(EVENT_FILTER_PARAMS),
	.result = FIELDS(FIELD("events", API_ANY, "list of events, in the shape of EVE JSON")),
},
{
	.name = "port.list", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the ports with their state and counters.",
	.params = PARAMS(PARAM("kind", API_STRING, "only these", .choices = "physical|partition|host|xcf|vipa")),
	.result = FIELDS(FIELD("ports", API_LIST, "in the order of the table"), PORT_FIELDS("ports[].")),
},
{
	.name = "port.show", .owner = "packet", .access = API_READER,
	.help = "Shows one port with everything that is known of it.",
	.params = PARAMS(PARAM("name", API_NAME, "the port", .is_required = true)),
	.result = FIELDS(
		FIELD("port", API_OBJECT, "as in port.list"), PORT_FIELDS("port."),
		OPTIONAL("port.guard", API_ANY, "mac, addresses and what else the guard binds"),
		OPTIONAL("port.rates", API_ANY, "ingress and egress rates, priority, storm limits"),
		OPTIONAL("port.queue_workers", API_ANY, "list: worker that polls queue i"),
		OPTIONAL("port.details", API_ANY, "what only this backend knows")),
},
{
	.name = "ipsec.sessions", .owner = "packet", .access = API_READER,
	.help = "Lists the key managers (KMP): who is connected, and what waits for whom.",
	.result = FIELDS(
		FIELD("socket", API_STRING, "where they connect; empty: ipsec.kmp is not configured"),
		FIELD("sessions", API_LIST, "by name"),
		FIELD("sessions[].name", API_STRING, "empty: of before the packet role was started again"),
		FIELD("sessions[].is_connected", API_BOOLEAN, "false: what it brought stays for a while"),
		FIELD("sessions[].owner", API_INTEGER, "number that its SAs have"),
		FIELD("sessions[].events_waiting", API_INTEGER, "events that it has not acknowledged"),
		FIELD("sessions[].grace_left_ms", API_INTEGER, "time until what it brought is removed")),
},
{
	.name = "ipsec.handover", .owner = "packet", .access = API_OPERATOR,
	.help = "Hands virtual addresses, associations and connections over to another daemon.",
	.params = PARAMS(
		PARAM("to", API_STRING, "the other daemon's ipsec.handover.socket", .is_required = true)),
	.result = FIELDS(
		FIELD("vipas", API_INTEGER, "virtual addresses that are the other one's now"),
		FIELD("sas", API_INTEGER, "associations handed over, both directions"),
		FIELD("policies", API_INTEGER, "policies of key managers"),
		FIELD("connections", API_INTEGER, "connections to targets"),
		FIELD("silence_ms", API_INTEGER, "from the last packet here until the other one began")),
},
{
	.name = "vlan.list", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the VLANs with their trunk, members and policies.",
	.result = FIELDS(
		FIELD("vlans", API_LIST, "by number"),
		FIELD("vlans[].vlan", API_INTEGER, "1..4094"),
		FIELD("vlans[].trunk", API_STRING, "trunk adapter that it belongs to; empty: none"),
		FIELD("vlans[].inspect", API_STRING, "gateway: what crosses it; all: east-west too"),
		FIELD("vlans[].on_failure", API_STRING, "drop or pass, when the inspector has no verdict"),
		FIELD("vlans[].addresses", API_INTEGER, "entries of the forwarding table"),
		FIELD("vlans[].members", API_STRINGS, "access and native ports"),
		FIELD("vlans[].tagged", API_STRINGS, "ports that carry it tagged"),
		FIELD("trunks", API_LIST, "trunk adapters; on the first page"),
		FIELD("trunks[].name", API_STRING, "as configured"),
		FIELD("trunks[].to_gateway_packets", API_INTEGER, "from its partitions into the gateway"),
		FIELD("trunks[].to_gateway_bytes", API_INTEGER, "likewise"),
		FIELD("trunks[].to_partitions_packets", API_INTEGER, "from the gateway to its partitions"),
		FIELD("trunks[].to_partitions_bytes", API_INTEGER, "likewise")),
},
{
	.name = "fdb.list", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the forwarding table.",
	.params = PARAMS(
		PARAM("vlan", API_VLAN, "only this VLAN"),
		PARAM("port", API_NAME, "only behind this port"),
		PARAM("mac", API_MAC, "only this address")),
	.result = FIELDS(
		FIELD("total", API_INTEGER, "entries in the whole table"),
		FIELD("entries", API_LIST, "those that pass the filter"),
		FIELD("entries[].vlan", API_INTEGER, "VLAN"),
		FIELD("entries[].mac", API_MAC, "address"),
		FIELD("entries[].port", API_STRING, "where it is"),
		FIELD("entries[].kind", API_STRING, "internal, external or host"),
		FIELD("entries[].is_static", API_BOOLEAN, "from the configuration; does not age"),
		FIELD("entries[].age_s", API_INTEGER, "seconds since it was last seen; 0 for static ones")),
},
{
	.name = "fdb.flush", .owner = "packet", .access = API_OPERATOR,
	.help = "Forgets learned addresses.",
	.params = PARAMS(
		PARAM("vlan", API_VLAN, "only of this VLAN"),
		PARAM("port", API_NAME, "only behind this port")),
	.result = FIELDS(FIELD("flushed", API_INTEGER, "entries removed")),
},
{
	.name = "target.status", .owner = "packet", .access = API_READER,
	.help = "Shows this host as a target: distributors, services, flows.",
	.result = FIELDS(
		FIELD("is_target", API_BOOLEAN, "false: the configuration has no section target"),
		FIELD("interface", API_STRING, "the hidden one"),
		FIELD("is_up", API_BOOLEAN, "the interface is"),
		FIELD("mtu_bytes", API_INTEGER, "of the interface"),
		FIELD("vipas", API_STRINGS, "virtual addresses that it owns"),
		FIELD("services", API_LIST, "as configured"),
		FIELD("services[].name", API_STRING, "name"),
		FIELD("services[].protocol", API_STRING, "tcp, udp or sctp"),
		FIELD("services[].port", API_INTEGER, "port"),
		FIELD("services[].is_ready", API_BOOLEAN, "it takes new connections"),
		FIELD("distributors", API_LIST, "as configured"),
		FIELD("distributors[].address", API_STRING, "on the link"),
		FIELD("distributors[].is_up", API_BOOLEAN, "it answers our reports"),
		FIELD("distributors[].answers", API_INTEGER, "that were authentic"),
		FIELD("distributors[].refused", API_INTEGER, "GRE in its name with a wrong key"),
		FIELD("distributors[].mtu_bytes", API_INTEGER, "that it asks for; 0: none"),
		FIELD("load", API_INTEGER, "that is reported, 0 to 65535"),
		FIELD("load_by", API_STRING, "system or api"),
		FIELD("flows", API_INTEGER, "whose way is remembered"),
		FIELD("packets", API_OBJECT, "since the start"),
		FIELD("packets.secure", API_INTEGER, "from distributors, of connections that came by IPsec"),
		FIELD("packets.plain", API_INTEGER, "from distributors, of those that came in clear"),
		FIELD("packets.to_distributor", API_INTEGER, "answers, in GRE"),
		FIELD("packets.direct", API_INTEGER, "answers, straight out"),
		FIELD("packets.decrypted", API_INTEGER, "that came by this target's own IPsec")),
},
{
	.name = "target.ready", .owner = "packet", .access = API_OPERATOR,
	.help = "Says whether a service of this target takes new connections; distributors hear it at once.",
	.params = PARAMS(
		PARAM("service", API_NAME, "as configured", .is_required = true),
		PARAM("ready", API_BOOLEAN, "true or false", .is_required = true)),
},
{
	.name = "target.load", .owner = "packet", .access = API_OPERATOR,
	.help = "Says how busy this target is, in place of the system's own load.",
	.params = PARAMS(PARAM("load", API_INTEGER, "0: idle, 65535: as busy as can be; without: the system's",
		.minimum = 0, .maximum = 65535)),
},
{
	.name = "filters.list", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the common filters in their order, with the packets that they were about.",
	.result = FIELDS(
		FIELD("default", API_STRING, "accept or drop: packets that no rule is about"),
		FIELD("default_hits", API_INTEGER, "such packets"),
		FIELD("rules", API_LIST, "the first that is about a packet decides"),
		FIELD("rules[].name", API_STRING, "as configured"),
		FIELD("rules[].order", API_INTEGER, "as configured"),
		FIELD("rules[].action", API_STRING, "accept or drop"),
		FIELD("rules[].protocol", API_STRING, "any, tcp, udp, sctp, icmp or icmpv6"),
		FIELD("rules[].source", API_STRINGS, "addresses and prefixes; empty: any"),
		FIELD("rules[].destination", API_STRINGS, "likewise"),
		FIELD("rules[].source_ports", API_STRINGS, "ports and ranges; empty: any"),
		FIELD("rules[].destination_ports", API_STRINGS, "likewise"),
		FIELD("rules[].hits", API_INTEGER, "packets that it was about, as long as it has its name")),
},
{
	.name = "drops.list", .owner = "packet", .access = API_READER,
	.help = "Counts dropped packets by reason.",
	.params = PARAMS(PARAM("port", API_NAME, "only those that came in through this port, since it was opened")),
	.result = FIELDS(
		FIELD("total", API_INTEGER, "packets dropped since the start"),
		FIELD("drops", API_LIST, "each reason there is, also those at 0"),
		FIELD("drops[].reason", API_STRING, "name, as in the metric's label"),
		FIELD("drops[].owner", API_STRING, "engine, port, link, ipsec, gateway, inspect"),
		FIELD("drops[].text", API_STRING, "meaning"),
		FIELD("drops[].packets", API_INTEGER, "dropped")),
},
{
	.name = "graph.show", .owner = "packet", .access = API_READER,
	.help = "Shows the packet graph: nodes, edges and their counters, of one moment.",
	.result = FIELDS(
		FIELD("at_ns", API_INTEGER, "monotonic time of the counters, for rates"),
		FIELD("generation", API_INTEGER, "of the graph; changes when it was rebuilt"),
		FIELD("nodes", API_LIST, "in the order of the walk"),
		FIELD("nodes[].name", API_STRING, "\"switch_input\""),
		FIELD("nodes[].packets", API_INTEGER, "that it handled"),
		FIELD("nodes[].calls", API_INTEGER, "bursts"),
		FIELD("nodes[].cycles", API_INTEGER, "spent in it"),
		FIELD("edges", API_LIST, "also those that nothing went along"),
		FIELD("edges[].from", API_STRING, "node"),
		FIELD("edges[].to", API_STRING, "node"),
		OPTIONAL("edges[].label", API_STRING, "the decision that it stands for, \"internal\""),
		FIELD("edges[].packets", API_INTEGER, "that went along"),
		FIELD("ports", API_LIST, "what rx and tx stand for"),
		FIELD("ports[].name", API_STRING, "port"),
		FIELD("ports[].kind", API_STRING, "physical, partition, host, xcf or vipa"),
		FIELD("ports[].rx_packets", API_INTEGER, "received"),
		FIELD("ports[].tx_packets", API_INTEGER, "sent"),
		FIELD("drops", API_LIST, "what drop stands for; only reasons above 0"),
		FIELD("drops[].reason", API_STRING, "name"),
		FIELD("drops[].packets", API_INTEGER, "dropped")),
},
{
	.name = "ipsec.status", .owner = "packet", .access = API_READER,
	.help = "Shows IPsec in sums: associations, policies, traffic, and errors by reason.",
	.result = FIELDS(
		FIELD("is_on", API_BOOLEAN, "the configuration has a section ipsec"),
		FIELD("unmatched", API_STRING, "what no policy matches: discard or bypass"),
		FIELD("sas", API_INTEGER, "associations, both directions"),
		FIELD("sas_max", API_INTEGER, "at most"),
		FIELD("policies", API_INTEGER, "of all directions"),
		FIELD("in", API_OBJECT, "opened since the start"),
		FIELD("in.packets", API_INTEGER, "packets"),
		FIELD("in.bytes", API_INTEGER, "bytes inside of ESP"),
		FIELD("out", API_OBJECT, "protected since the start"),
		FIELD("out.packets", API_INTEGER, "packets"),
		FIELD("out.bytes", API_INTEGER, "bytes inside of ESP"),
		FIELD("errors", API_LIST, "each reason there is, also those at 0"),
		FIELD("errors[].reason", API_STRING, "name, as in drops.list"),
		FIELD("errors[].text", API_STRING, "meaning"),
		FIELD("errors[].packets", API_INTEGER, "dropped")),
},
{
	.name = "ipsec.sas", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the security associations. Keys are never shown.",
	.result = FIELDS(
		FIELD("sas", API_LIST, "in the order of the table"),
		FIELD("sas[].spi", API_INTEGER, "security parameter index"),
		FIELD("sas[].direction", API_STRING, "in or out"),
		FIELD("sas[].mode", API_STRING, "tunnel or transport"),
		FIELD("sas[].cipher", API_STRING, "as in ipsec.sas.*.cipher of the configuration"),
		FIELD("sas[].integrity", API_STRING, "as in ipsec.sas.*.integrity"),
		FIELD("sas[].state", API_STRING, "alive, expiring (soft lifetime over) or over"),
		FIELD("sas[].esn", API_BOOLEAN, "extended sequence numbers"),
		FIELD("sas[].replay_window", API_INTEGER, "packets; 0: none"),
		FIELD("sas[].request", API_INTEGER, "number that ties it to policies"),
		FIELD("sas[].owner", API_INTEGER, "0: the configuration; else a key manager's session"),
		FIELD("sas[].source", API_STRING, "outer source address"),
		FIELD("sas[].destination", API_STRING, "outer destination address"),
		OPTIONAL("sas[].source_port", API_INTEGER, "of ESP in UDP"),
		OPTIONAL("sas[].destination_port", API_INTEGER, "of ESP in UDP"),
		FIELD("sas[].packets", API_INTEGER, "opened or protected"),
		FIELD("sas[].bytes", API_INTEGER, "inside of ESP"),
		FIELD("sas[].sequence", API_INTEGER, "the last number sent, or the highest that came"),
		OPTIONAL("sas[].sequence_kept", API_INTEGER, "of out: the number behind which it goes on "
			"when the packet role dies; of in it is the highest that came"),
		FIELD("sas[].replays", API_INTEGER, "refused: there before, or left of the window"),
		FIELD("sas[].forged", API_INTEGER, "refused: wrong integrity check value"),
		FIELD("sas[].refused", API_INTEGER, "for the end of a lifetime, or of numbers"),
		FIELD("sas[].age_s", API_INTEGER, "seconds since it was added"),
		OPTIONAL("sas[].idle_s", API_INTEGER, "seconds since its last packet; missing: none yet"),
		OPTIONAL("sas[].path_mtu", API_INTEGER, "as ICMP has told"),
		FIELD("sas[].lifetime", API_OBJECT, "limits; 0: none"),
		FIELD("sas[].lifetime.soft_packets", API_INTEGER, "packets"),
		FIELD("sas[].lifetime.hard_packets", API_INTEGER, "packets"),
		FIELD("sas[].lifetime.soft_bytes", API_INTEGER, "bytes"),
		FIELD("sas[].lifetime.hard_bytes", API_INTEGER, "bytes"),
		FIELD("sas[].lifetime.soft_s", API_INTEGER, "seconds"),
		FIELD("sas[].lifetime.hard_s", API_INTEGER, "seconds")),
},
{
	.name = "ipsec.policies", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the security policies in the order in which they are asked.",
	.result = FIELDS(
		FIELD("policies", API_LIST, "by direction and priority"),
		FIELD("policies[].direction", API_STRING, "in, forward or out"),
		FIELD("policies[].action", API_STRING, "protect, bypass or discard"),
		FIELD("policies[].priority", API_INTEGER, "the least is asked first"),
		FIELD("policies[].source", API_STRING, "address or range, and port"),
		FIELD("policies[].destination", API_STRING, "address or range, and port"),
		FIELD("policies[].protocol", API_INTEGER, "above IP; 0: any"),
		FIELD("policies[].request", API_INTEGER, "number of its associations"),
		FIELD("policies[].owner", API_INTEGER, "as in ipsec.sas"),
		FIELD("policies[].packets", API_INTEGER, "outbound ones that matched"),
		OPTIONAL("policies[].mode", API_STRING, "of protection: tunnel or transport"),
		OPTIONAL("policies[].spi", API_INTEGER, "of the association in use")),
},
{
	.name = "inspect.status", .owner = "packet", .access = API_READER,
	.help = "Shows the inspection engines, the hold table and the failure policy.",
	.result = FIELDS(
		FIELD("scope", API_STRING, "gateway or all"),
		FIELD("on_failure", API_STRING, "drop or pass; VLANs and partitions may differ"),
		FIELD("deadline_ms", API_INTEGER, "for a verdict on a held packet"),
		FIELD("engines", API_LIST, "the chain, first to last"),
		FIELD("engines[].name", API_STRING, "builtin, suricata, external, appliance or none"),
		FIELD("engines[].state", API_STRING, "running, loading or down"),
		OPTIONAL("engines[].compiling", API_OBJECT, "new rules, while the old ones are in force"),
		OPTIONAL("engines[].compiling.percent", API_INTEGER, "of the work"),
		OPTIONAL("engines[].compiling.elapsed_ms", API_INTEGER, "since it began"),
		OPTIONAL("engines[].problem", API_STRING, "why it is down, or why rules did not load"),
		FIELD("engines[].packets", API_INTEGER, "submitted"),
		FIELD("engines[].passed", API_INTEGER, "let through"),
		FIELD("engines[].dropped", API_INTEGER, "stopped"),
		FIELD("engines[].replaced", API_INTEGER, "let through changed"),
		FIELD("engines[].held", API_INTEGER, "kept for a later verdict"),
		FIELD("engines[].expired", API_INTEGER, "held ones whose deadline passed"),
		FIELD("engines[].alerts", API_INTEGER, "rules that matched"),
		FIELD("engines[].rules_loaded", API_INTEGER, "in force"),
		FIELD("engines[].rules_refused", API_INTEGER, "see inspect.rules"),
		FIELD("engines[].flows", API_INTEGER, "in the flow table"),
		OPTIONAL("engines[].details", API_ANY, "what only this engine knows"),
		FIELD("hold", API_OBJECT, "packets that wait for a verdict"),
		FIELD("hold.held", API_INTEGER, "now"),
		FIELD("hold.capacity", API_INTEGER, "at most"),
		FIELD("hold.expired", API_INTEGER, "whose deadline passed"),
		FIELD("hold.invalid_returns", API_INTEGER, "that the inspector was never given"),
		FIELD("failures", API_OBJECT, "what the failure policy decided"),
		FIELD("failures.passed", API_INTEGER, "passed without a verdict"),
		FIELD("failures.dropped", API_INTEGER, "dropped without a verdict"),
		OPTIONAL("clients", API_LIST, "hosts that this one inspects for"),
		OPTIONAL("clients[].address", API_STRING, "on the link"),
		OPTIONAL("clients[].requests", API_INTEGER, "frames to be inspected"),
		OPTIONAL("clients[].passed", API_INTEGER, "sent back"),
		OPTIONAL("clients[].dropped", API_INTEGER, "refused"),
		OPTIONAL("clients[].failed", API_INTEGER, "without a verdict"),
		OPTIONAL("clients[].forged", API_INTEGER, "with a wrong code of authentication"),
		OPTIONAL("clients[].probes", API_INTEGER, "answered")),
},
{
	.name = "inspect.rules", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the rules: in force, or refused with the reason.",
	.params = PARAMS(
		PARAM("state", API_STRING, "only these", .choices = "loaded|refused"),
		PARAM("sid", API_INTEGER, "only this signature id", .minimum = 1, .maximum = UINT32_MAX)),
	.result = FIELDS(
		FIELD("loaded", API_INTEGER, "rules in force, in all"),
		FIELD("refused", API_INTEGER, "rules refused, in all"),
		FIELD("coverage_percent", API_NUMBER, "loaded of all"),
		FIELD("files", API_INTEGER, "rule files that were read"),
		FIELD("disabled", API_INTEGER, "rules behind a comment's mark"),
		FIELD("refused_by_keyword", API_LIST, "most frequent first; lines without effect, too"),
		FIELD("refused_by_keyword[].keyword", API_STRING, "what was refused"),
		FIELD("refused_by_keyword[].rules", API_INTEGER, "how often"),
		FIELD("rules", API_LIST, "by file and line"),
		FIELD("rules[].file", API_STRING, "rule file"),
		FIELD("rules[].line", API_INTEGER, "line"),
		FIELD("rules[].state", API_STRING, "loaded or refused"),
		OPTIONAL("rules[].keyword", API_STRING, "what of it was refused"),
		OPTIONAL("rules[].reason", API_STRING, "why it was refused"),
		OPTIONAL("rules[].sid", API_INTEGER, "signature id"),
		OPTIONAL("rules[].action", API_STRING, "alert, drop, reject or pass"),
		OPTIONAL("rules[].msg", API_STRING, "its message"),
		OPTIONAL("rules[].matches", API_INTEGER, "how often it matched")),
},
{
	.name = "inspect.flows", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the flows that inspection tracks.",
	.params = PARAMS(
		PARAM("vlan", API_VLAN, "only of this VLAN"),
		PARAM("address", API_STRING, "only from or to this IP address"),
		PARAM("verdict", API_STRING, "only these", .choices = "inspect|pass|drop")),
	.result = FIELDS(
		FIELD("total", API_INTEGER, "flows in the table"),
		FIELD("flows", API_LIST, "those that pass the filter"),
		FIELD("flows[].vlan", API_INTEGER, "VLAN"),
		FIELD("flows[].protocol", API_STRING, "tcp, udp, icmp, or a number"),
		FIELD("flows[].client", API_STRING, "address that sent first"),
		FIELD("flows[].client_port", API_INTEGER, "0: protocol without ports"),
		FIELD("flows[].server", API_STRING, "the other one"),
		FIELD("flows[].server_port", API_INTEGER, "0: protocol without ports"),
		OPTIONAL("flows[].app_protocol", API_STRING, "http, tls or dns, when its first bytes say so"),
		FIELD("flows[].state", API_STRING, "new, established or closed"),
		FIELD("flows[].alerted", API_BOOLEAN, "whether a rule matched in it"),
		FIELD("flows[].verdict", API_STRING, "inspect; pass or drop: settled for the whole flow"),
		OPTIONAL("flows[].why", API_STRING, "rule, or bypass: clean, and over bypass-after"),
		OPTIONAL("flows[].sid", API_INTEGER, "of the rule"),
		FIELD("flows[].packets_to_server", API_INTEGER, "packets"),
		FIELD("flows[].packets_to_client", API_INTEGER, "packets"),
		FIELD("flows[].bytes_to_server", API_INTEGER, "bytes"),
		FIELD("flows[].bytes_to_client", API_INTEGER, "bytes"),
		FIELD("flows[].idle_ms", API_INTEGER, "since its last packet")),
},
{
	.name = "inspect.reload", .owner = "packet", .access = API_OPERATOR,
	.help = "Reads the rule files again; on an error the old rules stay in force.",
	.result = FIELDS(
		FIELD("loaded", API_INTEGER, "rules in force now"),
		FIELD("refused", API_INTEGER, "see inspect.rules"),
		FIELD("duration_ms", API_INTEGER, "of compiling; traffic went on")),
},
{
	.name = "distributor.vipas", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the virtual addresses with their services and counters.",
	.result = FIELDS(
		FIELD("vipas", API_LIST, "virtual addresses"),
		FIELD("vipas[].name", API_STRING, "as configured"),
		FIELD("vipas[].address", API_STRING, "IP address"),
		FIELD("vipas[].vlan", API_INTEGER, "VLAN of the physical adapter"),
		FIELD("vipas[].mac", API_MAC, "hardware address"),
		FIELD("vipas[].security", API_STRING, "required, allowed or off"),
		FIELD("vipas[].is_standby", API_BOOLEAN, "another distributor has it for now"),
		FIELD("vipas[].connections", API_INTEGER, "now"),
		FIELD("vipas[].begun", API_INTEGER, "connections that began"),
		FIELD("vipas[].refused", API_INTEGER, "connections refused: no target, or no room"),
		FIELD("vipas[].packets", API_INTEGER, "from clients to targets"),
		FIELD("vipas[].bytes", API_INTEGER, "likewise"),
		FIELD("vipas[].answers", API_INTEGER, "packets of targets that went back through the distributor"),
		FIELD("vipas[].services", API_LIST, "what it serves"),
		FIELD("vipas[].services[].name", API_STRING, "as configured"),
		FIELD("vipas[].services[].protocol", API_STRING, "tcp, udp or sctp"),
		FIELD("vipas[].services[].port", API_INTEGER, "port"),
		FIELD("vipas[].services[].scheduling", API_STRING, "wlc, wrr or maglev"),
		FIELD("vipas[].services[].is_persistent", API_BOOLEAN, "a client stays with one target"),
		FIELD("vipas[].services[].ready", API_INTEGER, "targets that take new connections"),
		FIELD("vipas[].services[].targets", API_STRINGS, "those that may")),
},
{
	.name = "distributor.targets", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the targets with their health, weight and counters.",
	.result = FIELDS(
		FIELD("targets", API_LIST, "targets"),
		FIELD("targets[].name", API_STRING, "as configured"),
		FIELD("targets[].address", API_STRING, "on the link; of a partition: its adapter"),
		FIELD("targets[].kind", API_STRING, "link or partition"),
		FIELD("targets[].state", API_STRING, "up or down"),
		FIELD("targets[].since_s", API_INTEGER, "seconds in this state"),
		FIELD("targets[].weight", API_INTEGER, "as configured or as the API has set; 0 while it is drained"),
		FIELD("targets[].weight_configured", API_INTEGER, "as configured"),
		FIELD("targets[].is_drained", API_BOOLEAN, "it takes no new connections"),
		FIELD("targets[].connections", API_INTEGER, "now"),
		FIELD("targets[].begun", API_INTEGER, "connections that began"),
		FIELD("targets[].packets", API_INTEGER, "to it"),
		FIELD("targets[].bytes", API_INTEGER, "to it"),
		FIELD("targets[].answers", API_INTEGER, "packets from it"),
		FIELD("targets[].refused", API_INTEGER, "GRE in its name with a wrong key"),
		OPTIONAL("targets[].heartbeats", API_INTEGER, "reports that were believed"),
		OPTIONAL("targets[].load_percent", API_INTEGER, "as it reports")),
},
{
	.name = "distributor.connections", .owner = "packet", .access = API_READER, .is_paged = true,
	.help = "Lists the connections. A page may be empty while there is a next one.",
	.params = PARAMS(
		PARAM("vipa", API_NAME, "only of this virtual address"),
		PARAM("target", API_NAME, "only of this target")),
	.result = FIELDS(
		FIELD("total", API_INTEGER, "connections there are"),
		FIELD("connections", API_LIST, "those that pass the filter"),
		FIELD("connections[].protocol", API_STRING, "tcp, udp or sctp"),
		FIELD("connections[].client", API_STRING, "its address"),
		FIELD("connections[].client_port", API_INTEGER, "its port"),
		FIELD("connections[].vipa", API_STRING, "virtual address"),
		FIELD("connections[].port", API_INTEGER, "of the service"),
		FIELD("connections[].target", API_STRING, "who serves it"),
		FIELD("connections[].state", API_STRING, "opening, established, closing or datagram"),
		FIELD("connections[].is_secure", API_BOOLEAN, "came by IPsec"),
		FIELD("connections[].packets", API_INTEGER, "of the client"),
		FIELD("connections[].idle_ms", API_INTEGER, "since the last packet"),
		FIELD("connections[].worker", API_INTEGER, "that has it")),
},
{
	.name = "distributor.weight", .owner = "packet", .access = API_OPERATOR,
	.help = "Sets a target's weight, until the packet role starts again.",
	.params = PARAMS(
		PARAM("target", API_NAME, "which one", .is_required = true),
		PARAM("weight", API_INTEGER, "new weight; without it: as configured", .minimum = 0, .maximum = 1000)),
	.result = FIELDS(
		FIELD("weight", API_INTEGER, "in force; 0 while it is drained"),
		FIELD("connections", API_INTEGER, "that it has now")),
},
{
	.name = "distributor.drain", .owner = "packet", .access = API_OPERATOR,
	.help = "Gives a target no new connections; those that it has go on.",
	.params = PARAMS(
		PARAM("target", API_NAME, "which one", .is_required = true),
		PARAM("undo", API_BOOLEAN, "it takes connections again")),
	.result = FIELDS(
		FIELD("weight", API_INTEGER, "in force"),
		FIELD("connections", API_INTEGER, "that it has now")),
},
/* Trace: records come in batches, in order per packet. A packet's walk ends at node tx or drop;
 * copies made by flooding carry on under the number of their original. */
{
	.name = "trace.start", .owner = "packet", .access = API_OPERATOR,
	.help = "Records the walk of matching packets, node by node.",
	.params = PARAMS(
		CAPTURE_FILTER_PARAMS,
		PARAM("sampling", API_INTEGER, "one of so many that match", .minimum = 1, .maximum = 1000000)),
	.result = FIELDS(FIELD("trace", API_INTEGER, "to be stopped with")),
	.notifications = NOTIFICATIONS(
		{.name = "trace.records", .help = "Steps of traced packets.", .fields = FIELDS(
			FIELD("trace", API_INTEGER, "which one"),
			FIELD("records", API_LIST, "steps"),
			FIELD("records[].packet", API_INTEGER, "number of the packet, from 1"),
			FIELD("records[].at_ns", API_INTEGER, "monotonic time"),
			FIELD("records[].worker", API_INTEGER, "index"),
			FIELD("records[].node", API_STRING, "where it was"),
			FIELD("records[].text", API_STRING, "what was decided"),
			OPTIONAL("records[].origin", API_STRING, "its tag, as \"trunk trunk-a vlan 10 web.eth0\""),
			OPTIONAL("records[].packet_text", API_STRING,
				"with the first step: addresses, protocol, length"))},
		{.name = "trace.end", .help = "The trace is over.", .fields = FIELDS(
			FIELD("trace", API_INTEGER, "which one"),
			FIELD("packets", API_INTEGER, "traced"),
			FIELD("lost_records", API_INTEGER, "steps lost because the ring was full"),
			FIELD("reason", API_STRING, "count, stopped"))}),
},
{
	.name = "trace.stop", .owner = "packet", .access = API_OPERATOR,
	.help = "Ends a trace.",
	.params = PARAMS(PARAM("trace", API_INTEGER, "from trace.start", .is_required = true,
		.minimum = 1, .maximum = INT64_MAX)),
},
{
	.name = "capture.start", .owner = "packet", .access = API_OPERATOR, .takes_descriptor = true,
	.help = "Writes matching packets as pcapng into the descriptor.",
	.params = PARAMS(
		CAPTURE_FILTER_PARAMS,
		PARAM("node", API_NAME, "where in the graph; rx: as received (the default); tx: as sent; drop"),
		PARAM("snap_bytes", API_INTEGER, "keep so many bytes of each packet", .minimum = 14, .maximum = 65535)),
	.result = FIELDS(FIELD("capture", API_INTEGER, "to be stopped with")),
	.notifications = NOTIFICATIONS({
		.name = "capture.end", .help = "The capture is over; all of it is written.",
		.fields = FIELDS(
			FIELD("capture", API_INTEGER, "which one"),
			FIELD("packets", API_INTEGER, "written"),
			FIELD("lost", API_INTEGER, "packets lost because the ring was full"),
			FIELD("reason", API_STRING, "count, stopped, or the write error"))}),
},
{
	.name = "capture.stop", .owner = "packet", .access = API_OPERATOR,
	.help = "Ends a capture; answers when all of it is written.",
	.params = PARAMS(PARAM("capture", API_INTEGER, "from capture.start", .is_required = true,
		.minimum = 1, .maximum = INT64_MAX)),
	.result = FIELDS(
		FIELD("packets", API_INTEGER, "written"),
		FIELD("lost", API_INTEGER, "packets lost because the ring was full")),
},
{
	.name = "engine.status", .owner = "packet", .access = API_READER,
	.help = "Shows workers, their load, and memory.",
	.result = FIELDS(
		FIELD("dpdk", API_STRING, "version of DPDK"),
		FIELD("uptime_s", API_INTEGER, "of the packet role"),
		FIELD("cycles_per_s", API_INTEGER, "of the time-stamp counter"),
		FIELD("at_ns", API_INTEGER, "monotonic time of the counters, for rates"),
		FIELD("workers", API_LIST, "threads that walk the graph"),
		FIELD("workers[].index", API_INTEGER, "from 0"),
		FIELD("workers[].core", API_INTEGER, "pinned to; -1: not pinned"),
		FIELD("workers[].walks", API_INTEGER, "of the graph"),
		FIELD("workers[].packets", API_INTEGER, "received"),
		FIELD("workers[].busy_cycles", API_INTEGER, "in walks that had packets"),
		FIELD("workers[].naps", API_INTEGER, "times it slept for lack of work"),
		FIELD("workers[].nap_ns", API_INTEGER, "time slept"),
		FIELD("memory", API_OBJECT, "of DPDK"),
		FIELD("memory.uses_hugepages", API_BOOLEAN, "false: ordinary memory"),
		FIELD("memory.total_bytes", API_INTEGER, "reserved"),
		FIELD("memory.used_bytes", API_INTEGER, "in use"),
		FIELD("memory.packets_total", API_INTEGER, "packet buffers"),
		FIELD("memory.packets_free", API_INTEGER, "packet buffers that are free")),
},
/* Channels: each end of one is a row of its own. Keys are in no answer. */
{
	.name = "channel.list", .owner = "channel", .access = API_READER, .is_paged = true,
	.help = "Lists what partitions have authorised: the ends of channels, in the order of their numbers.",
	.params = PARAMS(PARAM("partition", API_NAME, "only of this partition")),
	.result = FIELDS(
		FIELD("channels", API_LIST, "ends of channels"),
		CHANNEL_FIELDS("channels[].")),
},
{
	.name = "channel.show", .owner = "channel", .access = API_READER,
	.help = "Shows one end of a channel.",
	.params = PARAMS(CHANNEL_PARAM),
	.result = FIELDS(
		FIELD("channel", API_OBJECT, "it"),
		CHANNEL_FIELDS("channel."),
		OPTIONAL("channel.other", API_INTEGER, "number of its other end, while it is up on this host"),
		OPTIONAL("channel.forged", API_INTEGER, "messages dropped: ids or key were not the receiver's"),
		OPTIONAL("channel.wakes", API_INTEGER, "how often one of its processes was woken")),
},
{
	.name = "channel.revoke", .owner = "channel", .access = API_OPERATOR,
	.help = "Ends a channel, both ends: no message arrives after the answer.",
	.params = PARAMS(CHANNEL_PARAM),
},
{
	.name = "channel.policy", .owner = "channel", .access = API_READER, .is_paged = true,
	.help = "Lists the rules: who may open channels to whom.",
	.result = FIELDS(
		FIELD("rules", API_LIST, "in the order of the configuration; what none allows is denied"),
		FIELD("rules[].rule", API_STRING, "name"),
		FIELD("rules[].from", API_STRING, "partition that sends"),
		FIELD("rules[].to", API_STRING, "partition that receives"),
		FIELD("rules[].channels_max", API_INTEGER, "channels at most"),
		FIELD("rules[].senders", API_INTEGER, "that the one has authorised"),
		FIELD("rules[].receivers", API_INTEGER, "that the other has authorised"),
		FIELD("rules[].message_max", API_INTEGER, "bytes of a message at most"),
		FIELD("rules[].rate", API_INTEGER, "messages a second of a channel at most; 0: no limit")),
},
{
	.name = "channel.partitions", .owner = "channel", .access = API_READER, .is_paged = true,
	.help = "Lists the partitions that can have channels, with what they use.",
	.result = FIELDS(
		FIELD("partitions", API_LIST, "in the order of the configuration"),
		FIELD("partitions[].partition", API_STRING, "name"),
		FIELD("partitions[].socket", API_STRING, "its socket"),
		FIELD("partitions[].processes", API_INTEGER, "attached"),
		FIELD("partitions[].processes_max", API_INTEGER, "at most"),
		FIELD("partitions[].endpoints", API_INTEGER, "in use"),
		FIELD("partitions[].endpoints_max", API_INTEGER, "at most"),
		FIELD("partitions[].channels", API_INTEGER, "ends of channels, authorised"),
		FIELD("partitions[].channels_max", API_INTEGER, "at most"),
		FIELD("partitions[].memory_bytes", API_INTEGER, "of rings"),
		FIELD("partitions[].memory_max", API_INTEGER, "at most")),
},
{
	.name = "channel.peers", .owner = "channel", .access = API_READER, .is_paged = true,
	.help = "Lists the other hosts that channels lead to, with the state of their links.",
	.result = FIELDS(
		FIELD("peers", API_LIST, "in the order of the configuration"),
		FIELD("peers[].peer", API_STRING, "our name for it"),
		FIELD("peers[].identity", API_STRING, "that its certificate has to bear"),
		OPTIONAL("peers[].address", API_STRING, "where we connect to; absent: it connects to us"),
		FIELD("peers[].state", API_STRING, "up or down"),
		FIELD("peers[].since_ms", API_INTEGER, "how long it has been so"),
		FIELD("peers[].connections", API_INTEGER, "made since the channel role started"),
		OPTIONAL("peers[].dialled", API_BOOLEAN, "while it is up: whether we have connected to it"),
		OPTIONAL("peers[].reason", API_STRING, "while it is down: why, as far as it is known"),
		FIELD("peers[].channels", API_INTEGER, "that stand through it"),
		FIELD("peers[].sent_messages", API_INTEGER, "and pieces of them, those repeated included"),
		FIELD("peers[].received_messages", API_INTEGER, "likewise"),
		FIELD("peers[].sent_bytes", API_INTEGER, "in plain text"),
		FIELD("peers[].received_bytes", API_INTEGER, "in plain text"),
		FIELD("peers[].drops", API_LIST, "what it has sent and was not delivered"),
		FIELD("peers[].drops[].reason", API_STRING,
			"stale, forged, replayed, gap, too-large, no-credit, bad-ack"),
		FIELD("peers[].drops[].count", API_INTEGER, "how many")),
},
{
	.name = "channel.stats", .owner = "channel", .access = API_READER,
	.help = "Counts of all channels since the channel role started.",
	.result = FIELDS(
		FIELD("attached", API_INTEGER, "processes that attached"),
		FIELD("up", API_INTEGER, "channels that came to stand"),
		FIELD("down", API_INTEGER, "of them, those that ended"),
		FIELD("denied", API_INTEGER, "wishes that no rule allows"),
		FIELD("exceptions", API_INTEGER, "attempts to set a key that the other side had set"),
		FIELD("messages", API_INTEGER, "delivered"),
		FIELD("bytes", API_INTEGER, "delivered"),
		FIELD("forged", API_INTEGER, "dropped: ids or key were not the receiver's"),
		FIELD("wakes", API_INTEGER, "of processes"),
		FIELD("keys", API_INTEGER, "rows of the key table in use"),
		FIELD("keys_max", API_INTEGER, "rows there are"),
		FIELD("events_suppressed", API_INTEGER, "not told: their partition caused too many"),
		FIELD("refused", API_LIST, "requests that matched no row"),
		FIELD("refused[].reason", API_STRING, "no-row, wrong-partition, wrong-endpoint, denied"),
		FIELD("refused[].count", API_INTEGER, "how many"),
		FIELD("ended", API_LIST, "channels that ended"),
		FIELD("ended[].reason", API_STRING, "why"),
		FIELD("ended[].count", API_INTEGER, "how many"),
		FIELD("threads", API_LIST, "that move messages"),
		FIELD("threads[].thread", API_INTEGER, "index"),
		FIELD("threads[].core", API_INTEGER, "pinned to; -1: not pinned"),
		FIELD("threads[].channels", API_INTEGER, "that it serves"),
		FIELD("threads[].rounds", API_INTEGER, "over its channels"),
		FIELD("threads[].sleeps", API_INTEGER, "in the kernel")),
},
/*
 * Between roles. Configuration: the whole normalised document, as "config" or, when it would not
 * fit into a message, as JSON text in an attached descriptor. phase prepare may fail and then
 * nothing has changed; commit puts the prepared one in force; abort forgets it.
 */
{
	.name = "packet.configure", .owner = "packet", .access = API_INTERNAL,
	.help = "One phase of a change of configuration.",
	.params = PARAMS(
		PARAM("generation", API_INTEGER, "of the configuration", .is_required = true,
			.minimum = 1, .maximum = INT64_MAX),
		PARAM("phase", API_STRING, "what to do", .is_required = true, .choices = "prepare|commit|abort"),
		PARAM("config", API_OBJECT, "with prepare, unless in a descriptor")),
},
{
	.name = "packet.config", .owner = "packet", .access = API_INTERNAL,
	.help = "The configuration in force, for a control role that was started again.",
	.result = FIELDS(
		FIELD("generation", API_INTEGER, "0: none was committed yet"),
		OPTIONAL("config", API_ANY, "the document, unless in an attached descriptor")),
},
{
	.name = "packet.metrics", .owner = "packet", .access = API_INTERNAL, .is_paged = true,
	.help = "Samples for OpenMetrics; those of one name are adjacent.",
	.result = FIELDS(
		FIELD("samples", API_LIST, "samples"),
		FIELD("samples[].name", API_STRING, "without the prefix bulkhead_ and without _total"),
		FIELD("samples[].type", API_STRING, "counter or gauge"),
		FIELD("samples[].help", API_STRING, "one line"),
		FIELD("samples[].labels", API_ANY, "object of strings"),
		FIELD("samples[].value", API_NUMBER, "value")),
},
{
	.name = "channel.configure", .owner = "channel", .access = API_INTERNAL,
	.help = "One phase of a change of configuration.",
	.params = PARAMS(
		PARAM("generation", API_INTEGER, "of the configuration", .is_required = true,
			.minimum = 1, .maximum = INT64_MAX),
		PARAM("phase", API_STRING, "what to do", .is_required = true, .choices = "prepare|commit|abort"),
		PARAM("config", API_OBJECT, "with prepare, unless in a descriptor")),
},
{
	.name = "channel.config", .owner = "channel", .access = API_INTERNAL,
	.help = "The configuration in force, for a control role that was started again.",
	.result = FIELDS(
		FIELD("generation", API_INTEGER, "0: none was committed yet"),
		OPTIONAL("config", API_ANY, "the document, unless in an attached descriptor")),
},
{
	.name = "channel.metrics", .owner = "channel", .access = API_INTERNAL, .is_paged = true,
	.help = "Samples for OpenMetrics; those of one name are adjacent.",
	.result = FIELDS(
		FIELD("samples", API_LIST, "samples"),
		FIELD("samples[].name", API_STRING, "without the prefix bulkhead_ and without _total"),
		FIELD("samples[].type", API_STRING, "counter or gauge"),
		FIELD("samples[].help", API_STRING, "one line"),
		FIELD("samples[].labels", API_ANY, "object of strings"),
		FIELD("samples[].value", API_NUMBER, "value")),
},
{.name = NULL},
};
/* clang-format on */
