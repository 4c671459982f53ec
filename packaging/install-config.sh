#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs the default configuration where there is none: install-config.sh FILE FOLDER
set -eu
target=${DESTDIR:-}$2
mkdir -p "$target/rules"
[ -e "$target/bulkhead.yaml" ] || install -m 0644 "$1" "$target/bulkhead.yaml"
