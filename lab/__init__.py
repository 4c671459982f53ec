# SPDX-License-Identifier: BSD-3-Clause
"""The lab: hosts as network namespaces, guests in QEMU, and the daemon between them.

Used by the tour (lab/tour.py), the scenarios (tests/scenario) and the benchmarks (tests/bench).
Everything is made under a name of its own and removed by Lab.close(), also after a failure.
"""
