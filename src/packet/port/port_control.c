/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ports' life: which ones the configuration asks for, opening beside what runs, publication,
 * closing after the workers' grace period; link events; and ports whose device is missing or went
 * away, which are tried again. Ports that a change does not concern are not touched (G12).
 *
 * A port that the configuration in force already had when this process started may wait for its
 * device (a container that starts later must not keep the gateway down); a port that is new in a
 * live change has to open, or the change is refused. A change is prepared when its new ports have
 * their first link state, so that what is said to be ready forwards.
 */
#include "packet/port/port_control.h"

#include "base/clock.h"
#include "base/log.h"
#include "packet/engine/publish.h"
#include "packet/port/backend.h"
#include "packet/port/link_monitor.h"
#include "packet/port/port_config.h"
#include "packet/port/port_table.h"
#include "packet/port/vhost_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS          100
#define RETRY_NS         (1 * CLOCK_NS_PER_S)
#define LINK_DEBOUNCE_NS (300 * CLOCK_NS_PER_MS) /* a link that flaps is told once it rests */
/* The kernel answers within milliseconds; a change does not wait for one that does not. */
#define LINK_WAIT_NS (2 * CLOCK_NS_PER_S)

/* The change under way. */
static struct {
	bool is_tolerant;       /* missing devices are waited for */
	bool must_finish;       /* finish had no memory */
	bool is_starting;       /* opens are still being started: do not end yet */
	uint32_t pending;       /* opens under way */
	uint32_t links_awaited; /* ports whose first link state is awaited, when all are open, */
	uint64_t links_awaited_to_ns; /* and for how long */
	packet_prepared_fn done;
	void *context;
	bool has_failed;
	struct error error; /* of all that failed */
} change;

static void port_finish(void);
static void end_link_wait(struct port *port);
static void give_up_links(uint64_t now_ns);

static uv_timer_t timer;
static bool has_timer;

static const char *const kind_names[PORT_KIND_COUNT] = {
	[PORT_PHYSICAL] = "physical",
	[PORT_PARTITION] = "partition",
	[PORT_HOST] = "host",
	[PORT_XCF] = "xcf",
	[PORT_VIPA] = "vipa",
};

const char *port_kind_name(enum port_kind kind)
{
	return kind_names[kind];
}

/* --- Life of one port --- */

static struct port *create_port(const struct port_config *config, struct error *error)
{
	struct port *port = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*port), (size_t)RTE_CACHE_LINE_SIZE));
	struct port_state *state = calloc(1, sizeof(*state));

	if (!port || !state)
		goto no_memory;
	memset(port, 0, sizeof(*port));
	port->kind = (uint8_t)config->kind;
	port->state = state;
	port->mtu_bytes = config->mtu_bytes;
	for (int i = 0; i < PORT_QUEUES_MAX; i++)
		rte_spinlock_init(&port->tx_locks[i]);
	if (port_table_reserve(port) < 0)
		goto no_memory;
	port_config_copy(&port->config, config);
	memcpy(port->mac, config->mac, sizeof(port->mac));
	return port;
no_memory:
	free(state);
	free(port);
	error_set(
		error, -ENOMEM, "%s: no memory, or no free index, for one more port", config->name);
	return NULL;
}

/* Arrivals are told to the workers that poll the port, and end their naps. No worker polls it. */
static void watch_queues(struct port *port, bool is_watched)
{
	port->is_watched = is_watched && port->ops->descriptor;
	for (uint16_t i = 0; port->ops->descriptor && i < port->queue_count; i++) {
		uint16_t worker = port_queue_worker(port, i);
		int fd = port->ops->descriptor(port, i);

		if (!is_watched)
			worker_unwatch(worker, fd);
		else if (worker_watch(worker, fd) < 0)
			port->is_watched = false;
	}
	if (is_watched && port->ops->descriptor && !port->is_watched)
		log_warning("port_not_watched", log_str("port", port->config.name),
			log_str("problem", "its packets may wait for packet.nap-max"));
}

