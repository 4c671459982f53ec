/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/keeper.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "main/backoff.h"
#include "main/broker.h"
#include "main/death.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define OOM_SCORE_FILE "/proc/self/oom_score_adj"
/* Less than what a role's call waits for its answer (IPC_CALL_TIMEOUT_MS), and still little work
 * when the broker dies at each start. */
#define BROKER_WAIT_MAX_MS 2000

struct keeper {
	const struct broker_options *options;
	struct keeper_store store;
	struct handover_header header;
	struct backoff backoff;
	pid_t broker;  /* 0: none, the next is due */
	int fd;        /* to the broker; -1: it closed its end */
	int broker_fd; /* its end, until it has it */
	int signal_fd;
	uint64_t started_ms, due_ms;
	char oom_score[16]; /* of before; "": it stayed */
	bool is_done;
	int exit_code;
};

static uint64_t now_ms(void)
{
	return clock_monotonic_ns() / CLOCK_NS_PER_MS;
}

/* --- The broker's process --- */

static void write_oom_score(const char *score)
{
	int fd = open(OOM_SCORE_FILE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, score, strlen(score)) < 0)
		log_debug("oom_score_stays", log_errno(-errno));
	if (fd >= 0)
		close(fd);
}

/* The child's part of the start. Signals stay blocked until the broker can handle them. */
static _Noreturn void become_broker(const struct keeper *keeper, int handover)
{
	char *arguments[] = {"bulkheadd", "--broker", "--config",
		(char *)keeper->options->config_path,
		keeper->options->is_foreground ? "--foreground" : NULL, NULL};

	/* The terminal's Ctrl-C comes once: through the keeper. */
	setsid();
	if (keeper->oom_score[0])
		write_oom_score(keeper->oom_score);
	keeper_store_share(&keeper->store);
	if (keeper->header.ready_fd >= 0)
		fcntl(keeper->header.ready_fd, F_SETFD, 0);
	unsetenv("NOTIFY_SOCKET"); /* nobody hears it there */
	unsetenv("WATCHDOG_PID");  /* it is the broker who has to show that it works */
	if (dup2(keeper->broker_fd, KEEPER_FD) >= 0 && dup2(handover, HANDOVER_FD) >= 0)
		execv("/proc/self/exe", arguments);
	abort(); /* tried again, unlike an exit */
}

static int start_broker(struct keeper *keeper)
{
	int handover = memfd_create("handover", MFD_CLOEXEC);
	int status = handover < 0 ? -errno : 0;

	if (status == 0)
		status = keeper_store_write(&keeper->store, &keeper->header, handover);
	if (status == 0) {
		pid_t pid = fork();

		if (pid == 0)
			become_broker(keeper, handover);
		status = pid < 0 ? -errno : 0;
		keeper->broker = pid < 0 ? 0 : pid;
	}
	if (handover >= 0)
		close(handover);
	keeper->started_ms = now_ms();
	if (status < 0)
		return status;
	close(keeper->broker_fd);
	keeper->broker_fd = -1;
	if (keeper->header.ready_fd >= 0)
		close(keeper->header.ready_fd); /* only the first has somebody to tell */
	keeper->header.ready_fd = -1;
	return 0;
}

static int connect_broker(struct keeper *keeper)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	keeper->fd = fds[0];
	keeper->broker_fd = fds[1];
	return 0;
}

static void start_later(struct keeper *keeper)
{
	uint32_t wait_ms = backoff_next(&keeper->backoff, now_ms() - keeper->started_ms);

	keeper->due_ms = now_ms() + (wait_ms < BROKER_WAIT_MAX_MS ? wait_ms : BROKER_WAIT_MAX_MS);
}

static void start_again(struct keeper *keeper)
{
	int status = start_broker(keeper);

	if (status == 0)
		return;
	log_error("broker_not_started", log_errno(status));
	start_later(keeper);
}

/* --- What the broker says --- */

static void notify(struct keeper_message *message, size_t size)
{
	size_t length = size - offsetof(struct keeper_message, data);

	if (length < sizeof(message->data)) {
		message->data[length] = '\0';
		sd_notify(0, (const char *)message->data);
	}
}

static void change_store(struct keeper *keeper, struct keeper_message *message, size_t size,
	const int *descriptors, size_t count, bool is_cut)
{
	int status;

	/* Without all of its descriptors it is worth nothing. */
	if (is_cut)
		message->operation = KEEPER_DROP;
	status = keeper_store_change(&keeper->store, message, size, descriptors, count);
	if (status < 0 || is_cut)
		log_error("broker_item_lost", log_errno(status < 0 ? status : -EMFILE));
}

/* Reads one packet; false when there is none. */
static bool receive(struct keeper *keeper)
{
	static struct keeper_message message;
	DESCRIPTORS_ROOM(KEEPER_DESCRIPTORS_MAX) room;
	struct iovec part = {&message, sizeof(message)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room)};
	ssize_t size = recvmsg(keeper->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int descriptors[KEEPER_DESCRIPTORS_MAX];
	size_t count;

	if (size == 0) {
		close(keeper->fd);
		keeper->fd = -1;
	}
	if (size <= 0)
		return false;
	count = descriptors_take(&header, descriptors, KEEPER_DESCRIPTORS_MAX);
	if ((size_t)size >= offsetof(struct keeper_message, data) && count == 0
		&& message.operation == KEEPER_NOTIFY)
		notify(&message, (size_t)size);
	else
		change_store(keeper, &message, (size_t)size, descriptors, count,
			header.msg_flags & MSG_CTRUNC);
	return true;
}

