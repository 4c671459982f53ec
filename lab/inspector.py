# SPDX-License-Identifier: BSD-3-Clause
"""An inspector outside of the daemon: dpdk-testpmd, which returns all that it gets from the memif."""

import os
import signal
import subprocess


class Inspector:
    """The program at the other end of `inspection.external.socket`; a real process that can be killed."""

    def __init__(self, folder, socket_path, workers=1):
        """workers: those of the daemon; each has a memif of its own."""
        self.workers = workers
        self.folder = folder
        self.socket_path = socket_path
        self.process = None
        self.count = 0

    def start(self):
        """Connects; io mode with each port in a loop gives back every frame as it is."""
        self.count += 1
        log = open(self.folder / "inspector.log", "ab")
        self.process = subprocess.Popen(
            ["dpdk-testpmd", "--no-huge", "-m", "96", "--no-pci", "--no-telemetry",
             "--file-prefix", f"inspector-{os.getpid()}-{self.count}-{self.folder.name}",
             *(f"--vdev=net_memif{index},role=client,id={index},socket={self.socket_path},"
               "socket-abstract=no,rsize=10" for index in range(self.workers)),
             "--", "--port-topology=loop", "--forward-mode=io", "--total-num-mbufs=8192", "--auto-start",
             "--stats-period=60"],
            # What EAL leaves behind goes with the lab's folder.
            env={**os.environ, "RUNTIME_DIRECTORY": str(self.folder)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        return self

    def log(self):
        return (self.folder / "inspector.log").read_text(errors="replace")

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """SIGKILL, as a crash or the kernel's memory killer would."""
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.kill()
        if self.process:
            self.process.wait(10)
