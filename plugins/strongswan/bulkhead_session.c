/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bulkhead_session.h"

#include "bulkhead_convert.h"

#include <daemon.h>

#include <collections/hashtable.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <threading/mutex.h>
#include <threading/thread.h>
#include <unistd.h>

#define RETRY_MS    1000
#define SECRET_FILE "/etc/bulkhead/kmp.secret"
#define NAME        "charon"

/* What charon wants, how often. */
typedef struct {
	struct kmp_policy key;
	struct kmp_policy policy;
	u_int count;
} wanted_policy_t;

struct bulkhead_session_t {
	struct bulkhead_kmp_options options;
	mutex_t *mutex;           /* of all below */
	struct bulkhead_kmp *kmp; /* NULL: not connected */
	u_int generation;         /* of connections */
	bool is_ending;
	hashtable_t *sas;      /* struct kmp_sa_name => itself */
	hashtable_t *policies; /* struct kmp_policy => wanted_policy_t */
	int wake_fd;           /* tells the thread to look */
	thread_t *thread;
};

static u_int hash_name(const void *key)
{
	return chunk_hash(chunk_create((u_char *)key, sizeof(struct kmp_sa_name)));
}

static bool equals_name(const void *a, const void *b)
{
	return memeq(a, b, sizeof(struct kmp_sa_name));
}

static u_int hash_policy(const void *key)
{
	return chunk_hash(chunk_create((u_char *)key, sizeof(struct kmp_policy)));
}

static bool equals_policy(const void *a, const void *b)
{
	return memeq(a, b, sizeof(struct kmp_policy));
}

/* Without the bytes between its fields. */
static struct kmp_sa_name *clone_name(const struct kmp_sa_name *name)
{
	struct kmp_sa_name *out = calloc(1, sizeof(*out));

	out->spi = name->spi;
	out->destination = name->destination;
	return out;
}

static void wake(bulkhead_session_t *this)
{
	uint64_t one = 1;

	/* A full counter wakes as well. */
	ignore_result(write(this->wake_fd, &one, sizeof(one)));
}

/* ---- calls, with the mutex ---- */

static void disconnect(bulkhead_session_t *this)
{
	bulkhead_kmp_close(this->kmp);
	this->kmp = NULL;
	wake(this);
}

/* What a call came to. A connection that failed is given up; the thread opens another one. */
static status_t finish(bulkhead_session_t *this, const char *what, int code,
	const struct bulkhead_kmp_error *error)
{
	if (bulkhead_kmp_has_event(this->kmp))
		wake(this);
	if (code == 0)
		return SUCCESS;
	DBG1(DBG_KNL, "bulkhead: %s: %s", what, error->message);
	if (code != -EREMOTEIO) {
		disconnect(this);
		return FAILED;
	}
	switch (error->code) {
	case KMP_NOT_FOUND:
		return NOT_FOUND;
	case KMP_NOT_SUPPORTED:
		return NOT_SUPPORTED;
	default:
		return FAILED;
	}
}

static bool is_connected(bulkhead_session_t *this, const char *what)
{
	if (this->kmp)
		return TRUE;
	DBG1(DBG_KNL, "bulkhead: %s: there is no connection to bulkheadd", what);
	return FALSE;
}

static void want_sa(bulkhead_session_t *this, const struct kmp_sa_name *name)
{
	struct kmp_sa_name *key = clone_name(name);

	free(this->sas->put(this->sas, key, key));
}

static bool forget_sa(bulkhead_session_t *this, const struct kmp_sa_name *name)
{
	struct kmp_sa_name *key = clone_name(name), *old = this->sas->remove(this->sas, key);

	free(key);
	free(old);
	return old != NULL;
}

/* Without its ends: when they move, charon deletes a policy by others than it was added with. */
static void make_key(const struct kmp_policy *policy, struct kmp_policy *key)
{
	/* With the bytes between its fields, which are hashed, too. */
	memcpy(key, policy, sizeof(*key));
	memset(&key->source, 0, sizeof(key->source));
	memset(&key->destination, 0, sizeof(key->destination));
}

static void want_policy(bulkhead_session_t *this, const struct kmp_policy *policy)
{
	struct kmp_policy key;
	wanted_policy_t *wanted;

	make_key(policy, &key);
	wanted = this->policies->get(this->policies, &key);
	if (!wanted) {
		wanted = calloc(1, sizeof(*wanted));
		memcpy(&wanted->key, &key, sizeof(key));
		wanted->policy = *policy;
		this->policies->put(this->policies, &wanted->key, wanted);
	}
	wanted->count++;
}

