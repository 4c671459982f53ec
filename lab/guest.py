# SPDX-License-Identifier: BSD-3-Clause
"""QEMU guests: Debian's stock cloud kernel under TCG, with a busybox user space, on vhost-user-net.

The kernel package is unpacked (not installed) by `tools/setup.sh test` into out/guest/kernel. A guest has
a shell on its serial port: Guest.run() types a command there and returns what it printed.
"""

import hashlib
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import time

from lab.netns import CommandFailed, run, stop, wait_until

TREE = pathlib.Path(__file__).resolve().parent.parent
STORE = pathlib.Path(os.environ.get("BULKHEAD_GUEST", TREE / "out/guest"))
# IPsec's, too, with what its algorithms and their random numbers are made of: nothing is loaded on demand.
MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "vmw_vsock_virtio_transport", "tun", "ip_gre", "esp4", "esp6", "xfrm_user", "gcm",
           "ghash-generic", "ctr", "seqiv", "echainiv", "authencesn", "drbg", "sha512_generic", "jitterentropy_rng")
PROGRAMS = ("ethtool", "iperf3", "ip")
MEMORY_MB = 192
BOOT_TIMEOUT = 90  # seconds; 3 on an idle machine

# The init of the guest: modules, addresses from the command line, and a shell loop on the serial port.
# A plain read loop, since line editing of a shell echoes and re-draws. With a disk (machine.py) it only
# leads to the system there.
INIT = """#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
if [ -b /dev/vda ]; then
    mount -t ext4 /dev/vda /root && mount --move /dev /root/dev && umount /sys /proc &&
        exec switch_root /root /sbin/init
fi
ip link set lo up
stty -F /dev/ttyS0 -echo -onlcr
echo GUEST-READY > /dev/ttyS0
exec setsid sh -c 'exec < /dev/ttyS0 > /dev/ttyS0 2>&1; while read -r line; do eval "$line"; done'
"""


class GuestUnavailable(Exception):
    """This machine lacks what a guest needs; the message says what and how to get it."""


def kernel():
    """(kernel image, root of its modules, release) of the unpacked package."""
    root = STORE / "kernel"
    images = sorted(root.glob("boot/vmlinuz-*"))
    if not images:
        raise GuestUnavailable(f"no guest kernel below {root}: run tools/setup.sh test")
    return images[-1], root, images[-1].name.removeprefix("vmlinuz-")


def _copy_program(root, name):
    path = shutil.which(name)
    if not path:
        raise GuestUnavailable(f"{name} is not installed: run tools/setup.sh test")
    name = pathlib.Path(path).name
    shutil.copy(path, root / "bin" / name)
    # Of one that is static it only says so.
    for word in run("sh", "-c", f"ldd {path} || true").split():
        if word.startswith("/"):
            target = root / word.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, target)


