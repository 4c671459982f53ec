/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bulkhead-agent: channels in a virtual machine. It listens on a socket as the channel role does on
 * a host's, so that programs use the same library, and passes on over vsock what processes say. It
 * has to be the one that may use privileged ports (CAP_NET_BIND_SERVICE), and needs no other right.
 */
#include "agent/agent_process.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define AGENT_SOCKET   "/run/bulkhead-agent/channel.sock"
#define AGENT_BACKLOG  64
#define AGENT_EVENTS   64
#define AGENT_RETRY_MS 100 /* while there are no descriptors left */
#define AGENT_TICK_MS  3000

struct agent {
	const char *path;
	mode_t mode;
	int listen, epoll;
	struct list processes; /* of struct agent_process */
	uint64_t tick_due_ms;
};

static const char usage[] =
	"usage: bulkhead-agent [--socket PATH] [--access group|all]\n"
	"\n"
	"Channels for the processes of a virtual machine: they attach to the socket, and the\n"
	"channel role of the host's bulkheadd knows them as the machine's.\n"
	"\n"
	"  --socket PATH       where processes attach (" AGENT_SOCKET ")\n"
	"  --access group|all  who may: the agent's group (the default), or all who reach it\n"
	"  --version, --help\n"
	"\n"
	"Environment: NOTIFY_SOCKET, as systemd sets it.\n";

static void parse(int argc, char **argv, struct agent *agent)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
		{"access", required_argument, NULL, 'a'}, {"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int option;

	*agent = (struct agent){.path = AGENT_SOCKET, .mode = 0660};
	list_init(&agent->processes);
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 's') {
			agent->path = optarg;
		} else if (option == 'a' && strcmp(optarg, "all") == 0) {
			agent->mode = 0666;
		} else if (option == 'v') {
			puts("bulkhead-agent " BULKHEAD_VERSION);
			exit(0);
		} else if (option == 'h') {
			fputs(usage, stdout);
			exit(0);
		} else if (option != 'a' || strcmp(optarg, "group") != 0) {
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		exit(2);
	}
}

/* A socket that somebody still listens on is not taken away. */
static void remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct stat info;

	if (fd < 0)
		err(1, "socket");
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		errx(1, "%s: another process listens there", address->sun_path);
	close(fd);
	if (lstat(address->sun_path, &info) == 0 && S_ISSOCK(info.st_mode)
		&& unlink(address->sun_path) < 0)
		err(1, "%s", address->sun_path);
}

static void open_agent(struct agent *agent)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int yes = 1;

	if (strlen(agent->path) >= sizeof(address.sun_path))
		errx(2, "%s: too long for a socket", agent->path);
	strcpy(address.sun_path, agent->path);
	remove_stale(&address);
	agent->listen = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	umask(0777 & ~agent->mode);
	/* What is accepted inherits it: each packet bears the credentials of who sent it. */
	if (agent->listen < 0
		|| bind(agent->listen, (const struct sockaddr *)&address, sizeof(address)) < 0
		|| setsockopt(agent->listen, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0
		|| listen(agent->listen, AGENT_BACKLOG) < 0)
		err(1, "%s", agent->path);
	agent->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (agent->epoll < 0 || epoll_ctl(agent->epoll, EPOLL_CTL_ADD, agent->listen, &event) < 0)
		err(1, "epoll");
}

/* sd_notify(3), by hand: the program is static. */
static void tell_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return;
	strcpy(address.sun_path, path);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)!sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
	close(fd);
}

/* false: there is no descriptor for who waits. */
static bool accept_process(struct agent *agent)
{
	int fd = accept4(agent->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct agent_process *process;

	if (fd < 0)
		return errno != EMFILE && errno != ENFILE && errno != ENOMEM;
	process = agent_process_open(agent->epoll, fd);
	if (process)
		list_append(&agent->processes, agent_process_node(process));
	return true;
}

/* Gives each one that was woken its turn; whether there is more. */
static bool run_all(struct agent *agent)
{
	bool has_more = false;

	list_foreach_safe (node, &agent->processes) {
		struct agent_process *process = agent_process_of(node);
		int status = agent_process_run(process);

		if (status < 0)
			agent_process_close(process);
		has_more |= status > 0;
	}
	return has_more;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void tick(struct agent *agent)
{
	if (now_ms() < agent->tick_due_ms)
		return;
	agent->tick_due_ms = now_ms() + AGENT_TICK_MS;
	list_foreach_safe (node, &agent->processes) {
		struct agent_process *process = agent_process_of(node);

		if (agent_process_tick(process) < 0)
			agent_process_close(process);
	}
}

/* With nobody attached there is nothing to be waited for but who comes. */
static int timeout_of(const struct agent *agent, bool has_more, bool is_short)
{
	uint64_t now = now_ms();

	if (has_more)
		return 0;
	if (is_short)
		return AGENT_RETRY_MS;
	if (list_is_empty(&agent->processes))
		return -1;
	return agent->tick_due_ms > now ? (int)(agent->tick_due_ms - now) : 0;
}

int main(int argc, char **argv)
{
	struct epoll_event events[AGENT_EVENTS];
	int timeout_ms = -1;
	struct agent agent;

	parse(argc, argv, &agent);
	signal(SIGPIPE, SIG_IGN);
	open_agent(&agent);
	tell_ready();
	for (;;) {
		int count = epoll_wait(agent.epoll, events, AGENT_EVENTS, timeout_ms);
		bool is_short = false;

		if (count < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < count; i++)
			if (events[i].data.ptr)
				agent_process_wake(events[i].data.ptr);
			else
				is_short = !accept_process(&agent);
		tick(&agent);
		timeout_ms = timeout_of(&agent, run_all(&agent), is_short);
	}
}
