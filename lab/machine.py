# SPDX-License-Identifier: BSD-3-Clause
"""A whole machine: this system's release with systemd, under the guests' kernel, for what only shows there.

    base()      debootstrap's minimal system with some packages, kept in out/guest: the network is needed once
    Machine     a QEMU guest that boots a copy of it, with files put in; a root shell on the serial port
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

from lab.guest import Guest, GuestUnavailable, STORE, initramfs, kernel, qemu
from lab.netns import CommandFailed, run

BASE_PACKAGES = ("systemd", "systemd-sysv", "kmod", "iproute2")
DISK_SIZE = "1G"
MEMORY_MB = 1024
DEBOOTSTRAP_TIMEOUT = 900

# The same loop as in guests without a disk, as a unit of the system's.
CONSOLE_UNIT = """[Unit]
Description=Root shell of the lab
After=multi-user.target

[Service]
ExecStart=/bin/bash /root/console
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
# What is started from it is its own.
KillMode=process
"""
CONSOLE_SCRIPT = """stty -echo -onlcr
echo GUEST-READY
while read -r line; do eval "$line"; done
"""


def _release():
    """(codename, mirror) of the running system; GuestUnavailable where it has none that we know."""
    words = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines()
                 if "=" in line)
    codename = words.get("VERSION_CODENAME", "").strip('"')
    origin = {"debian": "Debian", "ubuntu": "Ubuntu"}.get(words.get("ID", "").strip('"'))
    try:
        targets = run("apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)",
                      "Created-By: Packages")
    except (CommandFailed, FileNotFoundError) as reason:
        raise GuestUnavailable(f"the system's packages are not apt's: {reason}") from None
    for line in targets.splitlines():
        if line.startswith(f"{origin} {codename} "):
            return codename, line.split()[2]
    raise GuestUnavailable(f"no package source of {origin} {codename} is set up")


def base(packages):
    """The folder of a minimal system with BASE_PACKAGES and `packages` (names)."""
    if not shutil.which("debootstrap"):
        raise GuestUnavailable("debootstrap is not installed: run tools/setup.sh test")
    codename, mirror = _release()
    names = sorted({*BASE_PACKAGES, *packages})
    key = hashlib.sha256(" ".join((codename, *names)).encode()).hexdigest()[:12]
    folder = STORE / f"system-{codename}-{key}"
    if folder.exists():
        return folder
    partial = folder.with_suffix(f".{os.getpid()}")
    try:
        run("debootstrap", "--variant=minbase", f"--include={','.join(names)}", codename, partial, mirror,
            timeout=DEBOOTSTRAP_TIMEOUT)
    except (CommandFailed, subprocess.TimeoutExpired) as reason:
        shutil.rmtree(partial, ignore_errors=True)
        raise GuestUnavailable(f"no system could be made: {str(reason)[-500:]}") from None
    for archive in (partial / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    partial.rename(folder)
    return folder


class Machine(Guest):
    """One machine on a disk of its own below `folder`. files: {path in the machine: bytes}."""

    boot_timeout = 240  # seconds; 25 on an idle machine

    def __init__(self, folder, name, system, files):
        super().__init__(folder, name, [])
        self.disk = pathlib.Path(folder) / f"{name}.ext4"
        self.kernel_log = pathlib.Path(folder) / f"{name}.kernel.log"
        self._make_disk(system, {
            "etc/systemd/system/lab-console.service": CONSOLE_UNIT.encode(),
            "root/console": CONSOLE_SCRIPT.encode(), "etc/hostname": name.encode() + b"\n", **files})

    def _make_disk(self, system, files):
        root = STORE / f"machine-{os.getpid()}"
        try:
            # Links suffice: what is written is written to the image.
            run("cp", "-al", system, root)
            for path, data in files.items():
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                target.write_bytes(data)
            wants = root / "etc/systemd/system/multi-user.target.wants"
            wants.mkdir(parents=True, exist_ok=True)
            (wants / "lab-console.service").symlink_to("../lab-console.service")
            run("mke2fs", "-q", "-t", "ext4", "-d", root, self.disk, DISK_SIZE, timeout=120)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _command(self):
        image, _, _ = kernel()
        return [qemu(), "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(MEMORY_MB), "-smp", "2",
                "-nodefaults", "-display", "none", "-no-reboot",
                "-kernel", image, "-initrd", initramfs(),
                "-append", "console=ttyS1 panic=-1 systemd.getty_auto=no systemd.show_status=no",
                "-drive", f"file={self.disk},if=virtio,format=raw,cache=unsafe",
                "-chardev", f"socket,id=serial,path={self.console_path},server=on,wait=off",
                "-serial", "chardev:serial", "-serial", f"file:{self.kernel_log}"]