/* What is behind a port that no worker polls any more. */
static void close_device(struct port *port)
{
	if (port->state->phase == PORT_OPENING && port->backend) {
		kernel_cancel(port);
	} else if (port->state->phase == PORT_OPEN) {
		watch_queues(port, false);
		port->ops->close(port);
	}
	port->state->phase = PORT_WAITING;
	port->state->is_link_up = false;
}

static void destroy_port(struct port *port)
{
	close_device(port);
	port_table_release(port);
	port_config_release(&port->config);
	free(port->state);
	free(port);
}

static void note_open(struct port *port)
{
	struct port_state *state = port->state;

	state->phase = PORT_OPEN;
	state->problem[0] = '\0';
	port->is_wire = port->is_wire || port->kind == PORT_PHYSICAL;
	watch_queues(port, true);
	log_info("port_open", log_str("port", port->config.name),
		log_str("device", port->config.device), log_uint("mtu_bytes", port->mtu_bytes),
		log_uint("queues", port->queue_count));
}

static void note_failed(struct port *port, const struct error *error)
{
	struct port_state *state = port->state;

	state->phase = PORT_WAITING;
	state->retry_at_ns = clock_monotonic_ns() + RETRY_NS;
	if (strcmp(state->problem, error->text) == 0)
		return; /* told already */
	snprintf(state->problem, sizeof(state->problem), "%s", error->text);
	log_warning("port_waits", log_str("port", port->config.name),
		log_str("device", port->config.device), log_str("problem", error->text));
	packet_emit_event(json_pack("{s:s, s:s, s:s, s:s, s:s}", "event_type", "port_waits", "port",
		port->config.name, "kind", port_kind_name(port->kind), "device",
		port->config.device, "problem", error->text));
}

static void refresh_link(struct port *port);

/* What opens at once. */
static int open_device(struct port *port, const struct device *device, struct error *error)
{
	if (device->kind == DEVICE_MEMIF)
		return memif_port_open(port, device, packet_loop(), refresh_link, error);
	if (device->kind == DEVICE_VHOST_USER)
		return vhost_open(port, device, error);
	return ethdev_open(port, device, error);
}

static void start_open(struct port *port, backend_opened_fn done)
{
	struct device device;
	struct error error;

	port->state->phase = PORT_OPENING;
	port->state->is_deferred = false;
	if (device_parse(port->config.device, &device, &error) < 0)
		done(port, &error);
	else if (device.kind == DEVICE_TAP || device.kind == DEVICE_NETDEV
		|| device.kind == DEVICE_AF_PACKET)
		kernel_open(port, &device, done, port);
	else
		done(port, open_device(port, &device, &error) < 0 ? &error : NULL);
}

/* --- Publication --- */

static bool is_in_force(const struct port *port)
{
	return !port->state->is_prepared;
}

static bool is_polled(const struct port *port)
{
	return !port->state->is_prepared && !port->state->is_leaving
		&& port->state->phase == PORT_OPEN;
}

static bool stays(const struct port *port)
{
	return !port->state->is_prepared && !port->state->is_leaving;
}

/* When there is no memory the workers go on with what they have: nothing of it may be closed then.
 */
static bool publish(bool (*is_visible)(const struct port *port))
{
	if (port_table_publish(is_visible, is_polled) == 0)
		return true;
	log_error("port_table_not_published", log_str("problem", "no memory"));
	return false;
}

/* --- Links --- */

void port_set_link(struct port *port, bool is_up)
{
	struct port_state *state = port->state;

	/* Release: pairs with tx; what the backend has set up is seen before. */
	__atomic_store_n(&port->is_up, is_up && state->phase == PORT_OPEN, __ATOMIC_RELEASE);
	if (state->is_link_up == is_up)
		return;
	state->is_link_up = is_up;
	state->changed_at_ns = clock_monotonic_ns();
}

