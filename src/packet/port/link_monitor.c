/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/link_monitor.h"

#include "base/log.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_SIZE 16384 /* what the kernel puts into one datagram (NLMSG_GOODSIZE), and more */

static struct {
	int fd;
	uv_poll_t poll;
	bool is_dumping; /* the kernel is telling of all links */
	bool is_stale; /* and has to do it once more, since something was asked or lost meanwhile */
	void (*on_news)(const struct link_news *news);
} monitor = {.fd = -1};

static void read_message(const struct nlmsghdr *header)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);
	struct link_news news = {0};
	int size = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*info));

	if ((header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) || size < 0)
		return;
	news.index = info->ifi_index;
	news.is_gone = header->nlmsg_type == RTM_DELLINK;
	news.is_up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
	/* With a carrier, and not running yet: the kernel's worker for links (linkwatch) is on its
	 * way. */
	news.is_settled =
		news.is_up || !(info->ifi_flags & IFF_LOWER_UP) || (info->ifi_flags & IFF_DORMANT);
	for (const struct rtattr *at = IFLA_RTA(info); RTA_OK(at, size); at = RTA_NEXT(at, size))
		if (at->rta_type == IFLA_MTU && RTA_PAYLOAD(at) >= sizeof(news.mtu_bytes))
			memcpy(&news.mtu_bytes, RTA_DATA(at), sizeof(news.mtu_bytes));
	/* Bridges tell of their ports with other families; those are not the link's own. */
	if (info->ifi_family == AF_UNSPEC)
		monitor.on_news(&news);
}

/* The kernel paces a dump by what was read of it, so that nothing of one is lost. */
static void end_dump(void)
{
	monitor.is_dumping = false;
	if (monitor.is_stale)
		link_monitor_ask();
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	_Alignas(struct nlmsghdr) char buffer[MESSAGE_SIZE];

	/* An overrun is an error of the socket's, on which libuv stops its watching. */
	if (status < 0)
		uv_poll_start(poll, UV_READABLE, on_readable);
	for (;;) {
		ssize_t received = recv(monitor.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		unsigned int size = received > 0 ? (unsigned int)received : 0;

		if (received < 0 && errno == ENOBUFS) {
			link_monitor_ask(); /* news were lost */
			continue;
		}
		if (received <= 0)
			return;
		for (const struct nlmsghdr *at = (const void *)buffer; NLMSG_OK(at, size);
			at = NLMSG_NEXT(at, size)) {
			monitor.is_stale |= (at->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (at->nlmsg_type == NLMSG_DONE || at->nlmsg_type == NLMSG_ERROR)
				end_dump();
			else
				read_message(at);
		}
	}
}

void link_monitor_ask(void)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.info = {.ifi_family = AF_UNSPEC},
	};

	monitor.is_stale = monitor.is_dumping;
	if (monitor.is_dumping)
		return;
	monitor.is_dumping = send(monitor.fd, &request, sizeof(request), MSG_DONTWAIT) > 0;
	if (!monitor.is_dumping)
		log_warning("links_not_asked", log_errno(-errno));
}

int link_monitor_start(
	uv_loop_t *loop, void (*on_news)(const struct link_news *news), struct error *error)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	monitor.on_news = on_news;
	monitor.is_dumping = monitor.is_stale = false;
	monitor.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (monitor.fd < 0)
		return error_set(error, -errno, "netlink socket: %s", strerror(errno));
	if (bind(monitor.fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int code = -errno;

		close(monitor.fd);
		monitor.fd = -1;
		return error_set(error, code, "netlink socket: %s", strerror(-code));
	}
	uv_poll_init(loop, &monitor.poll, monitor.fd);
	uv_poll_start(&monitor.poll, UV_READABLE, on_readable);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	close(monitor.fd);
	monitor.fd = -1;
}

void link_monitor_stop(void)
{
	if (monitor.fd < 0)
		return;
	uv_poll_stop(&monitor.poll);
	uv_close((uv_handle_t *)&monitor.poll, on_closed);
}
