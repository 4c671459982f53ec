/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The distributor as a module of the packet role: builds the table of VIPAs and targets from each
 * configuration, reads the targets' keys from files that the broker opens, publishes it, judges the
 * targets' health, and has VIPAs announced. Control thread.
 */
#include "packet/distributor/distributor_control.h"

#include "base/clock.h"
#include "base/log.h"
#include "packet/distributor/distributor.h"
#include "packet/distributor/health.h"
#include "packet/distributor/neighbour.h"
#include "packet/distributor/standby.h"
#include "packet/port/port.h"

#include <errno.h>
#include <stdlib.h>

#define TICK_MS       50
#define ANNOUNCEMENTS 3    /* RFC 5227 section 2.3: ANNOUNCE_NUM is 2; one more for a lossy link */
#define ANNOUNCE_MS   1000 /* ANNOUNCE_INTERVAL, halved */

static struct {
	struct vipa_table *table; /* NULL: no distributor */
	const json_t *config;     /* borrowed until commit or abort */
	uint16_t target;          /* whose key file is being read */
	packet_prepared_fn done;
	void *context;
} change;

static uv_timer_t timer;
static bool is_started;
static uint64_t interval_ns;
static struct {
	uint8_t left[VIPAS_MAX];
	uint64_t at_ns;
	bool was_up; /* the physical adapter */
} announcements;

static void forget_change(void)
{
	vipa_table_destroy(change.table);
	memset(&change, 0, sizeof(change));
}

static void end_prepare(const struct error *error)
{
	packet_prepared_fn done = change.done;
	void *context = change.context;

	if (error)
		forget_change();
	done(context, error);
}

/* ---- keys ---- */

static int take_key(int fd, uint16_t index, struct error *error)
{
	struct vipa_secret *out = (struct vipa_secret *)secret_bytes(change.table->secrets) + index;
	struct secret *keys = secret_create(sizeof(struct link_keys));
	const struct link_keys *parsed;
	int status;

	if (!keys)
		return error_set(error, -errno, "%s", strerror(errno));
	status = link_keys_read(fd, secret_bytes(keys), error);
	if (status == 0) {
		parsed = secret_bytes(keys);
		memcpy(out->bytes, parsed->keys[0].bytes, sizeof(out->bytes));
	}
	secret_destroy(keys);
	return status;
}

/* The local address is the same for all: the link's. */
static int derive_keys(uint16_t index, struct error *error)
{
	const char *local = json_string_value(
		json_object_get(json_object_get(change.config, "distributor"), "local"));
	const struct vipa_target *target = &change.table->targets[index];
	struct vipa_secret *secret =
		(struct vipa_secret *)secret_bytes(change.table->secrets) + index;
	struct ip_address distributor;

	if (!ip_address_parse(local, &distributor))
		return error_set(error, -EINVAL, "distributor.local: no address");
	if (gre_keys_derive(secret->bytes, GRE_TO_TARGET, &distributor, &target->address,
		    &secret->to_target)
		&& gre_keys_derive(secret->bytes, GRE_TO_DISTRIBUTOR, &distributor,
			&target->address, &secret->from_target))
		return 0;
	return error_set(error, -EINVAL, "two keys of GRE are the same; take another secret");
}

static void read_next_key(void);

static void on_key_file(void *context, const json_t *result, const json_t *failure,
	int *descriptors, size_t descriptor_count)
{
	const char *name = change.table->targets[change.target].name;
	const char *message = json_string_value(json_object_get(failure, "message"));
	struct error error;

	if (failure || descriptor_count == 0) {
		error_set(&error, -EACCES, "distributor.targets.%s.key-file: %s", name,
			message ? message : "not opened");
		end_prepare(&error);
		return;
	}
	if (take_key(descriptors[0], change.target, &error) < 0
		|| derive_keys(change.target, &error) < 0) {
		error_prefix(&error, "distributor.targets.%s.key-file: %s", name,
			vipa_key_file(change.config, name));
		end_prepare(&error);
		return;
	}
	change.target++;
	read_next_key();
}

