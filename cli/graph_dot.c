/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The graph for Graphviz: the flow charts of seed 000's figures 3A (tag and deliver to the
 * inspector) and 3B (forward by the tag), with the rates on the edges. rx and tx are drawn as the
 * ports that they stand for, drop as its reasons.
 */
#include "cli/format.h"
#include "cli/graph.h"

#include <string.h>

/* With more ports than this of a kind one box stands for all of them. */
#define PORTS_DRAWN_MAX 12

/* How the nodes that we know are drawn; part 'A' and 'B' are the figures. */
static const struct caption {
	const char *name, *text, *shape;
	char part;
} captions[] = {
	{"physical_input", "VLAN of the packet\\nfrom the physical adapter", "box", 'A'},
	{"switch_input", "guard, VLAN, rate\\nof the partition's port", "box", 'A'},
	{"host_input", "from the host's\\nsocket layer", "box", 'A'},
	{"switch_forward", "local partition?", "diamond", 0},
	{"origin_tag", "tag with the origin", "box", 'A'},
	{"handoff", "to the worker\\nof the flow", "box", 'A'},
	{"handoff_rx", "from other workers", "box", 'A'},
	{"inspect", "deliver to the\\ninspector", "box", 'A'},
	{"inspect_return", "returned by\\nthe inspector", "box", 'B'},
	{"origin_forward", "origin?", "diamond", 'B'},
	{NULL, NULL, NULL, 0},
};

static const struct caption *find_caption(const char *name)
{
	for (const struct caption *caption = captions; caption->name; caption++) {
		if (strcmp(caption->name, name) == 0)
			return caption;
	}
	return NULL;
}

/* As the content of a quoted string of the dot language. */
static void put_quoted(FILE *out, const char *prefix, const char *text)
{
	char *printable = format_printable(text);

	fprintf(out, "\"%s", prefix);
	for (const char *at = printable; *at; at++) {
		if (*at == '"' || *at == '\\')
			fputc('\\', out);
		fputc(*at, out);
	}
	fputc('"', out);
	free(printable);
}

static void put_node(const struct graph_view *view, FILE *out, const json_t *node, char part)
{
	const char *name = format_string(node, "name");
	const struct caption *caption = find_caption(name);
	double packets = graph_value(view, "nodes", node, "packets");
	double cycles = graph_value(view, "nodes", node, "cycles");

	if (strcmp(name, "rx") == 0 || strcmp(name, "tx") == 0 || strcmp(name, "drop") == 0
		|| (caption ? caption->part : 0) != part)
		return;
	fputs("    ", out);
	put_quoted(out, "", name);
	fprintf(out, " [shape=%s, label=\"%s%s%s", caption ? caption->shape : "box",
		caption ? caption->text : "", caption ? "\\n" : "", name);
	if (packets > 0)
		fprintf(out, "\\n%.0f cycles/packet", cycles / packets);
	fputs("\"];\n", out);
}

static void put_part(const struct graph_view *view, FILE *out, char part, const char *title)
{
	json_t *node;
	size_t index;

	if (part)
		fprintf(out,
			"  subgraph cluster_%c {\n    label=\"%s\"; style=\"rounded,dashed\"; "
			"color=gray;\n",
			part, title);
	json_array_foreach (json_object_get(view->now, "nodes"), index, node)
		put_node(view, out, node, part);
	if (part)
		fputs("  }\n", out);
}

static size_t count_kind(const struct graph_view *view, const char *kind)
{
	size_t index, count = 0;
	json_t *port;

	json_array_foreach (json_object_get(view->now, "ports"), index, port)
		count += strcmp(format_string(port, "kind"), kind) == 0;
	return count;
}

static void put_edge_end(const struct graph_view *view, FILE *out, double packets,
	const char *label, const char *more)
{
	char text[GRAPH_TEXT_SIZE];

	fprintf(out, " [label=\"%s%s%s\"%s%s];\n", label, *label ? "\\n" : "",
		graph_value_text(view, packets, text),
		packets > 0 ? ", penwidth=2" : ", color=gray, fontcolor=gray", more);
}

/* One port's box and its edge to or from node ("rx:web.eth0" -> "switch_input"). */
static void put_port(const struct graph_view *view, FILE *out, const json_t *port, const char *node,
	const char *counter)
{
	bool is_rx = strcmp(counter, "rx_packets") == 0;
	const char *prefix = is_rx ? "rx:" : "tx:", *name = format_string(port, "name");
	double packets = graph_value(view, "ports", port, counter);

	fputs("  ", out);
	put_quoted(out, prefix, name);
	fputs(" [shape=cds, style=filled, fillcolor=\"#e8f0ff\"];\n  ", out);
	put_quoted(out, is_rx ? prefix : "", is_rx ? name : node);
	fputs(" -> ", out);
	put_quoted(out, is_rx ? "" : prefix, is_rx ? node : name);
	put_edge_end(view, out, packets, "", "");
}

