/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/program.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_DESCRIPTORS_MAX 4096
#define PROGRAM_LOG             "program.log" /* in its folder `run` */
#define PROGRAM_FAILED          125

static const struct program programs[] = {
	{
		.name = "suricata",
		.user = "bulkhead-suricata",
		.arguments = {"-c", PROGRAM_FOLDER "/suricata.yaml", "-l", PROGRAM_FOLDER "/run",
			"--dpdk", "--runmode", "workers"},
	},
};

const struct program *program_find(const char *name)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(programs[i].name, name) == 0)
			return &programs[i];
	return NULL;
}

int program_identity(const struct program *program, struct identity *out, struct error *error)
{
	const struct passwd *entry = getpwnam(program->user);

	if (!entry || entry->pw_uid == 0)
		return identity_find(out, error);
	*out = (struct identity){.user = program->user, .uid = entry->pw_uid, .gid = entry->pw_gid};
	return 0;
}

/* With the rights it has now: what it prints goes to a file of its own. */
static int open_log(const char *folder)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/run/" PROGRAM_LOG, folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return 0;
}

static int enter(const struct program *program, const char *folder)
{
	const struct rlimit none = {0, 0},
			    descriptors = {PROGRAM_DESCRIPTORS_MAX, PROGRAM_DESCRIPTORS_MAX},
			    memory = {RLIM_INFINITY, RLIM_INFINITY};
	pid_t broker = getppid();
	struct identity identity;

	if (program_identity(program, &identity, NULL) < 0)
		return -ENOENT;
	umask(0027);
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		return -errno;
	(void)setrlimit(RLIMIT_MEMLOCK, &memory); /* huge pages, where there are some */
	/* It speaks through sockets with a path, and has no other way out. */
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return -errno;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_change_id((int)identity.uid, (int)identity.gid,
		    CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT)
		!= 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Nobody would watch it any more. The change of user has cleared what was set before. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (getppid() != broker)
		return -ESRCH;
	return open_log(folder);
}

/* With the folder in the place of its name; NULL: no memory. */
static char *expand(const char *argument, const char *folder)
{
	const char *mark = strstr(argument, PROGRAM_FOLDER);
	char *text = NULL;

	if (!mark)
		return strdup(argument);
	return asprintf(&text, "%.*s%s%s", (int)(mark - argument), argument, folder,
		       mark + strlen(PROGRAM_FOLDER))
			< 0
		? NULL
		: text;
}

int program_exec(const char *name, const char *binary, const char *folder)
{
	char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		/* what EAL leaves behind */
		expand("RUNTIME_DIRECTORY=" PROGRAM_FOLDER "/run", folder), NULL};
	char *arguments[PROGRAM_ARGUMENTS_MAX + 2] = {(char *)(uintptr_t)binary};
	const struct program *program = program_find(name);
	int status;

	if (!program)
		return PROGRAM_FAILED;
	for (size_t i = 0; program->arguments[i]; i++) {
		arguments[i + 1] = expand(program->arguments[i], folder);
		if (!arguments[i + 1])
			return PROGRAM_FAILED;
	}
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	status = enter(program, folder);
	if (status == 0) {
		execve(binary, arguments, environment);
		status = -errno;
	}
	fprintf(stderr, "bulkheadd: %s cannot be started: %s\n", binary, strerror(-status));
	return PROGRAM_FAILED;
}