static void read_next_key(void)
{
	const char *path = NULL;

	for (; change.target < change.table->target_count; change.target++) {
		path = vipa_key_file(change.config, change.table->targets[change.target].name);
		if (path)
			break;
	}
	if (!path) {
		end_prepare(NULL);
		return;
	}
	packet_broker_call(
		"broker.open_key", json_pack("{s:s}", "path", path), NULL, 0, on_key_file, NULL);
}

/* ---- workers' memory ---- */

/* With the first distributor: connections-max needs a restart to change. */
static int create_workers(const json_t *section, struct error *error)
{
	json_int_t connections = json_integer_value(json_object_get(section, "connections-max"));
	uint32_t capacity = (uint32_t)((connections + worker_count() - 1) / worker_count());
	struct distributor_worker *made[WORKERS_MAX] = {NULL};

	if (distributor_workers[0])
		return 0;
	for (uint16_t i = 0; i < worker_count(); i++) {
		made[i] = distributor_worker_create(capacity);
		if (made[i])
			continue;
		while (i-- > 0)
			distributor_worker_destroy(made[i]);
		return error_set(error, -ENOMEM,
			"distributor.connections-max: no memory for so many connections");
	}
	/* Release, by the table's publication: workers look here when they have one. */
	memcpy(distributor_workers, made, sizeof(made));
	return 0;
}

/* ---- time ---- */

static void on_changed(const struct vipa_target *target, bool is_up)
{
	log_warning(is_up ? "target_up" : "target_down", log_str("target", target->name));
	packet_emit_event(json_pack(
		"{s:s, s:s}", "type", is_up ? "target_up" : "target_down", "target", target->name));
}

static void announce(uint16_t vipa)
{
	announcements.left[vipa] = ANNOUNCEMENTS;
}

/* When the physical adapter comes up its neighbours may be others. */
static void look_at_physical(void)
{
	const struct port *port = port_find(vipa_table->physical_name);
	bool is_up = port && __atomic_load_n(&port->is_up, __ATOMIC_RELAXED);

	for (uint16_t i = 0; is_up && !announcements.was_up && i < vipa_table->vipa_count; i++)
		announce(i);
	announcements.was_up = is_up;
}

static void send_announcements(uint64_t now_ns)
{
	if (now_ns - announcements.at_ns < ANNOUNCE_MS * CLOCK_NS_PER_MS)
		return;
	announcements.at_ns = now_ns;
	for (uint16_t i = 0; i < VIPAS_MAX; i++) {
		if (!announcements.left[i])
			continue;
		announcements.left[i]--;
		/* Relaxed: a bit stands for itself; partner is distribute_tick. */
		__atomic_or_fetch(&distribute_announce[i / 64], 1ULL << (i % 64), __ATOMIC_RELAXED);
	}
}

void distributor_announce(void)
{
	for (uint16_t i = 0; vipa_table && i < vipa_table->vipa_count; i++)
		announce(i);
	announcements.at_ns = 0;
	if (vipa_table)
		send_announcements(clock_monotonic_ns());
}

void distributor_judge(void)
{
	if (vipa_table)
		health_tick(vipa_table, clock_monotonic_ns(), interval_ns, on_changed);
}

static void on_timer(uv_timer_t *handle)
{
	distributor_judge();
	if (!vipa_table)
		return;
	look_at_physical();
	if (!standby_is_silent())
		send_announcements(clock_monotonic_ns());
}

/* ---- the module ---- */

static int distributor_start(struct error *error)
{
	int status = distributor_api_start(error);

	if (status < 0)
		return status;
	uv_timer_init(packet_loop(), &timer);
	is_started = true;
	return 0;
}

/* The workers have ended. */
static void distributor_stop(void)
{
	if (!is_started)
		return;
	is_started = false;
	distributor_end_look();
	uv_close((uv_handle_t *)&timer, NULL);
	vipa_table_destroy(vipa_table);
	vipa_table = NULL;
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		distributor_worker_destroy(distributor_workers[i]);
		distributor_workers[i] = NULL;
	}
	neighbour_clear();
}

