/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The manual, written by a program at build time from the tables that the other programs run on:
 * commands (cli/commands.c), methods (schema/api_methods.c), options (schema/config_options.c),
 * drop reasons (src/packet/engine/drop_reasons.def), roles (what bulkheadd --help says).
 */
#pragma once

#include <stdio.h>

/* Pages in the language of man(7). */
void page_bulkhead(FILE *out);
/* group: first word of the commands that it is about; -1: there are none. */
int page_command(FILE *out, const char *group);
/* help: what bulkheadd --help prints. */
void page_daemon(FILE *out, FILE *help);
void page_configuration(FILE *out);
void page_drops(FILE *out);
void page_api(FILE *out);

/* Others. */
void print_completion(FILE *out);
void print_api_markdown(FILE *out);

/* roff.c: head of a page, and text with what roff would take for its own escaped. */
void roff_head(FILE *out, const char *name, int section, const char *summary);
void roff_text(FILE *out, const char *text);
/* Text whose empty lines begin paragraphs. */
void roff_paragraphs(FILE *out, const char *text);
