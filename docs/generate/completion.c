/* SPDX-License-Identifier: BSD-3-Clause */
/* Completion for bash, from the table of commands. Names of ports and partitions come from the
 * running daemon, keys of the configuration and methods from the tables. */
#include "cli/command.h"
#include "docs/generate/pages.h"
#include "schema/api_schema.h"
#include "schema/config_schema.h"

#include <string.h>

static void put_words(FILE *out, enum cli_complete complete, const char *choices)
{
	switch (complete) {
	case COMPLETE_FILE:
		fputs("compgen -f -- \"$word\"", out);
		return;
	case COMPLETE_PORT:
		fputs("compgen -W \"$(_bulkhead_ports)\" -- \"$word\"", out);
		return;
	case COMPLETE_PARTITION:
		fputs("compgen -W \"$(_bulkhead_ports | sed -n 's/\\..*//p' | sort -u)\" -- "
		      "\"$word\"",
			out);
		return;
	case COMPLETE_CONFIG_KEY:
		fputs("compgen -W \"$_bulkhead_keys\" -- \"$word\"", out);
		return;
	case COMPLETE_METHOD:
		fputs("compgen -W \"$_bulkhead_methods\" -- \"$word\"", out);
		return;
	case COMPLETE_CHOICES:
		fprintf(out, "compgen -W '%s' -- \"$word\"", choices);
		return;
	case COMPLETE_NOTHING:
		break;
	}
	fputs("true", out);
}

static void put_option_names(FILE *out, const struct command *command)
{
	for (const struct command_option *option = command->options; option && option->name;
		option++)
		fprintf(out, "--%s ", option->name);
	for (const struct command_option *option = global_options; option->name; option++)
		fprintf(out, "--%s ", option->name);
	if (command->can_watch)
		fputs("--watch ", out);
}

/* One arm for the options of a command, one for the values of each, one for its arguments. */
static void put_command(FILE *out, const struct command *command)
{
	for (const struct command_option *option = command->options; option && option->name;
		option++) {
		if (!option->argument)
			continue;
		fprintf(out, "\t'%s':--%s) ", command->name, option->name);
		put_words(out, option->complete, option->choices);
		fputs(" ;;\n", out);
	}
	fprintf(out, "\t'%s':*)\n\t\tif [[ $word == -* ]]; then compgen -W '", command->name);
	put_option_names(out, command);
	fputs("' -- \"$word\"\n\t\telse ", out);
	put_words(out, command->complete, command->choices);
	fputs("; fi ;;\n", out);
}

/* The words that may follow first: "apply check ..." of "config"; all first words for NULL. */
static void put_next_words(FILE *out, const char *first)
{
	const char *last = "";
	size_t last_length = 0;

	for (const struct command *command = commands; command->name; command++) {
		size_t length = strcspn(command->name, " ");

		if (first && strlen(first) == length && command->name[length] == ' '
			&& strncmp(command->name, first, length) == 0)
			fprintf(out, "%s ", command->name + length + 1);
		if (!first && (length != last_length || strncmp(command->name, last, length) != 0))
			fprintf(out, "%.*s ", (int)length, command->name);
		last = command->name;
		last_length = length;
	}
}

static void put_groups(FILE *out)
{
	static const char *const groups[] = {"api", "config", "distributor", "inspect", NULL};

	for (size_t i = 0; groups[i]; i++) {
		fprintf(out, "\t%s) second='", groups[i]);
		put_next_words(out, groups[i]);
		fputs("' ;;\n", out);
	}
}

static void put_tables(FILE *out)
{
	fputs("_bulkhead_keys='", out);
	for (size_t i = 0; i < config_option_count; i++)
		fprintf(out, "%s ", config_options[i].key);
	fputs("'\n_bulkhead_methods='", out);
	for (const struct api_method *method = api_methods; method->name; method++) {
		if (method->access != API_INTERNAL)
			fprintf(out, "%s ", method->name);
	}
	fputs("'\n", out);
}

void print_completion(FILE *out)
{
	fputs("# SPDX-License-Identifier: BSD-3-Clause\n"
	      "# bash completion for bulkhead(1); generated from its table of commands.\n",
		out);
	put_tables(out);
	fputs("_bulkhead_ports()\n{\n"
	      "\t\"${COMP_WORDS[0]}\" ports 2>/dev/null | awk 'NR > 1 {print $1}'\n}\n\n"
	      "# Prints what may stand for $word, in the command $1 (\"config apply\"), after $2.\n"
	      "_bulkhead_words()\n{\n\tcase \"$1:$2\" in\n"
	      "\t*:--socket) compgen -f -- \"$word\" ;;\n",
		out);
	for (const struct command *command = commands; command->name; command++)
		put_command(out, command);
	fputs("\tesac\n}\n\n_bulkhead()\n{\n"
	      "\tlocal word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
	      "\tlocal first='' command='' second='' i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase \"${COMP_WORDS[i]}\" in\n"
	      "\t\t--socket) ((i++)) ;;\n\t\t-*) ;;\n"
	      "\t\t*) if [[ -z $first ]]; then first=\"${COMP_WORDS[i]}\"; command=$first\n"
	      "\t\t   elif [[ $command == \"$first\" ]]; then command=\"$first ${COMP_WORDS[i]}\"; "
	      "fi ;;\n"
	      "\t\tesac\n\tdone\n"
	      "\tcase \"$first\" in\n",
		out);
	put_groups(out);
	fputs("\tesac\n\tif [[ -z $first && $before != --socket ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W '",
		out);
	put_next_words(out, NULL);
	fputs("--help --json --socket --version' -- \"$word\")\n\t\treturn\n\tfi\n"
	      "\t# An argument, not a second word: the command is the first one alone.\n"
	      "\t[[ \" $second \" == *\" ${command#* } \"* ]] || command=$first\n"
	      "\tmapfile -t COMPREPLY < <(\n"
	      "\t\t[[ $command == \"$first\" && $word != -* ]] && "
	      "compgen -W \"$second\" -- \"$word\" || true\n"
	      "\t\t_bulkhead_words \"$command\" \"$before\")\n}\n"
	      "complete -o filenames -F _bulkhead bulkhead\n",
		out);
}
