# SPDX-License-Identifier: BSD-3-Clause
"""The configuration changes while traffic flows; ports that are not touched lose nothing.

    outside ──── uplink [hv1] ──── web          echoes all the time
                              ──── extra0 … 3   come and go
"""

import copy

import pytest

from lab.netns import CommandFailed, veth, wait_until
from lab.peers import can_ping
from tests.scenario.test_roles import Pinger

CHANGES = 1000


def extra_row(index, vlan):
    return {"adapters": {"eth0": {"attach": f"netdev:veth-x{index}", "vlan": vlan}}}


def test_a_thousand_changes_lose_nothing_elsewhere(lab):
    """G12: 1,000 applied configurations (ports, VLANs, policies come and go), no echo lost."""
    for index in range(4):
        host = lab.namespace(f"x{index}")
        veth(host, "eth0", lab.hv1, f"veth-x{index}")
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    pinger = Pinger(lab.outside, "192.0.2.10")
    base = copy.deepcopy(daemon.config)
    for number in range(CHANGES):
        config = copy.deepcopy(base)
        index = number % 4
        if number % 3 != 0:
            config["partitions"][f"extra{index}"] = extra_row(index, 10 + number % 2)
        if number % 5 == 0:
            config["gateway"]["vlans"] = {20 + number % 9: {"name": f"v{number}"}}
        if number % 7 == 0:
            config["gateway"]["ageing"] = f"{100 + number % 50}s"
        daemon.write_config(config)
        done = daemon.command("config", "apply", daemon.config_path)
        assert done.returncode == 0, done.stdout + done.stderr
    sent, received = pinger.stop()
    assert sent == received > 100
    assert daemon.cli("status")["config"]["generation"] > CHANGES


def test_wrong_configuration_changes_nothing(lab):
    """A configuration with errors is refused as a whole; what runs stays."""
    daemon = lab.start()
    generation = daemon.cli("status")["config"]["generation"]

    def wrong(config):
        config["gateway"]["trunks"]["trunk-b"]["vlans"] = [10, "nonsense"]
        config["partitions"]["late"] = extra_row(0, 10)

    with pytest.raises(CommandFailed) as caught:
        daemon.apply(wrong)
    assert "gateway.trunks.trunk-b.vlans" in str(caught.value)
    assert "bulkhead.yaml" in str(caught.value)
    assert daemon.cli("status")["config"]["generation"] == generation
    assert "late.eth0" not in [row["name"] for row in daemon.cli("ports")["ports"]]


def test_device_that_cannot_be_opened_rolls_all_back(lab):
    """A valid configuration whose device is not there: nothing of it is applied, the error names it."""
    daemon = lab.start()

    def absent(config):
        config["partitions"]["web"]["adapters"]["eth0"]["mtu"] = 1400
        config["partitions"]["late"] = {"adapters": {"eth0": {"attach": "netdev:nowhere0",
                                                              "vlan": 10}}}

    with pytest.raises(CommandFailed, match="nowhere0"):
        daemon.apply(absent)
    ports = {row["name"]: row for row in daemon.cli("ports")["ports"]}
    assert "late.eth0" not in ports and ports["web.eth0"]["mtu_bytes"] == 1500
    assert can_ping(lab.outside, "192.0.2.10")


def test_unconfirmed_change_is_rolled_back(lab):
    """apply --confirm: without a confirmation the old configuration is back after the time."""
    daemon = lab.start()
    config = copy.deepcopy(daemon.config)
    del config["partitions"]["db"]
    daemon.write_config(config)
    assert daemon.command("config", "apply", daemon.config_path, "--confirm", "5s").returncode == 0

    def has_db():
        return "db.eth0" in [row["name"] for row in daemon.cli("ports")["ports"]]

    assert not has_db()
    wait_until(has_db, 15, what="the rollback")
