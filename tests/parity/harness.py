# SPDX-License-Identifier: BSD-3-Clause
"""
The builtin engine beside Suricata: the same capture, the same rules, what each says of them.

    case (packets, rules) ──┬─► bulkhead inspect replay ──► EVE ──┐
                            └─► suricata -r --simulate-ips ─► EVE ─┴─► alerts by sid, flow and action

Both are in line: a rule that says drop stops the packet and the rest of its flow.
"""

import dataclasses
import ipaddress
import json
import os
import pathlib
import shutil
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TREE / "build"))
SURICATA = os.environ.get("SURICATA") or shutil.which("suricata")

VARIABLES = {"HOME_NET": ["192.0.2.0/25", "2001:db8:1::/64"], "EXTERNAL_NET": "!$HOME_NET",
             "HTTP_PORTS": ["80", "8080"]}

SURICATA_CONFIG = """%YAML 1.1
---
vars:
  address-groups: {{HOME_NET: "[192.0.2.0/25,2001:db8:1::/64]", EXTERNAL_NET: "!$HOME_NET"}}
  port-groups: {{HTTP_PORTS: "[80,8080]"}}
default-log-dir: {folder}
classification-file: {folder}/classification.config
threshold-file: {folder}/threshold.config
outputs:
  - eve-log: {{enabled: yes, filetype: regular, filename: eve.json, types: [{{alert: {{}}}}, {{drop: {{alerts: yes}}}}, flow]}}
stream: {{inline: yes, checksum-validation: yes, midstream: true,
         reassembly: {{toserver-chunk-size: 2560, toclient-chunk-size: 2560, randomize-chunk-size: no}}}}
app-layer:
  protocols:
    http:
      enabled: yes
      libhtp:
        default-config: {{personality: IDS, request-body-limit: 100kb, response-body-limit: 100kb,
                          response-body-decompress-layer-limit: 2, double-decode-path: no,
                          double-decode-query: no, randomize-inspection-sizes: no}}
    tls: {{enabled: yes, ja3-fingerprints: yes, detection-ports: {{dp: 443}}}}
    dns:
      tcp: {{enabled: yes, detection-ports: {{dp: 53}}}}
      udp: {{enabled: yes, detection-ports: {{dp: 53}}}}
"""


@dataclasses.dataclass
class Case:
    name: str
    group: str
    packets: object  # a function that makes them
    rules: list
    limits: str      # lines of threshold.config, which our rule files may hold themselves
    settings: dict   # of `inspection`, for our side

    @property
    def id(self):
        return f"{self.group}/{self.name}"


CASES = {}


def case(*rules, name=None, limits="", **settings):
    """Makes a case of a function that returns packets; sids are given where a rule has none."""
    def add(function):
        numbered = [rule if "sid:" in rule else f"{rule[:-1].rstrip()} sid:{number};)"
                    for number, rule in enumerate(rules, 1)]
        group = function.__module__.rsplit(".", 1)[1].removeprefix("cases_")
        made = Case(name or function.__name__, group, function, numbered, limits, settings)
        assert made.id not in CASES, f"two cases are named {made.id}"
        CASES[made.id] = made
        return function
    return add


def flow_of(event):
    """Both directions as one, since an alert may be told at the packet or at the one that answers."""
    ends = sorted((str(ipaddress.ip_address(event[f"{end}_ip"])), event.get(f"{end}_port", 0)) for end in ("src", "dest"))
    return f"{event.get('proto', '')} {ends[0][0]}:{ends[0][1]} {ends[1][0]}:{ends[1][1]}"


def alerts_of(lines):
    """{(sid, flow, action, gid, rev)} of EVE lines."""
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return {(event["alert"]["signature_id"], flow_of(event), event["alert"]["action"], event["alert"]["gid"],
             event["alert"]["rev"]) for event in events if event.get("event_type") == "alert"}


# Suricata knows more; what we do not, is nothing to compare.
APP_PROTOCOLS = ("http", "tls", "dns")