/* Many ports of a kind as one box. */
static void put_ports_together(const struct graph_view *view, FILE *out, const char *kind,
	const char *node, const char *counter, size_t count)
{
	bool is_rx = strcmp(counter, "rx_packets") == 0;
	double packets = 0;
	json_t *port;
	size_t index;

	json_array_foreach (json_object_get(view->now, "ports"), index, port) {
		if (strcmp(format_string(port, "kind"), kind) == 0)
			packets += graph_value(view, "ports", port, counter);
	}
	fprintf(out,
		"  \"%s:%s\" [shape=cds, style=filled, fillcolor=\"#e8f0ff\", "
		"label=\"%s:%zu %s ports\"];\n",
		is_rx ? "rx" : "tx", kind, is_rx ? "rx" : "tx", count, kind);
	if (is_rx)
		fprintf(out, "  \"rx:%s\" -> \"%s\"", kind, node);
	else
		fprintf(out, "  \"%s\" -> \"tx:%s\"", node, kind);
	put_edge_end(view, out, packets, "", "");
}

static void put_ports(const struct graph_view *view, FILE *out, const char *kind, const char *node,
	const char *counter)
{
	size_t index, count = count_kind(view, kind);
	json_t *port;

	if (count > PORTS_DRAWN_MAX) {
		put_ports_together(view, out, kind, node, counter, count);
		return;
	}
	json_array_foreach (json_object_get(view->now, "ports"), index, port) {
		if (strcmp(format_string(port, "kind"), kind) == 0)
			put_port(view, out, port, node, counter);
	}
}

static void put_all_ports(const struct graph_view *view, FILE *out)
{
	static const char *const inputs[][2] = {{"physical", "physical_input"},
		{"partition", "switch_input"}, {"host", "host_input"}};

	for (size_t i = 0; i < 3; i++) {
		put_ports(view, out, inputs[i][0], inputs[i][1], "rx_packets");
		put_ports(view, out, inputs[i][0], "tx", "tx_packets");
	}
}

static void put_edges(const struct graph_view *view, FILE *out)
{
	json_t *edge;
	size_t index;

	json_array_foreach (json_object_get(view->now, "edges"), index, edge) {
		const char *from = format_string(edge, "from"), *to = format_string(edge, "to");
		double packets = graph_value(view, "edges", edge, "packets");
		bool is_drop = strcmp(to, "drop") == 0;
		/* From the gateway back into the switch: it must not turn the drawing around. */
		bool is_back =
			strcmp(from, "origin_forward") == 0 && strcmp(to, "switch_forward") == 0;

		/* rx is drawn as its ports; a drop edge that nobody took says nothing. */
		if (strcmp(from, "rx") == 0 || (is_drop && packets == 0))
			continue;
		fputs("  ", out);
		put_quoted(out, "", from);
		fputs(" -> ", out);
		put_quoted(out, "", to);
		put_edge_end(view, out, packets, format_string(edge, "label"),
			is_drop           ? ", color=red, style=dashed"
				: is_back ? ", constraint=false"
					  : "");
	}
}

static void put_drops(const struct graph_view *view, FILE *out)
{
	json_t *drop;
	size_t index;

	json_array_foreach (json_object_get(view->now, "drops"), index, drop) {
		double packets = graph_value(view, "drops", drop, "packets");

		fputs("  ", out);
		put_quoted(out, "drop:", format_string(drop, "reason"));
		fputs(" [shape=note, color=red];\n  \"drop\" -> ", out);
		put_quoted(out, "drop:", format_string(drop, "reason"));
		put_edge_end(view, out, packets, "", ", style=dashed");
	}
}

void graph_print_dot(const struct graph_view *view, FILE *out)
{
	fputs("digraph bulkhead {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=11];\n"
	      "  edge [fontname=\"sans-serif\", fontsize=10];\n",
		out);
	put_part(view, out, 'A', "figure 3A: tag with the origin, deliver to the inspector");
	put_part(view, out, 'B', "figure 3B: forward by the tag");
	put_part(view, out, 0, NULL);
	fputs("  \"tx\" [shape=box, label=\"send\\ntx\"];\n"
	      "  \"drop\" [shape=octagon, color=red];\n",
		out);
	put_all_ports(view, out);
	put_edges(view, out);
	put_drops(view, out);
	fputs("}\n", out);
}
