# SPDX-License-Identifier: BSD-3-Clause
"""Roles are killed while traffic flows; the others go on.

    outside ──── uplink [hv1: keeper, broker, packet, channel, control] ── web
    192.0.2.100                                                   192.0.2.10
"""

import mmap
import os
import pathlib
import re
import signal
import tempfile
import threading
import time

import pytest

from lab.netns import run, wait_until
from lab.peers import can_ping, curl, nginx
from lab.vhost_frontend import Frontend

MAP_HUGETLB_2MB = 0x40000 | 21 << 26  # linux/mman.h
PAGE = b"0123456789abcdef" * 4096


def is_up(daemon, port):
    """Whether the port's peer is there."""
    return any(row["name"] == port and row["is_up"] for row in daemon.cli("ports")["ports"])


class Pinger:
    """Echo requests every 20 ms from one host to an address, until stop()."""

    def __init__(self, namespace, address):
        self.log = tempfile.TemporaryFile("w+")  # a pipe would be full, and stop ping, after some seconds
        self.process = namespace.start("ping", "-n", "-i", "0.02", address, stdout=self.log)
        self.wait_for_more()

    def answers(self):
        """The numbers of the requests that were answered so far."""
        text = os.pread(self.log.fileno(), 1 << 26, 0).decode()
        return {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=", text)}

    def wait_for_more(self):
        """Until requests that are sent from now on are answered."""
        last = max(self.answers(), default=0)
        wait_until(lambda: max(self.answers(), default=0) > last + 10, 30, what="echoes")

    def stop(self):
        """(sent, received), of those before the last answer: later ones may be under way."""
        self.wait_for_more()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        answers = self.answers()
        self.log.close()
        return max(answers), len(answers)


def test_traffic_goes_on_without_control(lab):
    """Control is killed; not one echo is lost, and the API comes back with the same configuration."""
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    generation = daemon.cli("status")["config"]["generation"]
    pinger = Pinger(lab.outside, "192.0.2.10")
    pid = daemon.kill_role("control")
    daemon.wait_role("control", pid)
    sent, received = pinger.stop()
    assert sent == received > 20
    status = daemon.cli("status")
    assert status["state"] == "running" and status["config"]["generation"] >= generation > 0
    assert [row["restarts"] for row in status["roles"] if row["name"] == "control"] == [1]


def test_packet_role_comes_back_with_its_ports(lab):
    """The packet role is killed under load: the host's interface and its address stay, a page is
    served again, and control has not moved."""
    nginx(lab, "web", {"page": PAGE})
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    control = daemon.role_pid("control")
    pid = daemon.kill_role("packet")
    assert "192.0.2.1/24" in lab.hv1.run("ip", "-br", "address", "show", "sea0")
    daemon.wait_role("packet", pid)
    assert can_ping(lab.outside, "192.0.2.10")
    assert curl(lab.outside, "http://192.0.2.10/page") == (0, PAGE)
    assert can_ping(lab.hv1, "192.0.2.10")
    assert daemon.role_pid("control") == control


def test_tcp_connection_survives_the_packet_role(lab):
    """One long download goes through a SIGKILL of the packet role and arrives unchanged."""
    page = os.urandom(1 << 20) * 24
    nginx(lab, "web", {"page": page})
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    result = {}

    def download():
        result["got"] = curl(lab.outside, "http://192.0.2.10/page", "--limit-rate", "6M", timeout=60)

    thread = threading.Thread(target=download)
    thread.start()
    pid = daemon.kill_role("packet")
    daemon.wait_role("packet", pid)
    thread.join()
    assert result["got"] == (0, page)


def broker_row(daemon):
    return next(row for row in daemon.cli("status")["roles"] if row["name"] == "broker")


def wait_broker(daemon, pid):
    """The broker row once another than pid runs. The command waits in control meanwhile."""
    wait_until(lambda: broker_row(daemon)["pid"] != pid, 30, what="another broker")
    return broker_row(daemon)


def test_traffic_goes_on_without_the_broker(lab):
    """The broker is killed under a download and echoes: no packet is lost, no other process has
    changed. The next one goes on: it restarts the packet role, with its TAP, makes another TAP for a
    changed configuration, and stops the daemon without leaving anything."""
    page = os.urandom(1 << 20) * 8
    nginx(lab, "web", {"page": page})
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    packet, control = daemon.role_pid("packet"), daemon.role_pid("control")
    index = lab.hv1.run("cat", "/sys/class/net/sea0/ifindex")
    pinger = Pinger(lab.outside, "192.0.2.10")
    result = {}
    thread = threading.Thread(target=lambda: result.update(got=curl(
        lab.outside, "http://192.0.2.10/page", "--limit-rate", "4M", timeout=60)))
    thread.start()
    broker = daemon.kill_role("broker")
    row = wait_broker(daemon, broker)
    assert row["restarts"] == 1 and row["state"] == "running"
    thread.join()
    sent, received = pinger.stop()
    assert sent == received > 20
    assert result["got"] == (0, page)
    assert (daemon.role_pid("packet"), daemon.role_pid("control")) == (packet, control)

    os.kill(packet, signal.SIGKILL)
    daemon.wait_role("packet", packet)
    assert lab.hv1.run("cat", "/sys/class/net/sea0/ifindex") == index
    assert "192.0.2.1/24" in lab.hv1.run("ip", "-br", "address", "show", "sea0")
    assert can_ping(lab.outside, "192.0.2.10") and can_ping(lab.hv1, "192.0.2.10")

    daemon.apply(lambda config: config["partitions"].update(
        extra={"adapters": {"eth0": {"attach": "tap:extra0", "vlan": 10}}}))
    assert "extra0" in lab.hv1.run("ip", "-br", "link")
    daemon.process.send_signal(signal.SIGHUP)  # to the first process, which passes it on
    assert "killed by SIGKILL" in daemon.log()
    pids = [row["pid"] for row in daemon.cli("status")["roles"]]
    assert daemon.stop() == 0
    assert not any(is_alive(pid) for pid in pids)
    assert not daemon.socket_path.exists()
    links = lab.hv1.run("ip", "-br", "link")
    assert "sea0" not in links and "extra0" not in links


def test_broker_dies_again_and_again(lab):
    """Three times in a row, each as soon as the next one runs; then a stop, while none runs."""
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    packet, control = daemon.role_pid("packet"), daemon.role_pid("control")
    pinger = Pinger(lab.outside, "192.0.2.10")
    for restarts in range(1, 4):
        assert wait_broker(daemon, daemon.kill_role("broker"))["restarts"] == restarts
    sent, received = pinger.stop()
    assert sent == received > 20
    assert (daemon.role_pid("packet"), daemon.role_pid("control")) == (packet, control)
    daemon.kill_role("broker")
    assert daemon.stop() == 0
    wait_until(lambda: not is_alive(packet) and not is_alive(control), 5, what="the end of all roles")
    assert not daemon.socket_path.exists()
    assert "sea0" not in lab.hv1.run("ip", "-br", "link")


@pytest.mark.parametrize("after_ms", [0, 10, 25, 40, 80])
def test_broker_dies_while_control_restarts(lab, after_ms):
    """Both come back, whether control was dead, waiting to be started, or starting."""
    daemon = lab.start()
    broker, control = daemon.role_pid("broker"), daemon.role_pid("control")
    packet = daemon.role_pid("packet")
    os.kill(control, signal.SIGKILL)
    time.sleep(after_ms / 1000)
    os.kill(broker, signal.SIGKILL)
    daemon.wait_role("control", control)
    assert daemon.role_pid("broker") != broker and daemon.role_pid("packet") == packet
    assert can_ping(lab.outside, "192.0.2.10")
    daemon.apply(lambda config: config["partitions"].update(
        extra={"adapters": {"eth0": {"attach": "tap:extra0", "vlan": 10}}}))
    assert daemon.stop() == 0


def test_configuration_is_applied_while_the_broker_dies(lab):
    """What was asked of the broker that died is asked of the next: eight changes that add TAPs, with a
    broker dying under each, all succeed."""
    daemon = lab.start()
    names = []
    for number in range(8):
        names.append(f"x{number}")
        broker = daemon.role_pid("broker")
        killer = threading.Timer(number * 0.005, os.kill, (broker, signal.SIGKILL))
        killer.start()
        daemon.apply(lambda config: config["partitions"].update({
            name: {"adapters": {"eth0": {"attach": f"tap:{name}", "vlan": 10}}} for name in names}))
        killer.join()
        wait_broker(daemon, broker)
    links = lab.hv1.run("ip", "-br", "link")
    assert all(f"{name} " in links for name in names)


def test_death_of_the_keeper_ends_the_daemon_and_a_new_one_starts(lab):
    """The first process only waits, and is not survived (decision 0007): the others end, nothing is left
    behind, and what the init system starts next works at once."""
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    pids = [row["pid"] for row in daemon.cli("status")["roles"]]
    daemon.process.kill()
    daemon.process.wait(10)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 10, what="the end of all roles")
    assert not daemon.socket_path.exists()
    daemon.start()
    assert can_ping(lab.outside, "192.0.2.10")
    assert can_ping(lab.hv1, "192.0.2.10")