static void forget_policy(bulkhead_session_t *this, const struct kmp_policy *policy)
{
	struct kmp_policy key;
	wanted_policy_t *wanted;

	make_key(policy, &key);
	wanted = this->policies->get(this->policies, &key);
	if (!wanted || --wanted->count > 0)
		return;
	this->policies->remove(this->policies, &key);
	free(wanted);
}

/* ---- calls ---- */

status_t bulkhead_session_get_spi(
	bulkhead_session_t *this, const struct kmp_address *destination, uint32_t *spi)
{
	struct bulkhead_kmp_error error;
	status_t status = FAILED;

	this->mutex->lock(this->mutex);
	if (is_connected(this, "get an SPI"))
		status = finish(this, "get an SPI",
			bulkhead_kmp_get_spi(this->kmp, destination, spi, &error), &error);
	this->mutex->unlock(this->mutex);
	return status;
}

status_t bulkhead_session_add_sa(bulkhead_session_t *this, const struct kmp_sa *sa)
{
	struct bulkhead_kmp_error error;
	status_t status = FAILED;

	this->mutex->lock(this->mutex);
	if (is_connected(this, "add an SA"))
		status = finish(
			this, "add an SA", bulkhead_kmp_sa_add(this->kmp, sa, &error), &error);
	if (status == SUCCESS)
		want_sa(this, &sa->name);
	this->mutex->unlock(this->mutex);
	return status;
}

status_t bulkhead_session_move_sa(bulkhead_session_t *this, const struct kmp_move *move)
{
	struct kmp_sa_name name = {.spi = move->name.spi, .destination = move->new_destination};
	struct bulkhead_kmp_error error;
	status_t status = FAILED;

	this->mutex->lock(this->mutex);
	if (is_connected(this, "update an SA"))
		status = finish(this, "update an SA",
			bulkhead_kmp_sa_update(this->kmp, move, &error), &error);
	if (status == SUCCESS) {
		forget_sa(this, &move->name);
		want_sa(this, &name);
	}
	this->mutex->unlock(this->mutex);
	return status;
}

status_t bulkhead_session_query_sa(
	bulkhead_session_t *this, const struct kmp_sa_name *name, struct kmp_usage *usage)
{
	struct bulkhead_kmp_error error;
	status_t status = FAILED;

	this->mutex->lock(this->mutex);
	if (is_connected(this, "query an SA"))
		status = finish(this, "query an SA",
			bulkhead_kmp_sa_query(this->kmp, name, usage, &error), &error);
	this->mutex->unlock(this->mutex);
	return status;
}

/* What is gone already, as by its hard lifetime, is gone. */
static status_t gone(int code, const struct bulkhead_kmp_error *error)
{
	return code == -EREMOTEIO && error->code == KMP_NOT_FOUND;
}

/* With the mutex. */
static status_t delete_sa(bulkhead_session_t *this, const struct kmp_sa_name *name)
{
	struct bulkhead_kmp_error error;
	int code;

	forget_sa(this, name);
	if (!is_connected(this, "delete an SA"))
		return FAILED; /* the thread sees to it */
	code = bulkhead_kmp_sa_delete(this->kmp, name, &error);
	return finish(this, "delete an SA", gone(code, &error) ? 0 : code, &error);
}

status_t bulkhead_session_delete_sa(bulkhead_session_t *this, const struct kmp_sa_name *name)
{
	status_t status;

	this->mutex->lock(this->mutex);
	status = delete_sa(this, name);
	this->mutex->unlock(this->mutex);
	return status;
}

status_t bulkhead_session_add_policy(bulkhead_session_t *this, const struct kmp_policy *policy)
{
	struct bulkhead_kmp_error error;
	status_t status = FAILED;

	this->mutex->lock(this->mutex);
	if (is_connected(this, "add a policy"))
		status = finish(this, "add a policy",
			bulkhead_kmp_policy_add(this->kmp, policy, &error), &error);
	if (status == SUCCESS)
		want_policy(this, policy);
	this->mutex->unlock(this->mutex);
	return status;
}

