/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/sa_state.h"

#include "base/bytes.h"
#include "base/log.h"
#include "packet/distributor/standby.h"
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"
#include "packet/ipsec/sa_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC     0x42485341 /* BHSA */
#define FORMAT    4
#define SEALS     (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define SIZE_MAX_ (64 << 20) /* what the broker keeps */

/* Structs as they are in memory, with their sizes in front, so that another program's are not taken
 * for ours. */
struct head {
	uint32_t magic, format;
	uint32_t sa_size, policy_size;
	uint32_t sa_count, policy_count;
	uint64_t iv_edge;
	struct standby_kept standby;
};

struct kept_sa {
	struct sa_parameters parameters; /* pointers are nothing */
	struct sa_past past;
	uint8_t key[SA_KEY_SIZE_MAX];
	/* selector_count selectors follow */
};

struct sa_state {
	uint32_t count;
	struct {
		uint32_t index, generation;
		uint64_t promise;
		struct sa_record_name record;
	} rows[];
};

/* ---- writing ---- */

static size_t state_size(void)
{
	size_t size = sizeof(struct head);

	for (const struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1))
		size += sizeof(struct kept_sa) + sa->selector_count * sizeof(*sa->selectors);
	for (const struct policy *policy = policy_first(); policy; policy = policy->list_next)
		for (const struct policy_reference *reference = policy->references; reference;
			reference = reference->next)
			size += sizeof(struct policy_parameters);
	return size;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	if (size)
		memcpy(at, bytes, size);
	return at + size;
}

static uint8_t *put_sa(uint8_t *at, const struct sa *sa, uint64_t promise)
{
	size_t selectors_size = sa->selector_count * sizeof(*sa->selectors);
	struct kept_sa kept; /* rows have no alignment in the state */

	memset(&kept, 0, sizeof(kept));
	sa_describe(sa, &kept.parameters);
	memcpy(kept.key, sa->key, sizeof(kept.key));
	kept.parameters.cipher_key = kept.parameters.integrity_key = NULL;
	kept.parameters.selectors = NULL;
	kept.past = sa_past_of(sa);
	kept.past.sequence = promise;
	kept.past.record = sa->record_name;
	at = put(at, &kept, sizeof(kept));
	explicit_bzero(&kept, sizeof(kept));
	return put(at, sa->selectors, selectors_size);
}

static uint8_t *put_policy(uint8_t *at, const struct policy *policy, uint32_t *count)
{
	struct policy_parameters parameters;

	/* The oldest reference last: added in this order, the newest one wins again. */
	for (const struct policy_reference *reference = policy->references; reference;
		reference = reference->next) {
		policy_describe(policy, reference, &parameters);
		at = put(at, &parameters, sizeof(parameters));
		(*count)++;
	}
	return at;
}

static void fill(uint8_t *bytes, struct sa_state *state)
{
	struct head *head = (struct head *)(void *)bytes;
	uint8_t *at = bytes + sizeof(*head);

	*head = (struct head){.magic = MAGIC,
		.format = FORMAT,
		.sa_size = sizeof(struct kept_sa),
		.policy_size = sizeof(struct policy_parameters),
		.iv_edge = sa_iv_edge(),
		.standby = standby_keep()};
	if (head->standby.is_on)
		return; /* what there is was handed over, or is not handed over to us yet */
	for (const struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1)) {
		uint64_t promise = sa_promise(sa);

		at = put_sa(at, sa, promise);
		/* From here on it may be kept, whatever becomes of the answer. */
		sa_record_hold(&sa->record_name);
		state->rows[head->sa_count].record = sa->record_name;
		state->rows[head->sa_count].index = sa->index;
		state->rows[head->sa_count].generation = sa->generation;
		state->rows[head->sa_count++].promise = promise;
	}
	state->count = head->sa_count;
	for (const struct policy *policy = policy_first(); policy; policy = policy->list_next)
		at = put_policy(at, policy, &head->policy_count);
}

static int to_sealed_memory(const uint8_t *bytes, size_t size, int *out)
{
	int fd = memfd_create("ipsec", MFD_CLOEXEC | MFD_ALLOW_SEALING), status;

	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < size;) {
		ssize_t written = write(fd, bytes + done, size - done);

		if (written < 0 && errno != EINTR)
			break;
		done += written > 0 ? (size_t)written : 0;
		if (done == size && fcntl(fd, F_ADD_SEALS, SEALS) == 0) {
			*out = fd;
			return 0;
		}
	}
	status = errno ? -errno : -EIO;
	close(fd);
	return status;
}

int sa_state_write(int *fd, struct sa_state **out, struct error *error)
{
	size_t size = state_size();
	struct sa_state *state =
		calloc(1, sizeof(*state) + sa_table_count() * sizeof(state->rows[0]));
	struct secret *bytes = secret_create(size);
	int status = -ENOMEM;

	if (state && bytes) {
		fill(secret_bytes(bytes), state);
		status = to_sealed_memory(secret_bytes(bytes), size, fd);
	}
	secret_destroy(bytes);
	if (status < 0) {
		free(state);
		return error_set(error, status, "%s", strerror(-status));
	}
	*out = state;
	return 0;
}

