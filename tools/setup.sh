#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what a set of make targets needs, and nothing when it is there: tools/setup.sh run|build|plugin|test|bench
# Packages only, from the distribution. No service of an installed package is started, and the guests'
# kernel (sets test and bench) is unpacked into out/guest, not installed.
set -eu

tree=$(cd "$(dirname "$0")/.." && pwd)
guest_store=${BULKHEAD_GUEST:-$tree/out/guest}

build_set="build-essential pkg-config meson ninja-build ccache python3 libdpdk-dev libhyperscan-dev libpcre2-dev zlib1g-dev libssl-dev
	libuv1-dev libyaml-dev libjansson-dev libpcap-dev libmicrohttpd-dev libseccomp-dev libcap-ng-dev libsystemd-dev"
run_set="$build_set iproute2 iputils-ping ethtool procps kmod curl nginx-light iperf3 openssl python3-yaml
	dpdk-dev graphviz"
test_set="$run_set libcmocka-dev python3-pytest python3-pytest-xdist python3-scapy python3-cryptography tshark tcpdump strace qemu-system-x86 busybox-static cpio
	debootstrap e2fsprogs charon-systemd strongswan-swanctl libstrongswan-standard-plugins libstrongswan-extra-plugins
	libcharon-extra-plugins
	clang libclang-rt-dev clang-format cppcheck shellcheck mandoc python3-jsonschema bind9-dnsutils dnsmasq-base"
plugin_set="$build_set dpkg-dev"
bench_set="$run_set openvswitch-switch openvswitch-switch-dpdk libzmq3-dev dpdk-doc qemu-system-x86 busybox-static cpio"

say() { printf 'setup: %s\n' "$*"; }
fail() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}

# What of the packages given is not installed.
missing_of() {
	local package
	{ dpkg-query -W -f '${binary:Package} ${db:Status-Abbrev}\n' "$@" 2>/dev/null || true; } |
		awk '$2 == "ii" {sub(/:.*/, "", $1); print $1}' | sort -u >"$work/installed"
	for package in "$@"; do
		grep -qxF "$package" "$work/installed" || echo "$package"
	done
}

check_system() {
	local id version
	# shellcheck source=/dev/null
	id=$(. /etc/os-release && echo "$ID")
	# shellcheck source=/dev/null
	version=$(. /etc/os-release && echo "${VERSION_ID:-}")
	case "$id-$version" in
	debian-12) ;;
	debian-13 | ubuntu-24.04) say "$id $version is listed but not tested; Debian 12 is" ;;
	*) fail "$id $version is not known here. Install what is named in $0 ($set set) by its name on your system, then use \`make\`" ;;
	esac
	command -v apt-get >/dev/null || fail "there is no apt-get"
}

# Keeps the packages' services from being started, unless the administrator has a policy already.
hold_services() {
	[ -e /usr/sbin/policy-rc.d ] && return
	printf '#!/bin/sh\nexit 101\n' >"$work/policy"
	install -m 0755 "$work/policy" /usr/sbin/policy-rc.d
	policy_is_ours=1
}

clean_up() {
	[ -z "${policy_is_ours:-}" ] || rm -f /usr/sbin/policy-rc.d
	rm -rf "$work"
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null >"$work/apt.log" 2>&1 ||
		{
			tail -n 20 "$work/apt.log" >&2
			return 1
		}
}

update_lists() {
	[ -n "${lists_are_new:-}" ] && return
	say "reading the package lists (apt-get update)"
	apt update || fail "apt-get update failed: is there a network, and are /etc/apt/sources.list* right?"
	lists_are_new=1
}

install_packages() {
	local packages
	# shellcheck disable=SC2086
	packages=$(missing_of $1 | xargs)
	[ -n "$packages" ] || return 0
	check_system
	[ "$(id -u)" = 0 ] || fail "these packages are missing: $packages. Run this as root (sudo), or install them"
	update_lists
	say "installing: $packages"
	hold_services
	# shellcheck disable=SC2086
	apt install -y --no-install-recommends $packages ||
		fail "apt-get could not install: $packages (see above; on another release a name may differ)"
	say "installed"
}

