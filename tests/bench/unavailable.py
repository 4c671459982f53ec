# SPDX-License-Identifier: BSD-3-Clause
"""What benchmarks say when they cannot be run."""


class Unavailable(Exception):
    """What a benchmark needs is not on this machine."""
