# SPDX-License-Identifier: BSD-3-Clause
"""
The builtin engine and Suricata say the same of each case, by sid, flow and action, and of its flows, or the
difference is known and has its reason (differences.py). `python3 -m tests.parity` prints the table. I6
"""

import pytest

pytest.importorskip("scapy.all", reason="scapy is not installed")

from tests.parity import CASES  # noqa: E402
from tests.parity.differences import DIFFERENCES, FLOW_DIFFERENCES  # noqa: E402
from tests.parity.harness import SURICATA, compare  # noqa: E402

pytestmark = pytest.mark.skipif(not SURICATA, reason="suricata is not installed: tools/setup.sh test")


@pytest.mark.parametrize("made", CASES.values(), ids=lambda made: made.id)
def test_case(made, tmp_path):
    outcome = compare(tmp_path, made)
    if made.id in DIFFERENCES:
        assert not outcome.agrees, f"they agree now: take {made.id} out of differences.py"
    else:
        assert outcome.agrees, outcome.explain()
    if made.id in FLOW_DIFFERENCES:
        assert not outcome.agrees_on_flows, f"their flows agree now: take {made.id} out of differences.py"
    else:
        assert outcome.agrees_on_flows, outcome.explain_flows()


def test_differences_are_of_cases():
    assert set(DIFFERENCES) | set(FLOW_DIFFERENCES) <= set(CASES)
