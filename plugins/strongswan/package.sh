#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Packages the plugin on its own (`make deb`): plugins/strongswan/package.sh makes out/bulkhead-strongswan_*.deb. It
# depends on the upstream version of strongSwan whose headers it was built with, as charon does not check that.
set -euo pipefail
cd "$(dirname "$0")/../.."
plugin=plugins/strongswan
tools/build build-deb --buildtype=release -Dtests=false --prefix=/usr --sysconfdir=/etc
"$plugin/build.sh" build-deb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
doc=$root/usr/share/doc/bulkhead-strongswan
version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" meson.build | head -n 1)
upstream=$(basename "$("$plugin/source.sh" "$(realpath -m "${STRONGSWAN_SOURCE:-build/strongswan}")")" | sed 's/^strongswan-//')

libraries() {
	mkdir -p "$work/debian"
	printf 'Source: bulkhead\n\nPackage: bulkhead-strongswan\nArchitecture: any\n' >"$work/debian/control"
	(cd "$work" && dpkg-shlibdeps -O root/usr/lib/ipsec/plugins/libstrongswan-bulkhead.so 2>shlibdeps.log) |
		sed -n 's/^shlibs:Depends=//p'
}

mkdir -p "$root/DEBIAN" "$doc" out
install -D -m 0644 build-deb/plugin/libstrongswan-bulkhead.so "$root/usr/lib/ipsec/plugins/libstrongswan-bulkhead.so"
strip --strip-unneeded "$root/usr/lib/ipsec/plugins/libstrongswan-bulkhead.so"
install -D -m 0644 "$plugin/bulkhead.conf" "$root/etc/strongswan.d/charon/bulkhead.conf"
install -m 0644 "$plugin/README.md" "$doc"
# What charon brings while it starts, as traps, needs the daemon.
unit=$root/usr/lib/systemd/system/strongswan.service.d
install -d "$unit"
printf '[Unit]\nAfter=bulkheadd.service\n' >"$unit/bulkhead.conf"
{
	printf 'The plugin, GPL-2.0-or-later (on Debian: /usr/share/common-licenses/GPL-2); with OpenSSL 3 that it is linked with,\n'
	printf 'GPL-3.0. It contains the client library of KMP:\n\n'
	cat LICENSE
} >"$doc/copyright"
depends=$(libraries) || {
	cat "$work/shlibdeps.log" >&2
	exit 1
}
cat >"$root/DEBIAN/control" <<CONTROL
Package: bulkhead-strongswan
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: Bulkhead developers <root@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f 1)
Section: net
Priority: optional
Depends: $depends, libstrongswan (>= $upstream), libstrongswan (<< $upstream.), charon-systemd | strongswan-charon
Enhances: bulkhead, charon-systemd
Description: plugin of strongSwan for the secure virtual I/O server bulkhead
 charon's security associations and policies are bulkheadd's, which does ESP on
 DPDK. GPL-2.0-or-later, as strongSwan.
CONTROL
(cd "$root" && find etc -type f | sed 's|^|/|') >"$root/DEBIAN/conffiles"
dpkg-deb --root-owner-group --build "$root" "out/bulkhead-strongswan_${version}_$(dpkg --print-architecture).deb"
