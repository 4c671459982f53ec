/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/interface.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One ioctl of netdevice(7) on the interface named in request. */
static int interface_ioctl(const char *name, unsigned long code, struct ifreq *request,
	const char *what, struct error *error)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int status = 0;

	if (fd < 0)
		return error_set(error, -errno, "socket: %s", strerror(errno));
	strncpy(request->ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, code, request) < 0)
		status = error_set(
			error, -errno, "interface %s: %s: %s", name, what, strerror(errno));
	close(fd);
	return status;
}

int interface_find(const char *name, struct interface_info *out, struct error *error)
{
	struct ifreq request = {0};
	int status;

	status = interface_ioctl(name, SIOCGIFINDEX, &request, "cannot be found", error);
	if (status < 0)
		return status;
	out->index = request.ifr_ifindex;
	status = interface_ioctl(name, SIOCGIFHWADDR, &request, "has no address", error);
	if (status < 0)
		return status;
	memcpy(out->mac, request.ifr_hwaddr.sa_data, sizeof(out->mac));
	status = interface_ioctl(name, SIOCGIFMTU, &request, "has no MTU", error);
	if (status < 0)
		return status;
	out->mtu_bytes = request.ifr_mtu;
	status = interface_ioctl(name, SIOCGIFFLAGS, &request, "has no flags", error);
	out->is_loopback = request.ifr_flags & IFF_LOOPBACK;
	return status;
}

int interface_set_mtu(const char *name, int mtu_bytes, struct error *error)
{
	struct ifreq request = {.ifr_mtu = mtu_bytes};

	return interface_ioctl(name, SIOCSIFMTU, &request, "this MTU cannot be set", error);
}

int interface_set_mac(const char *name, const uint8_t mac[6], struct error *error)
{
	struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

	memcpy(request.ifr_hwaddr.sa_data, mac, 6);
	return interface_ioctl(
		name, SIOCSIFHWADDR, &request, "this MAC address cannot be set", error);
}

static int interface_set_flag(
	const char *name, short flag, const char *problem, struct error *error)
{
	struct ifreq request = {0};
	int status = interface_ioctl(name, SIOCGIFFLAGS, &request, "has no flags", error);

	if (status < 0 || (request.ifr_flags & flag))
		return status;
	request.ifr_flags |= flag;
	return interface_ioctl(name, SIOCSIFFLAGS, &request, problem, error);
}

int interface_set_up(const char *name, struct error *error)
{
	return interface_set_flag(name, IFF_UP, "cannot be set up", error);
}

int interface_set_no_arp(const char *name, struct error *error)
{
	return interface_set_flag(name, IFF_NOARP, "ARP cannot be taken off", error);
}

/* Between the kernel's local table (0) and its main one (32766). */
#define SOURCE_RULE_PRIORITY 20000

struct address_message {
	struct nlmsghdr header;
	struct ifaddrmsg address;
	char attributes[2 * RTA_SPACE(sizeof(struct in6_addr))];
};

/* message is a whole one, which has the room, and begins with its nlmsghdr. */
static void attribute_put(void *message, unsigned short type, const void *data, unsigned short size)
{
	struct nlmsghdr *header = message;
	struct rtattr *attribute =
		(struct rtattr *)((char *)message + NLMSG_ALIGN(header->nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), data, size);
	header->nlmsg_len = NLMSG_ALIGN(header->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

/* Sends and waits for the kernel's acknowledgement: 0 or its negative errno. */
static int netlink_ask(const struct nlmsghdr *message)
{
	char answer[4096];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	int status = -EPROTO;
	ssize_t size;

	if (fd < 0)
		return -errno;
	if (send(fd, message, message->nlmsg_len, 0) < 0
		|| (size = recv(fd, answer, sizeof(answer), 0)) < 0)
		status = -errno;
	else if (size >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))
		&& header->nlmsg_type == NLMSG_ERROR)
		status = ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
	close(fd);
	return status;
}

struct link_message {
	struct nlmsghdr header;
	struct ifinfomsg link;
	struct rtattr attribute;
	uint32_t group;
};

static int interface_ask_group(unsigned short type, int index, uint32_t group)
{
	struct link_message message = {
		.header = {.nlmsg_len = sizeof(message),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.link = {.ifi_family = AF_UNSPEC, .ifi_index = index},
		.attribute = {.rta_len = RTA_LENGTH(sizeof(group)), .rta_type = IFLA_GROUP},
		.group = group,
	};

	return netlink_ask(&message.header);
}

int interface_set_group(const char *name, uint32_t group)
{
	struct interface_info info;
	struct error error;
	int status = interface_find(name, &info, &error);

	return status < 0 ? status : interface_ask_group(RTM_SETLINK, info.index, group);
}

int interface_remove_group(uint32_t group)
{
	return interface_ask_group(RTM_DELLINK, 0, group);
}

static int interface_change_address(
	int index, const struct address_param *address, unsigned short type, unsigned short flags)
{
	unsigned short size = address->family == AF_INET6 ? 16 : 4;
	struct address_message message = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags},
		.address = {.ifa_family = (unsigned char)address->family,
			.ifa_prefixlen = address->prefix,
			.ifa_index = (unsigned)index},
	};

	/* No duplicate address detection: the address is to work at once, and who else has it is
	 * known from the configuration. */
	if (address->family == AF_INET6)
		message.address.ifa_flags = IFA_F_NODAD;
	attribute_put(&message, IFA_LOCAL, address->bytes, size);
	attribute_put(&message, IFA_ADDRESS, address->bytes, size);
	return netlink_ask(&message.header);
}