def flows_of(lines):
    """What each flow came to, in EVE lines: both ends, application protocol, states, packets each way."""
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return sorted((flow_of(event), event.get("app_proto") if event.get("app_proto") in APP_PROTOCOLS else "",
                   event["flow"]["state"], event.get("tcp", {}).get("state", ""),
                   event["flow"]["pkts_toserver"], event["flow"]["pkts_toclient"])
                  for event in events if event.get("event_type") == "flow")


def run_ours(folder, settings):
    config = {"host": "parity", "inspection": {"variables": VARIABLES, "events": ["alert", "drop", "flow"], **settings}}
    (folder / "ours.yaml").write_text(json.dumps(config))
    done = subprocess.run(
        [BUILD / "cli/bulkhead", "inspect", "replay", folder / "case.pcap", "--config", folder / "ours.yaml",
         "--rules", folder / "ours.rules", "--delivered", folder / "delivered.pcap"],
        capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"bulkhead inspect replay: exit {done.returncode}\n{done.stderr}")
    refused = [line for line in done.stderr.splitlines() if "unsupported:" in line or "invalid:" in line]
    lines = done.stdout.splitlines()
    return alerts_of(lines), flows_of(lines), refused


def run_suricata(folder):
    (folder / "suricata.yaml").write_text(SURICATA_CONFIG.format(folder=folder))
    (folder / "classification.config").write_text("config classification: misc-attack,Misc Attack,2\n")
    eve = folder / "eve.json"
    eve.unlink(missing_ok=True)
    done = subprocess.run(
        [SURICATA, "-r", folder / "case.pcap", "-c", folder / "suricata.yaml", "-S", folder / "case.rules",
         "-l", folder, "--simulate-ips", "--runmode", "single"],
        capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0 or not eve.exists():
        raise RuntimeError(f"suricata: exit {done.returncode}\n{done.stdout}{done.stderr}")
    log = done.stdout + done.stderr
    refused = [line for line in log.splitlines() if "error parsing signature" in line]
    lines = eve.read_text().splitlines()
    return alerts_of(lines), flows_of(lines), refused


def write_case(folder, made):
    from scapy.all import wrpcap
    packets = made.packets()
    for number, packet in enumerate(packets):
        packet.time = 1_700_000_000 + number * 0.001 if packet.time > 1_750_000_000 else packet.time
    wrpcap(str(folder / "case.pcap"), packets)
    rules = "\n".join(made.rules) + "\n"
    (folder / "case.rules").write_text(rules)
    (folder / "ours.rules").write_text(rules + made.limits)
    (folder / "threshold.config").write_text(made.limits)


@dataclasses.dataclass
class Outcome:
    ours: set
    theirs: set
    our_flows: list
    their_flows: list
    refused_by_us: list
    refused_by_suricata: list

    @property
    def agrees(self):
        return self.ours == self.theirs and not self.refused_by_us and not self.refused_by_suricata

    @property
    def agrees_on_flows(self):
        return self.our_flows == self.their_flows

    def explain_flows(self):
        lines = [f"only ours: {flow}" for flow in self.our_flows if flow not in self.their_flows]
        lines += [f"only Suricata's: {flow}" for flow in self.their_flows if flow not in self.our_flows]
        return "\n".join(lines)

    def explain(self):
        lines = [f"only ours: {alert}" for alert in sorted(self.ours - self.theirs)]
        lines += [f"only Suricata's: {alert}" for alert in sorted(self.theirs - self.ours)]
        lines += [f"we refuse: {line}" for line in self.refused_by_us]
        lines += [f"Suricata refuses: {line}" for line in self.refused_by_suricata]
        return "\n".join(lines)


def compare(folder, made):
    write_case(folder, made)
    ours, our_flows, refused_by_us = run_ours(folder, made.settings)
    theirs, their_flows, refused_by_suricata = run_suricata(folder)
    return Outcome(ours, theirs, our_flows, their_flows, refused_by_us, refused_by_suricata)
