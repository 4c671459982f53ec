/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folder as a module of the packet role. A change makes a new chain beside the one that runs:
 *
 *	rule files read -> rules compiled on a helper thread -> new inspectors created   (prepare)
 *	-> chain published, inspectors that stay reloaded and configured                 (commit)
 *	-> replaced inspectors destroyed, when nothing of theirs is held any more        (finish)
 *
 * Inspectors that stay keep their flows and streams. `inspect.reload` is the same with the running
 * configuration. Control thread.
 */
#include "base/clock.h"
#include "base/log.h"
#include "packet/engine/publish.h"
#include "packet/inspect/inspect.h"
#include "packet/inspect/inspect_api.h"
#include "packet/inspect/inspect_policy.h"
#include "packet/inspect/rule_cache.h"
#include "packet/inspect/rule_files.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETIRE_MARGIN_MS 100
#define REPORT_PERIOD_MS 1000

static const struct inspector_ops *const engines[] = {
	&builtin_inspector,
	&external_inspector,
	&suricata_inspector,
	&appliance_inspector,
	&none_inspector,
};

struct change {
	bool is_reload;
	json_t *config; /* `inspection` */
	json_t *document;
	struct rule_files *files;
	const struct inspector_ops *compiler; /* engine that takes rules; NULL: none does */
	struct inspector *compiler_running;
	uv_work_t work;
	bool is_compiling, is_stopped; /* stopped: the role ends, the helper thread still works */
	uv_sem_t compiled_sem;         /* is_compiling: the helper has ended */
	struct compile_progress progress;
	int cache_fd; /* -1: none */
	uint64_t started_ns, compile_ns;
	int status;
	void *compiled;
	json_t *report;
	struct error error;
	struct inspector *fresh[INSPECT_CHAIN_MAX];
	uint16_t fresh_count;
	struct inspect_chain *chain;
	bool waits_for_room; /* to retire the engines that it replaces */
	packet_prepared_fn done;
	void *done_context;
};

static struct change *change;         /* under way, or prepared */
static struct ipc_request *reloading; /* to be answered */
/* What the answer will say, with those engines that still read their rules. */
static struct {
	uint64_t loaded, refused, started_ns;
	unsigned int missing;
	struct error error;
} reload;
/* A prepare that came while a reload was under way. */
static struct {
	const json_t *document;
	packet_prepared_fn done;
	void *context;
} waiting;
static json_t *refused_report; /* of the last compilation that failed */
static uint64_t rules_digest;
static json_t *rules_variables;
static uint16_t last_owner;
static uv_timer_t retire_timer, report_timer;
static bool has_timers, is_stopping;

static void begin(struct change *next);

/* ---- helpers ---- */

const json_t *inspect_document(void)
{
	return change ? change->document : packet_config();
}