int interface_add_address(int index, const struct address_param *address, struct error *error)
{
	int status =
		interface_change_address(index, address, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);

	return status == 0 || status == -EEXIST
		? 0
		: error_set(error, status, "interface %d: address cannot be added: %s", index,
			strerror(-status));
}

int interface_remove_address(int index, const struct address_param *address, struct error *error)
{
	int status = interface_change_address(index, address, RTM_DELADDR, 0);

	return status == 0 || status == -EADDRNOTAVAIL
		? 0
		: error_set(error, status, "interface %d: address cannot be removed: %s", index,
			strerror(-status));
}

/* ---- hidden interfaces ---- */

static int read_setting(const char *path, int *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), status = 0;
	char text[16] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		status = -errno;
	*out = atoi(text);
	if (fd >= 0)
		close(fd);
	return status;
}

static int write_setting(const char *path, int value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), status = 0;

	if (fd < 0 || dprintf(fd, "%d\n", value) < 0)
		status = -errno;
	if (fd >= 0)
		close(fd);
	return status;
}

/* At least so much: where nobody may write, it may be so already. */
static int raise_setting(const char *path, int value, struct error *error)
{
	int present, status = read_setting(path, &present);

	if (status == 0 && present < value)
		status = write_setting(path, value);
	return status == 0 ? 0
			   : error_set(error, status,
				   "%s has to be %d, or other interfaces would answer for the "
				   "addresses, and it cannot be set: %s",
				   path, value, strerror(-status));
}

int interface_hide_addresses(struct error *error)
{
	int status = raise_setting("/proc/sys/net/ipv4/conf/all/arp_ignore", 1, error);

	return status < 0 ? status
			  : raise_setting("/proc/sys/net/ipv4/conf/all/arp_announce", 2, error);
}

struct rule_message {
	struct nlmsghdr header;
	struct fib_rule_hdr rule;
	char attributes[RTA_SPACE(sizeof(struct in6_addr)) + 2 * RTA_SPACE(sizeof(uint32_t))];
};

static int change_source_rule(const struct address_param *address, uint32_t table,
	unsigned short type, unsigned short flags)
{
	unsigned short size = address->family == AF_INET6 ? 16 : 4;
	uint32_t priority = SOURCE_RULE_PRIORITY;
	struct rule_message message = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct fib_rule_hdr)),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags},
		.rule = {.family = (unsigned char)address->family,
			.src_len = (unsigned char)(size * 8),
			.action = FR_ACT_TO_TBL},
	};

	attribute_put(&message, FRA_SRC, address->bytes, size);
	attribute_put(&message, FRA_TABLE, &table, sizeof(table));
	attribute_put(&message, FRA_PRIORITY, &priority, sizeof(priority));
	return netlink_ask(&message.header);
}

int interface_add_source_rule(
	const struct address_param *address, uint32_t table, struct error *error)
{
	int status = change_source_rule(address, table, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);

	return status == 0 || status == -EEXIST
		? 0
		: error_set(error, status, "a rule for table %u cannot be added: %s", table,
			strerror(-status));
}

int interface_remove_source_rule(
	const struct address_param *address, uint32_t table, struct error *error)
{
	int status = change_source_rule(address, table, RTM_DELRULE, 0);

	return status == 0 || status == -ENOENT
		? 0
		: error_set(error, status, "a rule for table %u cannot be removed: %s", table,
			strerror(-status));
}

struct route_message {
	struct nlmsghdr header;
	struct rtmsg route;
	char attributes[2 * RTA_SPACE(sizeof(uint32_t))];
};

int interface_add_default_route(int index, int family, uint32_t table, struct error *error)
{
	struct route_message message = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			.nlmsg_type = RTM_NEWROUTE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE},
		.route = {.rtm_family = (unsigned char)family,
			.rtm_table = RT_TABLE_UNSPEC,
			.rtm_protocol = RTPROT_STATIC,
			.rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
			.rtm_type = RTN_UNICAST},
	};
	int status;

	attribute_put(&message, RTA_OIF, &index, sizeof(index));
	attribute_put(&message, RTA_TABLE, &table, sizeof(table));
	status = netlink_ask(&message.header);
	return status == 0 ? 0
			   : error_set(error, status, "a route in table %u cannot be added: %s",
				   table, strerror(-status));
}
