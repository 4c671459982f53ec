# SPDX-License-Identifier: BSD-3-Clause
"""The lab's standard topology.

    outside ──eth0══eth1── hv1: bulkheadd ──veth-NAME══eth0── NAME   (partitions: web, db, …)
    192.0.2.100            uplink    sea0                      VLAN 10: 192.0.2.0/24, VLAN 20 beside it
                                     192.0.2.1 (the host's own socket layer)

VLAN 10 is the uplink's native VLAN (untagged on the wire), VLAN 20 is tagged there.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import tempfile

from lab.daemon import Daemon, make_run_folder
from lab.guest import Guest
from lab.netns import Namespace, veth, wait_until

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HOST_ADDRESS = "192.0.2.1"
OUTSIDE_ADDRESS = "192.0.2.100"
OUTSIDE_MAC = "52:54:00:00:ff:01"

# name: (VLAN, MAC, address)
PARTITIONS = {
    "web": (10, "52:54:00:00:10:01", "192.0.2.10"),
    "app": (10, "52:54:00:00:10:02", "192.0.2.11"),
    "db": (20, "52:54:00:00:20:01", "192.0.2.20"),
    "cache": (20, "52:54:00:00:20:02", "192.0.2.21"),
}


class Lab:
    """Namespaces, daemon and processes of one run; close() removes them all."""

    count = 0

    def __init__(self, partitions=("web", "db"), mtu=1500, uplink="netdev:eth1"):
        Lab.count += 1
        self.prefix = f"bh{os.getpid()}-{Lab.count}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
        self.folder.chmod(0o755)
        self.namespaces = {}
        self.guests = {}
        self.daemon = None
        self.mtu = mtu
        try:
            self._build(partitions, uplink)
        except BaseException:
            self.close()
            raise

    def _build(self, partitions, uplink):
        self.hv1 = self.namespace("hv1")
        self.outside = self.namespace("outside")
        veth(self.outside, "eth0", self.hv1, "eth1", self.mtu)
        self.outside.address("eth0", f"{OUTSIDE_ADDRESS}/24", OUTSIDE_MAC)
        self.config = {
            "host": "hv1",
            "adapters": {"uplink": {"device": uplink, "mtu": self.mtu}},
            "gateway": {
                "physical": "uplink",
                "native-vlan": 10,
                "trunks": {"trunk-a": {"vlans": [10, 11]}, "trunk-b": {"vlans": ["20-29"]}},
                "host": {"interface": "sea0", "vlan": 10, "mtu": self.mtu,
                         "addresses": [f"{HOST_ADDRESS}/24"]},
            },
            "partitions": {},
            "inspection": {"engines": ["none"]},
        }
        for name in partitions:
            self.partition(name)

    def namespace(self, name):
        self.namespaces[name] = Namespace(f"{self.prefix}-{name}")
        return self.namespaces[name]

    def partition(self, name, vlan=None, mac=None, address=None):
        """A container: a namespace behind a veth pair, with its row in the configuration."""
        default = PARTITIONS.get(name, (None, None, None))
        vlan, mac, address = vlan or default[0], mac or default[1], address or default[2]
        namespace = self.namespace(name)
        veth(namespace, "eth0", self.hv1, f"veth-{name}", self.mtu)
        namespace.address("eth0", f"{address}/24", mac)
        self.config["partitions"][name] = {"adapters": {"eth0": {
            "attach": f"netdev:veth-{name}", "vlan": vlan, "mac": mac, "addresses": [address],
            "mtu": self.mtu}}}
        return namespace

    def guest_row(self, name, vlan=None, mac=None, address=None, **options):
        """The configuration's row of a QEMU guest; boot_guest() starts it once the daemon runs."""
        default = PARTITIONS.get(name, (None, None, None))
        vlan, mac, address = vlan or default[0], mac or default[1], address or default[2]
        self.config["partitions"][name] = {"adapters": {"eth0": {
            "attach": f"vhost-user:{make_run_folder(self.folder) / name}.sock", "vlan": vlan, "mac": mac,
            "addresses": [address], **options}}}

    def boot_guest(self, name):
        """Boots the guest of the row `name` and gives its NIC the row's address."""
        row = self.config["partitions"][name]["adapters"]["eth0"]
        path = pathlib.Path(row["attach"].removeprefix("vhost-user:"))
        wait_until(path.exists, what=f"the socket {path}")
        guest = Guest(self.folder, name, [(path, row["mac"])], queues=row.get("queues", 1))
        self.guests[name] = guest
        guest.start().address(f"{row['addresses'][0]}/24")
        return guest

    def __getitem__(self, name):
        return self.namespaces[name]

    def start(self, change=None):
        """Starts the daemon; change(config) may alter the configuration first."""
        if change:
            change(self.config)
        self.daemon = Daemon(self.hv1, self.folder, self.config).start()
        return self.daemon

    def write(self, name, text):
        """A file in the lab's folder (rules, pages); returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def close(self):
        """Removes everything, whatever state it is in. Signals wait until that is done."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        try:
            with contextlib.ExitStack() as steps:  # each is taken, the last one first, whatever others do
                if not os.environ.get("BULKHEAD_KEEP"):
                    steps.callback(shutil.rmtree, self.folder, ignore_errors=True)
                for namespace in self.namespaces.values():
                    steps.callback(namespace.close)
                if self.daemon:
                    steps.callback(self.daemon.stop)
                for guest in self.guests.values():
                    steps.callback(guest.stop)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
