# SPDX-License-Identifier: BSD-3-Clause
"""A second host beside the lab's own, which inspects for it.

    hv1: bulkheadd ──xcf0══xcf1── ips: bulkheadd   (role appliance; Geneve both ways)
    198.51.100.1                  198.51.100.2

The addresses are the daemons' own: the kernels on both sides know nothing of them.
"""

import os
import pwd

from lab.daemon import Daemon
from lab.netns import veth

CLIENT, APPLIANCE = "198.51.100.1", "198.51.100.2"
CLIENT6, APPLIANCE6 = "2001:db8:51::1", "2001:db8:51::2"
KEY = "1 000102030405060708090a0b0c0d0e0f\n"
LINK_MTU = 1700  # frames of 1,514 bytes and what is put in front of them


def key_file(path, text=KEY):
    """A file of keys that the roles' user can read, and others cannot."""
    try:
        user = pwd.getpwnam("bulkhead")
    except KeyError:
        user = pwd.getpwnam("nobody")
    path.write_text(text)
    path.chmod(0o640)
    os.chown(path, 0, user.pw_gid)
    return path


def host(namespace, folder, config):
    """A further daemon, with a folder of its own."""
    folder.mkdir()
    folder.chmod(0o755)
    return Daemon(namespace, folder, config)


def connect(lab, mtu=LINK_MTU, **options):
    """Puts the namespace `ips` beside hv1, gives hv1 the engine appliance; returns the configuration of the
    appliance's daemon."""
    family6 = options.pop("ipv6", False)
    local, remote = (CLIENT6, APPLIANCE6) if family6 else (CLIENT, APPLIANCE)
    ips = lab.namespace("ips")
    veth(lab.hv1, "xcf0", ips, "xcf1", mtu)
    lab.config["adapters"]["xcf0"] = {"device": "netdev:xcf0", "kind": "xcf", "mtu": mtu}
    keys = lab.folder / "keys"
    keys.mkdir()
    lab.config["inspection"] = {
        "engines": ["appliance"], "appliance": {
            "link": "xcf0", "local": local, "remote": remote, "key-file": str(key_file(keys / "hv1")),
            "health-interval": "250ms", **options}}
    return {
        "host": "ips",
        "adapters": {"xcf1": {"device": "netdev:xcf1", "kind": "xcf", "mtu": mtu}},
        "appliance": {"link": "xcf1", "local": remote, "clients": [local],
                      "key-file": str(key_file(keys / "ips"))},
        "inspection": {"engines": ["builtin"]},
    }