static const struct inspector_ops *find_engine(const char *name)
{
	for (size_t i = 0; name && i < RTE_DIM(engines); i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	return NULL;
}

static struct inspector *find_running(const struct inspector_ops *ops)
{
	for (uint16_t i = 0; inspect_chain && i < inspect_chain->count; i++)
		if (inspect_chain->engines[i]->ops == ops)
			return inspect_chain->engines[i];
	return NULL;
}

static void change_destroy(struct change *old)
{
	if (!old)
		return;
	for (uint16_t i = 0; i < old->fresh_count; i++)
		old->fresh[i]->ops->destroy(old->fresh[i]);
	if (old->compiled)
		old->compiler->discard(old->compiled);
	rule_files_destroy(old->files);
	if (old->cache_fd >= 0)
		close(old->cache_fd);
	if (old->work.data)
		uv_sem_destroy(&old->compiled_sem);
	json_decref(old->report);
	json_decref(old->config);
	json_decref(old->document);
	free(old->chain);
	free(old);
}

/* ---- prepare ---- */

static void end_prepare(const struct error *error)
{
	packet_prepared_fn done = change->done;
	void *context = change->done_context;

	if (error) {
		struct error copy = *error;

		change_destroy(change);
		change = NULL;
		done(context, &copy);
		return;
	}
	done(context, NULL);
}

static int create_engine(const struct inspector_ops *ops, struct inspector **out)
{
	int status = ops->create(change->config, worker_count(),
		ops == change->compiler ? change->compiled : NULL, out, &change->error);

	if (status < 0)
		return status;
	if (ops == change->compiler)
		change->compiled = NULL; /* taken */
	last_owner = inspect_chain_next_owner(inspect_chain, last_owner);
	(*out)->owner = last_owner;
	change->fresh[change->fresh_count++] = *out;
	return 0;
}

static int make_chain(void)
{
	const json_t *names = json_object_get(change->config, "engines");
	struct inspect_chain *chain = inspect_policy_create(change->document, &change->error);

	if (!chain)
		return -ENOMEM;
	change->chain = chain;
	for (size_t i = 0; i < json_array_size(names) && chain->count < INSPECT_CHAIN_MAX; i++) {
		const struct inspector_ops *ops =
			find_engine(json_string_value(json_array_get(names, i)));
		struct inspector *engine = ops ? find_running(ops) : NULL;

		if (!ops)
			return error_set(&change->error, -EINVAL,
				"inspection.engines: there is no engine %s",
				json_string_value(json_array_get(names, i)));
		if (!engine && create_engine(ops, &engine) < 0)
			return -EINVAL;
		chain->engines[chain->count++] = engine;
	}
	return 0;
}

static bool is_in(const struct inspect_chain *chain, const struct inspector *engine)
{
	for (uint16_t i = 0; i < chain->count; i++)
		if (chain->engines[i] == engine)
			return true;
	return false;
}

static bool has_room_to_retire(const struct inspect_chain *chain)
{
	uint16_t count = inspect_chain ? inspect_chain->retiring_count : 0;

	for (uint16_t i = 0; inspect_chain && i < inspect_chain->count; i++)
		count += !is_in(chain, inspect_chain->engines[i]);
	return count <= INSPECT_RETIRING_MAX;
}

/* Engines that are replaced live on until their deadline, and there is room for some only: a change
 * that comes too soon waits for on_retire(). */
static void end_prepare_with_room(void)
{
	change->waits_for_room = !has_room_to_retire(change->chain);
	if (!change->waits_for_room)
		end_prepare(NULL);
}

static void finish_prepare(void)
{
	if (make_chain() < 0)
		end_prepare(&change->error);
	else
		end_prepare_with_room();
}

static bool is_invalid(const json_t *refusal)
{
	const char *kind = json_string_value(json_object_get(refusal, "kind"));

	return kind && strcmp(kind, "invalid") == 0;
}

static void compile_on_helper(uv_work_t *work)
{
	struct change *own = work->data;
	const struct inspector_rules rules = {.files = own->files->files,
		.file_count = own->files->count,
		.variables = json_object_get(own->config, "variables"),
		.worker_count = worker_count(),
		.progress = &own->progress,
		.cache_fd = own->cache_fd >= 0 ? &own->cache_fd : NULL,
		.running = own->compiler_running};

	own->status = own->compiler->compile(&rules, &own->compiled, &own->report, &own->error);
	own->compile_ns = clock_monotonic_ns() - own->started_ns;
	uv_sem_post(&own->compiled_sem);
}

/* Each wrong rule, so that all can be mended at once. */
static void log_refusals(const json_t *report)
{
	json_t *refusal;
	size_t i;

	json_array_foreach (json_object_get(report, "refusals"), i, refusal)
		if (is_invalid(refusal))
			log_error("rule_invalid",
				log_str("file",
					json_string_value(json_object_get(refusal, "file"))),
				log_int("line",
					json_integer_value(json_object_get(refusal, "line"))),
				log_str("reason",
					json_string_value(json_object_get(refusal, "reason"))));
}

static uint64_t figure(const json_t *report, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(report, key));
}

static void log_compiled(const struct change *own)
{
	log_info("rules_compiled", log_uint("rules", figure(own->report, "accepted")),
		log_uint("refused", figure(own->report, "refused")),
		log_uint("duration_ms", own->compile_ns / CLOCK_NS_PER_MS),
		log_bool("from_cache", own->progress.has_used_cache));
}

