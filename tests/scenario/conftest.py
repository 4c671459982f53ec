# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the scenarios. Run with /usr/bin/python3 -m pytest tests/scenario (as root)."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from lab.topology import Lab  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture
def make_lab(request):
    """make_lab(**arguments of Lab): labs that are removed at the end, their logs shown on failure."""
    labs = []

    def make(**arguments):
        labs.append(Lab(**arguments))
        return labs[-1]

    yield make
    report = getattr(request.node, "report_call", None)
    for lab in labs:
        if lab.daemon and report is not None and report.failed:
            print(f"--- {lab.daemon.log_path}\n{lab.daemon.log()[-8000:]}")
    for lab in labs:
        lab.close()


@pytest.fixture
def lab(make_lab):
    """The standard lab, daemon not started: call lab.start()."""
    return make_lab()


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root for network namespaces"))
