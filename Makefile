# SPDX-License-Identifier: BSD-3-Clause
# A thin cover over meson and the scripts of tools/. `make help` lists the targets.

BUILD ?= build
PYTHON = /usr/bin/python3
export BULKHEAD_BUILD := $(abspath $(BUILD))

.PHONY: all help setup-% run test bench install fuzz check docs plugin deb clean
all: setup-build
	@tools/build $(BUILD)

help:
	@echo 'make          build into $(BUILD)/ (installs what that needs when run as root)'
	@echo 'make run      install what is needed, build, and take the tour (as root; TOUR=once ends after it)'
	@echo 'make test     unit tests, fuzz regressions, scenarios (as root; ONLY=pattern, SANITIZE=1|unit|thread)'
	@echo 'make bench    benchmarks beside their peers (as root; ONLY=pattern)'
	@echo 'make check    format, compilers, static analysis, rules of the tree, feature report'
	@echo 'make fuzz     each fuzz target for SECONDS_EACH (60; ONLY=pattern)'
	@echo 'make docs     manual pages and reference'
	@echo 'make install  binaries, units, manual, default configuration (DESTDIR)'
	@echo 'make plugin   the plugin for strongSwan, with the headers of the distribution'"'"'s source (fetches it once)'
	@echo 'make deb      Debian packages in out/: bulkhead, and bulkhead-strongswan with the plugin'

setup-%:
	@tools/setup.sh $*

run: setup-run
	@tools/build $(BUILD)
	@exec $(PYTHON) -B -m lab.tour

test: setup-test
	@exec tools/test

bench: setup-bench
	@tools/build build-bench --buildtype=release -Db_ndebug=if-release
	@BULKHEAD_BUILD=$(abspath build-bench) exec $(PYTHON) -B tests/bench/bench.py

check: setup-test
	@exec tools/check

fuzz: setup-test
	@exec tools/fuzz

docs: setup-build
	@tools/build $(BUILD)
	@ninja -C $(BUILD) docs

install: setup-build
	@tools/build $(BUILD)
	@meson install -C $(BUILD) --no-rebuild

plugin: setup-plugin
	@tools/build $(BUILD)
	@plugins/strongswan/build.sh $(BUILD)

deb: setup-plugin
	@tools/deb
	@plugins/strongswan/package.sh

clean:
	rm -rf build build-*
