/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line as one table: a row per command. Parsing, help, man pages and bash completion
 * come from it. A row "config apply" is the command `bulkhead config apply`.
 */
#pragma once

#include "bulkhead/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CLI_ARGUMENTS_MAX 16
#define CLI_OPTIONS_MAX   16 /* of one command */
#define CLI_WATCH_DEFAULT 2  /* seconds */

/* Exit codes of every command. */
enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* What completion offers for a value. */
enum cli_complete {
	COMPLETE_NOTHING,
	COMPLETE_FILE,
	COMPLETE_PORT,
	COMPLETE_PARTITION,
	COMPLETE_CONFIG_KEY,
	COMPLETE_METHOD,
	COMPLETE_CHOICES, /* of `choices` */
};

struct command_option {
	const char *name;     /* "count"; NULL ends the list */
	const char *argument; /* "N"; NULL: a switch */
	const char *help;
	enum cli_complete complete;
	const char *choices; /* "a b c" */
};

struct command_example {
	const char *command; /* NULL ends the list */
	const char *text;    /* what it does */
};

struct cli;

struct command {
	const char *name;        /* "config apply"; NULL ends the table */
	const char *summary;     /* one line, no full stop */
	const char *arguments;   /* "[NAME]"; "": none */
	const char *description; /* paragraphs, separated by an empty line */
	int arguments_min, arguments_max;
	enum cli_complete complete; /* of arguments */
	const char *choices;
	bool can_watch;
	const struct command_option *options; /* NULL: none */
	const struct command_example *examples;
	int (*run)(struct cli *cli); /* enum cli_exit */
};

extern const struct command commands[];
/* Of every command. */
extern const struct command_option global_options[];
/* Row by its whole name; NULL: none. */
const struct command *command_find(const char *name);
/* true: some command's name starts with this word and another one ("config"). */
bool command_is_group(const char *word);

/* An invocation. */
struct cli {
	const struct command *command; /* NULL: none was named */
	const char *group;             /* "config", when only that was named */
	const char *socket;            /* NULL: the default */
	bool is_json, wants_help, wants_version;
	double watch_s;                      /* 0: once */
	const char *values[CLI_OPTIONS_MAX]; /* of command->options; "" for switches */
	const char *arguments[CLI_ARGUMENTS_MAX];
	int argument_count;
	struct bulkhead_control *control; /* NULL: not connected yet, see cli_connect() */
};

/* Fills cli from argv. 0, or -1 with a message for people in text. */
int cli_parse(struct cli *cli, int argc, char **argv, char *text, size_t size);
/* Value of an option of the command; "" for a switch that is set; NULL: not given. */
const char *cli_value(const struct cli *cli, const char *name);

/* Help of a command, of a group, or (both NULL) of all. */
void help_print(FILE *out, const struct command *command, const char *group);

/* Calls, or prints the daemon's error and returns CLI_FAILED. params is consumed. */
int cli_call(struct cli *cli, const char *method, json_t *params, json_t **result);
int cli_call_paged(struct cli *cli, const char *method, json_t *params, json_t **result);
/* The same, and prints the result: as JSON, or else for people (print NULL: nothing). */
int cli_show(
	struct cli *cli, const char *method, json_t *params, void (*print)(const json_t *result));
int cli_show_paged(
	struct cli *cli, const char *method, json_t *params, void (*print)(const json_t *result));
/* Connects when that was not done yet; cli_call() does so itself. */
int cli_connect(struct cli *cli);
/* "bulkhead: …" on stderr; returns CLI_FAILED or CLI_USAGE. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints value as JSON, with a newline. */
int cli_print_json(const json_t *value);
/* Adds the option's value as integer or string to params, when it was given. -1: no number; the
 * message is printed. */
int cli_param_integer(struct cli *cli, json_t *params, const char *option, const char *param);
void cli_param_string(struct cli *cli, json_t *params, const char *option, const char *param);

/* The commands' functions, by file. */
int show_status(struct cli *cli);
int show_ports(struct cli *cli);
int show_vlans(struct cli *cli);
int show_fdb(struct cli *cli);
int show_filters(struct cli *cli);
int show_target(struct cli *cli);
int target_ready(struct cli *cli);
int target_load(struct cli *cli);
int show_drops(struct cli *cli);
int show_graph(struct cli *cli);
int inspect_status(struct cli *cli);
int inspect_rules(struct cli *cli);
int inspect_flows(struct cli *cli);
int inspect_reload(struct cli *cli);
int inspect_replay(struct cli *cli);
int distributor_status(struct cli *cli);
int distributor_connections(struct cli *cli);
int distributor_weight(struct cli *cli);
int distributor_drain(struct cli *cli);
int ipsec_status(struct cli *cli);
int ipsec_sas(struct cli *cli);
int ipsec_policies(struct cli *cli);
int ipsec_handover(struct cli *cli);
int follow_events(struct cli *cli);
int trace_packets(struct cli *cli);
int capture_packets(struct cli *cli);
int config_command_check(struct cli *cli);
int config_command_show(struct cli *cli);
int config_command_diff(struct cli *cli);
int config_command_explain(struct cli *cli);
int config_command_apply(struct cli *cli);
int config_command_confirm(struct cli *cli);
int config_command_rollback(struct cli *cli);
int config_command_reload(struct cli *cli);
int config_command_schema(struct cli *cli);
int config_command_default(struct cli *cli);
int show_channels(struct cli *cli);
int show_channel(struct cli *cli);
int revoke_channel(struct cli *cli);
int show_channel_policy(struct cli *cli);
int show_channel_peers(struct cli *cli);
int show_channel_stats(struct cli *cli);
int open_dialogue(struct cli *cli);
int send_messages(struct cli *cli);
int receive_messages(struct cli *cli);
int show_top(struct cli *cli);
int kmp_sessions(struct cli *cli);
int kmp_ping(struct cli *cli);
int kmp_list(struct cli *cli);
int kmp_stats(struct cli *cli);
int kmp_events(struct cli *cli);
int api_list(struct cli *cli);
int api_call(struct cli *cli);
