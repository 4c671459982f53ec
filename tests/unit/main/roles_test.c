/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/role.h"
#include "main/sandbox.h"

#include <linux/capability.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void each_row_is_complete(void **state)
{
	for (const struct role *role = roles; role->name; role++) {
		assert_non_null(role->job);
		assert_non_null(role->ops);
		assert_non_null(role->ops->start);
		assert_non_null(role->ops->stop);
		assert_non_null(role->peers);
		assert_non_null(role->requests);
		assert_non_null(role->method_prefixes);
		assert_non_null(role->sandbox);
		assert_ptr_equal(role_find(role->name), role);
		for (const char *const *peer = role->peers; *peer; peer++)
			assert_non_null(role_find(*peer));
	}
	assert_null(role_find("broker"));
}

static void no_method_has_two_owners(void **state)
{
	for (const struct role *a = roles; a->name; a++)
		for (const struct role *b = a + 1; b->name; b++)
			for (const char *const *p = a->method_prefixes; *p; p++)
				for (const char *const *q = b->method_prefixes; *q; q++)
					assert_string_not_equal(*p, *q);
}

static void control_has_no_capability(void **state)
{
	assert_int_equal(role_find("control")->capabilities, 0);
	assert_int_equal(role_find("packet")->capabilities & 1ULL << CAP_SYS_ADMIN, 0);
	assert_int_equal(role_find("channel")->capabilities, 1ULL << CAP_IPC_LOCK);
}

static bool is_listed(const struct sandbox *sandbox, int number)
{
	for (size_t i = 0; sandbox->lists[i]; i++)
		for (const struct sandbox_call *call = sandbox->lists[i]; call->number != -1;
			call++)
			if (call->number == number && !call->error)
				return true;
	return false;
}

static void no_role_may_start_programs_or_touch_other_processes(void **state)
{
	static const int forbidden[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork),
		SCMP_SYS(vfork), SCMP_SYS(clone3), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
		SCMP_SYS(process_vm_writev), SCMP_SYS(kill), SCMP_SYS(pidfd_getfd), SCMP_SYS(mount),
		SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(setns),
		SCMP_SYS(unshare), SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(init_module),
		SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(reboot),
		SCMP_SYS(io_uring_setup), SCMP_SYS(userfaultfd), SCMP_SYS(add_key),
		SCMP_SYS(keyctl)};

	for (const struct role *role = roles; role->name; role++)
		for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
			assert_false(is_listed(role->sandbox, forbidden[i]));
	assert_false(is_listed(&sandbox_control, SCMP_SYS(bpf)));
	assert_false(is_listed(&sandbox_control, SCMP_SYS(bind)));
	/* What the channel role works with it is given, or makes without a name. */
	assert_false(is_listed(&sandbox_channel, SCMP_SYS(open)));
	assert_false(is_listed(&sandbox_channel, SCMP_SYS(openat)));
	assert_false(is_listed(&sandbox_channel, SCMP_SYS(bind)));
}

/* Runs attempt in a child that is confined as role; returns how it ended. */
static int confined(const char *role, void (*attempt)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (sandbox_confine(role_find(role), NULL) < 0)
			_exit(99);
		attempt();
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void do_nothing(void)
{
}

static void do_exec(void)
{
	execl("/bin/true", "true", NULL);
}

static void do_inet_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void do_unix_socket(void)
{
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		_exit(1);
}

/* As the log does, to find the journal. */
static void do_look_for_a_file(void)
{
	access("/run/systemd/journal/socket", F_OK);
}

static void do_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

#define KILLED(status) (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
#define LIVED(status)  (WIFEXITED(status) && WEXITSTATUS(status) == 7)

static void what_is_not_listed_kills(void **state)
{
	if (sandbox_is_sanitized())
		skip(); /* the lists are longer then */
	assert_true(LIVED(confined("control", do_nothing)));
	assert_true(LIVED(confined("control", do_unix_socket)));
	assert_true(KILLED(confined("control", do_exec)));
	assert_true(KILLED(confined("control", do_inet_socket)));
	assert_true(KILLED(confined("control", do_code)));
	assert_true(LIVED(confined("channel", do_nothing)));
	assert_true(LIVED(confined("channel", do_look_for_a_file)));
	assert_true(KILLED(confined("channel", do_exec)));
	assert_true(KILLED(confined("channel", do_inet_socket)));
	assert_true(KILLED(confined("channel", do_code)));
	assert_true(LIVED(confined("packet", do_nothing)));
	assert_true(LIVED(confined("packet", do_inet_socket)));
	assert_true(KILLED(confined("packet", do_exec)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_complete),
		cmocka_unit_test(no_method_has_two_owners),
		cmocka_unit_test(control_has_no_capability),
		cmocka_unit_test(no_role_may_start_programs_or_touch_other_processes),
		cmocka_unit_test(what_is_not_listed_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