def is_alive(pid):
    """Whether the process runs; one that ended and waits for its parent does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_stop_is_orderly_and_leaves_nothing(lab):
    """SIGTERM: exit code 0, no process, no socket, no interface is left."""
    daemon = lab.start()
    pids = [row["pid"] for row in daemon.cli("status")["roles"]]
    assert daemon.stop() == 0
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 5, what="the end of all roles")
    assert not daemon.socket_path.exists()
    assert "sea0" not in lab.hv1.run("ip", "-br", "link")


@pytest.mark.parametrize("role", ["packet", "channel", "control"])
def test_roles_have_only_the_rights_they_need(lab, role):
    """No root, no new privileges, a seccomp filter, only the capabilities of the table."""
    daemon = lab.start()
    status = pathlib.Path(f"/proc/{daemon.role_pid(role)}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split() and "0" not in fields["Gid"].split()
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    allowed = {"control": 0,
               "channel": 1 << 14,  # IPC_LOCK
               # NET_ADMIN, NET_RAW, IPC_LOCK, BPF
               "packet": 1 << 12 | 1 << 13 | 1 << 14 | 1 << 39}[role]
    assert int(fields["CapEff"], 16) & ~allowed == 0
    assert int(fields["CapBnd"], 16) & ~allowed == 0


@pytest.mark.parametrize("role", ["channel", "control"])
def test_roles_without_devices_have_no_network(lab, role):
    """What they say goes through sockets that they were given; there is no interface that they could use."""
    daemon = lab.start()
    pid = daemon.role_pid(role)
    for kind in ("net", "ipc"):
        assert len({os.readlink(f"/proc/{each}/ns/{kind}") for each in (pid, daemon.role_pid("broker"))}) == 2
    assert {line.split()[1] for line in run("nsenter", "-t", pid, "-n", "ip", "-br", "link").splitlines()} == {"DOWN"}


def test_packet_role_does_not_see_what_it_does_not_need(lab):
    """Other users' processes, root's home, spools and the like are hidden from the packet role."""
    pid = lab.start().role_pid("packet")
    as_role = ("nsenter", "-t", pid, "-m", "-r", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    processes = run(*as_role, "ls", "/proc").split()
    assert "cpuinfo" in processes and "1" not in processes
    for folder in ("/root", "/boot", "/var/spool", "/sys/fs/cgroup"):
        done = run(*as_role, "ls", folder, check=False)
        assert done.returncode != 0 and "Permission denied" in done.stderr
    assert run(*as_role, "touch", "/usr/x", check=False).returncode != 0


def test_guest_whose_memory_shrinks_costs_a_restart_and_no_more(make_lab):
    """A QEMU takes its guest's memory back (no seals): SIGBUS in the packet role; it comes back, and so does
    the traffic of the others, while the same guest can be attached again."""
    lab = make_lab(partitions=("web",))
    lab.guest_row("app")
    daemon = lab.start()
    path = daemon.run_folder / "app.sock"
    frontend = Frontend(path)
    try:
        wait_until(lambda: is_up(daemon, "app.eth0"), what="the guest's port")
        assert can_ping(lab.outside, "192.0.2.10")
        pid = daemon.role_pid("packet")
        frontend.take_memory_back()
        daemon.wait_role("packet", pid)
    finally:
        frontend.close()
    assert re.search(r"role_ended .*name=packet .*SIGBUS", daemon.log())
    assert can_ping(lab.outside, "192.0.2.10")
    frontend = Frontend(path)
    try:
        wait_until(lambda: is_up(daemon, "app.eth0"), what="the guest's port after it came back")
    finally:
        frontend.close()


def test_idle_daemon_is_idle(lab):
    """Without traffic the roles sleep: they use far less than a fifth of the time they live."""
    daemon = lab.start()

    def lived():
        return min(row["uptime_s"] for row in daemon.cli("status")["roles"])

    ticks = os.sysconf("SC_CLK_TCK")

    def used():
        total = 0
        for row in daemon.cli("status")["roles"]:
            fields = pathlib.Path(f"/proc/{row['pid']}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / ticks

    before, since = used(), lived()
    wait_until(lambda: lived() - since >= 3, 30, 0.5, "some seconds of the daemon's life")
    assert used() - before < 0.2 * (lived() - since)  # a busy loop would use all of it


def test_second_daemon_is_refused_with_a_reason(lab):
    """The same socket twice: the second one says what is wrong and ends with 1; the first goes on."""
    daemon = lab.start()
    done = run("ip", "netns", "exec", lab.hv1.name, daemon.bulkhead.parent.parent
               / "src/main/bulkheadd", "--foreground", "--config", daemon.config_path,
               check=False, timeout=30)
    assert done.returncode == 1
    assert str(daemon.socket_path) in done.stderr
    assert daemon.cli("status")["state"] == "running"


@pytest.fixture
def hugepages():
    """Hugepages for the daemon's 256 MiB, all of them reserved by another process, which touches none: the
    kernel counts such pages as free until somebody does."""
    path = pathlib.Path("/proc/sys/vm/nr_hugepages")
    before = path.read_text()
    path.write_text("130")
    try:
        count = int(path.read_text())
        if count < 130:
            pytest.skip("this machine cannot spare 260 MiB as hugepages")
        with mmap.mmap(-1, count << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB_2MB):
            yield
    finally:
        path.write_text(before)


def test_hugepages_that_others_take_are_done_without(lab, hugepages):
    """packet.hugepages: auto sees enough of them, and cannot have them: the daemon starts all the same, with
    ordinary memory, and says so."""
    lab.config["packet"] = {"hugepages": "auto"}
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    log = daemon.log()
    assert "hugepages_taken" in log and "engine_started" in log.split("hugepages_taken")[1]
    assert "hugepages=false" in log
    assert [row["restarts"] for row in daemon.cli("status")["roles"] if row["name"] == "packet"] == [1]
