/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/sandbox.h"
#include "base/log.h"
#include "main/identity.h"
#include "main/role.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_IS_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_IS_SANITIZED
#define SANDBOX_IS_SANITIZED 0
#endif

/* Sockets of guests and clients, tables, queues: far above what a host of 1,000 ports needs. */
#define SANDBOX_DESCRIPTORS_MAX 16384

static int sandbox_bind_read_only(const char *from, const char *to, struct error *error)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};

	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
		return error_set(error, -errno, "mount namespace: %s: %s", from, strerror(errno));
	if (mount_setattr(AT_FDCWD, to, AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
		return error_set(
			error, -errno, "mount namespace: %s read-only: %s", from, strerror(errno));
	return 0;
}

static int sandbox_bind_if_there(const char *from, const char *to, struct error *error)
{
	struct stat info;

	/* What is a symbolic link (/bin) is reached, and protected, by its target. */
	if (lstat(from, &info) < 0 || !S_ISDIR(info.st_mode))
		return 0;
	return sandbox_bind_read_only(from, to, error);
}

/* In the manner of passt: a tmpfs becomes the root, and the old root goes away with everything that
 * was not bound into the new one. The folder it is mounted on only matters for a moment. */
static int sandbox_view_empty(struct error *error)
{
	static const char *const folders[] = {"etc", "run", "run/systemd", "run/systemd/journal"};
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
	int status;

	if (mount("none", "/tmp", "tmpfs", MS_NODEV | MS_NOEXEC | MS_NOSUID,
		    "mode=0755,nr_blocks=1,nr_inodes=32")
			< 0
		|| chdir("/tmp") < 0)
		return error_set(error, -errno, "mount namespace: new root: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		/* The role's user has to get through them, whatever the umask. */
		if (mkdir(folders[i], 0755) < 0 || chmod(folders[i], 0755) < 0)
			return error_set(
				error, -errno, "mount namespace: new root: %s", strerror(errno));
	/* For the names of users and groups, and the time zone. */
	status = sandbox_bind_if_there("/etc", "/tmp/etc", error);
	if (status == 0)
		status = sandbox_bind_if_there(
			"/run/systemd/journal", "/tmp/run/systemd/journal", error);
	if (status < 0)
		return status;
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_set(error, -errno, "mount namespace: pivot_root: %s", strerror(errno));
	if (mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof(attributes)) < 0)
		return error_set(
			error, -errno, "mount namespace: read-only root: %s", strerror(errno));
	return 0;
}

/* Other users' processes are not to be seen. Where that cannot be had (before Linux 5.8 it would
 * concern everybody; in some containers) their files in /proc are as open as to any user. */
static void sandbox_hide_processes(void)
{
	if (mount("proc", "/proc", "proc", MS_NODEV | MS_NOEXEC | MS_NOSUID, "hidepid=invisible")
		< 0)
		log_debug("processes_not_hidden", log_errno(-errno));
}

static int sandbox_view_system(struct error *error)
{
	static const char *const read_only[] = {
		"/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib64", "/sys", "/proc/sys"};
	/* Of no use to DPDK, its drivers or guests' sockets. Whoever has CAP_BPF and can open a
	 * control group attaches programs to it, which decide on devices and connections of all in
	 * it. */
	static const char *const hidden[] = {
		"/root", "/boot", "/media", "/srv", "/var/mail", "/var/spool", "/sys/fs/cgroup"};
	int status = 0;

	sandbox_hide_processes();
	for (size_t i = 0; status == 0 && i < sizeof(read_only) / sizeof(read_only[0]); i++)
		status = sandbox_bind_if_there(read_only[i], read_only[i], error);
	if (status < 0)
		return status;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (mount("none", hidden[i], "tmpfs", MS_RDONLY | MS_NODEV | MS_NOEXEC | MS_NOSUID,
			    "mode=0000,nr_blocks=1,nr_inodes=2")
				< 0
			&& errno != ENOENT)
			return error_set(error, -errno, "mount namespace: hiding %s: %s", hidden[i],
				strerror(errno));
	return 0;
}

static int sandbox_enter_view(enum sandbox_view view, struct error *error)
{
	/* Sockets that it gets as descriptors stay where they were made. */
	int network = view == SANDBOX_VIEW_EMPTY ? CLONE_NEWNET | CLONE_NEWIPC : 0;

	if (unshare(CLONE_NEWNS | network) < 0)
		return error_set(error, -errno,
			"namespaces: %s (CAP_SYS_ADMIN is needed in a container, and namespaces "
			"left in user.max_*_namespaces)",
			strerror(errno));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(
			error, -errno, "mount namespace: private root: %s", strerror(errno));
	return view == SANDBOX_VIEW_EMPTY ? sandbox_view_empty(error) : sandbox_view_system(error);
}

/* Raises a limit to wanted, or in a container that forbids it to what it allows. */
static void sandbox_raise_limit(int resource, rlim_t wanted, const char *name)
{
	struct rlimit limit = {wanted, wanted};

	if (setrlimit(resource, &limit) == 0)
		return;
	if (getrlimit(resource, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(resource, &limit);
	}
	log_debug("limit_not_raised", log_str("limit", name), log_uint("stays", limit.rlim_cur));
}

static int sandbox_set_limits(const struct sandbox *sandbox, struct error *error)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return error_set(error, -errno, "RLIMIT_CORE: %s", strerror(errno));
	sandbox_raise_limit(RLIMIT_NOFILE, SANDBOX_DESCRIPTORS_MAX, "descriptors");
	/* CAP_IPC_LOCK goes beyond it; drivers that look at the number are content too. */
	if (sandbox->may_lock_memory)
		sandbox_raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY, "locked memory");
	return 0;
}

