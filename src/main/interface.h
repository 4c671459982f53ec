/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel network interfaces: what the broker does to them for a role. Blocking, but local. */
#pragma once

#include "base/error.h"
#include "main/params.h"

#include <stdbool.h>

struct interface_info {
	int index;
	uint8_t mac[6];
	int mtu_bytes;
	bool is_loopback;
};

int interface_find(const char *name, struct interface_info *out, struct error *error);
int interface_set_mtu(const char *name, int mtu_bytes, struct error *error);
int interface_set_mac(const char *name, const uint8_t mac[6], struct error *error);
int interface_set_up(const char *name, struct error *error);
/* Groups of interfaces, by rtnetlink: removing all of a group takes the kernel little longer than
 * removing one. Negative errno. */
int interface_set_group(const char *name, uint32_t group);
int interface_remove_group(uint32_t group);
/* By rtnetlink: adding an address that is there, and removing one that is not, succeed. */
int interface_add_address(int index, const struct address_param *address, struct error *error);
int interface_remove_address(int index, const struct address_param *address, struct error *error);

/*
 * What a hidden interface needs: one whose addresses are the host's own, and nobody else's
 * business.
 */
/* No ARP and no neighbour discovery on it: each frame that the kernel sends has the interface's own
 * address as destination. */
int interface_set_no_arp(const char *name, struct error *error);
/* On no interface ARP is answered for, or sent from, addresses of another one: sets arp_ignore and
 * arp_announce (ip-sysctl.rst of Linux) for all of them, where they are not set to that or more. */
int interface_hide_addresses(struct error *error);
/* Everything from address (of one host) is routed by table, before the main one; adding again, and
 * removing what is not there, succeed. */
int interface_add_source_rule(
	const struct address_param *address, uint32_t table, struct error *error);
int interface_remove_source_rule(
	const struct address_param *address, uint32_t table, struct error *error);
/* In table, everything of the family leaves through the interface. Goes with the interface. */
int interface_add_default_route(int index, int family, uint32_t table, struct error *error);
