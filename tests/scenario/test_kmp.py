# SPDX-License-Identifier: BSD-3-Clause
"""Keys from strongSwan: charon, unmodified, with our plugin beside the daemon, and a client that does ESP itself.

    outside: charon, kernel-libipsec ──eth0══eth1── hv1: bulkheadd ── sea0 192.0.2.1: charon, plugin bulkhead
    192.0.2.100                                          └── kmp.sock ──────────────────────┘

IKE goes through the gateway to the host's own sockets. What the client says of its SAs is held against what
the daemon has.
"""

import pytest

from lab import strongswan
from lab.appliance import key_file
from lab.netns import run, wait_until
from lab.strongswan import Charon

pytestmark = pytest.mark.skipif(bool(strongswan.missing()),
                                reason=f"not there: {' '.join(strongswan.missing())}")

GATEWAY, CLIENT, MOVED = "192.0.2.1", "192.0.2.100", "192.0.2.101"
VIPA, INNER = "198.51.100.80", "203.0.113.5"  # what is protected: ours, and the client's behind its outer address
SECRET = "8c3a1f0d5b7e92644ad0c1b2e3f40516" * 2 + "\n"
PSK = """
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
        esp_proposals = {proposals}
        {child} }} }}
}} }}
secrets {{ ike {{ secret = "a secret between the two" }} }}
"""


def gateway_conf(child="", proposals="aes256gcm16"):
    return PSK.format(local=GATEWAY, remote_addrs="", local_id="gateway", remote_id="client", local_ts=f"{VIPA}/32",
                      remote_ts=f"{INNER}/32", proposals=proposals, child=child)


def client_conf(child="", proposals="aes256gcm16"):
    return PSK.format(local=CLIENT, remote_addrs=f"remote_addrs = {GATEWAY}", local_id="client", remote_id="gateway",
                      local_ts=f"{INNER}/32", remote_ts=f"{VIPA}/32", proposals=proposals, child=child)


class Keys:
    """The daemon, its charon and the client's."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.folder / "keys"
        self.folder.mkdir()
        self.secret = key_file(self.folder / "kmp.secret", SECRET)
        self.gateway = self.client = None

    def start(self, gateway=None, client=None, grace="60s", prepare=None):
        """prepare(charon, name) may put files into a charon's folder before it starts."""
        lab = self.lab
        lab.config["ipsec"] = {"kmp": {"socket": str(lab.folder / "run/kmp.sock"), "secret-file": str(self.secret),
                                       "grace": grace}}
        lab.start()
        lab.outside.run("ip", "address", "add", f"{INNER}/32", "dev", "lo")
        self.gateway = Charon(lab.hv1, self.folder / "gateway", gateway or gateway_conf(), plugin=True,
                              kmp_socket=lab.folder / "run/kmp.sock", secret=self.secret)
        self.client = Charon(lab.outside, self.folder / "client", client or client_conf(), roams=True)
        for charon, name in ((self.gateway, "gateway"), (self.client, "client")):
            if prepare:
                prepare(charon, name)
            charon.start()
        return self

    def kmp(self, *command):
        return self.lab.daemon.cli("kmp", *command, "--kmp-socket", self.lab.folder / "run/kmp.sock",
                                   "--secret", self.secret)

    def command(self, *command, secret=None):
        return self.lab.daemon.command("kmp", *command, "--kmp-socket", self.lab.folder / "run/kmp.sock",
                                       "--secret", secret or self.secret)

    def sas(self):
        """What the daemon has: {SPI: row}."""
        return {int(row["spi"], 16): row for row in self.kmp("list")["sas"]}

    def session(self):
        rows = self.lab.daemon.cli("kmp")["sessions"]
        return next((row for row in rows if row["name"] == "charon"), None)

    def is_agreed(self):
        """Both sides have the same SAs, and no others."""
        spis = {spi for pair in self.client.children() for spi in pair}
        return bool(spis) and spis == set(self.sas())

    def wait_agreed(self):
        wait_until(self.is_agreed, 20, 0.2, "the same SAs on both sides")
        return self.client.children()


