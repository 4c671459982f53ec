/* SPDX-License-Identifier: BSD-3-Clause */
#include "docs/generate/pages.h"

#include "cli/command.h"
#include "control/config/config.h"
#include "schema/api_schema.h"

#include <string.h>

/* --- bulkhead.1 and bulkhead-COMMAND.1 --- */

static void put_options(FILE *out, const struct command_option *options)
{
	for (; options && options->name; options++) {
		fputs(".TP\n\\fB\\-\\-", out);
		roff_text(out, options->name);
		fputs("\\fR", out);
		if (options->argument)
			fprintf(out, " \\fI%s\\fR", options->argument);
		fputc('\n', out);
		roff_text(out, options->help);
		fputc('\n', out);
		if (options->choices) {
			fputs("One of: ", out);
			roff_text(out, options->choices);
			fputs(".\n", out);
		}
	}
}

static void put_exit_status(FILE *out)
{
	fputs(".SH EXIT STATUS\n0: done. 1: failed, the reason is on standard error. 2: wrong "
	      "usage.\n",
		out);
}

static void put_synopsis(FILE *out, const struct command *command)
{
	fputs("\\fBbulkhead ", out);
	roff_text(out, command->name);
	fputs("\\fR", out);
	if (*command->arguments)
		fprintf(out, " \\fI%s\\fR", command->arguments);
	if (command->options)
		fputs(" [\\fIOPTION\\fR]...", out);
	fputc('\n', out);
}

static void put_examples(FILE *out, const struct command *command)
{
	for (const struct command_example *example = command->examples; example->command;
		example++) {
		fputs(".TP\n\\fB", out);
		roff_text(out, example->command);
		fputs("\\fR\n", out);
		roff_text(out, example->text);
		fputc('\n', out);
	}
}

static bool is_of_group(const struct command *command, const char *group)
{
	size_t length = strlen(group);

	return strncmp(command->name, group, length) == 0
		&& (command->name[length] == '\0' || command->name[length] == ' ');
}

static void put_command(FILE *out, const struct command *command)
{
	fputs(".SS bulkhead ", out);
	roff_text(out, command->name);
	fputc('\n', out);
	roff_paragraphs(out, command->description);
	put_options(out, command->options);
	if (command->can_watch)
		fputs(".TP\n\\fB\\-\\-watch\\fR[=\\fISECONDS\\fR]\n"
		      "Repeat every 2 or so many seconds.\n",
			out);
}

/* The first sentence of a group's page: that of its own command, or the list of its commands. */
static void put_group_head(FILE *out, const char *group)
{
	const struct command *own = command_find(group);
	char name[64], summary[128];

	snprintf(name, sizeof(name), "bulkhead-%s", group);
	snprintf(summary, sizeof(summary), "%s",
		own ? own->summary : "check, show, compare and apply the configuration");
	roff_head(out, name, 1, summary);
}

int page_command(FILE *out, const char *group)
{
	bool is_first = true;

	if (!command_find(group) && !command_is_group(group))
		return -1;
	put_group_head(out, group);
	fputs(".SH SYNOPSIS\n", out);
	for (const struct command *command = commands; command->name; command++) {
		if (!is_of_group(command, group))
			continue;
		if (!is_first)
			fputs(".br\n", out);
		put_synopsis(out, command);
		is_first = false;
	}
	fputs(".SH DESCRIPTION\n", out);
	for (const struct command *command = commands; command->name; command++) {
		if (is_of_group(command, group))
			put_command(out, command);
	}
	fputs(".SH OPTIONS OF EVERY COMMAND\n", out);
	put_options(out, global_options);
	put_exit_status(out);
	fputs(".SH EXAMPLES\n", out);
	for (const struct command *command = commands; command->name; command++) {
		if (is_of_group(command, group))
			put_examples(out, command);
	}
	fputs(".SH SEE ALSO\n\\fBbulkhead\\fR(1), \\fBbulkhead.yaml\\fR(5), \\fBbulkheadd\\fR(8)\n",
		out);
	return 0;
}

