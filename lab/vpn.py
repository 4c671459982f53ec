# SPDX-License-Identifier: BSD-3-Clause
"""A client of strongSwan, a virtual address whose ESP ends at the distributor, and targets that know of no IPsec.

    outside: charon, kernel-libipsec ──eth0══eth1── hv1: bulkheadd ──xcf0══╗
    192.0.2.100                       charon, plugin, IKE for the VIPA     ╠══ br0 ══ t1: nginx, VIPA on lo
    behind it 203.0.113.5             VIPA 192.0.2.80                      ╚══ br0 ══ t2 …

or, behind a NAT, the same client in a namespace of its own:

    client: charon, kernel-libipsec ──eth0══nat0── outside: lab/udp_nat.py ──eth0══eth1── hv1 …
    10.9.0.2                                       10.9.0.1
"""

import pathlib

from lab.appliance import key_file
from lab.distributor import OUTSIDE6, SECURE, VIPA, VIPA6, connect, wait_ready
from lab.netns import veth
from lab.peers import curl, nginx
from lab.strongswan import Charon, make_certificates, with_certificates
from lab.topology import OUTSIDE_ADDRESS

INNER, INNER6 = "203.0.113.5", "2001:db8:7::5"
NAT_INSIDE, BEHIND_NAT = "10.9.0.1", "10.9.0.2"
NAT_T = 4500
SECRET = "5c3a1f0d5b7e92644ad0c1b2e3f40516" * 2 + "\n"
CONNECTION = """
connections {{ vipa {{
    local_addrs = {local}
    {remote_addrs}
    {connection}
    local {{ auth = psk
        id = {local_id} }}
    remote {{ auth = psk
        id = {remote_id} }}
    children {{ net {{
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        esp_proposals = {proposals}
        {child} }} }}
}} }}
secrets {{ ike {{ secret = "a secret between the two" }} }}
"""


def connections(**terms):
    """CONNECTION with its terms; those that are left out are empty."""
    return CONNECTION.format(**{"remote_addrs": "", "connection": "", "child": "", **terms})


class Vpn:
    """prepare() before the daemon has its configuration (sections of lab.config), begin() when it runs."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.folder / "ike"
        self.folder.mkdir()
        self.secret = key_file(lab.folder / "kmp.secret", SECRET)
        self.socket = lab.folder / "run/kmp.sock"
        self.targets, self.charons = [], []
        self.access_logs = {}  # of the targets' web servers, by name
        self.certificates = self.folder / "certificates"
        self.nat = None
        self.home = lab.outside  # of the client
        self.gateway = self.client = None
        # Traffic selectors of the client's end and of the VIPAs.
        self.inner, self.outer = f"{INNER}/32,{INNER6}/128", f"{VIPA}/32,{VIPA6}/128"

    def prepare(self, page, targets=1, security="required", grace="60s", **options):
        """Targets that serve the page, in clear and by TLS, over both versions of IP, and their place in the
        configuration. Each serves its name, too. options: of connect()."""
        lab = self.lab
        self.certificates.mkdir()
        make_certificates(self.certificates, "vipa", "client")
        self.targets = connect(lab, targets, vipas=(VIPA, VIPA6), kind=SECURE, **options)
        for target in self.targets:
            target.namespace.run("ip", "route", "add", f"{INNER}/32", "dev", "gre1", "src", VIPA)
            target.namespace.run("ip", "-6", "route", "add", f"{INNER6}/128", "dev", "gre1", "src", VIPA6)
            target.echo()
            self.access_logs[target.name] = nginx(
                lab, target.name, {"index.html": page, "name": target.name.encode()}, ipv6=True,
                tls=(self.certificates / "vipa.pem", self.certificates / "vipa.key"))
        for vipa in lab.config["distributor"]["vipas"].values():
            vipa["services"]["https"] = {"port": 443}
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
        self._settle()

    def put_behind_nat(self):
        """Before prepare(): the client gets a host of its own, behind the NAT."""
        lab = self.lab
        self.home = lab.namespace("client")
        veth(self.home, "eth0", lab.outside, "nat0")
        self.home.address("eth0", f"{BEHIND_NAT}/24")
        lab.outside.address("nat0", f"{NAT_INSIDE}/24")
        self.nat = lab.outside.start("/usr/bin/python3", "-B", pathlib.Path(__file__).parent / "udp_nat.py",
                                     NAT_INSIDE, VIPA, stdout=-1, text=True)
        assert self.nat.stdout.readline() == "ready\n"

    def _settle(self):
        """The client's addresses inside of the tunnel."""
        for interface in ("default", "lo"):  # eth0 stays as it is
            self.home.sysctl(f"net.ipv6.conf.{interface}.disable_ipv6", 0)
        self.home.run("ip", "address", "add", f"{INNER}/32", "dev", "lo")
        self.home.run("ip", "address", "add", f"{INNER6}/128", "dev", "lo", "nodad")

    def begin(self, proposals="aes256gcm16", has_certificates=False, has_trap=False, connection="", child="",
              options="", ipv6=False):
        """Both charons, and the client's SAs: a secret tells who they are, or certificates do. has_trap: the
        gateway negotiates, too, when a packet needs it. connection, child, options: more of the gateway's connection,
        of its child, and of its charon. ipv6: of the tunnel's ends."""
        lab = self.lab
        wait_ready(lab, self.targets)
        local, own, other = (VIPA6, OUTSIDE6, VIPA6) if ipv6 else (VIPA, OUTSIDE_ADDRESS, VIPA)
        if self.nat:
            own, other = BEHIND_NAT, NAT_INSIDE
        self.gateway = self._charon(lab.hv1, "gateway", plugin=True, local=local, local_id="vipa", remote_id="client",
                                    remote_addrs=f"remote_addrs = {OUTSIDE_ADDRESS}" if has_trap else "",
                                    child="start_action = trap" if has_trap else child,
                                    connection=connection, options=options,
                                    local_ts=self.outer, remote_ts=self.inner,
                                    proposals=proposals, has_certificates=has_certificates)
        self.client = self._charon(self.home, "client", local=own, remote_addrs=f"remote_addrs = {other}",
                                   local_id="client", remote_id="vipa", local_ts=self.inner, remote_ts=self.outer,
                                   proposals=proposals, has_certificates=has_certificates)
        self.client.initiate("net")

    def _charon(self, namespace, name, plugin=False, has_certificates=False, options="", **arguments):
        conf, own = connections(**arguments), arguments["local_id"]
        if has_certificates:
            conf = with_certificates(conf, own)
        made = Charon(namespace, self.folder / f"{name}{len(self.charons)}", conf, plugin=plugin,
                      kmp_socket=self.socket, secret=self.secret, options=options)
        if has_certificates:
            made.install(self.certificates, own)
        self.charons.append(made)
        return made.start()

    def fetch(self, path, scheme="http", ipv6=False, timeout=10):
        """What the client gets by IPsec: (exit code of curl, bytes). A server's certificate is checked."""
        vipa, inner = (f"[{VIPA6}]", INNER6) if ipv6 else (VIPA, INNER)
        return curl(self.home, f"{scheme}://vipa/{path}", "--interface", inner, "--cacert",
                    self.certificates / "ca.pem", "--resolve", f"vipa:{443 if scheme == 'https' else 80}:{vipa}",
                    timeout=timeout)

    def page(self, timeout=10):
        return self.fetch("index.html", timeout=timeout)

    def stop(self):
        """Ends both charons; begin() may follow."""
        for charon in self.charons:
            charon.stop()
