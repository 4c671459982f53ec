# SPDX-License-Identifier: BSD-3-Clause
"""Two QEMU guests with vhost-user NICs, checksum and segmentation offload on.

    outside ──── uplink [hv1] ──vhost-user── web   (QEMU, stock Debian kernel)  192.0.2.10
    192.0.2.100               ──vhost-user── app   (QEMU)                       192.0.2.11
"""

import hashlib
import os
import subprocess

import pytest

from lab.guest import GuestUnavailable, kernel
from lab.netns import wait_until
from lab.peers import can_ping, curl, nginx

SIZE = 20_000_000
SUM_TIMEOUT = 120
FRAME_MAX = 1514  # of one that was segmented


@pytest.fixture
def guests(make_lab):
    try:
        kernel()
    except GuestUnavailable as reason:
        pytest.skip(str(reason))
    lab = make_lab(partitions=())
    lab.guest_row("web")
    lab.guest_row("app")
    lab.start()
    lab.boot_guest("web")
    lab.boot_guest("app")
    return lab


def port(lab, name):
    return next(row for row in lab.daemon.cli("ports")["ports"] if row["name"] == name)


def mean_frame(before, after, direction):
    """Bytes of a frame, of those that a port received (rx) or sent (tx) in between."""
    size, count = (after[f"{direction}_{what}"] - before[f"{direction}_{what}"] for what in ("bytes", "packets"))
    return size / max(count, 1)


def test_guests_exchange_files_unchanged_with_offloads(guests):
    """G11: 20 MB from guest to guest and from the outside to a guest arrive unchanged, TSO is on, and
    frames between guests are not segmented on the way."""
    web, app = guests.guests["web"], guests.guests["app"]
    for guest in (web, app):
        features = guest.run("ethtool -k eth0")
        assert "tcp-segmentation-offload: on" in features
        assert "tx-checksumming: on" in features
    assert app.can_ping("192.0.2.10")
    web.run(f"mkdir /tmp/www && dd if=/dev/urandom of=/tmp/www/file bs=1000 count={SIZE // 1000}")
    expected = web.run("sha256sum < /tmp/www/file", SUM_TIMEOUT)
    web.run("httpd -p 80 -h /tmp/www")
    before = [port(guests, name) for name in ("web.eth0", "app.eth0")]
    assert app.run("wget -q -O - http://192.0.2.10/file | sha256sum", SUM_TIMEOUT) == expected
    after = [port(guests, name) for name in ("web.eth0", "app.eth0")]
    assert mean_frame(before[0], after[0], "rx") > FRAME_MAX
    assert mean_frame(before[1], after[1], "tx") > FRAME_MAX

    code, body = curl(guests.outside, "http://192.0.2.10/file", timeout=SUM_TIMEOUT)
    assert code == 0 and len(body) == SIZE
    assert hashlib.sha256(body).hexdigest() == expected.split()[0]

    page = os.urandom(SIZE)
    nginx(guests, "outside", {"file": page})
    got = app.run("wget -q -O - http://192.0.2.100/file | sha256sum", SUM_TIMEOUT)
    assert got.split()[0] == hashlib.sha256(page).hexdigest()


def test_guest_nic_survives_the_packet_role(guests):
    """The packet role is killed; the guests' NICs work again, without anybody touching the guests, and a
    download that was under way ends with all its bytes."""
    web, app = guests.guests["web"], guests.guests["app"]
    web.run(f"mkdir /tmp/www && dd if=/dev/urandom of=/tmp/www/file bs=1000 count={SIZE // 1000}")
    expected = web.run("sha256sum < /tmp/www/file", SUM_TIMEOUT).split()[0]
    web.run("httpd -p 80 -h /tmp/www")
    assert app.can_ping("192.0.2.10")
    assert app.can_ping("192.0.2.100")
    path = guests.folder / "download"
    with open(path, "wb") as output:
        download = guests.outside.start("curl", "-sS", "--noproxy", "*", "--limit-rate", "2M",
                                        "http://192.0.2.10/file", stdout=output, stderr=subprocess.PIPE)
    wait_until(lambda: path.stat().st_size > SIZE // 20, what="some of the file")
    assert download.poll() is None
    pid = guests.daemon.kill_role("packet")
    guests.daemon.wait_role("packet", pid)
    assert app.can_ping("192.0.2.10", 30)
    assert app.can_ping("192.0.2.100", 30)
    assert can_ping(guests.outside, "192.0.2.10")
    assert download.wait(SUM_TIMEOUT) == 0, download.stderr.read()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected
