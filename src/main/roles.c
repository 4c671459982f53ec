/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processes of bulkheadd and what each may do: this table is the architecture. To add a role,
 * add a row here, in the order of starting; its struct role_ops in its own folder; and its system
 * calls in sandbox_calls.c. Nothing else knows how many roles there are.
 */
#include "channel/channel_role.h"
#include "control/control_role.h"
#include "main/role.h"
#include "main/sandbox.h"
#include "packet/packet_role.h"

#include <linux/capability.h>
#include <string.h>

#define LIST(...)       ((const char *const[]){__VA_ARGS__, NULL})
#define BIT(capability) (1ULL << (capability))

const struct role roles[] = {
	{
		.name = "packet",
		.job = "ports, switch, gateway, inspection, IPsec and distribution on DPDK workers",
		.ops = &packet_role_ops,
		.peers = LIST("control"),
		.requests = LIST("broker.open_rules", "broker.open_cache", "broker.open_key",
			"broker.open_tap", "broker.close_tap", "broker.open_packet_socket",
			"broker.listen_unix", "broker.connect_unix", "broker.start_program",
			"broker.stop_program", "broker.keep", "broker.kept"),
		.method_prefixes = LIST("port.", "vlan.", "fdb.", "drops.", "graph.", "inspect.",
			"trace.", "capture.", "engine.", "packet.", "ipsec.", "distributor.",
			"filters.", "target."),
		/* Interfaces and offloads; raw sockets; hugepages and rings; AF_XDP's program. */
		.capabilities =
			BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_IPC_LOCK) | BIT(CAP_BPF),
		.sandbox = &sandbox_packet,
	},
	{
		.name = "channel",
		.job = "messages between processes of partitions: keys, state tables, rings, links",
		.ops = &channel_role_ops,
		.peers = LIST("control"),
		.requests = LIST("broker.listen_unix", "broker.connect_unix", "broker.listen_tcp",
			"broker.connect_tcp", "broker.open_key", "broker.open_rules"),
		.method_prefixes = LIST("channel."),
		/* All its memory is locked, also where the limit cannot be raised. */
		.capabilities = BIT(CAP_IPC_LOCK),
		.sandbox = &sandbox_channel,
	},
	{
		.name = "control",
		.job = "configuration, API and its authorisation, events, metrics",
		.ops = &control_role_ops,
		.peers = LIST("packet", "channel"),
		.requests = LIST("broker.open_config", "broker.open_append", "broker.listen_unix",
			"broker.connect_unix", "broker.listen_tcp", "broker.set_role_log",
			"broker.roles", "broker.restart_role", "broker.keep", "broker.kept"),
		.method_prefixes = LIST("config.", "events.", "api.", "status."),
		.capabilities = 0,
		.sandbox = &sandbox_control,
	},
	{.name = NULL},
};

const struct role *role_find(const char *name)
{
	for (const struct role *role = roles; role->name; role++)
		if (strcmp(role->name, name) == 0)
			return role;
	return NULL;
}
