/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of the command line. See command.h for what the columns mean. */
#include "cli/command.h"

#include <string.h>

#define OPTIONS(...)  ((const struct command_option[]){__VA_ARGS__, {.name = NULL}})
#define EXAMPLES(...) ((const struct command_example[]){__VA_ARGS__, {.command = NULL}})

#define OPTION(name_, argument_, help_, ...)                                                       \
	{                                                                                          \
		.name = (name_), .argument = (argument_), .help = (help_), __VA_ARGS__             \
	}

const struct command_option global_options[] = {
	OPTION("json", NULL, "Print the daemon's answer as JSON."),
	OPTION("socket", "PATH", "Socket; /run/bulkhead/control.sock unless told.",
		.complete = COMPLETE_FILE),
	OPTION("help", NULL, "Explain the command, with an example."),
	{.name = NULL},
};

#define FILTER_OPTIONS                                                                             \
	OPTION("port", "NAME", "Only packets that came in through this port.",                     \
		.complete = COMPLETE_PORT),                                                        \
		OPTION("vlan", "N", "Only packets of this VLAN."),                                 \
		OPTION("protocol", "NAME", "Only packets of this protocol.",                       \
			.complete = COMPLETE_CHOICES, .choices = "arp icmp icmp6 ip ip6 tcp udp"), \
		OPTION("filter", "EXPRESSION",                                                     \
			"Only packets that match, in the language of pcap-filter(7)."),            \
		OPTION("count", "N", "End after N packets."),                                      \
		OPTION("timeout", "SECONDS", "End after this time.")

#define KMP_OPTIONS                                                                                \
	OPTION("kmp-socket", "PATH", "Socket; /run/bulkhead/kmp.sock unless told.",                \
		.complete = COMPLETE_FILE),                                                        \
		OPTION("secret", "FILE", "The secret; /etc/bulkhead/kmp.secret unless told.",      \
			.complete = COMPLETE_FILE),                                                \
		OPTION("name", "NAME", "Name of the session; bulkhead unless told.")

#define ATTACH_TEXT                                                                                \
	"\n\nThis needs no rights on the daemon, but a partition's socket: --attach, or "          \
	"BULKHEAD_CHANNEL_SOCKET, or /run/bulkhead/channel.sock. The partition that the socket "   \
	"belongs to is ours."

#define ATTACH_OPTIONS                                                                             \
	OPTION("attach", "PATH", "The partition's socket.", .complete = COMPLETE_FILE),            \
		OPTION("endpoint", "N",                                                            \
			"Our endpoint, 1 to 1023; one that is given out unless told."),            \
		OPTION("timeout", "TIME",                                                          \
			"Wait so long for the other end, as 30s; for ever "                        \
			"unless told.")

