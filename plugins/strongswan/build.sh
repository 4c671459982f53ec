#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `make plugin`: plugins/strongswan/build.sh BUILD makes BUILD/plugin/libstrongswan-bulkhead.so, with the headers
# of the distribution's own strongSwan (source.sh) and the build folder's libbulkhead-kmp.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath "$1")
plugin=plugins/strongswan
mkdir -p "$build/plugin"
exec 9>"$build/plugin/lock" # tests side by side all want it
flock 9
source=$("$plugin/source.sh" "$(realpath -m "${STRONGSWAN_SOURCE:-build/strongswan}")")
out=$build/plugin/libstrongswan-bulkhead.so

is_fresh() {
	local file
	[ -e "$out" ] || return 1
	for file in "$plugin"/*.[ch] include/bulkhead/kmp.h "$build/lib/libbulkhead-kmp.a"; do
		[ "$out" -nt "$file" ] || return 1
	done
}

is_fresh || {
	# Its headers use GNU's dialect and are not for our warnings; ours are on for our files' own code.
	"${CC:-cc}" -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -shared -Wall -Wno-format -Wno-pointer-sign \
		-include "$plugin/charon-config.h" -isystem "$source/src/libstrongswan" -isystem "$source/src/libcharon" \
		-I include -o "$out" "$plugin"/*.c "$build/lib/libbulkhead-kmp.a" -lcrypto \
		-Wl,--exclude-libs,ALL
	echo "plugin: $out (strongSwan $(basename "$source" | sed 's/^strongswan-//'))"
}
