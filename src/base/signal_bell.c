/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/signal_bell.h"

#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64 /* completions that may wait to be read */

struct signal_bell {
	aio_context_t context;
	int file; /* a memfd of one byte: reading it never waits */
	uint32_t unread;
};

struct signal_bell *signal_bell_create(void)
{
	struct signal_bell *bell = calloc(1, sizeof(*bell));

	if (!bell)
		return NULL;
	bell->file = memfd_create("signal-bell", MFD_CLOEXEC);
	if (bell->file >= 0 && ftruncate(bell->file, 1) == 0
		&& syscall(SYS_io_setup, EVENTS, &bell->context) == 0)
		return bell;
	if (bell->file >= 0)
		close(bell->file);
	free(bell);
	return NULL;
}

void signal_bell_destroy(struct signal_bell *bell)
{
	if (!bell)
		return;
	(void)syscall(SYS_io_destroy, bell->context);
	close(bell->file);
	free(bell);
}

void signal_bell_ring(struct signal_bell *bell, int eventfd)
{
	struct timespec no_time = {0};
	struct io_event events[EVENTS];
	uint8_t byte;
	struct iocb read = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_flags = IOCB_FLAG_RESFD};
	struct iocb *reads[] = {&read};

	if (!bell)
		return;
	read.aio_fildes = (uint32_t)bell->file;
	read.aio_resfd = (uint32_t)eventfd;
	read.aio_buf = (uintptr_t)&byte;
	read.aio_nbytes = 1;
	if (syscall(SYS_io_submit, bell->context, 1, reads) == 1)
		bell->unread++;
	if (bell->unread < EVENTS / 2)
		return;
	(void)syscall(SYS_io_getevents, bell->context, 0, EVENTS, events, &no_time);
	bell->unread = 0;
}
