#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks the generated manual: each page is clean for mandoc's lint, each command has a page, and the
# completion is valid bash that completes commands, options and keys.
# usage: check_manual.sh MANDOC BULKHEAD COMPLETION PAGE...
set -eu
mandoc=$1 bulkhead=$2 completion=$3
shift 3
failed=0

for page in "$@"; do
    # The title line has no date on purpose: pages depend on nothing but the tree.
    if complaints=$("$mandoc" -T lint -W warning "$page" | grep -v 'missing date'); then
        echo "$complaints"
        failed=1
    fi
done

for command in $("$bulkhead" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p' | sort -u); do
    case " $* " in
    *"/bulkhead-$command.1 "*) ;;
    *) echo "the command $command has no page; add it to docs/meson.build"; failed=1 ;;
    esac
done

# shellcheck source=/dev/null
source "$completion"

# complete WORD... WANTED: the completion of the last word has WANTED among its answers.
expect() {
    local wanted=${*: -1}
    COMP_WORDS=("${@:1:$#-1}")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _bulkhead
    case " ${COMPREPLY[*]} " in
    *" $wanted "*) ;;
    *) echo "completion of \"${COMP_WORDS[*]}\" lacks $wanted: ${COMPREPLY[*]}"; failed=1 ;;
    esac
}
expect bulkhead '' status
expect bulkhead st status
expect bulkhead config ap apply
expect bulkhead config apply --c --confirm
expect bulkhead --socket /s ports --k --kind
expect bulkhead ports --kind p partition
expect bulkhead config explain gateway.tr gateway.trunks
expect bulkhead inspect r rules
expect bulkhead inspect rules --r --refused
expect bulkhead api call fdb. fdb.list
expect bulkhead api fdb. fdb.list
expect bulkhead trace --protocol ic icmp
exit $failed
