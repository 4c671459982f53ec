# SPDX-License-Identifier: BSD-3-Clause
"""Prints the table of agreements and differences as Markdown: python3 -m tests.parity [PATTERN]"""

import collections
import fnmatch
import pathlib
import sys
import tempfile

from tests.parity import CASES
from tests.parity.differences import DIFFERENCES, FLOW_DIFFERENCES
from tests.parity.harness import SURICATA, compare


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    if not SURICATA:
        sys.exit("suricata is not installed: tools/setup.sh test")
    groups = collections.Counter()
    agreed = collections.Counter()
    flows_agreed = collections.Counter()
    differing = []
    flows_differing = []
    for made in CASES.values():
        if not fnmatch.fnmatch(made.id, f"*{pattern}*"):
            continue
        with tempfile.TemporaryDirectory(prefix="bulkhead-parity-") as folder:
            outcome = compare(pathlib.Path(folder), made)
        groups[made.group] += 1
        agreed[made.group] += outcome.agrees
        flows_agreed[made.group] += outcome.agrees_on_flows
        if not outcome.agrees_on_flows:
            flows_differing.append(made)
            print(f"{made.id}, flows:\n{outcome.explain_flows()}", file=sys.stderr)
        if not outcome.agrees:
            differing.append((made, outcome))
            print(f"{made.id}:\n{outcome.explain()}", file=sys.stderr)
    print("| group | cases | agree | on flows |\n| --- | --- | --- | --- |")
    for group, count in groups.items():
        print(f"| {group} | {count} | {agreed[group]} | {flows_agreed[group]} |")
    print("\n| case | right | why |\n| --- | --- | --- |")
    for made, _ in differing:
        right, why = DIFFERENCES.get(made.id, ("?", "**not explained**"))
        print(f"| {made.id} | {right} | {why} |")
    for made in flows_differing:
        right, why = FLOW_DIFFERENCES.get(made.id, ("?", "**not explained**"))
        print(f"| {made.id}, flows | {right} | {why} |")


if __name__ == "__main__":
    main()