static void on_compiled(uv_work_t *work, int cancelled)
{
	struct change *own = work->data;

	(void)cancelled; /* nobody calls uv_cancel() */
	if (own->is_stopped) {
		change_destroy(own);
		return;
	}
	own->is_compiling = false;
	if (own->status < 0) {
		log_refusals(own->report);
		json_decref(refused_report);
		refused_report = json_incref(own->report);
		end_prepare(&own->error);
	} else {
		log_compiled(own);
		finish_prepare();
	}
}

static bool has_new_rules(const struct change *own)
{
	return !own->compiler_running || own->is_reload || own->files->digest != rules_digest
		|| !json_equal(json_object_get(own->config, "variables"), rules_variables);
}

static void on_cache(void *context, int fd)
{
	struct change *own = context;
	struct error error;

	own->cache_fd = fd;
	if (is_stopping) {
		error_set(&error, -ECANCELED, "the packet role is stopping");
		end_prepare(&error);
		return;
	}
	own->started_ns = clock_monotonic_ns();
	own->work.data = own;
	if (uv_sem_init(&own->compiled_sem, 0) < 0)
		abort(); /* a counter in memory of ours: never */
	own->is_compiling = true;
	uv_queue_work(packet_loop(), &own->work, compile_on_helper, on_compiled);
}

static void on_rule_files(void *context, struct rule_files *files, const struct error *error)
{
	struct change *own = context;

	if (error) {
		end_prepare(error);
		return;
	}
	own->files = files;
	for (size_t i = 0; i < json_array_size(files->missing); i++)
		log_warning("rules_missing",
			log_str("pattern", json_string_value(json_array_get(files->missing, i))));
	if (!has_new_rules(own)) {
		finish_prepare();
		return;
	}
	rule_cache_open(json_string_value(json_object_get(own->config, "cache")), on_cache, own);
}

static void begin(struct change *next)
{
	const json_t *names = json_object_get(next->config, "engines");

	change = next;
	for (size_t i = 0; i < json_array_size(names); i++) {
		const struct inspector_ops *ops =
			find_engine(json_string_value(json_array_get(names, i)));

		if (ops && ops->compile)
			change->compiler = ops;
	}
	if (!change->compiler) {
		finish_prepare();
		return;
	}
	change->compiler_running = find_running(change->compiler);
	rule_files_read(json_object_get(change->config, "rules"), on_rule_files, change);
}

static struct change *make_change(
	const json_t *document, bool is_reload, packet_prepared_fn done, void *context)
{
	struct change *made = calloc(1, sizeof(*made));

	if (!made)
		abort(); /* a role without memory for so little cannot go on */
	made->is_reload = is_reload;
	made->cache_fd = -1;
	made->document = json_deep_copy(document);
	made->config = json_incref(json_object_get(made->document, "inspection"));
	made->done = done;
	made->done_context = context;
	return made;
}

static int open_workers(const json_t *config, struct error *error)
{
	uint32_t limit = (uint32_t)json_integer_value(
		json_object_get(json_object_get(config, "inspection"), "hold-max"));

	for (uint16_t i = 0; i < worker_count(); i++) {
		if (inspect_workers[i])
			continue;
		inspect_workers[i] = calloc(1, sizeof(*inspect_workers[i]));
		if (inspect_workers[i])
			inspect_workers[i]->holds = hold_table_create(limit / worker_count());
		if (!inspect_workers[i] || !inspect_workers[i]->holds)
			return error_set(error, -ENOMEM, "inspection: no memory to hold packets");
	}
	return 0;
}

static void inspect_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	struct error error;

	if (open_workers(config, &error) < 0) {
		done(context, &error);
		return;
	}
	if (change) {
		waiting.document = config;
		waiting.done = done;
		waiting.context = context;
		return;
	}
	begin(make_change(config, false, done, context));
}

/* ---- commit ---- */

