# SPDX-License-Identifier: BSD-3-Clause
"""A client that speaks ESP with keys that were agreed on beforehand, packet by packet, with scapy's own ESP.

The daemon's side is in the section `ipsec` of its configuration; both come from the same Agreement.
"""

import collections
import contextlib
import copy
import os

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.appliance import key_file

# Of the daemon's names: scapy's, and the sizes of the keys with the salt.
CIPHERS = {
    "aes-gcm-16": ("AES-GCM", 20), "aes-cbc": ("AES-CBC", 16), "aes-ctr": ("AES-CTR", 20), "null": ("NULL", 0),
    "chacha20-poly1305": ("CHACHA20-POLY1305", 36),
}
INTEGRITIES = {
    "none": ("NULL", 0), "sha1-96": ("HMAC-SHA1-96", 20), "sha2-256-128": ("SHA2-256-128", 32),
    "sha2-384-192": ("SHA2-384-192", 48), "sha2-512-256": ("SHA2-512-256", 64),
}
SPI_IN, SPI_OUT = 0x1001, 0x2001


Keys = collections.namedtuple("Keys", "cipher integrity")


class Agreement:
    """What both ends know of one pair of SAs."""

    def __init__(self, client, vipa, cipher="aes-gcm-16", integrity="none", mode="tunnel", esn=False, port=None,
                 number=0, **options):
        self.client, self.vipa, self.mode, self.esn, self.port, self.number = client, vipa, mode, esn, port, number
        self.cipher, self.integrity, self.options = cipher, integrity, options
        self.names = (f"in{number}", f"out{number}")
        self.keys = [Keys(os.urandom(CIPHERS[cipher][1]), os.urandom(INTEGRITIES[integrity][1])) for _ in self.names]

    def spi(self, is_in):
        return (SPI_IN if is_in else SPI_OUT) + self.number

    def rows(self, at_client=False):
        """Of ipsec.sas, at the one end or the other."""
        common = {"mode": self.mode, "cipher": self.cipher, "integrity": self.integrity, "esn": self.esn,
                  "request": self.number + 1, **self.options}
        ports = ({"source-port": self.port, "destination-port": 4500},
                 {"source-port": 4500, "destination-port": self.port}) if self.port else ({}, {})
        to_vipa, from_vipa = ("out", "in") if at_client else ("in", "out")
        return {self.names[0]: {"direction": to_vipa, "spi": self.spi(True), "source": self.client,
                                "destination": self.vipa, **common, **ports[0]},
                self.names[1]: {"direction": from_vipa, "spi": self.spi(False), "source": self.vipa,
                                "destination": self.client, **common, **ports[1]}}

    def policy(self, at_client=False, **changes):
        """Of ipsec.policies: all between the two ends, or what changes say."""
        own, other = (self.client, self.vipa) if at_client else (self.vipa, self.client)
        return {"action": "protect", "local": own, "remote": other, "mode": self.mode, "request": self.number + 1,
                **changes}

    def keys_of(self, is_in):
        return self.keys[0 if is_in else 1]

    def key_lines(self):
        return "".join(f"{name} {keys.cipher.hex() or '-'} {keys.integrity.hex()}".rstrip() + "\n"
                       for name, keys in zip(self.names, self.keys))


def section(path, agreements, policies=None, at_client=False, **options):
    """The section `ipsec` of one end, its keys in a file at path: SAs of all agreements, and policies (by default:
    all between their ends has to be protected)."""
    key_file(path, "".join(agreement.key_lines() for agreement in agreements))
    protect = {f"client{agreement.number}": agreement.policy(at_client=at_client) for agreement in agreements}
    return {"key-file": str(path), "policies": protect if policies is None else policies,
            "sas": {name: row for agreement in agreements for name, row in agreement.rows(at_client).items()},
            **options}


def configure(lab, agreements, **options):
    """The section of the lab's own daemon."""
    lab.config["ipsec"] = section(lab.folder / "keys" / "ipsec", agreements, **options)


def bare(packet):
    """An IP header with the same ends, for another payload."""
    if isinstance(packet, IPv6):
        return IPv6(src=packet.src, dst=packet.dst, tc=packet.tc)
    return IP(src=packet.src, dst=packet.dst, tos=packet.tos)


class EspClient:
    """The client's end on a wire; its kernel answers ARP, and nothing else."""

    def __init__(self, namespace, agreement, own_mac, vipa_mac, interface="eth0"):
        self.agreement, self.wire = agreement, namespace.wire(interface)
        self.ethernet = Ether(src=own_mac, dst=vipa_mac)
        self.outbound = self.association(True)
        self.inbound = self.association(False)

    def association(self, is_in):
        own, keys = self.agreement, self.agreement.keys_of(is_in)
        header = IPv6 if ":" in own.vipa else IP
        ends = {"src": own.client, "dst": own.vipa} if is_in else {"src": own.vipa, "dst": own.client}
        options = {"tunnel_header": header(**ends)} if own.mode == "tunnel" else {}
        if own.esn:
            options |= {"esn_en": True, "esn": 0}
        return SecurityAssociation(ESP, spi=own.spi(is_in), crypt_algo=CIPHERS[own.cipher][0],
                                   crypt_key=keys.cipher, auth_algo=INTEGRITIES[own.integrity][0],
                                   auth_key=keys.integrity, **options)

    def seal(self, packet, tail=None, **options):
        """ESP around an IP packet, as IP packet. tail: {field: value} of what is behind the payload, other than right:
        padding, padlen, nh."""
        with self._writing(tail or {}):
            sealed = self.outbound.encrypt(copy.deepcopy(packet), **options)
        if not self.agreement.port:
            return sealed
        # scapy's own UDP around ESP has a wrong length.
        esp = bytes(sealed[ESP])
        return bare(sealed) / UDP(sport=self.agreement.port, dport=4500, chksum=0) / Raw(esp)

    @contextlib.contextmanager
    def _writing(self, tail):
        right = self.outbound.crypt_algo  # all associations have it together
        own = self.outbound.crypt_algo = copy.copy(right)

        def pad(esp):
            esp = right.pad(esp)
            for field, value in tail.items():
                setattr(esp, field, value)
            return esp
        own.pad = pad
        try:
            yield
        finally:
            self.outbound.crypt_algo = right

    def send(self, packet, **options):
        sealed = self.seal(packet, **options)
        self.wire.send(self.ethernet / sealed)
        return sealed

    def send_sealed(self, sealed):
        self.wire.send(self.ethernet / sealed)

    def open(self, frame):
        """The packet inside of a frame for this client; None: it is none of its ESP."""
        packet = Ether(frame).payload
        if not isinstance(packet, (IP, IPv6)) or packet.dst != self.agreement.client:
            return None
        if self.agreement.port:
            if UDP not in packet or (packet[UDP].sport, packet[UDP].dport) != (4500, self.agreement.port):
                return None
            esp = ESP(bytes(packet[UDP].payload)[:packet[UDP].len - 8])
            packet = type(packet)(bytes(bare(packet) / esp))
        if ESP not in packet or packet[ESP].spi != self.agreement.spi(False):
            return None
        return self.inbound.decrypt(packet, verify=True)

    def expect(self, match=lambda packet: True, timeout=5.0):
        """The first packet inside of ESP for which match() is true; None: too late."""
        found = []

        def is_it(frame):
            packet = self.open(frame)
            if packet is None or not match(packet):
                return False
            found.append(packet)
            return True
        return found[0] if self.wire.expect(is_it, timeout) else None
