# SPDX-License-Identifier: BSD-3-Clause
"""Parity of the builtin engine with Suricata; see harness.py."""

import importlib
import pathlib

from tests.parity.harness import CASES  # noqa: F401

for _path in sorted(pathlib.Path(__file__).parent.glob("cases_*.py")):
    importlib.import_module(f"tests.parity.{_path.stem}")
