# SPDX-License-Identifier: BSD-3-Clause
"""A distributor and its targets, each a Bulkhead of its own (drawn in lab/cluster.py): clients in clear."""

import hashlib
import json
import os
import signal

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether

from lab.cluster import LAB
from lab.distributor import PLAIN, TO_TARGET, VIPA, VIPA6, Connection
from lab.netns import wait_until
from lab.peers import curl, is_listening, nginx, ping
from tests.scenario.test_target import POST_SERVER, drain

ECHO = {"echo": {"port": 7}}
PAGE = b"".join(b"line %06d of a page\n" % i for i in range(20000))


def serve_pages(lab, cluster):
    for target in cluster.targets:
        nginx(lab, target.name, {"page": PAGE, "who": target.name.encode()}, ipv6=True)


def url(path, address=VIPA):
    return f"http://[{address}]/{path}" if ":" in address else f"http://{address}/{path}"


def ask_many(lab, count, address=VIPA):
    """{name: connections} of so many TCP connections."""
    return json.loads(lab.outside.run("/usr/bin/python3", "-B", LAB / "many_connections.py", address, 7, count,
                                      timeout=180))


@pytest.mark.parametrize("vipa", [VIPA, VIPA6])
def test_pages_through_the_virtual_address(lab, cluster, vipa):
    """D1 D2 D6 D9: byte for byte; to the target in GRE with the key of plain connections, back straight from the
    target to the client."""
    both = cluster().start()
    serve_pages(lab, both)
    link, outside = lab["link"].wire("hv1"), lab.outside.wire("lan0")
    for _ in range(4):
        assert curl(lab.outside, url("page", vipa)) == (0, PAGE)
    frames = drain(link, lambda frame: GRE in frame and frame[GRE].proto in (0x0800, 0x86dd))
    keys = {frame[GRE].key for frame in frames}
    assert keys and keys <= {target.key(PLAIN, TO_TARGET) for target in both.targets}
    layer = IPv6 if ":" in vipa else IP
    answers = drain(outside, lambda frame: layer in frame and frame[layer].src == vipa and frame[layer].nh == 6
                    if layer is IPv6 else layer in frame and frame[layer].src == vipa and frame[layer].proto == 6)
    distributor_mac = lab.outside.run("ip", "neighbour", "show", vipa).split("lladdr ")[1].split()[0]
    assert answers and distributor_mac not in {frame.src for frame in answers}
    used = {target.name: target.daemon.cli("target")["packets"] for target in both.targets}
    assert sum(packets["direct"] for packets in used.values()) > 10
    assert all(packets["to_distributor"] == 0 for packets in used.values())


def test_pings_of_full_size_and_large_posts(lab, cluster):
    """D13: 1,500-byte pings with DF to the virtual address, two megabytes posted and as many back, over IPv4 and
    IPv6, on a link that is no larger than a frame: nothing is cut inside, nothing stalls."""
    both = cluster(count=1, mtu=1500).start()
    both.targets[0].namespace.start("/usr/bin/python3", "-c", POST_SERVER.replace("(sys.argv[1], 80), Handler)", '("::", 80), Handler)')
                                    .replace("import hashlib, http.server, sys",
                                             "import http.server, socket; http.server.ThreadingHTTPServer.address_family = socket.AF_INET6"))
    wait_until(lambda: is_listening(both.targets[0].namespace, 80), what="the server")
    assert ping(lab.outside, VIPA, size=1472, options=("-M", "do"))
    assert ping(lab.outside, VIPA6, size=1452, options=("-M", "do"))
    body = hashlib.shake_256(b"seed").digest(2 << 20)
    path = lab.folder / "body"
    path.write_bytes(body)
    for vipa in (VIPA, VIPA6):
        code, answer = curl(lab.outside, url("post", vipa), "-H", "Expect:", "--data-binary", f"@{path}", timeout=30)
        assert code == 0 and answer == body[::-1], vipa
    assert both.targets[0].daemon.drops()["tx_too_big"] == 0


def test_weights_are_followed_by_real_connections(lab, cluster):
    """D2: within 5 % over 10,000 TCP connections."""
    both = cluster(count=3, services=ECHO)
    for target, weight in zip(both.targets, (50, 100, 150)):
        lab.config["distributor"]["targets"][target.name]["weight"] = weight
    lab.config["distributor"]["scheduling"] = "wrr"
    both.start()
    both.serve_echo()
    sums = ask_many(lab, 10000)
    assert sum(sums.values()) == 10000 and set(sums) == {"t1", "t2", "t3"}, sums
    for name, share in (("t1", 50), ("t2", 100), ("t3", 150)):
        assert abs(sums[name] - 10000 * share / 300) <= 10000 * share / 300 * 0.05, sums


