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