static void adopt_running(void)
{
	for (uint16_t i = 0; i < change->chain->count; i++) {
		struct inspector *engine = change->chain->engines[i];
		bool is_fresh = false;

		for (uint16_t j = 0; j < change->fresh_count; j++)
			is_fresh |= change->fresh[j] == engine;
		if (is_fresh)
			continue;
		if (engine->ops->configure)
			engine->ops->configure(engine, change->config);
		if (change->compiled && engine->ops == change->compiler) {
			engine->ops->reload(engine, change->compiled);
			change->compiled = NULL;
		}
	}
}

static void retire_replaced(struct inspect_chain *chain)
{
	const struct inspect_chain *old = inspect_chain;
	uint16_t count = 0;

	for (uint16_t i = 0; old && i < old->retiring_count; i++, count++) {
		chain->retiring[count] = old->retiring[i];
		chain->retiring_until_ns[count] = old->retiring_until_ns[i];
	}
	for (uint16_t i = 0; old && i < old->count; i++) {
		if (is_in(chain, old->engines[i]))
			continue;
		chain->retiring[count] = old->engines[i];
		chain->retiring_until_ns[count++] = clock_monotonic_ns()
			+ RTE_MAX(old->deadline_ns, old->gap_timeout_ns)
			+ RETIRE_MARGIN_MS * CLOCK_NS_PER_MS;
	}
	chain->retiring_count = count;
}

static void inspect_commit(void)
{
	struct inspect_chain *chain = change->chain;
	uint32_t limit = (uint32_t)json_integer_value(json_object_get(change->config, "hold-max"));

	for (uint16_t i = 0; i < worker_count(); i++)
		hold_set_limit(inspect_workers[i]->holds, limit / worker_count());
	inspect_policy_bind_ports(chain, change->document);
	adopt_running();
	retire_replaced(chain);
	change->chain = NULL;
	change->fresh_count = 0;
	publish_swap(&inspect_chain, chain, free);
	if (change->files)
		rules_digest = change->files->digest;
	json_decref(rules_variables);
	rules_variables = json_incref(json_object_get(change->config, "variables"));
}

static void destroy_engine(void *opaque)
{
	struct inspector *engine = opaque;

	engine->ops->destroy(engine);
}

static void await_retirement(void);

/* Ends those whose deadline is over: what they held has come back or expired. */
static void on_retire(uv_timer_t *timer)
{
	struct inspect_chain *old = inspect_chain;
	struct inspect_chain *chain = malloc(inspect_chain_size(old));
	uint64_t now_ns = clock_monotonic_ns();

	if (!chain) {
		uv_timer_start(timer, on_retire, REPORT_PERIOD_MS, 0);
		return;
	}
	memcpy(chain, old, inspect_chain_size(old));
	chain->retiring_count = 0;
	for (uint16_t i = 0; i < old->retiring_count; i++) {
		if (old->retiring_until_ns[i] <= now_ns)
			continue;
		chain->retiring[chain->retiring_count] = old->retiring[i];
		chain->retiring_until_ns[chain->retiring_count++] = old->retiring_until_ns[i];
	}
	publish_swap(&inspect_chain, chain, NULL);
	for (uint16_t i = 0; i < old->retiring_count; i++)
		if (old->retiring_until_ns[i] <= now_ns)
			publish_retire(old->retiring[i], destroy_engine);
	publish_retire(old, free);
	await_retirement();
	if (change && change->waits_for_room)
		end_prepare_with_room();
}

static void await_retirement(void)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns = UINT64_MAX;

	for (uint16_t i = 0; i < inspect_chain->retiring_count; i++)
		next_ns = RTE_MIN(next_ns, inspect_chain->retiring_until_ns[i]);
	if (next_ns < UINT64_MAX)
		uv_timer_start(&retire_timer, on_retire,
			next_ns > now_ns ? (next_ns - now_ns) / CLOCK_NS_PER_MS + 1 : 0, 0);
}

static void end_change(void)
{
	change_destroy(change);
	change = NULL;
	if (!waiting.done)
		return;
	begin(make_change(waiting.document, false, waiting.done, waiting.context));
	waiting.done = NULL;
}

static bool is_inspecting(const struct inspect_chain *chain)
{
	for (uint16_t i = 0; i < chain->count; i++)
		if (chain->engines[i]->ops != &none_inspector)
			return true;
	return false;
}