/* With the mutex. */
static status_t delete_policy(bulkhead_session_t *this, const struct kmp_policy *policy)
{
	struct bulkhead_kmp_error error;
	int code;

	forget_policy(this, policy);
	if (!is_connected(this, "delete a policy"))
		return FAILED;
	code = bulkhead_kmp_policy_delete(this->kmp, policy, &error);
	return finish(this, "delete a policy", gone(code, &error) ? 0 : code, &error);
}

status_t bulkhead_session_delete_policy(bulkhead_session_t *this, const struct kmp_policy *policy)
{
	status_t status;

	this->mutex->lock(this->mutex);
	status = delete_policy(this, policy);
	this->mutex->unlock(this->mutex);
	return status;
}

/* The next of a table that is being emptied; FALSE: there is none. */
static bool first_of(hashtable_t *table, void *key, size_t size)
{
	enumerator_t *enumerator = table->create_enumerator(table);
	void *found, *value;
	bool has_found = enumerator->enumerate(enumerator, &found, &value);

	if (has_found)
		memcpy(key, found, size);
	enumerator->destroy(enumerator);
	return has_found;
}

status_t bulkhead_session_flush_sas(bulkhead_session_t *this)
{
	struct kmp_sa_name name;
	status_t status = SUCCESS;

	this->mutex->lock(this->mutex);
	while (first_of(this->sas, &name, sizeof(name)))
		if (delete_sa(this, &name) != SUCCESS)
			status = FAILED;
	this->mutex->unlock(this->mutex);
	return status;
}

status_t bulkhead_session_flush_policies(bulkhead_session_t *this)
{
	struct kmp_policy policy;
	status_t status = SUCCESS;

	this->mutex->lock(this->mutex);
	while (first_of(this->policies, &policy, sizeof(policy)))
		if (delete_policy(this, &policy) != SUCCESS)
			status = FAILED;
	this->mutex->unlock(this->mutex);
	return status;
}

/* ---- what differs after a connection was lost, with the mutex ---- */

/* SAs that charon has and bulkheadd has not; told to charon without the mutex. */
typedef struct {
	struct kmp_sa_name *names;
	size_t count;
} lost_t;

static void tell_expired(const struct kmp_sa_name *name, bool is_hard)
{
	host_t *destination = bulkhead_host(&name->destination, 0);

	if (!destination)
		return;
	charon->kernel->expire(charon->kernel, IPPROTO_ESP, htonl(name->spi), destination, is_hard);
	destination->destroy(destination);
}

static void tell_lost(lost_t *lost)
{
	for (size_t i = 0; i < lost->count; i++)
		tell_expired(&lost->names[i], TRUE);
	if (lost->count > 0)
		DBG1(DBG_KNL, "bulkhead: bulkheadd has lost %zu SAs", lost->count);
	free(lost->names);
}

/* Takes all SAs that are not in `there` out of the table. */
static void take_lost(bulkhead_session_t *this, hashtable_t *there, lost_t *lost)
{
	enumerator_t *enumerator = this->sas->create_enumerator(this->sas);
	struct kmp_sa_name *name;
	void *key;

	lost->names = calloc(this->sas->get_count(this->sas) + 1, sizeof(*lost->names));
	while (enumerator->enumerate(enumerator, &key, &name)) {
		if (there && there->get(there, name))
			continue;
		lost->names[lost->count++] = *name;
		this->sas->remove_at(this->sas, enumerator);
		free(name);
	}
	enumerator->destroy(enumerator);
}

/* What bulkheadd has of ours; SAs that charon does not know (any more) are deleted there. */
static int list_sas(bulkhead_session_t *this, hashtable_t *there, struct bulkhead_kmp_error *error)
{
	struct kmp_sa_entry *entries = calloc(KMP_SAS_MAX, sizeof(*entries));
	uint32_t after = 0;
	size_t count;
	int code;

	do {
		code = bulkhead_kmp_list(this->kmp, FALSE, &after, entries, &count, error);
		for (size_t i = 0; code == 0 && i < count; i++) {
			struct kmp_sa_name *name = clone_name(&entries[i].name);

			free(there->put(there, name, name));
		}
	} while (code == 0 && after != 0);
	free(entries);
	return code;
}