const struct command commands[] = {
	{
		.name = "status",
		.summary = "What runs: roles, configuration, ports, events",
		.arguments = "",
		.can_watch = true,
		.description = "Shows whether all is well, and if not, what is wrong. The first "
			       "line is the "
			       "state: running, degraded (a role, a port or an inspector has a "
			       "problem) or starting.",
		.examples = EXAMPLES({"bulkhead status", "Is all well?"}),
		.run = show_status,
	},
	{
		.name = "ports",
		.summary = "Ports with their link, VLANs and counters",
		.arguments = "[NAME]",
		.arguments_max = 1,
		.complete = COMPLETE_PORT,
		.can_watch = true,
		.description = "Lists the ports. With NAME, shows all that is known of one.",
		.options =
			OPTIONS(OPTION("kind", "KIND", "Only these.", .complete = COMPLETE_CHOICES,
				.choices = "physical partition host xcf vipa")),
		.examples = EXAMPLES({"bulkhead ports --kind partition", "The partitions' ports."},
			{"bulkhead ports web.eth0",
				"Everything about adapter eth0 of partition web."}),
		.run = show_ports,
	},
	{
		.name = "vlans",
		.summary = "VLANs with their trunk, members and policies",
		.arguments = "",
		.can_watch = true,
		.description = "Lists the VLANs: the trunk adapter that carries each, what is "
			       "inspected, what "
			       "happens when the inspector has no verdict, and the member ports.",
		.examples = EXAMPLES({"bulkhead vlans", "All VLANs."}),
		.run = show_vlans,
	},
	{
		.name = "fdb",
		.summary = "The forwarding table: which address is behind which port",
		.arguments = "",
		.can_watch = true,
		.description = "Lists MAC addresses as internal (a partition), external (beyond "
			       "the physical "
			       "adapter) or host. With --flush, forgets the learned ones that pass "
			       "the filter instead.",
		.options = OPTIONS(OPTION("vlan", "N", "Only this VLAN."),
			OPTION("port", "NAME", "Only behind this port.", .complete = COMPLETE_PORT),
			OPTION("mac", "ADDRESS", "Only this address."),
			OPTION("flush", NULL, "Forget instead of list; not with --mac.")),
		.examples = EXAMPLES({"bulkhead fdb --vlan 10", "Who is on VLAN 10?"},
			{"bulkhead fdb --flush --port uplink", "Learn anew what is outside."}),
		.run = show_fdb,
	},
	{
		.name = "filters",
		.summary = "Common IP filters with their hits",
		.arguments = "",
		.can_watch = true,
		.description = "Lists the rules of the common filters in the order in which they "
			       "are asked, and how many packets each was about. What comes by GRE "
			       "from a trusted link was filtered once, and is not asked for again.",
		.examples = EXAMPLES({"bulkhead filters --watch", "Which rules are in use?"}),
		.run = show_filters,
	},
	{
		.name = "drops",
		.summary = "Dropped packets by reason",
		.arguments = "",
		.can_watch = true,
		.description = "Counts packets that were dropped since the packet role started, by "
			       "reason. Each "
			       "reason has a name, which is also the label of the metric "
			       "bulkhead_drops_total.",
		.options = OPTIONS(OPTION("all", NULL, "Also reasons that have not occurred."),
			OPTION("port", "NAME", "Only what came in through this port.",
				.complete = COMPLETE_PORT)),
		.examples = EXAMPLES({"bulkhead drops --watch", "What is dropped right now?"}),
		.run = show_drops,
	},
	{
		.name = "graph",
		.summary = "The packet graph with the rates on its edges",
		.arguments = "",
		.can_watch = true,
		.description =
			"Shows the running packet graph: each node, and where its packets go. The "
			"rates "
			"are those of a short interval. With --dot or --svg it is drawn: the flow "
			"charts of figures "
			"3A and 3B, as they run.\n\n--svg needs the program dot of Graphviz.",
		.options = OPTIONS(OPTION("dot", NULL, "Write the drawing in Graphviz's language."),
			OPTION("svg", NULL, "Write the drawing as SVG."),
			OPTION("interval", "SECONDS",
				"Measure the rates so long, 1 unless told; 0: totals.")),
		.examples = EXAMPLES({"bulkhead graph", "Where do packets go?"},
			{"bulkhead graph --svg >graph.svg", "Draw it."}),
		.run = show_graph,
	},
	{
		.name = "inspect",
		.summary = "Inspection engines, hold table, failure policy",
		.arguments = "",
		.can_watch = true,
		.description = "Shows the chain of inspection engines, what each decided, the "
			       "packets that wait "
			       "for a verdict, and what the failure policy did.",
		.examples = EXAMPLES({"bulkhead inspect", "Is inspection at work?"}),
		.run = inspect_status,
	},
	{
		.name = "inspect rules",
		.summary = "Rules in force, and refused ones with the reason",
		.arguments = "",
		.description = "Lists rules by file and line. A rule that cannot be expressed is "
			       "refused with its "
			       "reason and never ignored silently; the last line says how much of "
			       "the files is in force.",
		.options = OPTIONS(OPTION("refused", NULL, "Only refused rules."),
			OPTION("coverage", NULL, "How many rules are refused, by keyword."),
			OPTION("sid", "N", "Only this signature id.")),
		.examples = EXAMPLES(
			{"bulkhead inspect rules --refused", "What is not in force, and why?"},
			{"bulkhead inspect rules --coverage", "How much of it, by keyword?"}),
		.run = inspect_rules,
	},
	{
		.name = "inspect flows",
		.summary = "Flows that inspection tracks",
		.arguments = "",
		.can_watch = true,
		.description = "Lists connections with their state and verdict, and why it is so: "
			       "a rule, or "
			       "bypass-after.",
		.options = OPTIONS(OPTION("vlan", "N", "Only of this VLAN."),
			OPTION("address", "IP", "Only from or to this address."),
			OPTION("verdict", "WORD", "Only inspect, pass or drop.")),
		.examples = EXAMPLES({"bulkhead inspect flows --address 192.0.2.10",
			"Who talks to the web server?"}),
		.run = inspect_flows,
	},
	{
		.name = "inspect replay",
		.summary = "Run a capture file through the builtin engine",
		.arguments = "CAPTURE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = COMPLETE_FILE,
		.description = "Reads packets from a pcap or pcapng file (- is standard input) and "
			       "shows what the builtin engine "
			       "would have done with them: the code of the packet path, with the "
			       "capture's own time. Needs no running daemon and no rights. Each "
			       "source address counts as an adapter of its own.\n\nEvents are "
			       "EVE JSON, a line each, with the packet's number as pcap_cnt; a "
			       "summary goes to standard error, or with --json behind the "
			       "events. Rules that are refused are named with their reason.",
		.options = OPTIONS(OPTION("rules", "PATTERNS",
					   "Rule files, several separated by commas; those of "
					   "inspection.rules unless told.",
					   .complete = COMPLETE_FILE),
			OPTION("config", "FILE",
				"Take `inspection` from this file; the embedded default unless "
				"told.",
				.complete = COMPLETE_FILE),
			OPTION("eve", "FILE",
				"Write the events there; - or nothing: standard output.",
				.complete = COMPLETE_FILE),
			OPTION("delivered", "FILE",
				"Write what would have been delivered as a pcap file.",
				.complete = COMPLETE_FILE)),
		.examples = EXAMPLES(
			{"bulkhead inspect replay attack.pcap --rules 'local.rules' --eve -",
				"Would these rules have stopped it?"}),
		.run = inspect_replay,
	},
	{
		.name = "inspect reload",
		.summary = "Read the rule files again",
		.arguments = "",
		.description = "New rules are compiled beside the old ones and swapped in while "
			       "traffic flows. When "
			       "a file has errors the old rules stay in force.",
		.examples = EXAMPLES({"bulkhead inspect reload", "After a rule file was changed."}),
		.run = inspect_reload,
	},
	{
		.name = "distributor",
		.summary = "Virtual addresses, their services and targets",
		.arguments = "",
		.can_watch = true,
		.description = "Shows the virtual addresses (VIPAs) with their services, and the "
			       "targets that connections are distributed to: health, weight, load "
			       "and connections.",
		.examples = EXAMPLES({"bulkhead distributor --watch", "Who serves how much?"}),
		.run = distributor_status,
	},
	{
		.name = "distributor connections",
		.summary = "Connections, and which target each goes to",
		.arguments = "",
		.can_watch = true,
		.description = "Lists the connections that are distributed now.",
		.options = OPTIONS(OPTION("vipa", "NAME", "Only of this virtual address."),
			OPTION("target", "NAME", "Only of this target.")),
		.examples = EXAMPLES({"bulkhead distributor connections --target t1",
			"What would be lost with t1?"}),
		.run = distributor_connections,
	},
	{
		.name = "distributor weight",
		.summary = "Set a target's weight",
		.arguments = "TARGET [WEIGHT]",
		.arguments_min = 1,
		.arguments_max = 2,
		.description = "New connections go to targets by their weights; those that are "
			       "there stay. WEIGHT is 0 to 1000; without it the weight is as "
			       "configured again. Holds until the packet role starts again.",
		.examples = EXAMPLES({"bulkhead distributor weight t1 50", "Half of the usual."}),
		.run = distributor_weight,
	},
	{
		.name = "distributor drain",
		.summary = "Give a target no new connections",
		.arguments = "TARGET",
		.arguments_min = 1,
		.arguments_max = 1,
		.description = "The target's connections go on until they end: before it is "
			       "stopped or serviced. --undo lets it take new ones again.",
		.options = OPTIONS(OPTION("undo", NULL, "It takes new connections again.")),
		.examples = EXAMPLES({"bulkhead distributor drain t1", "Before t1 is updated."}),
		.run = distributor_drain,
	},
	{
		.name = "ipsec",
		.summary = "IPsec: associations, policies, traffic and errors in sums",
		.arguments = "",
		.can_watch = true,
		.description = "Shows how many security associations and policies there are, what "
			       "was opened and protected, and what was dropped, by reason.",
		.examples = EXAMPLES({"bulkhead ipsec", "Does IPsec work?"}),
		.run = ipsec_status,
	},
	{
		.name = "ipsec sas",
		.summary = "Security associations, never with their keys",
		.arguments = "",
		.can_watch = true,
		.description = "Lists the security associations with their ends, algorithms and "
			       "counters. With --json, "
			       "also their lifetimes, sequence numbers and windows.",
		.examples = EXAMPLES({"bulkhead ipsec sas", "Who is connected?"}),
		.run = ipsec_sas,
	},
	{
		.name = "ipsec policies",
		.summary = "Security policies in the order in which they are asked",
		.arguments = "",
		.can_watch = true,
		.description = "Lists the policies: what is protected, passed in the clear or "
			       "discarded, and which "
			       "association protects now.",
		.examples = EXAMPLES({"bulkhead ipsec policies", "What has to come by IPsec?"}),
		.run = ipsec_policies,
	},
	{
		.name = "ipsec handover",
		.summary = "Hand the virtual addresses over to another daemon",
		.arguments = "SOCKET",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = COMPLETE_FILE,
		.description =
			"Gives virtual addresses, associations, policies of key managers and "
			"connections to the daemon that listens on SOCKET (its "
			"ipsec.handover.socket), which is in standby (distributor.standby). "
			"Clients notice nothing but a moment of silence. Either all is the other "
			"daemon's afterwards, and this one is in standby, or nothing has "
			"changed.\n\n"
			"Both need the same virtual addresses, targets and static associations, "
			"and the same secret (ipsec.handover.secret-file). Exchange "
			"distributor.standby in both configurations afterwards: it says how a "
			"daemon begins when it is started.",
		.examples = EXAMPLES({"bulkhead ipsec handover /run/bulkhead-b/handover.sock",
			"Before this daemon is replaced."}),
		.run = ipsec_handover,
	},
	{
		.name = "events",
		.summary = "Events: alerts, drops, ports, configuration",
		.arguments = "",
		.description =
			"Lists the last events. With --follow, waits for those that happen from "
			"now "
			"on. With --json, each event is one line in the shape of Suricata's EVE.",
		.options = OPTIONS(OPTION("follow", NULL, "What happens from now on."),
			OPTION("type", "TYPE",
				"Only these: alert,drop or port* (all that start so)."),
			OPTION("partition", "NAME", "Only events of this partition.",
				.complete = COMPLETE_PARTITION),
			OPTION("count", "N",
				"The last N, 50 unless told; with --follow, end after N.")),
		.examples =
			EXAMPLES({"bulkhead events --follow --type alert,drop", "Watch attacks."}),
		.run = follow_events,
	},
	{
		.name = "trace",
		.summary = "Watch packets walk the graph, node by node",
		.arguments = "",
		.description =
			"Shows what each node decided about packets that match: the origin "
			"tag that they got, the verdict, the port they left by or the reason "
			"for which they were dropped.",
		.options = OPTIONS(FILTER_OPTIONS,
			OPTION("sampling", "N", "Only one of N packets that match.")),
		.examples = EXAMPLES(
			{"bulkhead trace --count 1 --protocol icmp", "The walk of one ping."}),
		.run = trace_packets,
	},
	{
		.name = "capture",
		.summary = "Write packets into a pcapng file",
		.arguments = "FILE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = COMPLETE_FILE,
		.description = "Captures packets at a node of the graph, with origin tag and "
			       "verdict as packet "
			       "comments, readable by Wireshark. FILE may be - for standard "
			       "output. Ends with Ctrl-C, "
			       "--count or --timeout.",
		.options = OPTIONS(FILTER_OPTIONS,
			OPTION("node", "NODE",
				"Where: rx (as received, the default), tx (as sent), drop, or a "
				"node's name."),
			OPTION("snap", "BYTES", "Keep so many bytes of each packet.")),
		.examples =
			EXAMPLES({"bulkhead capture /tmp/web.pcapng --port web.eth0 --count 100",
					 "A hundred packets of web."},
				{"bulkhead capture - --node drop | tshark -r -",
					"What is dropped, in tshark."}),
		.run = capture_packets,
	},
	{
		.name = "config check",
		.summary = "Check a configuration file",
		.arguments = "FILE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = COMPLETE_FILE,
		.description = "Reports everything that is wrong at once, with file, line, column, "
			       "key, what was "
			       "found and what would be valid. Needs no running daemon. FILE may "
			       "be - for standard input.",
		.examples = EXAMPLES({"bulkhead config check /etc/bulkhead/bulkhead.yaml",
			"Before applying it."}),
		.run = config_command_check,
	},
	{
		.name = "config show",
		.summary = "The running configuration, defaults filled in",
		.arguments = "[KEY]",
		.arguments_max = 1,
		.complete = COMPLETE_CONFIG_KEY,
		.description = "Prints YAML; with KEY only what is below it, as JSON.",
		.examples =
			EXAMPLES({"bulkhead config show gateway.trunks", "The trunks that run."}),
		.run = config_command_show,
	},
	{
		.name = "config diff",
		.summary = "What a file would change",
		.arguments = "FILE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = COMPLETE_FILE,
		.description = "Compares a file with the running configuration, and says what each "
			       "change needs: "
			       "live (between two packets), reopen (the port is opened again), "
			       "restart (the packet role is "
			       "started again) or daemon (takes effect with the next start of the "
			       "daemon).",
		.examples = EXAMPLES({"bulkhead config diff new.yaml", "What would happen?"}),
		.run = config_command_diff,
	},
	{
		.name = "config apply",
		.summary = "Put a file in force: all of it or nothing",
		.arguments = "FILE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = COMPLETE_FILE,
		.description = "Applies a file to the running daemon. Only what changed is "
			       "touched. With --confirm, "
			       "the configuration before comes back after that time unless "
			       "`bulkhead config confirm` is "
			       "given: for changes that may cut you off.\n\nThe daemon reads its "
			       "own file when it starts: "
			       "apply that one, or copy over it what should stay.",
		.options = OPTIONS(OPTION("confirm", "TIME",
			"Roll back after this time, as 60s or 5min, unless confirmed.")),
		.examples = EXAMPLES(
			{"bulkhead config apply new.yaml --confirm 60s", "Try it for a minute."}),
		.run = config_command_apply,
	},
	{
		.name = "config confirm",
		.summary = "Keep what was applied with --confirm",
		.arguments = "",
		.description = "Without it the configuration before comes back in time.",
		.examples = EXAMPLES({"bulkhead config confirm", "It works: keep it."}),
		.run = config_command_confirm,
	},
	{
		.name = "config rollback",
		.summary = "Go back to the configuration before",
		.arguments = "",
		.description = "Undoes the last config apply. A second rollback brings it back.",
		.examples = EXAMPLES({"bulkhead config rollback", "That was wrong."}),
		.run = config_command_rollback,
	},
	{
		.name = "config reload",
		.summary = "Apply the daemon's own file again",
		.arguments = "",
		.description = "Does what SIGHUP does: reads the daemon's configuration file and "
			       "applies it.",
		.examples = EXAMPLES({"bulkhead config reload", "After an edit of bulkhead.yaml."}),
		.run = config_command_reload,
	},
	{
		.name = "config explain",
		.summary = "Explain an option",
		.arguments = "[KEY]",
		.arguments_max = 1,
		.complete = COMPLETE_CONFIG_KEY,
		.description = "Type, range, default, unit and meaning of an option, or the "
			       "options of a section. "
			       "Needs no running daemon.",
		.examples = EXAMPLES(
			{"bulkhead config explain inspection.on-failure", "What may stand there?"}),
		.run = config_command_explain,
	},
	{
		.name = "config schema",
		.summary = "JSON Schema of the configuration, for editors",
		.arguments = "",
		.description = "Prints a JSON Schema (draft 2020-12) of bulkhead.yaml. Needs no "
			       "running daemon.",
		.examples = EXAMPLES({"bulkhead config schema >bulkhead.schema.json",
			"For the YAML language server."}),
		.run = config_command_schema,
	},
	{
		.name = "config default",
		.summary = "The embedded default configuration",
		.arguments = "",
		.description = "Prints the configuration that the daemon has without a file, with "
			       "comments.",
		.examples = EXAMPLES({"bulkhead config default >bulkhead.yaml", "To start from."}),
		.run = config_command_default,
	},
	{
		.name = "channels",
		.summary = "Channels between processes of partitions",
		.arguments = "",
		.can_watch = true,
		.description = "Lists the ends of channels that partitions have authorised, a line "
			       "each: its "
			       "number, partition and endpoint, the other end, whether the channel "
			       "is up, who "
			       "set its key, and what was delivered. Keys are never shown: nobody "
			       "can read "
			       "them.",
		.options = OPTIONS(OPTION("partition", "NAME", "Only of this partition.",
			.complete = COMPLETE_PARTITION)),
		.examples =
			EXAMPLES({"bulkhead channels --partition web", "With whom does web talk?"}),
		.run = show_channels,
	},
	{
		.name = "channel list",
		.summary = "The same as bulkhead channels",
		.arguments = "",
		.can_watch = true,
		.description = "Lists the ends of channels; see bulkhead-channels(1).",
		.options = OPTIONS(OPTION("partition", "NAME", "Only of this partition.",
			.complete = COMPLETE_PARTITION)),
		.examples = EXAMPLES({"bulkhead channel list", "All channels."}),
		.run = show_channels,
	},
	{
		.name = "channel show",
		.summary = "All about one end of a channel",
		.arguments = "NUMBER",
		.arguments_min = 1,
		.arguments_max = 1,
		.description = "Shows one end of a channel by its number: its process, limits and "
			       "counters, and the number of its other end.",
		.examples = EXAMPLES({"bulkhead channel show 7", "Who is behind it?"}),
		.run = show_channel,
	},
	{
		.name = "channel revoke",
		.summary = "End a channel",
		.arguments = "NUMBER",
		.arguments_min = 1,
		.arguments_max = 1,
		.description =
			"Ends the channel that has this end, with both ends and their keys. "
			"When the command returns no message arrives any more. Its processes "
			"may open another one, as long as the configuration allows it.",
		.examples = EXAMPLES({"bulkhead channel revoke 7", "Stop it."}),
		.run = revoke_channel,
	},
	{
		.name = "channel policy",
		.summary = "Who may open channels to whom, and what is used",
		.arguments = "",
		.description =
			"Shows the partitions that can have channels with what they use of their "
			"limits, and the rules of channels.allow. What no rule names is denied.",
		.examples = EXAMPLES({"bulkhead channel policy", "Who may talk to whom?"}),
		.run = show_channel_policy,
	},
	{
		.name = "channel peers",
		.summary = "Other hosts, and the links to them",
		.arguments = "",
		.can_watch = true,
		.description =
			"Shows the hosts of channels.peers: whether their link is up, or why it "
			"is not, the channels through it, messages, and what was dropped.",
		.examples = EXAMPLES({"bulkhead channel peers", "Is the other host there?"}),
		.run = show_channel_peers,
	},
	{
		.name = "channel stats",
		.summary = "Counts of all channels",
		.arguments = "",
		.can_watch = true,
		.description =
			"Counts since the channel role started: channels and messages, requests "
			"that were denied or refused, exceptions, and why channels ended.",
		.examples =
			EXAMPLES({"bulkhead channel stats", "Has anybody tried what it may not?"}),
		.run = show_channel_stats,
	},
	{
		.name = "channel open",
		.summary = "Talk with another partition's endpoint, both ways",
		.arguments = "PARTITION:ENDPOINT",
		.arguments_min = 1,
		.arguments_max = 1,
		.description = "Opens two channels, one each way: lines of standard input are "
			       "sent, messages "
			       "that come are printed. Ends when the other end has ended. The "
			       "other end has to "
			       "do the same with us." ATTACH_TEXT,
		.options = OPTIONS(ATTACH_OPTIONS),
		.examples = EXAMPLES({"bulkhead channel open db:6 --endpoint 5",
			"As `bulkhead channel open web:5 --endpoint 6` in db."}),
		.run = open_dialogue,
	},
	{
		.name = "channel send",
		.summary = "Send lines as messages",
		.arguments = "PARTITION:ENDPOINT",
		.arguments_min = 1,
		.arguments_max = 1,
		.description =
			"Opens a channel to an endpoint of a partition and sends each line of "
			"standard input as a message. Ends when all were taken." ATTACH_TEXT,
		.options = OPTIONS(ATTACH_OPTIONS),
		.examples = EXAMPLES({"bulkhead channel send db:6 --endpoint 5 </var/log/web.log",
			"Send a log to another partition."}),
		.run = send_messages,
	},
	{
		.name = "channel recv",
		.summary = "Print messages, a line each",
		.arguments = "PARTITION:ENDPOINT",
		.arguments_min = 1,
		.arguments_max = 1,
		.description =
			"Opens a channel from an endpoint of a partition and prints each message "
			"and a newline. Ends when the sender has ended." ATTACH_TEXT,
		.options = OPTIONS(ATTACH_OPTIONS, OPTION("count", "N", "End after N messages.")),
		.examples = EXAMPLES(
			{"bulkhead channel recv web:5 --endpoint 6", "What does web:5 send?"}),
		.run = receive_messages,
	},
	{
		.name = "target",
		.summary = "This host as a target: distributors, services, flows",
		.arguments = "",
		.can_watch = true,
		.description = "Shows whether distributors answer, which services take new "
			       "connections, and by which way packets of the virtual addresses go.",
		.examples = EXAMPLES({"bulkhead target --watch", "Does it get connections?"}),
		.run = show_target,
	},
	{
		.name = "target ready",
		.summary = "Whether a service takes new connections",
		.arguments = "SERVICE [true|false]",
		.arguments_min = 1,
		.arguments_max = 2,
		.description = "Tells the distributors at once. With false, connections that are "
			       "there go on, and no new ones come: so is a service drained before "
			       "it is stopped.",
		.examples =
			EXAMPLES({"bulkhead target ready web false", "Before an update of it."}),
		.run = target_ready,
	},
	{
		.name = "target load",
		.summary = "How busy this target is",
		.arguments = "LOAD",
		.arguments_min = 1,
		.arguments_max = 1,
		.description = "LOAD is 0 (idle) to 65535 (as busy as can be), for programs that "
			       "know better than the system's load average, or system: as the "
			       "system has it.",
		.examples = EXAMPLES({"bulkhead target load 30000", "Half as busy as can be."}),
		.run = target_load,
	},
	{
		.name = "top",
		.summary = "Ports, workers and drops, refreshed",
		.arguments = "",
		.description = "Shows rates per port, the load of the workers and what is dropped. "
			       "q ends it. Not "
			       "on a terminal, or with --once, it prints one round.",
		.options =
			OPTIONS(OPTION("interval", "SECONDS", "Between two rounds, 1 unless told."),
				OPTION("once", NULL, "One round, then end.")),
		.examples = EXAMPLES({"bulkhead top", "What goes on?"}),
		.run = show_top,
	},
	{
		.name = "kmp",
		.summary = "Key managers: who brings SAs, and what waits for whom",
		.arguments = "",
		.can_watch = true,
		.description = "Lists who is, or was, connected to the socket of ipsec.kmp, as "
			       "strongSwan with our plugin. "
			       "Its SAs stay for the time of grace when the connection is lost.",
		.examples = EXAMPLES({"bulkhead kmp", "Is strongSwan connected?"}),
		.run = kmp_sessions,
	},
	{
		.name = "kmp ping",
		.summary = "Connect as a key manager does",
		.arguments = "",
		.description =
			"Connects to the socket of ipsec.kmp, proves to have the secret, has "
			"the daemon prove the same, and measures the time of an answer.",
		.options = OPTIONS(KMP_OPTIONS),
		.examples = EXAMPLES({"bulkhead kmp ping", "Would a plugin be let in?"}),
		.run = kmp_ping,
	},
	{
		.name = "kmp list",
		.summary = "The SAs of all owners, without their keys",
		.arguments = "",
		.description = "Lists the SAs that there are, as KMP's LIST tells them.",
		.options = OPTIONS(KMP_OPTIONS),
		.examples = EXAMPLES({"bulkhead kmp list", "Which SAs are in force?"}),
		.run = kmp_list,
	},
	{
		.name = "kmp stats",
		.summary = "Counters of the key-management protocol",
		.arguments = "",
		.description = "Counts sessions, requests, what was refused, and events, since the "
			       "packet role started.",
		.options = OPTIONS(KMP_OPTIONS),
		.examples = EXAMPLES({"bulkhead kmp stats", "Is anything refused?"}),
		.run = kmp_stats,
	},
	{
		.name = "kmp events",
		.summary = "Events for a key manager, as they come",
		.arguments = "",
		.description = "Waits for events about SAs and policies of the session's name, and "
			       "acknowledges them.\n\nA name has one session: with the name of "
			       "another client, this one takes its place until it comes back.",
		.options = OPTIONS(KMP_OPTIONS, OPTION("count", "N", "End after N events."),
			OPTION("timeout", "SECONDS", "End after this time.")),
		.examples = EXAMPLES({"bulkhead kmp events --name charon --count 1",
			"What does charon not take?"}),
		.run = kmp_events,
	},
	{
		.name = "api",
		.summary = "Methods of the API, with parameters and results",
		.arguments = "[METHOD]",
		.arguments_max = 1,
		.complete = COMPLETE_METHOD,
		.description = "Lists the methods of the JSON-RPC API on the daemon's socket. With "
			       "METHOD, shows its "
			       "parameters, result and notifications.",
		.examples = EXAMPLES({"bulkhead api fdb.list",
			"How is the forwarding table read by a program?"}),
		.run = api_list,
	},
	{
		.name = "api call",
		.summary = "Call a method of the API",
		.arguments = "METHOD [PARAMS]",
		.arguments_min = 1,
		.arguments_max = 2,
		.complete = COMPLETE_METHOD,
		.description = "Calls a method with parameters as a JSON object and prints the "
			       "result as JSON.",
		.examples = EXAMPLES(
			{"bulkhead api call fdb.list '{\"vlan\": 10}'", "As a program would."}),
		.run = api_call,
	},
	{.name = NULL},
};

const struct command *command_find(const char *name)
{
	for (const struct command *command = commands; command->name; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return NULL;
}

bool command_is_group(const char *word)
{
	size_t length = strlen(word);

	for (const struct command *command = commands; command->name; command++) {
		if (strncmp(command->name, word, length) == 0 && command->name[length] == ' ')
			return true;
	}
	return false;
}