void page_bulkhead(FILE *out)
{
	roff_head(out, "bulkhead", 1, "look at and steer a secure virtual I/O server");
	fputs(".SH SYNOPSIS\n\\fBbulkhead\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... "
	      "[\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n"
	      "Talks to \\fBbulkheadd\\fR(8) over its socket. Each command has a page of its own, "
	      "\\fBbulkhead\\-\\fICOMMAND\\fR(1), and explains itself with \\fB\\-\\-help\\fR.\n"
	      "Colours are used on a terminal only, and not when NO_COLOR is set.\n",
		out);
	fputs(".SH COMMANDS\n", out);
	for (const struct command *command = commands; command->name; command++) {
		fputs(".TP\n\\fB", out);
		roff_text(out, command->name);
		fputs("\\fR\n", out);
		roff_text(out, command->summary);
		fputs(".\n", out);
	}
	fputs(".SH OPTIONS\n", out);
	put_options(out, global_options);
	fputs(".TP\n\\fB\\-\\-version\\fR\nPrint the version.\n", out);
	put_exit_status(out);
	fputs(".SH FILES\n.TP\n\\fI" BULKHEAD_CONTROL_SOCKET
	      "\\fR\nThe daemon's socket. What a user "
	      "may do is decided by the user's name and groups: see control.readers and "
	      "control.operators in \\fBbulkhead.yaml\\fR(5).\n",
		out);
	fputs(".SH EXAMPLES\n.TP\n\\fBbulkhead status\\fR\nIs all well?\n", out);
	fputs(".SH SEE ALSO\n\\fBbulkhead.yaml\\fR(5), \\fBbulkhead\\-api\\fR(7), "
	      "\\fBbulkhead\\-drops\\fR(7), \\fBbulkheadd\\fR(8)\n",
		out);
}

/* --- bulkheadd.8 --- */

/* The rows of "Roles:" in the daemon's help: two spaces, name, spaces, job. */
static void put_roles(FILE *out, FILE *help)
{
	bool is_in_roles = false;
	char line[256];

	while (fgets(line, sizeof(line), help)) {
		size_t length;

		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "Roles:") == 0) {
			is_in_roles = true;
			continue;
		}
		if (!is_in_roles || strncmp(line, "  ", 2) != 0) {
			is_in_roles = false;
			continue;
		}
		length = strcspn(line + 2, " ");
		fprintf(out, ".TP\n\\fB%.*s\\fR\n", (int)length, line + 2);
		roff_text(out, line + 2 + length + strspn(line + 2 + length, " "));
		fputs(".\n", out);
	}
}

void page_daemon(FILE *out, FILE *help)
{
	roff_head(out, "bulkheadd", 8, "secure virtual I/O server");
	fputs(".SH SYNOPSIS\n\\fBbulkheadd\\fR [\\fB\\-\\-config\\fR \\fIFILE\\fR] "
	      "[\\fB\\-\\-foreground\\fR]\n",
		out);
	fputs(".SH DESCRIPTION\nConnects partitions (virtual machines and containers) to each "
	      "other and "
	      "to the outside. Its gateway tags every packet with its origin, has it inspected, "
	      "and "
	      "forwards it by its tag.\n.PP\nIt runs one process per "
	      "role, "
	      "each with only the rights that its job needs; one that dies is started again while "
	      "the "
	      "others keep working. So is the broker, which starts them; the first process, the "
	      "keeper, does that and nothing else. It is the one to send signals to, and the only "
	      "one whose death ends the daemon.\n",
		out);
	fputs(".SH ROLES\n", out);
	put_roles(out, help);
	fputs(".SH OPTIONS\n.TP\n\\fB\\-\\-config\\fR \\fIFILE\\fR\nThe configuration, "
	      "\\fI/etc/bulkhead/bulkhead.yaml\\fR unless told.\n"
	      ".TP\n\\fB\\-\\-foreground\\fR\nStay in the foreground and log to standard error. "
	      "Without it the command returns when the daemon is ready or has failed to start.\n"
	      ".TP\n\\fB\\-\\-version\\fR\nPrint the version.\n"
	      ".TP\n\\fB\\-\\-help\\fR\nPrint a summary.\n",
		out);
	fputs(".SH SIGNALS\n.TP\n\\fBSIGHUP\\fR\nRead the configuration again and apply it, and "
	      "open the "
	      "EVE file again (after its rotation).\n.TP\n\\fBSIGTERM\\fR, \\fBSIGINT\\fR\nStop in "
	      "order.\n",
		out);
	fputs(".SH EXIT STATUS\n0: stopped as asked. 1: could not start, or failed. 2: wrong "
	      "usage.\n",
		out);
	fputs(".SH FILES\n.TP\n\\fI/etc/bulkhead/bulkhead.yaml\\fR\nConfiguration, see "
	      "\\fBbulkhead.yaml\\fR(5).\n.TP\n\\fI/run/bulkhead/\\fR\nSockets.\n",
		out);
	fputs(".SH SEE ALSO\n\\fBbulkhead\\fR(1), \\fBbulkhead.yaml\\fR(5)\n", out);
}

/* --- bulkhead.yaml.5 --- */

/* The embedded default as an example, line by line. */
static void put_default(FILE *out)
{
	fputs(".SH EXAMPLE\nThe configuration that the daemon has without a file:\n.PP\n.nf\n",
		out);
	roff_text(out, config_default_text());
	fputs(".fi\n", out);
}

