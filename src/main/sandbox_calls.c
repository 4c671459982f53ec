/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system calls that each role may make, put together by hand from what the role and its
 * libraries do. The scenarios run under these lists, so a call that is missing shows in them; one
 * that is not needed does not, and a list may hold some. What is not here kills the role; the
 * broker then logs which call it was.
 */
#include "main/sandbox.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* clang-format off */
#define ANY(name) {.number = SCMP_SYS(name)}
#define ONLY(name, argument_, mask_, value_) \
	{.number = SCMP_SYS(name), .argument = (argument_), .mask = (mask_), .value = (value_)}
#define REFUSE(name, error_) {.number = SCMP_SYS(name), .error = (error_)}
#define END {.number = -1}
/* clang-format on */
#define EXACTLY 0xffffffffULL

/* A new thread, and no new process or namespace. */
#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER               \
		| CLONE_NEWPID | CLONE_NEWNET)

/* libc, libuv's loop, channels and the log: every role. */
static const struct sandbox_call common_calls[] = {
	/* the loop */
	ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_pwait2), ANY(epoll_ctl), ANY(epoll_create1),
	ANY(poll), ANY(ppoll), ANY(eventfd2), ANY(pipe2), ANY(timerfd_create), ANY(timerfd_settime),
	/* channels; EVE, log and answers through descriptors */
	ANY(read), ANY(readv), ANY(pread64), ANY(write), ANY(writev), ANY(pwrite64), ANY(recvmsg),
	ANY(sendmsg), ANY(recvfrom), ANY(sendto), ANY(close), ANY(fcntl), ANY(dup), ANY(shutdown),
	ANY(getsockopt), ANY(setsockopt), ANY(getsockname), ANY(getpeername), ANY(accept4),
	ANY(lseek), ANY(fstat), ANY(newfstatat), ANY(fsync), ANY(ftruncate), ANY(memfd_create),
	/* journald's socket; syslog */
	ONLY(socket, 0, EXACTLY, AF_UNIX), ANY(connect),
	/* memory */
	ANY(brk), ANY(munmap), ANY(mremap), ANY(madvise),
	/* threads, time, signals of one's own, identity */
	ANY(futex), ANY(set_robust_list), ANY(rseq), ANY(sched_yield), ANY(clock_gettime),
	ANY(clock_getres), ANY(clock_nanosleep), ANY(nanosleep), ANY(gettimeofday), ANY(getpid),
	ANY(gettid), ANY(getuid), ANY(geteuid), ANY(getgid), ANY(getegid), ANY(rt_sigaction),
	ANY(rt_sigprocmask), ANY(rt_sigreturn), ANY(tgkill), ANY(restart_syscall), ANY(getrandom),
	ANY(uname), ANY(sysinfo), ANY(getrusage), ANY(alarm),
	/* of oneself; the other roles have the same user */
	ONLY(prlimit64, 0, EXACTLY, 0),
	ONLY(clone, 0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NAMESPACES,
		CLONE_VM | CLONE_THREAD | CLONE_SIGHAND),
	ANY(exit), ANY(exit_group), END};

static const struct sandbox_call control_calls[] = {
	/* never code of its own making */
	ONLY(mmap, 2, PROT_EXEC, 0), ONLY(mprotect, 2, PROT_EXEC, 0),
	/* names of users and groups, the time zone: /etc is all there is to open */
	ANY(openat), ANY(getdents64), ANY(lstat), ANY(stat), ANY(access), ANY(faccessat2),
	/* libmicrohttpd */
	ANY(accept), ANY(select), ANY(pselect6), ANY(ioctl), END};