static int delete_orphans(
	bulkhead_session_t *this, hashtable_t *there, struct bulkhead_kmp_error *error)
{
	enumerator_t *enumerator = there->create_enumerator(there);
	struct kmp_sa_name *name;
	void *key;
	int code = 0;

	while (code == 0 && enumerator->enumerate(enumerator, &key, &name)) {
		if (this->sas->get(this->sas, name))
			continue;
		code = bulkhead_kmp_sa_delete(this->kmp, name, error);
		if (gone(code, error))
			code = 0;
	}
	enumerator->destroy(enumerator);
	return code;
}

static void free_value(void *value, const void *key)
{
	free(value);
}

/* bulkheadd has kept what we brought: the two lists are held against each other. */
static int reconcile(bulkhead_session_t *this, lost_t *lost, struct bulkhead_kmp_error *error)
{
	hashtable_t *there = hashtable_create(hash_name, equals_name, 32);
	int code = list_sas(this, there, error);

	if (code == 0)
		code = delete_orphans(this, there, error);
	if (code == 0)
		take_lost(this, there, lost);
	there->destroy_function(there, free_value);
	return code;
}

/* bulkheadd has nothing. What waits for packets or bypasses is brought again; what belonged to SAs
 * goes with them. */
static int bring_again(bulkhead_session_t *this, lost_t *lost, struct bulkhead_kmp_error *error)
{
	enumerator_t *enumerator = this->policies->create_enumerator(this->policies);
	wanted_policy_t *wanted;
	void *key;
	int code = 0;

	take_lost(this, NULL, lost);
	while (code == 0 && enumerator->enumerate(enumerator, &key, &wanted)) {
		for (u_int i = 0; code == 0 && wanted->policy.spi == 0 && i < wanted->count; i++)
			code = bulkhead_kmp_policy_add(this->kmp, &wanted->policy, error);
	}
	enumerator->destroy(enumerator);
	return code;
}

static void recover(bulkhead_session_t *this)
{
	struct bulkhead_kmp_error error;
	lost_t lost = {.count = 0};

	this->mutex->lock(this->mutex);
	if (this->kmp) {
		int code = bulkhead_kmp_has_resumed(this->kmp) ? reconcile(this, &lost, &error)
							       : bring_again(this, &lost, &error);

		finish(this, "recover", code, &error);
	}
	this->mutex->unlock(this->mutex);
	tell_lost(&lost);
}

static void recover_overrun(bulkhead_session_t *this)
{
	struct bulkhead_kmp_error error;
	lost_t lost = {.count = 0};

	this->mutex->lock(this->mutex);
	if (this->kmp)
		finish(this, "recover", reconcile(this, &lost, &error), &error);
	this->mutex->unlock(this->mutex);
	tell_lost(&lost);
}

/* ---- events, on the thread ---- */

static void tell_acquire(const struct kmp_event *event)
{
	kernel_acquire_data_t data = {
		.src = bulkhead_ts(&event->selector, TRUE),
		.dst = bulkhead_ts(&event->selector, FALSE),
	};

	if (data.src && data.dst)
		charon->kernel->acquire(charon->kernel, event->request, &data);
	DESTROY_IF(data.src);
	DESTROY_IF(data.dst);
}

static void tell_mapping(const struct kmp_event *event)
{
	host_t *destination = bulkhead_host(&event->name.destination, 0);
	host_t *source = bulkhead_host(&event->source, event->source_port);

	if (destination && source)
		charon->kernel->mapping(
			charon->kernel, IPPROTO_ESP, htonl(event->name.spi), destination, source);
	DESTROY_IF(destination);
	DESTROY_IF(source);
}

static void tell_event(bulkhead_session_t *this, const struct kmp_event *event)
{
	switch (event->type) {
	case KMP_SA_EXPIRE:
		if (event->is_hard) {
			this->mutex->lock(this->mutex);
			forget_sa(this, &event->name);
			this->mutex->unlock(this->mutex);
		}
		tell_expired(&event->name, event->is_hard);
		break;
	case KMP_SA_ACQUIRE:
		tell_acquire(event);
		break;
	case KMP_MAPPING_CHANGED:
		tell_mapping(event);
		break;
	default:
		DBG1(DBG_KNL, "bulkhead: %u events were lost", event->lost);
		recover_overrun(this);
	}
}

/* Takes one event, tells it and acknowledges it; FALSE: there is none. charon is told without the
 * mutex, as it may call us. */