static void distributor_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	const json_t *section = json_object_get(config, "distributor");
	struct error error;

	memset(&change, 0, sizeof(change));
	change.done = done;
	change.context = context;
	change.config = config;
	if (vipa_table_create(config, vipa_table, &change.table, &error) < 0
		|| (section && create_workers(section, &error) < 0)) {
		end_prepare(&error);
		return;
	}
	if (change.table)
		read_next_key();
	else
		end_prepare(NULL);
}

static uint32_t ticks_of(const json_t *timeouts, const char *key)
{
	json_int_t ms = json_integer_value(json_object_get(timeouts, key));

	return (uint32_t)(ms / CONNECTION_TICK_MS) + 1;
}

static void set_timeouts(const json_t *section)
{
	const json_t *timeouts = json_object_get(section, "timeouts");

	for (uint16_t i = 0; i < worker_count(); i++) {
		uint32_t *own = distributor_workers[i]->connections->timeouts;

		/* Relaxed: each stands for itself; partner is connection_expire(). */
		__atomic_store_n(&own[CONNECTION_EMBRYONIC], ticks_of(timeouts, "opening"),
			__ATOMIC_RELAXED);
		__atomic_store_n(&own[CONNECTION_ESTABLISHED], ticks_of(timeouts, "established"),
			__ATOMIC_RELAXED);
		__atomic_store_n(
			&own[CONNECTION_CLOSING], ticks_of(timeouts, "closing"), __ATOMIC_RELAXED);
		__atomic_store_n(&own[CONNECTION_DATAGRAM], ticks_of(timeouts, "datagram"),
			__ATOMIC_RELAXED);
	}
}

static bool is_new_vipa(const struct vipa_table *old, const struct vipa *vipa, uint16_t index)
{
	const struct vipa *before = old ? &old->vipas[index] : NULL;

	return vipa->name[0]
		&& (!before || !before->name[0] || before->generation != vipa->generation
			|| before->vlan != vipa->vlan
			|| memcmp(before->mac, vipa->mac, sizeof(vipa->mac)) != 0);
}

/* One that has been silent says that it is here. */
static void configure_standby(const json_t *section)
{
	bool was_silent = standby_is_silent();

	standby_configure(json_is_true(json_object_get(section, "standby")));
	if (was_silent && !standby_is_silent())
		distributor_announce();
}

static void distributor_commit(void)
{
	const json_t *section = json_object_get(change.config, "distributor");
	struct vipa_table *table = change.table;
	uint64_t now_ns = clock_monotonic_ns();

	if (table) {
		configure_standby(section);
		vipa_table_bind(table);
		set_timeouts(section);
		interval_ns =
			(uint64_t)json_integer_value(json_object_get(section, "heartbeat-interval"))
			* CLOCK_NS_PER_MS;
		health_start(table, now_ns);
		health_tick(table, now_ns, interval_ns, on_changed);
		for (uint16_t i = 0; i < table->vipa_count; i++)
			if (is_new_vipa(vipa_table, &table->vipas[i], i))
				announce(i);
		uv_timer_start(&timer, on_timer, 0, TICK_MS);
	} else {
		uv_timer_stop(&timer);
		distributor_end_look();
	}
	publish_swap(&vipa_table, table, vipa_table_destroy);
	/* Release: targets and VIPAs may have gone; partner is distribute_tick's look. */
	__atomic_add_fetch(&health_deaths, 1, __ATOMIC_RELEASE);
	change.table = NULL;
	forget_change();
}

const struct packet_module distributor_module = {
	.name = "distributor",
	.start = distributor_start,
	.stop = distributor_stop,
	.prepare = distributor_prepare,
	.commit = distributor_commit,
	.abort = forget_change,
	.methods = distributor_methods,
	.metrics = distributor_metrics,
};