void page_configuration(FILE *out)
{
	roff_head(out, "bulkhead.yaml", 5, "configuration of bulkheadd");
	fputs(".SH DESCRIPTION\nOne YAML file. Durations and rates carry units, as 50ms and "
	      "10Gbit/s. "
	      "Names that you choose are written * below. \\fBbulkhead config check\\fR reports "
	      "all "
	      "that is wrong at once; \\fBbulkhead config apply\\fR puts a file in force without "
	      "losing packets of what did not change.\n.SH OPTIONS\n",
		out);
	config_reference_print_man(out);
	put_default(out);
	fputs(".SH SEE ALSO\n\\fBbulkhead\\-config\\fR(1), \\fBbulkheadd\\fR(8)\n", out);
}

/* --- bulkhead-drops.7 --- */

void page_drops(FILE *out)
{
	static const char *const reasons[][3] = {
#define DROP(name, owner, text) {#name, #owner, text},
#include "packet/engine/drop_reasons.def"
#undef DROP
	};

	roff_head(out, "bulkhead-drops", 7, "reasons for which packets are dropped");
	fputs(".SH DESCRIPTION\nEvery packet that is dropped is counted under one of these "
	      "reasons: in "
	      "\\fBbulkhead drops\\fR, and in the metric bulkhead_drops_total under the label "
	      "reason. The part of the packet role that decides is in brackets.\n.SH REASONS\n",
		out);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strcmp(reasons[i][0], "none") == 0)
			continue;
		fputs(".TP\n\\fB", out);
		roff_text(out, reasons[i][0]);
		fprintf(out, "\\fR (%s)\n", reasons[i][1]);
		roff_text(out, reasons[i][2]);
		fputs(".\n", out);
	}
	fputs(".SH SEE ALSO\n\\fBbulkhead\\-drops\\fR(1)\n", out);
}

/* --- bulkhead-api.7 --- */

static void put_fields(FILE *out, const struct api_field *fields)
{
	for (; fields && fields->path; fields++) {
		fputs(".br\n\\fI", out);
		roff_text(out, fields->path);
		fprintf(out, "\\fR%s: ", fields->is_optional ? " (optional)" : "");
		roff_text(out, fields->help);
		fputc('\n', out);
	}
}

static void put_params(FILE *out, const struct api_method *method)
{
	for (const struct api_param *param = method->params; param && param->name; param++) {
		fputs(".br\n\\fB", out);
		roff_text(out, param->name);
		fprintf(out, "\\fR%s: ", param->is_required ? " (required)" : "");
		roff_text(out, param->help);
		if (param->choices) {
			fputs(" (", out);
			roff_text(out, param->choices);
			fputc(')', out);
		}
		fputc('\n', out);
	}
	if (method->is_paged)
		fputs(".br\n\\fBafter\\fR, \\fBlimit\\fR: paging; see above\n", out);
}

static void put_method(FILE *out, const struct api_method *method)
{
	const struct api_notification *notification = method->notifications;

	fprintf(out, ".SS %s\n", method->name);
	roff_text(out, method->help);
	fprintf(out, " For %ss.%s\n", api_access_name(method->access),
		method->takes_descriptor ? " A descriptor comes with the call." : "");
	if (method->params || method->is_paged)
		fputs(".PP\nParameters:\n", out);
	put_params(out, method);
	fputs(".PP\nResult:\n", out);
	put_fields(out, method->result);
	for (; notification && notification->name; notification++) {
		fprintf(out, ".PP\nNotification \\fB%s\\fR:\n", notification->name);
		put_fields(out, notification->fields);
	}
}

void page_api(FILE *out)
{
	roff_head(out, "bulkhead-api", 7, "methods of the daemon's API");
	fputs(".SH DESCRIPTION\nJSON\\-RPC 2.0 on a Unix socket of type SOCK_SEQPACKET: one "
	      "message is one "
	      "packet of at most 128 KiB. Parameters are named. Who may call what is decided by "
	      "the "
	      "peer's credentials. What the command \\fBbulkhead\\fR(1) does, it does through this "
	      "API.\n.PP\nPaged methods answer \\fInext\\fR while there is more; it is the "
	      "parameter \\fBafter\\fR of the next call. \\fBlimit\\fR is the length of a page.\n"
	      ".PP\nErrors have the codes of JSON\\-RPC, and: \\-32000 the daemon understood and "
	      "could not do it, \\-32001 forbidden, \\-32002 the role that answers is not running, "
	      "\\-32003 it did not answer in time.\n.SH METHODS\n",
		out);
	for (const struct api_method *method = api_methods; method->name; method++) {
		if (method->access != API_INTERNAL)
			put_method(out, method);
	}
	fputs(".SH SEE ALSO\n\\fBbulkhead\\-api\\fR(1)\n", out);
}