static void announce(struct port *port)
{
	struct port_state *state = port->state;

	state->is_announced = state->is_link_up;
	log_info(state->is_link_up ? "port_up" : "port_down", log_str("port", port->config.name),
		log_str("problem", state->problem));
	packet_emit_event(json_pack("{s:s, s:s, s:s, s:s}", "event_type",
		state->is_link_up ? "port_up" : "port_down", "port", port->config.name, "kind",
		port_kind_name(port->kind), "device", port->config.device));
}

/* Asks for the link of an open port. */
static void refresh_link(struct port *port)
{
	if (port->ops->refresh)
		port_set_link(port, port->ops->refresh(port));
	else
		link_monitor_ask();
}

static void on_ethdev_change(uint16_t ethdev_id)
{
	for (struct port *port = port_next(-1); port; port = port_next(port->index))
		if (port->state->phase == PORT_OPEN && port->is_ethdev
			&& port->ethdev_id == ethdev_id)
			refresh_link(port);
}

/* Of guests it is known only that there is news: they are asked. */
static void on_vhost_news(void)
{
	for (struct port *port = port_next(-1); port; port = port_next(port->index))
		if (port->state->phase == PORT_OPEN && port->ops->refresh)
			refresh_link(port);
}

/* Ports that are only prepared hear of their links, too. */
static void on_interface(const struct link_news *news)
{
	for (int i = 0; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (!port || port->interface_index != news->index
			|| port->state->phase != PORT_OPEN)
			continue;
		if (news->is_gone) {
			port_device_gone(port, "the interface is gone");
		} else {
			__atomic_store_n(&port->mtu_bytes, news->mtu_bytes, __ATOMIC_RELAXED);
			port_set_link(port, news->is_up);
		}
		if (news->is_gone || news->is_settled)
			end_link_wait(port);
	}
}

void port_device_gone(struct port *port, const char *why)
{
	struct error error;

	port_set_link(port, false);
	port->state->phase = PORT_WAITING;
	if (!publish(is_in_force)) {
		port->state->phase = PORT_OPEN;
		return;
	}
	publish_wait();
	watch_queues(port, false);
	port->ops->close(port);
	port->interface_index = 0;
	error_set(&error, -ENODEV, "%s: %s", port->config.device, why);
	note_failed(port, &error);
}

/* --- Trying again --- */

static void on_reopened(void *context, const struct error *error)
{
	struct port *port = context;

	if (error) {
		note_failed(port, error);
		return;
	}
	note_open(port);
	publish(is_in_force);
	refresh_link(port);
}

static void on_tick(uv_timer_t *handle)
{
	uint64_t now = clock_monotonic_ns();

	if (change.must_finish)
		port_finish();
	give_up_links(now);
	for (struct port *port = port_next(-1); port; port = port_next(port->index)) {
		struct port_state *state = port->state;

		/* Some drivers of DPDK's tell nobody of their link; a memif's peer is looked after.
		 */
		if (state->phase == PORT_OPEN && port->ops->refresh)
			refresh_link(port);
		if (state->is_link_up != state->is_announced
			&& now - state->changed_at_ns >= LINK_DEBOUNCE_NS)
			announce(port);
		if (state->phase == PORT_OPEN && port->ops->take_missed)
			port->rx_missed += port->ops->take_missed(port);
		if (state->phase == PORT_WAITING && !state->is_leaving && !state->is_deferred
			&& now >= state->retry_at_ns)
			start_open(port, on_reopened);
	}
}

/* --- Finding --- */

struct port *port_next(int after_index)
{
	for (int i = after_index + 1; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (port && is_in_force(port))
			return port;
	}
	return NULL;
}

struct port *port_find(const char *name)
{
	for (int i = 0; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (port && !port->state->is_leaving && strcmp(port->config.name, name) == 0)
			return port;
	}
	return NULL;
}

