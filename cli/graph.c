/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/graph.h"

#include "cli/command.h"
#include "cli/format.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool is_same(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"name", "reason", "from", "to", "label"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(format_string(a, keys[i]), format_string(b, keys[i])) != 0)
			return false;
	}
	return true;
}

static const json_t *find_before(
	const struct graph_view *view, const char *list, const json_t *element)
{
	json_t *other;
	size_t index;

	json_array_foreach (json_object_get(view->before, list), index, other) {
		if (is_same(other, element))
			return other;
	}
	return NULL;
}

double graph_value(
	const struct graph_view *view, const char *list, const json_t *element, const char *counter)
{
	double value = (double)format_integer(element, counter), seconds;
	const json_t *before;

	if (!view->before)
		return value;
	before = find_before(view, list, element);
	seconds =
		(double)(format_integer(view->now, "at_ns") - format_integer(view->before, "at_ns"))
		/ 1e9;
	value -= (double)format_integer(before, counter);
	/* Counters start anew when the packet role was started again. */
	return value > 0 && seconds > 0 ? value / seconds : 0;
}

const char *graph_value_text(const struct graph_view *view, double value, char out[GRAPH_TEXT_SIZE])
{
	char text[FORMAT_SIZE];

	snprintf(out, GRAPH_TEXT_SIZE, "%s%s", format_count(value, text), view->before ? "/s" : "");
	return out;
}

/* --- Text --- */

/* Some edge leads to it. */
static bool is_target(const struct graph_view *view, const char *name)
{
	json_t *edge;
	size_t index;

	json_array_foreach (json_object_get(view->now, "edges"), index, edge) {
		if (strcmp(format_string(edge, "to"), name) == 0)
			return true;
	}
	return false;
}

static void print_node(const struct graph_view *view, const json_t *node)
{
	double packets = graph_value(view, "nodes", node, "packets");
	double cycles = graph_value(view, "nodes", node, "cycles");
	double calls = graph_value(view, "nodes", node, "calls");
	char text[GRAPH_TEXT_SIZE];

	format_print_styled(STYLE_BOLD, format_string(node, "name"));
	printf("%*s %10s packets", (int)(20 - format_width(format_string(node, "name")) % 20), "",
		graph_value_text(view, packets, text));
	/* A source is called whether there is something or not: its cost says nothing of packets.
	 */
	if (packets > 0 && is_target(view, format_string(node, "name")))
		printf("  %7.0f cycles each", cycles / packets);
	if (packets > 0 && calls > 0 && calls < 2 * packets)
		printf("  %5.1f a burst", packets / calls);
	putchar('\n');
}

static void print_edge(const struct graph_view *view, const json_t *edge)
{
	double packets = graph_value(view, "edges", edge, "packets");
	const char *label = format_string(edge, "label");
	char text[GRAPH_TEXT_SIZE], line[128];

	snprintf(line, sizeof(line), "  %s%s-> %s", *label ? label : "", *label ? " " : "",
		format_string(edge, "to"));
	printf("  ");
	format_print_styled(packets > 0 ? STYLE_PLAIN : STYLE_DIM, line);
	printf("%*s %12s\n", (int)(format_width(line) < 44 ? 44 - format_width(line) : 0), "",
		graph_value_text(view, packets, text));
}

/* Edges of a node; those that nothing went along are left out when there are rates to see. */
static void print_edges(const struct graph_view *view, const char *from)
{
	json_t *edge;
	size_t index;

	json_array_foreach (json_object_get(view->now, "edges"), index, edge) {
		if (strcmp(format_string(edge, "from"), from) == 0)
			print_edge(view, edge);
	}
}