void sa_state_kept(const struct sa_state *state)
{
	/* Those that were written before it are not, and there is none behind it yet. */
	sa_records_forget_held();
	for (uint32_t i = 0; i < state->count; i++) {
		sa_record_hold(&state->rows[i].record);
		sa_promise_kept(
			state->rows[i].index, state->rows[i].generation, state->rows[i].promise);
	}
}

void sa_state_destroy(struct sa_state *state)
{
	free(state);
}

/* ---- coming back ---- */

static bool is_ours(const struct head *head)
{
	return head->magic == MAGIC && head->format == FORMAT
		&& head->sa_size == sizeof(struct kept_sa)
		&& head->policy_size == sizeof(struct policy_parameters);
}

/* First of all: none of them may become another SA's. A copy of bytes is read. */
static void hold_records(struct bytes bytes, uint32_t count)
{
	struct kept_sa kept;

	for (; count > 0; count--) {
		const uint8_t *from = bytes_take(&bytes, sizeof(kept));

		if (!from)
			return;
		memcpy(&kept, from, sizeof(kept));
		sa_record_hold(&kept.past.record);
		bytes_take(&bytes, kept.parameters.selector_count * sizeof(struct sa_selector));
		explicit_bzero(&kept, sizeof(kept));
	}
}

/* False: the bytes end before it does. */
static bool restore_sa(struct bytes *bytes, int *restored)
{
	const uint8_t *from = bytes_take(bytes, sizeof(struct kept_sa)), *selectors;
	struct sa_selector *copies;
	struct kept_sa kept;
	struct error error;
	size_t size;

	if (!from)
		return false;
	memcpy(&kept, from, sizeof(kept));
	size = kept.parameters.selector_count * sizeof(*copies);
	selectors = bytes_take(bytes, size);
	copies = selectors ? malloc(size + 1) : NULL; /* aligned, and never of no size */
	if (!copies) {
		explicit_bzero(&kept, sizeof(kept));
		return selectors;
	}
	memcpy(copies, selectors, size);
	kept.parameters.selectors = copies;
	kept.parameters.cipher_key = kept.key;
	kept.parameters.integrity_key = kept.key + kept.parameters.cipher_key_size;
	if (kept.parameters.cipher_key_size + kept.parameters.integrity_key_size <= sizeof(kept.key)
		&& sa_add_with_past(&kept.parameters, &kept.past, &error) == 0)
		(*restored)++;
	else
		log_warning("sa_not_restored", log_uint("spi", kept.parameters.name.spi),
			log_str("reason", error.text));
	free(copies);
	explicit_bzero(&kept, sizeof(kept));
	return true;
}

/* Backward: of each policy the newest reference was written first. */
static void restore_policies(const uint8_t *rows, uint32_t count)
{
	struct policy_parameters parameters;
	struct error error;

	while (count-- > 0) {
		memcpy(&parameters, rows + count * sizeof(parameters), sizeof(parameters));
		if (policy_add(&parameters, &error) < 0)
			log_warning("policy_not_restored", log_str("reason", error.text));
	}
}

int sa_state_restore(const void *memory, size_t size)
{
	struct bytes bytes = bytes_from(memory, size);
	const uint8_t *from = bytes_take(&bytes, sizeof(struct head));
	const uint8_t *policies;
	struct head head;
	int restored = 0;

	if (!from)
		return -EINVAL;
	memcpy(&head, from, sizeof(head));
	if (!is_ours(&head))
		return -EINVAL;
	standby_restore(&head.standby);
	sa_raise_iv_edge(head.iv_edge);
	hold_records(bytes, head.sa_count);
	for (uint32_t i = 0; i < head.sa_count; i++)
		if (!restore_sa(&bytes, &restored))
			return restored;
	policies = bytes_take(&bytes, (size_t)head.policy_count * sizeof(struct policy_parameters));
	if (policies)
		restore_policies(policies, head.policy_count);
	return restored;
}

int sa_state_restore_from(int fd, struct error *error)
{
	struct stat info;
	void *memory;
	int status;

	if (fstat(fd, &info) < 0 || info.st_size <= 0 || info.st_size > SIZE_MAX_)
		return error_set(error, -EINVAL, "what was kept has no size that it could have");
	memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return error_set(error, -errno, "%s", strerror(errno));
	madvise(memory, (size_t)info.st_size, MADV_DONTDUMP);
	status = sa_state_restore(memory, (size_t)info.st_size);
	munmap(memory, (size_t)info.st_size);
	if (status < 0)
		return error_set(error, status, "what was kept is not of this program");
	return status;
}
