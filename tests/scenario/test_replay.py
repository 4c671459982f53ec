# SPDX-License-Identifier: BSD-3-Clause
"""
A capture file through the builtin engine, without a daemon.

    capture.pcap ──► bulkhead inspect replay ──► EVE lines, a summary, what would have been delivered

The story: somebody has a capture of an attack and asks which rules would have stopped it. I6, I9
"""
import json
import subprocess

import pytest

from lab.daemon import BUILD

scapy = pytest.importorskip("scapy.all", reason="scapy is not installed")

from tests.parity.packets import Tcp, icmp, udp  # noqa: E402

RULES = """drop tcp any any -> any 80 (msg:"evil"; content:"EVILWORD"; sid:1;)
alert icmp any any -> any any (msg:"ping"; itype:8; sid:2;)
alert tcp any any -> any any (msg:"refused"; no_such_keyword; sid:3;)
alert udp any any -> any any (msg:"replaced"; content:"secret"; replace:"******"; sid:4;)
"""


def replay(*arguments, **options):
    return subprocess.run([BUILD / "cli/bulkhead", "inspect", "replay", *map(str, arguments)], capture_output=True,
                          text=True, timeout=60, check=False, **options)


@pytest.fixture
def capture(tmp_path):
    packets = Tcp().client(b"EVIL").client(b"WORD").packets + [icmp(), udp(b"a secret")]
    for number, packet in enumerate(packets):
        packet.time = 1_700_000_000 + number * 0.001
    scapy.wrpcap(str(tmp_path / "attack.pcap"), packets)
    (tmp_path / "own.rules").write_text(RULES)
    return tmp_path / "attack.pcap"


def test_an_attack_is_found_and_would_not_have_been_delivered(capture, tmp_path):
    done = replay(capture, "--rules", tmp_path / "own.rules", "--delivered", tmp_path / "out.pcap", "--json")
    assert done.returncode == 0, done.stderr
    *events, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(event["event_type"], event["pcap_cnt"], event["alert"]["signature_id"]) for event in events] == [
        ("alert", 6, 1), ("drop", 6, 1), ("alert", 8, 2), ("alert", 9, 4)]
    # the capture's own time
    assert events[0]["timestamp"] == "2023-11-14T22:13:20.005000+0000"
    assert summary["packets"] == 9 and summary["rules_loaded"] == 3 and summary["rules_refused"] == 1
    assert "own.rules:3: unsupported" in done.stderr and "no_such_keyword" in done.stderr

    delivered = [bytes(packet) for packet in scapy.rdpcap(str(tmp_path / "out.pcap"))]
    assert len(delivered) == summary["passed"]
    assert any(b"EVIL" in frame for frame in delivered)
    assert not any(b"WORD" in frame for frame in delivered)
    assert any(b"a ******" in frame for frame in delivered)


def test_captures_of_other_links_and_standard_input(capture, tmp_path):
    packets = [packet[scapy.IP] for packet in scapy.rdpcap(str(capture))]
    scapy.wrpcap(str(tmp_path / "raw.pcap"), packets)  # DLT_RAW
    with open(tmp_path / "raw.pcap", "rb") as raw:
        done = replay("-", "--rules", tmp_path / "own.rules", "--eve", tmp_path / "eve.json", stdin=raw)
    assert done.returncode == 0, done.stderr
    assert "packets 9" in done.stderr and not done.stdout
    assert {json.loads(line)["alert"]["signature_id"] for line in (tmp_path / "eve.json").read_text().splitlines()} \
        == {1, 2, 4}


def test_errors_say_what_is_wrong(capture, tmp_path):
    done = replay(tmp_path / "none.pcap", "--rules", tmp_path / "own.rules")
    assert done.returncode == 1 and "none.pcap" in done.stderr and "No such file" in done.stderr
    done = replay(tmp_path / "own.rules", "--rules", tmp_path / "own.rules")
    assert done.returncode == 1 and "unknown file format" in done.stderr
    done = replay(capture, "--rules", tmp_path / "none.rules")
    assert done.returncode == 1 and "none.rules: there is no such file" in done.stderr
    (tmp_path / "wrong.yaml").write_text("inspection: {deadline: 5parsec}\n")
    done = replay(capture, "--config", tmp_path / "wrong.yaml")
    assert done.returncode == 1 and "inspection.deadline" in done.stderr
    (tmp_path / "cut.pcap").write_bytes(capture.read_bytes()[:-3])
    done = replay(tmp_path / "cut.pcap", "--rules", tmp_path / "own.rules")
    assert done.returncode == 1 and "after packet 8" in done.stderr
