"""What keeps our flows alive, as it passes the wire, is understood by a decoder that shares nothing with ours."""

from __future__ import annotations

from pathlib import Path

from sip_p2p import KeepAlive
from tests.interop.namespace import PrivateNetwork
from tests.interop.peers import tshark
from tests.interop.peers.program import until
from tests.interop.support import TEXT, InteropTestCase, reactor

FIELDS = (
    "frame.protocols",
    "udp.payload",
    "tcp.payload",
    "stun.type",
    "stun.att.type",
    "stun.att.crc32.status",
    "sip.Method",
    "_ws.expert.message",
    "_ws.expert.severity",
)
REQUEST, RESPONSE = "0x0001", "0x0101"
XOR_MAPPED_ADDRESS = "0x0020"
PING, PONG = "0d0a0d0a", "0d0a"
WARNING = 0x600000


class KeepAliveTests(InteropTestCase):
    """Two parties on a network of their own, at the usual port."""

    needs = (tshark.Capture, PrivateNetwork)

    async def test_packets(self) -> None:
        """STUN on UDP and CRLF on TCP are what tshark takes them for, and nothing of it is malformed or odd to it
        (row:E17, row:C14)."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()
        capture = self.peer(tshark.Capture)
        await capture.start()
        often = {"keep_alive": KeepAlive(5, datagram_interval=5)}
        await self.clear_text_party(
            "udp:5060:interface=127.0.0.1", "tcp:5060:interface=127.0.0.1", manager_options=often
        )
        asking = [await self.clear_text_party(manager_options=often) for _ in range(2)]
        for party, transport in zip(asking, ("udp", "tcp"), strict=True):
            await party.endpoint.send_message(f"sip:alice@127.0.0.1;transport={transport}", TEXT)
        for party in asking:
            await until(reactor, lambda party=party: party.manager.metrics()["keep_alive_pongs"] > 0, 20, "a pong")  # type: ignore[misc]
        for party, transport in zip(asking, ("udp", "tcp"), strict=True):
            await party.endpoint.send_message(f"sip:alice@127.0.0.1;transport={transport}", f"last by {transport}")
        await until(reactor, lambda: b"last by tcp" in Path(capture.path).read_bytes(), 10, "the last packet")
        await capture.stop()
        frames = await tshark.read(reactor, self.folder(), capture.path, FIELDS)
        self.assertEqual([frame for frame in frames if "_ws.malformed" in frame["frame.protocols"][0]], [])
        for frame in frames:
            said = zip(frame["_ws.expert.severity"], frame["_ws.expert.message"], strict=True)
            self.assertEqual([text for severity, text in said if int(severity, 0) >= WARNING], [], frame)
        stun = [frame for frame in frames if frame["stun.type"]]
        self.assertEqual({frame["stun.type"][0] for frame in stun}, {REQUEST, RESPONSE})
        for frame in stun:
            self.assertIn("udp:stun", frame["frame.protocols"][0])
            if frame["stun.type"] == [RESPONSE]:
                self.assertIn(XOR_MAPPED_ADDRESS, frame["stun.att.type"])
        stream = [frame["tcp.payload"][0] for frame in frames if frame["tcp.payload"]]
        self.assertGreaterEqual(min(stream.count(PING), stream.count(PONG)), 1)
        for frame in frames:
            if frame["tcp.payload"] in ([PING], [PONG]):
                self.assertEqual(frame["sip.Method"], [])
        self.assertEqual(len([frame for frame in frames if frame["sip.Method"] == ["MESSAGE"]]), 4)
