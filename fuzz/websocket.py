"""One WebSocket: whatever comes, it is read, refused or waited for, the same however it is cut, and within its bounds.

python fuzz/websocket.py               with atheris, where it is installed; for ever, or as libFuzzer's options say
python fuzz/websocket.py --random      with random changes of the torture messages, for a minute
python fuzz/websocket.py FILE...       these inputs alone
"""

from __future__ import annotations

import random

from rounds import fuzz, instrumented

with instrumented():
    from wsproto.connection import ConnectionType

    from sip_p2p.transport.stream.websocket_frames import (
        ClientHandshake,
        Closed,
        Frames,
        ServerHandshake,
        WebSocketRules,
    )

LONGEST, FRAGMENTS = 4096, 16
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: b.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n"
)


def framed(data: bytes) -> bytes:
    """A frame of which the first octet of *data* tells the kind; the masking key is zero."""
    payload = data[1:65536]
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return data[:1] + length + bytes(4) + payload


def read(pieces: list[bytes]) -> list[object]:
    """The messages that these pieces hold, and how they end."""
    frames = Frames(ConnectionType.SERVER, LONGEST, FRAGMENTS)
    found: list[object] = []
    for piece in pieces:
        for item in frames.feed(piece):
            if isinstance(item, bytes):
                assert len(item) <= LONGEST
                found.append(item)
            elif isinstance(item, Closed):
                found.append((item.code, item.by_peer))
    return found


def check(data: bytes) -> None:
    """See the module."""
    cuts = sorted(random.Random(data).sample(range(len(data) + 1), min(5, len(data))))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    for begun in (b"", REQUEST):
        for handshake in (ServerHandshake(WebSocketRules(), LONGEST, FRAGMENTS), ClientHandshake("b", "/", "", 9, 9)):
            for piece in [begun, *pieces]:
                if not handshake.is_done:
                    handshake.feed(piece)
    stream = framed(data) + b"".join(framed(piece) for piece in pieces)
    cut = random.Random(data).randint(0, len(stream))
    whole = read([stream])
    assert read([stream[:cut], stream[cut:]]) == whole, (whole, cut)
    assert read([stream[i : i + 1] for i in range(len(stream))]) == whole, whole


if __name__ == "__main__":
    fuzz(check, "websocket")
