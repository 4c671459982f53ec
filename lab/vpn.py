# SPDX-License-Identifier: BSD-3-Clause
"""A client of strongSwan, a virtual address whose ESP ends at the distributor, and targets that know of no IPsec.

    outside: charon, kernel-libipsec ──eth0══eth1── hv1: bulkheadd ──xcf0══╗
    192.0.2.100                       charon, plugin, IKE for the VIPA     ╠══ br0 ══ t1: nginx, VIPA on lo
    behind it 203.0.113.5             VIPA 192.0.2.80                      ╚══ br0 ══ t2 …
"""

from lab.appliance import key_file
from lab.distributor import SECURE, VIPA, connect, wait_ready
from lab.peers import curl, nginx
from lab.strongswan import Charon
from lab.topology import OUTSIDE_ADDRESS

INNER = "203.0.113.5"
NAT_T = 4500
SECRET = "5c3a1f0d5b7e92644ad0c1b2e3f40516" * 2 + "\n"
CONNECTION = """
connections {{ vipa {{
    local_addrs = {local}
    {remote_addrs}
    local {{ auth = psk
        id = {local_id} }}
    remote {{ auth = psk
        id = {remote_id} }}
    children {{ net {{
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        esp_proposals = {proposals} }} }}
}} }}
secrets {{ ike {{ secret = "a secret between the two" }} }}
"""


class Vpn:
    """prepare() before the daemon has its configuration (sections of lab.config), begin() when it runs."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.folder / "ike"
        self.folder.mkdir()
        self.secret = key_file(lab.folder / "kmp.secret", SECRET)
        self.socket = lab.folder / "run/kmp.sock"
        self.targets, self.charons = [], []
        self.gateway = self.client = None
        self.inner, self.outer = f"{INNER}/32", f"{VIPA}/32"  # traffic selectors of the client's end and of the VIPAs

    def prepare(self, page, targets=1, security="required", grace="60s"):
        """Targets that serve the page, and their place in the configuration."""
        lab = self.lab
        self.targets = connect(lab, targets, kind=SECURE)
        for target in self.targets:
            target.namespace.run("ip", "route", "add", f"{INNER}/32", "dev", "gre1", "src", VIPA)
            target.echo()
            nginx(lab, target.name, {"index.html": page})
        self.prepare_ike(security, grace)

    def prepare_ike(self, security="required", grace="60s"):
        """What is to be there for charon, beside the targets: KMP, and the virtual address for IKE."""
        lab = self.lab
        for vipa in lab.config["distributor"]["vipas"].values():
            vipa["security"] = security
        lab.config["ipsec"] = {"kmp": {"socket": str(self.socket), "secret-file": str(self.secret), "grace": grace}}
        # charon's IKE is the host's; ARP for the address is the distributor's (docs/strongswan.md)
        lab.hv1.sysctl("net.ipv4.conf.all.arp_ignore", 1)
        lab.hv1.sysctl("net.ipv4.conf.all.arp_announce", 2)
        lab.hv1.run("ip", "address", "add", f"{VIPA}/32", "dev", "lo")
        lab.outside.run("ip", "address", "add", f"{INNER}/32", "dev", "lo")

    def begin(self, proposals="aes256gcm16"):
        """Both charons, and the client's SAs."""
        lab = self.lab
        wait_ready(lab, self.targets)
        self.gateway = self._charon(lab.hv1, "gateway", plugin=True, local=VIPA, remote_addrs="", local_id="vipa",
                                    remote_id="client", local_ts=self.outer, remote_ts=self.inner,
                                    proposals=proposals)
        self.client = self._charon(lab.outside, "client", local=OUTSIDE_ADDRESS, remote_addrs=f"remote_addrs = {VIPA}",
                                   local_id="client", remote_id="vipa", local_ts=self.inner, remote_ts=self.outer,
                                   proposals=proposals)
        self.client.initiate("net")

    def _charon(self, namespace, name, plugin=False, **arguments):
        made = Charon(namespace, self.folder / name, CONNECTION.format(**arguments), plugin=plugin,
                      kmp_socket=self.socket, secret=self.secret)
        self.charons.append(made)
        return made.start()

    def page(self, timeout=10):
        """What the client gets by IPsec: (exit code of curl, bytes)."""
        return curl(self.lab.outside, f"http://{VIPA}/index.html", "--interface", INNER, timeout=timeout)

    def stop(self):
        for charon in self.charons:
            charon.stop()
