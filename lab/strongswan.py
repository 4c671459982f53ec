# SPDX-License-Identifier: BSD-3-Clause
"""strongSwan in the lab: unmodified charons side by side, one a namespace, each with all its files below one folder.

A charon with plugin=True hands its SAs to the daemon of its namespace (plugins/strongswan), one without does ESP
itself (kernel-libipsec: in user space, tunnel mode, in UDP; its own packets carry a mark, since they go to the address
that the tunnel leads to).
"""

import functools
import os
import pathlib
import re
import shutil
import signal

from lab.daemon import BUILD, TREE
from lab.netns import CommandFailed, run, stop, wait_until

CHARON = "/usr/sbin/charon-systemd"
PLUGINS = pathlib.Path("/usr/lib/ipsec/plugins")
LIBIPSEC = PLUGINS / "libstrongswan-kernel-libipsec.so"
START_TIMEOUT = 20
LOAD = ("random nonce aesni aes sha1 sha2 hmac kdf gcm openssl pem pkcs1 pkcs8 x509 pubkey constraints "
        "{ipsec} kernel-netlink socket-default vici")
CONF = """
charon-systemd {{
    load = {load}
    install_routes = no
    {options}
    journal {{ default = -1 }}
    filelog {{ main {{ path = {folder}/charon.log
        time_format = %T
        default = 1
        flush_line = yes }} }}
    plugins {{
        vici {{ socket = unix://{folder}/vici }}
        kernel-netlink {{ roam_events = {roams}
            {mark} }}
        socket-default {{ {own_mark} }}
        kernel-libipsec {{ allow_peer_ts = yes }}
        bulkhead {{ socket = {kmp_socket}
            secret_file = {secret} }}
    }}
}}
"""


@functools.cache
def missing():
    """What is not there that charons need, and why; empty: nothing."""
    needed = (CHARON, str(LIBIPSEC), shutil.which("swanctl") or "/usr/sbin/swanctl")
    found = [path for path in needed if not os.path.exists(path)]
    if not found:
        try:
            build_plugin()
        except CommandFailed as reason:  # where the distribution's source cannot be fetched
            found.append(f"the plugin: {str(reason).strip().splitlines()[-1]}")
    return found


def build_plugin():
    """The plugin, as `make plugin` builds it; returns its path."""
    run(TREE / "plugins/strongswan/build.sh", BUILD, timeout=300)
    return BUILD / "plugin/libstrongswan-bulkhead.so"


def make_certificates(folder, *names):
    """An authority (ca.pem), and certificates of hosts with their keys, NAME.pem and NAME.key."""
    def openssl(*arguments):
        run("openssl", *arguments, cwd=folder)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    for name in names:
        (folder / f"{name}.cnf").write_text(f"subjectAltName=DNS:{name}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.cnf")


def with_certificates(conf, name):
    """The connections of the host `name`, which authenticate by its certificate instead of a secret."""
    return (conf.split("secrets {")[0].replace("auth = psk", "auth = pubkey")
            .replace(f"id = {name}", f"id = {name}\n certs = {name}.pem", 1))


class Charon:
    """charon-systemd in a namespace. plugin: whether it hands its SAs over, by the plugin that was built, or by which."""

    def __init__(self, namespace, folder, connections, plugin=False, kmp_socket="", secret="", roams=False,
                 options=""):
        self.namespace = namespace
        self.folder = pathlib.Path(folder)
        self.plugins = None
        self.process = None
        self.log_path = self.folder / "charon.log"
        self.folder.mkdir(parents=True)
        for part in ("x509", "x509ca", "private"):
            (self.folder / part).mkdir()
        ipsec = "bulkhead" if plugin else "kernel-libipsec"
        (self.folder / "strongswan.conf").write_text(CONF.format(
            folder=self.folder, load=LOAD.format(ipsec=ipsec), kmp_socket=kmp_socket, secret=secret,
            options=options, roams="yes" if roams else "no", mark="" if plugin else "fwmark = !0x42",
            own_mark="" if plugin else "fwmark = 0x42"))
        (self.folder / "swanctl.conf").write_text(connections)
        if plugin:
            # In place of the installed folder, in this charon's view alone.
            self.plugins = self.folder / "plugins"
            shutil.copytree(PLUGINS, self.plugins)
            shutil.copy(build_plugin() if plugin is True else plugin, self.plugins)

    def install(self, certificates, name):
        """Gives it the certificate of make_certificates() for the host `name`; before it starts."""
        for source, target in ((f"{name}.pem", "x509"), ("ca.pem", "x509ca"), (f"{name}.key", "private")):
            shutil.copy(certificates / source, self.folder / target)

    def start(self):
        """Starts it and loads its connections."""
        (self.folder / "vici").unlink(missing_ok=True)
        command = f"exec {CHARON}"
        if self.plugins:  # `ip netns exec` has made a mount namespace of its own
            command = f"mount --bind {self.plugins} {PLUGINS} && {command}"
        self.process = self.namespace.start(
            "env", f"STRONGSWAN_CONF={self.folder}/strongswan.conf", "sh", "-c", command,
            stdout=open(self.folder / "stdout.log", "ab"), stderr=-2)
        wait_until((self.folder / "vici").exists, START_TIMEOUT, what="charon's socket")
        self.swanctl("--load-all", "--noprompt")
        return self

    def swanctl(self, command, *arguments, check=True, timeout=30):
        done = self.namespace.run(
            "env", f"SWANCTL_DIR={self.folder}", f"STRONGSWAN_CONF={self.folder}/strongswan.conf",
            "swanctl", command, "--uri", f"unix://{self.folder}/vici", *arguments, check=False, timeout=timeout)
        if check and done.returncode != 0:
            raise CommandFailed(f"swanctl {command}: exit {done.returncode}\n{done.stdout}{done.stderr}\n"
                                f"{self.log()[-4000:]}")
        return done

    def initiate(self, child, timeout=20):
        return self.swanctl("--initiate", "--child", child, "--timeout", timeout, timeout=timeout + 10)

    def children(self):
        """The CHILD_SAs that are in use, as charon has them: [(SPI in, SPI out)], as numbers."""
        return [(row["spi-in"], row["spi-out"]) for row in self.usage()]

    def usage(self):
        """As children(), with what has gone through them: [{name of vici: number}]."""
        text = self.swanctl("--list-sas", "--raw").stdout
        found = []
        for state, body in re.findall(r"state=(INSTALLED|REKEYED|REKEYING) (.*?)(?=state=|$)", text, re.DOTALL):
            row = {name: int(value, 16 if name.startswith("spi") else 10) for name, value in
                   re.findall(r"\b((?:spi|bytes|packets)-(?:in|out))=([0-9a-f]+)", body)}
            if "spi-in" in row and state != "REKEYED":
                found.append(row)
        return found

    def age(self):
        """Of its only IKE_SA, in seconds."""
        return int(re.search(r"\bestablished=(\d+)", self.swanctl("--list-sas", "--raw").stdout)[1])

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self):
        """As a crash: nothing is said to anybody."""
        self.process.send_signal(signal.SIGKILL)  # `ip netns exec` and the shell became charon
        self.process.wait()

    def stop(self):
        return stop(self.process, timeout=10) if self.process else None
