/* SPDX-License-Identifier: BSD-3-Clause */
/* top: rates of ports, load of workers, drops; refreshed until q. */
#include "cli/format.h"
#include "cli/stream.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* One round of answers. */
struct sample {
	json_t *ports, *engine, *drops;
	double at_s;
};

static void sample_clear(struct sample *sample)
{
	json_decref(sample->ports);
	json_decref(sample->engine);
	json_decref(sample->drops);
	*sample = (struct sample){0};
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int sample_take(struct cli *cli, struct sample *out)
{
	*out = (struct sample){.at_s = now_s()};
	if (cli_call_paged(cli, "port.list", NULL, &out->ports) == 0
		&& cli_call(cli, "engine.status", NULL, &out->engine) == 0
		&& cli_call(cli, "drops.list", NULL, &out->drops) == 0)
		return 0;
	sample_clear(out);
	return -1;
}

/* Difference of a counter to the element of the same name (or number) before, a second. */
static double rate(const struct sample *before, const struct sample *now, const json_t *list_before,
	const json_t *element, const char *key, const char *counter)
{
	const json_t *name = json_object_get(element, key);
	double value = (double)format_integer(element, counter);
	json_t *other;
	size_t index;

	json_array_foreach (list_before, index, other) {
		if (json_equal(json_object_get(other, key), name)) {
			double difference = value - (double)format_integer(other, counter);

			return difference > 0 ? difference / (now->at_s - before->at_s) : 0;
		}
	}
	return 0;
}

struct port_rates {
	const json_t *port;
	double rx_packets, rx_bits, tx_packets, tx_bits;
};

static int compare_rates(const void *left, const void *right)
{
	const struct port_rates *a = left, *b = right;
	double of_a = a->rx_bits + a->tx_bits, of_b = b->rx_bits + b->tx_bits;

	return of_a < of_b ? 1 : of_a > of_b ? -1 : 0;
}

static void add_port(struct table *table, const struct port_rates *rates)
{
	bool is_up = format_boolean(rates->port, "is_up");
	char text[FORMAT_SIZE];

	table_add(table, format_string(rates->port, "name"));
	table_add(table, format_string(rates->port, "kind"));
	table_add_styled(table, is_up ? STYLE_GOOD : STYLE_BAD, is_up ? "up" : "down");
	table_add(table, format_count(rates->rx_packets, text));
	table_add(table, format_bit_rate(rates->rx_bits, text));
	table_add(table, format_count(rates->tx_packets, text));
	table_add(table, format_bit_rate(rates->tx_bits, text));
}

/* The busiest ports first, as many as there is room for. */
static void print_ports(const struct sample *before, const struct sample *now, size_t room)
{
	static const struct table_column columns[] = {{"PORT", false, true}, {"KIND", false, false},
		{"LINK", false, false}, {"RX/s", true, false}, {"RX", true, false},
		{"TX/s", true, false}, {"TX", true, false}};
	const json_t *ports = json_object_get(now->ports, "ports");
	const json_t *old = json_object_get(before->ports, "ports");
	size_t count = json_array_size(ports);
	struct port_rates *rates = calloc(count + 1, sizeof(*rates));
	struct table *table = table_create(columns, 7);
	json_t *port;
	size_t index;

	if (!rates)
		abort();
	json_array_foreach (ports, index, port)
		rates[index] = (struct port_rates){port,
			rate(before, now, old, port, "name", "rx_packets"),
			8 * rate(before, now, old, port, "name", "rx_bytes"),
			rate(before, now, old, port, "name", "tx_packets"),
			8 * rate(before, now, old, port, "name", "tx_bytes")};
	qsort(rates, count, sizeof(*rates), compare_rates);
	for (index = 0; index < count && index < room; index++)
		add_port(table, &rates[index]);
	format_print_table(table);
	if (count > room)
		printf("and %zu more\n", count - room);
	table_destroy(table);
	free(rates);
}

static void print_workers(const struct sample *before, const struct sample *now)
{
	const json_t *old = json_object_get(before->engine, "workers");
	double hz = (double)format_integer(now->engine, "cycles_per_s");
	json_t *worker;
	size_t index;

	json_array_foreach (json_object_get(now->engine, "workers"), index, worker) {
		double busy = rate(before, now, old, worker, "index", "busy_cycles");
		char text[FORMAT_SIZE];

		printf("worker %lld: %5.1f %% busy, %s packets/s, %.0f naps/s\n",
			(long long)format_integer(worker, "index"), hz > 0 ? 100 * busy / hz : 0,
			format_count(rate(before, now, old, worker, "index", "packets"), text),
			rate(before, now, old, worker, "index", "naps"));
	}
}

static void print_memory(const json_t *memory)
{
	char used[FORMAT_SIZE], total[FORMAT_SIZE];

	printf("memory: %s of %s used, %lld of %lld packet buffers free\n",
		format_bytes((double)format_integer(memory, "used_bytes"), used),
		format_bytes((double)format_integer(memory, "total_bytes"), total),
		(long long)format_integer(memory, "packets_free"),
		(long long)format_integer(memory, "packets_total"));
}

static void print_drops(const struct sample *before, const struct sample *now)
{
	const json_t *old = json_object_get(before->drops, "drops");
	json_t *drop;
	size_t index;

	json_array_foreach (json_object_get(now->drops, "drops"), index, drop) {
		double packets = rate(before, now, old, drop, "reason", "packets");
		char text[FORMAT_SIZE];

		if (packets <= 0)
			continue;
		printf("dropped: %s/s ", format_count(packets, text));
		format_print_styled(STYLE_WARNING, format_string(drop, "reason"));
		printf(" (%s)\n", format_string(drop, "text"));
	}
}

static void print_round(const struct sample *before, const struct sample *now)
{
	size_t height = format_terminal_height();

	print_workers(before, now);
	print_memory(json_object_get(now->engine, "memory"));
	print_drops(before, now);
	putchar('\n');
	print_ports(before, now, height > 14 ? height - 12 : 4);
}

/* Keys are read one by one, unseen; false: not a terminal. */
static bool set_raw(struct termios *old)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, old) < 0)
		return false;
	raw = *old;
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return true;
}