struct port_counters port_sum_counters(const struct port *port)
{
	struct port_counters sum = {.rx_errors = port->rx_missed};

	for (int i = 0; i < WORKERS_MAX; i++) {
		sum.rx_packets += port->counters[i].rx_packets;
		sum.rx_bytes += port->counters[i].rx_bytes;
		sum.tx_packets += port->counters[i].tx_packets;
		sum.tx_bytes += port->counters[i].tx_bytes;
		sum.rx_errors += port->counters[i].rx_errors;
		sum.tx_drops += port->counters[i].tx_drops;
	}
	return sum;
}

/* --- The transaction of packet_module.h --- */

/* A port that stays or goes and has the device, which cannot be opened twice. */
static bool is_device_taken(const char *device)
{
	for (struct port *port = port_next(-1); port; port = port_next(port->index))
		if (port_config_shares_device(port->config.device, device))
			return true;
	return false;
}

/* A TAP is kept by the broker, until it is told that no port has it any more. */
static void forget_tap(const char *text)
{
	struct device device;

	if (device_parse(text, &device, NULL) == 0 && device.kind == DEVICE_TAP
		&& !is_device_taken(text))
		kernel_forget_tap(device.argument);
}

/* A port that the configuration no longer has, or never got. */
static void remove_port(struct port *port)
{
	char device[sizeof(port->config.device)];

	memcpy(device, port->config.device, sizeof(device));
	destroy_port(port);
	forget_tap(device);
}

/* Forgets the change; ports that were to come are closed. */
static void port_abort(void)
{
	for (int i = 0; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (port && port->state->is_prepared)
			remove_port(port);
		else if (port)
			port->state->is_leaving = false;
	}
}

static void end_prepare(void)
{
	packet_prepared_fn done = change.done;
	struct error error = change.error;

	if (change.has_failed)
		port_abort();
	done(change.context, change.has_failed ? &error : NULL);
}

/* All opens have ended: asks for the links of what they opened, once for all. */
static void await_links(void)
{
	for (int i = 0; !change.has_failed && i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (!port || !port->state->is_prepared || port->state->phase != PORT_OPEN)
			continue;
		if (port->ops->refresh) {
			refresh_link(port);
		} else {
			port->state->awaits_link = true;
			change.links_awaited++;
		}
	}
	if (change.links_awaited == 0) {
		end_prepare();
		return;
	}
	change.links_awaited_to_ns = clock_monotonic_ns() + LINK_WAIT_NS;
	link_monitor_ask();
}

static void end_link_wait(struct port *port)
{
	if (!port->state->awaits_link)
		return;
	port->state->awaits_link = false;
	if (--change.links_awaited == 0)
		end_prepare();
}

static void give_up_links(uint64_t now_ns)
{
	if (change.links_awaited == 0 || now_ns < change.links_awaited_to_ns)
		return;
	for (int i = 0; change.links_awaited > 0 && i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (!port || !port->state->awaits_link)
			continue;
		log_warning("link_unknown", log_str("port", port->config.name),
			log_str("device", port->config.device),
			log_str("effect", "it is down until the kernel tells of its link"));
		end_link_wait(port);
	}
}

static void on_prepared(void *context, const struct error *error)
{
	struct port *port = context;

	change.pending--;
	if (!error) {
		note_open(port);
	} else if (change.is_tolerant) {
		note_failed(port, error);
	} else {
		struct error before = change.error;

		port->state->phase = PORT_WAITING;
		if (change.has_failed)
			error_set(&change.error, 0, "%.200s; %s: %.240s", before.text,
				port->config.name, error->text);
		else
			error_set(&change.error, 0, "%s: %.400s", port->config.name, error->text);
		change.has_failed = true;
	}
	if (change.pending == 0 && !change.is_starting)
		await_links();
}

