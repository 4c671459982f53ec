/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/af_xdp.h"

#include "base/log.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* libxdp's own program, which hands all frames of a queue to its socket. */
static const char *const programs[] = {
	"/usr/lib/x86_64-linux-gnu/bpf/xsk_def_xdp_prog_5.3.o",
	"/usr/lib/aarch64-linux-gnu/bpf/xsk_def_xdp_prog_5.3.o",
	"/usr/lib64/bpf/xsk_def_xdp_prog_5.3.o",
	"/usr/lib/bpf/xsk_def_xdp_prog_5.3.o",
};
#define PROGRAM_COUNT (sizeof(programs) / sizeof(programs[0]))

/* A veth leaves checksums to us without telling: AF_XDP has no room for that. */
static void warn_of_veth(const char *interface)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", interface);
	if (ioctl(fd, SIOCETHTOOL, &request) == 0 && strcmp(info.driver, "veth") == 0)
		log_warning("af_xdp_on_veth", log_str("interface", interface),
			log_str("problem",
				"AF_XDP carries no checksum state: packets of local "
				"senders arrive with unfinished checksums"),
			log_str("advice",
				"use netdev:INTERFACE, or run `ethtool -K PEER tx off` "
				"on the other end"));
	close(fd);
}

/* RTM_SETLINK with IFLA_XDP { IFLA_XDP_FD = -1 }; that there was none is no error. */
static void detach_program(unsigned int index)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		struct rtattr xdp, fd;
		int32_t fd_value;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_SETLINK,
			.nlmsg_flags = NLM_F_REQUEST},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index},
		.xdp = {.rta_len = sizeof(request.xdp) + sizeof(request.fd) + sizeof(int32_t),
			.rta_type = IFLA_XDP | NLA_F_NESTED},
		.fd = {.rta_len = sizeof(request.fd) + sizeof(int32_t), .rta_type = IFLA_XDP_FD},
		.fd_value = -1,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return;
	(void)send(fd, &request, sizeof(request), 0); /* done when it returns */
	close(fd);
}

int af_xdp_prepare(const char *interface, char program[AF_XDP_PROGRAM_SIZE], struct error *error)
{
	unsigned int index = if_nametoindex(interface);

	if (index == 0)
		return error_set(error, -ENODEV, "there is no interface %s", interface);
	for (size_t i = 0; i < PROGRAM_COUNT; i++) {
		if (access(programs[i], R_OK) < 0)
			continue;
		snprintf(program, AF_XDP_PROGRAM_SIZE, "%s", programs[i]);
		warn_of_veth(interface);
		detach_program(index);
		return 0;
	}
	return error_set(error, -ENOENT,
		"libxdp's program xsk_def_xdp_prog_5.3.o is not there: install libxdp1 (libxdp)");
}
