/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet graph as graph.show tells it, with rates, and its drawings. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Two answers of graph.show; before is NULL for totals since the start. Borrowed. */
struct graph_view {
	const json_t *before, *now;
};

/* Packets a second, or packets in all, of an element of a list ("edges"). An element is known again
 * by the members that name it: name, reason, or from, to and label. */
double graph_value(const struct graph_view *view, const char *list, const json_t *element,
	const char *counter);
/* "1234/s", or "1234" without rates. */
#define GRAPH_TEXT_SIZE 40
const char *graph_value_text(
	const struct graph_view *view, double value, char out[GRAPH_TEXT_SIZE]);

void graph_print_text(const struct graph_view *view);
/* For Graphviz. */
void graph_print_dot(const struct graph_view *view, FILE *out);