static int sandbox_change_user(const struct role *role, struct error *error)
{
	struct identity identity;
	int status = identity_find(&identity, error);

	if (status < 0)
		return status;
	if (identity.is_fallback)
		log_warning("user_missing", log_str("user", IDENTITY_USER),
			log_str("instead", identity.user),
			log_str("remedy",
				"systemd-sysusers, or adduser --system --group bulkhead"));
	capng_clear(CAPNG_SELECT_BOTH);
	for (int capability = 0; capability <= CAP_LAST_CAP; capability++) {
		if (!(role->capabilities & 1ULL << capability))
			continue;
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			(unsigned)capability);
	}
	status = capng_change_id((int)identity.uid, (int)identity.gid,
		CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT);
	if (status != 0)
		return error_set(error, -EPERM,
			"cannot become the user %s with the role's capabilities (libcap-ng: %d)",
			identity.user, status);
	return 0;
}

int sandbox_enter(const struct role *role, struct error *error)
{
	int status;

	if (geteuid() != 0)
		return error_set(error, -EPERM, "roles are started by the broker, as root");
	/* Nobody but the group (QEMU's user is in it) uses the sockets that a role makes. */
	umask(0007);
	status = sandbox_set_limits(role->sandbox, error);
	if (status == 0)
		status = sandbox_enter_view(role->sandbox->view, error);
	if (status == 0)
		status = sandbox_change_user(role, error);
	if (status < 0)
		return status;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(error, -errno, "no_new_privs: %s", strerror(errno));
	/* Not to be traced by the other roles, which have the same user. The leak check at the end
	 * of a sanitizer's run has to trace, though. */
	if (prctl(PR_SET_DUMPABLE, SANDBOX_IS_SANITIZED, 0, 0, 0) < 0)
		return error_set(error, -errno, "dumpable: %s", strerror(errno));
	return 0;
}

static int sandbox_add_list(
	scmp_filter_ctx filter, const struct sandbox_call *call, struct error *error)
{
	for (; call->number != -1; call++) {
		struct scmp_arg_cmp condition =
			SCMP_CMP(call->argument, SCMP_CMP_MASKED_EQ, call->mask, call->value);
		int status = seccomp_rule_add_array(filter,
			call->error ? SCMP_ACT_ERRNO((uint32_t)call->error) : SCMP_ACT_ALLOW,
			call->number, call->mask ? 1 : 0, &condition);

		if (status < 0 && status != -EEXIST)
			return error_set(error, status, "seccomp: system call %d: %s", call->number,
				strerror(-status));
	}
	return 0;
}

int sandbox_confine(const struct role *role, struct error *error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int status = filter ? 0 : -ENOMEM;

	/* All threads. Their death is in the kernel's log with the number of the call without
	 * asking for it; asking (CTL_LOG) adds a line for each call that is only refused, such as
	 * clone3. */
	if (status == 0)
		status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Its flags are in memory, where a filter cannot look; libc then uses clone. */
	if (status == 0)
		status = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; status == 0 && role->sandbox->lists[i]; i++)
		status = sandbox_add_list(filter, role->sandbox->lists[i], error);
	if (status == 0 && SANDBOX_IS_SANITIZED)
		status = sandbox_add_list(filter, sandbox_sanitizer_calls, error);
	if (status == 0)
		status = seccomp_load(filter);
	if (status < 0 && error && !error->text[0])
		error_set(error, status, "seccomp: %s", strerror(-status));
	seccomp_release(filter);
	return status;
}

bool sandbox_is_sanitized(void)
{
	return SANDBOX_IS_SANITIZED;
}
