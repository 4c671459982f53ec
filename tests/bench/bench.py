# SPDX-License-Identifier: BSD-3-Clause
"""`make bench`: the daemon beside its peers, in one run, as ratios.

    generator (core 0) ══virtio_user══vhost-user══ forwarder (core 1) ══vhost-user══virtio_user══ generator

The forwarder is bulkheadd (through switch and gateway), OVS-DPDK (action NORMAL) or dpdk-testpmd
(macswap: what the devices can do at most). Rates are of both directions together. ONLY=PATTERN
chooses benchmarks by name, SECONDS=N is the time of each measurement (3), RUNS=N the measurements of
which the best is taken (3).
"""

import collections
import contextlib
import fnmatch
import functools
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE))

from lab import suricata as lab_suricata  # noqa: E402
from lab.daemon import BUILD, Daemon, make_run_folder  # noqa: E402
from lab.netns import Namespace, run, stop, wait_until  # noqa: E402
from tests.bench import captures, distribution, esp as esp_rates  # noqa: E402
from tests.bench import channels as bench_channels  # noqa: E402
from tests.bench.unavailable import Unavailable  # noqa: E402

HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
HUGEPAGES_NEEDED = 1024  # of 2 MB: 512 MB each for generator and forwarder, and the rest for OVS
SECONDS = int(os.environ.get("SECONDS", "3"))
RUNS = int(os.environ.get("RUNS", "3"))
FORWARDER_CORE = 1
OVS = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
# As plain as NORMAL of OVS, which looks at no DHCP, router advertisement or EAPOL.
NO_GUARD = {"dhcp": False, "ra": False, "eapol": False}
STORE = TREE / "out"  # of what is built for benchmarks alone
SIZES = ("64", "imix", "1500")
LATENCY_SAMPLES = 100_000


@contextlib.contextmanager
def hugepages():
    """Reserves hugepages for the run and gives them back; the rates mean little without."""
    before = int(HUGEPAGES.read_text())
    HUGEPAGES.write_text(str(max(before, HUGEPAGES_NEEDED)))
    try:
        if int(HUGEPAGES.read_text()) < HUGEPAGES_NEEDED:
            raise Unavailable(f"only {HUGEPAGES.read_text().strip()} of {HUGEPAGES_NEEDED} hugepages "
                              "of 2 MB could be reserved: free some memory")
        yield
    finally:
        HUGEPAGES.write_text(str(before))


class Forwarder:
    """Something between two vhost-user sockets; `sockets` are theirs, once start() has returned."""

    def __init__(self, folder):
        self.folder = folder
        self.sockets = [folder / "a.sock", folder / "b.sock"]
        self.processes = []

    def spawn(self, *command, **options):
        log = open(self.folder / "forwarder.log", "ab")
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log,
                                   **{"stdin": subprocess.DEVNULL, **options})
        log.close()
        self.processes.append(process)
        return process

    def close(self):
        for process in reversed(self.processes):
            stop(process)


class Testpmd(Forwarder):
    """The limit: the same devices, and nothing between them but a swap of addresses."""

    name = "testpmd macswap"

    def start(self):
        command = ["dpdk-testpmd", "--lcores", f"0@0,1@{FORWARDER_CORE}", "-n1", "-m", "512", "--in-memory",
                   "--no-pci", "--file-prefix", f"bench{os.getpid()}", "--single-file-segments"]
        for index, path in enumerate(self.sockets):
            command += ["--vdev", f"net_vhost{index},iface={path}"]
        command += ["--", "--forward-mode=macswap", "--auto-start"]
        # testpmd ends when its input ends, so it gets a pipe that stays open
        self.spawn(*command, stdin=subprocess.PIPE)
        wait_until(lambda: all(path.exists() for path in self.sockets), 20, what="testpmd's sockets")