static int add_new_ports(const struct port_configs *configs)
{
	for (size_t i = 0; i < configs->count; i++) {
		struct port *port;

		if (port_find(configs->items[i].name))
			continue; /* stays */
		port = create_port(&configs->items[i], &change.error);
		if (!port)
			return -ENOMEM;
		port->state->is_prepared = true;
		port->state->is_deferred = is_device_taken(port->config.device);
	}
	return 0;
}

static void mark_leaving_ports(const struct port_configs *configs)
{
	for (struct port *port = port_next(-1); port; port = port_next(port->index)) {
		port->state->is_leaving = true;
		for (size_t i = 0; i < configs->count; i++)
			if (port_config_is_same(&port->config, &configs->items[i]))
				port->state->is_leaving = false;
	}
}

static void open_new_ports(void)
{
	change.is_starting = true;
	for (int i = 0; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (!port || !port->state->is_prepared || port->state->is_deferred)
			continue;
		change.pending++;
		start_open(port, on_prepared);
	}
	change.is_starting = false;
	if (change.pending == 0)
		await_links();
}

static void port_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	struct port_configs configs;
	int result;

	memset(&change, 0, sizeof(change));
	change.is_tolerant = !packet_config();
	change.done = done;
	change.context = context;
	if (port_configs_read(config, &configs, &change.error) < 0) {
		change.has_failed = true;
		end_prepare();
		return;
	}
	mark_leaving_ports(&configs);
	result = add_new_ports(&configs);
	port_configs_release(&configs);
	if (result < 0) {
		change.has_failed = true;
		end_prepare();
		return;
	}
	open_new_ports();
}

/* The new ports are there for forwarding; they are polled when all modules know them. */
static void port_commit(void)
{
	for (int i = 0; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (port)
			port->state->is_prepared = false;
	}
	publish(is_in_force);
}

/* Nobody refers to the leaving ports any more, but for walks under way. */
static void port_finish(void)
{
	change.must_finish = !publish(stays);
	if (change.must_finish)
		return; /* with the next tick */
	publish_wait();
	for (int i = 0; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (!port || !port->state->is_leaving)
			continue;
		log_info("port_closed", log_str("port", port->config.name));
		remove_port(port);
	}
	for (struct port *port = port_next(-1); port; port = port_next(port->index)) {
		if (port->state->phase == PORT_OPEN && !port->state->is_link_up)
			refresh_link(port);
		if (port->state->is_deferred)
			start_open(port, on_reopened);
	}
}

static int port_start(struct error *error)
{
	if (ethdev_start(packet_loop(), on_ethdev_change) < 0)
		return error_set(error, -EIO, "cannot watch the links of DPDK's devices");
	if (vhost_start(packet_loop(), on_vhost_news) < 0) {
		error_set(error, -EIO, "cannot watch the links of guests");
		goto stop_ethdev;
	}
	if (link_monitor_start(packet_loop(), on_interface, error) < 0)
		goto stop_vhost;
	uv_timer_init(packet_loop(), &timer);
	uv_timer_start(&timer, on_tick, TICK_MS, TICK_MS);
	has_timer = true;
	return 0;
stop_vhost:
	vhost_stop();
stop_ethdev:
	ethdev_stop();
	return -EIO;
}

static void port_stop(void)
{
	if (!has_timer)
		return;
	uv_close((uv_handle_t *)&timer, NULL);
	has_timer = false;
	link_monitor_stop();
	port_table_clear();
	for (int i = 0; i < PORTS_MAX; i++) {
		struct port *port = port_table_get((uint16_t)i);

		if (port)
			destroy_port(port);
	}
	vhost_stop();
	ethdev_stop();
}

const struct packet_module port_module = {
	.name = "port",
	.start = port_start,
	.stop = port_stop,
	.prepare = port_prepare,
	.commit = port_commit,
	.finish = port_finish,
	.abort = port_abort,
	.methods = port_methods,
	.metrics = port_metrics,
};
