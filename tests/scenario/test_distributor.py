# SPDX-License-Identifier: BSD-3-Clause
"""The distributor in clear: one virtual address, and targets behind it over GRE.

    outside ──eth0══eth1── hv1: bulkheadd ──xcf0══╗
    192.0.2.100            VIPA 192.0.2.80        ╠══ br0 (namespace link) ══ eth0 ── t1: gre1, VIPA on lo
                           198.51.100.1           ╠══                     ══ eth0 ── t2   198.51.100.11, .12, …
                                                  ╚══ …
"""

import pytest

from lab.distributor import VIPA, connect, wait_ready
from lab.peers import curl, nginx, ping

PAGE = b"a page behind a virtual address\n" * 100


@pytest.fixture
def serve(lab):
    """serve(count, change=None, **options of the section): targets with a web server each, daemon started."""
    def begin(count=1, change=None, **options):
        targets = connect(lab, count, **options)
        for target in targets:
            nginx(lab, target.name, {"index.html": PAGE, "who": target.name.encode()})
        lab.start(change)
        wait_ready(lab, targets)
        return targets
    return begin


def test_client_gets_a_page_through_the_virtual_address(lab, serve):
    """D1 D2 D6: ARP for the VIPA is answered, and what the client gets is what the target serves."""
    serve()
    assert curl(lab.outside, f"http://{VIPA}/index.html") == (0, PAGE)
    assert "lladdr" in lab.outside.run("ip", "neighbour", "show", VIPA)


def test_echo_is_answered_by_the_distributor(lab, serve):
    """D2: whatever becomes of the targets; also in fragments."""
    serve()
    assert ping(lab.outside, VIPA)
    assert ping(lab.outside, VIPA, size=4000)