class OpenVSwitch(Forwarder):
    """The peer: OVS-DPDK as a learning switch (NORMAL), one PMD thread."""

    name = "OVS-DPDK NORMAL"

    def start(self):
        if not pathlib.Path(OVS).exists():
            raise Unavailable("openvswitch-switch-dpdk is not installed: run tools/setup.sh bench")
        database = self.folder / "conf.db"
        environment = {**os.environ, "OVS_RUNDIR": str(self.folder), "OVS_LOGDIR": str(self.folder),
                       "OVS_DBDIR": str(self.folder), "OVS_SYSCONFDIR": str(self.folder)}
        run("ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema")
        remote = f"unix:{self.folder}/db.sock"
        self.spawn("ovsdb-server", f"--remote=p{remote}", database, env=environment)
        wait_until((self.folder / "db.sock").exists, what="ovsdb-server")

        def configure(*arguments):
            run("ovs-vsctl", f"--db={remote}", "--no-wait", *arguments, env=environment)

        configure("init")
        configure("set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                  "other_config:dpdk-socket-mem=512", "other_config:dpdk-lcore-mask=0x1",
                  f"other_config:pmd-cpu-mask={1 << FORWARDER_CORE:#x}",
                  "other_config:dpdk-extra=--no-pci --in-memory --single-file-segments")
        self.spawn(OVS, remote, "--pidfile", env=environment)
        configure("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                  "other_config:mac-table-size=200000", "fail_mode=standalone")
        for index, path in enumerate(self.sockets):
            # OVS names the socket after the port and puts it into its run folder
            port = f"vhost{index}"
            self.sockets[index] = self.folder / port
            configure("add-port", "br0", port, "--", "set", "Interface", port, "type=dpdkvhostuser")
        wait_until(lambda: all(path.exists() for path in self.sockets), 30, what="OVS's sockets")


class Bulkhead(Forwarder):
    """Ours: from the partition's port through switch, trunk, gateway and inspection to the uplink."""

    name = "bulkhead"

    def __init__(self, folder, inspection=None, hugepages_on=True, guard=None):
        super().__init__(folder)
        guard = guard or {}
        self.sockets = [make_run_folder(folder) / path.name for path in self.sockets]
        self.namespace = Namespace(f"bench{os.getpid()}")
        self.daemon = Daemon(self.namespace, folder, {
            "host": "bench",
            "packet": {"workers": 1, "cores": [FORWARDER_CORE], "memory": "512MiB",
                       "hugepages": "on" if hugepages_on else "off"},
            "adapters": {"uplink": {"device": f"vhost-user:{self.sockets[1]}"}},
            "gateway": {"physical": "uplink", "native-vlan": 10, "fdb-max": 262144,
                        "trunks": {"trunk-a": {"vlans": [10]}}},
            "partitions": {"a": {"adapters": {"eth0": {
                "attach": f"vhost-user:{self.sockets[0]}", "vlan": 10, "mac-limit": "none",
                "guard": guard}}}},
            "inspection": inspection or {"engines": ["none"]},
        })

    def start(self):
        self.daemon.start()
        wait_until(lambda: all(path.exists() for path in self.sockets), 20, what="our sockets")

    def close(self):
        self.daemon.stop()
        self.namespace.close()


def measure(sockets, size="64", macs=1, flows=1, seconds=SECONDS, latency=0):
    """One measurement; the generator's report. With `latency` samples, of delays instead of rates."""
    command = [BUILD / "tests/bench/bench-generator", "--lcores", "0@0", "-m", "512", "--in-memory", "--no-pci",
               "--file-prefix", f"generator{os.getpid()}", "--single-file-segments", "--log-level", "4"]
    for index, path in enumerate(sockets):
        command += ["--vdev", f"net_virtio_user{index},path={path},queue_size=1024"]
    command += ["--", "--size", size, "--macs", macs, "--flows", flows, "--seconds", seconds,
                "--latency", latency]
    output = run(*command, timeout=seconds + 120)
    return json.loads(output.strip().splitlines()[-1])


def rates(make, cases):
    """{case: Mpps} of one forwarder."""
    return with_forwarder(make, lambda sockets: {case: measure(sockets, **arguments)["mpps"]
                                                 for case, arguments in cases.items()})


def with_forwarder(make, use):
    """What use(sockets) returns, with a forwarder started for this and ended."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        os.chmod(folder, 0o755)
        forwarder = make(pathlib.Path(folder))
        try:
            forwarder.start()
            return use(forwarder.sockets)
        except Exception:
            log = pathlib.Path(folder) / "forwarder.log"
            if log.exists():
                print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            forwarder.close()


def compare(forwarders, cases):
    """{name: {case: Mpps}}: the forwarders take turns, RUNS times, so that whatever else the machine does
    meets them all; of each the best counts, since others can only take away."""
    best = {name: dict.fromkeys(cases, 0.0) for name in forwarders}
    for number in range(RUNS):
        for name, make in forwarders.items():
            print(f"   run {number + 1} of {RUNS}: {name}", file=sys.stderr, flush=True)
            for case, rate in rates(make, cases).items():
                best[name][case] = max(best[name][case], rate)
    return best


def table(title, columns, rows):
    print(f"\n{title}")
    widths = [max(len(str(row[index])) for row in [columns, *rows]) for index in range(len(columns))]
    for row in [columns, *rows]:
        print("  " + "  ".join(str(cell).ljust(width) if index == 0 else str(cell).rjust(width)
                               for index, (cell, width) in enumerate(zip(row, widths))), flush=True)


def forwarding():
    """Forwarding through switch and gateway, inspection off, beside OVS-DPDK and testpmd"""
    cases = {f"{size}, 1 address": {"size": size} for size in SIZES}
    cases["64, 1,000 addresses"] = {"macs": 500}
    cases["64, 1,000 addresses, 50,000 flows"] = {"macs": 500, "flows": 50000}
    best = compare({"bulkhead": functools.partial(Bulkhead, guard=NO_GUARD), "default": Bulkhead,
                    "OVS-DPDK": OpenVSwitch, "testpmd": Testpmd}, cases)
    ours, peer, limit = best["bulkhead"], best["OVS-DPDK"], best["testpmd"]
    table("Mpps, one core, both directions",
          ("case", "bulkhead", "with guard", "OVS-DPDK", "testpmd", "of OVS", "of testpmd"),
          [(case, f"{ours[case]:.2f}", f"{best['default'][case]:.2f}", f"{peer[case]:.2f}", f"{limit[case]:.2f}",
            f"{ours[case] / peer[case]:.2f}", f"{ours[case] / limit[case]:.2f}") for case in cases])


def inspection():
    """Forwarding with the builtin engine inspecting: 0, 100 and 3,000 rules"""
    cases = {size: {"size": size, "macs": 50, "flows": 1000} for size in SIZES}
    forwarders = {"off": Bulkhead}
    with tempfile.TemporaryDirectory(prefix="bulkhead-rules-") as folder:
        os.chmod(folder, 0o755)
        for count in (0, 100, 3000):
            path = pathlib.Path(folder) / f"{count}.rules"
            path.write_text(run(sys.executable, TREE / "tests/bench/generate_rules.py", count))
            path.chmod(0o644)
            chain = {"engines": ["builtin"], "rules": [str(path)]}
            forwarders[f"{count} rules"] = functools.partial(Bulkhead, inspection=chain)
        results = compare(forwarders, cases)
    table("Mpps, one core, both directions; ratio to inspection off",
          ("inspection", *(f"{size}" for size in SIZES), *(f"{size}, ratio" for size in SIZES)),
          [(name, *(f"{values[size]:.2f}" for size in SIZES),
            *(f"{values[size] / results['off'][size]:.2f}" for size in SIZES))
           for name, values in results.items()])


def suricata():
    """The hand-off to Suricata beside Suricata alone, over the same memif, with 3,000 rules"""
    if not lab_suricata.is_installed():
        raise Unavailable("Suricata is not installed: run tools/setup.sh bench on Debian 12")
    sizes = ("64", "512", "1500")
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "bench.rules").write_text(run(sys.executable, TREE / "tests/bench/generate_rules.py", 3000))
        bench = subprocess.Popen(
            [BUILD / "tests/bench/handoff-bench", "--lcores", "0@0", "-m", "512", "--in-memory", "--no-pci",
             "--file-prefix", f"handoff{os.getpid()}", "--log-level", "4", "--", folder, "bench.rules",
             str(SECONDS), *sizes], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        peer = None
        try:
            while (line := bench.stdout.readline()) and line.strip() != "READY":
                pass
            peer = subprocess.Popen(
                [lab_suricata.BINARY, "-c", folder / "suricata.yaml", "-l", folder, "--dpdk", "--runmode",
                 "workers"], stdout=open(folder / "suricata.out", "wb"), stderr=subprocess.STDOUT)
            output = bench.communicate(timeout=120 + 8 * SECONDS * len(sizes))[0]
            if bench.returncode != 0:
                raise Unavailable(f"no measurement:\n{(folder / 'suricata.out').read_text()[-2000:]}")
        finally:
            stop(bench)
            if peer:
                stop(peer)
    rows = json.loads(output.strip().splitlines()[-1])
    table("One worker each; bytes of a frame without FCS. Delay: there and back, one packet at a time",
          ("size", "alone, Mpps", "ours, Mpps", "ratio", "lost", "p50, µs", "ours", "p99, µs", "ours"),
          [(row["size"], f"{row['alone_mpps']:.3f}", f"{row['ours_mpps']:.3f}",
            f"{row['ours_mpps'] / row['alone_mpps']:.2f}", row["lost"], f"{row['alone']['p50_us']:.1f}",
            f"{row['ours']['p50_us']:.1f}", f"{row['alone']['p99_us']:.1f}", f"{row['ours']['p99_us']:.1f}")
           for row in rows])


ENGINE_RULES = (3000, 30000)
ENGINE_COPIES = (5, 105)
FLOOD_COUNTS = (100_000, 4_100_000)


def cpu_time_of(command, output):
    """Seconds of CPU that a command took, which writes to the file `output`."""
    with open(output, "wb") as file:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=file,
                                   stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Unavailable(f"{command[0]}: exit {process.returncode}\n{output.read_text()[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def run_bulkhead_engine(folder, capture, rules):
    """(seconds of CPU, {sid: alerts}) of the builtin engine."""
    output = folder / "bulkhead.out"
    seconds = cpu_time_of([BUILD / "tests/bench/engine-bench", capture, rules], output)
    return seconds, count_alerts(output.read_text().splitlines())


def run_reading(folder, capture, _):
    """The same of reading the capture and nothing else, which both do by libpcap."""
    return cpu_time_of([BUILD / "tests/bench/engine-bench", capture], folder / "reading.out"), {}


def run_suricata_engine(folder, capture, rules):
    """The same of Suricata, one worker, in line."""
    (folder / "engine.yaml").write_text(ENGINE_SURICATA.format(folder=folder))
    eve = folder / "eve.json"
    eve.unlink(missing_ok=True)
    seconds = cpu_time_of([lab_suricata.BINARY, "-r", capture, "-c", folder / "engine.yaml", "-S", rules, "-l", folder,
                           "--simulate-ips", "--runmode", "single"], folder / "suricata.out")
    return seconds, count_alerts(eve.read_text().splitlines())


ENGINE_SURICATA = """%YAML 1.1
---
default-log-dir: {folder}
outputs:
  - eve-log: {{enabled: yes, filetype: regular, filename: eve.json, types: [alert]}}
stream: {{inline: yes}}
app-layer:
  protocols:
    http: {{enabled: yes, libhtp: {{default-config: {{personality: IDS}}}}}}
    tls: {{enabled: yes}}
    dns: {{tcp: {{enabled: yes}}, udp: {{enabled: yes}}}}
"""


def count_alerts(lines):
    events = (json.loads(line) for line in lines if line.startswith("{"))
    return collections.Counter(event["alert"]["signature_id"] for event in events
                               if event.get("event_type") == "alert")


def engine_captures(folder):
    """{name: ((path, packets) of a small one, of a large one)}: the CPU time that they differ by is what
    counts, so that starting and ending are not measured."""
    packets = captures.read(captures.record(folder))
    made = {"mixed": captures.multiply, "64 B flood": lambda path, _, count: captures.flood(path, count)}
    counts = {"mixed": ENGINE_COPIES, "64 B flood": FLOOD_COUNTS}
    result = {}
    for name, make in made.items():
        paths = [folder / f"{name.split()[0]}-{count}.pcap" for count in counts[name]]
        result[name] = [(path, make(path, packets, count)) for path, count in zip(paths, counts[name])]
    return result


def engines():
    """The builtin engine beside Suricata: the same captures, the same rules, one worker each"""
    if not lab_suricata.is_installed():
        raise Unavailable("Suricata is not installed: run tools/setup.sh bench on Debian 12")
    runners = {"bulkhead": run_bulkhead_engine, "Suricata": run_suricata_engine, "reading": run_reading}
    rows = []
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as name:
        folder = pathlib.Path(name)
        captured = engine_captures(folder)
        for count in ENGINE_RULES:
            rules = folder / f"{count}.rules"
            rules.write_text(run(sys.executable, TREE / "tests/bench/generate_rules.py", count) + COMMON_RULES)
            for kind, (small, large) in captured.items():
                seconds, alerts = {engine: [math.inf, math.inf] for engine in runners}, {}
                for _ in range(RUNS):
                    for engine, runner in runners.items():
                        print(f"   {kind}, {count} rules: {engine}", file=sys.stderr, flush=True)
                        for size, (path, _) in enumerate((small, large)):
                            taken, alerts[engine] = runner(folder, path, rules)
                            seconds[engine][size] = min(seconds[engine][size], taken)
                spent = {engine: most - least for engine, (least, most) in seconds.items()}
                rates = {engine: (large[1] - small[1]) / value / 1e6 for engine, value in spent.items()}
                without = (spent["Suricata"] - spent["reading"]) / (spent["bulkhead"] - spent["reading"])
                same = alerts["bulkhead"] == alerts["Suricata"]
                rows.append((kind, f"{count:,}", f"{rates['bulkhead']:.3f}", f"{rates['Suricata']:.3f}",
                             f"{rates['reading']:.3f}", f"{rates['bulkhead'] / rates['Suricata']:.2f}",
                             f"{without:.2f}", sum(alerts["bulkhead"].values()),
                             sum(alerts["Suricata"].values()), "yes" if same else "no"))
    table("Million packets per second of CPU, reading the capture included; alerts of the whole capture",
          ("traffic", "rules", "bulkhead", "Suricata", "reading alone", "ratio", "without reading", "alerts",
           "Suricata's", "same"), rows)


# What the recorded run does now and then, so that there are alerts to be the same.
COMMON_RULES = """
alert http any any -> any any (msg:"page"; http.method; content:"GET"; http.uri; content:"/7.html"; sid:1;)
alert http any any -> any any (msg:"body"; flow:to_server; http.request_body; content:"winter"; sid:2;)
alert dns any any -> any any (msg:"name"; dns.query; content:"wizard"; sid:3;)
alert udp any any -> any 8007 (msg:"flood"; content:"zone"; threshold:type limit,track by_src,count 1,seconds 3600; sid:4;)
"""


def latency():
    """Delay of one packet at a time, 64 B, through the daemon: inspection off, and on with 3,000 rules"""
    with tempfile.TemporaryDirectory(prefix="bulkhead-rules-") as name:
        rules = pathlib.Path(name) / "3000.rules"
        os.chmod(name, 0o755)
        rules.write_text(run(sys.executable, TREE / "tests/bench/generate_rules.py", 3000))
        rules.chmod(0o644)
        chain = {"engines": ["builtin"], "rules": [str(rules)]}
        forwarders = {"testpmd": Testpmd, "OVS-DPDK": OpenVSwitch, "bulkhead, off": Bulkhead,
                      "bulkhead, 3,000 rules": functools.partial(Bulkhead, inspection=chain)}
        rows = []
        for title, make in forwarders.items():
            row = with_forwarder(make, lambda sockets: measure(sockets, latency=LATENCY_SAMPLES))
            rows.append((title, f"{row['p50_us']:.2f}", f"{row['p99_us']:.2f}", f"{row['p999_us']:.2f}"))
    table("µs from a partition to the uplink's other end", ("forwarder", "p50", "p99", "p99.9"), rows)


def addresses():
    """The forwarding table with 2 to 100,000 addresses"""
    cases = {f"{2 * count:,}": {"macs": count} for count in (1, 500, 5000, 50000)}
    ours = compare({"bulkhead": Bulkhead}, cases)["bulkhead"]
    first = ours["2"]
    table("Mpps at 64 bytes", ("addresses", "bulkhead", "of the first"),
          [(case, f"{value:.2f}", f"{value / first:.2f}") for case, value in ours.items()])


def many_ports():
    """Forwarding between two guests beside many more ports, and what those cost while nobody sends"""
    rows = []
    for title, count, device in (("2 ports", 0, None), ("1,000 TAPs beside", 1000, "tap:bench{}"),
                                 ("400 guests' sockets beside", 400, "vhost-user:{folder}/idle{}.sock")):
        rates_of, shares = [], []
        for number in range(RUNS):
            print(f"   run {number + 1} of {RUNS}: {title}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
                os.chmod(folder, 0o755)
                forwarder = Bulkhead(pathlib.Path(folder))
                forwarder.daemon.config["partitions"].update({
                    f"idle{index}": {"adapters": {"eth0": {
                        "attach": device.format(index, folder=forwarder.sockets[0].parent), "vlan": 10}}}
                    for index in range(count)})
                forwarder.daemon.write_config()
                try:
                    forwarder.start()
                    rates_of.append(measure(forwarder.sockets)["mpps"])
                    shares.append(idle_share(forwarder)["packet"])
                finally:
                    forwarder.close()
        rows.append((title, f"{max(rates_of):.2f}", f"{min(shares):.2f}"))
    table("Mpps at 64 bytes; % of a core that the packet role uses when idle", ("ports", "Mpps", "idle"), rows)


def idle_share(forwarder, seconds=10):
    """{role: % of a core} over a while without packets."""
    roles = forwarder.daemon.cli("status")["roles"]
    before = {role["name"]: cpu_seconds(role["pid"]) for role in roles}
    time.sleep(seconds)
    return {role["name"]: (cpu_seconds(role["pid"]) - before[role["name"]]) * 100 / seconds for role in roles}


def footprint():
    """Start time, memory and idle CPU"""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        os.chmod(folder, 0o755)
        forwarder = Bulkhead(pathlib.Path(folder), hugepages_on=False)
        try:
            begin = time.monotonic()
            forwarder.start()
            started = time.monotonic() - begin
            shares = idle_share(forwarder)
            rows = [(role["name"], f"{resident_mb(role['pid']):.0f}", f"{shares[role['name']]:.2f}")
                    for role in forwarder.daemon.cli("status")["roles"]]
        finally:
            forwarder.close()
    table(f"Started in {started:.2f} s; idle for 10 s", ("role", "resident MB", "% of a core"), rows)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def esp():
    """ESP of one worker, AES-128-GCM in IPv4 tunnels, beside DPDK's ipsec-secgw and the crypto driver alone"""
    table("A second of CPU time; sizes are of the inner packet", esp_rates.COLUMNS, list(esp_rates.measure(STORE)))


def distributor():
    """ESP in, connection table, GRE out, and back; its connections; beside ipsec-secgw and strongSwan's libipsec"""
    table("A second of CPU time; sizes are of the inner packet, AES-128-GCM in IPv4 tunnels, all nodes of one worker",
          distribution.COLUMNS, list(distribution.paths(STORE)))
    table(f"{distribution.CONNECTIONS:,} connections", ("", "measured"), list(distribution.connections()))
    table("Gbit/s of a second of the gateway's CPU time, 1,400 bytes", ("gateway", "Gbit/s", "ours is so many times it"),
          list(distribution.beside_libipsec()))


def channels():
    """Messages between two processes (C5): channels, Unix sockets, POSIX queues, ZeroMQ, bare shared memory;
    between hosts beside a bare TLS stream, and between a guest and its host beside plain vsock"""
    bench_channels.run(table, SECONDS, RUNS)


BENCHMARKS = (forwarding, inspection, engines, suricata, latency, addresses, many_ports, footprint, esp, distributor,
              channels)


def main():
    pattern = os.environ.get("ONLY", "*")
    chosen = [benchmark for benchmark in BENCHMARKS if fnmatch.fnmatch(benchmark.__name__, f"*{pattern}*")]
    if not chosen:
        names = ", ".join(benchmark.__name__ for benchmark in BENCHMARKS)
        print(f"bench: no benchmark matches ONLY={pattern}; there are: {names}", file=sys.stderr)
        return 2
    # What a benchmark has made it also removes when it is ended from outside.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with hugepages():
        for benchmark in chosen:
            print(f"\n== {benchmark.__name__}: {benchmark.__doc__}", flush=True)
            benchmark()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unavailable as reason:
        print(f"bench: {reason}", file=sys.stderr)
        sys.exit(1)