static const struct sandbox_call packet_calls[] = {
	/* PCRE2's compiler of patterns makes code */
	ANY(mmap), ANY(mprotect), ANY(mlock), ANY(munlock), ANY(mlockall), ANY(mbind),
	ANY(get_mempolicy), ANY(set_mempolicy), ANY(fallocate), ANY(msync),
	/* EAL and drivers: /sys, hugepages, the files of --file-prefix, sockets of guests */
	ANY(open), ANY(openat), ANY(access), ANY(faccessat), ANY(faccessat2), ANY(stat), ANY(lstat),
	ANY(statfs), ANY(fstatfs), ANY(getdents64), ANY(readlink), ANY(readlinkat), ANY(getcwd),
	ANY(mkdir), ANY(unlink), ANY(unlinkat), ANY(rmdir), ANY(rename), ANY(chmod), ANY(fchmod),
	ANY(flock), ANY(inotify_init1), ANY(inotify_add_watch), ANY(inotify_rm_watch), ANY(ioctl),
	ANY(socketpair), ANY(bind), ANY(listen), ANY(accept), ANY(select), ANY(pselect6),
	/* a memif's bell (signal_bell.h) */
	ANY(io_setup), ANY(io_submit), ANY(io_getevents), ANY(io_destroy),
	/* AF_XDP with its program and rings, AF_PACKET, interfaces' state */
	ONLY(socket, 0, EXACTLY, AF_NETLINK), ONLY(socket, 0, EXACTLY, AF_PACKET),
	ONLY(socket, 0, EXACTLY, AF_XDP), ONLY(socket, 0, EXACTLY, AF_INET),
	/* what libbpf and libxdp load and find programs and maps with: no attaching to anything but
	 * an interface, no iteration over those of others */
	ONLY(bpf, 0, EXACTLY, BPF_MAP_CREATE), ONLY(bpf, 0, EXACTLY, BPF_MAP_LOOKUP_ELEM),
	ONLY(bpf, 0, EXACTLY, BPF_MAP_UPDATE_ELEM), ONLY(bpf, 0, EXACTLY, BPF_MAP_DELETE_ELEM),
	ONLY(bpf, 0, EXACTLY, BPF_MAP_FREEZE), ONLY(bpf, 0, EXACTLY, BPF_PROG_LOAD),
	ONLY(bpf, 0, EXACTLY, BPF_PROG_TEST_RUN), ONLY(bpf, 0, EXACTLY, BPF_OBJ_PIN),
	ONLY(bpf, 0, EXACTLY, BPF_OBJ_GET), ONLY(bpf, 0, EXACTLY, BPF_PROG_GET_FD_BY_ID),
	ONLY(bpf, 0, EXACTLY, BPF_MAP_GET_FD_BY_ID), ONLY(bpf, 0, EXACTLY, BPF_BTF_LOAD),
	ONLY(bpf, 0, EXACTLY, BPF_BTF_GET_FD_BY_ID), ONLY(bpf, 0, EXACTLY, BPF_OBJ_GET_INFO_BY_FD),
	ONLY(bpf, 0, EXACTLY, BPF_LINK_CREATE),
	/* EAL asks for the ports of the CPU, which drivers of old virtio devices want */
	REFUSE(iopl, EPERM), REFUSE(ioperm, EPERM), ANY(epoll_create),
	/* librte_vhost, when a front end sends POSTCOPY_ADVISE, which was not offered */
	REFUSE(userfaultfd, EPERM),
	/* bursts of the kernel backend, the workers' naps and places */
	ANY(recvmmsg), ANY(sendmmsg), ANY(sched_setaffinity), ANY(sched_getaffinity),
	ANY(sched_getparam), ANY(sched_getscheduler), ANY(sched_setscheduler), ANY(getcpu),
	ANY(timerfd_gettime), ANY(prctl), ANY(membarrier), ANY(rt_sigtimedwait), ANY(sigaltstack),
	END};

static const struct sandbox_call channel_calls[] = {
	/* rings, heap and stacks of threads; never code */
	ONLY(mmap, 2, PROT_EXEC, 0), ONLY(mprotect, 2, PROT_EXEC, 0), ANY(mlock),
	/* of new threads: libc sets their places */
	ANY(sched_setaffinity), ANY(sched_getaffinity),
	/* the interrupts of guests (signal_bell.h) */
	ANY(io_setup), ANY(io_submit), ANY(io_getevents), ANY(io_destroy),
	/* of what a guest's memory is */
	ANY(fstatfs),
	/* libuv, of each descriptor that it polls */
	ONLY(ioctl, 1, EXACTLY, FIONBIO),
	/* the log: is there a journal? */
	ANY(access), ANY(faccessat), END};

static const struct sandbox_call *const control_lists[] = {common_calls, control_calls, NULL};
static const struct sandbox_call *const packet_lists[] = {common_calls, packet_calls, NULL};

static const struct sandbox_call *const channel_lists[] = {common_calls, channel_calls, NULL};

const struct sandbox sandbox_channel = {
	.view = SANDBOX_VIEW_EMPTY, .lists = channel_lists, .may_lock_memory = true};
const struct sandbox sandbox_control = {.view = SANDBOX_VIEW_EMPTY, .lists = control_lists};
const struct sandbox sandbox_packet = {
	.view = SANDBOX_VIEW_SYSTEM, .lists = packet_lists, .may_lock_memory = true};

/* What the run-time of a sanitizer does on top, mostly when it reports. */
const struct sandbox_call sandbox_sanitizer_calls[] = {ANY(openat), ANY(readlink), ANY(readlinkat),
	ANY(getcwd), ANY(newfstatat), ANY(sigaltstack), ANY(sched_getaffinity), ANY(personality),
	ANY(getdents64), ANY(clone), ANY(wait4), ANY(ptrace), ANY(prctl), ANY(process_vm_readv),
	ANY(pipe2), ANY(kill), ANY(tgkill), ANY(getrlimit), ANY(setrlimit), ANY(prlimit64),
	ANY(getppid), ANY(fork), ANY(execve), ANY(dup2), ANY(ioctl), ANY(lseek), ANY(access),
	ANY(unlink), ANY(mmap), ANY(mprotect), END};
