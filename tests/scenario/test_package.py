# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package on a machine with systemd: its unit, its user, its files.

    hv1 (QEMU, this release's minimal system, systemd) ── bulkhead.deb ── bulkheadd.service ── sea0, tap0
"""

import base64
import pathlib
import re
import shutil

import pytest

from lab import strongswan
from lab.appliance import key_file
from lab.guest import GuestUnavailable, kernel
from lab.machine import Machine, base
from lab.netns import run, wait_until

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD_TIMEOUT = 900
PACKAGE = "/root/bulkhead.deb"
AGENT_PACKAGE = "/root/bulkhead-agent.deb"
CONFIG_FILE = "/etc/bulkhead/bulkhead.yaml"
UNIT = "bulkheadd.service"
ROLES = {"broker", "packet", "channel", "control"}
# What `systemd-analyze security` gave (5.1) and a bit, since it differs between versions.
EXPOSURE_MAX = 5.5
AGENT_EXPOSURE_MAX = 2.5
CONFIG = """packet: {memory: 128MiB}
adapters: {uplink: {device: "tap:tap0"}}
gateway: {physical: uplink, host: {interface: sea0, vlan: 10, addresses: [192.0.2.1/24]}}
"""


class Service:
    """The unit on the machine, as its administrator sees it."""

    def __init__(self, machine):
        self.machine = machine

    def run(self, command, timeout=120, check=True):
        return self.machine.run(command, timeout, check)

    def show(self, name):
        return self.run(f"systemctl show {UNIT} --property {name} --value")

    def pids(self):
        """{role: pid} of the roles that are ready, and the broker."""
        lines = self.run("NO_COLOR=1 bulkhead status", check=False).splitlines()
        return {word[0]: int(word[2]) for word in map(str.split, lines)
                if len(word) == 5 and word[0] in ROLES and word[1] in ("ready", "running")}

    def wait_roles(self, other_than=()):
        """Waits until all roles run, as other processes than those named."""
        return wait_until(lambda: (pids := self.pids()).keys() == ROLES
                          and not set(other_than) & set(pids.values()) and pids, 60, 0.5, "all roles")

    def journal(self, *matches):
        """Lines of the journal that have these fields."""
        return self.run("journalctl --sync && journalctl --no-pager --quiet --output cat "
                        f"_SYSTEMD_UNIT={UNIT} {' '.join(matches)}")

    def install(self):
        self.run(f"dpkg --install {PACKAGE}")

    def configure(self, text):
        encoded = base64.b64encode(text.encode()).decode()
        self.run(f"echo {encoded} | base64 -d > {CONFIG_FILE}")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    try:
        kernel()
        done = run(TREE / "tools/deb", timeout=BUILD_TIMEOUT)
        package, agent = (TREE / path for path in re.findall(r"'(out/\S+\.deb)'", done))
        words = run("dpkg-deb", "--field", package, "Depends")
        system = base(re.match(r"[^ (|]+", word)[0] for word in words.strip().split(", "))
    except GuestUnavailable as reason:
        pytest.skip(str(reason))
    machine = Machine(tmp_path_factory.mktemp("package"), "hv1", system,
                      {PACKAGE.lstrip("/"): package.read_bytes(),
                       AGENT_PACKAGE.lstrip("/"): agent.read_bytes()})
    try:
        yield machine.start()
    finally:
        machine.stop()


@pytest.fixture
def service(machine):
    """The unit, installed with its own configuration, and started."""
    service = Service(machine)
    if not service.run("command -v bulkheadd", check=False):
        service.install()
    service.run(f"systemctl start {UNIT} || {{ journalctl --no-pager -u {UNIT}; exit 1; }}")
    return service


def test_package_installs_and_its_unit_becomes_ready(service):
    """User and group are made, systemd is told by the keeper that the broker is ready, root may ask."""
    assert "bulkhead" in service.run("id -nG bulkhead").split()
    assert service.run("id -nG bulkhead-suricata") == "bulkhead-suricata"
    assert service.show("Type") == "notify"
    assert service.show("ActiveState") == "active"
    assert service.show("StatusText") == "all roles are ready"
    pids = service.pids()
    assert pids.keys() == ROLES
    assert service.run(f"ps -o user= -p {pids['packet']} -p {pids['control']}").split() == ["bulkhead"] * 2
    assert service.run(f"ps -o user= -p {pids['broker']}") == "root"
    assert service.run("stat -c '%U %a' /run/bulkhead /var/log/bulkhead /var/cache/bulkhead").splitlines() == [
        "bulkhead 755", "bulkhead 750", "bulkhead 750"]
    assert "type=1326" not in service.run("dmesg")


def test_the_agents_package_serves_its_socket(service):
    """bulkhead-agent: ready as an unprivileged user; where the host has no device it says so to who attaches."""
    service.run(f"dpkg --install {AGENT_PACKAGE}")
    wait_until(lambda: service.run("systemctl is-active bulkhead-agent", check=False) == "active", 30, 0.5,
               "the agent")
    assert service.run("ps -o user:20= -C bulkhead-agent") == "bulkhead-agent"
    assert service.run("stat -c '%U %G %a' /run/bulkhead-agent/channel.sock") == "bulkhead-agent bulkhead-agent 660"
    assert "CapEff:\t0000000000000400" in service.run("cat /proc/$(pidof bulkhead-agent)/status")
    last = service.run("systemd-analyze security --no-pager bulkhead-agent.service | tail -n 1")
    assert float(re.search(r"\d+\.\d+", last)[0]) <= AGENT_EXPOSURE_MAX
    assert "refused" in service.run("BULKHEAD_CHANNEL_SOCKET=/run/bulkhead-agent/channel.sock "
                                    "bulkhead channel send db:6 --endpoint 5 < /dev/null", check=False)
    assert service.run("systemctl is-active bulkhead-agent") == "active"
    service.run("dpkg --purge bulkhead-agent")
    assert service.run("pidof bulkhead-agent", check=False) == ""
    assert service.run("getent passwd bulkhead-agent", check=False) == ""


@pytest.fixture
def plugin_root(tmp_path):
    """bulkhead-strongswan, built and installed by dpkg into a root that has the packages of this system."""
    if strongswan.missing():
        pytest.skip(f"not there: {' '.join(strongswan.missing())}")
    done = run(TREE / "plugins/strongswan/package.sh", timeout=BUILD_TIMEOUT)
    package = TREE / re.search(r"'(out/\S+\.deb)'", done)[1]
    for folder in ("updates", "info"):
        (tmp_path / "var/lib/dpkg" / folder).mkdir(parents=True)
    shutil.copy("/var/lib/dpkg/status", tmp_path / "var/lib/dpkg")
    run("dpkg", "--root", tmp_path, "--install", package)
    yield tmp_path
    run("dpkg", "--root", tmp_path, "--purge", "bulkhead-strongswan")
    assert not list(tmp_path.glob("**/*bulkhead*"))


def test_plugins_package_is_installed_and_loaded_by_charon(lab, plugin_root):
    """D4 bulkhead-strongswan: the installed strongSwan is what it depends on; charon loads the plugin, with the package's
    own configuration, and finds the daemon."""
    configuration = plugin_root / "etc/strongswan.d/charon/bulkhead.conf"
    configuration.write_text(configuration.read_text().replace("# name = charon", "name = packaged"))
    kmp = {"socket": str(lab.folder / "run/kmp.sock"), "secret-file": str(key_file(lab.folder / "secret", "5c" * 32))}
    lab.config["ipsec"] = {"kmp": kmp}
    lab.start()
    charon = strongswan.Charon(
        lab.hv1, lab.folder / "charon", "connections {}", kmp_socket=kmp["socket"], secret=kmp["secret-file"],
        plugin=plugin_root / strongswan.PLUGINS.relative_to("/") / "libstrongswan-bulkhead.so",
        options=f"plugins {{ include {configuration}\n }}")
    try:
        charon.start()
        session = wait_until(lambda: lab.daemon.cli("kmp")["sessions"], what="charon's session")[0]
    finally:
        charon.stop()
    assert session["name"] == "packaged" and session["is_connected"], charon.log()


def test_log_is_in_the_journal_with_its_fields(service):
    """What the daemon says can be found by field, from each of its processes, though the unit logs to stderr."""
    assert "role_started" in service.journal("BULKHEAD_EVENT=role_started", "BULKHEAD_NAME=packet")
    assert "config_applied" in service.journal("BULKHEAD_EVENT=config_applied", "BULKHEAD_ROLE=control")
    assert "engine_started" in service.journal("BULKHEAD_EVENT=engine_started", "BULKHEAD_ROLE=packet")


def test_reload_applies_a_changed_file_and_refuses_a_wrong_one(service):
    """systemctl reload: the host's interface of the new file is there; a wrong file fails, all goes on."""
    service.configure(CONFIG)
    service.run(f"systemctl reload {UNIT}")
    wait_until(lambda: "192.0.2.1/24" in service.run("ip address show dev sea0", check=False), 60, 0.5,
               "the host's interface")
    wait_until(lambda: service.show("ActiveState") == "active", 60, 0.5, "the end of the reload")
    service.wait_roles()
    service.configure(CONFIG.replace("sea0", "sea/0"))
    assert "Job for bulkheadd.service failed" in service.run(f"systemctl reload {UNIT}", check=False)
    assert service.show("ActiveState") == "active"
    assert "gateway.host.interface" in service.journal()
    service.configure(CONFIG)
    service.run(f"systemctl reload {UNIT}")


def test_unit_outlives_packet_role_and_broker(service):
    """SIGKILL of a role, then of the broker: systemd sees one service that runs all the time."""
    keeper = service.show("MainPID")
    before = service.wait_roles()
    service.run(f"kill -KILL {before['packet']}")
    after = service.wait_roles([before["packet"]])
    assert after["control"] == before["control"]
    service.run(f"kill -KILL {after['broker']}")
    last = service.wait_roles([after["broker"]])
    assert last["packet"] == after["packet"] and last["control"] == before["control"]
    assert service.show("ActiveState") == "active"
    assert service.show("MainPID") == keeper and service.show("NRestarts") == "0"
    assert "SIGKILL" in service.journal("BULKHEAD_EVENT=broker_ended", "BULKHEAD_ROLE=keeper")
    # The new broker is heard, too: the watchdog's and a reload's messages come through the keeper.
    stamp = service.show("WatchdogTimestampMonotonic")
    wait_until(lambda: service.show("WatchdogTimestampMonotonic") != stamp, 60, 0.5, "a watchdog message")


def test_keeper_that_dies_is_started_again_by_systemd(service):
    """SIGKILL of the main process: systemd starts the service anew, with nothing of the old one left."""
    before = service.wait_roles()
    keeper = service.show("MainPID")
    service.run(f"kill -KILL {keeper}")
    service.wait_roles(before.values())
    assert service.show("NRestarts") == "1" and service.show("MainPID") != keeper
    wait_until(lambda: service.show("ActiveState") == "active", 60, 0.5, "the unit to be active")
    assert len(service.run("pgrep -x bulkheadd").split()) == 1 + len(ROLES)


def test_restart_and_stop_end_in_order(service):
    """systemctl restart: other processes; stop: success, nothing left, and nothing was killed."""
    before = service.wait_roles()
    service.run(f"systemctl restart {UNIT}")
    service.wait_roles(before.values())
    service.run(f"systemctl stop {UNIT}")
    assert service.show("ActiveState") == "inactive"
    said = service.run(f"journalctl --sync && journalctl --no-pager --output cat --unit {UNIT} _PID=1").splitlines()
    assert f"{UNIT}: Deactivated successfully." in said[-4:], said[-4:]
    assert service.run("pgrep -x bulkheadd", check=False) == ""
    assert "daemon_stopped" in service.journal("BULKHEAD_EVENT=daemon_stopped", "BULKHEAD_EXIT_CODE=0")


def test_upgrade_restarts_what_runs_and_leaves_what_does_not(service):
    """The package over itself: the changed configuration stays, the unit runs the new program."""
    service.configure(CONFIG)
    before = service.wait_roles()
    service.install()
    service.wait_roles(before.values())
    assert service.show("ActiveState") == "active"
    assert service.run(f"cat {CONFIG_FILE}") == CONFIG.strip()
    service.run(f"systemctl stop {UNIT}")
    service.install()
    assert service.show("ActiveState") == "inactive"


def test_unit_is_hardened(service):
    """The exposure that systemd computes stays what it is; what the roles need cannot be had for less."""
    text = service.run(f"systemd-analyze security --no-pager {UNIT}")
    exposure = float(re.search(r"exposure level for \S+: (\d+\.\d+)", text)[1])
    print(f"exposure: {exposure}")
    assert exposure <= EXPOSURE_MAX


def test_removed_package_stops_and_purged_one_leaves_nothing(service):
    """Removed: stopped and disabled, the configuration stays. Purged: no file, folder, unit or user."""
    service.run(f"systemctl enable {UNIT}")
    service.run("dpkg --remove bulkhead")
    assert service.run("pgrep -x bulkheadd", check=False) == ""
    assert service.run(f"test -e {CONFIG_FILE} && echo there") == "there"
    service.run("dpkg --purge bulkhead")
    left = service.run("find / -xdev -name '*bulkhead*' -not -path '/root/*' -not -path '/var/lib/dpkg/*' "
                       "-not -path '/var/log/*.log'; ls -d /run/bulkhead", check=False)
    assert left.replace("ls: cannot access '/run/bulkhead': No such file or directory", "").strip() == ""
    assert service.run("getent passwd bulkhead bulkhead-suricata; getent group bulkhead", check=False) == ""
    assert UNIT not in service.run("systemctl list-units --all --no-legend --plain")
    assert service.run("dpkg --audit") == ""