/* Waits; true: the user wants to end it. */
static bool wait_quit(int64_t ms, bool has_keys)
{
	struct pollfd entry = {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN};
	char key;

	if (poll(&entry, 1, (int)ms) <= 0)
		return stream_is_interrupted();
	return read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q';
}

static int run(struct cli *cli, int64_t interval_ms, bool is_once)
{
	struct sample before, now;
	struct termios old;
	bool has_keys = !is_once && set_raw(&old);
	int code = CLI_OK;

	if (sample_take(cli, &before) < 0)
		code = CLI_FAILED;
	while (code == CLI_OK && !wait_quit(interval_ms, has_keys)) {
		if (sample_take(cli, &now) < 0) {
			code = CLI_FAILED;
			break;
		}
		if (!is_once)
			fputs("\033[H\033[2J", stdout);
		print_round(&before, &now);
		fflush(stdout);
		sample_clear(&before);
		before = now;
		if (is_once)
			break;
	}
	sample_clear(&before);
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &old);
	return code;
}

static int print_json(struct cli *cli)
{
	struct sample sample;
	json_t *all;

	if (sample_take(cli, &sample) < 0)
		return CLI_FAILED;
	all = json_pack("{s:O, s:O, s:O}", "ports", json_object_get(sample.ports, "ports"),
		"engine", sample.engine, "drops", json_object_get(sample.drops, "drops"));
	cli_print_json(all);
	json_decref(all);
	sample_clear(&sample);
	return CLI_OK;
}

int show_top(struct cli *cli)
{
	const char *interval = cli_value(cli, "interval");
	int64_t ms = interval ? format_parse_duration(interval) : 1000;

	if (ms < 100 || ms > 3600000)
		return cli_usage(cli, "--interval %s: must be seconds from 0.1 to 3600", interval);
	if (cli->is_json)
		return print_json(cli);
	stream_catch_signals();
	return run(cli, ms, cli_value(cli, "once") || !isatty(STDOUT_FILENO));
}