@pytest.fixture
def keys(lab, request):
    made = Keys(lab)
    yield made
    report = getattr(request.node, "report_call", None)
    for charon in (made.client, made.gateway):
        if charon:
            charon.stop()
            if report is not None and report.failed:
                print(f"--- {charon.log_path}\n{charon.log()[-6000:]}")


def test_charon_hands_its_sas_over(keys):
    """D4 D5 D16: the SAs that the client negotiated are the daemon's, with their ends, and go with them."""
    keys.start()
    keys.client.initiate("net")
    (spi_in, spi_out), = keys.wait_agreed()
    sas = keys.sas()
    inbound, outbound = sas[spi_out], sas[spi_in]
    assert (inbound["direction"], inbound["source"], inbound["destination"]) == ("in", CLIENT, GATEWAY)
    assert (outbound["direction"], outbound["source"], outbound["destination"]) == ("out", GATEWAY, CLIENT)
    assert inbound["has_encapsulation"] and inbound["mode"] == "tunnel"
    assert (inbound["source_port"], inbound["destination_port"]) == (4500, 4500)
    assert keys.session()["is_connected"]
    keys.client.swanctl("--terminate", "--ike", "vipa")
    wait_until(lambda: not keys.sas(), what="the end of the SAs")


@pytest.mark.parametrize("proposal", ["aes128gcm16", "aes256-sha256", "aes128-sha1", "chacha20poly1305",
                                      "aes256ctr-sha512", "null-sha256"])
def test_algorithms(keys, proposal):
    """D16: what both know is agreed on and taken."""
    keys.start(gateway_conf(proposals=proposal), client_conf(proposals=proposal))
    keys.client.initiate("net")
    keys.wait_agreed()


def test_rekeying_replaces_both(keys):
    """D17: a new pair takes the old one's place on both sides."""
    keys.start()
    keys.client.initiate("net")
    first = keys.wait_agreed()
    keys.client.swanctl("--rekey", "--child", "net")
    wait_until(lambda: keys.client.children() != first, what="new SAs at the client")
    assert not set(keys.wait_agreed()[0]) & set(first[0])
    assert keys.kmp("stats")["malformed"] == 0


def test_soft_lifetime_makes_charon_rekey(keys):
    """D16: charon has no clock for its SAs: the daemon's event has it negotiate new ones."""
    keys.start(gateway_conf("rekey_time = 2s\n life_time = 60s\n rand_time = 0s"))
    keys.client.initiate("net")
    first = keys.client.children()
    wait_until(lambda: keys.client.children() not in ([], first), 20, 0.2, "a rekeying")
    assert "rekey" in keys.gateway.log()


def test_hard_lifetime_ends_an_sa(keys):
    """D16: an SA whose time is over goes, and charon tells the client."""
    keys.start(gateway_conf("rekey_time = 0s\n life_time = 3s\n rand_time = 0s"))
    keys.client.initiate("net")
    first = keys.client.children()
    wait_until(lambda: keys.client.children() != first, 20, 0.2, "the end of the SAs at the client")
    wait_until(lambda: not set(first[0]) & set(keys.sas()), what="the end of the SAs at the daemon")


def test_a_client_that_moves_is_followed(keys):
    """D4: MOBIKE: the SAs' ends change with the client's address. (Then the client's kernel-libipsec, which cannot
    move an SA, negotiates new ones.)"""
    keys.start(client=client_conf().replace(f"local_addrs = {CLIENT}", "local_addrs = %any"))
    keys.client.initiate("net")
    first = keys.wait_agreed()
    keys.lab.outside.run("ip", "address", "delete", f"{CLIENT}/24", "dev", "eth0")
    keys.lab.outside.run("ip", "address", "add", f"{MOVED}/24", "dev", "eth0")
    wait_until(lambda: keys.client.children() not in ([], first), 20, 0.2, "the move")
    keys.wait_agreed()
    for sa in keys.sas().values():
        assert MOVED in (sa["source"], sa["destination"])
    assert "remote endpoint changed" in keys.gateway.log()
    assert "bulkhead: update" not in keys.gateway.log()
    assert keys.kmp("stats")["refused"] == 0


