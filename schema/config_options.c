/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rows of the configuration. To add an option: add its row here, a parent before its children;
 * use it in the role that it is for; add what it depends on to src/control/config/check.c.
 */
#include "schema/config_schema.h"

#define OPTION(key_, type_, ...) {.key = (key_), .type = CONFIG_##type_, __VA_ARGS__},
#define LIVE                     .effect = CONFIG_LIVE
#define REOPEN                   .effect = CONFIG_REOPEN
#define RESTART                  .effect = CONFIG_RESTART
#define DAEMON                   .effect = CONFIG_DAEMON
#define RANGE(low, high)         .minimum = (low), .maximum = (high)
#define DEFAULT(text)            .default_text = (text)
#define EXAMPLE(text)            .example = (text)
#define HELP(text)               .help = (text)

/* A partition's name and an adapter's make the name of a port: 63 bytes with the dot between. */
#define NAME_LENGTH RANGE(1, 31)
/* IPv4's least (RFC 791) to what jumbo frames need (G11: 9000) with room for tunnels. */
#define MTU_RANGE   RANGE(68, 9216)
#define QUEUE_RANGE RANGE(1, 16)
/* IFNAMSIZ without its terminating zero. */
#define INTERFACE_LENGTH RANGE(1, 15)
/* struct sockaddr_un's path without its terminating zero. */
#define SOCKET_LENGTH RANGE(1, 107)
#define RATE_RANGE    RANGE(64000, 1000000000000)
#define STORM_RANGE   RANGE(1, 100000000)