/* Inspection was switched off: with the graph, inspect_return is gone, and what is held (fragments
 * whose rest had not come) would stay for good. */
static void drop_held(const struct inspect_chain *chain)
{
	struct rte_mbuf *packets[INSPECT_BURST];
	uint16_t count;

	for (uint16_t i = 0; i < worker_count(); i++)
		for (uint16_t j = 0; j < chain->retiring_count; j++)
			while ((count = hold_release(inspect_workers[i]->holds,
					chain->retiring[j]->owner, packets, INSPECT_BURST))
				> 0)
				rte_pktmbuf_free_bulk(packets, count);
}

static void inspect_finish(void)
{
	if (!is_inspecting(inspect_chain))
		drop_held(inspect_chain);
	await_retirement();
	end_change();
}

static void inspect_abort(void)
{
	end_change();
}

/* ---- inspect.reload ---- */

/* All errors in one message, a line each; the caller frees it. NULL: no more is known than error.
 */
static char *describe_refusals(void)
{
	char *text = NULL;
	size_t size = 0, i;
	json_t *refusal;
	FILE *out;

	if (!refused_report)
		return NULL;
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	fprintf(out, "the rules were refused, the old ones stay in force");
	json_array_foreach (json_object_get(refused_report, "refusals"), i, refusal)
		if (is_invalid(refusal))
			fprintf(out, "\n%s:%lld: %s",
				json_string_value(json_object_get(refusal, "file")),
				json_integer_value(json_object_get(refusal, "line")),
				json_string_value(json_object_get(refusal, "reason")));
	fclose(out);
	json_decref(refused_report);
	refused_report = NULL;
	return text;
}

static void answer_reload(void)
{
	struct ipc_request *request = reloading;
	uint64_t duration_ms = (clock_monotonic_ns() - reload.started_ns) / CLOCK_NS_PER_MS;

	reloading = NULL;
	if (reload.error.text[0]) {
		log_error("rules_refused", log_str("error", reload.error.text));
		ipc_reply_failed(request, -EIO, reload.error.text);
		return;
	}
	log_info("rules_loaded", log_uint("rules", reload.loaded),
		log_uint("duration_ms", duration_ms));
	ipc_reply(request,
		json_pack("{s:I, s:I, s:I}", "loaded", (json_int_t)reload.loaded, "refused",
			(json_int_t)reload.refused, "duration_ms", (json_int_t)duration_ms));
}

static void on_settled(void *context, uint64_t loaded, uint64_t refused, const struct error *error)
{
	reload.loaded += loaded;
	reload.refused += refused;
	if (error)
		reload.error = *error;
	if (--reload.missing == 0)
		answer_reload();
}

/* Engines outside are told of their rules by commit, and take their time. */
static void await_engines(void)
{
	reload.missing = 1;
	for (uint16_t i = 0; i < inspect_chain->count; i++) {
		struct inspector *engine = inspect_chain->engines[i];

		if (!engine->ops->settle)
			continue;
		reload.missing++;
		engine->ops->settle(engine, on_settled, NULL);
	}
	on_settled(NULL, 0, 0, NULL);
}

static void on_reloaded(void *context, const struct error *error)
{
	struct ipc_request *request = reloading;

	if (error) {
		reloading = NULL;

		/* end_prepare() has thrown the change away. */
		char *text = describe_refusals();

		log_error("rules_refused", log_str("error", error->text));
		ipc_reply_failed(request, -EINVAL, text ? text : error->text);
		free(text);
		end_change();
		return;
	}
	reload.loaded = (uint64_t)json_integer_value(json_object_get(change->report, "accepted"));
	reload.refused = (uint64_t)json_integer_value(json_object_get(change->report, "refused"));
	inspect_commit();
	inspect_finish();
	await_engines();
}

