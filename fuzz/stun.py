"""One datagram of STUN: nothing in it raises, and what answers it is STUN itself and no more than 2.6 times as long.

python fuzz/stun.py                with atheris, where it is installed; for ever, or as libFuzzer's options say
python fuzz/stun.py --random       with random changes of the torture messages, for a minute
python fuzz/stun.py FILE...        these inputs alone
"""

from __future__ import annotations

import zlib

from rounds import fuzz, instrumented

with instrumented():
    from sip_p2p.errors import MalformedMessage
    from sip_p2p.transport.udp.stun import (
        BINDING_ERROR,
        BINDING_REQUEST,
        BINDING_RESPONSE,
        binding_error,
        binding_response,
        parse_binding,
    )

COOKIE = b"\x21\x12\xa4\x42"


def check(data: bytes) -> None:
    """See the module."""
    look(data)
    # What is behind a header that is right, with a FINGERPRINT that is right and without one.
    body = data[: len(data) // 4 * 4][:1200]
    for kind in (b"\x00\x01", b"\x01\x01", b"\x01\x11"):
        look(kind + len(body).to_bytes(2, "big") + COOKIE + b"transaction!" + body)
        head = kind + (len(body) + 8).to_bytes(2, "big") + COOKIE + b"transaction!" + body
        mark = (zlib.crc32(head) ^ 0x5354554E).to_bytes(4, "big")
        look(head + b"\x80\x28\x00\x04" + mark)


def look(data: bytes) -> None:
    """Read one datagram and answer it."""
    try:
        binding = parse_binding(data)
    except MalformedMessage:
        return
    assert binding.kind in (BINDING_REQUEST, BINDING_RESPONSE, BINDING_ERROR)
    for host in ("192.0.2.1", "2001:db8::1"):
        answer = binding_response(binding, host, 5060)
        assert parse_binding(answer).mapped == (host, 5060)
        assert len(answer) <= 2.6 * len(data), (answer, data)
    if binding.unknown:
        error = binding_error(binding)
        assert parse_binding(error).kind == BINDING_ERROR
        assert len(error) <= 2.6 * len(data), (error, data)


if __name__ == "__main__":
    fuzz(check, "stun")