# The packages that hold image and modules of the kernel that the distribution gives to virtual machines.
guest_kernel_packages() {
	local meta architecture
	architecture=$(dpkg --print-architecture)
	for meta in "linux-image-cloud-$architecture" linux-image-virtual; do
		apt-cache depends "$meta" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1
	done | head -n 1
}

fetch_guest_kernel() {
	local image packages
	compgen -G "$guest_store/kernel/boot/vmlinuz-*" >/dev/null && return
	check_system
	image=$(guest_kernel_packages)
	if [ -z "$image" ]; then
		update_lists
		image=$(guest_kernel_packages)
	fi
	[ -n "$image" ] || fail "no kernel for guests was found in the package lists (linux-image-cloud-*, linux-image-virtual)"
	packages=$image
	# Ubuntu keeps the modules in a package of their own.
	case $image in
	*-generic) packages="$image linux-modules-${image#linux-image-}" ;;
	esac
	say "fetching a kernel for guests (unpacked into $guest_store, not installed): $packages"
	mkdir -p "$work/kernel" "$work/root" "$guest_store"
	# shellcheck disable=SC2086
	if ! (cd "$work/kernel" && apt -o APT::Sandbox::User=root download $packages); then
		update_lists
		# shellcheck disable=SC2086
		(cd "$work/kernel" && apt -o APT::Sandbox::User=root download $packages) || fail "cannot fetch $packages"
	fi
	for image in "$work"/kernel/*.deb; do
		dpkg -x "$image" "$work/root" || fail "cannot unpack $image"
	done
	# Debian 13 has /usr merged in packages, too.
	if [ -d "$work/root/usr/lib/modules" ] && [ ! -e "$work/root/lib" ]; then
		ln -s usr/lib "$work/root/lib"
	fi
	rm -rf "$guest_store/kernel"
	cp -a "$work/root" "$guest_store/kernel"
}

# Suricata is in the backports of Debian 12 only (stable has 6). Their lists are read into a private copy, so that the
# system's sources and lists stay as they are; the address is that of the system's own source.
install_suricata() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg uri
	[ -z "$(missing_of suricata)" ] && return
	# shellcheck source=/dev/null
	[ "$(. /etc/os-release && echo "$ID-${VERSION_ID:-}")" = debian-12 ] || {
		say "Suricata is not installed: its package is known for Debian 12 only. What needs it is skipped"
		return
	}
	[ "$(id -u)" = 0 ] || fail "the package suricata is missing. Run this as root (sudo), or install it from bookworm-backports"
	update_lists
	# shellcheck disable=SC2016
	uri=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		sed -n 's/^Debian bookworm //p' | head -n 1)
	[ -n "$uri" ] || {
		say "Suricata is not installed: no source of Debian bookworm is set up. What needs it is skipped"
		return
	}
	mkdir "$work/sources" "$work/lists"
	find /etc/apt/sources.list.d -maxdepth 1 -type f -exec cp -t "$work/sources" {} +
	cp -a /var/lib/apt/lists/. "$work/lists"
	chmod 755 "$work" "$work/lists"
	printf 'deb [signed-by=%s] %s bookworm-backports main\n' "$keyring" "$uri" >"$work/sources/bulkhead-backports.list"
	say "installing: suricata (from bookworm-backports)"
	hold_services
	if ! apt -o Dir::State::lists="$work/lists" -o Dir::Etc::sourcelist="$work/sources/bulkhead-backports.list" \
		-o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 update ||
		! apt -o Dir::State::lists="$work/lists" -o Dir::Etc::sourceparts="$work/sources" \
			-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
			install -y --no-install-recommends suricata/bookworm-backports libhtp2/bookworm-backports; then
		fail "apt-get could not install suricata from bookworm-backports (see above)"
	fi
	say "installed"
}

set=${1:-}
work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 130' INT TERM
case $set in
build) install_packages "$build_set" ;;
run) install_packages "$run_set" ;;
plugin) install_packages "$plugin_set" ;;
test)
	install_packages "$test_set"
	install_suricata
	fetch_guest_kernel
	;;
bench)
	install_packages "$bench_set"
	install_suricata
	fetch_guest_kernel
	;;
*) fail "usage: tools/setup.sh run|build|plugin|test|bench" ;;
esac
