"""tshark reads what a service hands to other programs: its capture, its HEP, and with its keys what was on the wire."""

from __future__ import annotations

import os
import socket

from twisted.internet import reactor

from sip_p2p.observe.pcapng import capture
from tests.interop.namespace import PrivateNetwork
from tests.interop.peers import tshark
from tests.interop.peers.ours import Command, Service
from tests.interop.peers.peer import Peer
from tests.interop.peers.program import free_port, until
from tests.interop.support import TEXT, InteropTestCase
from tests.interop.test_tshark import holds
from tests.observe.test_pcapng import message

_COLLECTOR = """#!KAMAILIO
debug=2
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("sipcapture", "hep_capture_on", 1)
modparam("sipcapture", "db_url", "text://{directory}")
request_route {{
    xlog("L_NOTICE", "CAPTURED|$rm|$si|$sp|$ci|$rb|\\n");
    drop;
}}
onreply_route {{
    xlog("L_NOTICE", "CAPTURED|$rs|$si|$sp|$ci|$rb|\\n");
    drop;
}}
"""


class Collector(Peer):
    """Kamailio as a Homer server has it: it takes HEP, and tells of the messages inside."""

    packages = "kamailio kamailio-extra-modules"
    programs = ("kamailio",)
    port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self.port = free_port()
        path = os.path.join(self.directory, "kamailio.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write(_COLLECTOR.format(port=self.port, directory=self.directory))
        await self.launch("kamailio", "-f", path, "-DD", "-E", "-m", "16").find("probe_max_receive_buffer.*finally")

    async def captured(self, what: str) -> list[str]:
        """Address, port and Call-ID of the message that is *what*, and its body."""
        found = await self.program.find(rf"CAPTURED\|{what}\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|")
        return list(found.groups())


class ExportCase(InteropTestCase):
    """One service, asked by the command over mutual TLS, and tshark."""

    def identity(self, name: str) -> list[str]:
        """Who *name* is, and whom it trusts."""
        leaf = self.certificates.right(name)
        return [f"--uri=sip:user@{name}", f"--certificate={leaf.certificate}", f"--trust={self.certificates.trust}"]

    async def talk(self, *arguments: str) -> Service:
        """A service with *arguments* is sent a MESSAGE."""
        service = self.peer(Service)
        listen = "--listen=tls:port=0:interface=127.0.0.1"
        await service.start(*self.identity("localhost"), "--allow=a.example", listen, *arguments)
        command = Command(reactor, self.folder())
        asked = await command.ends("send", f"sip:user@localhost:{service.port}", TEXT, *self.identity("a.example"))
        self.assertEqual(asked.exit_code, 0, asked.report())
        return service

    async def decoded(self, path: str, fields: str, *options: str) -> list[list[str]]:
        """The *fields* of every frame of SIP in a capture file."""
        folder = self.folder()
        arguments = ["-n", "-r", path, *options, "-Y", "sip", "-T", "fields"]
        for field in fields.split():
            arguments += ["-e", field]
        program = await Peer(reactor, folder).run("tshark", arguments, {"HOME": folder}, 60.0)
        self.assertEqual(program.exit_code, 0, program.report())
        return [line.split("\t") for line in program.output.splitlines() if "\t" in line]


class ExportTests(ExportCase):
    """What a service writes and sends."""

    needs = (tshark.Capture, Collector)

    async def test_a_capture(self) -> None:
        """What passed over TLS is SIP for tshark, between the addresses of the flow, with checksums that hold and
        nothing to complain of; the comment says who the peer proved to be (row:M11)."""
        path = os.path.join(self.folder(), "out.pcapng")
        service = await self.talk(f"--pcapng={path}", "--keep-bodies=text/*")
        checks = [f"-o{name}.check_checksum:TRUE" for name in ("ip", "tcp")]
        rows = await self.decoded(
            path,
            "ip.src ip.dst tcp.srcport tcp.dstport sip.Method sip.Status-Code text frame.comment "
            "tcp.checksum.status ip.checksum.status tcp.analysis.flags",
            *checks,
        )
        (asked, answered) = rows
        self.assertEqual(
            (asked[0], asked[1], asked[3], asked[4]), ("127.0.0.1", "127.0.0.1", str(service.port), "MESSAGE")
        )
        self.assertEqual(answered[2:4] + answered[5:6], [str(service.port), asked[2], "200"])
        self.assertTrue(asked[6].endswith(TEXT), asked[6])
        for row in rows:
            self.assertIn("TLS; the peer: proved to be a.example", row[7])
            self.assertEqual(row[8:11], ["1", "1", ""])

    async def test_every_port(self) -> None:
        """On ports that others use, such as that of HTTP, tshark is told that it is SIP (row:M10)."""
        path = os.path.join(self.folder(), "ports.pcapng")
        events = [
            message(address=f"192.0.2.1:{port}", remote="192.0.2.2:40000", transport=transport, flow=port)
            for port in (80, 443, 2000, 3478, 5060, 5061, 5066, 5080, 6000, 8080, 8443, 40001)
            for transport in ("TLS", "TCP", "UDP", "WSS")
        ]
        with open(path, "wb") as file:
            file.write(capture(events))
        rows = await self.decoded(path, "sip.Method sip.Call-ID")
        self.assertEqual(rows, [["MESSAGE", "one"]] * len(events))

    async def test_hep(self) -> None:
        """Kamailio's collector finds the messages in HEP packets, each from where it came (row:M10)."""
        collector = self.peer(Collector)
        await collector.start()
        to = f"--hep=udp:127.0.0.1:{collector.port}"
        service = await self.talk(to, "--hep-id=2001", "--keep-bodies=text/*")
        host, _, call_id, body = await collector.captured("MESSAGE")
        self.assertEqual((host, body), ("127.0.0.1", TEXT))
        self.assertEqual(await collector.captured("200"), ["127.0.0.1", str(service.port), call_id, ""])


class KeyLogTests(ExportCase):
    """What was captured, in a network of our own."""

    needs = (tshark.Capture, PrivateNetwork)

    async def test_keys(self) -> None:
        """With the key log tshark reads the SIP in a capture of TLS, and without it nothing (row:M11)."""
        network = PrivateNetwork(reactor, self.folder())
        await network.enter()
        self.stop_later(network.leave)
        wire = self.peer(tshark.Capture)
        await wire.start()
        keys = os.path.join(self.folder(), "keys.log")
        service = await self.talk(f"--insecure-tls-key-log={keys}")
        await service.stop()
        # The capture lags behind; it has everything once it has what was sent last.
        marker = os.urandom(16)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(marker, ("127.0.0.1", 9))
        await until(reactor, lambda: holds(wire.path, marker), 10.0, "the last packet in the file")
        await wire.stop()
        self.assertEqual(os.stat(keys).st_mode & 0o777, 0o600)
        decode = f"-dtls.port=={service.port},sip"
        self.assertEqual(await self.decoded(wire.path, "sip.Method sip.Status-Code", decode), [])
        rows = await self.decoded(wire.path, "sip.Method sip.Status-Code", decode, f"-otls.keylog_file:{keys}")
        self.assertEqual(rows, [["MESSAGE", ""], ["", "200"]])