def test_dead_target_gets_no_new_connection(lab, cluster):
    """D14: the target's packet role stands still, then dies: once three reports are missing whoever connects is
    served by the other; a connection that was there is reset; the target gets its share again when it is back."""
    both = cluster(services=ECHO, scheduling="wrr", heartbeat="1s").start()
    both.serve_echo()
    assert set(ask_many(lab, 100)) == {"t1", "t2"}
    victim = both.targets[0].daemon
    connections = [Connection(lab.outside) for _ in range(8)]
    doomed = next(connection for connection in connections if connection.name == "t1")
    pid = both.silence(0)
    assert ask_many(lab, 200) == {"t2": 200}
    with pytest.raises(ConnectionError):
        wait_until(lambda: not doomed.echo(), what="the reset")
    assert all(connection.echo() for connection in connections if connection.name == "t2")
    os.kill(pid, signal.SIGKILL)
    victim.wait_role("packet", pid)
    wait_until(lambda: both.up() == {"t1", "t2"}, what="the target's return")
    assert set(ask_many(lab, 100)) == {"t1", "t2"}


def test_drained_target_keeps_what_it_has(lab, cluster):
    """D2 D14: drained at the distributor, or not ready any more as the target itself says: connections that are
    there go on, new ones all go elsewhere."""
    both = cluster(services=ECHO, scheduling="wrr").start()
    both.serve_echo()
    connections = [Connection(lab.outside) for _ in range(8)]
    assert {connection.name for connection in connections} == {"t1", "t2"}
    assert lab.daemon.command("distributor", "drain", "t1").returncode == 0
    assert ask_many(lab, 200) == {"t2": 200}
    assert all(connection.echo() for connection in connections)
    assert lab.daemon.command("distributor", "drain", "t1", "--undo").returncode == 0
    wait_until(lambda: set(ask_many(lab, 20)) == {"t1", "t2"}, what="its share")
    assert both.targets[1].daemon.command("target", "ready", "echo", "false").returncode == 0
    wait_until(lambda: set(ask_many(lab, 20)) == {"t1"}, what="the distributor's taking note")
    assert ask_many(lab, 200) == {"t1": 200}
    assert all(connection.echo() for connection in connections)


def test_packet_role_of_the_distributor_comes_back(lab, cluster):
    """D14: targets tell that nobody answers them, and the new process believes them at once."""
    both = cluster(services=ECHO, scheduling="wrr").start()
    both.serve_echo()
    pid = lab.daemon.kill_role("packet")
    lab.daemon.wait_role("packet", pid)
    wait_until(lambda: both.up() == {"t1", "t2"}, what="the targets' reports")
    assert sum(ask_many(lab, 200).values()) == 200
    assert all(target.daemon.cli("target")["distributors"][0]["is_up"] for target in both.targets)


def test_mtu_of_the_hidden_interface_is_the_distributors(lab, cluster):
    """D13: the target's interface has what the distributor says fits into GRE and ESP."""
    both = cluster(count=1, mtu=1500).start()
    namespace = both.targets[0].namespace
    asked = both.targets[0].daemon.cli("target")["distributors"][0]["mtu_bytes"]
    assert 1280 <= asked < 1472
    wait_until(lambda: int(namespace.run("cat", "/sys/class/net/vipa0/mtu")) == asked, 5)


def test_common_filters_are_asked_at_the_distributor(lab, cluster):
    """D8: the same list on all hosts: what it drops gets no further than the distributor, and what it accepts is not
    asked again behind GRE; answers that go straight out are."""
    both = cluster(count=1, services={"echo": {"port": 7}, "other": {"port": 8}}, scheduling="wrr")
    filters = {"default": "drop", "rules": {
        "echo": {"order": 1, "action": "accept", "protocol": "tcp", "destination": [VIPA], "destination-ports": [7]},
        "answers": {"order": 2, "action": "accept", "protocol": "tcp", "source": [VIPA], "source-ports": [7]}}}
    lab.config["filters"] = both.targets[0].daemon.config["filters"] = filters
    both.targets[0].daemon.write_config()
    both.start()
    both.serve_echo()
    assert ask_many(lab, 20) == {"t1": 20}
    assert ping(lab.outside, VIPA, timeout=1) is False
    before = both.targets[0].daemon.cli("target")["packets"]["plain"]
    with pytest.raises(OSError):
        Connection(lab.outside, port=8, timeout=1)
    assert both.targets[0].daemon.cli("target")["packets"]["plain"] == before
    assert lab.daemon.drops()["filter_rule"] >= 2

    def hits(daemon):
        return {rule["name"]: rule["hits"] for rule in daemon.cli("filters")["rules"]}
    at_distributor, at_target = hits(lab.daemon), hits(both.targets[0].daemon)
    assert at_distributor["echo"] > 0 and at_distributor["answers"] == 0
    assert at_target["echo"] == 0 and at_target["answers"] > 0
    assert both.targets[0].daemon.drops()["filter_rule"] == 0


def test_targets_with_two_workers(lab, cluster):
    """D9: link and hidden interface are polled by different workers, and each knows what the other one learned."""
    both = cluster(services={"http": {"port": 80}})
    for target in both.targets:
        target.daemon.config["packet"]["workers"] = 2
        target.daemon.write_config()
    both.start()
    serve_pages(lab, both)
    for _ in range(10):
        assert curl(lab.outside, url("page")) == (0, PAGE)
    for target in both.targets:
        polled = {port: target.daemon.cli("ports", port)["port"]["queue_workers"] for port in ("xcf0", "vipa")}
        assert polled["xcf0"] != polled["vipa"]
        assert target.daemon.drops()["target_flow"] == 0