static bool handle_event(bulkhead_session_t *this)
{
	struct bulkhead_kmp_error error;
	struct kmp_event event;
	u_int generation;
	int code = -ETIMEDOUT;

	this->mutex->lock(this->mutex);
	generation = this->generation;
	if (this->kmp)
		code = bulkhead_kmp_next_event(this->kmp, 0, &event, &error);
	if (code < 0 && code != -ETIMEDOUT && code != -EINTR)
		finish(this, "wait for events", code, &error);
	this->mutex->unlock(this->mutex);
	if (code < 0)
		return FALSE;
	tell_event(this, &event);
	this->mutex->lock(this->mutex);
	if (this->kmp && generation == this->generation)
		finish(this, "acknowledge an event",
			bulkhead_kmp_acknowledge(this->kmp, &event, &error), &error);
	this->mutex->unlock(this->mutex);
	return TRUE;
}

/* ---- the thread ---- */

/* Without the mutex while it waits for bulkheadd. */
static void connect_again(bulkhead_session_t *this)
{
	struct bulkhead_kmp_error error;
	struct bulkhead_kmp *kmp;
	int code = bulkhead_kmp_open(&this->options, &kmp, &error);

	if (code < 0) {
		DBG2(DBG_KNL, "bulkhead: %s", error.message);
		return;
	}
	this->mutex->lock(this->mutex);
	this->kmp = kmp;
	this->generation++;
	this->mutex->unlock(this->mutex);
	DBG1(DBG_KNL, "bulkhead: connected to bulkheadd as '%s'%s", this->options.name,
		this->options.resumes ? " again" : "");
	if (this->options.resumes)
		recover(this);
	this->options.resumes = TRUE;
}

/* Where the connection is; -1: nowhere. */
static int descriptor_of(bulkhead_session_t *this, bool *is_ending)
{
	int fd;

	this->mutex->lock(this->mutex);
	*is_ending = this->is_ending;
	fd = this->kmp ? bulkhead_kmp_descriptor(this->kmp) : -1;
	this->mutex->unlock(this->mutex);
	return fd;
}

static void *watch(bulkhead_session_t *this)
{
	struct pollfd entries[2] = {{.fd = this->wake_fd, .events = POLLIN}, {.events = POLLIN}};
	bool is_ending, is_first = TRUE;
	uint64_t count;

	for (;;) {
		entries[1].fd = descriptor_of(this, &is_ending);
		if (is_ending)
			return NULL;
		/* Not connected: entries[1] is passed over. */
		if (!is_first || entries[1].fd >= 0)
			poll(entries, 2, entries[1].fd < 0 ? RETRY_MS : -1);
		is_first = FALSE;
		ignore_result(read(this->wake_fd, &count, sizeof(count)));
		if (descriptor_of(this, &is_ending) < 0 && !is_ending)
			connect_again(this);
		while (handle_event(this))
			;
	}
}

static const char *setting(const char *name, const char *value)
{
	return lib->settings->get_str(
		lib->settings, "%s.plugins.bulkhead.%s", (char *)value, lib->ns, name);
}

bulkhead_session_t *bulkhead_session_create(void)
{
	bulkhead_session_t *this;

	INIT(this,
		.options =
			{
				.socket = setting("socket", BULKHEAD_KMP_SOCKET),
				.secret_file = setting("secret_file", SECRET_FILE),
				.name = setting("name", NAME),
			},
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.sas = hashtable_create(hash_name, equals_name, 32),
		.policies = hashtable_create(hash_policy, equals_policy, 32),
		.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), );
	/* What charon brings while it starts is taken, when bulkheadd runs. */
	connect_again(this);
	this->thread = thread_create((thread_main_t)watch, this);
	if (this->wake_fd < 0 || !this->thread) {
		bulkhead_session_destroy(this);
		return NULL;
	}
	return this;
}

void bulkhead_session_destroy(bulkhead_session_t *this)
{
	struct bulkhead_kmp_error error;

	this->mutex->lock(this->mutex);
	this->is_ending = TRUE;
	wake(this);
	this->mutex->unlock(this->mutex);
	if (this->thread)
		this->thread->join(this->thread);
	if (this->kmp && bulkhead_kmp_bye(this->kmp, &error) < 0)
		DBG1(DBG_KNL, "bulkhead: %s", error.message);
	bulkhead_kmp_close(this->kmp);
	if (this->wake_fd >= 0)
		close(this->wake_fd);
	this->sas->destroy_function(this->sas, free_value);
	this->policies->destroy_function(this->policies, free_value);
	this->mutex->destroy(this->mutex);
	free(this);
}