static void print_ports(const struct graph_view *view, const char *counter, const char *direction)
{
	json_t *port;
	size_t index;

	json_array_foreach (json_object_get(view->now, "ports"), index, port) {
		double packets = graph_value(view, "ports", port, counter);
		char text[GRAPH_TEXT_SIZE], line[128];

		if (packets <= 0)
			continue;
		snprintf(line, sizeof(line), "  %s %s (%s)", direction, format_string(port, "name"),
			format_string(port, "kind"));
		printf("  ");
		format_print_styled(STYLE_PLAIN, line);
		printf("%*s %12s\n", (int)(format_width(line) < 44 ? 44 - format_width(line) : 0),
			"", graph_value_text(view, packets, text));
	}
}

static void print_drops(const struct graph_view *view)
{
	json_t *drop;
	size_t index;

	json_array_foreach (json_object_get(view->now, "drops"), index, drop) {
		double packets = graph_value(view, "drops", drop, "packets");
		char text[GRAPH_TEXT_SIZE];

		if (packets > 0)
			printf("    reason %-35s %12s\n", format_string(drop, "reason"),
				graph_value_text(view, packets, text));
	}
}

void graph_print_text(const struct graph_view *view)
{
	json_t *node;
	size_t index;

	json_array_foreach (json_object_get(view->now, "nodes"), index, node) {
		const char *name = format_string(node, "name");

		print_node(view, node);
		if (strcmp(name, "rx") == 0)
			print_ports(view, "rx_packets", "from");
		print_edges(view, name);
		if (strcmp(name, "tx") == 0)
			print_ports(view, "tx_packets", "to");
		if (strcmp(name, "drop") == 0)
			print_drops(view);
	}
}

/* --- The command --- */

/* Runs `dot -Tsvg` with our standard output; the stream to write to, or NULL. */
static FILE *start_dot(pid_t *pid)
{
	int ends[2];

	if (pipe(ends) < 0)
		return NULL;
	fflush(stdout);
	*pid = fork();
	if (*pid == 0) {
		dup2(ends[0], STDIN_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("dot", "dot", "-Tsvg", (char *)NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}
	close(ends[0]);
	if (*pid < 0) {
		close(ends[1]);
		return NULL;
	}
	return fdopen(ends[1], "w");
}

static int print_svg(const struct graph_view *view)
{
	int status = 0;
	pid_t pid;
	FILE *out;

	signal(SIGPIPE, SIG_IGN); /* when dot is missing its end of the pipe closes at once */
	out = start_dot(&pid);
	if (!out)
		return cli_fail("cannot start dot: %s", strerror(errno));
	graph_print_dot(view, out);
	fclose(out);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return CLI_OK;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return cli_fail("--svg needs the program dot: install the package graphviz, or use "
				"--dot and draw elsewhere");
	return cli_fail("dot failed");
}

static int print_view(struct cli *cli, const struct graph_view *view)
{
	if (cli_value(cli, "svg"))
		return print_svg(view);
	if (cli_value(cli, "dot"))
		graph_print_dot(view, stdout);
	else
		graph_print_text(view);
	return CLI_OK;
}

static void wait_ms(int64_t ms)
{
	struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

	nanosleep(&wait, NULL);
}

int show_graph(struct cli *cli)
{
	const char *interval = cli_value(cli, "interval");
	int64_t ms = interval ? format_parse_duration(interval) : 1000;
	json_t *before = NULL, *now = NULL;
	int code;

	if (ms < 0 || ms > 3600000)
		return cli_usage(cli, "--interval %s: must be seconds from 0 to 3600", interval);
	if (ms > 0 && !cli->is_json) {
		if (cli_call(cli, "graph.show", NULL, &before) != 0)
			return CLI_FAILED;
		wait_ms(ms);
	}
	if (cli_call(cli, "graph.show", NULL, &now) != 0) {
		json_decref(before);
		return CLI_FAILED;
	}
	if (cli->is_json)
		code = cli_print_json(now);
	else
		code = print_view(cli, &(struct graph_view){.before = before, .now = now});
	json_decref(before);
	json_decref(now);
	return code;
}