def test_a_crashed_charon_leaves_its_sas_for_the_grace(keys):
    """E11: traffic goes on without charon; one that is started again begins anew, and what was before goes in
    time."""
    keys.start(grace="10s")
    keys.client.initiate("net")
    first = set(keys.wait_agreed()[0])
    keys.gateway.kill()
    wait_until(lambda: not keys.session()["is_connected"], what="the loss of the session")
    assert set(keys.sas()) == first
    keys.gateway.start()
    assert set(keys.sas()) == first
    keys.client.swanctl("--terminate", "--ike", "vipa", "--force", check=False)
    keys.client.initiate("net")
    assert not set(keys.client.children()[0]) & first
    wait_until(lambda: not set(keys.sas()) & first, 30, what="the end of the grace")
    assert keys.is_agreed()


def test_charon_comes_back_to_its_session(keys):
    """E11: a connection that is lost costs nothing: the SAs that charon knows are the daemon's still."""
    keys.start()
    keys.client.initiate("net")
    first = keys.wait_agreed()
    keys.command("ping", "--name", "charon")  # takes its place, until charon takes it back
    wait_until(lambda: "connected to bulkheadd as 'charon' again" in keys.gateway.log(), what="the session")
    assert keys.wait_agreed() == first
    keys.client.swanctl("--rekey", "--child", "net")
    wait_until(lambda: keys.client.children() not in ([], first), what="new SAs at the client")
    keys.wait_agreed()


def test_charon_comes_back_to_a_new_packet_role(keys):
    """D16 E11: SAs outlive the packet role, and find their owner again."""
    keys.start()
    keys.client.initiate("net")
    first = keys.wait_agreed()
    keys.lab.daemon.wait_role("packet", keys.lab.daemon.kill_role("packet"))
    wait_until(lambda: keys.session() and keys.session()["is_connected"], 15, what="the session")
    assert keys.wait_agreed() == first
    assert "bulkheadd has lost" not in keys.gateway.log()
    keys.client.swanctl("--terminate", "--ike", "vipa")
    wait_until(lambda: not keys.sas(), what="the end of the SAs")


def test_what_the_daemon_has_lost_is_told_and_brought_again(keys):
    """E11: the socket is taken out of the configuration and comes back: SAs are over for charon, too, which negotiates
    others, and its trap waits for packets again."""
    def policies():
        return {(row["direction"], row["priority"]) for row in keys.lab.daemon.cli("ipsec", "policies")["policies"]
                if row["action"] == "protect"}

    keys.start(gateway=gateway_conf("start_action = trap").replace(
        "local_addrs", f"remote_addrs = {CLIENT}\n local_addrs"))
    traps = policies()
    assert traps
    keys.client.initiate("net")
    first = set(keys.wait_agreed()[0])
    section = keys.lab.daemon.config["ipsec"]["kmp"]
    keys.lab.daemon.apply(lambda config: config["ipsec"].pop("kmp"))
    assert not policies()
    keys.lab.daemon.apply(lambda config: config["ipsec"].update(kmp=section))
    wait_until(lambda: "bulkheadd has lost 2 SAs" in keys.gateway.log(), 15, what="the loss of the SAs")
    wait_until(lambda: traps <= policies(), what="the trap")
    assert not first & set(keys.wait_agreed()[0])


def test_who_has_not_the_secret_gets_nothing(keys):
    """E4: a stranger is refused, and does not disturb who is connected."""
    keys.start()
    wrong = key_file(keys.folder / "wrong", "00" * 32)
    done = keys.command("ping", secret=wrong)
    assert done.returncode == 1 and "denied" in done.stderr
    assert "Both ends have the secret" in keys.command("ping").stdout
    assert keys.session()["is_connected"]
    assert keys.kmp("stats")["denied"] == 1


def test_certificates(keys):
    """D4: what charon authenticates the client by is its own business."""
    certificates = keys.lab.folder / "certificates"
    certificates.mkdir()
    strongswan.make_certificates(certificates, "gateway", "client")
    keys.start(strongswan.with_certificates(gateway_conf(), "gateway"),
               strongswan.with_certificates(client_conf(), "client"),
               prepare=lambda charon, name: charon.install(certificates, name))
    keys.client.initiate("net")
    keys.wait_agreed()
