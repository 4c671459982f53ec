#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Fetches the source of the distribution's strongSwan, for its headers (no package has them):
# plugins/strongswan/source.sh FOLDER. Prints the folder of the source; nothing to do when it is there. Lists of
# sources are read into a private copy below FOLDER, from where the system's own lists say that its packages
# come from: the system's sources stay as they are, and no right of root is needed.
set -euo pipefail

store=$1

say() { printf 'plugin: %s\n' "$*" >&2; }
fail() {
	say "$*"
	exit 1
}

found() { find "$store" -maxdepth 3 -path '*/src/libcharon' -printf '%h\n' 2>/dev/null | sed 's|/src$||' | sort -V | tail -n 1; }

# "deb-src URI RELEASE COMPONENTS" of where this release's packages come from.
source_line() {
	local id codename keyring
	# shellcheck source=/dev/null
	id=$(. /etc/os-release && echo "$ID")
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	keyring=/usr/share/keyrings/$id-archive-keyring.gpg
	[ -e "$keyring" ] || return 0
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		awk -v id="$id" -v codename="$codename" -v keyring="$keyring" \
			'tolower($1) == id && $2 == codename {
				print "deb-src [signed-by=" keyring "] " $3 " " codename " main" (id == "ubuntu" ? " universe" : "")
				exit
			}'
}

apt() {
	apt-get -q -o Dir::State::lists="$store/lists" -o Dir::Etc::sourcelist="$store/source.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Cache="$store/cache" -o APT::Sandbox::User="$(id -un)" "$@" >"$store/apt.log" 2>&1 ||
		{
			tail -n 20 "$store/apt.log" >&2
			return 1
		}
}

[ -z "$(found)" ] || {
	found
	exit 0
}
line=$(source_line)
[ -n "$line" ] || fail "no source of this distribution's packages is set up; unpack strongSwan's source into $store yourself (of the version that is installed)"
mkdir -p "$store/lists/partial" "$store/cache/archives/partial"
echo "$line" >"$store/source.list"
say "fetching the source of strongSwan for its headers, into $store (not installed)"
apt update || fail "the list of sources cannot be read: is there a network?"
(cd "$store" && apt source --download-only strongswan) || fail "the source of strongSwan cannot be fetched"
(cd "$store" && dpkg-source --no-check --skip-patches -x ./*.dsc >>"$store/apt.log" 2>&1) || fail "it cannot be unpacked: see $store/apt.log"
rm -rf "$store/lists" "$store/cache" "$store"/*.tar.* "$store"/*.dsc
found