/* --- Ends of processes --- */

static void on_broker_end(struct keeper *keeper, pid_t pid, int status)
{
	char how[128];

	while (keeper->fd >= 0 && receive(keeper))
		continue;
	if (keeper->fd >= 0)
		close(keeper->fd);
	keeper->fd = -1;
	keeper->broker = 0;
	death_describe(pid, status, how, sizeof(how));
	/* A broker that exits wanted to; and one that left nothing died while the daemon was
	 * starting, which is final. */
	if (WIFEXITED(status) || keeper->store.count == 0) {
		keeper->is_done = true;
		keeper->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (!WIFEXITED(status))
			log_error("broker_ended", log_int("pid", pid), log_str("how", how),
				log_str("effect", "the daemon ends: it had not started yet"));
		return;
	}
	keeper->header.restarts++;
	keeper->header.last = (struct keeper_ended){pid, status};
	start_later(keeper);
	log_error("broker_ended", log_int("pid", pid), log_str("how", how),
		log_str("effect", "another takes over"),
		log_uint("restarts", keeper->header.restarts));
	/* Now, so that it is told what ends until it runs. */
	if (connect_broker(keeper) < 0)
		abort(); /* without descriptors there is nothing to go on with */
}

static void reap(struct keeper *keeper)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct keeper_ended ended = {pid, status};

		if (pid == keeper->broker)
			on_broker_end(keeper, pid, status);
		else if (keeper->fd >= 0)
			send(keeper->fd, &ended, sizeof(ended), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

static void on_signal(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	if (read(keeper->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	reap(keeper); /* also before others: a dead broker would not hear of them */
	if (info.ssi_signo == SIGCHLD || keeper->is_done)
		return;
	if (info.ssi_signo != SIGHUP)
		keeper->header.is_asked_to_stop = true;
	if (keeper->broker) {
		kill(keeper->broker, (int)info.ssi_signo);
		return;
	}
	/* Who asks for something does not wait for a back-off. That it is to stop is handed over.
	 */
	start_again(keeper);
	if (keeper->broker && info.ssi_signo == SIGHUP)
		kill(keeper->broker, SIGHUP);
}

/* --- The keeper's own life --- */

/* Numbers that the broker gets as they are belong to nobody else here. */
static int reserve_descriptors(struct keeper *keeper)
{
	int ready_fd = keeper->options->ready_fd;

	if (ready_fd >= 0) {
		keeper->header.ready_fd = fcntl(ready_fd, F_DUPFD_CLOEXEC, HANDOVER_FD + 1);
		close(ready_fd);
	}
	if (fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, KEEPER_FD) != KEEPER_FD
		|| fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, HANDOVER_FD) != HANDOVER_FD)
		return -EMFILE;
	return 0;
}

/* The process that is needed most and uses least is the last to go when memory is short. */
static void protect_from_oom(struct keeper *keeper)
{
	int fd = open(OOM_SCORE_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, keeper->oom_score, sizeof(keeper->oom_score) - 1);

	if (fd >= 0)
		close(fd);
	if (size > 0)
		write_oom_score("-1000");
}

static int keeper_init(struct keeper *keeper)
{
	struct rlimit limit;
	sigset_t signals;
	int status = reserve_descriptors(keeper);

	if (status < 0)
		return status;
	keeper_store_init(&keeper->store);
	protect_from_oom(keeper);
	/* Queues of TAPs; what roles may have they set themselves. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	keeper->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper->signal_fd < 0)
		return -errno;
	return connect_broker(keeper);
}

static void keeper_wait(struct keeper *keeper)
{
	struct pollfd polls[] = {
		{.fd = keeper->signal_fd, .events = POLLIN}, {.fd = keeper->fd, .events = POLLIN}};
	uint64_t now = now_ms();
	int timeout_ms = -1;

	if (!keeper->broker)
		timeout_ms = keeper->due_ms > now ? (int)(keeper->due_ms - now) : 0;
	if (!keeper->broker && timeout_ms == 0)
		start_again(keeper);
	else if (poll(polls, 2, timeout_ms) > 0) {
		if (polls[1].revents)
			receive(keeper);
		if (polls[0].revents)
			on_signal(keeper);
	}
}

int keeper_run(const struct broker_options *options)
{
	struct keeper keeper = {
		.options = options, .header.ready_fd = -1, .fd = -1, .broker_fd = -1};
	int status;

	log_open(options->is_foreground ? LOG_SINK_STDERR : LOG_SINK_JOURNALD, -1, "keeper",
		LOG_LEVEL_INFO);
	status = keeper_init(&keeper);
	if (status == 0)
		status = start_broker(&keeper);
	if (status < 0) {
		log_error("start_failed", log_errno(status));
		return 1;
	}
	while (!keeper.is_done)
		keeper_wait(&keeper);
	keeper_store_clear(&keeper.store);
	log_close();
	return keeper.exit_code;
}
