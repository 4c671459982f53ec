/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that somebody else has given us as a descriptor. Any thread. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

/* Whether its pages stay while it is mapped here, so that its giver cannot end us with SIGBUS: a
 * memfd sealed with F_SEAL_SHRINK, of ordinary pages. -EACCES: not sealed; -ENOTSUP: huge pages, of
 * which one that was punched out may have no successor (docs/decisions/0016). The seals come first:
 * only memory of the kernel's own has any, so that what follows cannot wait for somebody's file
 * system. */
static inline int shared_memory_check(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs system;

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EACCES;
	return fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC ? 0 : -ENOTSUP;
}