const struct config_option config_options[] = {
	/* clang-format off */
	OPTION("host", NAME, LIVE, RANGE(1, 63), .default_note = "the machine's host name",
		EXAMPLE("hv1"), HELP("Name of this host in events and metrics"))

	OPTION("adapters", MAP, LIVE, RANGE(0, 256), .key_type = "name",
		HELP("Adapters of the host that are not a partition's, by name"))
	OPTION("adapters.*", SECTION, LIVE, HELP("One adapter"))
	OPTION("adapters.*.device", DEVICE, REOPEN, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("\"af_xdp:eth1\""), HELP("What is behind it"))
	OPTION("adapters.*.kind", ENUM, REOPEN, .values = "physical|xcf", DEFAULT("physical"),
		HELP("physical: a network outside; xcf: a trusted link to other hosts"))
	OPTION("adapters.*.mtu", INTEGER, REOPEN, MTU_RANGE, .unit = "bytes",
		.default_note = "the device's own", EXAMPLE("9000"), HELP("Layer-3 MTU, as of ip link"))
	OPTION("adapters.*.queues", INTEGER, REOPEN, QUEUE_RANGE, DEFAULT("1"),
		HELP("Pairs of receive and transmit queues"))

	OPTION("gateway", SECTION, LIVE,
		HELP("The layer-2 bridge between physical adapter, partitions' VLANs and the host"))
	OPTION("gateway.physical", NAME, LIVE, NAME_LENGTH, .default_note = "none: nothing outside",
		EXAMPLE("uplink"), HELP("The adapter that leads outside; one of `adapters`"))
	OPTION("gateway.native-vlan", VLAN, LIVE, DEFAULT("1"),
		HELP("VLAN of the untagged frames on the physical adapter"))
	OPTION("gateway.reserved-addresses", ENUM, LIVE, .values = "forward|drop", DEFAULT("forward"),
		HELP("Frames to 01:80:c2:00:00:02 to :0f (LLDP, 802.1X, slow protocols; IEEE 802.1Q 8.6.3)"
			" and spanning tree; pause frames never pass"))
	OPTION("gateway.trunks", MAP, LIVE, RANGE(0, 256), .key_type = "name",
		HELP("Trunk adapters: which VLANs of the partitions lead outside"))
	OPTION("gateway.trunks.*", SECTION, LIVE, HELP("One trunk adapter"))
	OPTION("gateway.trunks.*.vlans", VLANS, LIVE,
		.flags = CONFIG_IS_REQUIRED | CONFIG_IS_LIST, RANGE(1, 4094),
		EXAMPLE("[10, 20-29]"), HELP("Its VLANs; a VLAN belongs to one trunk"))
	OPTION("gateway.host", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("The host's own socket layer as a member of one VLAN, through an interface"))
	OPTION("gateway.host.interface", INTERFACE, REOPEN, .flags = CONFIG_IS_REQUIRED,
		INTERFACE_LENGTH, EXAMPLE("sea0"), HELP("Name of the interface to create"))
	OPTION("gateway.host.vlan", VLAN, LIVE, .flags = CONFIG_IS_REQUIRED, EXAMPLE("10"),
		HELP("The VLAN it is in"))
	OPTION("gateway.host.addresses", HOST_ADDRESS, REOPEN, .flags = CONFIG_IS_LIST, RANGE(0, 64),
		DEFAULT("[]"), EXAMPLE("[192.0.2.1/24]"), HELP("Addresses to put on the interface"))
	OPTION("gateway.host.mac", MAC, REOPEN, .default_note = "one that the kernel makes up",
		EXAMPLE("\"52:54:00:00:00:01\""), HELP("Its MAC address"))
	OPTION("gateway.host.mtu", INTEGER, REOPEN, MTU_RANGE, .unit = "bytes", DEFAULT("1500"),
		HELP("Its layer-3 MTU"))
	OPTION("gateway.vlans", MAP, LIVE, RANGE(0, 4094), .key_type = "vlan",
		HELP("Properties of single VLANs, by VLAN id"))
	OPTION("gateway.vlans.*", SECTION, LIVE, HELP("One VLAN"))
	OPTION("gateway.vlans.*.name", NAME, LIVE, NAME_LENGTH, EXAMPLE("web"),
		HELP("A name for people"))
	OPTION("gateway.vlans.*.inspect", ENUM, LIVE, .values = "gateway|all",
		.default_note = "inspection.scope",
		HELP("gateway: what crosses the gateway; all: also between partitions of this host"))
	OPTION("gateway.vlans.*.on-failure", ENUM, LIVE, .values = "drop|pass",
		.default_note = "inspection.on-failure",
		HELP("What to do with packets of this VLAN that the inspector gives no verdict on"))
	OPTION("gateway.vlans.*.bypass-after", SIZE, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(65536, 1099511627776), .unit = "bytes", .default_note = "inspection.bypass-after",
		HELP("Clean flows of this VLAN are not inspected any more after so many bytes"))
	OPTION("gateway.vlans.*.flood", BOOL, LIVE, DEFAULT("true"),
		HELP("Send unicast to an unknown address to all members, as a bridge does"))
	OPTION("gateway.vlans.*.mac-limit", INTEGER, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(1, 1048576), DEFAULT("none"), HELP("Addresses learned in this VLAN at most"))
	OPTION("gateway.ageing", DURATION, LIVE, RANGE(1000, 86400000), .unit = "ms",
		DEFAULT("300s"), HELP("An address not seen for so long is forgotten (IEEE 802.1Q 8.8.3)"))
	OPTION("gateway.fdb-max", INTEGER, LIVE, RANGE(1024, 1048576), DEFAULT("131072"),
		HELP("Addresses in the forwarding table at most"))
	OPTION("gateway.mac-move", SECTION, LIVE,
		HELP("How often an address may move from port to port before its frames are dropped"))
	OPTION("gateway.mac-move.max", INTEGER, LIVE, RANGE(1, 1000), DEFAULT("5"),
		HELP("Moves within the window"))
	OPTION("gateway.mac-move.window", DURATION, LIVE, RANGE(100, 3600000), .unit = "ms",
		DEFAULT("1s"), HELP("The window"))

	OPTION("partitions", MAP, LIVE, RANGE(0, 4096), .key_type = "name",
		HELP("Partitions (guests, containers), by name"))
	OPTION("partitions.*", SECTION, LIVE, HELP("One partition"))
	OPTION("partitions.*.on-failure", ENUM, LIVE, .values = "drop|pass",
		.default_note = "by VLAN or direction",
		HELP("What to do with its packets that the inspector gives no verdict on"))
	OPTION("partitions.*.adapters", MAP, LIVE, RANGE(0, 256), .key_type = "name",
		HELP("Its adapters, by name"))
	OPTION("partitions.*.adapters.*", SECTION, LIVE, HELP("One adapter of a partition"))
	OPTION("partitions.*.adapters.*.attach", DEVICE, REOPEN, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("\"vhost-user:/run/bulkhead/web-eth0.sock\""), HELP("How the partition is attached"))
	OPTION("partitions.*.adapters.*.mode", ENUM, LIVE, .values = "access|trunk",
		DEFAULT("access"), HELP("access: untagged, in one VLAN; trunk: tagged, in several"))
	OPTION("partitions.*.adapters.*.vlan", VLAN, LIVE, EXAMPLE("10"),
		.default_note = "none: a trunk without untagged frames; an access port needs it",
		HELP("VLAN of untagged frames (PVID)"))
	OPTION("partitions.*.adapters.*.vlans", VLANS, LIVE, .flags = CONFIG_IS_LIST,
		RANGE(0, 4094), DEFAULT("[]"), EXAMPLE("[10, 20-29]"),
		HELP("VLANs whose tagged frames a trunk port takes"))
	OPTION("partitions.*.adapters.*.mac", MAC, LIVE, EXAMPLE("\"52:54:00:00:10:01\""),
		.default_note = "whatever the partition uses",
		HELP("Its MAC address; the guard then holds it to this one"))
	OPTION("partitions.*.adapters.*.addresses", ADDRESS, LIVE, .flags = CONFIG_IS_LIST,
		RANGE(0, 256), DEFAULT("[]"), EXAMPLE("[192.0.2.10, \"2001:db8::/64\"]"),
		HELP("IP addresses or prefixes; the guard then holds it to these"))
	OPTION("partitions.*.adapters.*.static", MAC, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 256),
		DEFAULT("[]"), EXAMPLE("[\"52:54:00:00:10:02\"]"),
		HELP("Further addresses that are always behind this port and never age"))
	OPTION("partitions.*.adapters.*.mtu", INTEGER, REOPEN, MTU_RANGE, .unit = "bytes",
		.default_note = "the device's own", EXAMPLE("1500"), HELP("Layer-3 MTU"))
	OPTION("partitions.*.adapters.*.queues", INTEGER, REOPEN, QUEUE_RANGE, DEFAULT("1"),
		HELP("Pairs of receive and transmit queues"))
	OPTION("partitions.*.adapters.*.priority", INTEGER, LIVE, RANGE(0, 7), DEFAULT("0"),
		HELP("Class (IEEE 802.1p) of its untagged frames"))
	OPTION("partitions.*.adapters.*.rate", SECTION, LIVE, HELP("Limits of throughput"))
	OPTION("partitions.*.adapters.*.rate.in", RATE, LIVE, .flags = CONFIG_TAKES_NONE, RATE_RANGE,
		.unit = "bit/s", DEFAULT("none"), EXAMPLE("1Gbit/s"), HELP("From the partition"))
	OPTION("partitions.*.adapters.*.rate.out", RATE, LIVE, .flags = CONFIG_TAKES_NONE, RATE_RANGE,
		.unit = "bit/s", DEFAULT("none"), EXAMPLE("500Mbit/s"), HELP("To the partition"))
	OPTION("partitions.*.adapters.*.guard", SECTION, LIVE,
		HELP("Holds the partition to its addresses and its part"))
	OPTION("partitions.*.adapters.*.guard.mac", BOOL, LIVE,
		.default_note = "true with `mac`", HELP("Source MAC address must be `mac` or `static`"))
	OPTION("partitions.*.adapters.*.guard.ip", BOOL, LIVE, .default_note = "true with `addresses`",
		HELP("Source IPv4 and IPv6 addresses must be of `addresses`"))
	OPTION("partitions.*.adapters.*.guard.arp", BOOL, LIVE,
		.default_note = "true with `addresses`", HELP("ARP may claim only its addresses"))
	OPTION("partitions.*.adapters.*.guard.nd", BOOL, LIVE, .default_note = "true with `addresses`",
		HELP("Neighbour discovery may claim only its addresses"))
	OPTION("partitions.*.adapters.*.guard.dhcp", BOOL, LIVE, DEFAULT("true"),
		HELP("It may not act as a DHCP server"))
	OPTION("partitions.*.adapters.*.guard.ra", BOOL, LIVE, DEFAULT("true"),
		HELP("It may not send router advertisements"))
	OPTION("partitions.*.adapters.*.guard.eapol", BOOL, LIVE, DEFAULT("true"),
		HELP("It may not send EAPOL (802.1X) of its own"))
	OPTION("partitions.*.adapters.*.storm", SECTION, LIVE,
		HELP("Limits of flooded frames from the partition"))
	OPTION("partitions.*.adapters.*.storm.broadcast", PACKET_RATE, LIVE,
		.flags = CONFIG_TAKES_NONE, STORM_RANGE, .unit = "packets/s", DEFAULT("none"),
		EXAMPLE("1000/s"), HELP("Broadcast"))
	OPTION("partitions.*.adapters.*.storm.multicast", PACKET_RATE, LIVE,
		.flags = CONFIG_TAKES_NONE, STORM_RANGE, .unit = "packets/s", DEFAULT("none"),
		EXAMPLE("10k/s"), HELP("Multicast"))
	OPTION("partitions.*.adapters.*.storm.unknown-unicast", PACKET_RATE, LIVE,
		.flags = CONFIG_TAKES_NONE, STORM_RANGE, .unit = "packets/s", DEFAULT("none"),
		EXAMPLE("1000/s"), HELP("Unicast to addresses that are not known"))
	OPTION("partitions.*.adapters.*.mac-limit", INTEGER, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(1, 1048576), DEFAULT("256"), HELP("Addresses learned on this port at most"))
	OPTION("partitions.*.adapters.*.on-failure", ENUM, LIVE, .values = "drop|pass",
		.default_note = "the partition's",
		HELP("What to do with its packets that the inspector gives no verdict on"))
	OPTION("partitions.*.adapters.*.bypass-after", SIZE, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(65536, 1099511627776), .unit = "bytes", .default_note = "the VLAN's",
		HELP("Its clean flows are not inspected any more after so many bytes"))

	OPTION("inspection", SECTION, LIVE, HELP("What looks at each packet that crosses the gateway"))
	OPTION("inspection.engines", ENUM, LIVE, .flags = CONFIG_IS_LIST, RANGE(1, 4),
		.values = "builtin|suricata|external|appliance|none", DEFAULT("[builtin]"),
		HELP("The inspectors, one after the other; none: nothing is inspected"))
	OPTION("inspection.rules", GLOB, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 256), DEFAULT("[]"),
		EXAMPLE("[/etc/bulkhead/rules/*.rules]"), HELP("Rule files in Suricata's syntax"))
	OPTION("inspection.cache", SINK, LIVE, .values = "none", RANGE(1, 4095),
		DEFAULT("/var/cache/bulkhead"),
		HELP("Folder for compiled rules, which are used again when nothing changed, or none"))
	OPTION("inspection.variables", MAP, LIVE, RANGE(0, 1024), .key_type = "variable",
		.default_note = "Suricata's own", HELP("Address and port variables of the rules"))
	OPTION("inspection.variables.*", VARIABLE, LIVE, RANGE(1, 65536),
		EXAMPLE("[192.0.2.0/24, \"!192.0.2.1\"]"),
		HELP("Addresses or ports, a list of them, $OTHER, or a negation with !"))
	OPTION("inspection.scope", ENUM, LIVE, .values = "gateway|all", DEFAULT("gateway"),
		HELP("gateway: what crosses the gateway; all: also between partitions of this host"))
	OPTION("inspection.deadline", DURATION, LIVE, RANGE(1, 10000), .unit = "ms", DEFAULT("50ms"),
		HELP("A packet without verdict after so long is treated by on-failure"))
	OPTION("inspection.on-failure", SECTION, LIVE, .short_form = "default",
		HELP("No verdict in time, inspector down or overloaded: drop or pass, by origin"))
	OPTION("inspection.on-failure.default", ENUM, LIVE, .values = "drop|pass", DEFAULT("drop"),
		HELP("Where nothing else is said"))
	OPTION("inspection.on-failure.physical", ENUM, LIVE, .values = "drop|pass",
		.default_note = "on-failure.default", HELP("Packets from outside"))
	OPTION("inspection.on-failure.trunk", ENUM, LIVE, .values = "drop|pass",
		.default_note = "on-failure.default", HELP("Packets from partitions"))
	OPTION("inspection.on-failure.host", ENUM, LIVE, .values = "drop|pass",
		.default_note = "on-failure.default", HELP("Packets from the host itself"))
	OPTION("inspection.malformed", ENUM, LIVE, .values = "drop|pass", DEFAULT("pass"),
		HELP("What the builtin engine does with frames whose headers do not parse, after they were "
		     "inspected as far as they do"))
	OPTION("inspection.unrelated-errors", ENUM, LIVE, .values = "drop|pass", DEFAULT("pass"),
		HELP("ICMP errors about no flow that is known, or about bytes that are not on their way"))
	OPTION("inspection.checksums", ENUM, LIVE, .values = "verify|ignore", DEFAULT("verify"),
		HELP("verify: what a receiver would discard for its checksum is not part of a stream"))
	OPTION("inspection.midstream", ENUM, LIVE, .values = "accept|drop", DEFAULT("accept"),
		HELP("TCP connections whose start was not seen: follow them from here on, or drop them"))
	OPTION("inspection.bypass-after", SIZE, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(65536, 1099511627776), .unit = "bytes", DEFAULT("none"),
		HELP("Flows that nothing was found in pass uninspected after so many bytes, in both directions together"))
	OPTION("inspection.bypass-unknown", BOOL, LIVE, DEFAULT("false"),
		HELP("bypass-after also holds for flows that are neither HTTP, TLS nor DNS"))
	OPTION("inspection.events", ENUM, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 5),
		.values = "alert|drop|anomaly|flow|stats", DEFAULT("[alert, drop, anomaly]"),
		HELP("Records of the builtin engine; flow: one at the end of each flow; stats: "
		     "its counters, each stats-interval"))
	OPTION("inspection.stats-interval", DURATION, LIVE, RANGE(1000, 86400000), .unit = "ms",
		DEFAULT("8s"), HELP("Time between two records of stats"))
	OPTION("inspection.external", SECTION, LIVE,
		HELP("The engine external: an inline IPS of yours, behind a memif"))
	OPTION("inspection.external.socket", PATH, LIVE, EXAMPLE("/run/bulkhead/inspect.sock"),
		HELP("Socket of the memifs, one a worker with ids from 0; the engine's program is "
		     "their client"))
	OPTION("inspection.external.in-flight", INTEGER, LIVE, RANGE(1, 4096), .unit = "packets",
		DEFAULT("512"), HELP("Packets of one worker that it may have at a time"))
	OPTION("inspection.suricata", SECTION, LIVE,
		HELP("The engine suricata: Suricata 7, unmodified, in line"))
	OPTION("inspection.suricata.mode", ENUM, RESTART, .values = "start|attach", DEFAULT("start"),
		HELP("start: the daemon starts and watches it; attach: you do, with the "
		     "configuration that is written into the folder suricata beside control.socket"))
	OPTION("inspection.suricata.binary", PATH, LIVE, DEFAULT("/usr/bin/suricata"),
		HELP("The program; nobody but root may be able to write it or its folders"))
	OPTION("inspection.suricata.device", ENUM, RESTART, .values = "memif|vhost-user",
		DEFAULT("memif"),
		HELP("How packets get there; vhost-user is quicker and takes jumbo frames (MTU 9000)"))
	OPTION("inspection.suricata.rules", GLOB, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 256),
		DEFAULT("[]"), .default_note = "[]: inspection.rules",
		EXAMPLE("[/var/lib/suricata/rules/*.rules]"), HELP("Rule files for Suricata"))
	OPTION("inspection.suricata.events", ENUM, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 10),
		.values = "anomaly|flow|http|dns|tls|ssh|smtp|ftp|smb|fileinfo", DEFAULT("[anomaly]"),
		HELP("Records to take over besides alerts and drops"))
	OPTION("inspection.suricata.cores", INTEGER, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 1023),
		DEFAULT("[]"), .default_note = "[]: where the kernel puts them", EXAMPLE("[4, 5]"),
		HELP("CPU of each of its workers, of which there are as many as packet.workers"))
	OPTION("inspection.suricata.in-flight", INTEGER, LIVE, RANGE(1, 1000), .unit = "packets",
		DEFAULT("512"), HELP("Packets of one worker that it may have at a time"))
	OPTION("inspection.suricata.include", PATH, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 16),
		DEFAULT("[]"), EXAMPLE("[/etc/bulkhead/suricata-extra.yaml]"),
		HELP("Files of suricata.yaml's syntax that it reads after what is written for it"))
	OPTION("inspection.appliance", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("The engine appliance: an IPS on another host, asked over a trusted link"))
	OPTION("inspection.appliance.link", NAME, LIVE, .flags = CONFIG_IS_REQUIRED, NAME_LENGTH,
		EXAMPLE("xcf0"), HELP("The adapter that leads there, of kind xcf"))
	OPTION("inspection.appliance.local", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("198.51.100.1"), HELP("Our address on the link; nobody else may have it"))
	OPTION("inspection.appliance.remote", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("198.51.100.2"), HELP("The appliance's address"))
	OPTION("inspection.appliance.next-hop", ADDRESS, LIVE,
		.default_note = "remote: it is on the link itself", EXAMPLE("198.51.100.254"),
		HELP("The router on the link that leads there"))
	OPTION("inspection.appliance.remote-mac", MAC, LIVE,
		.default_note = "asked for by ARP or neighbour discovery",
		EXAMPLE("\"52:54:00:00:00:02\""), HELP("Hardware address of the appliance or router"))
	OPTION("inspection.appliance.key-file", PATH, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("/etc/bulkhead/appliance.keys"),
		HELP("Keys, one or two lines of an id (0 to 255) and 32 hexadecimal digits; the first "
		     "is used for sending. Not readable by others; read again with each change"))
	OPTION("inspection.appliance.health-interval", DURATION, LIVE, RANGE(50, 60000), .unit = "ms",
		DEFAULT("500ms"),
		HELP("Time between probes; after three without answer it is down, after two answers up"))
	OPTION("inspection.appliance.in-flight", INTEGER, LIVE, RANGE(1, 65536), .unit = "packets",
		DEFAULT("1024"), HELP("Packets of one worker that it may have at a time"))
	OPTION("inspection.hold-max", INTEGER, LIVE, RANGE(64, 1048576), .unit = "packets",
		DEFAULT("8192"), HELP("Packets held for a verdict at most"))
	OPTION("inspection.flows-max", INTEGER, RESTART, RANGE(1024, 16777216), .unit = "flows",
		DEFAULT("65536"), HELP("Flows followed at the same time at most"))
	OPTION("inspection.stream-memory", SIZE, RESTART, RANGE(1048576, 68719476736), .unit = "bytes",
		DEFAULT("64MiB"), HELP("Memory for reassembling TCP streams"))
	OPTION("inspection.stream-order", ENUM, LIVE, .values = "hold|forward", DEFAULT("hold"),
		HELP("hold: TCP data goes on when all before it was inspected; forward: data "
		     "ahead of a gap goes on at once, and what closes the gap is judged"))
	OPTION("inspection.stream-gap-timeout", DURATION, LIVE, RANGE(10, 60000), .unit = "ms",
		DEFAULT("1s"), HELP("TCP data is held so long for what precedes it; then "
				    "on-failure decides. IP fragments wait as long for the "
				    "rest of their datagram, and are dropped then"))
	OPTION("inspection.stream-depth", SIZE, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(4096, 1099511627776), .unit = "bytes", DEFAULT("1MiB"),
		HELP("A stream is reassembled up to here, in each direction"))

	OPTION("appliance", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("This host as an appliance: it inspects, with the engines of `inspection`, for others"))
	OPTION("appliance.link", NAME, LIVE, .flags = CONFIG_IS_REQUIRED, NAME_LENGTH,
		EXAMPLE("xcf0"), HELP("The adapter that leads to them, of kind xcf"))
	OPTION("appliance.local", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("198.51.100.2"), HELP("Our address on the link; nobody else may have it"))
	OPTION("appliance.clients", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED | CONFIG_IS_LIST,
		RANGE(1, 64), EXAMPLE("[198.51.100.1]"),
		HELP("Addresses of the hosts that may ask; answers go back the way the question came"))
	OPTION("appliance.key-file", PATH, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("/etc/bulkhead/appliance.keys"),
		HELP("As inspection.appliance.key-file; answers use the key of the question"))

	OPTION("ipsec", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("IPsec for the virtual addresses"))
	OPTION("ipsec.kmp", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("The socket by which key managers, as strongSwan with our plugin, bring SAs and policies"))
	OPTION("ipsec.kmp.socket", PATH, LIVE, SOCKET_LENGTH, DEFAULT("/run/bulkhead/kmp.sock"),
		HELP("Where they connect"))
	OPTION("ipsec.kmp.secret-file", PATH, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("/etc/bulkhead/kmp.secret"),
		HELP("The secret that both ends prove to have: one line of 32 to 128 hexadecimal digits. "
		     "Not readable by others; read again with each change"))
	OPTION("ipsec.kmp.grace", DURATION, LIVE, RANGE(0, 86400000), .unit = "ms", DEFAULT("2min"),
		HELP("What a key manager brought stays so long without it"))
	OPTION("ipsec.handover", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("Hand-overs between this daemon and another one on the same machine"))
	OPTION("ipsec.handover.socket", PATH, LIVE, SOCKET_LENGTH,
		DEFAULT("/run/bulkhead/handover.sock"),
		HELP("Where another daemon hands its associations and connections over to this one"))
	OPTION("ipsec.handover.secret-file", PATH, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("/etc/bulkhead/handover.secret"),
		HELP("The secret that both daemons prove to have, and nobody else: one line of 32 to 128 "
		     "hexadecimal digits. Not readable by others; read again with each change"))
	OPTION("ipsec.sas-max", INTEGER, RESTART, RANGE(16, 65536), DEFAULT("4096"),
		HELP("Security associations at most, both directions counted"))
	OPTION("ipsec.unmatched", ENUM, LIVE, .values = "discard|bypass", DEFAULT("discard"),
		HELP("What no policy matches: discarded, as RFC 4301 has it, or passed in the clear"))
	OPTION("ipsec.replay-window", INTEGER, LIVE, RANGE(64, 4096), .unit = "packets", DEFAULT("128"),
		HELP("Least anti-replay window of associations that have one; of new ones"))
	OPTION("ipsec.key-file", PATH, LIVE, .default_note = "none: no static associations",
		EXAMPLE("/etc/bulkhead/ipsec.keys"),
		HELP("Keys of ipsec.sas, a line each: its name, the cipher's key with its salt, the "
		     "integrity's key, in hexadecimal digits (- for none). Not readable by others; "
		     "read again with each change. Refused while the clock is earlier than its last "
		     "change: IVs begin with the clock's time, which must not be set back between "
		     "two starts of the daemon"))
	OPTION("ipsec.sas", MAP, LIVE, RANGE(0, 65536), .key_type = "name",
		HELP("Static security associations: for tests and simple sites, since keys stay the same"))
	OPTION("ipsec.sas.*", SECTION, LIVE, HELP("One association, of one direction"))
	OPTION("ipsec.sas.*.direction", ENUM, LIVE, .flags = CONFIG_IS_REQUIRED, .values = "in|out",
		EXAMPLE("in"), HELP("in: what clients send; out: what is sent to them"))
	OPTION("ipsec.sas.*.spi", INTEGER, LIVE, .flags = CONFIG_IS_REQUIRED, RANGE(256, 4294967295),
		EXAMPLE("4096"), HELP("Security parameter index"))
	OPTION("ipsec.sas.*.source", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("192.0.2.100"), HELP("Outer source address"))
	OPTION("ipsec.sas.*.destination", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("198.51.100.1"), HELP("Outer destination address"))
	OPTION("ipsec.sas.*.request", INTEGER, LIVE, RANGE(1, 4294967295), DEFAULT("1"),
		HELP("Number that policies name their associations by (reqid)"))
	OPTION("ipsec.sas.*.mode", ENUM, LIVE, .values = "tunnel|transport", DEFAULT("tunnel"),
		HELP("tunnel: the whole packet is inside; transport: what is behind its IP header"))
	OPTION("ipsec.sas.*.cipher", ENUM, LIVE,
		.values = "null|aes-gcm-16|chacha20-poly1305|aes-gmac|aes-cbc|aes-ctr",
		DEFAULT("aes-gcm-16"), HELP("Encryption; the size of its key says how strong"))
	OPTION("ipsec.sas.*.integrity", ENUM, LIVE,
		.values = "none|sha1-96|sha2-256-128|sha2-384-192|sha2-512-256", DEFAULT("none"),
		HELP("HMAC beside null, aes-cbc and aes-ctr; the others bring their own"))
	OPTION("ipsec.sas.*.esn", BOOL, LIVE, DEFAULT("false"), HELP("Extended sequence numbers"))
	OPTION("ipsec.sas.*.replay-window", INTEGER, LIVE, RANGE(0, 4096), .unit = "packets",
		.default_note = "ipsec.replay-window", EXAMPLE("1024"),
		HELP("Anti-replay window of an inbound one; 0: none, for peers that begin anew with "
		     "the same key"))
	OPTION("ipsec.sas.*.source-port", INTEGER, LIVE, RANGE(1, 65535),
		.default_note = "bare ESP", EXAMPLE("4500"), HELP("ESP is in UDP, from this port"))
	OPTION("ipsec.sas.*.destination-port", INTEGER, LIVE, RANGE(1, 65535),
		.default_note = "bare ESP", EXAMPLE("4500"), HELP("ESP is in UDP, to this port"))
	OPTION("ipsec.sas.*.copy-df", BOOL, LIVE, DEFAULT("true"),
		HELP("A tunnel's header gets the inner packet's don't-fragment bit"))
	OPTION("ipsec.sas.*.copy-ecn", BOOL, LIVE, DEFAULT("true"),
		HELP("Congestion bits go into and out of a tunnel (RFC 6040)"))
	OPTION("ipsec.sas.*.copy-dscp", BOOL, LIVE, DEFAULT("false"),
		HELP("The traffic class goes into a tunnel's header, or out of it"))
	OPTION("ipsec.sas.*.hard-packets", INTEGER, LIVE, RANGE(0, 4294967295), .unit = "packets",
		DEFAULT("0"), HELP("Over after so many; 0: no limit"))
	OPTION("ipsec.sas.*.hard-bytes", SIZE, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(1, 4611686018427387904), .unit = "bytes", DEFAULT("none"),
		HELP("Over after so much"))
	OPTION("ipsec.sas.*.hard-time", DURATION, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(1000, 2147483647000), .unit = "ms", DEFAULT("none"), HELP("Over after this time"))
	OPTION("ipsec.policies", MAP, LIVE, RANGE(0, 65536), .key_type = "name",
		HELP("Static policies, each for both directions"))
	OPTION("ipsec.policies.*", SECTION, LIVE, HELP("One policy"))
	OPTION("ipsec.policies.*.action", ENUM, LIVE, .flags = CONFIG_IS_REQUIRED,
		.values = "protect|bypass|discard", EXAMPLE("protect"),
		HELP("protect: by IPsec or not at all; bypass: in the clear; discard: not at all"))
	OPTION("ipsec.policies.*.priority", INTEGER, LIVE, RANGE(0, 4294967295), DEFAULT("1000"),
		HELP("The least is asked first"))
	OPTION("ipsec.policies.*.local", ADDRESS, LIVE, .default_note = "any",
		EXAMPLE("198.51.100.1"), HELP("Address or prefix of our side: virtual addresses"))
	OPTION("ipsec.policies.*.remote", ADDRESS, LIVE, .default_note = "any",
		EXAMPLE("192.0.2.0/24"), HELP("Address or prefix of the clients"))
	OPTION("ipsec.policies.*.protocol", ENUM, LIVE, .values = "any|tcp|udp|sctp|icmp|icmpv6",
		DEFAULT("any"), HELP("Protocol above IP"))
	OPTION("ipsec.policies.*.local-port", INTEGER, LIVE, RANGE(0, 65535), DEFAULT("0"),
		HELP("Our port; 0: any"))
	OPTION("ipsec.policies.*.remote-port", INTEGER, LIVE, RANGE(0, 65535), DEFAULT("0"),
		HELP("The clients' port; 0: any"))
	OPTION("ipsec.policies.*.mode", ENUM, LIVE, .values = "tunnel|transport", DEFAULT("tunnel"),
		HELP("Of the associations that protect"))
	OPTION("ipsec.policies.*.request", INTEGER, LIVE, RANGE(1, 4294967295), DEFAULT("1"),
		HELP("The associations that protect: those of ipsec.sas with this number"))

	OPTION("distributor", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("Virtual addresses (VIPAs) whose connections this host distributes to targets"))
	OPTION("distributor.link", NAME, LIVE, NAME_LENGTH, EXAMPLE("xcf0"),
		.default_note = "none: all targets are partitions",
		HELP("The adapter that leads to the targets, of kind xcf"))
	OPTION("distributor.local", ADDRESS, LIVE, EXAMPLE("198.51.100.1"),
		.default_note = "none; needed with link",
		HELP("Our address on the link; nobody else may have it"))
	OPTION("distributor.link-security", ENUM, LIVE, .values = "required|off", DEFAULT("off"),
		HELP("required: GRE leaves by the link in ESP, as ipsec.policies have it for the link's "
		     "addresses, or not at all, and what comes in clear is dropped. The same on the targets"))
	OPTION("distributor.standby", BOOL, LIVE, DEFAULT("false"),
		HELP("The daemon begins without the virtual addresses: another distributor has them, and "
		     "hands them over. A change takes effect at once, and gives up or takes the addresses"))
	OPTION("distributor.vipas", MAP, LIVE, RANGE(0, 256), .key_type = "name",
		HELP("The virtual addresses, by name"))
	OPTION("distributor.vipas.*", SECTION, LIVE, HELP("One virtual address"))
	OPTION("distributor.vipas.*.address", HOST_ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("192.0.2.80/24"), HELP("The address, and the length of its network's prefix"))
	OPTION("distributor.vipas.*.vlan", VLAN, LIVE, .flags = CONFIG_IS_REQUIRED, EXAMPLE("10"),
		HELP("The VLAN of the physical adapter that it is in"))
	OPTION("distributor.vipas.*.mac", MAC, LIVE, EXAMPLE("\"52:54:00:00:00:80\""),
		.default_note = "one that is made of address and VLAN", HELP("Its hardware address"))
	OPTION("distributor.vipas.*.router", ADDRESS, LIVE, EXAMPLE("192.0.2.254"),
		.default_note = "none: clients are on its network",
		HELP("Next hop to clients that are not on its network"))
	OPTION("distributor.vipas.*.security", ENUM, LIVE, .values = "required|allowed|off",
		DEFAULT("allowed"),
		HELP("required: what comes in clear is dropped; allowed: in clear or by IPsec; off: IPsec "
		     "is dropped"))
	OPTION("distributor.vipas.*.services", MAP, LIVE, RANGE(0, 256), .key_type = "name",
		HELP("Its services, by name"))
	OPTION("distributor.vipas.*.services.*", SECTION, LIVE, HELP("One service"))
	OPTION("distributor.vipas.*.services.*.protocol", ENUM, LIVE, .values = "tcp|udp|sctp",
		DEFAULT("tcp"), HELP("Protocol"))
	OPTION("distributor.vipas.*.services.*.port", INTEGER, LIVE, .flags = CONFIG_IS_REQUIRED,
		RANGE(1, 65535), EXAMPLE("80"), HELP("Port"))
	OPTION("distributor.vipas.*.services.*.targets", NAME, LIVE, .flags = CONFIG_IS_LIST,
		RANGE(0, 64), DEFAULT("[]"), .default_note = "[]: all", EXAMPLE("[t1, t2]"),
		HELP("The targets that serve it"))
	OPTION("distributor.vipas.*.services.*.scheduling", ENUM, LIVE, .values = "wlc|wrr|maglev",
		.default_note = "distributor.scheduling", HELP("Which target gets a new connection"))
	OPTION("distributor.vipas.*.services.*.persistence", ENUM, LIVE, .values = "none|client",
		DEFAULT("none"),
		HELP("client: all connections of an address go to one target, by maglev"))
	OPTION("distributor.targets", MAP, LIVE, RANGE(0, 64), .key_type = "name",
		HELP("The targets, by name"))
	OPTION("distributor.targets.*", SECTION, LIVE, HELP("One target"))
	OPTION("distributor.targets.*.address", ADDRESS, LIVE, EXAMPLE("198.51.100.11"),
		.default_note = "none: a partition", HELP("Its address on the link"))
	OPTION("distributor.targets.*.next-hop", ADDRESS, LIVE, EXAMPLE("198.51.100.254"),
		.default_note = "address: it is on the link itself",
		HELP("The router on the link that leads there"))
	OPTION("distributor.targets.*.mac", MAC, LIVE, EXAMPLE("\"52:54:00:00:00:11\""),
		.default_note = "asked for by ARP or neighbour discovery",
		HELP("Hardware address of the target or router"))
	OPTION("distributor.targets.*.key-file", PATH, LIVE, EXAMPLE("/etc/bulkhead/t1.key"),
		.default_note = "none; needed with address",
		HELP("A line of an id (0 to 255) and 32 hexadecimal digits, the secret that GRE's keys are "
		     "made of. Not readable by others; read again with each change"))
	OPTION("distributor.targets.*.partition", STRING, LIVE, RANGE(3, 63), EXAMPLE("web.eth0"),
		.default_note = "none: a host on the link",
		HELP("PARTITION.ADAPTER of this host that serves; the adapter has a `mac`"))
	OPTION("distributor.targets.*.weight", INTEGER, LIVE, RANGE(0, 1000), DEFAULT("100"),
		HELP("Its share of new connections, against the others'; 0: none, as when it is drained"))
	OPTION("distributor.targets.*.health", ENUM, LIVE, .values = "heartbeat|none",
		DEFAULT("heartbeat"),
		HELP("heartbeat: it reports, and is down when it does not; none: it counts as up. A "
		     "partition is up when its adapter is"))
	OPTION("distributor.scheduling", ENUM, LIVE, .values = "wlc|wrr|maglev", DEFAULT("wlc"),
		HELP("Weighted least connections, weighted round robin, or by a hash of the client (Maglev)"))
	OPTION("distributor.connections-max", INTEGER, RESTART, RANGE(1024, 16777216),
		.unit = "connections", DEFAULT("65536"), HELP("Connections at the same time at most"))
	OPTION("distributor.timeouts", SECTION, LIVE,
		HELP("After how long without packets a connection is forgotten"))
	OPTION("distributor.timeouts.opening", DURATION, LIVE, RANGE(1000, 300000), .unit = "ms",
		DEFAULT("10s"), HELP("Until the client has sent a second packet that goes on with the first one"))
	OPTION("distributor.timeouts.established", DURATION, LIVE, RANGE(1000, 604800000),
		.unit = "ms", DEFAULT("1h"), HELP("From then on"))
	OPTION("distributor.timeouts.closing", DURATION, LIVE, RANGE(1000, 300000), .unit = "ms",
		DEFAULT("10s"), HELP("When its ends have closed or reset it"))
	OPTION("distributor.timeouts.datagram", DURATION, LIVE, RANGE(1000, 3600000), .unit = "ms",
		DEFAULT("60s"), HELP("Of UDP, from its second packet on"))
	OPTION("distributor.heartbeat-interval", DURATION, LIVE, RANGE(50, 60000), .unit = "ms",
		DEFAULT("250ms"), HELP("Time between a target's reports; with the third that is missing it "
				       "is down. The same on the targets"))
	OPTION("distributor.on-target-death", ENUM, LIVE, .values = "reset|move", DEFAULT("reset"),
		HELP("Connections of a target that is down are reset, or go on to another one"))

	OPTION("target", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("This host as a target: it serves connections that a distributor sends it"))
	OPTION("target.link", NAME, LIVE, .flags = CONFIG_IS_REQUIRED, NAME_LENGTH, EXAMPLE("xcf0"),
		HELP("The adapter that leads to the distributors, of kind xcf"))
	OPTION("target.local", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED, EXAMPLE("198.51.100.11"),
		HELP("Our address on the link; nobody else may have it"))
	OPTION("target.link-security", ENUM, LIVE, .values = "required|off", DEFAULT("off"),
		HELP("required: GRE in ESP alone, both ways; as distributor.link-security there"))
	OPTION("target.distributors", ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED | CONFIG_IS_LIST,
		RANGE(1, 8), EXAMPLE("[198.51.100.1]"),
		HELP("Addresses of the distributors on the link; connections are taken from these alone"))
	OPTION("target.key-file", PATH, LIVE, .flags = CONFIG_IS_REQUIRED,
		EXAMPLE("/etc/bulkhead/target.keys"),
		HELP("One or two lines of an id (0 to 255) and 32 hexadecimal digits, the secret shared with "
		     "the distributors; the first is used for sending. Not readable by others"))
	OPTION("target.interface", INTERFACE, REOPEN, INTERFACE_LENGTH, DEFAULT("vipa0"),
		HELP("The hidden interface to create, which owns the virtual addresses"))
	OPTION("target.vipas", ADDRESS, REOPEN, .flags = CONFIG_IS_REQUIRED | CONFIG_IS_LIST,
		RANGE(1, 16), EXAMPLE("[192.0.2.80, \"2001:db8::80\"]"),
		HELP("The virtual addresses that this host serves"))
	OPTION("target.mtu", INTEGER, REOPEN, RANGE(576, 9216), .unit = "bytes",
		.default_note = "what the distributors say fits; 1280 until then", EXAMPLE("1400"),
		HELP("Largest packet that is sent from the virtual addresses; the distributors may ask for less"))
	OPTION("target.services", MAP, LIVE, RANGE(0, 48), .key_type = "name",
		HELP("What this host serves, by name, at each of the virtual addresses. The host's own "
		     "datagrams leave from other ports; without a service there are none"))
	OPTION("target.services.*", SECTION, LIVE, HELP("One service"))
	OPTION("target.services.*.protocol", ENUM, LIVE, .values = "tcp|udp|sctp", DEFAULT("tcp"),
		HELP("Protocol"))
	OPTION("target.services.*.port", INTEGER, LIVE, .flags = CONFIG_IS_REQUIRED, RANGE(1, 65535),
		EXAMPLE("443"), HELP("Port"))
	OPTION("target.services.*.ready", BOOL, LIVE, DEFAULT("true"),
		HELP("Whether it takes new connections from the start; false: when it is said by API "
		     "(bulkhead target ready)"))
	OPTION("target.heartbeat-interval", DURATION, LIVE, RANGE(50, 60000), .unit = "ms",
		DEFAULT("250ms"), HELP("Time between two reports of load and readiness"))
	OPTION("target.flows-max", INTEGER, DAEMON, RANGE(1024, 16777216), .unit = "flows",
		DEFAULT("65536"), HELP("Flows whose way is remembered at most, each worker"))
	OPTION("target.direct", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("How answers go straight out of the physical adapter, of connections that came in clear"))
	OPTION("target.direct.vlan", VLAN, LIVE, .flags = CONFIG_IS_REQUIRED, EXAMPLE("10"),
		HELP("VLAN of the physical adapter that they leave in"))
	OPTION("target.direct.addresses", HOST_ADDRESS, LIVE, .flags = CONFIG_IS_REQUIRED | CONFIG_IS_LIST,
		RANGE(1, 2), EXAMPLE("[192.0.2.21/24, \"2001:db8::21/64\"]"),
		HELP("Our address there, one of IPv4 and one of IPv6, to neighbours and routers alone; "
		     "nobody else may have it"))
	OPTION("target.direct.routers", ADDRESS, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 2),
		DEFAULT("[]"), EXAMPLE("[192.0.2.254]"),
		HELP("Next hops to clients that are not on that network"))

	OPTION("filters", SECTION, LIVE, HELP("Common IP filters: the same on a distributor and on "
		"its targets. What comes by GRE was filtered once, and is not asked for again"))
	OPTION("filters.default", ENUM, LIVE, .values = "accept|drop", DEFAULT("accept"),
		HELP("What happens to packets that no rule is about"))
	OPTION("filters.rules", MAP, LIVE, RANGE(0, 256), .key_type = "name",
		HELP("Rules by name; the first one, by `order`, that is about a packet decides"))
	OPTION("filters.rules.*", SECTION, LIVE, HELP("One rule"))
	OPTION("filters.rules.*.order", INTEGER, LIVE, .flags = CONFIG_IS_REQUIRED,
		RANGE(0, 1000000), EXAMPLE("10"), HELP("The least is asked first"))
	OPTION("filters.rules.*.action", ENUM, LIVE, .flags = CONFIG_IS_REQUIRED,
		.values = "accept|drop", EXAMPLE("drop"), HELP("What to do with its packets"))
	OPTION("filters.rules.*.protocol", ENUM, LIVE, .values = "any|tcp|udp|sctp|icmp|icmpv6",
		DEFAULT("any"), HELP("Protocol"))
	OPTION("filters.rules.*.source", ADDRESS, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 256),
		DEFAULT("[]"), .default_note = "[]: any", EXAMPLE("[192.0.2.0/24, \"2001:db8::/64\"]"),
		HELP("Source addresses and prefixes"))
	OPTION("filters.rules.*.destination", ADDRESS, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 256),
		DEFAULT("[]"), .default_note = "[]: any", EXAMPLE("[192.0.2.80]"),
		HELP("Destination addresses and prefixes"))
	OPTION("filters.rules.*.source-ports", PORTS, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 64),
		DEFAULT("[]"), .default_note = "[]: any", EXAMPLE("[1024-65535]"),
		HELP("Source ports, of tcp, udp or sctp"))
	OPTION("filters.rules.*.destination-ports", PORTS, LIVE, .flags = CONFIG_IS_LIST,
		RANGE(0, 64), DEFAULT("[]"), .default_note = "[]: any", EXAMPLE("[80, 443]"),
		HELP("Destination ports, of tcp, udp or sctp"))

	OPTION("channels", SECTION, LIVE,
		HELP("Messages between processes of partitions; what no rule of `allow` names is denied"))
	OPTION("channels.threads", INTEGER, LIVE, RANGE(1, 16), DEFAULT("1"),
		HELP("Threads that move messages"))
	OPTION("channels.cores", INTEGER, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 1023),
		DEFAULT("[]"), .default_note = "[]: where the kernel puts them", EXAMPLE("[2, 3]"),
		HELP("CPU of each thread"))
	OPTION("channels.poll", DURATION, LIVE, RANGE(0, 1000000), .unit = "us", DEFAULT("50us"),
		HELP("A thread looks so long for the next message of a channel before it waits for the "
		     "sender to wake it"))
	OPTION("channels.partitions", MAP, LIVE, RANGE(0, 256), .key_type = "name",
		HELP("Partitions that can have channels, by name"))
	OPTION("channels.partitions.*", SECTION, LIVE, HELP("One partition"))
	OPTION("channels.partitions.*.socket", PATH, LIVE, SOCKET_LENGTH,
		EXAMPLE("/run/bulkhead/channels/web/channel.sock"),
		HELP("Socket that its processes attach to: who comes through it is this partition. In "
		     "a folder of its own, which is mounted into the container"))
	OPTION("channels.partitions.*.vsock", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("The partition is a virtual machine: its processes attach to `bulkhead-agent` in "
		     "it, which reaches the host by this device"))
	OPTION("channels.partitions.*.vsock.socket", PATH, LIVE, .flags = CONFIG_IS_REQUIRED,
		SOCKET_LENGTH, EXAMPLE("/run/bulkhead/channels/vm1/vsock.sock"),
		HELP("Socket that QEMU's device vhost-user-vsock-pci connects to: who comes through it "
		     "is this partition"))
	OPTION("channels.partitions.*.vsock.client", BOOL, DAEMON, DEFAULT("false"),
		HELP("QEMU listens on the socket (`server=on`), and we connect, again and again: a "
		     "machine has its device back when the channel role was started anew"))
	OPTION("channels.partitions.*.vsock.cid", INTEGER, DAEMON, .flags = CONFIG_IS_REQUIRED,
		RANGE(3, 4294967294), EXAMPLE("3"),
		HELP("The machine's own vsock address, as it sees it; two machines may have the same"))
	OPTION("channels.partitions.*.access", ENUM, DAEMON, .values = "group|all", DEFAULT("group"),
		HELP("Who may use the sockets: their group, or all who reach them"))
	OPTION("channels.partitions.*.group", NAME, DAEMON, RANGE(1, 31), DEFAULT("bulkhead"),
		HELP("Group of the sockets"))
	OPTION("channels.partitions.*.processes", INTEGER, LIVE, RANGE(1, 1024), DEFAULT("64"),
		HELP("Processes attached at a time at most"))
	OPTION("channels.partitions.*.endpoints", INTEGER, LIVE, RANGE(1, 4096), DEFAULT("64"),
		HELP("Endpoints at most"))
	OPTION("channels.partitions.*.channels", INTEGER, LIVE, RANGE(1, 4096), DEFAULT("64"),
		HELP("Ends of channels, of both directions, at most"))
	OPTION("channels.partitions.*.memory", SIZE, LIVE, RANGE(262144, 68719476736),
		.unit = "bytes", DEFAULT("64MiB"), HELP("Memory of all its rings at most"))
	OPTION("channels.partitions.*.static", MAP, LIVE, RANGE(0, 1023), .key_type = "name",
		HELP("Endpoints that only one user may have, by a name for people"))
	OPTION("channels.partitions.*.static.*", SECTION, LIVE, HELP("One endpoint"))
	OPTION("channels.partitions.*.static.*.id", INTEGER, LIVE, .flags = CONFIG_IS_REQUIRED,
		RANGE(1, 1023), EXAMPLE("7"), HELP("Its number"))
	OPTION("channels.partitions.*.static.*.uid", INTEGER, LIVE, .flags = CONFIG_IS_REQUIRED,
		RANGE(0, 4294967294), EXAMPLE("1000"), HELP("The user, as this host counts"))
	OPTION("channels.allow", MAP, LIVE, RANGE(0, 1024), .key_type = "name",
		HELP("Rules, by name: who may open channels to whom"))
	OPTION("channels.allow.*", SECTION, LIVE, HELP("One rule; messages go one way"))
	OPTION("channels.allow.*.from", STRING, LIVE, .flags = CONFIG_IS_REQUIRED, RANGE(1, 63),
		EXAMPLE("web"), HELP("The partition that sends: one of `channels.partitions`, or "
				     "PEER/PARTITION of another host"))
	OPTION("channels.allow.*.to", STRING, LIVE, .flags = CONFIG_IS_REQUIRED, RANGE(1, 63),
		EXAMPLE("hv2/db"), HELP("The partition that receives, likewise; it may be the same one, and "
					"one of both is of this host"))
	OPTION("channels.allow.*.channels", INTEGER, LIVE, RANGE(1, 4096), DEFAULT("16"),
		HELP("Channels at most"))
	OPTION("channels.allow.*.message-max", SIZE, LIVE, RANGE(1, 16777216), .unit = "bytes",
		DEFAULT("64KiB"), HELP("A message at most"))
	OPTION("channels.allow.*.rate", PACKET_RATE, LIVE, .flags = CONFIG_TAKES_NONE,
		RANGE(1, 1000000000), .unit = "messages/s", DEFAULT("none"), EXAMPLE("10k/s"),
		HELP("Messages a second of each channel at most; kept on the sender's host"))
	OPTION("channels.link", SECTION, LIVE, .flags = CONFIG_IS_OPTIONAL,
		HELP("How this host speaks with the channel roles of others: TLS 1.3, both sides with a "
		     "certificate"))
	OPTION("channels.link.listen", ENDPOINT, LIVE, EXAMPLE("\"192.0.2.1:9590\""),
		.default_note = "none: we connect to the others",
		HELP("Address and port (from 1024 on) that others connect to"))
	OPTION("channels.link.certificate", PATH, LIVE, .flags = CONFIG_IS_REQUIRED, RANGE(1, 4095),
		EXAMPLE("/etc/bulkhead/hv1.crt"),
		HELP("Our certificate in PEM, with those between it and an authority behind it. Read again "
		     "with each change, as the two that follow"))
	OPTION("channels.link.key", PATH, LIVE, .flags = CONFIG_IS_REQUIRED, RANGE(1, 4095),
		EXAMPLE("/etc/bulkhead/hv1.key"), HELP("Its key in PEM. Not readable by others"))
	OPTION("channels.link.authorities", PATH, LIVE, .flags = CONFIG_IS_REQUIRED, RANGE(1, 4095),
		EXAMPLE("/etc/bulkhead/ca.crt"),
		HELP("Certificates in PEM of those who may sign the peers' certificates"))
	OPTION("channels.link.timeout", DURATION, LIVE, RANGE(1000, 86400000), .unit = "ms",
		DEFAULT("60s"),
		HELP("A link that is down for so long ends its channels; one that comes back before "
		     "loses nothing"))
	OPTION("channels.peers", MAP, LIVE, RANGE(0, 16), .key_type = "name",
		HELP("Other hosts, by the name that `channels.allow` and processes here have for them"))
	OPTION("channels.peers.*", SECTION, LIVE, HELP("One host"))
	OPTION("channels.peers.*.address", ENDPOINT, LIVE, EXAMPLE("\"192.0.2.2:9590\""),
		.default_note = "none: it connects to us", HELP("Where it listens"))
	OPTION("channels.peers.*.identity", STRING, LIVE, RANGE(1, 253), EXAMPLE("hv2.example.net"),
		.default_note = "the peer's name",
		HELP("DNS name that its certificate has to bear, as subject alternative name"))
	OPTION("channels.peers.*.fingerprint", STRING, LIVE, RANGE(64, 64),
		.default_note = "none: any certificate of its identity",
		EXAMPLE("b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
		HELP("SHA-256 of its certificate in 64 hexadecimal digits: no other one is taken"))

	OPTION("packet", SECTION, LIVE, HELP("The packet role's workers and memory"))
	OPTION("packet.workers", INTEGER, RESTART, RANGE(1, 16), DEFAULT("1"),
		HELP("Threads that move packets"))
	OPTION("packet.cores", INTEGER, RESTART, .flags = CONFIG_IS_LIST, RANGE(0, 1023),
		DEFAULT("[]"), .default_note = "[]: where the kernel puts them", EXAMPLE("[2, 3]"),
		HELP("CPU of each worker"))
	OPTION("packet.memory", SIZE, RESTART, RANGE(67108864, 1099511627776), .unit = "bytes",
		DEFAULT("256MiB"), HELP("Memory for packets and tables"))
	OPTION("packet.hugepages", ENUM, RESTART, .values = "auto|on|off", DEFAULT("auto"),
		HELP("auto: used when enough of them are free"))
	OPTION("packet.nap-max", DURATION, LIVE, RANGE(0, 100000), .unit = "us", DEFAULT("250us"),
		HELP("An idle worker sleeps up to so long, after half a second without packets "
			"eight times as long; 0us: it never sleeps"))

	OPTION("events", SECTION, LIVE, HELP("Where events go"))
	OPTION("events.eve", SINK, LIVE, .values = "none|syslog|unix:SOCKET", SOCKET_LENGTH, DEFAULT("none"),
		EXAMPLE("/var/log/bulkhead/eve.json"),
		HELP("Security events as Suricata's EVE JSON: a file, unix:SOCKET, syslog or none"))

	OPTION("log", SECTION, LIVE, HELP("The daemon's own log"))
	OPTION("log.sink", SINK, LIVE, .values = "stderr|journald", RANGE(1, 4095),
		DEFAULT("stderr"), HELP("stderr (as a unit of systemd: the journal, with its fields), journald or a file"))
	OPTION("log.level", ENUM, LIVE, .values = "error|warning|info|debug", DEFAULT("info"),
		HELP("The least important level to write"))

	OPTION("control", SECTION, LIVE, HELP("API and metrics"))
	OPTION("control.socket", PATH, DAEMON, SOCKET_LENGTH, DEFAULT("/run/bulkhead/control.sock"),
		HELP("Socket of the API; its folder also holds what else the daemon puts into files"))
	OPTION("control.metrics", ENDPOINT, LIVE, DEFAULT("\"127.0.0.1:9580\""),
		HELP("Where OpenMetrics are served over HTTP, or none"))
	OPTION("control.group", NAME, DAEMON, RANGE(1, 31), DEFAULT("bulkhead"),
		HELP("Group of the socket"))
	OPTION("control.readers", PRINCIPAL, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 256),
		DEFAULT("[]"), EXAMPLE("[monitor, \"@adm\"]"),
		HELP("Users and @groups that may look, but change nothing"))
	OPTION("control.operators", PRINCIPAL, LIVE, .flags = CONFIG_IS_LIST, RANGE(0, 256),
		DEFAULT("[]"), EXAMPLE("[alice, \"@netadmins\"]"),
		HELP("Users and @groups that may also change; root always may. Not the group that "
		     "runs virtual machines: it has the sockets of the guests"))
	/* clang-format on */
};

const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);