void inspect_reload(struct ipc_request *request, void *context)
{
	if (change || reloading) {
		ipc_reply_failed(request, -EBUSY,
			"another change of the rules or the configuration is under way; try again");
		return;
	}
	if (!packet_config()) {
		ipc_reply_failed(request, -EAGAIN, "there is no configuration yet");
		return;
	}
	reloading = request;
	memset(&reload, 0, sizeof(reload));
	reload.started_ns = clock_monotonic_ns();
	json_decref(refused_report);
	refused_report = NULL;
	begin(make_change(packet_config(), true, on_reloaded, NULL));
}

/* ---- start and stop ---- */

static void drain(struct inspector *engine)
{
	if (engine->ops->drain)
		engine->ops->drain(engine);
}

static void on_worker_records(void *context)
{
	for (uint16_t i = 0; inspect_chain && i < inspect_chain->count; i++)
		drain(inspect_chain->engines[i]);
	for (uint16_t i = 0; inspect_chain && i < inspect_chain->retiring_count; i++)
		drain(inspect_chain->retiring[i]);
}

/* While rules are compiled, each second: in the log, and as an event. */
static void report_progress(void)
{
	uint32_t permille;

	if (!change || !change->is_compiling)
		return;
	permille = __atomic_load_n(&change->progress.permille, __ATOMIC_RELAXED);
	log_info("rules_compiling", log_uint("percent", permille / 10));
	packet_emit_event(
		json_pack("{s:s, s:i}", "type", "rules_compiling", "percent", (int)permille / 10));
}

json_t *inspect_compiling(void)
{
	uint64_t elapsed_ns;

	if (!change || !change->is_compiling)
		return NULL;
	elapsed_ns = clock_monotonic_ns() - change->started_ns;
	return json_pack("{s:i, s:I}", "percent",
		(int)__atomic_load_n(&change->progress.permille, __ATOMIC_RELAXED) / 10,
		"elapsed_ms", (json_int_t)(elapsed_ns / CLOCK_NS_PER_MS));
}

static void on_report(uv_timer_t *timer)
{
	on_worker_records(NULL);
	report_progress();
	inspect_report_failures();
}

static int inspect_start(struct error *error)
{
	int status = worker_add_control_handler(on_worker_records, NULL);

	if (status < 0)
		return error_set(error, status, "inspection: no room for a handler");
	uv_timer_init(packet_loop(), &retire_timer);
	uv_timer_init(packet_loop(), &report_timer);
	uv_timer_start(&report_timer, on_report, REPORT_PERIOD_MS, REPORT_PERIOD_MS);
	has_timers = true;
	return 0;
}

/* The helper thread reads what runs: before that goes, it ends, between two groups of patterns. */
static void stop_compiling(void)
{
	if (!change || !change->is_compiling)
		return;
	__atomic_store_n(&change->progress.is_stopped, true, __ATOMIC_RELAXED);
	uv_sem_wait(&change->compiled_sem);
	change->is_stopped = true; /* on_compiled() frees it, the loop goes on until then */
	change = NULL;
}

/* The workers have ended. */
static void inspect_stop(void)
{
	struct inspect_chain *chain = inspect_chain;

	is_stopping = true;
	stop_compiling();

	inspect_chain = NULL;
	if (has_timers) {
		uv_close((uv_handle_t *)&retire_timer, NULL);
		uv_close((uv_handle_t *)&report_timer, NULL);
	}
	has_timers = false;
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		if (!inspect_workers[i])
			continue;
		hold_table_destroy(inspect_workers[i]->holds);
		free(inspect_workers[i]);
		inspect_workers[i] = NULL;
	}
	for (uint16_t i = 0; chain && i < chain->count; i++)
		destroy_engine(chain->engines[i]);
	for (uint16_t i = 0; chain && i < chain->retiring_count; i++)
		destroy_engine(chain->retiring[i]);
	free(chain);
	json_decref(rules_variables);
	rules_variables = NULL;
	json_decref(refused_report);
	refused_report = NULL;
}

const struct packet_module inspect_module = {
	.name = "inspect",
	.start = inspect_start,
	.stop = inspect_stop,
	.prepare = inspect_prepare,
	.commit = inspect_commit,
	.finish = inspect_finish,
	.abort = inspect_abort,
	.methods = inspect_methods,
	.metrics = inspect_metrics,
	.program = suricata_program_news,
};
