# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the scenarios. Run with /usr/bin/python3 -m pytest tests/scenario (as root)."""

import contextlib
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from lab.topology import ENDING_SIGNALS, Lab  # noqa: E402


def pytest_configure():
    """Whoever ends the tests, in whatever way and how often, finds nothing left behind."""
    def end(number, _):
        for each in ENDING_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number).name)

    for each in ENDING_SIGNALS:
        signal.signal(each, end)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture
def make_lab(request):
    """make_lab(**arguments of Lab): labs that are removed at the end, their logs shown on failure."""
    with contextlib.ExitStack() as labs:
        made = []

        def make(**arguments):
            made.append(labs.enter_context(Lab(**arguments)))
            return made[-1]

        yield make
        report = getattr(request.node, "report_call", None)
        for lab in made:
            if lab.daemon and report is not None and report.failed:
                print(f"--- {lab.daemon.log_path}\n{lab.daemon.log()[-8000:]}")


@pytest.fixture
def lab(make_lab):
    """The standard lab, daemon not started: call lab.start()."""
    return make_lab()


@pytest.fixture
def cluster(lab, request):
    """cluster(...): a Cluster, not started."""
    from lab.cluster import Cluster  # with scapy, which few need and all would wait for
    made = []

    def begin(**options):
        made.append(Cluster(lab, **options))
        return made[-1]
    yield begin
    report = getattr(request.node, "report_call", None)
    for each in made:
        each.stop()
        for target in each.targets if report is not None and report.failed else []:
            print(f"--- {target.daemon.log_path}\n{target.daemon.log()[-4000:]}")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root for network namespaces"))
