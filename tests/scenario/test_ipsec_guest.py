# SPDX-License-Identifier: BSD-3-Clause
"""IPsec of a virtual address, against a kernel's own: a QEMU guest with static keys (`ip xfrm`), on the uplink.

    guest: xfrm, esp4, esp6 ──vhost-user── hv1: bulkheadd ──xcf0══ link ══ t1: gre1, VIPA on lo, echo server
    192.0.2.100, 2001:db8:2::100           VIPA 192.0.2.80, 2001:db8:2::80
"""

import pytest

from lab.daemon import make_run_folder
from lab.distributor import OUTSIDE6, SECURE, VIPA, VIPA6, connect, wait_ready
from lab.esp_client import Agreement, configure
from lab.guest import Guest, GuestUnavailable, kernel
from lab.netns import wait_until
from lab.topology import OUTSIDE_ADDRESS, OUTSIDE_MAC

SIZE = 1_000_000
TIMEOUT = 60
NEAR_THE_END = 0xFFFFFF00  # of 32 bits: a transfer of SIZE has some 700 packets
ENDS = {4: (OUTSIDE_ADDRESS, VIPA), 6: (OUTSIDE6, VIPA6)}
IP = "/bin/ip"  # busybox's own, which its shell takes first, knows no xfrm
# What `ip xfrm` calls the daemon's algorithms.
CIPHERS = {"aes-gcm-16": "rfc4106(gcm(aes))", "aes-cbc": "cbc(aes)"}
INTEGRITIES = {"sha2-256-128": ("hmac(sha256)", 128)}


@pytest.fixture
def client(make_lab):
    """client(agreement): the daemon runs, and a guest that has the agreement's SAs and policies in its kernel."""
    try:
        kernel()
    except GuestUnavailable as reason:
        pytest.skip(str(reason))
    lab = make_lab(partitions=())

    def begin(agreement, first=0):
        uplink = make_run_folder(lab.folder) / "uplink.sock"
        lab.config["adapters"]["uplink"] = {"device": f"vhost-user:{uplink}"}
        targets = connect(lab, 1, (VIPA, VIPA6), kind=SECURE)
        configure(lab, [agreement])
        targets[0].echo()
        lab.start()
        wait_ready(lab, targets)
        wait_until(uplink.exists, what="the uplink's socket")
        guest = lab.guests["client"] = Guest(lab.folder, "client", [(uplink, OUTSIDE_MAC)])
        guest.start().address(f"{OUTSIDE_ADDRESS}/24")
        guest.run(f"{IP} address add {OUTSIDE6}/64 dev eth0 nodad")
        for command in commands(agreement, first):
            guest.run(command)
        return guest
    begin.lab = lab
    return begin


def commands(agreement, first):
    """What tells the guest's kernel of the agreement; first: the sequence number behind which it begins."""
    window = "replay-window 128 flag esn" if agreement.esn else "replay-window 32"
    for is_in in (True, False):  # as the daemon sees it
        keys = agreement.keys_of(is_in)
        algorithms = f"'{CIPHERS[agreement.cipher]}' 0x{keys.cipher.hex()}"
        if agreement.integrity == "none":
            algorithms = f"aead {algorithms} 128"
        else:
            name, bits = INTEGRITIES[agreement.integrity]
            algorithms = f"enc {algorithms} auth-trunc '{name}' 0x{keys.integrity.hex()} {bits}"
        ends = (agreement.client, agreement.vipa) if is_in else (agreement.vipa, agreement.client)
        way = f"src {ends[0]} dst {ends[1]}"
        begins = f"replay-oseq {first:#x}" if is_in and first else ""
        yield (f"{IP} xfrm state add {way} proto esp spi {agreement.spi(is_in):#x} reqid 1 mode {agreement.mode} "
               f"{window} {begins} {algorithms}")
        yield (f"{IP} xfrm policy add {way} proto 6 dir {'out' if is_in else 'in'} "
               f"tmpl {way} proto esp reqid 1 mode {agreement.mode}")


def send_and_get_back(guest, vipa):
    """Whether SIZE bytes come back as they were, from a server behind the address; the guest compares."""
    guest.run(f"dd if=/dev/urandom of=/tmp/file bs=1000 count={SIZE // 1000}")
    guest.run(f"nc {vipa} 7 < /tmp/file > /tmp/back", TIMEOUT)
    sent, came = (guest.run(command).split()[0] for command in (
        "sha256sum < /tmp/file", f"tail -c {SIZE} /tmp/back | sha256sum"))
    return sent == came


def by_direction(lab):
    return {row["direction"]: row for row in lab.daemon.cli("ipsec", "sas")["sas"]}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mode", ["tunnel", "transport"])
def test_kernel_exchanges_data_by_bare_esp(client, mode, version):
    """D4 D5 D16: protocol 50, both modes, both versions of IP; what comes back is what was sent."""
    guest = client(Agreement(*ENDS[version], mode=mode))
    assert send_and_get_back(guest, ENDS[version][1])
    rows = by_direction(client.lab)
    assert min(row["bytes"] for row in rows.values()) > SIZE


@pytest.mark.parametrize("cipher,integrity,mode", [("aes-gcm-16", "none", "tunnel"),
                                                   ("aes-cbc", "sha2-256-128", "transport")])
def test_extended_numbers_go_on_beyond_32_bits(client, cipher, integrity, mode):
    """D16: the kernel's numbers pass 2^32 within a transfer; the upper half is nowhere in the packets."""
    guest = client(Agreement(*ENDS[4], cipher, integrity, mode, esn=True), first=NEAR_THE_END)
    assert send_and_get_back(guest, VIPA)
    assert "oseq-hi 0x1" in guest.run(f"{IP} xfrm state")
    rows = by_direction(client.lab)
    assert rows["in"]["sequence"] > 1 << 32
    assert client.lab.daemon.drops().get("ipsec_icv", 0) == 0
