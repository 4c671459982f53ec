# SPDX-License-Identifier: BSD-3-Clause
"""Real programs on the other side: nginx, iperf3, ping, curl."""

import contextlib
import json
import signal
import subprocess

from lab.netns import run, wait_until

NGINX = """
daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    default_type application/octet-stream;
    server {{ listen {port}; {listen} root {root}; }}
    {tls}
}}
"""


def is_listening(namespace, port):
    """Whether somebody listens on the TCP port in the namespace."""
    return f":{port} " in namespace.run("ss", "-Hltn", f"sport = :{port}")


TLS = """server {{ listen 443 ssl; listen [::]:443 ssl ipv6only=on; root {root};
        ssl_certificate {certificate}; ssl_certificate_key {key}; }}"""


def certificate(lab, addresses):
    """A certificate for the addresses, signed by itself, and its key: (path, path)."""
    paths = lab.folder / "server.crt", lab.folder / "server.key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=server", "-addext", "subjectAltName=" + ",".join(f"IP:{address}" for address in addresses),
        "-out", paths[0], "-keyout", paths[1])
    return paths


def nginx(lab, name, pages, port=80, ipv6=False, tls=None):
    """A web server on the host `name`; pages is {path: bytes}. tls: certificate() and key, for port 443, too.
    Returns its access log's path."""
    folder = lab.folder / f"nginx-{name}"
    root = folder / "pages"
    root.mkdir(parents=True)
    folder.chmod(0o755)
    for path, content in pages.items():
        (root / path).write_bytes(content)
    listen = f"listen [::]:{port} ipv6only=on;" if ipv6 else ""
    (folder / "nginx.conf").write_text(NGINX.format(
        folder=folder, root=root, port=port, listen=listen,
        tls=TLS.format(root=root, certificate=tls[0], key=tls[1]) if tls else ""))
    lab[name].start("nginx", "-c", folder / "nginx.conf", "-e", folder / "error.log",
                    stderr=open(folder / "stderr.log", "wb"))
    wait_until(lambda: is_listening(lab[name], port), what=f"nginx on {name}")
    return folder / "access.log"


def curl(namespace, url, *options, timeout=10):
    """Fetches url; returns (exit code, body as bytes)."""
    done = subprocess.run(["ip", "netns", "exec", namespace.name, "curl", "-sS", "--noproxy", "*",
                           "--max-time", str(timeout), *options, url],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout + 5)
    return done.returncode, done.stdout


def ping(namespace, address, count=1, size=56, timeout=2, options=()):
    """Whether `count` echoes came back."""
    done = namespace.run("ping", "-n", "-c", count, "-i", "0.2", "-s", size, "-W", timeout,
                         *options, address, check=False)
    return done.returncode == 0


def counters(namespace, *names):
    """Of the namespace's kernel (nstat)."""
    lines = namespace.run("nstat", "-asz", *names).splitlines()
    found = {fields[0]: int(fields[1]) for line in lines if len(fields := line.split()) >= 2
             and fields[0] in names}
    return [found[name] for name in names]


class PingFlood:
    """Echo requests under what a test does meanwhile. The host's kernel counts what comes back: on a busy machine
    ping itself ends without its last answers."""

    def __init__(self, namespace, address, count=600, interval=0.005):
        self.namespace, self.before = namespace, self._echoes(namespace)
        self.process = namespace.start("ping", "-n", "-q", "-i", interval, "-c", count, address,
                                       stdout=subprocess.DEVNULL)

    @staticmethod
    def _echoes(namespace):
        return counters(namespace, "IcmpOutEchos", "IcmpInEchoReps")

    def _missing(self):
        (sent_before, got_before), (sent, got) = self.before, self._echoes(self.namespace)
        return sent - sent_before - (got - got_before)

    def lost(self, is_over=False):
        """Waits for its end, or ends it where what it was for is over; how many were not answered."""
        if is_over:
            self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) in (0, 1)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: self._missing() == 0, 2)
        return self._missing()


def can_ping(namespace, address, timeout=10):
    """Waits until the address answers; False when it does not within the bound."""
    try:
        return wait_until(lambda: ping(namespace, address), timeout)
    except TimeoutError:
        return False


def iperf3(lab, server, client, address, seconds=3, options=()):
    """Bulk TCP from client to server; returns iperf3's report."""
    process = lab[server].start("iperf3", "-s", "-1", "-p", 5201, stdout=-3, stderr=-3)
    wait_until(lambda: is_listening(lab[server], 5201), what="the iperf3 server")
    report = json.loads(lab[client].run("iperf3", "-J", "-c", address, "-p", 5201, "-t", seconds,
                                        *options, timeout=seconds + 20))
    process.wait(10)
    return report
