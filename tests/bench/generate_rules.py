#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes COUNT rules whose contents are made of words: the same ones each time. Their mixture is
that of the sets that people have (Emerging Threats and the like): most for HTTP ports, half with
several contents, bytes in hex, one in ten with pcre, one in twelve with flowbits, some with
byte_test, isdataat, thresholds and metadata. They match no ordinary text: each has an unlikely pair
of words.

usage: generate_rules.py COUNT [FIRST_SID]
"""
import random
import sys

WORDS = """access account active admin agent alert anchor answer apply archive array assets attach backup
balance banner basket batch beacon binary blank block board bridge browse bucket buffer build button cache
camera cancel canvas carbon castle center chain change channel check circle class clear client cloud column
command commit common config connect console content control cookie copper corner counter cradle create
credit custom cycle daemon danger data debug default delete demand deploy design detail device dialog digest
direct disk docker domain download driver dynamic echo editor effect element empty engine entry error escape
event exact except execute export extend factor failure family feature field figure filter finder flash
folder follow format forward frame freeze function garden gateway general global grant graph ground group
guard handle harbor header health helper hidden history holder hunter image import index inject input insert
install island issue jacket journal jungle kernel keyboard kitchen label ladder laser layer leader legacy
level library light limit linear linker listen loader local locker logic login machine macro magnet manager
marble market master matrix member memory mirror mobile module monitor mount nation native network night
normal notice number object office online option orange order output owner packet palace panel parent parser
patch pattern payload pepper permit planet plugin pocket policy portal prefix present printer private probe
process profile proxy public quarter query queue rabbit random range reader record reduce region remote
render report request reset resource result return river rocket router runner sample saver scanner school
screen script search secret secure select sender sensor server session setup shadow shell signal silver
single socket source spider spirit stable static status storage stream string studio submit switch symbol
system table target temple tenant thread ticket timber timer token tracker traffic transfer trigger tunnel
update upload useful vector vendor verify version video viewer virtual visit volume wallet warden watcher
weather widget window winter wizard worker writer yellow zipper zone""".split()

PORTS = ["[80,8000:8080]"] * 6 + ["any"] * 2 + ["[25,110,143,587]", "445", "[3306,5432]", "8443"]


def payload_options(generator: random.Random, number: str) -> list[str]:
    first, second, third, fourth = (generator.choice(WORDS) for _ in range(4))
    options = [f'content:"{first}{generator.choice("-_./=")}{second}{number}"']
    if generator.random() < 0.6:
        options.append("nocase")
    kind = generator.random()
    if kind < 0.2:
        options += [f'content:"{third}"', "distance:0"]
    elif kind < 0.3:
        options += [f'content:"|0d 0a|{third.capitalize()}: "', "distance:0", "within:200"]
    elif kind < 0.4:
        options.append(f'pcre:"/{third}[0-9]{{2,4}}{fourth}/Ri"')
    elif kind < 0.5:
        options += [f'content:"|{generator.randrange(256):02x} 00 {generator.randrange(256):02x}|"',
                    "offset:4", "depth:64", f'content:!"{fourth}"']
    elif kind < 0.55:
        options += ["byte_test:2,>,512,0,relative", "isdataat:20,relative"]
    return options


def rule(generator: random.Random, sid: int) -> str:
    first, second = generator.choice(WORDS), generator.choice(WORDS)
    direction = generator.choice(["to_server"] * 4 + ["to_client"])
    port = generator.choice(PORTS)
    ends = f"any any -> any {port}" if direction == "to_server" else f"any {port} -> any any"
    options = payload_options(generator, f"{sid:x}")
    protocol = "udp" if port == "any" and generator.random() < 0.3 else "tcp"
    state = f"flow:established,{direction}; " if protocol == "tcp" else ""
    if generator.random() < 0.08:
        command = generator.choice(["set", "isset", "isset"])
        options.append(f"flowbits:{command},{first}.{generator.randrange(2)}")
    if generator.random() < 0.03:
        options.append("threshold:type limit,track by_src,count 1,seconds 60")
    return (f'alert {protocol} {ends} (msg:"GENERATED {first} {second} (CVE-2026-{sid % 10000:04})"; {state}'
            f'{"; ".join(options)}; reference:url,example.com/{first}/{sid}; classtype:misc-activity; '
            f'sid:{sid}; rev:{1 + sid % 7}; metadata:affected_product Any, created_at 2026_01_02, '
            f'signature_severity {generator.choice(["Minor", "Major"])};)')


def main() -> None:
    count = int(sys.argv[1])
    first_sid = int(sys.argv[2]) if len(sys.argv) > 2 else 2000000
    generator = random.Random(1)
    for sid in range(first_sid, first_sid + count):
        print(rule(generator, sid))


if __name__ == "__main__":
    main()
