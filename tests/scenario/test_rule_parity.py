# SPDX-License-Identifier: BSD-3-Clause
"""
The builtin engine's rules beside Suricata's: the same rules, the same packets, the same alerts.

    random rules ──┬─► suricata -r packets.pcap ──► eve.json ─┐
    random packets ┴─► detect-pcap (our library) ──► alerts ──┴─► compared

Rules and packets are random, of a small alphabet so that many match, and the same each time.
Skipped where Suricata is not installed. I6

Not compared, since Suricata 7.0 deviates from its own manual there: "dsize:!n", which bounds the
contents as if it were a depth; negated contents with endswith, of which it looks at the first place
alone; tests without a position between relative ones, behind which it does not try other places of
the contents before; "flags:!S" and "flags:*SA", which it looks for in packets with SYN, FIN or RST alone; within
with a negative distance that reaches before the payload, which wraps around.
"""
import json
import os
import pathlib
import random
import shutil
import subprocess

import pytest

scapy = pytest.importorskip("scapy.all", reason="scapy is not installed")

TREE = pathlib.Path(__file__).resolve().parents[2]
SURICATA = os.environ.get("SURICATA") or shutil.which("suricata")
TOOL = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TREE / "build")) / "tests/bench/detect-pcap"
RULES, PACKETS = 240, 400  # at most as many as Suricata tells for one packet
CHUNK = 15  # our bound of alerts for a packet

CONFIG = """%YAML 1.1
---
vars: {{address-groups: {{HOME_NET: "[192.0.2.0/24]", EXTERNAL_NET: "!$HOME_NET"}}, port-groups: {{}}}}
default-log-dir: {folder}
packet-alert-max: 250
outputs: [{{eve-log: {{enabled: yes, filetype: regular, filename: eve.json, types: [{{alert: {{}}}}]}}}}]
app-layer: {{protocols: {{}}}}
"""


def word(rng, low=1, high=3):
    return "".join(rng.choice("abcAB") for _ in range(rng.randint(low, high)))


def content(rng, is_first, is_last):
    text = word(rng)
    is_negated = is_last and rng.random() < 0.4
    options = [f'content:{"!" if is_negated else ""}"{text}"']
    if rng.random() < 0.3:
        options.append("nocase")
    kind = rng.random()
    if kind < 0.2:
        options.append(f"offset:{rng.randint(0, 8)}")
        if rng.random() < 0.5:
            options.append(f"depth:{rng.randint(len(text), 12)}")
    elif kind < 0.3:
        options.append("startswith")
    elif kind < 0.35 and not is_negated:
        options.append("endswith")
    elif not is_first:
        distance = rng.randint(-4, 4)
        if rng.random() < 0.6:
            options.append(f"distance:{distance}")
        if distance >= 0 and rng.random() < 0.5:
            options.append(f"within:{rng.randint(len(text), 8)}")
    return options


def other(rng, is_last):
    if not is_last and rng.random() < 0.5:
        return content(rng, False, False)
    absolute = [f'isdataat:{rng.choice(["", "!"])}{rng.randint(0, 20)}',
                f'byte_test:1,>,{rng.randint(64, 100)},{rng.randint(0, 5)}',
                f'pcre:!"/{word(rng)}.{word(rng)}/"']
    return [rng.choice((absolute if is_last else []) + [
        f'pcre:"/{word(rng)}[{word(rng)}]{word(rng)}/{rng.choice(["", "i", "R", "s"])}"',
        f'isdataat:{rng.choice(["", "!"])}{rng.randint(0, 20)},relative',
        f'byte_test:1,{rng.choice(["<", ">", "=", "!=", "<=", ">=", "&"])},{rng.randint(64, 100)},'
        f'{rng.randint(0, 5)},relative',
        f'byte_jump:1,{rng.randint(0, 3)},relative,post_offset -{rng.randint(92, 99)}',
        f'dsize:{rng.choice(["<", ">", ""])}{rng.randint(12, 24)}',
        f'dsize:{rng.randint(8, 12)}<>{rng.randint(15, 30)}',
        f'ttl:{rng.choice(["<", ">", "", "<=", ">="])}{rng.randint(60, 66)}',
        f'ttl:{rng.randint(58, 62)}-{rng.randint(64, 66)}',
    ])]


HEADERS = ["udp any any -> any any"] * 6 + [
    "ip any any -> any any", "udp any any -> any 53", "udp any any -> any [53,80:90,!85]",
    "udp any any -> any !80", "udp 192.0.2.0/25 any -> any any", "udp !192.0.2.3 any -> any any",
    "udp any any <> 192.0.2.0/24 :1024", "icmp any any -> any any", "tcp any any -> any any"]


