# SPDX-License-Identifier: BSD-3-Clause
"""Traffic through the gateway, each way that figure 3B of the seed knows.

    outside ──── uplink [hv1: gateway] trunk-a (VLAN 10) ── web 192.0.2.10
    192.0.2.100      sea0 192.0.2.1    trunk-b (VLAN 20) ── db  192.0.2.20
"""

from lab.netns import wait_until
from lab.peers import can_ping, curl, nginx, ping


def test_page_reaches_the_outside_through_trunk_and_physical_adapter(lab):
    """G2 G4 G5: a page of web is served to the outside and back again."""
    page = b"a page of the partition web\n" * 200
    access = nginx(lab, "web", {"index.html": page})
    lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    assert curl(lab.outside, "http://192.0.2.10/index.html") == (0, page)
    wait_until(lambda: "192.0.2.100" in access.read_text(), what="the line of its log")


def test_socket_layer_reaches_partition_and_outside(lab):
    """G6: what the host itself sends goes by the forwarding table."""
    lab.start()
    assert can_ping(lab.hv1, "192.0.2.10")
    assert can_ping(lab.hv1, "192.0.2.100")
    assert can_ping(lab.outside, "192.0.2.1")
    assert can_ping(lab["web"], "192.0.2.1")


def test_vlans_are_apart(make_lab):
    """G1: VLAN 20 hears nothing of VLAN 10, not even broadcasts, and works in itself."""
    lab = make_lab(partitions=("web", "db", "cache"))
    lab.start()
    assert can_ping(lab["cache"], "192.0.2.20")
    heard = lab["db"].wire("eth0")
    assert can_ping(lab["web"], "192.0.2.100")
    assert not ping(lab["web"], "192.0.2.20", timeout=1)
    assert not ping(lab.outside, "192.0.2.20", timeout=1)
    web_mac = bytes.fromhex("525400001001")
    assert not [frame for frame in heard.drain() if web_mac in frame[:14]]