def initramfs():
    """Builds the guest's user space once; returns the archive."""
    image, modules_root, release = kernel()
    content = hashlib.sha256(repr((MODULES, PROGRAMS, INIT)).encode()).hexdigest()[:12]
    archive = STORE / f"initramfs-{release}-{content}.cpio"
    if archive.exists():
        return archive
    root = STORE / f"root-{os.getpid()}"
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "sbin", "proc", "sys", "dev", "tmp", "modules", "etc", "root"):
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in run("/bin/busybox", "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    for program in PROGRAMS:
        (root / "bin" / program).unlink(missing_ok=True)
        _copy_program(root, program)
    if not (modules_root / "lib/modules" / release / "modules.dep").exists():
        run("depmod", "-b", modules_root, release)
    order = []
    for module in MODULES:
        for line in run("modprobe", "-d", modules_root, "-S", release, "--show-depends",
                        module).splitlines():
            words = line.split()
            if words[0] == "insmod" and pathlib.Path(words[1]).name not in order:
                order.append(pathlib.Path(words[1]).name)
                shutil.copy(words[1], root / "modules")
    (root / "modules/order").write_text("\n".join(order) + "\n")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    partial = archive.with_suffix(f".{os.getpid()}")
    _pack(root, partial)
    partial.rename(archive)
    shutil.rmtree(root)
    return archive


def _pack(root, archive):
    run("sh", "-c", f"cd '{root}' && find . | cpio -o -H newc -R 0:0 --quiet > '{archive}'")


def initramfs_with(folder, programs):
    """A guest's user space in folder that has these programs (paths), with their libraries, too."""
    root = pathlib.Path(folder) / "guest-programs"
    archive = pathlib.Path(folder) / "initramfs.cpio"
    (root / "bin").mkdir(parents=True)
    for program in programs:
        _copy_program(root, program)
    _pack(root, archive.with_suffix(".more"))
    # The kernel unpacks one after the other.
    run("sh", "-c", f"cat '{initramfs()}' '{archive.with_suffix('.more')}' > '{archive}'")
    return archive


def qemu():
    if platform.machine() != "x86_64":
        raise GuestUnavailable("guests are set up for amd64 hosts only")
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        raise GuestUnavailable("qemu-system-x86_64 is not installed: run tools/setup.sh test")
    return qemu


class Guest:
    """One running guest with a vhost-user NIC per socket in `nics`: [(socket path, MAC)]. queues: pairs
    of each NIC; the guest has as many processors, so that its kernel uses them all."""

    boot_timeout = BOOT_TIMEOUT

    def __init__(self, folder, name, nics=(), server=False, queues=1, vsock=None, archive=None, vsock_mode=""):
        self.name = name
        self.vsock = vsock  # socket of a vhost-user-vsock device
        self.vsock_mode = vsock_mode  # ",server=on…": QEMU listens there
        self.archive = archive  # initramfs_with(); None: initramfs()
        self.queues = queues
        self.console_path = pathlib.Path(folder) / f"{name}.serial"
        self.log_path = pathlib.Path(folder) / f"{name}.qemu.log"
        self.nics = nics
        self.server = server  # whether QEMU listens and the daemon connects
        self.process = None
        self.console = None
        self.buffer = b""

    def _command(self):
        """What starts its QEMU."""
        image, _, _ = kernel()
        command = [qemu(), "-accel", "tcg", "-cpu", "max", "-m", str(MEMORY_MB), "-smp", str(self.queues),
                   "-nodefaults", "-display", "none", "-no-reboot",
                   "-object", f"memory-backend-memfd,id=mem,size={MEMORY_MB}M,share=on",
                   "-numa", "node,memdev=mem",
                   "-kernel", image, "-initrd", self.archive or initramfs(),
                   "-append", "console=ttyS0 quiet panic=-1",
                   "-chardev", f"socket,id=serial,path={self.console_path},server=on,wait=off",
                   "-serial", "chardev:serial"]
        for index, (path, mac) in enumerate(self.nics):
            mode = "server=on,wait=off" if self.server else "reconnect=1"
            command += ["-chardev", f"socket,id=c{index},path={path},{mode}",
                        "-netdev", f"vhost-user,id=n{index},chardev=c{index},queues={self.queues}",
                        # vectors=0: QEMU 7.2 crashes with MSI-X and vhost-user-net under TCG
                        "-device", f"virtio-net-pci,netdev=n{index},mac={mac},mrg_rxbuf=on,vectors=0"
                                   + (",mq=on" if self.queues > 1 else "")]
        if self.vsock:
            command += ["-chardev", f"socket,id=vsock,path={self.vsock}{self.vsock_mode}",
                        "-device", "vhost-user-vsock-pci,chardev=vsock"]
        return command

    def start(self):
        command = self._command()
        with open(self.log_path, "wb") as log:
            # umask: the daemon, another user, may connect to what QEMU listens on.
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, umask=0)
        wait_until(self._connect, 10, what=f"the console of {self.name}")
        self._read_until(b"GUEST-READY\n", self.boot_timeout)
        return self

    def _connect(self):
        if self.process.poll() is not None:
            raise CommandFailed(f"QEMU ended: {self.log_path.read_text(errors='replace')}")
        handle = socket.socket(socket.AF_UNIX)
        try:
            handle.connect(str(self.console_path))
        except OSError:
            handle.close()
            return False
        self.console = handle
        return True

    def _read_until(self, mark, timeout):
        deadline = time.monotonic() + timeout
        while mark not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.name}: no {mark!r} within {timeout} s; the console said:\n"
                                   f"{self.buffer[-2000:].decode(errors='replace')}")
            self.console.settimeout(left)
            try:
                data = self.console.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise CommandFailed(f"{self.name}: the console closed")
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def run(self, command, timeout=30, check=True):
        """Types a shell command (one line); returns its output. CommandFailed when it did not exit 0."""
        self.console.sendall(f"{{ {command} ; }} 2>&1; code=$?; echo; echo END-OF-COMMAND $code\n".encode())
        output = self._read_until(b"\nEND-OF-COMMAND ", timeout).decode(errors="replace")
        code = int(self._read_until(b"\n", timeout))
        if check and code != 0:
            raise CommandFailed(f"{self.name}: {command}: exit {code}\n{output}")
        return output.strip()

    def address(self, address, interface="eth0"):
        self.run(f"ip address add {address} dev {interface} && ip link set {interface} up")

    def can_ping(self, address, timeout=20):
        def answers():
            return "END-OK" in self.run(f"ping -c 1 -W 1 {address} >/dev/null && echo END-OK",
                                        check=False)
        try:
            return wait_until(answers, timeout, what=f"an echo of {address}")
        except TimeoutError:
            return False

    def stop(self):
        if self.console:
            self.console.close()
        if self.process:
            stop(self.process)
