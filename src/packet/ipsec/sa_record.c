/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/sa_record.h"

#include "base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_SIZE (SA_RECORD_COUNT * sizeof(struct sa_record))
/* It stays as large as it is: reading it cannot fail. */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

#define IS_USED 1 /* by an SA that workers may see */
#define IS_HELD 2 /* by a state that may be kept */

static struct {
	struct sa_record *records; /* NULL: closed */
	int fd;
	uint8_t uses[SA_RECORD_COUNT]; /* 0: free */
	uint32_t used_count;
} memory;

static int map(int fd, struct error *error)
{
	void *mapped = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mapped == MAP_FAILED)
		return error_set(error, -errno, "ipsec: records of SAs: %s", strerror(errno));
	memory.records = mapped;
	memory.fd = fd;
	return 0;
}

int sa_records_open(struct error *error)
{
	int fd = memfd_create("ipsec-records", MFD_CLOEXEC | MFD_ALLOW_SEALING), status;

	if (fd < 0 || ftruncate(fd, MEMORY_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		status = error_set(error, -errno, "ipsec: records of SAs: %s", strerror(errno));
	else
		status = map(fd, error);
	if (status < 0 && fd >= 0)
		close(fd);
	return status;
}

void sa_records_close(void)
{
	if (!memory.records)
		return;
	munmap(memory.records, MEMORY_SIZE);
	close(memory.fd);
	memset(&memory, 0, sizeof(memory));
}

int sa_records_descriptor(void)
{
	return memory.fd;
}

int sa_records_take(int fd, struct error *error)
{
	struct sa_record *old = memory.records;
	int old_fd = memory.fd, seals = fcntl(fd, F_GET_SEALS), status;
	struct stat info;

	if (memory.used_count > 0)
		status = error_set(error, -EBUSY, "there are SAs already");
	else if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &info) < 0
		|| info.st_size != MEMORY_SIZE)
		status = error_set(error, -EINVAL, "the records of SAs are not of this program");
	else
		status = map(fd, error);
	if (status < 0) {
		close(fd);
		return status;
	}
	munmap(old, MEMORY_SIZE);
	close(old_fd);
	return 0;
}

struct sa_record *sa_record_create(struct sa_record_name *name)
{
	const uint8_t *unused = memchr(memory.uses, 0, sizeof(memory.uses));
	struct sa_record *record;

	if (!unused)
		return NULL;
	*name = (struct sa_record_name){.at = (uint32_t)(unused - memory.uses)};
	while (name->id == 0)
		name->id = id_random_u64();
	memory.uses[name->at] = IS_USED;
	memory.used_count++;
	record = &memory.records[name->at];
	/* In any order: a life that ends here has no state that names it. */
	*record = (struct sa_record){.id = name->id};
	return record;
}

struct sa_record *sa_record_resume(const struct sa_record_name *name)
{
	if (name->id == 0 || name->at >= SA_RECORD_COUNT || (memory.uses[name->at] & IS_USED)
		|| memory.records[name->at].id != name->id)
		return NULL;
	memory.uses[name->at] |= IS_USED;
	memory.used_count++;
	return &memory.records[name->at];
}

void sa_record_put(const struct sa_record *record)
{
	if (!record)
		return;
	memory.uses[record - memory.records] &= (uint8_t)~IS_USED;
	memory.used_count--;
}

void sa_record_hold(const struct sa_record_name *name)
{
	if (name->at < SA_RECORD_COUNT)
		memory.uses[name->at] |= IS_HELD;
}

void sa_records_forget_held(void)
{
	for (size_t i = 0; i < SA_RECORD_COUNT; i++)
		memory.uses[i] &= (uint8_t)~IS_HELD;
}