def rule(rng, sid):
    header = rng.choice(HEADERS)
    options = []
    count = rng.randint(1, 4)
    for i in range(count):
        options += content(rng, i == 0, i == count - 1) if i == 0 or rng.random() < 0.7 else other(rng, i == count - 1)
    if header.startswith("icmp"):
        options.append(f"itype:{rng.choice(['', '<', '>'])}{rng.choice([1, 3, 8])}")
    if header.startswith("tcp"):
        options.append(f"flags:{rng.choice(['', '+'])}{rng.choice(['S', 'A', 'SA', 'PA', 'F'])}"
                       f"{rng.choice(['', ',A', ',12'])}")
    text = "; ".join(options)
    if text.count("dsize") > 1:
        return rule(rng, sid)
    return f'alert {header} (msg:"{sid}"; {text}; sid:{sid};)'


def packet(rng, number):
    text = word(rng, 0, 24).encode()
    ip = scapy.IP(src=f"192.0.2.{rng.randint(1, 200)}", dst="198.51.100.7", ttl=rng.randint(58, 66))
    kind = rng.random()
    if kind < 0.7:
        above = scapy.UDP(sport=20000 + number, dport=rng.choice([53, 80, 85, 90, 4000]))
    elif kind < 0.85:
        above = scapy.ICMP(type=rng.choice([0, 8, 3]))
    else:
        above = scapy.TCP(sport=20000 + number, dport=80, flags=rng.choice(["S", "A", "SA", "PA", "FA"]))
    return scapy.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ip / above / text


def suricata_accepts(folder, rules):
    """The rules without those that Suricata finds fault with (combinations that make no sense)."""
    path = folder / "all.rules"
    path.write_text("\n".join(rules) + "\n")
    done = subprocess.run([SURICATA, "-T", "-c", folder / "suricata.yaml", "-S", path, "-l", folder, "-v"],
                          capture_output=True, text=True, timeout=120, check=False)
    output = done.stdout + done.stderr
    return [line for line in rules if f'"{line}"' not in output and line not in output]


@pytest.mark.skipif(not SURICATA, reason="suricata is not installed")
@pytest.mark.skipif(not TOOL.exists(), reason=f"{TOOL} is not built")
def test_the_same_alerts_as_suricata(tmp_path):
    rng = random.Random(int(os.environ.get("SEED", "7")))
    (tmp_path / "suricata.yaml").write_text(CONFIG.format(folder=tmp_path))
    packets = [packet(rng, number) for number in range(PACKETS)]
    scapy.wrpcap(str(tmp_path / "packets.pcap"), packets)
    rules = suricata_accepts(tmp_path, [rule(rng, sid) for sid in range(1, RULES + 1)])

    files = []
    for at in range(0, len(rules), CHUNK):
        files.append(tmp_path / f"{at}.rules")
        files[-1].write_text("\n".join(rules[at:at + CHUNK]) + "\n")
    ours = subprocess.run([TOOL, tmp_path / "packets.pcap", *files], capture_output=True, text=True,
                          timeout=120, check=False)
    assert ours.returncode == 0, ours.stderr
    found = {tuple(map(int, line.split())) for line in ours.stdout.splitlines()}

    (tmp_path / "good.rules").write_text("\n".join(rules) + "\n")
    subprocess.run([SURICATA, "-r", tmp_path / "packets.pcap", "-c", tmp_path / "suricata.yaml",
                    "-S", tmp_path / "good.rules", "-l", tmp_path, "-k", "none", "--runmode", "single"],
                   check=True, capture_output=True, timeout=120)
    events = [json.loads(line) for line in (tmp_path / "eve.json").read_text().splitlines()]
    expected = {(event["pcap_cnt"], event["alert"]["signature_id"])
                for event in events if event["event_type"] == "alert"}

    by_sid = {int(line.rsplit("sid:", 1)[1].rstrip(";)")): line for line in rules}
    differences = [f"packet {number} {bytes(packets[number - 1].lastlayer())!r} "
                   f"{'ours' if (number, sid) in found else 'Suricata'} alone: {by_sid[sid]}"
                   for number, sid in sorted(found ^ expected)]
    assert len(expected) > 1000
    assert not differences, f"{len(differences)} of {len(expected)}:\n" + "\n".join(differences[:30])
